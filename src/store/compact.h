/* store/compact: takes dead space out of blob segments. Mark and sweep: what no row refers to is dead; the living records
 * of a segment that is dead enough are copied behind others, a table (blob_moved.h) tells where they went, the
 * segment goes. Ids in rows stay as they are.
 *
 * Runs beside everything else, in any process. Left alone are: segments that a process writes to, those with a record
 * younger than age_s (its row may not be there yet), the one with the highest number (so that no number comes
 * twice), damaged ones. One runs at a time, and none while a backup does. A crash at any point leaves every id valid. */
#ifndef STORE_COMPACT_H
#define STORE_COMPACT_H

#include "store/blob_live.h"

#define COMPACT_AGE_S        3600
#define COMPACT_DEAD_PERCENT 30

enum compact_step { COMPACT_LOOKED, COMPACT_COPIED, COMPACT_TABLE, COMPACT_REMOVED, COMPACT_SHORTENED };
struct compact_settings {
    int64_t age_s;         /* 0: COMPACT_AGE_S; negative: no matter how young */
    unsigned dead_percent; /* 0: COMPACT_DEAD_PERCENT */
    uint32_t from;         /* number of the first segment to look at */
    size_t max_segments;   /* look at so many at most; 0: all */
    void (*progress)(void *ctx, enum compact_step step, uint32_t segment);
    void *ctx;
};
struct compact_stats {
    uint64_t segments, looked, compacted; /* there are, read, taken out */
    uint64_t bytes, dead;                 /* of those looked at */
    uint64_t moved, freed;                /* blobs copied; bytes given back */
    uint32_t next;                        /* where max_segments stopped; 0: all were seen */
};
/* RC_TEMP: another compaction or a backup runs, or a mailbox cannot be read. RC_FULL: no room for the copies. */
enum rc compact_run(struct store *s, const struct compact_settings *set, struct compact_stats *out);

/* The same on blobs alone. `rows` are gathered by the caller after it took the lock and listed the segments. */
enum rc compact_blobs(struct blobs *b, const uint32_t *segments, size_t n, const struct id_set *rows,
                      const struct compact_settings *set, struct compact_stats *out);

#endif
