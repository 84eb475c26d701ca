/* SPF's rules one by one against scripted answers; the whole RFC 7208 suite runs in test/test_spf_suite.py. */
#include "mailauth/spf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The words of a verdict are checked before its arena goes. */
struct expectation {
    const char *record; /* of example.org */
    const char *ip;
    enum spf_result result;
    const char *reason; /* a part of it, or NULL */
};

static const char common[] = "mail.example.org A 192.0.2.1\n"
                             "mail.example.org AAAA 2001:db8::1\n"
                             "example.org MX 10 mail.example.org\n"
                             "example.org A 192.0.2.7\n"
                             "one.test TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
                             "soft.test TXT \"v=spf1 ~all\"\n"
                             "two.test TXT \"v=spf1 -all\"\n"
                             "two.test TXT \"V=SPF1 +all\"\n"
                             "other.test TXT \"v=spf10 -all\"\n"
                             "broken.test TXT \"v=spf1 a: -all\"\n"
                             "slow.test * !temp\n"
                             "bogus.test * !bogus\n"
                             "loop.test TXT \"v=spf1 include:loop.test -all\"\n"
                             "round.test TXT \"v=spf1 redirect=round.test\"\n"
                             "1.2.0.192.in-addr.arpa PTR mail.example.org\n"
                             "1.2.0.192.in-addr.arpa PTR liar.example.org\n"
                             "liar.example.org A 192.0.2.99\n"
                             "text.test TXT \"%{i} may not send for %{d} (%{S})\"\n"
                             "bad.test TXT \"%{i\"\n";

static void run(const char *zone, const char *record, const char *ip, const char *mail_from, const char *helo, struct arena *a,
                struct spf_verdict *out)
{
    struct dns *dns;
    char *script = malloc(strlen(zone) + strlen(record) + 64);
    assert_non_null(script);
    sprintf(script, "%sexample.org TXT \"%s\"\n", zone, record);
    assert_int_equal(dns_new_scripted(script, &dns), RC_OK);
    struct spf_facts facts = {.helo = view_str(helo), .mail_from = view_str(mail_from), .receiver = VIEW("mx.test"), .now_s = 1};
    assert_int_equal(addr_parse_ip(view_str(ip), 25, &facts.ip), RC_OK);
    spf_check(dns, &facts, NO_DEADLINE, a, out);
    dns_free(dns);
    free(script);
}

static void check_all(const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a;
        struct spf_verdict v;
        arena_init(&a, 1 << 20);
        run(common, e[i].record, e[i].ip, "anne@example.org", "mail.example.org", &a, &v);
        if (v.result != e[i].result || (e[i].reason && view_find(v.reason, view_str(e[i].reason)) == VIEW_NONE))
            fail_msg("%s: %s: %.*s", e[i].record, spf_result_name(v.result), VIEW_FMT(v.reason));
        assert_true(v.reason.n > 0);
        assert_true(v.lookups <= SPF_LOOKUPS_MAX);
        arena_clear(&a);
    }
}
#define CHECK(list) check_all(list, sizeof list / sizeof *list)

static void mechanisms(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {"v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.255", SPF_PASS, "ip4:192.0.2.0/24"},
        {"v=spf1 ip4:192.0.2.0/24 -all", "192.0.3.0", SPF_FAIL, "-all"},
        {"v=spf1 ip4:192.0.2.0/31 -all", "192.0.2.1", SPF_PASS, NULL},
        {"v=spf1 ip4:192.0.2.0/31 -all", "192.0.2.2", SPF_FAIL, NULL},
        {"v=spf1 ip6:2001:db8::/32 ~all", "2001:db8:ffff::", SPF_PASS, NULL},
        {"v=spf1 ip6:2001:db8::/32 ~all", "2001:db9::", SPF_SOFTFAIL, NULL},
        {"v=spf1 ip6::::: ?all", "::ffff:192.0.2.1", SPF_PERMERROR, "address"},
        {"v=spf1 ip6:::/0 ?all", "::ffff:192.0.2.1", SPF_NEUTRAL, NULL}, /* mapped is IPv4, RFC 7208 §5 */
        {"v=spf1 a -all", "192.0.2.7", SPF_PASS, NULL},
        {"v=spf1 a/24 -all", "192.0.2.200", SPF_PASS, NULL},
        {"v=spf1 a:mail.example.org//64 -all", "2001:db8::ffff", SPF_PASS, NULL},
        {"v=spf1 a:mail.example.org -all", "2001:db8::ffff", SPF_FAIL, NULL},
        {"v=spf1 mx -all", "192.0.2.1", SPF_PASS, NULL},
        {"v=spf1 mx -all", "192.0.2.7", SPF_FAIL, NULL},
        {"v=spf1 ptr -all", "192.0.2.1", SPF_PASS, NULL},
        {"v=spf1 ptr:liar.example.org -all", "192.0.2.1", SPF_FAIL, NULL}, /* that name does not confirm */
        {"v=spf1 ptr:ample.org -all", "192.0.2.1", SPF_FAIL, NULL},
        {"v=spf1 exists:%{ir}.in-addr.arpa -all", "192.0.2.1", SPF_FAIL, NULL}, /* a PTR is no A */
        {"v=spf1 exists:mail.%{d} -all", "2001:db8::9", SPF_PASS, NULL},
        {"v=spf1 include:one.test -all", "192.0.2.1", SPF_PASS, "include:one.test"},
        {"v=spf1 include:one.test ?all", "192.0.2.2", SPF_NEUTRAL, NULL},
        {"v=spf1 include:soft.test ?all", "192.0.2.2", SPF_NEUTRAL, NULL},
        {"v=spf1 redirect=one.test", "192.0.2.2", SPF_FAIL, "of one.test"},
        {"v=spf1 redirect=one.test ?all", "192.0.2.2", SPF_NEUTRAL, NULL},
        {"v=spf1", "192.0.2.2", SPF_NEUTRAL, "no term"},
        {"v=spf1 moo=%{d} +all", "192.0.2.2", SPF_PASS, NULL},
    };
    CHECK(list);
}

static void errors_are_told_apart(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {"v=spf1 a:slow.test -all", "192.0.2.9", SPF_TEMPERROR, "slow.test"},
        {"v=spf1 mx:slow.test -all", "192.0.2.9", SPF_TEMPERROR, NULL},
        {"v=spf1 include:slow.test -all", "192.0.2.9", SPF_TEMPERROR, NULL},
        {"v=spf1 redirect=slow.test", "192.0.2.9", SPF_TEMPERROR, NULL},
        {"v=spf1 exists:bogus.test -all", "192.0.2.9", SPF_TEMPERROR, "bogus.test"}, /* DNSSEC that does not hold */
        {"v=spf1 include:nobody.test -all", "192.0.2.9", SPF_PERMERROR, "nobody.test"},
        {"v=spf1 redirect=nobody.test", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 include:two.test -all", "192.0.2.9", SPF_PERMERROR, "several"},
        {"v=spf1 include:other.test -all", "192.0.2.9", SPF_PERMERROR, "no SPF record"},
        {"v=spf1 include:broken.test -all", "192.0.2.9", SPF_PERMERROR, "\"a:\""},
        {"v=spf1 +all a:", "192.0.2.9", SPF_PERMERROR, NULL}, /* syntax first, RFC 7208 §4.6 */
        {"v=spf1 ip4:1.2.3.4/032", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 ip4:1.2.3.4/", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 ip4:1.2.3", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 ip6:1.2.3.4", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 a/24/64", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 all.", "192.0.2.9", SPF_PERMERROR, "mechanism"},
        {"v=spf1 redirect=a.test redirect=b.test", "192.0.2.9", SPF_PERMERROR, "once"},
        {"v=spf1 exp=a.test exp=a.test", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 include=one.test", "192.0.2.9", SPF_NEUTRAL, NULL}, /* an unknown modifier */
        {"v=spf1 -redirect=one.test", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 exists:%{d0}.test", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 exists:%{c}.test", "192.0.2.9", SPF_PERMERROR, NULL},
        {"v=spf1 exists:%{d99999999999999999999}.test ?all", "192.0.2.9", SPF_NEUTRAL, NULL},
    };
    CHECK(list);
}

static void limits_hold(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {"v=spf1 a a a a a a a a a a ip4:192.0.2.9 -all", "192.0.2.9", SPF_PASS, NULL},
        {"v=spf1 a a a a a a a a a a a ip4:192.0.2.9 -all", "192.0.2.9", SPF_PERMERROR, "more than 10"},
        {"v=spf1 a:n1.test a:n2.test -all", "192.0.2.9", SPF_FAIL, NULL},
        {"v=spf1 a:n1.test a:n2.test exists:n3.test -all", "192.0.2.9", SPF_PERMERROR, "found nothing"},
        {"v=spf1 include:loop.test -all", "192.0.2.9", SPF_PERMERROR, "more than 10"},
        {"v=spf1 redirect=round.test", "192.0.2.9", SPF_PERMERROR, "more than 10"},
        {"v=spf1 exists:%{p}.%{p}.%{p}.%{p}.%{p}.%{p}.%{p}.%{p}.%{p}.%{p}.test -all", "192.0.2.9", SPF_PERMERROR, NULL},
    };
    CHECK(list);

    char mx[2048] = "";
    for (int i = 0; i < 11; i++)
        snprintf(mx + strlen(mx), sizeof mx - strlen(mx), "example.org MX %d m%d.test\n", i, i);
    struct arena a;
    struct spf_verdict v;
    arena_init(&a, 1 << 20);
    run(mx, "v=spf1 mx +all", "192.0.2.9", "x@example.org", "h", &a, &v);
    assert_int_equal(v.result, SPF_PERMERROR);
    arena_clear(&a);
}

/* A record of 60 KB whose macros would grow to megabytes, and names that no DNS can hold. */
static void macro_bombs_are_cut(void **state)
{
    (void)state;
    static char record[60000], zone[70000], sender[400];
    struct arena a;
    struct spf_verdict v;
    strcat(strcat(record, "v=spf1 exists:"), "%{s}");
    while (strlen(record) < sizeof record - 400)
        strcat(record, "%{s}%{S}%{h1r}%{l.-+}%{d}%{ir}%{o}%{L}");
    strcat(record, ".test -all");
    memset(sender, 'x', 300);
    strcat(sender, "@example.net");
    size_t n = 0; /* in strings of at most 255 bytes */
    n += (size_t)sprintf(zone + n, "example.net TXT ");
    for (size_t i = 0; i < strlen(record); i += 250)
        n += (size_t)sprintf(zone + n, "\"%.250s\" ", record + i);
    sprintf(zone + n, "\n");
    arena_init(&a, 1 << 20);
    run(zone, "v=spf1 -all", "2001:db8::1", sender, "mail.example.org", &a, &v);
    assert_int_equal(v.result, SPF_PERMERROR);
    assert_true(view_find(v.reason, VIEW("expands")) != VIEW_NONE);
    arena_clear(&a);
}

static void explanations(void **state)
{
    (void)state;
    static const struct {
        const char *record, *mail_from, *text;
    } list[] = {
        {"v=spf1 -all exp=text.test", "anne@example.org", "192.0.2.9 may not send for example.org (anne%40example.org)"},
        {"v=spf1 -all exp=text.test", "a\r\nb@example.org", "192.0.2.9 may not send for example.org (a%0D%0Ab%40example.org)"},
        {"v=spf1 -all exp=bad.test", "anne@example.org", ""},
        {"v=spf1 -all exp=nobody.test", "anne@example.org", ""},
        {"v=spf1 -all exp=two.test", "anne@example.org", ""}, /* several records */
        {"v=spf1 ~all exp=text.test", "anne@example.org", ""}, /* for a fail only */
        {"v=spf1 include:one.test -all", "anne@example.org", ""},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct spf_verdict v;
        arena_init(&a, 1 << 20);
        run(common, list[i].record, "192.0.2.9", list[i].mail_from, "mail.example.org", &a, &v);
        if (!view_eq(v.explanation, view_str(list[i].text)))
            fail_msg("%s: %.*s", list[i].record, VIEW_FMT(v.explanation));
        arena_clear(&a);
    }
}

static void identities(void **state)
{
    (void)state;
    static const struct {
        const char *mail_from, *helo;
        enum spf_identity identity;
        enum spf_result result;
        const char *domain;
    } list[] = {
        {"", "example.org", SPF_HELO, SPF_FAIL, "example.org"},
        {"", "EXAMPLE.org.", SPF_HELO, SPF_FAIL, "example.org"},
        {"", "[192.0.2.1]", SPF_HELO, SPF_NONE, ""},
        {"", "", SPF_HELO, SPF_NONE, ""},
        {"", "localhost", SPF_HELO, SPF_NONE, "localhost"},
        {"a@example.org", "x", SPF_MAILFROM, SPF_FAIL, "example.org"},
        {"\"a@nobody.test\"@example.org", "x", SPF_MAILFROM, SPF_FAIL, "example.org"},
        {"a@nobody.test", "x", SPF_MAILFROM, SPF_NONE, "nobody.test"},
        {"a@exa mple.org", "x", SPF_MAILFROM, SPF_NONE, ""},
        {"a@b..test", "x", SPF_MAILFROM, SPF_NONE, ""},
        {"a@b\xc3\xbc" "cher.test", "x", SPF_MAILFROM, SPF_PASS, "xn--bcher-kva.test"},
        {"a@", "x", SPF_MAILFROM, SPF_NONE, ""},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct spf_verdict v;
        arena_init(&a, 1 << 20);
        run("xn--bcher-kva.test TXT \"v=spf1 +all\"\n", "v=spf1 -all", "192.0.2.9", list[i].mail_from, list[i].helo, &a, &v);
        if (v.result != list[i].result || v.identity != list[i].identity || !view_eq(v.domain, view_str(list[i].domain)))
            fail_msg("%s/%s: %s %.*s: %.*s", list[i].mail_from, list[i].helo, spf_result_name(v.result), VIEW_FMT(v.domain),
                     VIEW_FMT(v.reason));
        arena_clear(&a);
    }
}

static void steps_tell_the_way(void **state)
{
    (void)state;
    struct arena a;
    struct spf_verdict v;
    arena_init(&a, 1 << 20);
    run(common, "v=spf1 ip4:198.51.100.1 include:one.test -all", "192.0.2.1", "anne@example.org", "x", &a, &v);
    static const char *const terms[] = {"", "ip4:198.51.100.1", "", "ip4:192.0.2.1", "include:one.test"};
    size_t n = 0;
    for (const struct spf_step *s = v.steps; s; s = s->next, n++) {
        assert_true(n < 5 && view_eq(s->term, view_str(terms[n])));
        assert_int_equal(s->depth, n == 2 || n == 3);
    }
    assert_int_equal(n, 5);
    assert_int_equal(v.lookups, 1);
    arena_clear(&a);
}

/* Nothing is asked once the time is over, and a full arena is no crash. */
static void time_and_memory_end(void **state)
{
    (void)state;
    struct dns *dns;
    struct spf_verdict v;
    struct spf_facts facts = {.mail_from = VIEW("a@example.org")};
    assert_int_equal(dns_new_scripted("example.org TXT \"v=spf1 a -all\"\n", &dns), RC_OK);
    assert_int_equal(addr_parse_ip(VIEW("192.0.2.1"), 0, &facts.ip), RC_OK);
    for (size_t cap = 0; cap < 3000; cap += 100) {
        struct arena a;
        arena_init(&a, cap);
        spf_check(dns, &facts, cap ? NO_DEADLINE : clock_mono_ms() - 1, &a, &v);
        assert_int_equal(v.result, cap ? SPF_FAIL : SPF_TEMPERROR);
        arena_clear(&a);
    }
    dns_free(dns);
}

static void records_of_ours_are_checked(void **state)
{
    (void)state;
    const char *why;
    struct view where;
    assert_int_equal(spf_record_check(VIEW("v=spf1 mx a:x.%{d} -all"), &why, &where), RC_OK);
    assert_int_equal(spf_record_check(VIEW("v=spf1 mx a: -all"), &why, &where), RC_SYNTAX);
    assert_true(view_eq(where, VIEW("a:")));
    assert_int_equal(spf_record_check(VIEW("v=spf2 mx"), &why, &where), RC_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mechanisms),     cmocka_unit_test(errors_are_told_apart), cmocka_unit_test(limits_hold),
        cmocka_unit_test(macro_bombs_are_cut), cmocka_unit_test(explanations),     cmocka_unit_test(identities),
        cmocka_unit_test(steps_tell_the_way),  cmocka_unit_test(time_and_memory_end),
        cmocka_unit_test(records_of_ours_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
