#include "queue/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dsn example(const struct dsn_rcpt *rcpts, size_t n)
{
    return (struct dsn){.hostname = VIEW("mx.ici.test"), .to = VIEW("anne@ici.test"), .queue_id = 0x1f, .unique = {1, 2},
                        .arrival_ms = 1795308000000, .now_ms = 1795308060000,
                        .original = VIEW("Subject: x\r\nFrom: anne@ici.test\r\n\r\nbody\r\n"), .rcpts = rcpts, .n_rcpts = n};
}

static void write_into(const struct dsn *d, struct buf *out)
{
    buf_init(out, 1u << 20);
    assert_int_equal(dsn_write(d, out), RC_OK);
}

static bool has(const struct buf *b, const char *text)
{
    return view_find(buf_view(b), view_str(text)) != VIEW_NONE;
}

/* RFC 3464 §2.3, RFC 6522, RFC 3834 §5 */
static void says_what_happened(void **state)
{
    (void)state;
    struct dsn_rcpt rcpts[] = {
        {.action = DSN_FAILED, .address = VIEW("gone@labas.test"), .orcpt = VIEW("rfc822;old@labas.test"), .status = VIEW("5.1.1"),
         .reply = VIEW("550 5.1.1 No such user"), .mx = VIEW("mx.labas.test"), .last_attempt_ms = 1795308060000},
        {.action = DSN_DELAYED, .address = VIEW("slow@labas.test"), .status = VIEW("4.4.1"), .why = VIEW("cannot connect"),
         .retry_until_ms = 1795394400000},
    };
    struct dsn d = example(rcpts, 2);
    struct buf out;
    d.envid = VIEW("QQ7");
    write_into(&d, &out);
    assert_true(has(&out, "Content-Type: multipart/report; report-type=delivery-status;"));
    assert_true(has(&out, "Auto-Submitted: auto-replied\r\n"));
    assert_true(has(&out, "<gone@labas.test>\r\n    mx.labas.test said: 550 5.1.1 No such user\r\n    There is no mailbox of this name"));
    assert_true(has(&out, "Original-Envelope-Id: QQ7\r\nReporting-MTA: dns; mx.ici.test\r\n"));
    assert_true(has(&out, "Original-Recipient: rfc822;old@labas.test\r\nFinal-Recipient: rfc822; gone@labas.test\r\nAction: failed\r\n"
                          "Status: 5.1.1\r\nRemote-MTA: dns; mx.labas.test\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n"));
    assert_true(has(&out, "Action: delayed\r\n") && has(&out, "Will-Retry-Until: "));
    assert_true(has(&out, "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n"));
    assert_false(has(&out, "body\r\n"));
    buf_clear(&out);
    d.full = true;
    write_into(&d, &out);
    assert_true(has(&out, "Content-Type: message/rfc822\r\n\r\nSubject: x\r\nFrom: anne@ici.test\r\n\r\nbody\r\n"));
    buf_clear(&out);
}

/* What strangers wrote makes no field and no line of ours. */
static void strangers_make_no_fields(void **state)
{
    (void)state;
    struct dsn_rcpt rcpt = {.action = DSN_FAILED, .address = VIEW("x\r\nBcc: victim@a.test\r\n@b.test"), .status = VIEW("5.0.0"),
                            .reply = VIEW("550 no\r\n\r\nEvil: 1"), .mx = VIEW("mx\r\nEvil: 2"), .orcpt = VIEW("rfc822;a\r\nEvil: 3")};
    struct dsn d = example(&rcpt, 1);
    struct buf out;
    d.envid = VIEW("a\r\nEvil: 4");
    d.to = VIEW("anne@ici.test>\r\nEvil: 5");
    d.original = VIEW("Subject: a\rEvil: 6\nX: \0y\r\n\r\n");
    write_into(&d, &out);
    for (struct view in = buf_view(&out), line; in.n > 0;) {
        assert_true(view_split(&in, '\n', &line));
        assert_true(view_ends(line, VIEW("\r")));
        line.n--;
        assert_true(line.n <= 998 && view_chr(line, '\r') == VIEW_NONE && view_chr(line, '\0') == VIEW_NONE);
        assert_false(view_starts(line, VIEW("Evil")) || view_starts(line, VIEW("Bcc")));
    }
    buf_clear(&out);
}

/* RFC 6533 */
static void international_addresses(void **state)
{
    (void)state;
    struct dsn_rcpt rcpt = {.action = DSN_FAILED, .address = VIEW("\xc3\xa9@labas.test"), .status = VIEW("5.6.7")};
    struct dsn d = example(&rcpt, 1);
    struct buf out;
    write_into(&d, &out);
    assert_true(has(&out, "Final-Recipient: utf-8; \\x{E9}@labas.test\r\n"));
    assert_true(view_is_ascii(buf_view(&out)));
    buf_clear(&out);
    d.utf8 = true;
    write_into(&d, &out);
    assert_true(has(&out, "Content-Type: message/global-delivery-status\r\n"));
    assert_true(has(&out, "Final-Recipient: utf-8; \xc3\xa9@labas.test\r\n"));
    assert_true(has(&out, "Content-Type: message/global-headers\r\n"));
    buf_clear(&out);
}

static void advice_fits_the_status(void **state)
{
    (void)state;
    static const struct {
        const char *status, *text;
    } rows[] = {{"5.1.1", "no mailbox"}, {"5.1.10", "no mail at all"}, {"5.1.11", "for good"}, {"5.7.26", "own rules"},
                {"4.9.9", "could not take"}, {"5.2.2", "full"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(view_find(view_str(dsn_advice(view_str(rows[i].status))), view_str(rows[i].text)) != VIEW_NONE);
    assert_string_equal(dsn_advice(VIEW("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_happened),
        cmocka_unit_test(strangers_make_no_fields),
        cmocka_unit_test(international_addresses),
        cmocka_unit_test(advice_fits_the_status),
    };
    return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}
