/* store/blob_live: which blobs rows refer to, and where those are now. For compaction and verify. Any thread. */
#ifndef STORE_BLOB_LIVE_H
#define STORE_BLOB_LIVE_H

#include "store/blob_internal.h"

/* Sorted, each once, from malloc. */
struct id_set {
    uint64_t *ids;
    size_t n, size;
};
enum rc id_set_add(struct id_set *s, const uint64_t *ids, size_t n);
void id_set_order(struct id_set *s); /* after the last add */
bool id_set_has(const struct id_set *s, uint64_t id);
/* Index of the first id >= `id`. */
size_t id_set_from(const struct id_set *s, uint64_t id);
void id_set_clear(struct id_set *s);

/* Every id that rows of the queue and of all mailboxes refer to. A blob that was referred to when this began and still
 * is when it ends is in it, wherever its row went meanwhile. */
enum rc live_gather(struct store *s, struct id_set *out);
/* Where those blobs are: ids in `segments` (sorted numbers of existing files) stay, others are led through the tables.
 * Ids that lead nowhere are left out. */
enum rc live_resolve(struct blobs *b, const struct id_set *rows, const uint32_t *segments, size_t n, struct id_set *out);

#endif
