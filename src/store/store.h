/* store: everything that is kept. Folder layout below `data`:
 *     facteur.db            domains, accounts, aliases, the queue (SQLite, WAL, FULL)
 *     reports.db            reports of others about our domains, made with the first of them
 *     accounts/NN/ID.db     one database an account: folders, items, change log (WAL)
 *     blobs/SEGMENT         message bodies, append-only with checksums (store/blob.h)
 * Nobody above store/ knows that it is SQLite, nor how blobs lie in files.
 *
 * Several processes (mta, access, commands) may have one store open at once. Within one process one struct store
 * serves all threads. Calls block on the disk, never on the network.
 *
 * RC_FULL: the disk is full. RC_TEMP: busy for too long, I/O error, no memory (logged where it arose).
 * RC_CORRUPT: logged with the file; `facteur store salvage` helps. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"

struct store;
struct store_settings {
    const char *data;      /* folder; made if missing, mode 0700 */
    const char *node;      /* name of this process for blob segments and the log: "mta", "access", "cli" */
    size_t segment_bytes;  /* 0: 64 MiB */
    int64_t keep_deleted_s; /* removed messages can be had back for so long (store/mailbox_deleted.h); 0: not at all */
    unsigned max_open;     /* open account databases kept, some 200 KiB each; 0: 128 */
};

/* Opens, creates or migrates forward. *why (arena or static text) says what failed: e.g. the database is newer than
 * this program (RC_DENIED), the folder is not ours. */
enum rc store_open(const struct store_settings *set, struct arena *a, struct store **out, const char **why);
void store_close(struct store *s);
/* The setting has changed. Any thread. */
void store_keep_deleted(struct store *s, int64_t seconds);

/* All that mailbox_deliver committed before this call (in this process) is on the disk when it returns RC_OK. Cheap
 * when nothing is dirty. */
enum rc store_settle(struct store *s);

/* Housekeeping that long-lived processes call every few seconds: checkpoints and closes idle databases, gives idle mappings
 * back, and (hourly, where `compact`, which one process does for all) compacts blob segments of which much is dead
 * and lets go of messages that were deleted long ago. Bounded
 * work a call. */
enum rc store_maintain(struct store *s, bool compact);

#endif
