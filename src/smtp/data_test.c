#include "base/test_util.h"

#include "smtp/data_reference.h"

struct data_case {
    const char *in;
    bool ended;
    const char *content;
    bool bare;
};
static const struct data_case cases[] = {
    {".\r\n", true, "", false},
    {"a\r\n.\r\n", true, "a\r\n", false},
    {"..a\r\n.\r\n", true, ".a\r\n", false},
    {"...\r\n.\r\n", true, "..\r\n", false},
    {"a.b\r\nc.\r\n.\r\nQUIT\r\n", true, "a.b\r\nc.\r\n", false},
    {"\r\n.\r\n", true, "\r\n", false},
    {"H: v\r\n\r\nbody\r\n.\r\n", true, "H: v\r\n\r\nbody\r\n", false},
    /* what other servers were made to take for the end of data */
    {"a\n.\n", false, "a\n.\n", true},
    {"a\r\n.\n", false, "a\r\n\n", true},
    {"a\n.\r\n", false, "a\n.\r\n", true},
    {"a\r.\r", false, "a\r.\r", true},
    {"a\r\n.\r", false, "a\r\n\r", true},
    {"a\r.\r\n", false, "a\r.\r\n", true},
    {"a\n.\n.\r\n", false, "a\n.\n.\r\n", true},
    {"a\r\r\n.\r\n", true, "a\r\r\n", true},
    {"a\n\r\n.\r\n", true, "a\n\r\n", true},
    {"a\r\n.\r\r\n.\r\n", true, "a\r\n\r\r\n", true},
    {"a\r\n.\rb\r\n.\r\n", true, "a\r\n\rb\r\n", true},
    {"a\r\n.b\r\n.\r\n", true, "a\r\nb\r\n", false},
    {"a\r\n. \r\n.\r\n", true, "a\r\n \r\n", false},
    {"a\r\n.\t\r\n.\r\n", true, "a\r\n\t\r\n", false},
};

static void compare(struct view in, size_t piece, bool binary)
{
    struct data_reference want, got;
    struct smtp_text text;
    reference_read(in, &want);
    reference_judge(&want, binary);
    machine_read(in, piece, binary, &got, &text);
    if (!reference_agrees(&want, &got))
        fail_msg("pieces of %zu of \"%.*s\"", piece, VIEW_FMT(in));
    buf_clear(&want.content);
    buf_clear(&got.content);
}

static void only_crlf_dot_crlf_ends_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view in = exact(view_str(cases[i].in));
        for (size_t piece = 1; piece <= in.n; piece++) {
            struct data_reference got;
            struct smtp_text text;
            machine_read(in, piece, false, &got, &text);
            if (got.ended != cases[i].ended)
                fail_msg("case %zu in pieces of %zu: ended %d", i, piece, got.ended);
            expect_text(buf_view(&got.content), cases[i].content);
            if (smtp_text_is_bare(&text) != cases[i].bare)
                fail_msg("case %zu in pieces of %zu: bare", i, piece);
            buf_clear(&got.content);
            compare(in, piece, false);
            compare(in, piece, true);
        }
        release(in);
    }
}

/* All texts of up to 7 bytes over the bytes that matter. */
static void agrees_with_the_reference(void **state)
{
    static const char letters[] = "\r\n.a";
    (void)state;
    for (size_t n = 1; n <= 7; n++)
        for (size_t code = 0; code < (size_t)1 << (2 * n); code++) {
            char text[7];
            for (size_t i = 0; i < n; i++)
                text[i] = letters[code >> (2 * i) & 3];
            for (size_t piece = 1; piece <= n; piece++) {
                compare(view_of(text, n), piece, false);
                compare(view_of(text, n), piece, true);
            }
        }
}

static void hops_are_counted(void **state)
{
    static const char in[] =
        "Received: a\r\nX-Received: b\r\nreceived: c\r\n Received: folded\r\nRECEIVED:d\r\nReceive: e\r\n"
        "Received : no\r\n\r\nReceived: body\r\n";
    (void)state;
    for (size_t piece = 1; piece < sizeof in; piece++) {
        struct smtp_text t;
        struct view rest = view_of(in, sizeof in - 1);
        smtp_text_init(&t, false);
        while (rest.n > 0) {
            smtp_text_add(&t, view_slice(rest, 0, piece));
            view_skip(&rest, piece);
        }
        smtp_text_end(&t);
        assert_int_equal(t.n_received, 3);
        assert_int_equal(t.header_n, sizeof in - 1 - strlen("Received: body\r\n"));
        assert_false(smtp_text_is_bare(&t));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_crlf_dot_crlf_ends_data),
        cmocka_unit_test(agrees_with_the_reference),
        cmocka_unit_test(hops_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
