/* What the tests of blobs, compaction and salvage share: a folder of their own and bodies that follow from a key. */
#ifndef STORE_BLOB_TEST_H
#define STORE_BLOB_TEST_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "store/blob_internal.h"

#define SMALL_SEGMENT (1u << 20)

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", "/tmp/blob_test.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char cmd[128];
    (void)state;
    log_set_level(LOG_INFO);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", folder);
    return system(cmd);
}

static inline struct blobs *open_blobs(size_t segment_bytes)
{
    struct blobs *b = NULL;
    assert_int_equal(blobs_open_at(folder, "test", segment_bytes, &b), RC_OK);
    return b;
}

/* A body whose bytes follow from its key and size, so that it can be checked without keeping it. */
static inline char *make_body(uint64_t key, size_t n)
{
    char *p = malloc(n + 8);
    uint64_t x = key * 0x9e3779b97f4a7c15ull + n + 1;
    assert_non_null(p);
    for (size_t i = 0; i < n; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + i, &x, 8);
    }
    return p;
}

/* The first `front` bytes come last. */
static inline enum rc put_front(struct blobs *b, uint64_t key, size_t front, size_t n, size_t step, uint64_t *id)
{
    struct blob_writer *w;
    char *p = make_body(key, n);
    enum rc rc = blobs_begin(b, key, &w);
    assert_int_equal(rc, RC_OK);
    if (front > 0)
        blob_expect_front(w);
    for (size_t i = front; i < n && rc == RC_OK; i += step)
        rc = blob_append(w, view_slice(view_of(p, n), i, step));
    if (rc == RC_OK)
        assert_int_equal(blob_written(w), n - front);
    (void)blob_prepend(w, view_of(p, front));
    rc = blob_finish(w, id);
    free(p);
    return rc;
}

static inline enum rc put(struct blobs *b, uint64_t key, size_t n, size_t step, uint64_t *id)
{
    return put_front(b, key, 0, n, step, id);
}

static inline bool has(struct blobs *b, uint64_t id, uint64_t key, size_t n)
{
    struct blob got;
    bool same;
    char *p = make_body(key, n);
    if (blobs_get(b, id, true, &got) != RC_OK) {
        free(p);
        return false;
    }
    same = got.bytes.n == n && (n == 0 || memcmp(got.bytes.p, p, n) == 0);
    blob_close(&got);
    free(p);
    return same;
}

#endif
