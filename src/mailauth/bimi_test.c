/* Records of BIMI, selectors, addresses, and what DMARC has to say; drawings are in test/test_bimi.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mailauth/bimi.h"

static struct arena arena;

static void records(void **state)
{
    static const struct {
        const char *text;
        enum rc rc;
        const char *location, *authority;
        bool declined;
    } cases[] = {
        {"v=BIMI1; l=https://a.test/x.svg; a=https://a.test/v.pem", RC_OK, "https://a.test/x.svg", "https://a.test/v.pem", false},
        {"v=BIMI1;l=https://a.test/x.svg", RC_OK, "https://a.test/x.svg", "", false},
        {"v=BIMI1; l=https://a.test/x.svg; a=self;", RC_OK, "https://a.test/x.svg", "", false},
        {"v=BIMI1; a=; l=; avp=brand", RC_OK, "", "", true},
        {"v=BIMI1; l=", RC_OK, "", "", true},
        {"v=BIMI1", RC_SYNTAX, "", "", false},
        {"v=BIMI1; l=; a=https://a.test/v.pem", RC_SYNTAX, "", "", false},
        {"v=BIMI1; l=http://a.test/x.svg", RC_SYNTAX, "", "", false},
        {"v=BIMI1; l=https://a.test/x.svg; a=ftp://b", RC_SYNTAX, "", "", false},
        {"v=BIMI1; l=https://a.test/x.svg; l=https://b.test/", RC_SYNTAX, "", "", false},
        {"v=BIMI2; l=https://a.test/x.svg", RC_SYNTAX, "", "", false},
        {"v=bimi1; l=https://a.test/x.svg", RC_SYNTAX, "", "", false},
        {"l=https://a.test/x.svg; v=BIMI1", RC_SYNTAX, "", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bimi_record r;
        const char *why;
        enum rc rc = bimi_record_parse(view_str(cases[i].text), &arena, &r, &why);
        if (rc != cases[i].rc)
            print_error("case %zu: %s\n", i, rc_name(rc));
        assert_int_equal(rc, cases[i].rc);
        if (rc != RC_OK)
            continue;
        assert_true(view_eq(r.location, view_str(cases[i].location)) && view_eq(r.authority, view_str(cases[i].authority)));
        assert_int_equal(r.declined, cases[i].declined);
    }
}

static void addresses_and_selectors(void **state)
{
    static const char *const bad[] = {"https://user@a.test/x", "https://a.test@b.test/x", "https://a.test", "https:///x", "https://a.test:0/x",
                                      "https://a.test:99999/x", "https://localhost/x", "https://a.test/x y", "https://a.test\\b/x"};
    struct view host, path, selector;
    unsigned port;
    (void)state;
    assert_true(bimi_url_split(VIEW("HTTPS://logo.a.test:8443/p/x.svg?y#z"), &host, &port, &path));
    assert_true(view_eq(host, VIEW("logo.a.test")) && port == 8443 && view_eq(path, VIEW("/p/x.svg?y")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bimi_url_split(view_str(bad[i]), &host, &port, &path));
    assert_int_equal(bimi_selector_parse(VIEW("v=BIMI1; s=brand"), &arena, &selector), RC_OK);
    assert_true(view_eq(selector, VIEW("brand")));
    assert_int_equal(bimi_selector_parse(VIEW("v=BIMI1; s=a b"), &arena, &selector), RC_SYNTAX);
    assert_int_equal(bimi_selector_parse(VIEW("v=BIMI1; s="), &arena, &selector), RC_SYNTAX);
    assert_int_equal(bimi_selector_parse(VIEW("brand"), &arena, &selector), RC_SYNTAX);
}

static void the_record_that_counts(void **state)
{
    static const char script[] = "default._bimi.a.test TXT \"v=BIMI1; l=https://a.test/x.svg\"\n"
                                 "brand._bimi.a.test TXT \"v=BIMI1; l=https://a.test/brand.svg\"\n"
                                 "default._bimi.two.test TXT \"v=BIMI1; l=https://a.test/1\"\ndefault._bimi.two.test TXT \"v=BIMI1; l=https://a.test/2\"\n"
                                 "default._bimi.no.test TXT \"v=BIMI1; l=; a=\"\ndefault._bimi.temp.test TXT !temp\n";
    static const struct {
        const char *author, *organization, *selector;
        enum bimi_result result;
        const char *name;
    } cases[] = {
        {"a.test", "a.test", "default", BIMI_PASS, "default._bimi.a.test"},   {"sub.a.test", "a.test", "default", BIMI_PASS, "default._bimi.a.test"},
        {"a.test", "a.test", "brand", BIMI_PASS, "brand._bimi.a.test"},       {"b.test", "b.test", "default", BIMI_NONE, "default._bimi.b.test"},
        {"two.test", "two.test", "default", BIMI_FAIL, "default._bimi.two.test"}, {"no.test", "", "default", BIMI_DECLINED, "default._bimi.no.test"},
        {"temp.test", "temp.test", "default", BIMI_TEMPERROR, "default._bimi.temp.test"},
    };
    struct dns *dns = NULL;
    (void)state;
    assert_int_equal(dns_new_scripted(script, &dns), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bimi_found f;
        assert_int_equal(bimi_find(dns, view_str(cases[i].author), view_str(cases[i].organization), view_str(cases[i].selector),
                                   deadline_in(1000), &arena, &f), RC_OK);
        assert_int_equal(f.result, cases[i].result);
        assert_true(view_eq(f.name, view_str(cases[i].name)));
    }
    dns_free(dns);
}

static void dmarc_has_to_mean_it(void **state)
{
    const char *why;
    const struct dmarc_verdict good = {.result = DMARC_PASS, .policy = DMARC_POLICY_REJECT, .policy_domain = VIEW("a.test"),
                                       .record = {.p = DMARC_POLICY_REJECT, .has_p = true, .pct = 100}};
    struct dmarc_verdict v = good;
    (void)state;
    assert_true(bimi_dmarc_allows(&v, &why));
    v.result = DMARC_FAIL;
    assert_false(bimi_dmarc_allows(&v, &why));
    v = good;
    v.policy = v.record.p = DMARC_POLICY_QUARANTINE;
    assert_true(bimi_dmarc_allows(&v, &why));
    v.record.pct = 50;
    assert_false(bimi_dmarc_allows(&v, &why));
    v = good;
    v.policy = v.record.p = DMARC_POLICY_NONE;
    assert_false(bimi_dmarc_allows(&v, &why));
    v = good;
    v.record.has_sp = true; /* sp=none */
    assert_false(bimi_dmarc_allows(&v, &why));
    v = good;
    v.record.test = true;
    assert_false(bimi_dmarc_allows(&v, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(records), cmocka_unit_test(addresses_and_selectors), cmocka_unit_test(the_record_that_counts),
                                       cmocka_unit_test(dmarc_has_to_mean_it)};
    arena_init(&arena, 1u << 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
