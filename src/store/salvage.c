#include "store/salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/backup_internal.h"
#include "store/db_file.h"
#include "store/mailbox_deleted.h"
#include "store/mailbox_internal.h"
#include "store/mailq.h"
#include "store/rebuild.h"
#include "store/salvage_internal.h"
#include "store/store_internal.h"

#define MEMORY      (1u << 30)
#define ITEM_MEMORY (64u << 20)
#define ROWS_A_LOOK 1000

void salvage_tell(struct salvage *s, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    if (!s->set->tell)
        return;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (text)
        s->set->tell(s->set->ctx, view_str(text));
    free(text);
}

/* --- databases --- */

enum rc salvage_copy_database(const char *from, const char *to)
{
    char *from_log = NULL, *to_log = NULL;
    enum rc rc = access(from, F_OK) == 0 ? RC_OK : RC_NOTFOUND;

    if (rc == RC_OK)
        rc = backup_copy_file(AT_FDCWD, from, AT_FDCWD, to, 0, NULL);
    if (rc == RC_OK && (asprintf(&from_log, "%s-wal", from) < 0 || asprintf(&to_log, "%s-wal", to) < 0))
        rc = RC_TEMP;
    if (rc == RC_OK && access(from_log, F_OK) == 0)
        rc = backup_copy_file(AT_FDCWD, from_log, AT_FDCWD, to_log, 0, NULL);
    free(from_log);
    free(to_log);
    return rc;
}

/* The copy of one that is damaged, with its log, to NAME.damaged. */
static enum rc set_aside(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char *from = NULL, *to = NULL;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < 3 && rc == RC_OK; i++) {
        if (asprintf(&from, "%s%s", path, endings[i]) < 0)
            from = NULL;
        if (asprintf(&to, "%s.damaged%s", path, endings[i]) < 0)
            to = NULL;
        if (!from || !to || (rename(from, to) != 0 && errno != ENOENT))
            rc = RC_TEMP;
        free(from);
        free(to);
        from = to = NULL;
    }
    return rc;
}

static void tell_database(void *ctx, struct view what)
{
    struct salvage *s = ctx;

    salvage_tell(s, "    %.*s", VIEW_FMT(what));
}

/* *whole: taken as it is; else what there is of it is beside as NAME.damaged. */
static enum rc take_database(struct salvage *s, const char *name, bool *whole)
{
    char *from = NULL, *to = NULL;
    enum rc rc = RC_TEMP;

    *whole = false;
    if (asprintf(&from, "%s/%s", s->from, name) < 0)
        from = NULL;
    if (asprintf(&to, "%s/%s", s->to, name) < 0)
        to = NULL;
    if (from && to)
        rc = salvage_copy_database(from, to);
    if (rc == RC_NOTFOUND || rc == RC_TEMP) {
        salvage_tell(s, "%s: %s", name, rc == RC_NOTFOUND ? "is missing" : "cannot be read");
        s->stats->databases_damaged++;
        rc = RC_OK;
        goto done;
    }
    s->stats->databases++;
    if (rc == RC_OK) {
        rc = db_file_check(to, NULL, NULL);
        *whole = rc == RC_OK;
        if (rc == RC_CORRUPT || rc == RC_TEMP) {
            salvage_tell(s, "%s: is damaged", name);
            (void)db_file_check(to, tell_database, s);
            s->stats->databases_damaged++;
            rc = set_aside(to);
        }
    }
done:
    free(from);
    free(to);
    return rc;
}

/* Reports of others: whole, or they begin anew beside what is left. */
static enum rc take_reports(struct salvage *s)
{
    char *path = NULL;
    bool whole;
    enum rc rc = asprintf(&path, "%s/reports.db", s->from) > 0 ? RC_OK : RC_TEMP;

    if (rc == RC_OK && access(path, F_OK) == 0)
        rc = take_database(s, "reports.db", &whole);
    free(path);
    return rc;
}

/* The numbers of the accounts whose databases there are. */
static enum rc list_mailboxes(const char *data, struct id_set *out)
{
    struct dirent *e;
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < 256 && rc == RC_OK; i++) {
        char *path = NULL;
        DIR *d = asprintf(&path, "%s/accounts/%02x", data, i) > 0 ? opendir(path) : NULL;
        while (d && rc == RC_OK && (e = readdir(d))) {
            char *end;
            uint64_t id = strtoull(e->d_name, &end, 16);
            if (end != e->d_name && strcmp(end, ".db") == 0 && id > 0 && id <= INT64_MAX && (id & 0xff) == i)
                rc = id_set_add(out, &id, 1);
        }
        if (d)
            closedir(d);
        free(path);
    }
    id_set_order(out);
    return rc;
}

static enum rc take_mailboxes(struct salvage *s, const struct id_set *all, struct id_set *damaged)
{
    char name[64], *path = NULL;
    bool whole;
    enum rc rc = asprintf(&path, "%s/accounts", s->to) > 0 ? backup_make_folder(path) : RC_TEMP;

    free(path);
    for (size_t i = 0; i < all->n && rc == RC_OK; i++) {
        path = NULL;
        rc = asprintf(&path, "%s/accounts/%02x", s->to, (unsigned)(all->ids[i] & 0xff)) > 0 ? backup_make_folder(path) : RC_TEMP;
        free(path);
        snprintf(name, sizeof name, "accounts/%02x/%llx.db", (unsigned)(all->ids[i] & 0xff), (unsigned long long)all->ids[i]);
        if (rc == RC_OK)
            rc = take_database(s, name, &whole);
        if (rc == RC_OK && !whole)
            rc = id_set_add(damaged, &all->ids[i], 1);
    }
    id_set_order(damaged);
    return rc;
}

/* --- accounts --- */

struct lost_account {
    uint64_t id;
    struct view address;
};
static enum rc add_account(struct db *db, void *ctx)
{
    struct lost_account *l = ctx;
    enum rc rc = db_exec(db, "INSERT INTO domain (name, created_s) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                         DB_T(VIEW(SALVAGE_DOMAIN)), DB_N(clock_real_s()));
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO account (id, address, domain, role, created_s, quota, disabled)"
                         " VALUES ($1, $2, $3, $4, $5, 0, 0)",
                     DB_N(l->id), DB_T(l->address), DB_T(VIEW(SALVAGE_DOMAIN)), DB_N(ROLE_USER), DB_N(clock_real_s()));
    return rc;
}

static enum rc fit_counter(struct db *db, void *ctx)
{
    const uint64_t *highest = ctx; /* the counter's value is the next number */

    return db_exec(db, "UPDATE counter SET value = $1 WHERE name = 'account' AND value < $1", DB_N(*highest + 1));
}

/* facteur.db of the new folder: as it was, or from its readable rows; with an account for each mailbox. */
static enum rc mend_domain(struct salvage *s, const struct id_set *mailboxes, bool whole)
{
    struct db_settings set = {.page_bytes = 4096, .cache_kib = 1024, .checkpoint_kib = 4096};
    char *path = store_path(s->store, "facteur.db"), *damaged = store_path(s->store, "facteur.db.damaged"), text[64];
    struct directory_account *accounts;
    struct arena a;
    struct db *db = NULL;
    uint64_t highest = mailboxes->n > 0 ? mailboxes->ids[mailboxes->n - 1] : 0;
    size_t n = 0;
    enum rc rc = path && damaged ? RC_OK : RC_TEMP;

    arena_init(&a, MEMORY);
    set.path = path;
    if (rc == RC_OK)
        rc = db_open(&set, &db);
    if (rc == RC_OK && !whole && access(damaged, F_OK) == 0)
        rc = salvage_domain_rows(s, damaged, db);
    if (rc == RC_OK)
        rc = directory_accounts(s->store, VIEW(""), &a, &accounts, &n);
    for (size_t i = 0; i < mailboxes->n && rc == RC_OK; i++) {
        struct lost_account l = {.id = mailboxes->ids[i]};
        size_t k = 0;
        while (k < n && accounts[k].id != l.id)
            k++;
        if (k < n)
            continue;
        snprintf(text, sizeof text, "%llx@" SALVAGE_DOMAIN, (unsigned long long)l.id);
        l.address = view_str(text);
        rc = db_txn(db, add_account, &l);
        s->stats->accounts_renamed++;
        salvage_tell(s, "accounts/%02x/%llx.db: its address is lost; it is %s now", (unsigned)(l.id & 0xff),
                     (unsigned long long)l.id, text);
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        if (accounts[i].id > highest)
            highest = accounts[i].id;
    if (rc == RC_OK)
        rc = db_txn(db, fit_counter, &highest);
    if (rc == RC_OK)
        rc = db_sync(db);
    db_close(db);
    arena_clear(&a);
    free(path);
    free(damaged);
    return rc;
}

/* --- messages --- */

struct account {
    struct salvage *s;
    uint64_t id;
    struct mailbox *mb;
};

/* RC_NOTFOUND: there is no such message in the blob. */
static enum rc add_message(struct account *x, uint64_t folder, uint64_t blob, uint32_t skip, uint64_t size, uint32_t flags,
                           struct view keywords, int64_t internaldate)
{
    struct new_item item = {.blob = blob, .skip = skip, .flags = flags, .keywords = keywords, .internaldate = internaldate};
    struct blob body = {.ref = NULL};
    struct arena a;
    struct born born;
    uint32_t uidvalidity;
    enum rc rc = blob_open(x->s->store, blob, true, &body);

    arena_init(&a, ITEM_MEMORY);
    if (rc == RC_OK && (skip > body.bytes.n || size > body.bytes.n - skip))
        rc = RC_NOTFOUND;
    if (rc == RC_OK)
        rc = mailbox_describe(view_slice(body.bytes, skip, size), &a, &item);
    if (rc == RC_OK)
        rc = mailbox_append(x->mb, folder, &item, 1, &born, &uidvalidity);
    if (rc == RC_SYNTAX || rc == RC_LIMIT) { /* damaged keywords */
        item.keywords = VIEW("");
        rc = mailbox_append(x->mb, folder, &item, 1, &born, &uidvalidity);
    }
    blob_close(&body);
    arena_clear(&a);
    return rc;
}

static const struct damaged_folder *find_folder(const struct damaged_mailbox *m, uint64_t id)
{
    for (size_t i = 0; i < m->n_folders; i++)
        if (m->folders[i].id == id)
            return &m->folders[i];
    return NULL;
}

static bool write_path(const struct damaged_mailbox *m, uint64_t id, int depth, struct buf *out)
{
    const struct damaged_folder *f = find_folder(m, id);

    if (!f || depth > FOLDER_DEPTH_MAX)
        return false;
    if (f->parent != 0) {
        if (!write_path(m, f->parent, depth + 1, out))
            return false;
        buf_chr(out, '/');
    }
    buf_str(out, f->name);
    return true;
}

/* Where the items of a folder go: the same path; for one whose name is lost a folder below SALVAGE_FOLDER. */
static enum rc place_folder(struct account *x, const struct damaged_mailbox *m, uint64_t id, uint64_t *out)
{
    const struct damaged_folder *f = find_folder(m, id);
    struct folder standard;
    struct buf path;
    struct arena a;
    enum rc rc = RC_NOTFOUND;

    arena_init(&a, 1u << 20);
    buf_init(&path, FOLDER_DEPTH_MAX * (FOLDER_NAME_MAX + 1) + 64);
    if (!f && id >= FOLDER_INBOX && id <= FOLDER_ARCHIVE)
        rc = mailbox_folder_by_role(x->mb, (enum folder_role)id, &a, &standard);
    if (rc == RC_OK) {
        *out = standard.id;
        goto done;
    }
    rc = RC_SYNTAX;
    if (write_path(m, id, 0, &path) && buf_rc(&path) == RC_OK)
        rc = rebuild_folder(x->mb, buf_view(&path), f->role, &a, out);
    if (rc == RC_SYNTAX || rc == RC_LIMIT || rc == RC_EXISTS) {
        buf_clear(&path);
        buf_printf(&path, SALVAGE_FOLDER "/%llu", (unsigned long long)id);
        rc = rebuild_folder(x->mb, buf_view(&path), FOLDER_PLAIN, &a, out);
    }
done:
    buf_clear(&path);
    arena_clear(&a);
    return rc;
}

/* The readable rows of a damaged mailbox into the new one. */
static enum rc add_rows(struct account *x)
{
    struct damaged_mailbox m = {0};
    uint64_t folder = 0, from = 0;
    char *path = mailbox_path(x->s->store, x->id), *damaged = NULL;
    enum rc rc = path && asprintf(&damaged, "%s.damaged", path) > 0 ? RC_OK : RC_TEMP;

    if (rc == RC_OK && access(damaged, F_OK) == 0)
        rc = salvage_mailbox_rows(damaged, x->id, &m);
    if (rc == RC_CORRUPT)
        rc = RC_OK; /* its messages come from blobs alone */
    for (size_t i = 0; i < m.n_folders && rc == RC_OK; i++)
        rc = place_folder(x, &m, m.folders[i].id, &folder);
    for (size_t i = 0; i < m.n_items && rc == RC_OK; i++) {
        const struct damaged_item *d = &m.items[i];
        if (folder == 0 || from != d->folder) {
            from = d->folder;
            rc = place_folder(x, &m, from, &folder);
        }
        if (rc == RC_OK)
            rc = add_message(x, folder, d->blob, d->skip, d->size, d->flags, view_str(d->keywords), d->internaldate);
        if (rc == RC_OK)
            x->s->stats->messages++;
        if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
            x->s->stats->lost++;
            rc = RC_OK;
        }
    }
    salvage_mailbox_clear(&m);
    free(damaged);
    free(path);
    return rc;
}

/* Takes out the rows whose blobs are lost. */
static enum rc drop_lost_of(struct account *x, uint64_t folder)
{
    struct arena a;
    struct item *items;
    uint32_t lost[ROWS_A_LOOK], from = 1;
    size_t n, n_lost;
    struct record rec;
    uint64_t at;
    enum rc rc;

    arena_init(&a, ITEM_MEMORY);
    do {
        arena_reset(&a);
        n_lost = 0;
        rc = mailbox_items(x->mb, folder, from, UINT32_MAX, 0, ITEM_FLAGS, ROWS_A_LOOK, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            from = items[i].uid + 1;
            if (blobs_find(x->s->store->blobs, items[i].blob, false, &at, &rec) != RC_OK ||
                (uint64_t)items[i].skip + items[i].size > rec.size)
                lost[n_lost++] = items[i].uid;
        }
        if (rc == RC_OK && n_lost > 0)
            rc = mailbox_remove(x->mb, folder, lost, n_lost);
        x->s->stats->messages += n - n_lost;
        x->s->stats->lost += n_lost;
    } while (rc == RC_OK && n == ROWS_A_LOOK && from != 0);
    arena_clear(&a);
    return rc;
}

/* The same for those that can still be had back; they are no loss to anybody who has not missed them. */
static enum rc drop_lost_deleted(struct account *x)
{
    struct arena a;
    struct deleted_item *items;
    uint64_t lost[ROWS_A_LOOK], before = 0, at;
    size_t n, n_lost;
    struct record rec;
    enum rc rc;

    arena_init(&a, ITEM_MEMORY);
    do {
        arena_reset(&a);
        n_lost = 0;
        rc = mailbox_deleted(x->mb, before, ROWS_A_LOOK, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            before = items[i].id;
            if (blobs_find(x->s->store->blobs, items[i].blob, false, &at, &rec) != RC_OK ||
                (uint64_t)items[i].skip + items[i].size > rec.size)
                lost[n_lost++] = items[i].id;
        }
        if (rc == RC_OK)
            rc = mailbox_forget(x->mb, lost, n_lost);
    } while (rc == RC_OK && n == ROWS_A_LOOK);
    arena_clear(&a);
    return rc;
}

static enum rc drop_lost(struct account *x)
{
    struct arena a;
    struct folder *folders;
    size_t n = 0;
    enum rc rc;

    arena_init(&a, ITEM_MEMORY);
    rc = mailbox_folders(x->mb, &a, &folders, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = drop_lost_of(x, folders[i].id);
    if (rc == RC_OK)
        rc = drop_lost_deleted(x);
    arena_clear(&a);
    return rc;
}

/* Messages of a damaged mailbox that no row tells of. `used`: blobs that rows refer to; `prints`: theirs, so that the
 * second copy which an interrupted compaction leaves is not taken for another message. */
static enum rc add_orphans(struct account *x, const struct id_set *used, const struct id_set *prints)
{
    struct id_set wanted = {0}; /* prints, each to be added once */
    struct salvage *s = x->s;
    struct arena a;
    uint64_t folder = 0;
    bool *added = NULL;
    enum rc rc = RC_OK;

    arena_init(&a, 1u << 20);
    for (size_t i = 0; i < s->n_blobs && rc == RC_OK; i++)
        if (s->blobs[i].owner == x->id && !id_set_has(used, s->blobs[i].id) && !id_set_has(prints, s->blobs[i].print))
            rc = id_set_add(&wanted, &s->blobs[i].print, 1);
    id_set_order(&wanted);
    added = calloc(wanted.n + 1, sizeof *added);
    if (!added)
        rc = RC_TEMP;
    if (rc == RC_OK && wanted.n > 0)
        rc = rebuild_folder(x->mb, VIEW(SALVAGE_FOLDER), FOLDER_PLAIN, &a, &folder);
    for (size_t i = 0; i < s->n_blobs && rc == RC_OK; i++) {
        const struct kept_blob *k = &s->blobs[i];
        size_t w = id_set_from(&wanted, k->print);
        if (k->owner != x->id || w == wanted.n || wanted.ids[w] != k->print || added[w])
            continue;
        rc = add_message(x, folder, k->id, 0, k->size, 0, VIEW(""), k->time_s);
        added[w] = rc == RC_OK;
        s->stats->from_blobs += rc == RC_OK;
        if (rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_LIMIT)
            rc = RC_OK;
    }
    free(added);
    id_set_clear(&wanted);
    arena_clear(&a);
    return rc;
}

static enum rc drop_lost_queue(struct salvage *s)
{
    struct arena a;
    uint64_t *ids, after = 0, n_rcpts, at;
    struct mailq_message m;
    struct record rec;
    size_t n;
    enum rc rc;

    arena_init(&a, ITEM_MEMORY);
    do {
        arena_reset(&a);
        rc = mailq_list(s->store, after, ROWS_A_LOOK, &a, &ids, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            after = ids[i];
            if (mailq_message(s->store, ids[i], &a, &m) == RC_OK &&
                blobs_find(s->store->blobs, m.blob, false, &at, &rec) == RC_OK) {
                s->stats->queued++;
                continue;
            }
            s->stats->queued_lost++;
            rc = mailq_remove(s->store, ids[i], &n_rcpts);
            if (rc == RC_NOTFOUND)
                rc = RC_OK;
        }
    } while (rc == RC_OK && n == ROWS_A_LOOK);
    arena_clear(&a);
    return rc;
}

/* What all rows refer to, where it is, and what it says. */
static enum rc gather_used(struct salvage *s, struct id_set *used, struct id_set *prints)
{
    struct id_set rows = {0};
    uint32_t *segments = NULL;
    size_t n = 0;
    enum rc rc = live_gather(s->store, &rows);

    if (rc == RC_OK)
        rc = blobs_list(s->store->blobs, "seg", &segments, &n);
    if (rc == RC_OK)
        rc = live_resolve(s->store->blobs, &rows, segments, n, used);
    for (size_t i = 0; i < used->n && rc == RC_OK; i++) {
        const struct kept_blob *k = salvage_find_blob(s, used->ids[i]);
        if (k)
            rc = id_set_add(prints, &k->print, 1);
    }
    id_set_order(prints);
    id_set_clear(&rows);
    free(segments);
    return rc;
}

static void count_ownerless(struct salvage *s, const struct directory_account *accounts, size_t n, const struct id_set *used)
{
    for (size_t i = 0; i < s->n_blobs; i++) {
        size_t k = 0;
        while (k < n && accounts[k].id != s->blobs[i].owner)
            k++;
        if (k == n && !id_set_has(used, s->blobs[i].id))
            s->stats->ownerless++;
    }
}

static enum rc mend_mailboxes(struct salvage *s, const struct id_set *damaged, const struct id_set *there)
{
    struct directory_account *accounts;
    struct id_set used = {0}, prints = {0};
    struct arena a;
    size_t n = 0;
    enum rc rc;

    arena_init(&a, MEMORY);
    rc = directory_accounts(s->store, VIEW(""), &a, &accounts, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct account x = {.s = s, .id = accounts[i].id};
        bool is_whole = id_set_has(there, x.id) && !id_set_has(damaged, x.id);
        if (!is_whole)
            rc = mailbox_make(s->store, x.id);
        if (rc == RC_OK)
            rc = mailbox_open(s->store, x.id, &x.mb);
        if (rc == RC_OK)
            rc = is_whole ? drop_lost(&x) : add_rows(&x);
        mailbox_close(x.mb);
        s->stats->accounts++;
    }
    if (rc == RC_OK)
        rc = drop_lost_queue(s);
    if (rc == RC_OK)
        rc = gather_used(s, &used, &prints);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct account x = {.s = s, .id = accounts[i].id};
        if (id_set_has(there, x.id) && !id_set_has(damaged, x.id))
            continue;
        rc = mailbox_open(s->store, x.id, &x.mb);
        if (rc == RC_OK)
            rc = add_orphans(&x, &used, &prints);
        mailbox_close(x.mb);
    }
    count_ownerless(s, accounts, n, &used);
    id_set_clear(&used);
    id_set_clear(&prints);
    arena_clear(&a);
    return rc;
}

enum rc salvage_run(const char *from, const char *to, const struct salvage_settings *set, struct salvage_stats *out)
{
    struct salvage s = {.from = from, .to = to, .set = set, .stats = out};
    struct store_settings store = {.data = to, .node = "salvage"};
    struct id_set mailboxes = {0}, damaged = {0};
    const char *why = NULL;
    bool domain_whole = false;
    struct arena a;
    enum rc rc;

    *out = (struct salvage_stats){0};
    arena_init(&a, 1u << 20);
    if (access(from, R_OK | X_OK) != 0)
        return RC_NOTFOUND;
    if (!backup_is_empty(to))
        return RC_EXISTS;
    rc = backup_make_folder(to);
    if (rc == RC_OK)
        rc = salvage_blobs(&s);
    if (rc == RC_OK)
        rc = list_mailboxes(from, &mailboxes);
    if (rc == RC_OK)
        rc = take_mailboxes(&s, &mailboxes, &damaged);
    if (rc == RC_OK)
        rc = take_reports(&s);
    if (rc == RC_OK)
        rc = take_database(&s, "facteur.db", &domain_whole);
    if (rc == RC_OK)
        rc = store_open(&store, &a, &s.store, &why);
    if (rc != RC_OK && why)
        salvage_tell(&s, "%s", why);
    if (rc == RC_OK)
        rc = mend_domain(&s, &mailboxes, domain_whole);
    if (rc == RC_OK)
        rc = mend_mailboxes(&s, &damaged, &mailboxes);
    if (rc == RC_OK)
        rc = store_settle(s.store);
    store_close(s.store);
    id_set_clear(&mailboxes);
    id_set_clear(&damaged);
    free(s.blobs);
    arena_clear(&a);
    return rc;
}
