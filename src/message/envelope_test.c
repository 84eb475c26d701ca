#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "message/envelope.h"
#include "message/summary.h"

static void check(const char *message, const char *subject, const char *from)
{
    struct arena a;
    struct summary s;
    struct buf got_subject, got_from;

    arena_init(&a, 1u << 20);
    buf_init(&got_subject, 8192);
    buf_init(&got_from, 8192);
    assert_int_equal(summary_make(view_str(message), &a, &s), RC_OK);
    for (size_t n = 0; n < s.envelope.n; n++) { /* cut anywhere: refused or read, never beyond */
        char *exact = malloc(n ? n : 1);
        memcpy(exact, s.envelope.p, n);
        envelope_read(view_of(exact, n), &got_subject, &got_from);
        buf_reset(&got_subject);
        buf_reset(&got_from);
        free(exact);
    }
    assert_int_equal(envelope_read(s.envelope, &got_subject, &got_from), RC_OK);
    assert_true(view_eq(buf_view(&got_subject), view_str(subject)));
    assert_true(view_eq(buf_view(&got_from), view_str(from)));
    buf_clear(&got_subject);
    buf_clear(&got_from);
    arena_clear(&a);
}

static void subject_and_author_are_those_of_the_message(void **state)
{
    (void)state;
    check("From: Anne <anne@ici.test>, b@x.test\r\nSubject: hello\r\n\r\n", "hello", "Anne <anne@ici.test>");
    check("From: anne@ici.test\r\nSubject: =?utf-8?q?caf=C3=A9?= \"quoted\" \\ back\r\n\r\n", "caf\xc3\xa9 \"quoted\" \\ back", "anne@ici.test");
    check("Subject: caf\xc3\xa9\r\nFrom: =?iso-8859-1?q?Andr=E9?= <a@b.test>\r\n\r\n", "caf\xc3\xa9", "Andr\xc3\xa9 <a@b.test>");
    check("To: x@y.test\r\n\r\n", "", "");
}

static void what_is_no_envelope_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "(", "(NIL", "(NIL NIL", "(NIL {9}\r\nabc NIL)", "(NIL \"x", "(NIL \"x\\", "NIL NIL NIL", "(NIL NIL (x))"};
    struct buf b;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(envelope_read(view_str(bad[i]), &b, &b), RC_CORRUPT);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(subject_and_author_are_those_of_the_message),
                                       cmocka_unit_test(what_is_no_envelope_is_refused)};
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
