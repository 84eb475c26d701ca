/* queue/idset: a set of non-zero 63-bit ids (queue recipients that are in memory). Not thread-safe. */
#ifndef QUEUE_IDSET_H
#define QUEUE_IDSET_H

#include "base/view.h"

struct idset {
    uint64_t *slots; /* 0: free */
    size_t size, n;  /* size: a power of two, or 0 */
};
/* RC_EXISTS: in it already. RC_TEMP: no memory. */
enum rc idset_add(struct idset *s, uint64_t id);
void idset_remove(struct idset *s, uint64_t id);
bool idset_has(const struct idset *s, uint64_t id);
void idset_clear(struct idset *s);

#endif
