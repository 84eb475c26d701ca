/* store/mailbox_folder: the folders of an account. A row knows its parent and its own name; paths are put together
 * when asked for. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "store/bus.h"
#include "store/mailbox_internal.h"
#include "store/store_internal.h"

#define FOLDER_COLUMNS                                                                                                 \
    "id, parent, role, kind, uidvalidity, uidnext, modseq, n_exists, n_unseen, n_deleted, n_bytes, recent_from,"       \
    " subscribed, name"

struct folder_question {
    uint64_t account;
    struct view path;
    uint64_t id;
    enum folder_role role;
    struct arena *a;
    struct folder *out;
    size_t n, room;
    bool on;
    uint32_t recent_from;
};

/* With `path` holding the name only. */
static enum rc take_row(struct db_query *q, struct arena *a, struct folder *f)
{
    *f = (struct folder){.id = (uint64_t)db_number(q, 0),
                         .parent = (uint64_t)db_number(q, 1),
                         .role = (enum folder_role)db_number(q, 2),
                         .kind = (enum folder_kind)db_number(q, 3),
                         .uidvalidity = (uint32_t)db_number(q, 4),
                         .uidnext = (uint32_t)db_number(q, 5),
                         .modseq = (uint64_t)db_number(q, 6),
                         .exists = (uint32_t)db_number(q, 7),
                         .unseen = (uint32_t)db_number(q, 8),
                         .deleted = (uint32_t)db_number(q, 9),
                         .bytes = (uint64_t)db_number(q, 10),
                         .recent_from = (uint32_t)db_number(q, 11),
                         .subscribed = db_number(q, 12) != 0};
    return db_bytes_dup(q, 13, a, &f->path);
}

/* --- paths --- */

/* The next level of a path; at the top "inbox" in any case is INBOX (RFC 3501 §5.1). */
static struct view next_level(struct view *path, bool top)
{
    struct view level;

    view_split(path, '/', &level);
    return top && view_ieq(level, VIEW("INBOX")) ? VIEW("INBOX") : level;
}

static enum rc check_path(struct view path)
{
    size_t depth = 1;
    struct view level;

    if (!utf8_is_valid(path) || view_has_ctl(path) || view_ends(path, VIEW("/")))
        return RC_SYNTAX;
    do {
        level = next_level(&path, false);
        if (level.n == 0 || view_eq(level, VIEW(".")) || view_eq(level, VIEW("..")))
            return RC_SYNTAX;
        if (level.n > FOLDER_NAME_MAX || depth++ > FOLDER_DEPTH_MAX)
            return RC_LIMIT;
    } while (path.n > 0);
    return RC_OK;
}

static enum rc find_child(struct db *db, uint64_t account, uint64_t parent, struct view name, uint64_t *id)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM folder WHERE account = $1 AND parent = $2 AND name = $3", DB_N(account),
                          DB_N(parent), DB_T(name));
    if (rc == RC_OK)
        *id = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc;
}

static enum rc find_path(struct db *db, uint64_t account, struct view path, uint64_t *id)
{
    uint64_t parent = 0;
    enum rc rc;

    do {
        struct view level = next_level(&path, parent == 0);
        rc = find_child(db, account, parent, level, id);
        parent = *id;
    } while (rc == RC_OK && path.n > 0);
    return rc;
}

static enum rc join(struct arena *a, struct view left, struct view right, struct view *out)
{
    char *text = arena_alloc(a, left.n + 1 + right.n);

    if (!text)
        return RC_TEMP;
    memcpy(text, left.p, left.n);
    text[left.n] = '/';
    memcpy(text + left.n + 1, right.p, right.n);
    *out = view_of(text, left.n + 1 + right.n);
    return RC_OK;
}

enum rc folder_read(struct db *db, uint64_t account, uint64_t id, struct arena *a, struct folder *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " FOLDER_COLUMNS " FROM folder WHERE account = $1 AND id = $2", DB_N(account), DB_N(id));

    if (rc == RC_OK)
        rc = take_row(q, a, out);
    db_done(q);
    uint64_t parent = out->parent;
    for (int depth = 0; rc == RC_OK && parent != 0; depth++) {
        struct view name;
        rc = depth > FOLDER_DEPTH_MAX ? RC_CORRUPT
                                      : db_first(db, &q, "SELECT parent, name FROM folder WHERE account = $1 AND id = $2",
                                                 DB_N(account), DB_N(parent));
        if (rc != RC_OK)
            return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
        parent = (uint64_t)db_number(q, 0);
        rc = db_bytes_dup(q, 1, a, &name);
        db_done(q);
        if (rc == RC_OK)
            rc = join(a, name, out->path, &out->path);
    }
    if (rc != RC_OK)
        return rc;
    rc = db_first(db, &q, "SELECT 1 FROM folder WHERE account = $1 AND parent = $2 LIMIT 1", DB_N(account), DB_N(id));
    out->has_children = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* --- all of them --- */

static int by_path(const void *a, const void *b)
{
    return view_cmp(((const struct folder *)a)->path, ((const struct folder *)b)->path);
}

/* Rows are by id here. */
static struct folder *find_id(struct folder_question *x, uint64_t id)
{
    size_t low = 0, high = x->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (x->out[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < x->n && x->out[low].id == id ? &x->out[low] : NULL;
}

static enum rc load_rows(struct db *db, struct folder_question *x)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT " FOLDER_COLUMNS " FROM folder WHERE account = $1 ORDER BY id", DB_N(x->account));

    x->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (x->n == x->room) {
            x->room = x->room ? 2 * x->room : 16;
            struct folder *more = arena_new_array(x->a, x->room, struct folder);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            if (x->n > 0)
                memcpy(more, x->out, x->n * sizeof *more);
            x->out = more;
        }
        rc = take_row(q, x->a, &x->out[x->n++]);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* RC_LIMIT: deeper than FOLDER_DEPTH_MAX, which also ends a circle. */
static enum rc put_paths(struct folder_question *x)
{
    struct view *paths = arena_new_array(x->a, x->n, struct view);

    if (!paths)
        return RC_TEMP;
    for (size_t i = 0; i < x->n; i++) {
        int depth = 1;
        paths[i] = x->out[i].path;
        for (uint64_t parent = x->out[i].parent; parent != 0; depth++) {
            struct folder *up = find_id(x, parent);
            if (!up)
                return RC_CORRUPT;
            if (depth >= FOLDER_DEPTH_MAX)
                return RC_LIMIT;
            if (join(x->a, up->path, paths[i], &paths[i]) != RC_OK)
                return RC_TEMP;
            up->has_children = true;
            parent = up->parent;
        }
    }
    for (size_t i = 0; i < x->n; i++)
        x->out[i].path = paths[i];
    return RC_OK;
}

static enum rc look_at_folders(struct db *db, void *ctx)
{
    struct folder_question *x = ctx;
    enum rc rc = load_rows(db, x);
    size_t n = 0;

    if (rc == RC_OK)
        rc = put_paths(x);
    if (rc != RC_OK)
        return rc == RC_LIMIT ? RC_CORRUPT : rc;
    for (size_t i = 0; i < x->n; i++) {
        if (x->out[i].kind == KIND_MAIL)
            x->out[n++] = x->out[i];
    }
    x->n = n;
    if (n > 0)
        qsort(x->out, n, sizeof *x->out, by_path);
    return RC_OK;
}

enum rc mailbox_folders(struct mailbox *mb, struct arena *a, struct folder **out, size_t *n)
{
    struct folder_question x = {.account = mb->account, .a = a};
    enum rc rc = mailbox_look(mb, look_at_folders, &x);

    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* --- one --- */

static enum rc look_at_path(struct db *db, void *ctx)
{
    struct folder_question *x = ctx;
    enum rc rc = find_path(db, x->account, x->path, &x->id);
    return rc == RC_OK ? folder_read(db, x->account, x->id, x->a, x->out) : rc;
}

enum rc mailbox_folder(struct mailbox *mb, struct view path, struct arena *a, struct folder *out)
{
    struct folder_question x = {.account = mb->account, .path = path, .a = a, .out = out};
    return check_path(path) == RC_OK ? mailbox_look(mb, look_at_path, &x) : RC_NOTFOUND;
}

static enum rc look_at_id(struct db *db, void *ctx)
{
    struct folder_question *x = ctx;
    return folder_read(db, x->account, x->id, x->a, x->out);
}

enum rc mailbox_folder_by_id(struct mailbox *mb, uint64_t id, struct arena *a, struct folder *out)
{
    struct folder_question x = {.account = mb->account, .id = id, .a = a, .out = out};
    return mailbox_look(mb, look_at_id, &x);
}

static enum rc find_role(struct db *db, uint64_t account, enum folder_role role, uint64_t *id)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM folder WHERE account = $1 AND role = $2 ORDER BY id LIMIT 1", DB_N(account),
                          DB_N(role));
    if (rc == RC_OK)
        *id = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc;
}

static enum rc look_at_role(struct db *db, void *ctx)
{
    struct folder_question *x = ctx;
    enum rc rc = find_role(db, x->account, x->role, &x->id);
    return rc == RC_OK ? folder_read(db, x->account, x->id, x->a, x->out) : rc;
}

enum rc mailbox_folder_by_role(struct mailbox *mb, enum folder_role role, struct arena *a, struct folder *out)
{
    struct folder_question x = {.account = mb->account, .role = role, .a = a, .out = out};
    return role == FOLDER_PLAIN ? RC_NOTFOUND : mailbox_look(mb, look_at_role, &x);
}

/* --- counters --- */

enum rc folder_read_uids(struct db *db, uint64_t account, uint64_t folder, uint32_t *uidnext, uint32_t *uidvalidity)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT uidnext, uidvalidity FROM folder WHERE account = $1 AND id = $2", DB_N(account),
                          DB_N(folder));
    if (rc == RC_OK) {
        *uidnext = (uint32_t)db_number(q, 0);
        *uidvalidity = (uint32_t)db_number(q, 1);
    }
    db_done(q);
    return rc;
}

void folder_delta_count(struct folder_delta *d, uint32_t flags, uint32_t size, int sign)
{
    d->exists += sign;
    d->unseen += flags & FLAG_SEEN ? 0 : sign;
    d->deleted += flags & FLAG_DELETED ? sign : 0;
    d->bytes += sign * (int64_t)size;
}

enum rc folder_add_delta(struct db *db, uint64_t account, const struct folder_delta *d)
{
    if (d->modseq == 0)
        return RC_OK; /* nothing happened */
    return db_exec(db,
                   "UPDATE folder SET modseq = $1, uidnext = CASE WHEN $2 > 0 THEN $2 ELSE uidnext END,"
                   " n_exists = n_exists + $3, n_unseen = n_unseen + $4, n_deleted = n_deleted + $5, n_bytes = n_bytes + $6"
                   " WHERE account = $7 AND id = $8",
                   DB_N(d->modseq), DB_N(d->uidnext), DB_N(d->exists), DB_N(d->unseen), DB_N(d->deleted), DB_N(d->bytes),
                   DB_N(account), DB_N(d->folder));
}

/* --- making, renaming, deleting --- */

struct folder_order {
    uint64_t account;
    struct view path, to;
    enum folder_role role;
    struct arena *a;
    struct sequence seq;
    uint64_t id;
    uint64_t touched; /* folder whose items changed too; 0: none */
    bool on;
    bool keep; /* what is in it can be had back */
};

/* Never given out twice in an account, so that a name that comes back cannot be taken for what it was (RFC 3501 §2.3.1.1). */
static enum rc next_uidvalidity(struct db *db, uint64_t account, int64_t *out)
{
    struct db_query *q;
    int64_t now = clock_real_s();
    enum rc rc = db_first(db, &q, "SELECT uidvalidity FROM mailbox WHERE account = $1", DB_N(account));

    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
    int64_t last = db_number(q, 0);
    db_done(q);
    *out = last >= now ? last + 1 : now;
    return db_exec(db, "UPDATE mailbox SET uidvalidity = $1 WHERE account = $2", DB_N(*out), DB_N(account));
}

static enum rc insert_folder(struct db *db, struct folder_order *o, uint64_t parent, struct view name, enum folder_role role,
                             uint64_t *id)
{
    int64_t uidvalidity;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT count(*) FROM folder WHERE account = $1", DB_N(o->account));

    if (rc == RC_OK && db_number(q, 0) >= FOLDERS_MAX)
        rc = RC_LIMIT;
    db_done(q);
    if (rc == RC_OK)
        rc = next_uidvalidity(db, o->account, &uidvalidity);
    *id = o->seq.seq + 1;
    if (rc == RC_OK)
        rc = sequence_log(db, &o->seq, ROW_FOLDER, *id, *id, 0, 0);
    if (rc != RC_OK)
        return rc;
    return db_exec(db,
                   "INSERT INTO folder (account, id, parent, name, role, kind, container_class, subscribed, uidvalidity, cn,"
                   " uidnext, modseq, n_exists, n_unseen, n_deleted, n_bytes, recent_from)"
                   " VALUES ($1, $2, $3, $4, $5, $6, 'IPF.Note', 0, $7, $2, 1, $2, 0, 0, 0, 0, 1)",
                   DB_N(o->account), DB_N(*id), DB_N(parent), DB_T(name), DB_N(role), DB_N(KIND_MAIL), DB_N(uidvalidity));
}

/* Makes what is missing of the levels above; gives the last level's name and parent. RC_EXISTS: it is there. */
static enum rc make_parents(struct db *db, struct folder_order *o, struct view path, uint64_t *parent, struct view *name)
{
    uint64_t id = 0;

    *parent = 0;
    for (;;) {
        *name = next_level(&path, *parent == 0);
        enum rc rc = find_child(db, o->account, *parent, *name, &id);
        if (path.n == 0)
            return rc == RC_NOTFOUND ? RC_OK : rc == RC_OK ? RC_EXISTS : rc;
        if (rc == RC_NOTFOUND)
            rc = insert_folder(db, o, *parent, *name, FOLDER_PLAIN, &id);
        if (rc != RC_OK)
            return rc;
        *parent = id;
    }
}

static enum rc do_create(struct db *db, void *ctx)
{
    struct folder_order *o = ctx;
    uint64_t parent, other;
    struct view name;
    enum rc rc = sequence_read(db, o->account, &o->seq);

    if (rc == RC_OK)
        rc = make_parents(db, o, o->path, &parent, &name);
    if (rc == RC_OK && o->role != FOLDER_PLAIN) {
        rc = find_role(db, o->account, o->role, &other);
        rc = rc == RC_OK ? RC_DENIED : rc == RC_NOTFOUND ? RC_OK : rc;
    }
    return rc == RC_OK ? insert_folder(db, o, parent, name, o->role, &o->id) : rc;
}

static enum rc run_order(struct mailbox *mb, struct folder_order *o, db_fn fn)
{
    struct arena a;

    arena_init(&a, 64u << 20);
    o->account = mb->account;
    o->keep = atomic_load(&mb->store->keep_deleted_s) > 0;
    o->a = &a;
    enum rc rc = mailbox_txn_sync(mb, fn, o);
    arena_clear(&a);
    if (rc == RC_OK) {
        bus_publish(mb->store, mb->account, o->id);
        if (o->touched != 0)
            bus_publish(mb->store, mb->account, o->touched);
    }
    return rc;
}

enum rc mailbox_folder_create(struct mailbox *mb, struct view path, enum folder_role role, uint64_t *id)
{
    struct folder_order o = {.path = path, .role = role};
    enum rc rc = check_path(path);

    if (rc == RC_OK)
        rc = run_order(mb, &o, do_create);
    *id = rc == RC_OK ? o.id : 0;
    return rc;
}

/* Renaming INBOX makes a folder and moves what is in INBOX; its children stay (RFC 3501 §6.3.5). */
static enum rc rename_inbox(struct db *db, struct folder_order *o, uint64_t parent, struct view name)
{
    uint64_t to;
    enum rc rc = insert_folder(db, o, parent, name, FOLDER_PLAIN, &to);

    o->id = to;
    o->touched = FOLDER_INBOX;
    return rc == RC_OK ? items_move_all(db, &o->seq, FOLDER_INBOX, to) : rc;
}

static enum rc do_rename(struct db *db, void *ctx)
{
    struct folder_order *o = ctx;
    struct folder_question all = {.account = o->account, .a = o->a};
    uint64_t parent;
    struct view name;
    enum rc rc = sequence_read(db, o->account, &o->seq);

    if (rc == RC_OK)
        rc = find_path(db, o->account, o->path, &o->id);
    if (rc == RC_OK)
        rc = make_parents(db, o, o->to, &parent, &name);
    if (rc != RC_OK)
        return rc;
    if (o->id == FOLDER_INBOX)
        return rename_inbox(db, o, parent, name);
    rc = sequence_log(db, &o->seq, ROW_FOLDER, o->id, o->id, 0, 0);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE folder SET parent = $1, name = $2, cn = $3 WHERE account = $4 AND id = $5", DB_N(parent),
                     DB_T(name), DB_N(o->seq.seq), DB_N(o->account), DB_N(o->id));
    if (rc == RC_OK)
        rc = load_rows(db, &all);
    return rc == RC_OK ? put_paths(&all) : rc; /* what hangs below may be too deep now */
}

enum rc mailbox_folder_rename(struct mailbox *mb, struct view from, struct view to)
{
    struct folder_order o = {.path = from, .to = to};
    enum rc rc = check_path(from) == RC_OK ? check_path(to) : RC_NOTFOUND;

    if (rc == RC_OK && to.n > from.n && to.p[from.n] == '/' && view_starts(to, from) && !view_ieq(from, VIEW("INBOX")))
        rc = RC_DENIED; /* below itself */
    return rc == RC_OK ? run_order(mb, &o, do_rename) : rc;
}

static enum rc delete_items(struct db *db, const struct folder_order *o)
{
    enum rc rc = db_exec(db, "DELETE FROM summary WHERE account = $1 AND id IN"
                             " (SELECT id FROM item WHERE account = $1 AND folder = $2)", DB_N(o->account), DB_N(o->id));
    return rc == RC_OK ? db_exec(db, "DELETE FROM item WHERE account = $1 AND folder = $2", DB_N(o->account), DB_N(o->id)) : rc;
}

/* All at once: each takes the number that lies its UID above the sequence, which goes on behind them. */
static enum rc keep_items(struct db *db, struct folder_order *o, const struct folder *f)
{
    enum rc rc = db_exec(db, "UPDATE item SET folder = $1, uid = uid + $2, state = 1, deleted_on = $3, origin = $4"
                             " WHERE account = $5 AND folder = $4",
                         DB_N(FOLDER_DELETED), DB_N(o->seq.seq), DB_N(clock_real_s()), DB_N(o->id), DB_N(o->account));
    o->seq.seq += f->uidnext;
    return rc;
}

static enum rc do_delete(struct db *db, void *ctx)
{
    struct folder_order *o = ctx;
    struct folder f;
    enum rc rc = sequence_read(db, o->account, &o->seq);

    if (rc == RC_OK)
        rc = find_path(db, o->account, o->path, &o->id);
    if (rc == RC_OK)
        rc = folder_read(db, o->account, o->id, o->a, &f);
    if (rc != RC_OK)
        return rc;
    if (f.role == FOLDER_INBOX || f.has_children)
        return RC_DENIED;
    rc = o->keep ? keep_items(db, o, &f) : delete_items(db, o);
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM folder WHERE account = $1 AND id = $2", DB_N(o->account), DB_N(o->id));
    return rc == RC_OK ? sequence_log(db, &o->seq, ROW_FOLDER, o->id, o->id, 0, 0) : rc;
}

enum rc mailbox_folder_delete(struct mailbox *mb, struct view path)
{
    struct folder_order o = {.path = path};
    return check_path(path) == RC_OK ? run_order(mb, &o, do_delete) : RC_NOTFOUND;
}

static enum rc do_subscribe(struct db *db, void *ctx)
{
    struct folder_order *o = ctx;
    enum rc rc = sequence_read(db, o->account, &o->seq);

    if (rc == RC_OK)
        rc = find_path(db, o->account, o->path, &o->id);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE folder SET subscribed = $1 WHERE account = $2 AND id = $3 AND subscribed <> $1", DB_N(o->on),
                     DB_N(o->account), DB_N(o->id));
    if (rc != RC_OK || db_changed(db) == 0)
        return rc;
    return sequence_log(db, &o->seq, ROW_FOLDER, o->id, o->id, 0, 0);
}

enum rc mailbox_folder_subscribe(struct mailbox *mb, struct view path, bool on)
{
    struct folder_order o = {.path = path, .on = on};
    return check_path(path) == RC_OK ? run_order(mb, &o, do_subscribe) : RC_NOTFOUND;
}

static enum rc do_claim(struct db *db, void *ctx)
{
    struct folder_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT recent_from, uidnext FROM folder WHERE account = $1 AND id = $2", DB_N(x->account),
                          DB_N(x->id));
    if (rc != RC_OK)
        return rc;
    x->recent_from = (uint32_t)db_number(q, 0);
    x->on = db_number(q, 1) != db_number(q, 0);
    db_done(q);
    if (!x->on)
        return RC_OK;
    return db_exec(db, "UPDATE folder SET recent_from = uidnext WHERE account = $1 AND id = $2", DB_N(x->account), DB_N(x->id));
}

/* Nobody is promised that \Recent survives a power cut. */
enum rc mailbox_folder_claim_recent(struct mailbox *mb, uint64_t folder, uint32_t *recent_from)
{
    struct folder_question x = {.account = mb->account, .id = folder};
    enum rc rc = mailbox_txn(mb, do_claim, &x);

    *recent_from = x.recent_from;
    return rc;
}
