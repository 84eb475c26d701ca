/* Unit tests of pop3/'s pure parts. Sessions are tested from outside: test/test_pop3.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "pop3/body.h"
#include "pop3/command.h"

static void commands_take_their_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum pop3_verb verb;
        enum rc rc;
        unsigned n;
    } cases[] = {
        {"STAT", POP3_STAT, RC_OK, 0},        {"stat ", POP3_STAT, RC_OK, 0},        {"STAT 1", POP3_STAT, RC_SYNTAX, 0},
        {"RETR 1", POP3_RETR, RC_OK, 1},      {"RETR", POP3_RETR, RC_SYNTAX, 0},     {"RETR 1 2", POP3_RETR, RC_SYNTAX, 0},
        {"RETR -1", POP3_RETR, RC_SYNTAX, 0}, {"RETR 99999999999", POP3_RETR, RC_SYNTAX, 0},
        {"TOP 1 0", POP3_TOP, RC_OK, 2},      {"TOP 1", POP3_TOP, RC_SYNTAX, 0},     {"LIST", POP3_LIST, RC_OK, 0},
        {"LIST 3", POP3_LIST, RC_OK, 1},      {"LIST x", POP3_LIST, RC_SYNTAX, 0},   {"USER", POP3_USER, RC_SYNTAX, 0},
        {"PASS a b ", POP3_PASS, RC_OK, 0},   {"XYZZY", POP3_UNKNOWN, RC_OK, 0},     {"", POP3_UNKNOWN, RC_OK, 0},
        {"RETR\t1", POP3_UNKNOWN, RC_OK, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pop3_command cmd;
        enum rc rc = pop3_command_parse(view_str(cases[i].line), &cmd);
        assert_int_equal(cmd.verb, cases[i].verb);
        assert_int_equal(rc, cases[i].rc);
        if (rc == RC_OK)
            assert_int_equal(cmd.n_numbers, cases[i].n);
    }
    struct pop3_command cmd;
    assert_int_equal(pop3_command_parse(VIEW("PASS  two  spaces "), &cmd), RC_OK);
    assert_true(view_eq(cmd.arg, VIEW(" two  spaces ")));
}

static void collect(void *ctx, struct view piece)
{
    buf_add(ctx, piece);
}

static void dots_are_doubled_at_line_starts_only(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        uint32_t lines;
        const char *sent;
    } cases[] = {
        {"", POP3_ALL_LINES, "\r\n.\r\n"},
        {"a\r\n", POP3_ALL_LINES, "a\r\n.\r\n"},
        {"a", POP3_ALL_LINES, "a\r\n.\r\n"},
        {".\r\n", POP3_ALL_LINES, "..\r\n.\r\n"},
        {"a\r\n.\r\n..b\r\n", POP3_ALL_LINES, "a\r\n..\r\n...b\r\n.\r\n"},
        {"a\n.\nb\r\n", POP3_ALL_LINES, "a\n.\nb\r\n.\r\n"},
        {"H: 1\r\n\r\nb1\r\nb2\r\n", 0, "H: 1\r\n\r\n.\r\n"},
        {"H: 1\r\n\r\nb1\r\nb2\r\n", 1, "H: 1\r\n\r\nb1\r\n.\r\n"},
        {"H: 1\r\n\r\nb1\r\nb2", 9, "H: 1\r\n\r\nb1\r\nb2\r\n.\r\n"},
        {"H: 1\r\n", 5, "H: 1\r\n.\r\n"},
    };
    struct buf sent;
    buf_init(&sent, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&sent);
        pop3_body_emit(view_str(cases[i].message), cases[i].lines, collect, &sent);
        assert_int_equal(sent.n, strlen(cases[i].sent));
        assert_memory_equal(sent.p, cases[i].sent, sent.n);
    }
    buf_clear(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_take_their_arguments),
        cmocka_unit_test(dots_are_doubled_at_line_starts_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
