/* store/verify: looks at everything that is stored and says what is damaged, missing or left over. Changes nothing and
 * runs beside a server; compaction waits meanwhile. Reads every byte once. */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

#define VERIFY_YOUNG_S 3600 /* a blob without a row is in somebody's hands still while it is younger */

enum finding_kind {
    /* damage */
    FINDING_DATABASE,        /* file, text */
    FINDING_SEGMENT,         /* file, text: its head, or places that the disk does not give */
    FINDING_TABLE,           /* file, text: a table of moved blobs cannot be read */
    FINDING_BLOB,            /* blob, size, account: its bytes are not what was written */
    FINDING_ITEM_MISSING,    /* account, folder, uid, blob: a message without its blob */
    FINDING_ITEM_DAMAGED,    /* the same, with a damaged one */
    FINDING_QUEUE_MISSING,   /* message, blob */
    FINDING_QUEUE_DAMAGED,
    /* not damage */
    FINDING_UNREFERENCED,    /* blob, size, account: no row refers to it; the next compactions take it away */
    FINDING_GAP,             /* file, size: bytes of no record: what crashes cut off, or the heads of damaged ones */
};
struct finding {
    enum finding_kind kind;
    struct view file, text;
    uint64_t blob, size, account, message;
    struct view address, folder; /* of the account */
    uint32_t uid;
};
const char *finding_name(enum finding_kind kind); /* "item-missing" */
bool finding_is_damage(enum finding_kind kind);

struct verify_stats {
    uint64_t databases, segments, blobs, bytes, items, queued; /* looked at */
    uint64_t damage, unreferenced, unreferenced_bytes;
};
struct verify_settings {
    void (*found)(void *ctx, const struct finding *f);
    /* May be NULL. `done` of `all` bytes of blobs. */
    void (*progress)(void *ctx, uint64_t done, uint64_t all);
    void *ctx;
    int64_t young_s; /* 0: VERIFY_YOUNG_S; negative: none is young */
};
/* RC_OK: all was looked at, see out->damage. RC_TEMP: compaction runs. */
enum rc store_verify(struct store *s, const struct verify_settings *set, struct verify_stats *out);

#endif
