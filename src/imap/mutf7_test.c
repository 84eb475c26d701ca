#include "imap/mutf7.h"
#include "imap/wire_test.h"

static const struct {
    struct view wire, utf8;
} good[] = {
    {VIEW_INIT("INBOX"), VIEW_INIT("INBOX")},
    {VIEW_INIT(""), VIEW_INIT("")},
    {VIEW_INIT("a&-b"), VIEW_INIT("a&b")},
    {VIEW_INIT("&-&-"), VIEW_INIT("&&")},
    {VIEW_INIT("Entw&APw-rfe"), VIEW_INIT("Entw\xc3\xbcrfe")},
    {VIEW_INIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), VIEW_INIT("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")},
    {VIEW_INIT("&2D3eAA-"), VIEW_INIT("\xf0\x9f\x98\x80")}, /* a pair of surrogates */
    {VIEW_INIT("&AOk-a&AOk-"), VIEW_INIT("\xc3\xa9" "a\xc3\xa9")},
};
static const struct view bad_wire[] = {
    VIEW_INIT("&"),           VIEW_INIT("&AOk"),      VIEW_INIT("a\xc3\xa9"),   VIEW_INIT("a\x7f"),  VIEW_INIT("a\tb"),
    VIEW_INIT("&AGE-"),       /* "a" must stand for itself */
    VIEW_INIT("&ACY-"),       /* so must "&" */
    VIEW_INIT("&AOl-"),       /* bits left over */
    VIEW_INIT("&AOkA-"),      VIEW_INIT("&2D0-"), /* half a pair */
    VIEW_INIT("&3gA-"),       VIEW_INIT("&2D0A6Q-"),
    VIEW_INIT("&AOk-&AOk-"),  /* shifts that could be one */
    VIEW_INIT("&AOk=-"),      VIEW_INIT("&AO/-"),     VIEW_INIT("a\0b"),
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct view wire = exact(good[i].wire), utf8 = exact(good[i].utf8);
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(imap_mutf7_decode(wire, &out), RC_OK);
        assert_view(buf_view(&out), utf8);
        buf_reset(&out);
        assert_int_equal(imap_mutf7_encode(utf8, &out), RC_OK);
        assert_view(buf_view(&out), wire);
        buf_clear(&out);
        release(wire);
        release(utf8);
    }
}

static void test_bad(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(bad_wire); i++) {
        struct view wire = exact(bad_wire[i]);
        buf_reset(&out);
        if (imap_mutf7_decode(wire, &out) != RC_SYNTAX)
            fail_msg("taken: %.*s", VIEW_FMT(wire));
        release(wire);
    }
    buf_reset(&out);
    assert_int_equal(imap_mutf7_encode(VIEW("a\xc3"), &out), RC_SYNTAX);
    assert_int_equal(imap_mutf7_encode(VIEW("\xed\xa0\x80"), &out), RC_SYNTAX);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
