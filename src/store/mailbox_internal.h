/* store/mailbox_internal: what the files of the mailbox share. handles.c keeps open databases, mailbox_folder.c the
 * folders, mailbox_item.c what reads items, mailbox_add.c what adds them, mailbox_change.c what changes and removes
 * them, mailbox_deleted.c those that were removed and are kept for a while, mailbox_log.c what reads and trims the change log. */
#ifndef STORE_MAILBOX_INTERNAL_H
#define STORE_MAILBOX_INTERNAL_H

#include <pthread.h>

#include "store/db.h"
#include "store/mailbox.h"

#define MAILBOX_FIRST_SEQ 256 /* numbers below are for what every account has: folder ids are their role */
#define MAILBOX_LOG_KEEP  100000 /* the log reaches back at least so many changes */
#define FOLDER_DELETED    255    /* where kept ones are (mailbox_deleted.h): no row of `folder` has this id. uid: the number of the deletion */
#define MAILBOX_IDLE_MS   10000  /* a database that nobody used for so long is closed */

struct mailbox {
    struct store *store;
    uint64_t account;
    pthread_mutex_t mutex; /* guards db while a statement runs */
    struct db *db;         /* NULL: not open yet, or could not be */

    /* guarded by the mutex of struct mailboxes */
    unsigned refs;
    bool dirty; /* has commits that no sync followed; holds a reference */
    bool gone;  /* removed from the table: the last reference frees it */
    int64_t used_ms;
    struct mailbox *next_in_bucket, *next_dirty, *next_settling;
    struct mailbox *newer, *older; /* idle ones by last use */
};

char *mailbox_path(const struct store *s, uint64_t account); /* malloc */
/* The database of a new account, durable; of one that has gone. */
enum rc mailbox_make(struct store *s, uint64_t account);
void mailbox_unmake(struct store *s, uint64_t account);

enum rc mailbox_look(struct mailbox *mb, db_fn fn, void *ctx);
/* Not durable yet. */
enum rc mailbox_txn(struct mailbox *mb, db_fn fn, void *ctx);
/* Durable on RC_OK. */
enum rc mailbox_txn_sync(struct mailbox *mb, db_fn fn, void *ctx);
/* To be made durable by store_settle. */
void mailbox_mark_dirty(struct mailbox *mb);

/* --- inside a transaction --- */
enum change_row { ROW_NEW, ROW_FLAGS, ROW_GONE, ROW_FOLDER }; /* change.kind */
/* Where the account's sequence stands. */
struct sequence {
    uint64_t account;
    uint64_t seq, source_high;
};
enum rc sequence_read(struct db *db, uint64_t account, struct sequence *s);
/* Takes the next number and writes it into the log. */
enum rc sequence_log(struct db *db, struct sequence *s, enum change_row kind, uint64_t folder, uint64_t item, uint32_t uid,
                     uint64_t source);

/* Adds to a folder's counters, and sets its modseq and uidnext where they are higher. */
struct folder_delta {
    uint64_t folder, modseq;
    uint32_t uidnext; /* 0: as it is */
    int64_t exists, unseen, deleted, bytes;
};
enum rc folder_add_delta(struct db *db, uint64_t account, const struct folder_delta *d);
/* Counts one item in (+1) or out (-1). */
void folder_delta_count(struct folder_delta *d, uint32_t flags, uint32_t size, int sign);
/* uidnext and uidvalidity. RC_NOTFOUND: no such folder. */
enum rc folder_read_uids(struct db *db, uint64_t account, uint64_t folder, uint32_t *uidnext, uint32_t *uidvalidity);
enum rc folder_read(struct db *db, uint64_t account, uint64_t id, struct arena *a, struct folder *out);

/* mailbox_deleted.c for store.c */
enum rc deleted_maintain(struct store *s);
/* mailbox_change.c: every item of a folder goes into another. */
enum rc items_move_all(struct db *db, struct sequence *seq, uint64_t from, uint64_t to);

/* Keywords in the form of struct item: sorted, once each, single spaces; KEYWORDS_MAX and KEYWORD_MAX hold. */
enum rc keywords_normalise(struct view in, struct arena *a, struct view *out);
/* As keywords_normalise of both together / of `from` without those of `less`. */
enum rc keywords_union(struct view x, struct view y, struct arena *a, struct view *out);
enum rc keywords_without(struct view from, struct view less, struct arena *a, struct view *out);

/* --- handles.c for store.c --- */
struct mailboxes;
enum rc mailboxes_open(struct store *s, struct mailboxes **out);
void mailboxes_close(struct mailboxes *m); /* accepts NULL */
enum rc mailboxes_settle(struct store *s);
enum rc mailboxes_maintain(struct store *s);
/* mailbox_log.c: drops old entries where there are many. `queue_oldest`: no recipient below this number waits. */
enum rc mailbox_trim(struct mailbox *mb, uint64_t queue_oldest);

#endif
