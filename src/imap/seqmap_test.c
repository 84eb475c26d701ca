#include "imap/seqmap.h"
#include "imap/wire_test.h"

#define N 100000

/* Every question is asked of the map and of the plain list. */
static void check(const struct seqmap *m, const uint32_t *uids, uint32_t n)
{
    uint32_t *out = malloc((n + 1) * sizeof *out);

    assert_int_equal(seqmap_count(m), n);
    assert_int_equal(seqmap_last(m), n ? uids[n - 1] : 0);
    assert_int_equal(seqmap_uid(m, 0), 0);
    assert_int_equal(seqmap_uid(m, n + 1), 0);
    for (uint32_t i = 0; i < n; i += n > 5000 ? 37 : 1) {
        assert_int_equal(seqmap_uid(m, i + 1), uids[i]);
        assert_int_equal(seqmap_seq(m, uids[i]), i + 1);
        assert_int_equal(seqmap_below(m, uids[i]), i);
        if (i + 1 < n && uids[i + 1] > uids[i] + 1) {
            assert_int_equal(seqmap_seq(m, uids[i] + 1), 0);
            assert_int_equal(seqmap_below(m, uids[i] + 1), i + 1);
        }
    }
    assert_int_equal(seqmap_uids(m, 1, UINT32_MAX, out, n + 1), n);
    if (n)
        assert_memory_equal(out, uids, n * sizeof *uids);
    if (n > 10) {
        assert_int_equal(seqmap_uids(m, uids[3], uids[7], out, n), 5);
        assert_int_equal(out[0], uids[3]);
        assert_int_equal(seqmap_uids(m, uids[3], uids[7], out, 2), 2);
    }
    free(out);
}

static void test_shapes(void **state)
{
    static uint32_t uids[N];

    (void)state;
    for (uint32_t step = 1; step <= 5000; step = step * 3 + 1) {
        for (uint32_t n = 0; n <= 20000; n = n * 4 + 1) {
            for (uint32_t i = 0; i < n; i++)
                uids[i] = 1 + i * step;
            struct seqmap *m = seqmap_new(uids, n, 7);
            assert_int_equal(seqmap_modseq(m), 7);
            check(m, uids, n);
            seqmap_unref(m);
        }
    }
    const uint32_t edges[] = {1, SEQMAP_SPAN - 1, SEQMAP_SPAN, SEQMAP_SPAN + 1, UINT32_MAX - 1, UINT32_MAX};
    struct seqmap *m = seqmap_new(edges, COUNT(edges), 1);
    check(m, edges, COUNT(edges));
    seqmap_unref(m);
}

/* A thousand random changes, against the plain list. */
static void test_edits(void **state)
{
    static uint32_t uids[N];
    uint32_t n = 0, next = 1;
    struct seqmap *m = seqmap_new(NULL, 0, 0);

    (void)state;
    srandom(1);
    for (unsigned round = 0; round < 1000; round++) {
        uint32_t gone[64], born[64];
        size_t n_gone = 0, n_born = (size_t)(random() % 64), kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (n_gone < COUNT(gone) && random() % 40 == 0)
                gone[n_gone++] = uids[i];
            else
                uids[kept++] = uids[i];
        }
        n = (uint32_t)kept;
        for (size_t i = 0; i < n_born; i++) {
            born[i] = next;
            uids[n++] = next;
            next += random() % 20 == 0 ? 100 : 1;
        }
        struct seqmap *newer = seqmap_edit(m, gone, n_gone, born, n_born, round);
        if (round % 50 == 0)
            check(newer, uids, n);
        seqmap_unref(m);
        m = newer;
    }
    const uint32_t strangers[] = {next + 5, next + 90000};
    struct seqmap *same = seqmap_edit(m, strangers, 2, uids, 1, 1); /* gone that never were, born that are */
    check(same, uids, n);
    seqmap_unref(same);
    seqmap_unref(m);
}

/* The promise of seqmap.h: a thousand sessions on folders of 100,000 messages. */
static void test_memory(void **state)
{
    static uint32_t uids[N];
    size_t bytes = 0;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        uids[i] = i + 1;
    struct seqmap *whole = seqmap_new(uids, N, 1);
    assert_true(seqmap_bytes(whole) < 2048);
    seqmap_unref(whole);
    for (uint32_t i = 0; i < N; i++)
        uids[i] = i * 11 / 10 + 1; /* a tenth was expunged, here and there */
    struct seqmap *versions[1000];
    versions[0] = seqmap_new(uids, N, 1);
    assert_true(seqmap_bytes(versions[0]) < 16384);
    for (size_t i = 1; i < COUNT(versions); i++) { /* each session one expunge behind the other: chunks are shared */
        versions[i] = seqmap_edit(versions[i - 1], &uids[i * 50], 1, NULL, 0, i + 1);
        bytes += 32 + 27 * 16 + 520; /* header, directory, one chunk */
    }
    assert_int_equal(seqmap_count(versions[999]), N - 999);
    assert_true(bytes / COUNT(versions) < 1536);
    for (size_t i = 0; i < COUNT(versions); i++)
        seqmap_unref(versions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_edits), cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
