/* store/blob_moved: the table that compaction leaves in place of a segment: where each of its records went.
 * Written whole to a temporary file, synced and renamed. Pure but for moved_write. */
#ifndef STORE_BLOB_MOVED_H
#define STORE_BLOB_MOVED_H

#include "store/blob_internal.h"

#define MOVED_HOPS_MAX 32 /* tables followed for one id; compaction shortens the ways, so there are few */

struct moved {
    uint64_t offset; /* in the old segment */
    uint64_t id;     /* where it is now */
};
/* `m` by rising offset. Durable when RC_OK. */
enum rc moved_write(const struct blobs *b, uint32_t number, const struct moved *m, size_t n);
/* Checks a table in memory. RC_CORRUPT. The entries are `in` itself. */
enum rc moved_parse(struct view in, uint32_t number, const struct moved **out, size_t *n);
/* RC_NOTFOUND. */
enum rc moved_lookup(const struct moved *m, size_t n, uint64_t offset, uint64_t *id);

#endif
