/* imap/wire_test: what the unit tests of this folder's grammar share beside base/test_util.h. */
#ifndef IMAP_WIRE_TEST_H
#define IMAP_WIRE_TEST_H

#include "base/test_util.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline void assert_view(struct view got, struct view want)
{
    if (!view_eq(got, want))
        fail_msg("got \"%.*s\", want \"%.*s\"", VIEW_FMT(got), VIEW_FMT(want));
}

#endif
