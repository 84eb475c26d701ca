#include <stdlib.h>

#include "desk/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header of a mail that brings a report: whatever stands in it, only our own field counts, and a pass names its domain. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verdict v;
    struct arena a;
    arena_init(&a, 1u << 20);
    if (verdict_read(view_of(data, size), VIEW("mx.ici.test"), VIEW("a.test"), NULL, &a, &v) == RC_OK) {
        if (v.counted && view_ifind(view_of(data, size), VIEW("mx.ici.test")) == VIEW_NONE)
            abort();
        if (v.counted && view_ifind(view_of(data, size), VIEW("pass")) == VIEW_NONE)
            abort();
    }
    arena_clear(&a);
    return 0;
}
