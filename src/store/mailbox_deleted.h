/* store/mailbox_deleted: messages that were removed and are kept for a while (struct store_settings, keep_deleted_s), so that
 * somebody who deleted too much gets them back. Their rows leave their folder for one that no client sees, in the order in which they
 * went; no counter counts them. What has been there for too long goes for good, a little at a time (store_maintain).
 * Blocks on the disk. Any thread. */
#ifndef STORE_MAILBOX_DELETED_H
#define STORE_MAILBOX_DELETED_H

#include "store/mailbox.h"

struct deleted_item {
    uint64_t id;         /* rises with the time of deletion; another one each time that a message is deleted */
    struct view folder;  /* path of the folder that it was in, as that is named now; empty: the folder is gone */
    int64_t deleted_s, internaldate, sent_date;
    uint64_t blob;
    uint32_t skip, size, flags;
    struct view envelope; /* as struct item has it */
};
/* Up to `max`, latest first, of ids below `before` (0: all). */
enum rc mailbox_deleted(struct mailbox *mb, uint64_t before, size_t max, struct arena *a, struct deleted_item **out, size_t *n);
/* Back into their folders, INBOX where those are gone, as new messages there without \Deleted. Ids that are not (any longer) kept
 * are left out of *restored. RC_LIMIT: a folder has no UID left. */
enum rc mailbox_restore(struct mailbox *mb, const uint64_t *ids, size_t n, size_t *restored);
/* For good. */
enum rc mailbox_forget(struct mailbox *mb, const uint64_t *ids, size_t n);
/* For good, those deleted by that time, `max` at most; *n: how many. */
enum rc mailbox_purge(struct mailbox *mb, int64_t before_s, size_t max, size_t *n);

/* The same for all accounts at once, as store_maintain does it bit by bit: for `facteur store compact`. */
enum rc store_purge(struct store *s, uint64_t *n);

#endif
