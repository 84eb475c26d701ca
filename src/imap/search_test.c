#include "imap/search.h"
#include "imap/wire_test.h"
#include "message/summary.h"

static const char letter[] = "From: Ren\xc3\xa9 <rene@ici.test>\r\n"
                             "To: x@labas.test\r\n"
                             "Date: Tue, 1 Feb 1994 23:30:00 -0500\r\n"
                             "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Bonn\r\n"
                             "\r\n"
                             "Needle in the hay\r\n";

static const struct {
    const char *in;
    enum rc rc;
    bool found;
} cases[] = {
    {"ALL", RC_OK, true},
    {"TEXT needle", RC_OK, true},
    {"BODY needle", RC_OK, true},
    {"BODY rene", RC_OK, false},
    {"TEXT rene@", RC_OK, true},
    {"NOT TEXT needle", RC_OK, false},
    {"OR TEXT nowhere BODY HAY", RC_OK, true},
    {"SUBJECT {7}\r\nGR\xc3\x9c\xc3\x9f" "e", RC_OK, true},
    {"CHARSET utf-8 SUBJECT \"gr\xc3\xbc\"", RC_OK, true},
    {"CHARSET iso-8859-1 SUBJECT \"gr\xfc\"", RC_OK, true},
    {"CHARSET x-nobody-knows ALL", RC_NOTFOUND, false},
    {"FROM REN\xc3\x89", RC_SYNTAX, false}, /* no atom has 8-bit bytes */
    {"FROM \"REN\xc3\x89\"", RC_OK, true},
    {"HEADER To labas", RC_OK, true},
    {"HEADER Cc \"\"", RC_OK, false},
    {"HEADER To \"\"", RC_OK, true},
    {"SENTON 1-Feb-1994", RC_OK, true}, /* by its own zone */
    {"SENTON 2-Feb-1994", RC_OK, false},
    {"SENTBEFORE 2-Feb-1994", RC_OK, true},
    {"SENTSINCE \"1-Feb-1994\"", RC_OK, true},
    {"ON 2-Jan-1970", RC_OK, true},
    {"BEFORE 2-Jan-1970", RC_OK, false},
    {"SINCE 1-Jan-1970", RC_OK, true},
    {"LARGER 10 SMALLER 1000", RC_OK, true},
    {"LARGER 1000", RC_OK, false},
    {"SEEN UNFLAGGED", RC_OK, true},
    {"UNSEEN", RC_OK, false},
    {"KEYWORD $label", RC_OK, true},
    {"UNKEYWORD $LABEL", RC_OK, false},
    {"KEYWORD $lab", RC_OK, false},
    {"NEW", RC_OK, false}, /* recent, but seen */
    {"RECENT", RC_OK, true},
    {"OLD", RC_OK, false},
    {"MODSEQ 5", RC_OK, true},
    {"MODSEQ \"/flags/\\\\draft\" all 6", RC_OK, false},
    {"2:3", RC_OK, true},
    {"1", RC_OK, false},
    {"*", RC_OK, true},
    {"UID 17", RC_OK, true},
    {"UID 18:*", RC_OK, true}, /* includes the last one */
    {"(SEEN (TEXT hay)) 3", RC_OK, true},
    {"RETURN (MIN COUNT) SEEN", RC_OK, true},
    {"RETURN () SEEN", RC_OK, true},
    {"", RC_SYNTAX, false},
    {"()", RC_SYNTAX, false},
    {"(SEEN", RC_SYNTAX, false},
    {"SEEN)", RC_SYNTAX, false},
    {"NOT", RC_SYNTAX, false},
    {"OR SEEN", RC_SYNTAX, false},
    {"SEENX", RC_SYNTAX, false},
    {"SEEN  FLAGGED", RC_SYNTAX, false},
    {"BEFORE 32-Jan-1970", RC_SYNTAX, false},
    {"LARGER -1", RC_SYNTAX, false},
    {"LARGER 4294967296", RC_SYNTAX, false},
    {"UID 0", RC_SYNTAX, false},
    {"RETURN (SOME) ALL", RC_SYNTAX, false},
    {"CHARSET utf-8", RC_SYNTAX, false},
};

static enum rc open_letter(void *ctx, const struct item *item, struct view *message)
{
    (void)item;
    *message = *(struct view *)ctx;
    return RC_OK;
}

static void test_keys(void **state)
{
    struct view message = exact(view_str(letter));
    struct arena a;
    struct summary sum;
    const uint32_t uids[] = {3, 9, 17};
    struct seqmap *map = seqmap_new(uids, 3, 5);

    (void)state;
    arena_init(&a, SUMMARY_ARENA_MAX);
    assert_int_equal(summary_make(message, &a, &sum), RC_OK);
    const struct item item = {.uid = 17, .modseq = 5, .flags = FLAG_SEEN, .keywords = VIEW("$Label other"), .internaldate = 86400,
                              .size = (uint32_t)message.n, .envelope = sum.envelope, .index = sum.index};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view block = exact(view_str(cases[i].in));
        struct search s;
        enum rc rc = imap_search_parse(block, &a, &s);
        if (rc != cases[i].rc)
            fail_msg("%s: %s", cases[i].in, rc_name(rc));
        if (rc == RC_OK) {
            struct search_facts f = {.seq = 3, .uid = 17, .recent_from = 10, .item = s.needs_rows ? &item : NULL,
                                     .open = open_letter, .ctx = &message};
            bool found;
            imap_search_resolve(&s, map);
            assert_int_equal(imap_search_match(&s, &f, &found), RC_OK);
            if (found != cases[i].found)
                fail_msg("%s: %d", cases[i].in, found);
        }
        imap_search_clear(&s);
        release(block);
    }
    seqmap_unref(map);
    arena_clear(&a);
    release(message);
}

static void test_limits(void **state)
{
    struct arena a;
    struct buf text;
    struct search s;

    (void)state;
    arena_init(&a, 1u << 22);
    buf_init(&text, 1u << 20);
    for (int i = 0; i < SEARCH_DEPTH_MAX - 1; i++)
        buf_str(&text, "NOT ");
    buf_str(&text, "SEEN");
    assert_int_equal(imap_search_parse(buf_view(&text), &a, &s), RC_OK);
    imap_search_clear(&s);
    buf_reset(&text);
    for (int i = 0; i < 30000; i++)
        buf_chr(&text, '(');
    assert_int_equal(imap_search_parse(buf_view(&text), &a, &s), RC_LIMIT);
    imap_search_clear(&s);
    buf_reset(&text);
    for (int i = 0; i < SEARCH_KEYS_MAX; i++)
        buf_str(&text, "ALL ");
    assert_int_equal(imap_search_parse(buf_view(&text), &a, &s), RC_LIMIT);
    imap_search_clear(&s);
    buf_clear(&text);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_limits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
