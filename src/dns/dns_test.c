#include "dns/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char script[] = "ici.test MX 10 MX.ici.test\n"
                             "ici.test MX 20 mx2.ici.test.\n"
                             "null.test MX 0 .\n"
                             "+mx.ici.test A 127.0.0.2\n"
                             "+mx.ici.test AAAA ::1\n"
                             "four.test A 192.0.2.1\n"
                             "four.test AAAA !temp\n"
                             "broken.test A !temp\n"
                             "broken.test AAAA !temp\n"
                             "alias.test CNAME mx.ici.test\n"
                             "a.loop.test CNAME b.loop.test\n"
                             "b.loop.test CNAME a.loop.test\n"
                             "foo:bar/baz!.test A 192.0.2.2\n"
                             "txt.test TXT \"v=spf1 \" \"-all\"\n"
                             "bogus.test * !bogus\n"
                             "2.0.0.127.in-addr.arpa PTR mx.ici.test\n"
                             "_25._tcp.mx.ici.test TLSA 3 1 1 00ff\n";

struct ctx {
    struct dns *dns;
    struct arena arena;
};

static int setup(void **state)
{
    struct ctx *c = calloc(1, sizeof *c);
    arena_init(&c->arena, 1 << 20);
    *state = c;
    return dns_new_scripted(script, &c->dns) == RC_OK ? 0 : 1;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    dns_free(c->dns);
    arena_clear(&c->arena);
    free(c);
    return 0;
}

static void mx_in_text(void **state)
{
    struct ctx *c = *state;
    struct dns_answer answer;
    struct dns_mx *mx;
    size_t n;
    assert_int_equal(dns_mx(c->dns, VIEW("ICI.test."), NO_DEADLINE, &c->arena, &answer, &mx, &n), DNS_OK);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_true(view_eq(mx[i].host, mx[i].preference == 10 ? VIEW("mx.ici.test") : VIEW("mx2.ici.test")));
    assert_false(answer.secure);
    assert_int_equal(dns_mx(c->dns, VIEW("null.test"), NO_DEADLINE, &c->arena, &answer, &mx, &n), DNS_OK);
    assert_int_equal(mx[0].host.n, 0);
}

static void statuses(void **state)
{
    struct ctx *c = *state;
    static const struct {
        const char *name;
        enum dns_type type;
        enum dns_status want;
    } rows[] = {
        {"ici.test", DNS_A, DNS_NODATA},     {"other.test", DNS_A, DNS_NXDOMAIN}, {"broken.test", DNS_A, DNS_TEMP},
        {"bogus.test", DNS_MX, DNS_BOGUS},   {"a.loop.test", DNS_A, DNS_TEMP},    {"", DNS_A, DNS_NXDOMAIN},
        {"a..test", DNS_A, DNS_NXDOMAIN},    {"a b.test", DNS_A, DNS_NXDOMAIN},   {"a\\046.test", DNS_A, DNS_NXDOMAIN},
        {"alias.test", DNS_A, DNS_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dns_answer answer;
        assert_int_equal(dns_query(c->dns, view_str(rows[i].name), rows[i].type, NO_DEADLINE, &c->arena, &answer), rows[i].want);
    }
}

static void addresses_of_both_families(void **state)
{
    struct ctx *c = *state;
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(dns_addrs(c->dns, VIEW("mx.ici.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_OK);
    assert_int_equal(n, 2);
    assert_true(answer.secure);
    addr_write(&addrs[0], text);
    assert_string_equal(text, "[::1]:25");
    addr_write(&addrs[1], text);
    assert_string_equal(text, "127.0.0.2:25");
    assert_int_equal(dns_addrs(c->dns, VIEW("alias.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_OK);
    assert_true(view_eq(answer.canonical, VIEW("mx.ici.test")));
    assert_false(answer.secure);
    /* One family that cannot be had now does not stop the other. */
    assert_int_equal(dns_addrs(c->dns, VIEW("four.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_OK);
    assert_int_equal(n, 1);
    assert_int_equal(dns_addrs(c->dns, VIEW("broken.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_TEMP);
    assert_int_equal(dns_addrs(c->dns, VIEW("ici.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_NODATA);
    assert_int_equal(dns_addrs(c->dns, VIEW("nowhere.test"), 25, NO_DEADLINE, &c->arena, &answer, &addrs, &n), DNS_NXDOMAIN);
}

static void other_types(void **state)
{
    struct ctx *c = *state;
    struct dns_answer answer;
    struct view *texts;
    struct dns_tlsa *tlsa;
    struct addr addr;
    size_t n;
    assert_int_equal(dns_txt(c->dns, VIEW("txt.test"), NO_DEADLINE, &c->arena, &answer, &texts, &n), DNS_OK);
    assert_true(n == 1 && view_eq(texts[0], VIEW("v=spf1 -all")));
    assert_int_equal(addr_parse_ip(VIEW("127.0.0.2"), 25, &addr), RC_OK);
    assert_int_equal(dns_ptr(c->dns, &addr, NO_DEADLINE, &c->arena, &answer, &texts, &n), DNS_OK);
    assert_true(n == 1 && view_eq(texts[0], VIEW("mx.ici.test")));
    assert_int_equal(dns_tlsa(c->dns, VIEW("_25._tcp.mx.ici.test"), NO_DEADLINE, &c->arena, &answer, &tlsa, &n), DNS_OK);
    assert_true(n == 1 && tlsa[0].usage == 3 && tlsa[0].data.n == 2);
    assert_int_equal(addr_parse_ip(VIEW("::1"), 25, &addr), RC_OK);
    assert_int_equal(dns_ptr(c->dns, &addr, NO_DEADLINE, &c->arena, &answer, &texts, &n), DNS_NXDOMAIN);
}

static void domains_in_ascii(void **state)
{
    struct ctx *c = *state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"Example.ORG", "example.org"}, {"example.org.", "example.org"},     {"b\xc3\xbc" "cher.example", "xn--bcher-kva.example"},
        {"B\xc3\x9c" "CHER.example", "xn--bcher-kva.example"}, {"[IPv6:::1]", "[ipv6:::1]"},
        {"", NULL},                     {".", NULL},                         {"a..b", NULL},
        {"a\r\nb.example", NULL},       {"exa mple.org", NULL},              {"\xff.example", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct view out;
        enum rc rc = dns_domain_ascii(view_str(rows[i].in), &c->arena, &out);
        assert_int_equal(rc, rows[i].out ? RC_OK : RC_SYNTAX);
        if (rows[i].out)
            assert_true(view_eq(out, view_str(rows[i].out)));
    }
}

/* A port where nobody answers: the question ends at its deadline, and the resolver can be freed with it under way, and with
 * questions for which nobody waits. */
static void dead_server_ends_at_deadline(void **state)
{
    struct ctx *c = *state;
    const char *servers[] = {"127.0.0.77:9"};
    struct dns_settings set = {.servers = servers, .n_servers = 1};
    struct dns *dns;
    struct dns_answer answer;
    const char *why = "";
    assert_int_equal(dns_new(&set, &dns, &why), RC_OK);
    int64_t begin = clock_mono_ms();
    dns_prefetch(dns, VIEW("a.test"), DNS_A);
    dns_prefetch(dns, VIEW("b.test."), DNS_TXT);
    dns_prefetch(dns, VIEW("a..test"), DNS_A);
    assert_true(clock_mono_ms() - begin < 1000);
    assert_int_equal(dns_query(dns, VIEW("A.test."), DNS_A, deadline_in(200), &c->arena, &answer), DNS_TEMP);
    assert_true(clock_mono_ms() - begin < 5000);
    dns_free(dns);
    servers[0] = "not an address";
    assert_int_equal(dns_new(&set, &dns, &why), RC_SYNTAX);
}

/* Side by side, in the order asked; names that no host has are asked for, what is no name at all is not. */
static void several_questions(void **state)
{
    struct ctx *c = *state;
    struct dns_question q[] = {
        {.name = VIEW("four.test"), .type = DNS_A},     {.name = VIEW("txt.test."), .type = DNS_TXT},
        {.name = VIEW("a..test"), .type = DNS_A},       {.name = VIEW("foo:bar/baz!.test"), .type = DNS_A},
        {.name = VIEW("broken.test"), .type = DNS_A},   {.name = VIEW("a\\b c\0.test"), .type = DNS_A},
        {.name = VIEW(""), .type = DNS_A},
    };
    static const enum dns_status want[] = {DNS_OK, DNS_OK, DNS_NXDOMAIN, DNS_OK, DNS_TEMP, DNS_NXDOMAIN, DNS_NXDOMAIN};
    struct view *texts;
    size_t n;
    dns_query_all(c->dns, q, sizeof q / sizeof *q, NO_DEADLINE, &c->arena);
    for (size_t i = 0; i < sizeof q / sizeof *q; i++)
        assert_int_equal(q[i].answer.status, want[i]);
    assert_int_equal(dns_texts(&q[1].answer, &c->arena, &texts, &n), RC_OK);
    assert_true(n == 1 && view_eq(texts[0], VIEW("v=spf1 -all")));
    dns_query_all(c->dns, q, 0, NO_DEADLINE, &c->arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mx_in_text, setup, teardown),
        cmocka_unit_test_setup_teardown(statuses, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_of_both_families, setup, teardown),
        cmocka_unit_test_setup_teardown(other_types, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_in_ascii, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_server_ends_at_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(several_questions, setup, teardown),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
