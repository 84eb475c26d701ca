/* Unit tests of app/mbox: what is written is read back byte for byte; what others write is understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "app/mbox.h"
#include "store/mailbox.h"

static void messages_come_back_byte_for_byte(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "Subject: a\r\n\r\nbody\r\n",
        "Subject: a\r\nStatus: RO\r\n\r\nthe status field is the message's own\r\n",
        "Subject: a\r\nX-Keywords: mine\r\nStatus: O\r\n\r\n\r\n\r\n",
        "Subject: a\r\n\r\nFrom me\r\n>From you\r\n>>From them\r\nFrom x Sun Nov 22 10:00:00 2026\r\n",
        "Subject: a\r\n\r\n\r\nFrom x Sun Nov 22 10:00:00 2026\r\nSubject: inside\r\n\r\n",
        "Subject: no body\r\n\r\n",
        "Subject: bare LF\r\n\r\none\ntwo\r\n",
        "Subject: bare CR\r\n\r\none\rtwo\r\n",
    };
    static const struct {
        uint32_t flags;
        const char *keywords;
    } marks[] = {{0, ""}, {FLAG_SEEN, ""}, {FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT, "$Junk work"}, {FLAG_DRAFT, "x"}};
    size_t n = sizeof messages / sizeof *messages, n_marks = sizeof marks / sizeof *marks;
    struct buf file, message, keywords;
    buf_init(&file, 100000);
    buf_init(&message, 100000);
    buf_init(&keywords, 1000);
    for (size_t i = 0; i < n * n_marks; i++)
        assert_int_equal(mbox_encode(view_str(messages[i % n]), VIEW("a@b.test"), 1700000000 + (int64_t)i, marks[i / n].flags,
                                     view_str(marks[i / n].keywords), &file),
                         RC_OK);
    struct view in = buf_view(&file);
    for (size_t i = 0; i < n * n_marks; i++) {
        struct mbox_message m;
        uint32_t flags;
        assert_int_equal(mbox_next(&in, &m), RC_OK);
        assert_int_equal(m.date, 1700000000 + (int64_t)i);
        buf_reset(&message);
        buf_reset(&keywords);
        assert_int_equal(mbox_decode(m.raw, &message, &flags, &keywords), RC_OK);
        assert_int_equal(message.n, strlen(messages[i % n]));
        assert_memory_equal(message.p, messages[i % n], message.n);
        assert_int_equal(flags, marks[i / n].flags);
        assert_true(view_eq(view_trim(buf_view(&keywords)), view_str(marks[i / n].keywords)));
    }
    struct mbox_message m;
    assert_int_equal(mbox_next(&in, &m), RC_NOTFOUND);
    buf_clear(&file);
    buf_clear(&message);
    buf_clear(&keywords);
}

static void foreign_files_are_understood(void **state)
{
    (void)state;
    struct mbox_message m;
    struct view in = VIEW("From anne Sun Nov 22 10:00:01 2026\nSubject: 1\n\nFrom here on it is text\n\n"
                          "From a b@c.test Sun Nov 22 10:00:02 2026 +0100\r\nSubject: 2\r\n\r\nx\r\n\r\n\r\n");
    assert_int_equal(mbox_next(&in, &m), RC_OK);
    assert_true(view_eq(m.raw, VIEW("Subject: 1\n\nFrom here on it is text\n")));
    assert_int_equal(m.date, 1795341601);
    assert_int_equal(mbox_next(&in, &m), RC_OK);
    assert_true(view_starts(m.raw, VIEW("Subject: 2\r\n\r\nx\r\n")));
    assert_int_equal(mbox_next(&in, &m), RC_NOTFOUND);
    in = VIEW("Subject: no mbox\n\n");
    assert_int_equal(mbox_next(&in, &m), RC_SYNTAX);
    in = VIEW("");
    assert_int_equal(mbox_next(&in, &m), RC_NOTFOUND);
}

/* Status fields that another program put amid the header tell their flags and stay; what only looks like one does not. */
static void status_amid_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        uint32_t flags;
    } cases[] = {
        {"Status: RO\nX-Status: F\nSubject: a\n\nx\n", FLAG_SEEN | FLAG_FLAGGED},
        {"X-Status: A\nSubject: a\n\nx\n", FLAG_ANSWERED},
        {"Status: Resolved\nSubject: a\n\nx\n", 0},
        {"Status: RO\nSubject: a\nStatus: O\n\nx\n", 0}, /* the one at the end is ours */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf message, keywords;
        uint32_t flags;
        buf_init(&message, 1000);
        buf_init(&keywords, 1000);
        assert_int_equal(mbox_decode(view_str(cases[i].raw), &message, &flags, &keywords), RC_OK);
        assert_int_equal(flags, cases[i].flags);
        assert_true(view_find(buf_view(&message), VIEW("Status: ")) != VIEW_NONE || cases[i].flags == FLAG_ANSWERED);
        buf_clear(&message);
        buf_clear(&keywords);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_byte_for_byte),
        cmocka_unit_test(foreign_files_are_understood),
        cmocka_unit_test(status_amid_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
