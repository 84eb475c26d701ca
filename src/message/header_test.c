/* Unit tests of message/header. */
#include "base/test_util.h"

#include "message/header.h"

static void fields_are_found_with_their_folds(void **state)
{
    (void)state;
    struct view m =
        exact(VIEW("From: a\r\nSubject : one\r\n\ttwo\r\n  \r\nno colon here\r\nX: \rbare\r\nfrom: b\r\n"
                   "\r\nbody: not a field\r\n"));
    struct header_field f;
    struct view in = m;
    assert_int_equal(header_length(m), 70);
    expect_text(header_body(m), "body: not a field\r\n");
    assert_true(header_next(&in, &f));
    expect_text(f.name, "From");
    expect_text(f.value, " a");
    assert_true(header_next(&in, &f));
    expect_text(f.name, "Subject");
    expect_text(f.value, " one\r\n\ttwo\r\n  ");
    expect_text(f.whole, "Subject : one\r\n\ttwo\r\n  \r\n");
    assert_true(header_next(&in, &f));
    expect_text(f.name, "");
    assert_true(header_next(&in, &f));
    expect_text(f.value, " \rbare");
    assert_true(header_next(&in, &f));
    assert_false(header_next(&in, &f));
    assert_int_equal(header_count(m, VIEW("FROM")), 2);
    assert_int_equal(header_find(m, VIEW("from"), 1, &f), RC_OK);
    expect_text(f.value, " b");
    assert_int_equal(header_find(m, VIEW("from"), 2, &f), RC_NOTFOUND);
    assert_int_equal(header_find(m, VIEW("body"), 0, &f), RC_NOTFOUND);
    assert_int_equal(header_find_last(m, VIEW("from"), &f), RC_OK);
    expect_text(f.value, " b");
    expect_text(header_value(m, VIEW("from")), "a");
    expect_text(header_value(m, VIEW("none")), "");
    release(m);
}

static void odd_ends_are_tolerated(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t header, fields;
    } table[] = {
        {"", 0, 0},          {"\r\n", 2, 0},     {"\n", 1, 0},           {"A:", 2, 1},
        {"A: b\n\nc", 6, 1}, {"A: b\r\n", 6, 1}, {" x\n\n", 4, 1},       {"A: b\r\n\r", 7, 2},
        {":\n\n", 3, 1},     {"\r\r\n\n", 4, 1}, {"A: b\n c\n\n", 9, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view m = exact(view_str(table[i].text)), in = m;
        struct header_field f;
        size_t n = 0;
        while (header_next(&in, &f))
            n++;
        assert_int_equal(header_length(m), table[i].header);
        assert_int_equal(n, table[i].fields);
        release(m);
    }
}

static void values_come_on_one_line(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {" one\r\n\ttwo\n three ", "one\ttwo three"},
        {"a\nb", "a b"},
        {"a\rb", "a b"},
        {"a\r\n", "a"},
        {"", ""},
    };
    struct buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i][0]));
        header_unfold(v, &out);
        expect_text(buf_view(&out), table[i][1]);
        buf_reset(&out);
        release(v);
    }
    header_unfold(VIEW("a\0b"), &out);
    expect_text(buf_view(&out), "a b");
    buf_clear(&out);
}

static void bcc_is_cut_out(void **state)
{
    (void)state;
    static const struct view names[] = {VIEW_INIT("bcc"), VIEW_INIT("resent-bcc")};
    struct view m = exact(VIEW("A: b\r\nBCC: x,\r\n y\r\nTo: z\r\nResent-Bcc : q\r\n\r\nBcc: body\r\n"));
    struct header_cut cuts[2];
    size_t n;
    assert_int_equal(header_cuts(m, names, 2, cuts, 2, &n), RC_OK);
    assert_int_equal(n, 2);
    expect_text(view_slice(m, cuts[0].offset, cuts[0].n), "BCC: x,\r\n y\r\n");
    expect_text(view_slice(m, cuts[1].offset, cuts[1].n), "Resent-Bcc : q\r\n");
    assert_int_equal(header_cuts(m, names, 2, cuts, 1, &n), RC_LIMIT);
    release(m);
}

static void written_fields_are_folded_and_safe(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    header_write(&out, VIEW("Subject"), VIEW(" short one "));
    expect_text(buf_view(&out), "Subject: short one\r\n");
    buf_reset(&out);
    header_write(
        &out, VIEW("To"),
        VIEW("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c"));
    expect_text(
        buf_view(&out),
        "To: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c\r\n");
    buf_reset(&out);
    header_write(&out, VIEW("X"), VIEW(""));
    expect_text(buf_view(&out), "X:\r\n");
    buf_reset(&out);
    header_write(&out, VIEW("X"), VIEW("a\r\nBcc: evil"));
    assert_int_equal(buf_rc(&out), RC_SYNTAX);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_with_their_folds),
        cmocka_unit_test(odd_ends_are_tolerated),
        cmocka_unit_test(values_come_on_one_line),
        cmocka_unit_test(bcc_is_cut_out),
        cmocka_unit_test(written_fields_are_folded_and_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
