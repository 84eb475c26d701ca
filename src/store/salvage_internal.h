/* store/salvage_internal: what the files of salvage share. */
#ifndef STORE_SALVAGE_INTERNAL_H
#define STORE_SALVAGE_INTERNAL_H

#include "store/blob_live.h"
#include "store/db.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/salvage.h"

struct kept_blob {
    uint64_t id, size, owner;
    int64_t time_s;
    uint64_t print; /* same bytes, owner and date: the second copy that an interrupted compaction leaves */
};
struct salvage {
    const char *from, *to;
    const struct salvage_settings *set;
    struct salvage_stats *stats;
    struct kept_blob *blobs; /* by id */
    size_t n_blobs, blobs_size;
    struct store *store; /* at `to` */
};
void salvage_tell(struct salvage *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The file and its log, as they are. RC_NOTFOUND. */
enum rc salvage_copy_database(const char *from, const char *to);

/* salvage_blobs.c: writes to/blobs anew; fills s->blobs. */
enum rc salvage_blobs(struct salvage *s);
const struct kept_blob *salvage_find_blob(const struct salvage *s, uint64_t id);

/* salvage_rows.c: the readable rows of damaged copies. */
/* facteur.db: domains, accounts, aliases, the queue go into `into`. */
enum rc salvage_domain_rows(struct salvage *s, const char *damaged, struct db *into);
struct damaged_folder {
    uint64_t id, parent;
    char *name;
    enum folder_role role;
};
struct damaged_item {
    uint64_t folder, blob;
    uint32_t uid, skip, size, flags;
    int64_t internaldate;
    char *keywords;
};
struct damaged_mailbox {
    struct damaged_folder *folders;
    struct damaged_item *items; /* by folder and uid, each once */
    size_t n_folders, n_items, folders_size, items_size;
};
/* RC_CORRUPT: nothing could be read. */
enum rc salvage_mailbox_rows(const char *damaged, uint64_t account, struct damaged_mailbox *out);
void salvage_mailbox_clear(struct damaged_mailbox *m);

#endif
