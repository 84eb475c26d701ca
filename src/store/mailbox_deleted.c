#include "store/mailbox_deleted.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/bus.h"
#include "store/directory_internal.h"
#include "store/mailbox_internal.h"
#include "store/store_internal.h"

#define PURGE_BATCH    500   /* messages in one transaction */
#define PURGE_ACCOUNTS 20    /* looked at in one call of store_maintain */
#define PURGE_ROWS     5000  /* removed by it at most */
#define PURGE_EVERY_MS (60 * 60 * 1000) /* between two rounds through all accounts */

struct kept {
    uint64_t account, before;
    const uint64_t *ids;
    int64_t before_s;
    size_t n, max, room, done;
    struct arena *a;
    struct deleted_item *out;
    struct folder_delta delta; /* of the folder that the last one went back into */
    uint64_t *folders;         /* that got some back, each once */
    size_t n_folders;
};

/* --- reading --- */

static enum rc read_envelope(struct db *db, const struct kept *k, uint64_t item, struct view *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT envelope FROM summary WHERE id = $1 AND account = $2", DB_N(item), DB_N(k->account));
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 0, k->a, out);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
}

static enum rc read_place(struct db *db, const struct kept *k, uint64_t folder, struct view *out)
{
    struct folder f;
    enum rc rc = folder_read(db, k->account, folder, k->a, &f);
    *out = rc == RC_OK ? f.path : VIEW("");
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc look_at_deleted(struct db *db, void *ctx)
{
    struct kept *k = ctx;
    struct db_query *q;
    struct view place = {0};
    uint64_t origin = 0;
    bool known = false;
    enum rc rc = db_query(db, &q, "SELECT uid, id, deleted_on, origin, internaldate, sent_date, blob, skip, size, flags FROM item"
                                  " WHERE account = $1 AND folder = $2 AND uid < $3 ORDER BY uid DESC LIMIT $4",
                          DB_N(k->account), DB_N(FOLDER_DELETED), DB_N(k->before ? k->before : INT64_MAX), DB_N(k->max));

    k->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (k->n == k->room) {
            size_t room = k->room ? 2 * k->room : 16;
            struct deleted_item *more = arena_new_array(k->a, room, struct deleted_item);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            if (k->n > 0)
                memcpy(more, k->out, k->n * sizeof *more);
            k->out = more;
            k->room = room;
        }
        struct deleted_item *d = &k->out[k->n++];
        *d = (struct deleted_item){.id = (uint64_t)db_number(q, 0), .deleted_s = db_number(q, 2), .internaldate = db_number(q, 4),
                                   .sent_date = db_number(q, 5), .blob = (uint64_t)db_number(q, 6), .skip = (uint32_t)db_number(q, 7),
                                   .size = (uint32_t)db_number(q, 8), .flags = (uint32_t)db_number(q, 9)};
        rc = read_envelope(db, k, (uint64_t)db_number(q, 1), &d->envelope);
        if (rc == RC_OK && (!known || origin != (uint64_t)db_number(q, 3))) { /* those that went together come together */
            origin = (uint64_t)db_number(q, 3);
            known = true;
            rc = read_place(db, k, origin, &place);
        }
        d->folder = place;
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailbox_deleted(struct mailbox *mb, uint64_t before, size_t max, struct arena *a, struct deleted_item **out, size_t *n)
{
    struct kept k = {.account = mb->account, .before = before, .max = max, .a = a};
    enum rc rc = max > 0 ? mailbox_look(mb, look_at_deleted, &k) : RC_OK;

    *out = k.out;
    *n = rc == RC_OK ? k.n : 0;
    return rc;
}

/* --- back --- */

static enum rc end_folder(struct db *db, struct kept *k)
{
    enum rc rc = folder_add_delta(db, k->account, &k->delta);
    bool known = k->delta.modseq == 0;

    for (size_t i = 0; i < k->n_folders; i++)
        known |= k->folders[i] == k->delta.folder;
    if (!known)
        k->folders[k->n_folders++] = k->delta.folder;
    return rc;
}

/* From here on the delta is that of `origin`, or of INBOX where that is gone; its uidnext is the next to give out. */
static enum rc begin_folder(struct db *db, struct kept *k, uint64_t origin)
{
    uint32_t uid = 0, uidvalidity;
    enum rc rc = RC_OK;

    if (k->delta.folder == origin)
        return RC_OK;
    if (k->delta.folder != 0)
        rc = end_folder(db, k);
    if (rc == RC_OK)
        rc = folder_read_uids(db, k->account, origin, &uid, &uidvalidity);
    if (rc == RC_NOTFOUND) {
        origin = FOLDER_INBOX;
        rc = folder_read_uids(db, k->account, origin, &uid, &uidvalidity);
    }
    k->delta = (struct folder_delta){.folder = origin, .uidnext = uid};
    return rc;
}

static enum rc restore_one(struct db *db, struct kept *k, struct sequence *seq, uint64_t id)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id, origin, flags, size FROM item WHERE account = $1 AND folder = $2 AND uid = $3",
                          DB_N(k->account), DB_N(FOLDER_DELETED), DB_N(id));
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    const uint64_t item = (uint64_t)db_number(q, 0), origin = (uint64_t)db_number(q, 1);
    const uint32_t flags = (uint32_t)db_number(q, 2) & ~(uint32_t)FLAG_DELETED, size = (uint32_t)db_number(q, 3);
    db_done(q);
    rc = begin_folder(db, k, origin);
    if (rc == RC_OK && k->delta.uidnext == UINT32_MAX)
        rc = RC_LIMIT;
    if (rc == RC_OK)
        rc = sequence_log(db, seq, ROW_NEW, k->delta.folder, item, k->delta.uidnext, 0);
    if (rc == RC_OK)
        rc = db_exec(db,
                     "UPDATE item SET folder = $1, uid = $2, modseq = $3, flags = $4, state = 0, deleted_on = NULL, origin = NULL"
                     " WHERE account = $5 AND folder = $6 AND uid = $7",
                     DB_N(k->delta.folder), DB_N(k->delta.uidnext), DB_N(seq->seq), DB_N(flags), DB_N(k->account),
                     DB_N(FOLDER_DELETED), DB_N(id));
    folder_delta_count(&k->delta, flags, size, 1);
    k->delta.modseq = seq->seq;
    k->delta.uidnext++;
    k->done++;
    return rc;
}

static enum rc do_restore(struct db *db, void *ctx)
{
    struct kept *k = ctx;
    struct sequence seq;
    enum rc rc = sequence_read(db, k->account, &seq);

    k->delta = (struct folder_delta){0};
    k->done = k->n_folders = 0;
    for (size_t i = 0; i < k->n && rc == RC_OK; i++)
        rc = restore_one(db, k, &seq, k->ids[i]);
    return rc == RC_OK && k->delta.folder != 0 ? end_folder(db, k) : rc;
}

enum rc mailbox_restore(struct mailbox *mb, const uint64_t *ids, size_t n, size_t *restored)
{
    struct kept k = {.account = mb->account, .ids = ids, .n = n, .folders = calloc(n + 1, sizeof *k.folders)};
    enum rc rc = k.folders ? RC_OK : RC_TEMP;

    if (rc == RC_OK && n > 0)
        rc = mailbox_txn_sync(mb, do_restore, &k);
    *restored = rc == RC_OK ? k.done : 0;
    for (size_t i = 0; i < k.n_folders && rc == RC_OK; i++)
        bus_publish(mb->store, mb->account, k.folders[i]);
    free(k.folders);
    return rc;
}

/* --- for good --- */

static enum rc forget_one(struct db *db, struct kept *k, uint64_t id)
{
    enum rc rc = db_exec(db, "DELETE FROM summary WHERE account = $1 AND id ="
                             " (SELECT id FROM item WHERE account = $1 AND folder = $2 AND uid = $3)",
                         DB_N(k->account), DB_N(FOLDER_DELETED), DB_N(id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM item WHERE account = $1 AND folder = $2 AND uid = $3", DB_N(k->account), DB_N(FOLDER_DELETED),
                     DB_N(id));
    k->done += rc == RC_OK && db_changed(db) > 0;
    return rc;
}

static enum rc do_forget(struct db *db, void *ctx)
{
    struct kept *k = ctx;
    enum rc rc = RC_OK;

    k->done = 0;
    for (size_t i = 0; i < k->n && rc == RC_OK; i++)
        rc = forget_one(db, k, k->ids[i]);
    return rc;
}

enum rc mailbox_forget(struct mailbox *mb, const uint64_t *ids, size_t n)
{
    struct kept k = {.account = mb->account, .ids = ids, .n = n};
    return n > 0 ? mailbox_txn(mb, do_forget, &k) : RC_OK;
}

/* Rows lie in the order in which they went: the first that is young enough ends the search. */
static enum rc list_old(struct db *db, void *ctx)
{
    struct kept *k = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT uid, deleted_on FROM item WHERE account = $1 AND folder = $2 ORDER BY uid LIMIT $3",
                          DB_N(k->account), DB_N(FOLDER_DELETED), DB_N(k->max));
    k->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && db_number(q, 1) <= k->before_s)
        k->folders[k->n++] = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailbox_purge(struct mailbox *mb, int64_t before_s, size_t max, size_t *n)
{
    uint64_t ids[PURGE_BATCH];
    enum rc rc = RC_OK;

    *n = 0;
    while (rc == RC_OK && *n < max) {
        struct kept k = {.account = mb->account, .before_s = before_s, .folders = ids,
                         .max = max - *n < PURGE_BATCH ? max - *n : PURGE_BATCH};
        rc = mailbox_look(mb, list_old, &k);
        k.ids = ids;
        if (rc == RC_OK && k.n > 0)
            rc = mailbox_txn(mb, do_forget, &k);
        *n += rc == RC_OK ? k.done : 0;
        if (k.n < k.max)
            break;
    }
    return rc;
}

/* --- all accounts --- */

struct account_list {
    uint64_t after, ids[PURGE_ACCOUNTS];
    size_t n;
    size_t budget; /* messages to be removed at most */
};

static enum rc list_accounts(struct db *db, void *ctx)
{
    struct account_list *l = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2", DB_N(l->after), DB_N(PURGE_ACCOUNTS));

    l->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        l->ids[l->n++] = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* The accounts after l->after, as many as one call takes; where the budget ends, the next one goes on. One that cannot be read
 * does not keep the others. */
static enum rc purge_some(struct store *s, struct account_list *l, uint64_t *n)
{
    const int64_t before_s = clock_real_s() - atomic_load(&s->keep_deleted_s);
    enum rc rc = directory_look(s, list_accounts, l);

    for (size_t i = 0; i < l->n && rc == RC_OK && l->budget > 0; i++) {
        struct mailbox *mb = NULL;
        size_t gone = 0;
        if (mailbox_open(s, l->ids[i], &mb) == RC_OK)
            mailbox_purge(mb, before_s, l->budget, &gone); /* a failure is logged; the next round tries again */
        mailbox_close(mb);
        *n += gone;
        l->budget -= gone;
        if (l->budget > 0)
            l->after = l->ids[i];
    }
    return rc;
}

enum rc store_purge(struct store *s, uint64_t *n)
{
    struct account_list l = {.budget = SIZE_MAX};
    enum rc rc = RC_OK;

    *n = 0;
    do
        rc = purge_some(s, &l, n);
    while (rc == RC_OK && l.n == PURGE_ACCOUNTS);
    return rc;
}

enum rc deleted_maintain(struct store *s)
{
    struct account_list l = {.after = s->purge_after, .budget = PURGE_ROWS};
    uint64_t n = 0;

    if (clock_mono_ms() < s->purge_due_ms)
        return RC_OK;
    enum rc rc = purge_some(s, &l, &n);
    const bool over = l.n < PURGE_ACCOUNTS && l.budget > 0;
    s->purge_after = over ? 0 : l.after;
    if (over)
        s->purge_due_ms = clock_mono_ms() + PURGE_EVERY_MS;
    return rc;
}
