#include "base/test_util.h"

#include "smtp/command.h"

static void verb_is_split(void **state)
{
    struct view args;
    (void)state;
    expect_text(smtp_verb(VIEW("MAIL FROM:<>  "), &args), "MAIL");
    expect_text(args, "FROM:<>");
    expect_text(smtp_verb(VIEW("NOOP"), &args), "NOOP");
    expect_text(args, "");
    expect_text(smtp_verb(VIEW(" NOOP"), &args), "");
    expect_text(smtp_verb(VIEW(""), &args), "");
}

static void http_is_known(void **state)
{
    (void)state;
    assert_true(smtp_is_http(VIEW("POST / HTTP/1.1")));
    assert_true(smtp_is_http(VIEW("GET /")));
    assert_true(smtp_is_http(VIEW("CONNECT mx.ici.test:25 HTTP/1.0")));
    assert_false(smtp_is_http(VIEW("NOOP / HTTP/1.1")));
    assert_false(smtp_is_http(VIEW("GET")));
}

struct mail_case {
    const char *in;
    enum rc rc;
    unsigned params;
};
static const struct mail_case mails[] = {
    {"FROM:<a@b>", RC_OK, 0},
    {"from: <a@b>", RC_OK, 0},
    {"FROM:<>", RC_OK, 0},
    {"FROM:<a@b> SIZE=1000 BODY=8BITMIME SMTPUTF8", RC_OK, PARAM_SIZE | PARAM_BODY | PARAM_SMTPUTF8},
    {"FROM:<a@b>  size=0\tbody=binarymime ", RC_OK, PARAM_SIZE | PARAM_BODY},
    {"FROM:<a@b> RET=HDRS ENVID=QQ314159", RC_OK, PARAM_RET | PARAM_ENVID},
    {"FROM:<a@b> ENVID=a+2Bb+3D", RC_OK, PARAM_ENVID},
    {"FROM:<a@b> AUTH=<>", RC_OK, PARAM_AUTH},
    {"FROM:<a@b> AUTH=e+3Dmc2@example.com", RC_OK, PARAM_AUTH},
    {"FROM:<a@b> HOLDFOR=60", RC_OK, PARAM_HOLD},
    {"FROM:<a@b> HOLDUNTIL=2026-11-22T00:40:00Z", RC_OK, PARAM_HOLD},
    {"FROM:<a@b> HOLDUNTIL=2024-02-29T23:59:60.5Z", RC_OK, PARAM_HOLD},
    {"FROM:<a@b> BY=120;R", RC_OK, PARAM_BY},
    {"FROM:<a@b> BY=-120;NT", RC_OK, PARAM_BY},
    {"FROM:<a@b> MT-PRIORITY=-9", RC_OK, PARAM_PRIORITY},
    {"FROM:<a@b> REQUIRETLS", RC_OK, PARAM_REQUIRETLS},
    {"FROM:<a@b> REQUIRETLS=YES", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=99999999999999999999", RC_OK, PARAM_SIZE},
    /* hostile twins */
    {"", RC_SYNTAX, 0},
    {"<a@b>", RC_SYNTAX, 0},
    {"FROM", RC_SYNTAX, 0},
    {"FROM:a@b", RC_SYNTAX, 0},
    {"FROM <a@b>", RC_SYNTAX, 0},
    {"FROM:<a@b>SIZE=1", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=-1", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=1x", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=111111111111111111111", RC_SYNTAX, 0},
    {"FROM:<a@b> SIZE=1 SIZE=1", RC_SYNTAX, 0},
    {"FROM:<a@b> BODY=9BIT", RC_SYNTAX, 0},
    {"FROM:<a@b> SMTPUTF8=1", RC_SYNTAX, 0},
    {"FROM:<a@b> RET=ALL", RC_SYNTAX, 0},
    {"FROM:<a@b> ENVID=a+0D+0A", RC_SYNTAX, 0},
    {"FROM:<a@b> ENVID=a+2", RC_SYNTAX, 0},
    {"FROM:<a@b> ENVID=a+2b", RC_SYNTAX, 0},
    {"FROM:<a@b> ENVID=a=b", RC_SYNTAX, 0},
    {"FROM:<a@b> ENVID=\xc3\xa9", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDFOR=0", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2026-11-22T00:40:00Z", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDUNTIL=2026-02-30T00:40:00Z", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDUNTIL=2026-13-01T00:40:00Z", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDUNTIL=2026-11-22T00:40:00+01:00", RC_SYNTAX, 0},
    {"FROM:<a@b> HOLDUNTIL=2026-11-22", RC_SYNTAX, 0},
    {"FROM:<a@b> BY=0;R", RC_SYNTAX, 0},
    {"FROM:<a@b> BY=120", RC_SYNTAX, 0},
    {"FROM:<a@b> BY=120;X", RC_SYNTAX, 0},
    {"FROM:<a@b> BY=1234567890;N", RC_SYNTAX, 0},
    {"FROM:<a@b> MT-PRIORITY=10", RC_SYNTAX, 0},
    {"FROM:<a@b> MT-PRIORITY=-0", RC_SYNTAX, 0},
    {"FROM:<a@b> XYZZY=1", RC_NOTFOUND, 0},
    {"FROM:<a@b> XYZZY", RC_NOTFOUND, 0},
    {"FROM:<a@b> XYZZY SIZE=x", RC_SYNTAX, 0},
    {"FROM:<a@b> =", RC_NOTFOUND, 0},
    {"FROM:<a@b> NOTIFY=NEVER", RC_NOTFOUND, 0},
};

static void mail_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mails / sizeof *mails; i++) {
        struct view block = exact(view_str(mails[i].in));
        struct smtp_mail m;
        struct arena a;
        bool bad_path;
        arena_init(&a, 10000);
        enum rc rc = smtp_mail_parse(block, &a, &m, &bad_path);
        if (rc != mails[i].rc || (rc == RC_OK && m.params != mails[i].params))
            fail_msg("%s: %s", mails[i].in, rc_name(rc));
        arena_clear(&a);
        release(block);
    }
}

static void mail_values(void **state)
{
    struct smtp_mail m;
    struct arena a;
    bool bad_path;
    (void)state;
    arena_init(&a, 10000);
    assert_int_equal(smtp_mail_parse(VIEW("FROM:<a@b> SIZE=7 RET=FULL ENVID=x+2By+20z BY=-5;N MT-PRIORITY=-3 "
                                          "HOLDUNTIL=2026-11-22T00:40:00Z BODY=BINARYMIME"),
                                     &a, &m, &bad_path),
                     RC_OK);
    assert_int_equal(m.size, 7);
    assert_int_equal(m.ret, SMTP_RET_FULL);
    expect_text(m.envid, "x+y z");
    assert_int_equal(m.by_s, -5);
    assert_false(m.by_return);
    assert_int_equal(m.priority, -3);
    assert_int_equal(m.hold_until_s, 1795308000);
    assert_int_equal(m.body, SMTP_BODY_BINARYMIME);
    assert_int_equal(smtp_mail_parse(VIEW("FROM:<a@b> SIZE=99999999999999999999"), &a, &m, &bad_path), RC_OK);
    assert_true(m.size == UINT64_MAX);
    arena_clear(&a);
}

struct rcpt_case {
    const char *in;
    enum rc rc;
    unsigned notify;
    const char *orcpt;
};
static const struct rcpt_case rcpts[] = {
    {"TO:<a@b>", RC_OK, 0, ""},
    {"to: <postmaster>", RC_OK, 0, ""},
    {"TO:<a@b> NOTIFY=NEVER", RC_OK, SMTP_NOTIFY_NEVER, ""},
    {"TO:<a@b> NOTIFY=success,DELAY,Failure", RC_OK,
     SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY | SMTP_NOTIFY_FAILURE, ""},
    {"TO:<a@b> ORCPT=rfc822;Bob+2Bx@c", RC_OK, 0, "rfc822;Bob+x@c"},
    {"TO:<a@b> ORCPT=utf-8;\\x{E9}@c", RC_OK, 0, "utf-8;\xc3\xa9@c"},
    {"TO:<a@b> ORCPT=utf-8;\xc3\xa9@c", RC_OK, 0, "utf-8;\xc3\xa9@c"},
    {"TO:<a@b> NOTIFY=NEVER,SUCCESS", RC_SYNTAX, 0, ""},
    {"TO:<a@b> NOTIFY=", RC_SYNTAX, 0, ""},
    {"TO:<a@b> NOTIFY=SUCCESS,", RC_SYNTAX, 0, ""},
    {"TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=rfc822", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=rfc822;", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=;x", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=rfc822;a+0Ab", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=rfc822;\xc3\xa9", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=utf-8;\xc3", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=utf-8;\\x{D800}", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=utf-8;\\x{0A}", RC_SYNTAX, 0, ""},
    {"TO:<a@b> ORCPT=utf-8;\\x{E9", RC_SYNTAX, 0, ""},
    {"TO:<a@b> SIZE=1", RC_NOTFOUND, 0, ""},
    {"FROM:<a@b>", RC_SYNTAX, 0, ""},
};

static void rcpt_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rcpts / sizeof *rcpts; i++) {
        struct view block = exact(view_str(rcpts[i].in));
        struct smtp_rcpt r;
        struct arena a;
        bool bad_path;
        arena_init(&a, 10000);
        enum rc rc = smtp_rcpt_parse(block, &a, &r, &bad_path);
        if (rc != rcpts[i].rc)
            fail_msg("%s: %s", rcpts[i].in, rc_name(rc));
        if (rc == RC_OK) {
            assert_int_equal(r.notify, rcpts[i].notify);
            expect_text(r.orcpt, rcpts[i].orcpt);
        }
        arena_clear(&a);
        release(block);
    }
}

static void bdat_is_read(void **state)
{
    static const struct {
        const char *in;
        enum rc rc;
        uint64_t n;
        bool last;
    } bdats[] = {
        {"0 LAST", RC_OK, 0, true},        {"1000", RC_OK, 1000, false},
        {"86 last", RC_OK, 86, true},      {"", RC_SYNTAX, 0, false},
        {"-1", RC_SYNTAX, 0, false},       {"10LAST", RC_SYNTAX, 0, false},
        {"10 FIRST", RC_SYNTAX, 0, false}, {"99999999999999999999", RC_LIMIT, 0, false},
        {"LAST", RC_SYNTAX, 0, false},     {"1 LAST LAST", RC_SYNTAX, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bdats / sizeof *bdats; i++) {
        uint64_t n;
        bool last;
        enum rc rc = smtp_bdat_parse(view_str(bdats[i].in), &n, &last);
        if (rc != bdats[i].rc || (rc == RC_OK && (n != bdats[i].n || last != bdats[i].last)))
            fail_msg("%s: %s", bdats[i].in, rc_name(rc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verb_is_split), cmocka_unit_test(http_is_known), cmocka_unit_test(mail_is_read),
        cmocka_unit_test(mail_values),   cmocka_unit_test(rcpt_is_read),  cmocka_unit_test(bdat_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
