/* Unit tests of message/address; the well-formed and many of the odd ones are from RFC 5322 appendix A. */
#include "base/test_util.h"

#include "message/address.h"

/* Lists come back as "name|route|local|domain" for a mailbox, "name:" and ";" for a group; "!" marks bad
 * ones. */
static const struct {
    const char *text, *want;
} lists[] = {
    {"Mary Smith <mary@example.net>", "Mary Smith||mary|example.net"},
    {"\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com"},
    {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
     "||boss|nil.test\nGiant; \"Big\" Box||sysservices|example.net"},
    {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
     "A Group:\nEd Jones||c|a.test\n||joe|where.test\nJohn||jdoe|one.test\n;"},
    {"Undisclosed recipients:;", "Undisclosed recipients:\n;"},
    {"Pete(A nice \n \\\n ) chap) <pete(his\n account)@silly\n .test(his host)>",
     "Pete chap)||pete|silly.test"},
    {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "Hidden recipients:\n;"},
    {"Joe Q. Public <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com"},
    {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
     "Mary Smith|@node.test|mary|example.net\n||jdoe|test.example"},
    {"John Doe <jdoe@machine(comment).  example>", "John Doe||jdoe|machine.example"},
    {"Mary Smith\n    \n\t<mary@example.net>", "Mary Smith||mary|example.net"},
    {"jdoe@example.net (John Doe)", "John Doe||jdoe|example.net"},
    {"(John Doe) jdoe@example.net", "John Doe||jdoe|example.net"},
    {"\"joe q\"@example.net", "||joe q|example.net"},
    {"joe . q @ example . net", "||joe.q|example.net"},
    {"a@[192.0.2. 1]", "||a|[192.0.2.1]"},
    {"\xd0\xb8@\xd0\xbf\xd1\x80.test", "||\xd0\xb8|\xd0\xbf\xd1\x80.test"},
    {"a@b.test; c@d.test", "||a|b.test\n||c|d.test"},
    {"\"John\r\n Doe\" <a@b.com>", "John Doe||a|b.com"},
    /* What no grammar allows. */
    {"x@y.test <a@b.test>", "x@y.test||a|b.test"},
    {"John Doe a@b.test", "!John Doe||a|b.test"},
    {"NO (posting not allowed on this list)", "!posting not allowed on this list||NO|"},
    {"nobody at all", "!nobody at all|||"},
    {"<mailto:list@host.com?subject=help>", "!||mailto:list|host.com?subject=help"},
    {"a@b@c.test", "!||a@b|c.test"},
    {"<a@b@c.test>", "!||a@b|c.test"},
    {"<a@b.test", "!||a|b.test"},
    {"<a@b.test, c@d.test", "!||a|b.test\n||c|d.test"},
    {"\"unclosed <a@b.test>", "!\"unclosed||a|b.test"},
    {"(unclosed <a@b.test>", "!(unclosed||a|b.test"},
    {"a@[1.2.3.4", "!||a|[1.2.3.4"},
    {"group: a@b.test, c@d.test", "group:\n||a|b.test\n||c|d.test\n;"},
    {"g1: a@b.test; g2: c@d.test; e@f.test", "g1:\n||a|b.test\n;\ng2:\n||c|d.test\n;\n||e|f.test"},
    {"@", "!|||"},
    {"<>", "!|||"},
    {">", ""},
    {",,;,", ""},
    {"\\", "!||\\|"},
    {"\"\\", "!||\"\\|"},
    {"<<<<a@b>", "!||a|b"},
};

static struct view show(const struct address *list, struct buf *out)
{
    buf_reset(out);
    for (const struct address *a = list; a; a = a->next) {
        if (out->n > 0)
            buf_chr(out, '\n');
        if (a->kind == ADDRESS_MAILBOX) {
            buf_printf(out, "%s%.*s|%.*s|%.*s|%.*s", a->bad ? "!" : "", VIEW_FMT(a->name), VIEW_FMT(a->route),
                       VIEW_FMT(a->local), VIEW_FMT(a->domain));
        } else {
            buf_add(out, a->name);
            buf_chr(out, a->kind == ADDRESS_GROUP ? ':' : ';');
        }
    }
    return buf_view(out);
}

static void lists_are_read_best_effort(void **state)
{
    (void)state;
    struct buf out;
    struct arena a;
    buf_init(&out, 4096);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct view v = exact(view_str(lists[i].text));
        struct address *list;
        assert_int_equal(address_list_parse(v, &a, &list), RC_OK);
        struct view got = show(list, &out);
        if (!view_eq(got, view_str(lists[i].want)))
            fail_msg("%s\ngave [%.*s]\nwant [%s]", lists[i].text, VIEW_FMT(got), lists[i].want);
        arena_reset(&a);
        release(v);
    }
    arena_clear(&a);
    buf_clear(&out);
}

static void hostile_lists_are_bounded(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a,", "(",  "\"", "<",  "a@b<", "[",  "<@", ":",
                                         ";",  "a:", "@",  "\\", "a ",   ". ", ".a"};
    const size_t n_pieces = sizeof pieces / sizeof pieces[0];
    for (size_t i = 0; i < 3 * n_pieces; i++) {
        struct buf in;
        struct arena a;
        struct address *list;
        unsigned n = 0;
        buf_init(&in, 1 << 20);
        arena_init(&a, 16 << 20);
        buf_str(&in, i < n_pieces ? "" : i < 2 * n_pieces ? "a@" : "<a@");
        while (in.n < 500000)
            buf_str(&in, pieces[i % n_pieces]);
        assert_int_equal(address_list_parse(buf_view(&in), &a, &list), RC_OK);
        for (; list; list = list->next)
            n++;
        assert_in_range(n, 0, ADDRESS_LIST_MAX + 2);
        arena_clear(&a);
        buf_clear(&in);
    }
    struct arena small;
    struct address *list;
    arena_init(&small, 64);
    assert_int_equal(address_list_parse(VIEW("a@b.test, c@d.test"), &small, &list), RC_TEMP);
    arena_clear(&small);
}

static void specs_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    address_write_spec(VIEW("a.b+c"), VIEW("x.test"), &out);
    expect_text(buf_view(&out), "a.b+c@x.test");
    buf_reset(&out);
    address_write_spec(VIEW("a \"b\\"), VIEW("x.test"), &out);
    expect_text(buf_view(&out), "\"a \\\"b\\\\\"@x.test");
    buf_reset(&out);
    address_write_spec(VIEW("a..b"), VIEW("x.test"), &out);
    expect_text(buf_view(&out), "\"a..b\"@x.test");
    buf_reset(&out);
    address_write_spec(VIEW("a\r\nRCPT"), VIEW("x.test"), &out);
    assert_int_equal(buf_rc(&out), RC_SYNTAX);
    buf_clear(&out);
}

static void names_are_quoted_or_encoded(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"", "a@x.test"},
        {"Mary Smith", "Mary Smith <a@x.test>"},
        {"Smith, Mary", "\"Smith, Mary\" <a@x.test>"},
        {"two  blanks", "\"two  blanks\" <a@x.test>"},
        {"\xc3\xa9", "=?utf-8?B?w6k=?= <a@x.test>"},
        {"x =? y", "\"x =? y\" <a@x.test>"},
        {"a\r\nBcc: b@y.test", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out;
        buf_init(&out, 200);
        address_write(view_str(table[i][0]), VIEW("a"), VIEW("x.test"), &out);
        assert_int_equal(buf_rc(&out), table[i][1] ? RC_OK : RC_SYNTAX);
        if (table[i][1])
            expect_text(buf_view(&out), table[i][1]);
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_best_effort),
        cmocka_unit_test(hostile_lists_are_bounded),
        cmocka_unit_test(names_are_quoted_or_encoded),
        cmocka_unit_test(specs_are_quoted_where_they_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
