/* Unit tests of smtp/received and smtp/submission. */
#include "base/test_util.h"

#include "smtp/received.h"
#include "smtp/submission.h"

#define NOW 1795308000 /* Sun, 22 Nov 2026 00:40:00 +0000 */

static void check_received(struct smtp_received r, const char *want)
{
    struct buf out;
    buf_init(&out, SMTP_RECEIVED_MAX);
    r.hostname = "mx.ici.test";
    r.id = VIEW("1f.2");
    r.now_s = NOW;
    smtp_received_write(&r, &out);
    assert_int_equal(buf_rc(&out), RC_OK);
    expect_text(buf_view(&out), want);
    buf_clear(&out);
}

static void received_says_how(void **state)
{
    struct tls_info tls = {.version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384", .bits = 256};
    (void)state;
    check_received((struct smtp_received){.helo = VIEW("mx.labas.test"), .peer = "192.0.2.1"},
                   "Received: from mx.labas.test ([192.0.2.1])\r\n\tby mx.ici.test with SMTP id 1f.2;\r\n"
                   "\tSun, 22 Nov 2026 00:40:00 +0000\r\n");
    check_received(
        (struct smtp_received){.helo = VIEW("mx.labas.test"),
                               .peer = "2001:db8::1",
                               .esmtp = true,
                               .tls = &tls,
                               .recipient = VIEW("marie@ici.test")},
        "Received: from mx.labas.test ([IPv6:2001:db8::1])\r\n\tby mx.ici.test with ESMTPS id 1f.2\r\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n\tfor <marie@ici.test>;\r\n"
        "\tSun, 22 Nov 2026 00:40:00 +0000\r\n");
    check_received((struct smtp_received){.helo = VIEW("[192.0.2.9]"),
                                          .peer = "192.0.2.9",
                                          .esmtp = true,
                                          .tls = &tls,
                                          .login = true,
                                          .utf8 = true},
                   "Received: from [192.0.2.9] ([192.0.2.9])\r\n\tby mx.ici.test with UTF8SMTPSA id 1f.2\r\n"
                   "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits));\r\n\tSun, 22 Nov 2026 "
                   "00:40:00 +0000\r\n");
}

static void received_defuses_helo(void **state)
{
    (void)state;
    check_received(
        (struct smtp_received){.helo = VIEW("a)(;\r\nX: y\"\xff"), .peer = "192.0.2.1", .esmtp = true},
        "Received: from a?????X:?y?? ([192.0.2.1])\r\n\tby mx.ici.test with ESMTP id 1f.2;\r\n"
        "\tSun, 22 Nov 2026 00:40:00 +0000\r\n");
}

struct fix_case {
    const char *in;
    enum rc rc;
    const char *out; /* with MISSING for what is added */
};
#define DATE "Date: Sun, 22 Nov 2026 00:40:00 +0000\r\n"
#define ID   "Message-ID: <00000000000000010000000000000002@mx.ici.test>\r\n"
static const struct fix_case fixes[] = {
    {"From: a@ici.test\r\n\r\n", RC_OK, DATE ID "From: a@ici.test\r\n\r\n"},
    {"From: a@ici.test\r\nDate: x\r\nmessage-id: y\r\n\r\n", RC_OK,
     "From: a@ici.test\r\nDate: x\r\nmessage-id: y\r\n\r\n"},
    {"From: a@ici.test\r\nDate: x\r\nMessage-ID: y\r\n", RC_OK,
     "From: a@ici.test\r\nDate: x\r\nMessage-ID: y\r\n"},
    {"bcc: z@x\r\n ,y@x\r\nFrom: A <a@ici.test>\r\nReturn-Path: <q@x>\r\nResent-BCC : z@x\r\nTo: b@x\r\n\r\n",
     RC_OK, DATE ID "From: A <a@ici.test>\r\nTo: b@x\r\n\r\n"},
    {"From: a@ici.test, a@ici.test\r\nSender: \"A\" <a@ici.test>\r\n\r\n", RC_OK,
     DATE ID "From: a@ici.test, a@ici.test\r\nSender: \"A\" <a@ici.test>\r\n\r\n"},
    {"Authentication-Results: MX.ici.test; dkim=pass\r\nAuthentication-results :\r\n (x) mx.ici.test 1;\r\n spf=pass\r\n"
     "Authentication-Results: mx.labas.test; spf=pass\r\nFrom: a@ici.test\r\n\r\n",
     RC_OK, DATE ID "Authentication-Results: mx.labas.test; spf=pass\r\nFrom: a@ici.test\r\n\r\n"},
    {"From: \"b@x\" <a@ici.test>\r\n\r\n", RC_OK, DATE ID "From: \"b@x\" <a@ici.test>\r\n\r\n"},
    {"From: J. Doe <a@ici.test>\r\n\r\n", RC_OK, DATE ID "From: J. Doe <a@ici.test>\r\n\r\n"},
    {"From: a@ici.test <a@ici.test>\r\n\r\n", RC_OK, DATE ID "From: a@ici.test <a@ici.test>\r\n\r\n"},
    /* hostile twins */
    {"From: b@ici.test\r\n\r\n", RC_DENIED, NULL},
    {"From: a@ici.test, b@x\r\n\r\n", RC_DENIED, NULL},
    {"From: a@ici.test\r\nSender: b@x\r\n\r\n", RC_DENIED, NULL},
    {"From: team: a@ici.test, b@x;\r\n\r\n", RC_DENIED, NULL},
    {"From: \"a@ici.test\" <b@x>\r\n\r\n", RC_DENIED, NULL},
    {"From: a@ici.test <b@x>\r\n\r\n", RC_DENIED, NULL},
    {"From: (a@ici.test) b@x\r\n\r\n", RC_DENIED, NULL},
    {"From : b@x\r\nDate: x\r\n\r\n", RC_DENIED, NULL},
    {"From: a@ici.test\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {"From: a@ici.test\r\nFROM : b@x\r\n\r\n", RC_SYNTAX, NULL},
    {"Sender: a@ici.test\r\nsender: a@ici.test\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {"To: b@x\r\n\r\n", RC_SYNTAX, NULL},
    {"From:\r\n\r\n", RC_SYNTAX, NULL},
    {"From: nobody:;\r\n\r\n", RC_SYNTAX, NULL},
    {"From: a\r\n\r\n", RC_SYNTAX, NULL},
    {"From: <a@ici.test> b@x\r\n\r\n", RC_SYNTAX, NULL},
    {"From: b@x@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {" folded\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {"no field\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {"Fr\x01om: x\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {": x\r\nFrom: a@ici.test\r\n\r\n", RC_SYNTAX, NULL},
    {"\r\n", RC_SYNTAX, NULL},
    {"", RC_SYNTAX, NULL},
};

static enum rc only_a(void *ctx, struct view address)
{
    (void)ctx;
    return view_ieq(address, VIEW("a@ici.test")) ? RC_OK : RC_DENIED;
}

static enum rc busy(void *ctx, struct view address)
{
    (void)ctx;
    (void)address;
    return RC_TEMP;
}

static void submission_mends_or_refuses(void **state)
{
    struct submission_rules rules = {only_a, NULL, "mx.ici.test", NOW, {1, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof fixes / sizeof *fixes; i++) {
        struct view in = exact(view_str(fixes[i].in));
        const char *why = NULL;
        struct buf out;
        buf_init(&out, 10000);
        enum rc rc = submission_fix(in, &rules, &out, &why);
        if (rc != fixes[i].rc)
            fail_msg("%s: %s", fixes[i].in, rc_name(rc));
        if (rc == RC_OK)
            expect_text(buf_view(&out), fixes[i].out);
        else
            assert_non_null(why);
        buf_clear(&out);
        release(in);
    }
}

static void submission_tells_busy_from_wrong(void **state)
{
    struct submission_rules rules = {busy, NULL, "mx.ici.test", NOW, {1, 2}};
    const char *why = NULL;
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(submission_fix(VIEW("From: a@ici.test\r\n\r\n"), &rules, &out, &why), RC_TEMP);
    buf_clear(&out);
}

static void a_device_gets_only_what_is_missing(void **state)
{
    struct submission_rules rules = {NULL, NULL, "mx.ici.test", NOW, {1, 2}};
    const char *why = NULL;
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(submission_fix(VIEW("no field\r\nFrom: x@y\r\nBcc: z@x\r\n"
                                         "Authentication-Results: mx.ici.test; spf=pass\r\n\r\n"),
                                    &rules, &out, &why),
                     RC_OK);
    expect_text(buf_view(&out), DATE ID "no field\r\nFrom: x@y\r\nBcc: z@x\r\n\r\n");
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(received_says_how),
        cmocka_unit_test(received_defuses_helo),
        cmocka_unit_test(submission_mends_or_refuses),
        cmocka_unit_test(submission_tells_busy_from_wrong),
        cmocka_unit_test(a_device_gets_only_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
