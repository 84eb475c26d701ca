/* For the unit tests of store/: a store in a folder of its own, which goes with it. */
#ifndef STORE_STORE_FIXTURE_H
#define STORE_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>

#include "store/blob.h"
#include "store/directory.h"

struct fixture {
    char folder[64];
    struct store *s;
    struct arena a;
};

static inline struct store *fixture_open(const char *folder)
{
    struct store_settings set = {.data = folder, .node = "test", .segment_bytes = 1u << 20};
    struct arena a;
    struct store *s = NULL;
    const char *why = NULL;

    arena_init(&a, 1u << 20);
    enum rc rc = store_open(&set, &a, &s, &why);
    if (rc != RC_OK)
        print_error("store_open: %s\n", why);
    assert_int_equal(rc, RC_OK);
    arena_clear(&a);
    return s;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");

    snprintf(f->folder, sizeof f->folder, "%s/facteur-test.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    arena_init(&f->a, 64u << 20);
    f->s = fixture_open(f->folder);
    *state = f;
    return 0;
}

static inline int fixture_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    store_close(f->s);
    nftw(f->folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
    arena_clear(&f->a);
    free(f);
    return 0;
}

/* As after a restart of the process. */
static inline void fixture_reopen(struct fixture *f)
{
    store_close(f->s);
    f->s = fixture_open(f->folder);
}

static inline uint64_t fixture_account(struct fixture *f, const char *address)
{
    uint64_t id = 0;
    enum rc rc = directory_domain_add(f->s, VIEW("ici.test"));

    assert_true(rc == RC_OK || rc == RC_EXISTS);
    assert_int_equal(directory_account_add(f->s, view_str(address), &id), RC_OK);
    return id;
}

static inline uint64_t fixture_blob(struct fixture *f, struct view bytes)
{
    struct blob_writer *w;
    uint64_t id = 0;

    assert_int_equal(blob_begin(f->s, 0, &w), RC_OK);
    assert_int_equal(blob_append(w, bytes), RC_OK);
    assert_int_equal(blob_finish(w, &id), RC_OK);
    return id;
}

#endif
