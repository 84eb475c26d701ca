/* RFC 8461's grammar and name rules. The real files and vectors of others are read by test/test_tls_policy.py. */
#include "policy/mta_sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static char *exact(const char *text)
{
    size_t n = strlen(text);
    char *p = malloc(n ? n : 1);
    memcpy(p, text, n);
    return p;
}

static void records(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id; /* NULL: no record */
    } rows[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
        {"v=STSv1; \t id=20160831085700Z  \t;", "20160831085700Z"},
        {"v=STSv1;id=a", "a"},
        {"v=STSv1 ; id=a ; x-y.z=1:<>", "a"},
        {"v=STSv1; x=1; id=a", "a"},
        {"v=STSv1; id=a; id=b", "a"},
        {"v=STSv2", NULL},
        {"v=STSv1", NULL},
        {"v=STSv1;", NULL},
        {"v=STSv1 id=a", NULL},
        {"v=STSv10; id=a", NULL},
        {"V=STSv1; id=a", NULL},
        {" v=STSv1; id=a", NULL},
        {"id=a; v=STSv1", NULL},
        {"v=STSv1; id=", NULL},
        {"v=STSv1; id=012345678901234567890123456789012", NULL},
        {"v=STSv1; id=test-123", NULL},
        {"v=STSv1; id=a; more=", NULL},
        {"v=STSv1; id=a; more", NULL},
        {"v=STSv1; id=a; a12345678901234567890123456789012=1", NULL},
        {"v=STSv1; id=a; 1%=a", NULL},
        {"v=STSv1; id=a; _x=a", NULL},
        {"v=STSv1; id=a;;", NULL},
        {"v=STSv1; id=a; x=a=b", NULL},
        {"v=STSv1; id=a; x=\xc3\xa9", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct view id;
        char *text = exact(rows[i].text);
        enum rc rc = mta_sts_record_parse(view_of(text, strlen(rows[i].text)), &id);
        if ((rc == RC_OK) != (rows[i].id != NULL))
            print_error("%s\n", rows[i].text);
        assert_int_equal(rc, rows[i].id ? RC_OK : RC_SYNTAX);
        if (rows[i].id)
            assert_true(view_eq(id, view_str(rows[i].id)));
        free(text);
    }
    assert_true(mta_sts_is_record(VIEW("v=STSv1; nonsense")));
    assert_true(mta_sts_is_record(VIEW("v=STSv1")));
    assert_false(mta_sts_is_record(VIEW("v=STSv12; id=a")));
    assert_false(mta_sts_is_record(VIEW("v=spf1 -all")));
}

static void policies(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int mode; /* -1: no policy */
        int64_t max_age_s;
        size_t n_mx;
    } rows[] = {
        {"version: STSv1\nmode: enforce\t\nmx: *.example.com \nmax_age: 0 \n", MTA_STS_ENFORCE, 0, 1},
        {"version: STSv1\r\nmode: testing\r\nmx: mx.example.com\r\nmx: MX.example.net\r\nmax_age: 604800\r\n", MTA_STS_TESTING, 604800, 2},
        {"max_age:60\nmode:none\nversion:STSv1", MTA_STS_NONE, 60, 0},
        {"version:STSv1\nmode:none\nmax_age:31557601", MTA_STS_NONE, MTA_STS_MAX_AGE_MAX, 0},
        {"version:STSv1\nmode:none\nmode:enforce\nmax_age:1\nmax_age:x\nversion:2", MTA_STS_NONE, 1, 0},
        {"version:STSv1\nmode:none\nmax_age:1\nfuture: caf\xc3\xa9 au lait", MTA_STS_NONE, 1, 0},
        {"version:STSv1\nmode:enforce\nmax_age:1\nmx:xn--mx-dja.example.com", MTA_STS_ENFORCE, 1, 1},
        {"version:STSv10\nmode:none\nmax_age:0", -1},
        {"version:STSv1\nmax_age:0\nmode:enforce", -1},
        {"max_age:0\nmode:none", -1},
        {"version:STSv1\nmode:none", -1},
        {"version:STSv1\nmax_age:0", -1},
        {"version:STSv1\nmode:bad\nmax_age:1", -1},
        {"version:STSv1\nmode:Enforce\nmax_age:1\nmx:a.b", -1},
        {"version:STSv1\nmode:none\nmax_age:a", -1},
        {"version:STSv1\nmode:none\nmax_age:-1", -1},
        {"version:STSv1\nmode:none\nmax_age:00000000001", -1},
        {"version:STSv1\nmode:none\nmax_age:0\next:", -1},
        {"version:STSv1\nmode:none\nmax_age:0\na12345678901234567890123456789012:123", -1},
        {"version:STSv1\nmode:none\nmax_age:0\nmx: m\xc3\xb8x.example", -1},
        {"version:STSv1\nmode:none\nmax_age:0\nmx: mx.*.example", -1},
        {"version:STSv1\nmode:none\nmax_age:0\nmx: *", -1},
        {"version:STSv1\nmode:none\nmax_age:0\nmx: a b", -1},
        {"version:STSv1\nmode:none\nmax_age:0\nmx: .example", -1},
        {"version:STSv1\n\nmode:none\nmax_age:0", -1},
        {" version:STSv1\nmode:none\nmax_age:0", -1},
        {"version :STSv1\nmode:none\nmax_age:0", -1},
        {"version:STSv1\rmode:none\rmax_age:0", -1},
        {"<html>", -1},
        {"\xef\xbb\xbfversion:STSv1\nmode:none\nmax_age:0", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mta_sts_policy p;
        char *text = exact(rows[i].text);
        arena_init(&a, 1u << 20);
        enum rc rc = mta_sts_policy_parse(view_of(text, strlen(rows[i].text)), &a, &p);
        if ((rc == RC_OK) != (rows[i].mode >= 0))
            print_error("%s\n", rows[i].text);
        assert_int_equal(rc, rows[i].mode >= 0 ? RC_OK : RC_SYNTAX);
        if (rc == RC_OK) {
            assert_int_equal(p.mode, rows[i].mode);
            assert_int_equal(p.max_age_s, rows[i].max_age_s);
            assert_int_equal(p.n_mx, rows[i].n_mx);
        }
        arena_clear(&a);
        free(text);
    }
}

static void policies_have_limits(void **state)
{
    (void)state;
    struct arena a;
    struct buf b;
    struct mta_sts_policy p;
    arena_init(&a, 1u << 20);
    buf_init(&b, 1u << 20);
    buf_str(&b, "version:STSv1\nmode:enforce\nmax_age:1");
    for (int i = 0; i < MTA_STS_MX_MAX; i++)
        buf_str(&b, "\nmx:a.b");
    assert_int_equal(mta_sts_policy_parse(buf_view(&b), &a, &p), RC_OK);
    assert_int_equal(p.n_mx, MTA_STS_MX_MAX);
    buf_str(&b, "\nmx:a.b");
    assert_int_equal(mta_sts_policy_parse(buf_view(&b), &a, &p), RC_LIMIT);
    while (b.n <= MTA_STS_POLICY_MAX)
        buf_str(&b, "\nx:y");
    assert_int_equal(mta_sts_policy_parse(buf_view(&b), &a, &p), RC_LIMIT);
    buf_clear(&b);
    arena_clear(&a);
}

/* RFC 8461 §4.1 */
static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *host;
        bool match;
    } rows[] = {
        {"mx.example.com", "mx.example.com", true},      {"MX.example.COM", "mx.example.com", true},
        {"mx.example.com", "mx.example.com.", true},     {"mx.example.com", "mx2.example.com", false},
        {"example.com", "mx.example.com", false},        {"*.example.com", "mx.example.com", true},
        {"*.example.com", "example.com", false},         {"*.example.com", "foo.bar.example.com", false},
        {"*.example.com", ".example.com", false},        {"*.example.com", "mx.example.com.evil.test", false},
        {"*.example.com", "mxexample.com", false},       {"mx.example.com", "", false},
        {"*.example.com", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(mta_sts_pattern_matches(view_str(rows[i].pattern), view_str(rows[i].host)), rows[i].match);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(records), cmocka_unit_test(policies), cmocka_unit_test(policies_have_limits),
                                       cmocka_unit_test(patterns)};
    return cmocka_run_group_tests_name("mta_sts", tests, NULL, NULL);
}
