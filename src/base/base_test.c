/* Unit tests of base/: each good case next to its hostile twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/json_text.h"
#include "base/lang.h"
#include "base/utf8.h"

static void numbers_are_bounded(void **state)
{
    (void)state;
    uint64_t n;
    struct view in = VIEW("4294967295x");
    assert_int_equal(view_u64(&in, UINT32_MAX, &n), RC_OK);
    assert_int_equal(n, UINT32_MAX);
    assert_int_equal(in.n, 1);
    in = VIEW("4294967296");
    assert_int_equal(view_u64(&in, UINT32_MAX, &n), RC_LIMIT);
    assert_int_equal(in.n, 10);
    in = VIEW("99999999999999999999999");
    assert_int_equal(view_u64(&in, UINT64_MAX, &n), RC_LIMIT);
    in = VIEW("-1");
    assert_int_equal(view_u64(&in, UINT64_MAX, &n), RC_SYNTAX);
    in = VIEW("");
    assert_int_equal(view_u64(&in, UINT64_MAX, &n), RC_SYNTAX);
}

static void search_folds_case(void **state)
{
    (void)state;
    assert_int_equal(view_ifind(VIEW("xx NeeNeedle"), VIEW("needle")), 6);
    assert_int_equal(view_ifind(VIEW("needl"), VIEW("needle")), VIEW_NONE);
    assert_int_equal(view_ifind(VIEW("NEEDLE"), VIEW("nEEDLe")), 0);
    assert_int_equal(view_ifind(VIEW("12341235"), VIEW("1235")), 4);
    assert_int_equal(view_ifind(VIEW(""), VIEW("a")), VIEW_NONE);
}

/* The way for long texts finds what the way for short ones does. */
static void test_find_in_long_text(void **state)
{
    static const struct view needles[] = {VIEW_INIT("aBab"), VIEW_INIT("BBBB"), VIEW_INIT("abcabb"), VIEW_INIT("zzzz")};
    char text[700];

    (void)state;
    for (unsigned round = 1; round < 300; round++) {
        unsigned x = round * 2654435761u;
        for (size_t i = 0; i < sizeof text; i++) {
            x = x * 1103515245 + 12345;
            text[i] = "abcABC"[(x >> 16) % (2 + round % 5)];
        }
        struct view v = view_of(text, sizeof text);
        for (size_t k = 0; k < sizeof needles / sizeof needles[0]; k++) {
            size_t want = VIEW_NONE;
            for (size_t i = 0; i + needles[k].n <= v.n && want == VIEW_NONE; i++)
                want = view_ieq(view_slice(v, i, needles[k].n), needles[k]) ? i : VIEW_NONE;
            assert_int_equal(view_ifind(v, needles[k]), want);
        }
    }
}

static void base64_for_urls(void **state)
{
    static const struct {
        const char *plain, *url;
    } cases[] = {{"", ""}, {"a", "YQ"}, {"ab", "YWI"}, {"abc", "YWJj"}, {"\xfb\xff\xfe", "-__-"}, {"\xfb\xff", "-_8"}};
    static const char *const wrong[] = {"A", "YQ==", "+_", "a/", "Y Q", "YQ=", "ABCDE"};
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&b);
        base64_encode_url(view_str(cases[i].plain), &b);
        assert_true(view_eq(buf_view(&b), view_str(cases[i].url)));
        buf_reset(&b);
        assert_int_equal(base64_decode_url(view_str(cases[i].url), &b), RC_OK);
        assert_true(view_eq(buf_view(&b), view_str(cases[i].plain)));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(base64_decode_url(view_str(wrong[i]), &b), RC_SYNTAX);
    buf_clear(&b);
}

static void base64_is_strict_for_sasl(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(base64_decode(VIEW("AGEAYg=="), &b), RC_OK);
    assert_true(view_eq(buf_view(&b), VIEW("\0a\0b")));
    buf_reset(&b);
    assert_int_equal(base64_decode(VIEW("AGEAYg="), &b), RC_SYNTAX);
    assert_int_equal(base64_decode(VIEW("AG=AYgAA"), &b), RC_SYNTAX);
    buf_reset(&b);
    base64_encode(VIEW("any carnal pleas"), &b);
    assert_true(view_eq(buf_view(&b), VIEW("YW55IGNhcm5hbCBwbGVhcw==")));
    buf_reset(&b);
    base64_decode_mime(VIEW("YW55\r\n IGNh*cm5hbCBwbGVhcw=="), &b);
    assert_true(view_eq(buf_view(&b), VIEW("any carnal pleas")));
    buf_clear(&b);
}

static void utf8_refuses_overlong_and_surrogates(void **state)
{
    (void)state;
    assert_true(utf8_is_valid(VIEW("h\xc3\xa9llo w\xc3\xb6rld \xf0\x9f\x92\x8c")));
    assert_false(utf8_is_valid(VIEW("\xc0\xaf")));
    assert_false(utf8_is_valid(VIEW("\xe0\x80\xaf")));
    assert_false(utf8_is_valid(VIEW("\xed\xa0\x80")));
    assert_false(utf8_is_valid(VIEW("\xf4\x90\x80\x80")));
    assert_false(utf8_is_valid(VIEW("abcdefgh\xc3")));
}

static void buffers_remember_failure(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    buf_str(&b, "12345678");
    assert_int_equal(buf_rc(&b), RC_OK);
    buf_chr(&b, '9');
    assert_int_equal(buf_rc(&b), RC_LIMIT);
    buf_reset(&b);
    buf_line_part(&b, VIEW("a\r\nb"));
    assert_int_equal(buf_rc(&b), RC_SYNTAX);
    buf_clear(&b);
}

static void arenas_have_a_cap(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 100000);
    for (int round = 0; round < 3; round++) {
        assert_non_null(arena_alloc(&a, 60000));
        assert_null(arena_alloc(&a, 60000));
        assert_non_null(arena_alloc(&a, 3));
        assert_null(arena_array(&a, SIZE_MAX / 2, 3));
        arena_reset(&a);
    }
    arena_clear(&a);
}

static void lists_grow(void **state)
{
    (void)state;
    struct arena a;
    int *list = NULL;
    size_t n = 0;
    arena_init(&a, 8192);
    while (arena_room(&a, list, n)) {
        list[n] = (int)n;
        n++;
    }
    assert_int_equal(n, 512); /* 1 to 512 fit in; 1024 more do not */
    arena_clear(&a);
    for (n = 0; n < 100 && arena_room(&a, list, n); n++)
        list[n] = (int)n;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i], i);
    arena_clear(&a);
}

static void json_takes_any_text(void **state)
{
    static const struct {
        struct view in;
        const char *out;
    } cases[] = {
        {VIEW_INIT("caf\xc3\xa9"), "caf\xc3\xa9"}, {VIEW_INIT("a\xff\xc3z"), "a\xef\xbf\xbd\xef\xbf\xbdz"}, {{NULL, 0}, ""}, {VIEW_INIT("\xed\xa0\x80"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *j = json_text(cases[i].in);
        char *made = json_dumps(j, JSON_ENCODE_ANY);
        assert_non_null(made); /* whoever reads it gets JSON */
        if (cases[i].out)
            assert_string_equal(json_string_value(j), cases[i].out);
        free(made);
        json_decref(j);
    }
}

static void languages_are_found(void **state)
{
    static const struct {
        const char *field;
        enum lang lang;
    } cases[] = {
        {"fr", LANG_FR}, {"fr-CA", LANG_FR}, {"en-GB,en;q=0.9,fr;q=0.8", LANG_EN}, {"de, fr;q=0.5, en;q=0.3", LANG_FR},
        {"", LANG_EN}, {"de", LANG_EN}, {"frr", LANG_EN}, {"fr;q=0, en;q=0.1", LANG_EN}, {"en;q=0.2,fr;q=0.25", LANG_FR}, {",;,q=", LANG_EN},
    };
    enum lang lang;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(lang_accept(view_str(cases[i].field)), cases[i].lang);
    assert_true(lang_read(VIEW("fr_FR.UTF-8"), &lang) && lang == LANG_FR);
    assert_false(lang_read(VIEW("friulian"), &lang));
    assert_false(lang_read(VIEW(""), &lang));
}

static void sentences_are_translated(void **state)
{
    static const struct lang_pair pairs[] = {{"%s has %u of %zu%%.", "%s : %2$u sur %3$zu %%."},
                                             {"%u times %s", "%2$s, %1$u fois"},
                                             {"no answer", "pas de r\xc3\xa9ponse"},
                                             {NULL, NULL}};
    static const struct lang_pair wrong[] = {{"%s", "%u"}, {"%s %s", "%s"}, {"%u", "%u %u"}, {"%s", "%2$s"}};
    struct buf b;
    (void)state;
    buf_init(&b, 1000);
    lang_printf(&b, pairs, LANG_EN, "%s has %u of %zu%%.", "It", 3u, (size_t)7);
    lang_printf(&b, pairs, LANG_FR, "%s has %u of %zu%%.", "no answer", 3u, (size_t)7);
    lang_printf(&b, pairs, LANG_FR, "%u times %s", 5u, "x");
    lang_printf(&b, pairs, LANG_FR, "%lld unknown %.*s %d", 5LL, 2, "abc", -1);
    assert_true(view_eq(buf_view(&b), VIEW("It has 3 of 7%.pas de r\xc3\xa9ponse : 3 sur 7 %.x, 5 fois5 unknown ab -1")));
    for (size_t i = 0; pairs[i].en; i++)
        assert_true(lang_pair_agrees(&pairs[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(lang_pair_agrees(&wrong[i]));
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_are_found), cmocka_unit_test(sentences_are_translated),
        cmocka_unit_test(test_find_in_long_text),
        cmocka_unit_test(numbers_are_bounded),       cmocka_unit_test(search_folds_case),
        cmocka_unit_test(base64_is_strict_for_sasl),
        cmocka_unit_test(base64_for_urls), cmocka_unit_test(utf8_refuses_overlong_and_surrogates),
        cmocka_unit_test(buffers_remember_failure),  cmocka_unit_test(arenas_have_a_cap), cmocka_unit_test(lists_grow), cmocka_unit_test(json_takes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
