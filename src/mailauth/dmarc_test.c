/* DMARC's rules against scripted answers: records, the tree walk, alignment, policies, what a From may look like, and where
 * the Public Suffix List of RFC 7489 says something else. */
#include "mailauth/dmarc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- records --- */

static void records(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool usable;
        const char *p; /* and np, sp where they differ: "reject none quarantine" is p, sp, np */
    } list[] = {
        {"v=DMARC1; p=reject", true, "reject"},
        {"v=DMARC1;p=reject;", true, "reject"},
        {"v = DMARC1 ; p = Reject ; sp=NONE; np=quarantine", true, "reject none quarantine"},
        {"v=DMARC1; rua=mailto:a@b.test", true, "none"},
        {"v=DMARC1; p=reject; sp=invalid; rua=mailto:a@b.test", true, "none"}, /* RFC 9989 §4.10.1 */
        {"v=DMARC1; p=reject; np=invalid; rua=mailto:a@b.test", true, "none"},
        {"v=DMARC1; p=reject; sp=invalid", false, NULL},
        {"v=DMARC1; p=reject; sp=invalid; rua=bogus", false, NULL},
        {"v=DMARC1; p=bad; rua=mailto:a@b.test!10m,https://c.test/", true, "none"},
        {"v=DMARC1; p=quarantine; rua=mailto:a@b.test,mailto:t@c.test!10m; pct=25", true, "quarantine"},
        {"v=DMARC1; p=reject; adkim=x; aspf=123; fo=bad; psd=z; t=maybe; ri=bad; pct=bogus", true, "reject"},
        {"v=DMARC1; p=reject; x-new=1; nonsense; =; ; ;", true, "reject"},
        {"v=DMARC1; sp=reject; p=none", true, "none reject"}, /* p need not come first any more */
        {"", false, NULL},
        {"v=", false, NULL},
        {"v=DMARC1", false, NULL},
        {"v=DMARC12; p=reject", false, NULL},
        {"v=dmarc1; p=reject", false, NULL},
        {" v=DMARC1; p=reject", false, NULL},
        {"p=reject; v=DMARC1", false, NULL},
        {"v=DMARC1; p=none; p=reject", false, NULL}, /* RFC 6376 §3.2 */
        {"v=DMARC1; p=none; v=DMARC1", false, NULL},
        {"v=DMARC1; rua=mailto:a@b.test!", false, NULL},
        {"v=DMARC1; rua=mailto:a@b.test!10p", false, NULL},
        {"v=DMARC1; rua=mailto:", false, NULL},
        {"v=DMARC1; rua=mailto:@b.test", false, NULL},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct dmarc_record r;
        char *exact = malloc(strlen(list[i].text) + 1);
        memcpy(exact, list[i].text, strlen(list[i].text) + 1);
        arena_init(&a, 1 << 20);
        bool usable = dmarc_record_parse(view_of(exact, strlen(exact)), &a, &r) == RC_OK && dmarc_record_is_usable(&r);
        free(exact);
        if (usable != list[i].usable)
            fail_msg("%s", list[i].text);
        if (usable) {
            char got[64];
            snprintf(got, sizeof got, "%s%s%s%s%s", dmarc_policy_name(r.p), r.has_sp ? " " : "", r.has_sp ? dmarc_policy_name(r.sp) : "",
                     r.has_np ? " " : "", r.has_np ? dmarc_policy_name(r.np) : "");
            assert_string_equal(got, list[i].p);
        }
        arena_clear(&a);
    }
}

static void tags(void **state)
{
    (void)state;
    struct arena a;
    struct dmarc_record r;
    arena_init(&a, 1 << 20);
    assert_int_equal(dmarc_record_parse(VIEW("v=DMARC1; p=none; adkim=S; aspf=r; psd=y; t=Y; fo=1:d:s; ruf=mailto:f@x.test?subject=a; "
                                             "rua=mailto:A@X.test!2k, mailto:b@x.test!99999999999999999999t ,ftp://x.test"),
                                        &a, &r),
                     RC_OK);
    assert_true(r.adkim_strict && !r.aspf_strict && r.psd == 'y' && r.test);
    assert_int_equal(r.fo, DMARC_FO_ANY | DMARC_FO_DKIM | DMARC_FO_SPF);
    assert_int_equal(r.n_rua, 2); /* a size without bounds is no size */
    assert_true(view_eq(r.rua[0].address, VIEW("A@X.test")));
    assert_int_equal(r.rua[0].max_size, 2048);
    assert_int_equal(r.rua[1].address.n, 0);
    assert_true(view_eq(r.ruf[0].address, VIEW("f@x.test")));
    assert_int_equal(dmarc_record_parse(VIEW("v=DMARC1; p=none; fo=0:1"), &a, &r), RC_OK);
    assert_int_equal(r.fo, DMARC_FO_ALL);
    assert_true(view_find(r.notes, VIEW("fo has a value")) != VIEW_NONE);
    char huge[DMARC_RECORD_MAX + 100] = "v=DMARC1; p=none; ";
    memset(huge + strlen(huge), 'x', sizeof huge - strlen(huge) - 1);
    assert_int_equal(dmarc_record_parse(view_str(huge), &a, &r), RC_LIMIT);
    arena_clear(&a);
}

/* --- who the author is --- */

static void authors(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum dmarc_from kind;
        const char *domains; /* parted by blanks */
    } list[] = {
        {"From: a@b.test\r\n", DMARC_FROM_OK, "b.test"},
        {"from : Anne <a@B.Test.>\r\n", DMARC_FROM_OK, "b.test"},
        {"From: \"x@bank.test\" <a@b.test>\r\n", DMARC_FROM_OK, "b.test"},
        {"From: a@b.test (x@bank.test)\r\n", DMARC_FROM_OK, "b.test"},
        {"From: =?utf-8?q?x=40bank.test?= <a@b.test>\r\n", DMARC_FROM_OK, "b.test"},
        {"From: =?utf-8?q?x@bank.test?= <a@b.test>\r\n", DMARC_FROM_OK, "b.test"},
        {"From: a@b.test, c@b.test\r\n", DMARC_FROM_OK, "b.test"},
        {"From: Us: a@b.test, c@B.test;\r\n", DMARC_FROM_OK, "b.test"},
        {"From: a@b\xc3\xbc" "cher.test\r\n", DMARC_FROM_OK, "xn--bcher-kva.test"},
        {"From: a\r\n\t@b.test\r\n", DMARC_FROM_OK, "b.test"},
        {"Subject: x\r\n", DMARC_FROM_MISSING, ""},
        {"Subject: x\r\n\r\nFrom: a@b.test\r\n", DMARC_FROM_MISSING, ""},
        {"From: a@b.test\r\nFrom: a@b.test\r\n", DMARC_FROM_SEVERAL, "b.test"},
        {"From: a@b.test\r\nFROM : x@bank.test\r\n", DMARC_FROM_SEVERAL, "b.test bank.test"},
        {"From:\r\n", DMARC_FROM_NOBODY, ""},
        {"From: undisclosed:;\r\n", DMARC_FROM_NOBODY, ""},
        {"From: root\r\n", DMARC_FROM_NOBODY, ""},
        {"From: =?utf-8?q?x=40bank.test?=\r\n", DMARC_FROM_NOBODY, ""},
        {"From: a@b.test, x@bank.test\r\n", DMARC_FROM_DOMAINS, "b.test bank.test"},
        {"From: x@bank.test <a@b.test>\r\n", DMARC_FROM_BAD, "b.test bank.test"},
        {"From: <a@b.test> <x@bank.test>\r\n", DMARC_FROM_BAD, "b.test bank.test"},
        {"From: \"Anne <x@bank.test>, <a@b.test>\r\n", DMARC_FROM_BAD, NULL},
        {"From: (Anne <x@bank.test>\r\n", DMARC_FROM_BAD, NULL},
        {"From: a@[192.0.2.1]\r\n", DMARC_FROM_BAD, ""},
        {"From: <a@=?utf-8?q?bank.test?=>\r\n", DMARC_FROM_BAD, ""},
        {"From: a@b..test\r\n", DMARC_FROM_BAD, ""},
        {"From: a@b.test@bank.test\r\n", DMARC_FROM_BAD, NULL},
        {"From: <@relay.test:a@b.test>\r\n", DMARC_FROM_BAD, "b.test relay.test"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct dmarc_authors got;
        char domains[512] = "";
        arena_init(&a, 1 << 20);
        assert_int_equal(dmarc_authors(view_str(list[i].header), &a, &got), RC_OK);
        for (size_t k = 0; k < got.n; k++)
            snprintf(domains + strlen(domains), sizeof domains - strlen(domains), "%s%.*s", k ? " " : "", VIEW_FMT(got.domains[k]));
        if (got.kind != list[i].kind || (list[i].domains && strcmp(domains, list[i].domains) != 0))
            fail_msg("%s: kind %d, domains \"%s\"", list[i].header, (int)got.kind, domains);
        assert_true(got.kind == DMARC_FROM_OK ? got.n == 1 : got.why != NULL);
        arena_clear(&a);
    }
}

/* --- verdicts --- */

struct expectation {
    const char *zone;
    const char *from;
    const char *spf;  /* domain that passed, or NULL */
    const char *dkim; /* domain that passed, or NULL */
    enum dmarc_result result;
    enum dmarc_policy disposition;
    const char *policy_domain;
};

static void judge(const char *zone, const char *header, const char *spf, const char *dkim, const struct dmarc_settings *set,
                  struct arena *a, struct dmarc_verdict *out)
{
    struct dns *dns;
    struct dmarc_dkim one = {.domain = view_str(dkim), .pass = true};
    struct dmarc_facts facts = {.header = view_str(header), .spf_pass = spf != NULL, .spf_domain = view_str(spf)};
    facts.dkim = &one;
    facts.n_dkim = dkim != NULL;
    assert_int_equal(dns_new_scripted(zone, &dns), RC_OK);
    dmarc_check(dns, set, &facts, NO_DEADLINE, a, out);
    dns_free(dns);
}

#define R(name, text) "_dmarc." name " TXT \"v=DMARC1; " text "\"\n"
#define HERE          R("e.test", "p=reject")

static void check_all(const struct expectation *e, size_t n, const struct dmarc_settings *set)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a;
        struct dmarc_verdict v;
        char header[600];
        arena_init(&a, 1 << 20);
        snprintf(header, sizeof header, "From: %s\r\n", e[i].from);
        judge(e[i].zone, header, e[i].spf, e[i].dkim, set, &a, &v);
        if (v.result != e[i].result || v.disposition != e[i].disposition || !view_eq(v.policy_domain, view_str(e[i].policy_domain)))
            fail_msg("%zu: %s, zone %s: %s, %s, policy of \"%.*s\": %.*s", i, e[i].from, e[i].zone, dmarc_result_name(v.result),
                     dmarc_policy_name(v.disposition), VIEW_FMT(v.policy_domain), VIEW_FMT(v.reason));
        assert_true(v.reason.n > 0);
        assert_true(v.queries <= 3 * DMARC_QUERIES_MAX);
        arena_clear(&a);
    }
}
static const struct dmarc_settings treewalk = {.method = DMARC_TREEWALK};
#define CHECK(list) check_all(list, sizeof list / sizeof *list, &treewalk)
#define NONE        DMARC_POLICY_NONE
#define QUARANTINE  DMARC_POLICY_QUARANTINE
#define REJECT      DMARC_POLICY_REJECT

static void alignment(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {HERE, "a@e.test", "e.test", NULL, DMARC_PASS, NONE, "e.test"},
        {HERE, "a@e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
        {HERE, "a@E.Test", NULL, "e.TEST.", DMARC_PASS, NONE, "e.test"},
        {HERE, "a@e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {HERE, "a@e.test", "evil.test", "evil.test", DMARC_FAIL, REJECT, "e.test"},
        {HERE, "a@e.test", NULL, "be.test", DMARC_FAIL, REJECT, "e.test"}, /* a suffix of letters is no suffix of labels */
        {HERE, "a@mail.e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
        {HERE, "a@e.test", "bounce.mail.e.test", NULL, DMARC_PASS, NONE, "e.test"},
        {HERE, "a@one.e.test", NULL, "two.e.test", DMARC_PASS, NONE, "e.test"},
        {HERE, "a@e.test", NULL, "not a domain", DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=reject; adkim=s"), "a@mail.e.test", NULL, "e.test", DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=reject; adkim = S"), "a@mail.e.test", NULL, "e.test", DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=reject; adkim=s"), "a@e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
        {R("e.test", "p=reject; aspf=s"), "a@mail.e.test", "e.test", NULL, DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=reject; aspf=s"), "a@mail.e.test", "mail.e.test", NULL, DMARC_PASS, NONE, "e.test"},
        {R("e.test", "p=reject; aspf=s"), "a@mail.e.test", "e.test", "e.test", DMARC_PASS, NONE, "e.test"},
        {R("xn--bcher-kva.test", "p=reject"), "a@b\xc3\xbc" "cher.test", NULL, "xn--bcher-kva.test", DMARC_PASS, NONE, "xn--bcher-kva.test"},
    };
    CHECK(list);
}

static void tree_walk(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {"", "a@e.test", "e.test", "e.test", DMARC_NONE, NONE, ""},
        {R("m.e.test", "p=reject") R("e.test", "p=none"), "a@m.e.test", NULL, NULL, DMARC_FAIL, REJECT, "m.e.test"},
        {R("m.e.test", "p=reject") R("e.test", "p=none"), "a@x.m.e.test", NULL, NULL, DMARC_FAIL, NONE, "e.test"},
        {R("m.e.test", "p=reject; psd=n") R("e.test", "p=none"), "a@x.m.e.test", NULL, NULL, DMARC_FAIL, REJECT, "m.e.test"},
        {R("m.e.test", "p=reject; psd=n") R("e.test", "p=none"), "a@m.e.test", NULL, "e.test", DMARC_FAIL, REJECT, "m.e.test"},
        {R("m.e.test", "p=reject; psd=n") R("e.test", "p=none"), "a@x.m.e.test", NULL, "y.m.e.test", DMARC_PASS, NONE, "m.e.test"},
        /* RFC 9989 §B.4: a bank's subdomains below a public suffix domain */
        {R("bank.test", "p=reject; psd=y") R("giant.bank.test", "p=quarantine"), "a@giant.bank.test", "mail.giant.bank.test",
         "mail.mega.bank.test", DMARC_PASS, NONE, "giant.bank.test"},
        {R("bank.test", "p=reject; psd=y") R("giant.bank.test", "p=quarantine"), "a@giant.bank.test", NULL, "mail.mega.bank.test",
         DMARC_FAIL, QUARANTINE, "giant.bank.test"},
        {R("bank.test", "p=reject; psd=y"), "a@mega.bank.test", NULL, "giant.bank.test", DMARC_FAIL, REJECT, "bank.test"},
        {R("bank.test", "p=reject; psd=y; sp=none"), "a@mega.bank.test", NULL, "x.mega.bank.test", DMARC_PASS, NONE, "bank.test"},
        {R("bank.test", "p=reject; psd=y"), "a@bank.test", NULL, "bank.test", DMARC_PASS, NONE, "bank.test"},
        {R("bank.test", "p=reject; psd=y"), "a@bank.test", NULL, "giant.bank.test", DMARC_FAIL, REJECT, "bank.test"},
        {R("test", "p=reject; psd=y") R("foo.test", "p=none"), "a@foo.test", NULL, NULL, DMARC_FAIL, NONE, "foo.test"},
        /* deep names: eight queries at most, the seven rightmost labels after the name itself */
        {R("e.test", "p=reject"), "a@a.b.c.d.e.f.g.h.i.j.k.e.test", "e.test", "s.e.test", DMARC_PASS, NONE, "e.test"},
        {R("c.d.e.f.g.e.test", "p=none") R("e.test", "p=reject"), "a@m.a.b.c.d.e.f.g.e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {R("b.c.d.e.f.g.e.test", "p=none; psd=n") R("e.test", "p=reject"), "a@m.a.b.c.d.e.f.g.e.test", NULL, NULL, DMARC_FAIL, REJECT,
         "e.test"}, /* the ninth label from the right is never asked about */
        /* several records, or none of ours, count as none */
        {HERE R("m.e.test", "p=none") R("m.e.test", "p=none"), "a@m.e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {HERE "_dmarc.m.e.test TXT \"hello\"\n_dmarc.m.e.test TXT \"world\"\n", "a@m.e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
        {HERE R("m.e.test", "p=none") "_dmarc.m.e.test TXT \"v=DMARC12; p=reject\"\n", "a@m.e.test", NULL, NULL, DMARC_FAIL, NONE, "m.e.test"},
        {R("e.test", "p=bad"), "a@e.test", NULL, NULL, DMARC_NONE, NONE, ""},
        {R("m.e.test", "p=bad") HERE, "a@m.e.test", NULL, NULL, DMARC_NONE, NONE, ""},
        {R("e.test", "rua=mailto:d@e.test"), "a@e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
    };
    CHECK(list);
}

static void policies(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {R("e.test", "p=reject; sp=quarantine"), "a@e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=reject; sp=quarantine"), "a@m.e.test", NULL, NULL, DMARC_FAIL, QUARANTINE, "e.test"},
        {R("e.test", "p=reject; sp=none; np=quarantine") "m.e.test A 192.0.2.1\n", "a@m.e.test", NULL, NULL, DMARC_FAIL, NONE, "e.test"},
        {R("e.test", "p=reject; sp=none; np=quarantine") "m.e.test MX 1 x.e.test\n", "a@m.e.test", NULL, NULL, DMARC_FAIL, NONE, "e.test"},
        {R("e.test", "p=reject; sp=none; np=quarantine"), "a@m.e.test", NULL, NULL, DMARC_FAIL, QUARANTINE, "e.test"},
        {R("e.test", "p=none; np=reject"), "a@m.e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {R("e.test", "p=none; np=reject") "m.e.test A !temp\n", "a@m.e.test", NULL, NULL, DMARC_TEMPERROR, NONE, "e.test"},
        {R("e.test", "p=none; np=reject") "m.e.test A !temp\n", "a@m.e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"},
        {R("e.test", "p=reject; t=y"), "a@e.test", NULL, NULL, DMARC_FAIL, QUARANTINE, "e.test"},
        {R("e.test", "p=quarantine; t=y"), "a@e.test", NULL, NULL, DMARC_FAIL, NONE, "e.test"},
        {R("e.test", "p=none; t=y"), "a@e.test", NULL, NULL, DMARC_FAIL, NONE, "e.test"},
        {R("e.test", "p=reject; pct=0"), "a@e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"}, /* pct is history */
    };
    CHECK(list);
}

static void dns_trouble_is_neither_pass_nor_fail(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {"_dmarc.e.test * !temp\n", "a@e.test", "e.test", "e.test", DMARC_TEMPERROR, NONE, ""},
        {"_dmarc.e.test * !bogus\n", "a@e.test", NULL, NULL, DMARC_TEMPERROR, NONE, ""},
        {"_dmarc.m.e.test * !temp\n" HERE, "a@m.e.test", NULL, NULL, DMARC_TEMPERROR, NONE, ""},
        {HERE "_dmarc.test * !temp\n", "a@e.test", NULL, "e.test", DMARC_PASS, NONE, "e.test"}, /* not needed */
        {HERE "_dmarc.test * !temp\n", "a@e.test", NULL, "m.e.test", DMARC_TEMPERROR, NONE, "e.test"},
        {HERE "_dmarc.test * !temp\n", "a@e.test", NULL, NULL, DMARC_FAIL, REJECT, "e.test"},
        {HERE "_dmarc.m.e.test * !temp\n", "a@e.test", "e.test", "m.e.test", DMARC_PASS, NONE, "e.test"},
        {R("e.test", "p=reject; psd=n") "_dmarc.test * !temp\n", "a@e.test", NULL, "m.e.test", DMARC_PASS, NONE, "e.test"},
    };
    CHECK(list);
}

/* The longest From that a stranger can send costs no more than reading it a few times. */
static void endless_from(void **state)
{
    (void)state;
    static const char *const parts[] = {"(", "\"", "@(", "@\"(", "<", "=?", "=?a?q?", "a:", "\\", "(a) (", "a@b.test,", "a@\xc3\xbc.test,"};
    enum { SIZE = 1 << 20 };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct arena a;
        struct buf from;
        struct dmarc_authors out;
        arena_init(&a, 32u << 20);
        buf_init(&from, SIZE);
        buf_str(&from, "From: ");
        while (from.n + strlen(parts[i]) < SIZE)
            buf_str(&from, parts[i]);
        int64_t start_ms = clock_mono_ms();
        assert_int_equal(dmarc_authors(buf_view(&from), &a, &out), RC_OK);
        if (clock_mono_ms() - start_ms > 5000)
            fail_msg("%s: %lld ms", parts[i], (long long)(clock_mono_ms() - start_ms));
        assert_int_not_equal(out.kind, DMARC_FROM_OK);
        buf_clear(&from);
        arena_clear(&a);
    }
}

/* Never a pass, however good SPF and DKIM are; the strictest policy of those that a reader may see. */
static void malformed_from(void **state)
{
    (void)state;
    static const struct {
        const char *header, *dkim;
        enum dmarc_policy disposition;
    } list[] = {
        {"From: a@b.test\r\nFrom: x@e.test\r\n", "b.test", REJECT},
        {"From: x@e.test\r\nFrom: a@b.test\r\n", "e.test", QUARANTINE},
        {"From: a@b.test, x@e.test\r\n", "b.test", REJECT},
        {"From: x@e.test <a@b.test>\r\n", "b.test", REJECT},
        {"From: a@e.test\r\nFrom: a@e.test\r\n", "e.test", NONE},
        {"From: a@e.test@b.test\r\n", NULL, REJECT},
        {"From: 1@1.test, 2@2.test, 3@3.test, 4@4.test, a@e.test\r\n", NULL, QUARANTINE}, /* hidden behind the limit */
        {"Subject: x\r\n", "e.test", NONE},
        {"From: friends:;\r\n", "e.test", NONE},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct dmarc_verdict v;
        arena_init(&a, 1 << 20);
        judge(HERE R("b.test", "p=quarantine"), list[i].header, list[i].dkim, list[i].dkim, &treewalk, &a, &v);
        if (v.result != DMARC_PERMERROR || v.disposition != list[i].disposition)
            fail_msg("%s: %s, %s: %.*s", list[i].header, dmarc_result_name(v.result), dmarc_policy_name(v.disposition),
                     VIEW_FMT(v.reason));
        assert_false(v.spf_aligned || v.dkim_aligned);
        arena_clear(&a);
    }
}

static void public_suffix_list(void **state)
{
    (void)state;
    static const struct expectation list[] = {
        {R("e.com", "p=reject; sp=quarantine"), "a@m.e.com", NULL, NULL, DMARC_FAIL, QUARANTINE, "e.com"},
        {R("e.co.uk", "p=reject"), "a@m.e.co.uk", NULL, "x.e.co.uk", DMARC_PASS, NONE, "e.co.uk"},
        {R("e.co.uk", "p=reject"), "a@m.e.co.uk", NULL, "other.co.uk", DMARC_FAIL, REJECT, "e.co.uk"},
        {R("m.e.com", "p=reject; psd=n"), "a@m.e.com", NULL, "e.com", DMARC_PASS, NONE, "m.e.com"}, /* psd is of RFC 9989 */
        {R("e.com", "p=reject; t=y; np=none"), "a@m.e.com", NULL, NULL, DMARC_FAIL, REJECT, "e.com"},
        {R("e.com", "p=reject; pct=0"), "a@e.com", NULL, NULL, DMARC_FAIL, QUARANTINE, "e.com"},
        {R("com", "p=reject; psd=y"), "a@e.com", NULL, NULL, DMARC_NONE, NONE, ""},
    };
    struct psl_list *psl;
    struct arena a;
    struct dmarc_verdict v;
    if (psl_list_open(NULL, &psl) != RC_OK)
        skip();
    const struct dmarc_settings set = {.method = DMARC_PSL, .psl = psl};
    check_all(list, sizeof list / sizeof *list, &set);
    const struct dmarc_settings both = {.method = DMARC_TREEWALK, .psl = psl, .compare = true};
    arena_init(&a, 1 << 20);
    judge(R("com", "p=reject; psd=y"), "From: a@e.com\r\n", NULL, NULL, &both, &a, &v);
    assert_int_equal(v.result, DMARC_FAIL);
    assert_true(view_find(v.difference, VIEW("public suffix list (RFC 7489): none")) != VIEW_NONE);
    judge(R("e.com", "p=reject"), "From: a@e.com\r\n", NULL, NULL, &both, &a, &v);
    assert_int_equal(v.difference.n, 0);
    arena_clear(&a);
    psl_list_free(psl);
}

/* RFC 9989 §5.3.6: what could still pass is not refused. */
static void temporary_failures_leave_it_open(void **state)
{
    (void)state;
    static const struct {
        const char *spf_temporary, *dkim_temporary, *dkim_pass;
        enum dmarc_result result;
    } list[] = {
        {"e.test", NULL, NULL, DMARC_TEMPERROR},     {NULL, "m.e.test", NULL, DMARC_TEMPERROR},
        {"stranger.test", NULL, NULL, DMARC_FAIL},   {NULL, "stranger.test", "also.test", DMARC_FAIL},
        {"e.test", "e.test", "e.test", DMARC_PASS},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct arena a;
        struct dmarc_verdict v;
        struct dns *dns;
        const struct dmarc_dkim dkim[] = {{.domain = view_str(list[i].dkim_temporary), .temporary = true},
                                          {.domain = view_str(list[i].dkim_pass), .pass = list[i].dkim_pass != NULL}};
        const struct dmarc_facts facts = {.header = VIEW("From: a@e.test\r\n"), .spf_temporary = list[i].spf_temporary != NULL,
                                          .spf_domain = view_str(list[i].spf_temporary), .dkim = dkim, .n_dkim = 2};
        arena_init(&a, 1 << 20);
        assert_int_equal(dns_new_scripted(HERE, &dns), RC_OK);
        dmarc_check(dns, &treewalk, &facts, NO_DEADLINE, &a, &v);
        assert_int_equal(v.result, list[i].result);
        assert_int_equal(v.disposition, v.result == DMARC_FAIL ? REJECT : NONE);
        dns_free(dns);
        arena_clear(&a);
    }
}

/* A tree walk costs at most eight queries, and signatures of strangers none. */
static void queries_are_few(void **state)
{
    (void)state;
    struct arena a;
    struct dmarc_verdict v;
    arena_init(&a, 1 << 20);
    judge("", "From: a@1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.e.test\r\n", "stranger.test", "1.2.3.stranger.org", &treewalk, &a, &v);
    assert_int_equal(v.queries, DMARC_QUERIES_MAX);
    judge(HERE, "From: a@e.test\r\n", "stranger.org", "e.test", &treewalk, &a, &v);
    assert_int_equal(v.queries, 1);
    judge(HERE, "From: a@e.test\r\n", NULL, "a.b.c.d.e.f.g.h.i.j.stranger.test", &treewalk, &a, &v);
    assert_int_equal(v.queries, 2);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),  cmocka_unit_test(tags),     cmocka_unit_test(authors),
        cmocka_unit_test(alignment), cmocka_unit_test(tree_walk), cmocka_unit_test(policies),
        cmocka_unit_test(dns_trouble_is_neither_pass_nor_fail), cmocka_unit_test(malformed_from),
        cmocka_unit_test(endless_from),
        cmocka_unit_test(public_suffix_list), cmocka_unit_test(queries_are_few), cmocka_unit_test(temporary_failures_leave_it_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
