/* store/mailbox_change: flags, copies, moves and removal of items. */
#include "base/clock.h"
#include "store/bus.h"
#include "store/mailbox_internal.h"
#include "store/store_internal.h"

struct change_order {
    uint64_t account, folder, dest;
    const uint32_t *uids; /* NULL: all with \Deleted */
    size_t n;
    struct arena *a;
    /* flags */
    enum flags_mode mode;
    uint32_t flags;
    struct view keywords;
    uint64_t unchangedsince;
    struct flagged *flagged;
    /* copy and move */
    bool move;
    uint64_t room; /* bytes that copies may have */
    struct copied *copied;
    /* removal */
    bool only_deleted;
    bool keep;      /* they can be had back */
    int64_t now_s;
    uint32_t *gone;

    size_t n_out;
    uint64_t modseq; /* of `folder` afterwards */
    bool changed;
};

/* What these operations ask of a row. */
struct row {
    uint64_t id, modseq;
    uint32_t uid, flags, size;
    struct view keywords;
};

static enum rc read_row(struct db *db, const struct change_order *o, uint32_t uid, struct row *r)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id, modseq, flags, size, keywords FROM item WHERE account = $1 AND folder = $2 AND"
                                  " uid = $3 AND state = 0 AND is_associated = 0", DB_N(o->account), DB_N(o->folder), DB_N(uid));
    if (rc == RC_OK) {
        *r = (struct row){.id = (uint64_t)db_number(q, 0),
                          .modseq = (uint64_t)db_number(q, 1),
                          .uid = uid,
                          .flags = (uint32_t)db_number(q, 2),
                          .size = (uint32_t)db_number(q, 3)};
        rc = db_bytes_dup(q, 4, o->a, &r->keywords);
    }
    db_done(q);
    return rc;
}

/* The folder's modseq now; RC_NOTFOUND: it is gone. */
static enum rc begin_order(struct db *db, struct change_order *o, struct sequence *seq)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT modseq FROM folder WHERE account = $1 AND id = $2", DB_N(o->account), DB_N(o->folder));

    o->n_out = 0;
    o->changed = false;
    if (rc == RC_OK)
        o->modseq = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc == RC_OK ? sequence_read(db, o->account, seq) : rc;
}

static enum rc end_order(struct db *db, struct change_order *o, const struct folder_delta *d)
{
    if (d->modseq != 0) {
        o->modseq = d->modseq;
        o->changed = true;
    }
    return folder_add_delta(db, o->account, d);
}

/* --- flags --- */

static enum rc new_flags(const struct change_order *o, const struct row *r, uint32_t *flags, struct view *keywords)
{
    switch (o->mode) {
    case FLAGS_ADD:
        *flags = r->flags | o->flags;
        return o->keywords.n > 0 ? keywords_union(r->keywords, o->keywords, o->a, keywords) : RC_OK;
    case FLAGS_REMOVE:
        *flags = r->flags & ~o->flags;
        return o->keywords.n > 0 ? keywords_without(r->keywords, o->keywords, o->a, keywords) : RC_OK;
    case FLAGS_REPLACE:
        *flags = o->flags;
        *keywords = o->keywords;
        break;
    }
    return RC_OK;
}

static enum rc flag_one(struct db *db, struct change_order *o, struct sequence *seq, const struct row *r, struct folder_delta *d)
{
    struct flagged *f = &o->flagged[o->n_out++];
    struct view keywords = r->keywords;
    uint32_t flags = r->flags;
    enum rc rc = new_flags(o, r, &flags, &keywords);

    *f = (struct flagged){.uid = r->uid, .modseq = r->modseq, .flags = r->flags, .keywords = r->keywords};
    if (rc != RC_OK)
        return rc;
    if (r->modseq > o->unchangedsince) {
        f->modified = true;
        return RC_OK;
    }
    if (flags == r->flags && view_eq(keywords, r->keywords))
        return RC_OK;
    rc = sequence_log(db, seq, ROW_FLAGS, o->folder, r->id, r->uid, 0);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE item SET flags = $1, keywords = $2, modseq = $3 WHERE account = $4 AND folder = $5 AND uid = $6",
                     DB_N(flags), DB_T(keywords), DB_N(seq->seq), DB_N(o->account), DB_N(o->folder), DB_N(r->uid));
    folder_delta_count(d, r->flags, 0, -1);
    folder_delta_count(d, flags, 0, 1);
    d->modseq = seq->seq;
    *f = (struct flagged){.uid = r->uid, .modseq = seq->seq, .flags = flags, .keywords = keywords, .changed = true};
    return rc;
}

static enum rc do_flag(struct db *db, void *ctx)
{
    struct change_order *o = ctx;
    struct folder_delta d = {.folder = o->folder};
    struct sequence seq;
    struct row r;
    enum rc rc = begin_order(db, o, &seq);

    for (size_t i = 0; i < o->n && rc == RC_OK; i++) {
        rc = read_row(db, o, o->uids[i], &r);
        if (rc == RC_OK)
            rc = flag_one(db, o, &seq, &r, &d);
        else if (rc == RC_NOTFOUND)
            rc = RC_OK;
    }
    return rc == RC_OK ? end_order(db, o, &d) : rc;
}

enum rc mailbox_flag(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, enum flags_mode mode, uint32_t flags,
                     struct view keywords, uint64_t unchangedsince, struct arena *a, struct flagged **out, size_t *n_out)
{
    struct change_order o = {.account = mb->account, .folder = folder, .uids = uids, .n = n, .a = a, .mode = mode,
                             .flags = flags & FLAGS_ALL, .unchangedsince = unchangedsince,
                             .flagged = arena_new_array(a, n, struct flagged)};
    enum rc rc = o.flagged ? keywords_normalise(keywords, a, &o.keywords) : RC_TEMP;

    if (rc == RC_OK)
        rc = mailbox_txn_sync(mb, do_flag, &o);
    *out = o.flagged;
    *n_out = rc == RC_OK ? o.n_out : 0;
    if (rc == RC_OK && o.changed)
        bus_publish(mb->store, mb->account, folder);
    return rc;
}

/* --- copy and move --- */

/* A new item that shares the blob. */
static enum rc copy_row(struct db *db, struct change_order *o, struct sequence *seq, const struct row *r, uint32_t uid)
{
    enum rc rc = sequence_log(db, seq, ROW_NEW, o->dest, 0, uid, 0);

    if (rc == RC_OK)
        rc = db_exec(db,
                     "INSERT INTO item (account, folder, uid, id, modseq, flags, keywords, internaldate, sent_date, blob, skip,"
                     " size, thread) SELECT account, $1, $2, $3, $3, flags, keywords, internaldate, sent_date, blob, skip, size,"
                     " thread FROM item WHERE account = $4 AND folder = $5 AND uid = $6",
                     DB_N(o->dest), DB_N(uid), DB_N(seq->seq), DB_N(o->account), DB_N(o->folder), DB_N(r->uid));
    if (rc == RC_OK)
        rc = db_exec(db,
                     "INSERT INTO summary (id, account, envelope, structure, parts, message_id, subject_base, refs)"
                     " SELECT $1, account, envelope, structure, parts, message_id, subject_base, refs FROM summary"
                     " WHERE id = $2 AND account = $3", DB_N(seq->seq), DB_N(r->id), DB_N(o->account));
    return rc;
}

/* The item keeps its id: only its folder and UID are new. */
static enum rc move_row(struct db *db, struct change_order *o, struct sequence *seq, const struct row *r, uint32_t uid,
                        struct folder_delta *from)
{
    enum rc rc = sequence_log(db, seq, ROW_GONE, o->folder, r->id, r->uid, 0);

    folder_delta_count(from, r->flags, r->size, -1);
    from->modseq = seq->seq;
    if (rc == RC_OK)
        rc = sequence_log(db, seq, ROW_NEW, o->dest, r->id, uid, 0);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE item SET folder = $1, uid = $2, modseq = $3 WHERE account = $4 AND folder = $5 AND uid = $6",
                     DB_N(o->dest), DB_N(uid), DB_N(seq->seq), DB_N(o->account), DB_N(o->folder), DB_N(r->uid));
    return rc;
}

static enum rc carry(struct db *db, struct change_order *o, struct sequence *seq)
{
    struct folder_delta from = {.folder = o->folder}, to = {.folder = o->dest};
    uint64_t size = 0;
    struct row r;
    uint32_t uid;
    enum rc rc = folder_read_uids(db, o->account, o->dest, &uid, &o->copied->uidvalidity);

    for (size_t i = 0; i < o->n && rc == RC_OK; i++) {
        rc = read_row(db, o, o->uids[i], &r);
        if (rc == RC_NOTFOUND) {
            rc = RC_OK;
            continue;
        }
        size += r.size;
        if (rc == RC_OK && uid == UINT32_MAX)
            rc = RC_LIMIT;
        if (rc == RC_OK && !o->move && size > o->room)
            rc = RC_FULL;
        if (rc == RC_OK)
            rc = o->move ? move_row(db, o, seq, &r, uid, &from) : copy_row(db, o, seq, &r, uid);
        folder_delta_count(&to, r.flags, r.size, 1);
        o->copied->from[o->n_out] = r.uid;
        o->copied->to[o->n_out++] = uid;
        to.modseq = seq->seq;
        to.uidnext = ++uid;
    }
    if (rc == RC_OK)
        rc = folder_add_delta(db, o->account, &to);
    if (o->dest == o->folder && from.modseq != 0) /* both deltas are of one folder: the later number stays */
        from.modseq = to.modseq;
    if (rc == RC_OK)
        rc = end_order(db, o, &from);
    o->changed = o->n_out > 0;
    o->copied->n = o->n_out;
    o->copied->modseq = o->move ? o->modseq : to.modseq;
    return rc;
}

static enum rc do_carry(struct db *db, void *ctx)
{
    struct sequence seq;
    enum rc rc = begin_order(db, ctx, &seq);
    return rc == RC_OK ? carry(db, ctx, &seq) : rc;
}

static enum rc run_carry(struct mailbox *mb, struct change_order *o)
{
    struct copied *out = o->copied;
    o->account = mb->account;
    *out = (struct copied){.from = arena_new_array(o->a, o->n, uint32_t), .to = arena_new_array(o->a, o->n, uint32_t)};
    if (!out->from || !out->to)
        return RC_TEMP;
    enum rc rc = mailbox_txn_sync(mb, do_carry, o);
    if (rc == RC_OK && o->changed) {
        bus_publish(mb->store, mb->account, o->dest);
        if (o->move && o->dest != o->folder)
            bus_publish(mb->store, mb->account, o->folder);
    }
    return rc;
}

enum rc mailbox_copy(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, uint64_t dest, uint64_t room, struct arena *a,
                     struct copied *out)
{
    struct change_order o = {.folder = folder, .dest = dest, .uids = uids, .n = n, .a = a, .room = room, .copied = out};
    return run_carry(mb, &o);
}

enum rc mailbox_move(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, uint64_t dest, struct arena *a,
                     struct copied *out)
{
    struct change_order o = {.folder = folder, .dest = dest, .uids = uids, .n = n, .a = a, .move = true, .copied = out};
    return run_carry(mb, &o);
}

/* UIDs of a folder's live items with all of these flags; into the arena. */
static enum rc list_uids(struct db *db, struct change_order *o, uint32_t flags, uint32_t **out, size_t *n)
{
    uint32_t *uids = NULL;
    size_t room = 0;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT uid FROM item WHERE account = $1 AND folder = $2 AND (flags & $3) = $3 AND state = 0"
                                  " AND is_associated = 0 ORDER BY uid", DB_N(o->account), DB_N(o->folder), DB_N(flags));
    *n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (*n == room) {
            room = room ? 2 * room : 64;
            uint32_t *more = arena_new_array(o->a, room, uint32_t);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            if (*n > 0)
                memcpy(more, uids, *n * sizeof *more);
            uids = more;
        }
        uids[(*n)++] = (uint32_t)db_number(q, 0);
    }
    db_done(q);
    *out = uids;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc items_move_all(struct db *db, struct sequence *seq, uint64_t from, uint64_t to)
{
    struct arena a;
    struct copied copied = {0};
    struct change_order o = {.account = seq->account, .folder = from, .dest = to, .a = &a, .move = true, .copied = &copied};
    uint32_t *uids;

    arena_init(&a, 256u << 20);
    enum rc rc = list_uids(db, &o, 0, &uids, &o.n);
    o.uids = uids;
    copied.from = arena_new_array(&a, o.n, uint32_t);
    copied.to = arena_new_array(&a, o.n, uint32_t);
    if (rc == RC_OK && (!copied.from || !copied.to))
        rc = RC_TEMP;
    if (rc == RC_OK)
        rc = carry(db, &o, seq);
    arena_clear(&a);
    return rc;
}

/* --- removal --- */

static enum rc delete_row(struct db *db, const struct change_order *o, const struct row *r)
{
    enum rc rc = db_exec(db, "DELETE FROM summary WHERE id = $1 AND account = $2", DB_N(r->id), DB_N(o->account));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM item WHERE account = $1 AND folder = $2 AND uid = $3", DB_N(o->account), DB_N(o->folder),
                     DB_N(r->uid));
    return rc;
}

/* Out of the folder, but not out of reach; `number` is that of the log's entry. */
static enum rc keep_row(struct db *db, const struct change_order *o, const struct row *r, uint64_t number)
{
    return db_exec(db, "UPDATE item SET folder = $1, uid = $2, state = 1, deleted_on = $3, origin = $4"
                       " WHERE account = $5 AND folder = $4 AND uid = $6",
                   DB_N(FOLDER_DELETED), DB_N(number), DB_N(o->now_s), DB_N(o->folder), DB_N(o->account), DB_N(r->uid));
}

static enum rc remove_one(struct db *db, struct change_order *o, struct sequence *seq, const struct row *r, struct folder_delta *d)
{
    enum rc rc = sequence_log(db, seq, ROW_GONE, o->folder, r->id, r->uid, 0);

    if (rc == RC_OK)
        rc = o->keep ? keep_row(db, o, r, seq->seq) : delete_row(db, o, r);
    folder_delta_count(d, r->flags, r->size, -1);
    d->modseq = seq->seq;
    o->gone[o->n_out++] = r->uid;
    return rc;
}

static enum rc do_remove(struct db *db, void *ctx)
{
    struct change_order *o = ctx;
    struct folder_delta d = {.folder = o->folder};
    struct sequence seq;
    struct row r;
    const uint32_t *uids = o->uids;
    uint32_t *deleted = NULL;
    size_t n = o->n;
    enum rc rc = begin_order(db, o, &seq);

    if (rc == RC_OK && !uids) {
        rc = list_uids(db, o, FLAG_DELETED, &deleted, &n);
        uids = deleted;
    }
    o->gone = arena_new_array(o->a, n, uint32_t);
    if (!o->gone)
        rc = rc == RC_OK ? RC_TEMP : rc;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = read_row(db, o, uids[i], &r);
        if (rc == RC_OK && (!o->only_deleted || (r.flags & FLAG_DELETED)))
            rc = remove_one(db, o, &seq, &r, &d);
        else if (rc == RC_NOTFOUND)
            rc = RC_OK;
    }
    return rc == RC_OK ? end_order(db, o, &d) : rc;
}

static enum rc run_remove(struct mailbox *mb, struct change_order *o)
{
    o->account = mb->account;
    o->keep = atomic_load(&mb->store->keep_deleted_s) > 0;
    o->now_s = clock_real_s();
    enum rc rc = mailbox_txn_sync(mb, do_remove, o);
    if (rc == RC_OK && o->changed)
        bus_publish(mb->store, mb->account, o->folder);
    return rc;
}

enum rc mailbox_expunge(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, struct arena *a, uint32_t **gone,
                        size_t *n_gone, uint64_t *modseq)
{
    struct change_order o = {.folder = folder, .uids = uids, .n = uids ? n : 0, .a = a, .only_deleted = true};
    enum rc rc = run_remove(mb, &o);

    *gone = o.gone;
    *n_gone = rc == RC_OK ? o.n_out : 0;
    *modseq = o.modseq;
    return rc;
}

enum rc mailbox_remove(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n)
{
    struct arena a;
    struct change_order o = {.folder = folder, .uids = uids, .n = n, .a = &a};

    if (n == 0)
        return RC_OK;
    arena_init(&a, 64u << 20);
    enum rc rc = run_remove(mb, &o);
    arena_clear(&a);
    return rc;
}
