/* store/store_internal: what the modules of store/ know of each other. Nobody above store/ includes this. */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"

struct blobs;
struct bus;
struct directory;
struct mailboxes;
struct mailq;
struct ledger;
struct seen;

struct store {
    char *data; /* the folder, without final '/' */
    char *node;
    size_t segment_bytes;
    unsigned max_open;
    _Atomic int64_t keep_deleted_s; /* mailbox_deleted.h */
    uint64_t purge_after;           /* of the one thread that calls store_maintain with `compact` */
    int64_t purge_due_ms;

    struct blobs *blobs;         /* blob.c */
    struct bus *bus;             /* bus.c */
    struct directory *directory; /* directory.c: its connection to facteur.db */
    struct mailq *mailq;         /* mailq.c: its connections to facteur.db */
    struct seen *seen;           /* seen.c: its connection to facteur.db */
    struct mailboxes *mailboxes; /* handles.c: open account databases */
    struct ledger *ledger;     /* ledger_db.c: its connections to reports.db, made when first wanted */
};

/* "DATA/NAME" from malloc; NULL: no memory. */
char *store_path(const struct store *s, const char *name);

/* Each module makes its part of the store when the folder is there. *why: as store_open, static or arena text.
 * The close functions accept NULL. */
enum rc blobs_open(struct store *s, struct arena *a, struct blobs **out, const char **why);
void blobs_close(struct blobs *b);
/* One bounded piece of housekeeping (compaction) for store_maintain. */
enum rc blobs_maintain(struct store *s, bool compact);

enum rc bus_open(struct bus **out);
void bus_close(struct bus *b);

#endif
