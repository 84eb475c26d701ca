/* smtp/smtp_test: what the unit tests of this folder share. */
#ifndef SMTP_TEST_H
#define SMTP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

/* Bytes in a heap block of exactly their size: the address sanitizer sees one byte too far. Freed by the
 * caller. */
static inline struct view exact(struct view v)
{
    char *p = malloc(v.n ? v.n : 1);
    assert_non_null(p);
    if (v.n > 0)
        memcpy(p, v.p, v.n);
    return view_of(p, v.n);
}
static inline void free_exact(struct view v)
{
    free((void *)(uintptr_t)v.p);
}
static inline void assert_view(struct view got, const char *want)
{
    if (!view_eq(got, view_str(want)))
        fail_msg("got \"%.*s\", want \"%s\"", VIEW_FMT(got), want);
}

#endif
