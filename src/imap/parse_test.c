#include "imap/parse.h"
#include "imap/wire_test.h"
#include "store/mailbox.h"

typedef enum rc (*string_fn)(struct view *, struct arena *, struct view *);

static const struct {
    string_fn fn;
    struct view in;
    enum rc rc;
    struct view out;
    size_t left;
} strings[] = {
    {imap_astring, VIEW_INIT("abc def"), RC_OK, VIEW_INIT("abc"), 4},
    {imap_astring, VIEW_INIT("a]c"), RC_OK, VIEW_INIT("a]c"), 0},
    {imap_astring, VIEW_INIT("\"a b\" x"), RC_OK, VIEW_INIT("a b"), 2},
    {imap_astring, VIEW_INIT("\"\""), RC_OK, VIEW_INIT(""), 0},
    {imap_astring, VIEW_INIT("\"a\\\"b\\\\c\""), RC_OK, VIEW_INIT("a\"b\\c"), 0},
    {imap_astring, VIEW_INIT("{3}\r\na\r\n x"), RC_OK, VIEW_INIT("a\r\n"), 2},
    {imap_astring, VIEW_INIT("{3+}\r\nabc"), RC_OK, VIEW_INIT("abc"), 0},
    {imap_astring, VIEW_INIT("~{1}\r\na"), RC_OK, VIEW_INIT("a"), 0},
    {imap_astring, VIEW_INIT("{0}\r\n"), RC_OK, VIEW_INIT(""), 0},
    {imap_astring, VIEW_INIT("~a"), RC_OK, VIEW_INIT("~a"), 0},
    {imap_astring, VIEW_INIT(""), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT(" a"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("\"a"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("\"a\\"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("\"a\\n\""), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("\"a\nb\""), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("{3}\r\nab"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("{3}ab"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("{}\r\n"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("{99999999999999999999}\r\na"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("{2}\r\na\0"), RC_SYNTAX, {0}, 0},
    {imap_astring, VIEW_INIT("\xc3\xa9"), RC_SYNTAX, {0}, 0},
    {imap_mailbox, VIEW_INIT("iNboX"), RC_OK, VIEW_INIT("INBOX"), 0},
    {imap_mailbox, VIEW_INIT("\"inbox\" x"), RC_OK, VIEW_INIT("INBOX"), 2},
    {imap_mailbox, VIEW_INIT("inbox/a"), RC_OK, VIEW_INIT("inbox/a"), 0},
    {imap_mailbox, VIEW_INIT("&AOk-"), RC_OK, VIEW_INIT("\xc3\xa9"), 0},
    {imap_mailbox, VIEW_INIT("&AOk"), RC_DENIED, {0}, 0},
    {imap_mailbox, VIEW_INIT("\"a\x01\""), RC_DENIED, {0}, 0},
    {imap_mailbox, VIEW_INIT("%"), RC_SYNTAX, {0}, 0},
    {imap_list_mailbox, VIEW_INIT("a/%*"), RC_OK, VIEW_INIT("a/%*"), 0},
    {imap_list_mailbox, VIEW_INIT("\"\" x"), RC_OK, VIEW_INIT(""), 2},
};

static void test_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(strings); i++) {
        struct view block = exact(strings[i].in), in = block, out;
        struct arena a;
        arena_init(&a, 1u << 20);
        enum rc rc = strings[i].fn(&in, &a, &out);
        if (rc != strings[i].rc)
            fail_msg("%.*s: %s", VIEW_FMT(strings[i].in), rc_name(rc));
        if (rc == RC_OK) {
            assert_view(out, strings[i].out);
            assert_int_equal(in.n, strings[i].left);
        } else if (rc == RC_SYNTAX) {
            assert_int_equal(in.n, strings[i].in.n);
        }
        arena_clear(&a);
        release(block);
    }
}

static void test_tag(void **state)
{
    static const struct {
        struct view in;
        enum rc rc;
    } cases[] = {
        {VIEW_INIT("a001 x"), RC_OK},   {VIEW_INIT("A.1-b]"), RC_OK}, {VIEW_INIT("+a x"), RC_SYNTAX}, {VIEW_INIT(""), RC_SYNTAX},
        {VIEW_INIT(" a"), RC_SYNTAX},   {VIEW_INIT("(a"), RC_SYNTAX},
        {VIEW_INIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa x"), RC_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view in = cases[i].in, tag;
        assert_int_equal(imap_tag(&in, &tag), cases[i].rc);
    }
}

static void test_flags(void **state)
{
    static const struct {
        struct view in;
        enum rc rc;
        unsigned flags;
        struct view keywords;
    } cases[] = {
        {VIEW_INIT("()"), RC_OK, 0, VIEW_INIT("")},
        {VIEW_INIT("(\\Seen \\deleted)"), RC_OK, FLAG_SEEN | FLAG_DELETED, VIEW_INIT("")},
        {VIEW_INIT("(\\Seen $Forwarded x)"), RC_OK, FLAG_SEEN, VIEW_INIT("$Forwarded x")},
        {VIEW_INIT("(\\Recent)"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("(\\*)"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("(\\Foo)"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("(\\Seen"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("(\\Seen )"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("( \\Seen)"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("(a\\b)"), RC_SYNTAX, 0, {0}},
        {VIEW_INIT("\\Seen"), RC_SYNTAX, 0, {0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view block = exact(cases[i].in), in = block;
        struct imap_flags f;
        struct arena a;
        arena_init(&a, 1u << 20);
        assert_int_equal(imap_flag_list(&in, &a, &f), cases[i].rc);
        if (cases[i].rc == RC_OK) {
            assert_int_equal(f.flags, cases[i].flags);
            assert_view(f.keywords, cases[i].keywords);
        }
        arena_clear(&a);
        release(block);
    }
}

static void test_flag_limits(void **state)
{
    struct buf text;
    struct arena a;
    struct imap_flags f;

    (void)state;
    arena_init(&a, 1u << 20);
    buf_init(&text, 1u << 20);
    buf_chr(&text, '(');
    for (int i = 0; i < IMAP_FLAGS_MAX + 1; i++)
        buf_printf(&text, "%sk%d", i ? " " : "", i);
    buf_chr(&text, ')');
    struct view in = buf_view(&text);
    assert_int_equal(imap_flag_list(&in, &a, &f), RC_LIMIT);
    buf_reset(&text);
    buf_chr(&text, '(');
    for (int i = 0; i < KEYWORD_MAX + 1; i++)
        buf_chr(&text, 'k');
    buf_chr(&text, ')');
    in = buf_view(&text);
    assert_int_equal(imap_flag_list(&in, &a, &f), RC_LIMIT);
    buf_clear(&text);
    arena_clear(&a);
}

static void test_literal_at_end(void **state)
{
    static const struct {
        struct view in;
        enum rc rc;
        uint64_t size;
        bool no_sync, binary;
        size_t at;
    } cases[] = {
        {VIEW_INIT("a LOGIN {5}"), RC_OK, 5, false, false, 8},
        {VIEW_INIT("a LOGIN {5+}"), RC_OK, 5, true, false, 8},
        {VIEW_INIT("a APPEND x ~{5}"), RC_OK, 5, false, true, 11},
        {VIEW_INIT("{4294967295}"), RC_OK, UINT32_MAX, false, false, 0},
        {VIEW_INIT("{4294967296}"), RC_LIMIT, 0, false, false, 0},
        {VIEW_INIT("{99999999999999999999999+}"), RC_LIMIT, 0, true, false, 0},
        {VIEW_INIT("{}"), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT("{a}"), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT("{5-}"), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT("5}"), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT("{5} "), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT("}"), RC_NOTFOUND, 0, false, false, 0},
        {VIEW_INIT(""), RC_NOTFOUND, 0, false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view block = exact(cases[i].in);
        struct imap_literal lit;
        assert_int_equal(imap_literal_at_end(block, &lit), cases[i].rc);
        if (cases[i].rc == RC_OK) {
            assert_int_equal(lit.size, cases[i].size);
            assert_int_equal(lit.at, cases[i].at);
            assert_int_equal(lit.no_sync, cases[i].no_sync);
            assert_int_equal(lit.binary, cases[i].binary);
        }
        release(block);
    }
}

static void test_date_time(void **state)
{
    struct view in = VIEW("\"17-Jul-1996 02:44:25 -0700\" x");
    int64_t t;

    (void)state;
    assert_int_equal(imap_date_time(&in, &t), RC_OK);
    assert_int_equal(t, 837596665);
    assert_int_equal(in.n, 2);
    in = VIEW("\"17-Jul-1996\"");
    assert_int_equal(imap_date_time(&in, &t), RC_SYNTAX);
    in = VIEW("\"17-Jul-1996 02:44:25 -0700");
    assert_int_equal(imap_date_time(&in, &t), RC_SYNTAX);
}

static void test_write(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    imap_write_string(VIEW("a \"b\\"), &out);
    assert_view(buf_view(&out), VIEW("\"a \\\"b\\\\\""));
    buf_reset(&out);
    imap_write_string(VIEW("a\r\nb"), &out);
    assert_view(buf_view(&out), VIEW("{4}\r\na\r\nb"));
    buf_reset(&out);
    imap_write_mailbox(VIEW("Entw\xc3\xbcrfe & \"x\""), &out);
    assert_view(buf_view(&out), VIEW("\"Entw&APw-rfe &- \\\"x\\\"\""));
    buf_reset(&out);
    imap_write_flags(FLAG_SEEN | FLAG_DRAFT, VIEW("$a b"), true, &out);
    assert_view(buf_view(&out), VIEW("(\\Seen \\Draft \\Recent $a b)"));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),        cmocka_unit_test(test_tag),       cmocka_unit_test(test_flags),
        cmocka_unit_test(test_flag_limits),    cmocka_unit_test(test_date_time), cmocka_unit_test(test_write),
        cmocka_unit_test(test_literal_at_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
