/* For unit tests: inputs as exact heap blocks, so that the address sanitizer sees one byte too far. */
#ifndef IMAP_WIRE_TEST_H
#define IMAP_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* To be freed by free((void *)v.p). */
static inline struct view exact(struct view v)
{
    char *p = malloc(v.n ? v.n : 1);

    assert_non_null(p);
    if (v.n)
        memcpy(p, v.p, v.n);
    return view_of(p, v.n);
}
static inline void exact_free(struct view start)
{
    free((void *)(uintptr_t)start.p);
}
static inline void assert_view(struct view got, struct view want)
{
    if (!view_eq(got, want))
        fail_msg("got \"%.*s\", want \"%.*s\"", VIEW_FMT(got), VIEW_FMT(want));
}

#endif
