/* store/backup: a copy of a store that a server works on, and the ways back from it.
 *
 * A backup folder looks like a data folder (store.h), so it can be opened as a store; `backup.info` says that it is one
 * and of when. Databases are copied first (facteur.db before the mailboxes, so that mail on its way between them is in
 * one of the two), then blobs: rows never refer to blobs that are missing. Compaction waits meanwhile. A second backup
 * into the same folder copies what is new. The copy shares no bytes on the disk with the original.
 * I/O: disk; takes its time. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store.h"

struct backup_settings {
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* bytes of blobs (restore: as it says); may be NULL */
    void *ctx;
};
struct backup_stats {
    uint64_t accounts, unchanged; /* mailboxes in it; those that were so already */
    uint64_t segments, bytes;     /* bytes copied this time */
};
/* RC_EXISTS: the folder holds something else. RC_TEMP: compaction or another backup into it runs, or I/O (in the log).
 * RC_FULL, RC_CORRUPT: a database cannot be copied. After a failure an earlier backup in the folder is still whole. */
enum rc backup_make(struct store *s, const char *dir, const struct backup_settings *set, struct backup_stats *out);

/* Everything, into a data folder without a store. Each mailbox gets a new replica GUID, for its counters go back
 * (SCHEMA of the design, 4). Progress is told in files. `set` may be NULL, here and below. RC_EXISTS: there is a store. RC_NOTFOUND: `dir` is no backup. */
enum rc backup_restore_all(const char *dir, const char *data, const struct backup_settings *set, struct backup_stats *out);

/* The passwords' database belongs to another user than the store, so whoever may read it adds it to the backup and takes
 * it back. RC_NOTFOUND: there is none. RC_DENIED: may not be read. Taking back replaces what is at `vault`. */
enum rc backup_add_vault(const char *dir, const char *vault);
enum rc backup_restore_vault(const char *dir, const char *vault);

struct restore_stats {
    uint64_t folders, messages, present, damaged; /* looked at; added; there already; lost in the backup */
    bool account_made; /* it did not exist any more: has no password */
};
/* Folders and messages that the account in the running store lacks, with flags and dates. A message that it has in any
 * folder is not added again. Progress is told in messages. RC_NOTFOUND: no backup, or no such account in it. */
enum rc backup_restore_account(const char *dir, struct store *s, struct view address, const struct backup_settings *set,
                               struct restore_stats *out);
/* One message of a folder, by uid, or by Message-ID (with or without <>) where uid is 0; back into this folder.
 * RC_NOTFOUND: not in the backup. RC_EXISTS: the folder has it. */
enum rc backup_restore_message(const char *dir, struct store *s, struct view address, struct view folder, uint32_t uid,
                               struct view message_id, struct restore_stats *out);

#endif
