/* base/test_util: what unit tests share: inputs as exact-size heap blocks, and views compared with texts. */
#ifndef BASE_TEST_UTIL_H
#define BASE_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

/* An exact-size heap copy, so that the address sanitizer sees one byte too far. To be given to release. */
static inline struct view exact(struct view v)
{
    char *p = malloc(v.n ? v.n : 1);
    assert_non_null(p);
    if (v.n > 0)
        memcpy(p, v.p, v.n);
    return view_of(p, v.n);
}
static inline void release(struct view v)
{
    free((void *)(uintptr_t)v.p);
}
static inline void expect_text(struct view got, const char *want)
{
    if (!view_eq(got, view_str(want)))
        fail_msg("got  [%.*s]\nwant [%s]", VIEW_FMT(got), want);
}

#endif
