/* imap/shared: what all sessions of this process that have selected one folder have in common: the newest sequence map,
 * the last list of changes, and who idles. So a delivery to a folder that twenty clients watch is looked up once.
 * I/O: through the store. Any thread. */
#ifndef IMAP_SHARED_H
#define IMAP_SHARED_H

#include "imap/seqmap.h"
#include "net/pool.h"
#include "store/bus.h"
#include "store/mailbox.h"

#define SHARED_SPARE_MAX 128 /* folders that nobody has selected and whose map is kept for the next SELECT */

struct imap_table;  /* of a process */
struct imap_folder; /* one folder of one account */

enum rc imap_table_new(struct store *store, struct imap_table **out);
void imap_table_free(struct imap_table *t); /* accepts NULL; no folder is held any more */

/* One reference is the caller's. RC_TEMP: no memory. */
enum rc imap_folder_get(struct imap_table *t, uint64_t account, uint64_t folder, struct imap_folder **out);
void imap_folder_put(struct imap_folder *f); /* accepts NULL */

/* The newest map, one reference being the caller's. With `if_published` the store is asked only if something was published for the
 * folder since it was asked last: right when called for such a publication. RC_NOTFOUND: the folder is gone. RC_TEMP. */
enum rc imap_folder_map(struct imap_folder *f, struct mailbox *mb, bool if_published, struct seqmap **out);

/* What happened after one map (`since` is its modseq) up to a later one. Immutable, counted. */
struct imap_delta {
    unsigned refs;       /* changed atomically */
    uint64_t since, to;
    size_t n_gone, n_changed;
    const uint32_t *gone; /* falling, so that each number is right when EXPUNGE is sent in this order */
    const struct change *changed; /* flags of old and new messages, by uid */
};
/* RC_LIMIT: the log does not reach back so far. */
enum rc imap_folder_delta(struct imap_folder *f, struct mailbox *mb, uint64_t since, const struct seqmap *now,
                          struct imap_delta **out);
void imap_delta_unref(struct imap_delta *d); /* accepts NULL */

/* UID of the first message without \Seen, 0 if all have it; remembered for one modseq. */
enum rc imap_folder_first_unseen(struct imap_folder *f, struct mailbox *mb, const struct seqmap *now, uint32_t *uid);

/* A session that idles: pool_wake(conn) at each publication. The struct lives in the session. */
struct imap_listener {
    struct conn *conn;
    struct imap_listener *next, **prev;
};
void imap_folder_listen(struct imap_folder *f, struct imap_listener *l);
/* After it returns conn will not be woken. Accepts one that does not listen. */
void imap_folder_unlisten(struct imap_folder *f, struct imap_listener *l);

#endif
