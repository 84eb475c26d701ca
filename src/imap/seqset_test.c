#include "imap/seqset.h"
#include "imap/wire_test.h"

static const struct {
    struct view in;
    uint32_t max;
    enum rc rc;
    struct view out; /* all numbers, written as a set */
    size_t left;
} cases[] = {
    {VIEW_INIT("1"), 10, RC_OK, VIEW_INIT("1"), 0},
    {VIEW_INIT("1:3,5 x"), 10, RC_OK, VIEW_INIT("1:3,5"), 2},
    {VIEW_INIT("5,1:3"), 10, RC_OK, VIEW_INIT("1:3,5"), 0},
    {VIEW_INIT("3:1"), 10, RC_OK, VIEW_INIT("1:3"), 0},
    {VIEW_INIT("2:4,3:6,7"), 10, RC_OK, VIEW_INIT("2:7"), 0},
    {VIEW_INIT("*"), 10, RC_OK, VIEW_INIT("10"), 0},
    {VIEW_INIT("*:8"), 10, RC_OK, VIEW_INIT("8:10"), 0},
    {VIEW_INIT("559:*"), 10, RC_OK, VIEW_INIT("10"), 0}, /* RFC 3501 §6.4.8: always includes the last */
    {VIEW_INIT("8:20"), 10, RC_OK, VIEW_INIT("8:10"), 0},
    {VIEW_INIT("20:30"), 10, RC_OK, VIEW_INIT(""), 0},
    {VIEW_INIT("1:*"), 0, RC_OK, VIEW_INIT(""), 0},
    {VIEW_INIT("4294967295"), 5, RC_OK, VIEW_INIT(""), 0},
    {VIEW_INIT("1:4294967295,7"), 3, RC_OK, VIEW_INIT("1:3"), 0},
    {VIEW_INIT("4294967296"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("0"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("0:3"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("01"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT(""), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT(","), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("1,"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("1,,2"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("1:"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT(":1"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("1:2:3"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("-1"), 5, RC_SYNTAX, {0}, 0},
    {VIEW_INIT("**"), 5, RC_SYNTAX, {0}, 0},
};

static void write_all(const struct imap_seqset *set, struct buf *out)
{
    uint32_t numbers[64];
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        for (uint32_t x = set->ranges[i].lo; x <= set->ranges[i].hi && n < COUNT(numbers); x++)
            numbers[n++] = x;
    }
    assert_int_equal(n, imap_seqset_count(set));
    for (size_t i = 0; i < n; i++)
        assert_true(imap_seqset_has(set, numbers[i]));
    imap_seqset_write(out, numbers, n);
}

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view block = exact(cases[i].in), in = block;
        struct arena a;
        struct imap_seqset set;
        struct buf out;
        arena_init(&a, 1u << 20);
        buf_init(&out, 1000);
        assert_int_equal(imap_seqset_parse(&in, &a, &set), cases[i].rc);
        if (cases[i].rc == RC_OK) {
            assert_int_equal(in.n, cases[i].left);
            imap_seqset_resolve(&set, cases[i].max);
            write_all(&set, &out);
            assert_view(buf_view(&out), cases[i].out);
            assert_false(imap_seqset_has(&set, cases[i].max + 1));
        } else {
            assert_int_equal(in.n, cases[i].in.n); /* the cursor stays */
        }
        buf_clear(&out);
        arena_clear(&a);
        release(block);
    }
}

static void test_too_many_ranges(void **state)
{
    struct arena a;
    struct buf text;
    struct imap_seqset set;

    (void)state;
    arena_init(&a, 1u << 20);
    buf_init(&text, 1u << 20);
    for (size_t i = 0; i < IMAP_SEQSET_RANGES_MAX; i++)
        buf_str(&text, i ? ",7" : "7");
    struct view in = buf_view(&text);
    assert_int_equal(imap_seqset_parse(&in, &a, &set), RC_OK);
    buf_str(&text, ",7");
    in = buf_view(&text);
    assert_int_equal(imap_seqset_parse(&in, &a, &set), RC_LIMIT);
    buf_clear(&text);
    arena_clear(&a);
}

static void test_highest(void **state)
{
    struct arena a;
    struct imap_seqset set;
    struct view in = VIEW("1:3,9,800:*");

    (void)state;
    arena_init(&a, 1u << 20);
    assert_int_equal(imap_seqset_parse(&in, &a, &set), RC_OK);
    assert_int_equal(imap_seqset_highest(&set), 9);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_too_many_ranges),
                                       cmocka_unit_test(test_highest)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
