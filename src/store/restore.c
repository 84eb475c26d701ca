/* The ways back from a backup folder (store/backup.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/random.h"
#include "store/backup_internal.h"
#include "store/blob_live.h"
#include "store/db.h"
#include "store/directory.h"
#include "store/rebuild.h"
#include "store/store_internal.h"

#define LOOK_MEMORY  (64u << 20)
#define ITEM_MEMORY  (64u << 20)
#define ROWS_A_LOOK  1000

static void tell(const struct backup_settings *set, uint64_t done)
{
    if (set && set->progress)
        set->progress(set->ctx, done, 0);
}

/* --- everything --- */

struct whole {
    const char *dir, *data;
    const struct backup_settings *set;
    struct backup_stats *stats;
};

static bool is_wanted(const char *name, const char *ending)
{
    return view_ends(view_str(name), view_str(ending)) && name[0] != '.';
}

/* The files of one folder of the backup whose names have one of these endings. */
static enum rc copy_folder(struct whole *w, const char *folder, const char *ending, const char *ending2, uint64_t *n)
{
    char *from = NULL, *to = NULL;
    struct dirent *e;
    DIR *d = NULL;
    int to_fd = -1;
    enum rc rc = RC_TEMP;

    if (asprintf(&from, "%s/%s", w->dir, folder) < 0)
        from = NULL;
    if (asprintf(&to, "%s/%s", w->data, folder) < 0)
        to = NULL;
    if (!from || !to)
        goto done;
    d = opendir(from);
    rc = d ? backup_make_folder(to) : errno == ENOENT ? RC_NOTFOUND : RC_TEMP;
    if (rc != RC_OK)
        goto done;
    to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to_fd < 0)
        rc = RC_TEMP;
    while (rc == RC_OK && (e = readdir(d))) {
        if (!is_wanted(e->d_name, ending) && !(ending2 && is_wanted(e->d_name, ending2)))
            continue;
        rc = backup_copy_file(dirfd(d), e->d_name, to_fd, e->d_name, 0, &w->stats->bytes);
        *n += 1;
        tell(w->set, w->stats->segments + w->stats->accounts);
    }
    if (rc == RC_OK && fsync(to_fd) != 0)
        rc = RC_TEMP;
done:
    if (d)
        closedir(d);
    if (to_fd >= 0)
        close(to_fd);
    free(from);
    free(to);
    return rc;
}

static enum rc copy_one(struct whole *w, const char *name, const char *to)
{
    char *from = NULL;
    enum rc rc = asprintf(&from, "%s/%s", w->dir, name) > 0 ? RC_OK : RC_TEMP;

    if (rc == RC_OK && access(from, F_OK) != 0)
        rc = RC_NOTFOUND;
    if (rc == RC_OK)
        rc = backup_copy_file(AT_FDCWD, from, AT_FDCWD, to, 0, &w->stats->bytes);
    free(from);
    return rc;
}

static enum rc set_guid(struct db *db, void *ctx)
{
    return db_exec(db, "UPDATE mailbox SET replica_guid = $1", DB_B(view_of(ctx, 16)));
}

static enum rc renew_guid(const char *path)
{
    struct db_settings set = {.path = path, .page_bytes = 4096, .cache_kib = 128, .checkpoint_kib = 2048};
    struct db *db = NULL;
    char guid[16];
    enum rc rc = db_open(&set, &db);

    random_bytes(guid, sizeof guid);
    if (rc == RC_OK)
        rc = db_txn(db, set_guid, guid);
    if (rc == RC_OK)
        rc = db_sync(db);
    if (rc == RC_OK)
        rc = db_checkpoint(db);
    db_close(db);
    return rc;
}

static enum rc renew_guids(struct whole *w, const char *folder)
{
    char *path = NULL, *file = NULL;
    struct dirent *e;
    DIR *d = asprintf(&path, "%s/%s", w->data, folder) > 0 ? opendir(path) : NULL;
    enum rc rc = d ? RC_OK : RC_TEMP;

    while (rc == RC_OK && (e = readdir(d))) {
        if (!is_wanted(e->d_name, ".db"))
            continue;
        rc = asprintf(&file, "%s/%s", path, e->d_name) > 0 ? renew_guid(file) : RC_TEMP;
        free(file);
        file = NULL;
    }
    if (d)
        closedir(d);
    free(path);
    return rc;
}

static enum rc copy_accounts(struct whole *w)
{
    char *top = NULL, name[32];
    enum rc rc = asprintf(&top, "%s/accounts", w->data) > 0 ? backup_make_folder(top) : RC_TEMP;

    for (unsigned i = 0; i < 256 && rc == RC_OK; i++) {
        snprintf(name, sizeof name, "accounts/%02x", i);
        rc = copy_folder(w, name, ".db", NULL, &w->stats->accounts);
        if (rc == RC_OK)
            rc = renew_guids(w, name);
        if (rc == RC_NOTFOUND)
            rc = RC_OK;
    }
    if (rc == RC_OK)
        rc = backup_sync_folder(top);
    free(top);
    return rc;
}

static bool has_file(const char *dir, const char *name)
{
    char *path = NULL;
    bool has = asprintf(&path, "%s/%s", dir, name) > 0 && access(path, F_OK) == 0;

    free(path);
    return has;
}

enum rc backup_restore_all(const char *dir, const char *data, const struct backup_settings *set, struct backup_stats *out)
{
    struct whole w = {.dir = dir, .data = data, .set = set, .stats = out};
    char *main_db = NULL, *reports_db = NULL;
    enum rc rc;

    *out = (struct backup_stats){0};
    if (!backup_is_one(dir))
        return RC_NOTFOUND;
    if (has_file(data, "facteur.db") || has_file(data, "accounts"))
        return RC_EXISTS;
    rc = backup_make_folder(data);
    if (rc == RC_OK)
        rc = copy_folder(&w, "blobs", ".seg", ".moved", &out->segments);
    if (rc == RC_OK)
        rc = copy_accounts(&w);
    if (rc == RC_OK)
        rc = asprintf(&reports_db, "%s/reports.db", data) > 0 ? copy_one(&w, "reports.db", reports_db) : RC_TEMP;
    if (rc == RC_NOTFOUND) /* there was none, or the backup is older */
        rc = RC_OK;
    if (rc == RC_OK) /* last: with it the folder is a store */
        rc = asprintf(&main_db, "%s/facteur.db", data) > 0 ? copy_one(&w, "facteur.db", main_db) : RC_TEMP;
    free(main_db);
    free(reports_db);
    return rc == RC_OK ? backup_sync_folder(data) : rc;
}

enum rc backup_restore_vault(const char *dir, const char *vault)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal"};
    struct backup_stats stats = {0};
    struct whole w = {.dir = dir, .stats = &stats};
    char *side = NULL;

    if (!backup_is_one(dir))
        return RC_NOTFOUND;
    for (size_t i = 0; i < 3; i++) { /* of what is replaced */
        if (asprintf(&side, "%s%s", vault, endings[i]) < 0)
            return RC_TEMP;
        unlink(side);
        free(side);
    }
    return copy_one(&w, "vault.db", vault);
}

/* --- one account, one message --- */

/* A message by what it says: body_sum of the blob's record, and the part of it that is the message. */
struct print {
    uint64_t sum;
    uint32_t skip, size;
    bool taken;
};
struct prints {
    struct print *p;
    size_t n, size;
};

struct copy {
    struct store *from, *to;
    struct mailbox *from_mb, *to_mb;
    uint64_t account;     /* in `to` */
    struct prints there;  /* what the account has already, sorted */
    const struct backup_settings *set;
    struct restore_stats *stats;
};

static int compare_prints(const void *a, const void *b)
{
    const struct print *x = a, *y = b;

    if (x->sum != y->sum)
        return x->sum < y->sum ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return x->skip < y->skip ? -1 : x->skip > y->skip;
}

/* RC_NOTFOUND, RC_CORRUPT: it has no readable record. */
static enum rc print_of(struct store *s, const struct item *i, struct print *out)
{
    struct record rec;
    uint64_t at;
    enum rc rc = blobs_find(s->blobs, i->blob, false, &at, &rec);

    if (rc == RC_OK)
        *out = (struct print){rec.body_sum, i->skip, i->size, false};
    return rc;
}

static enum rc add_print(struct prints *all, const struct print *p)
{
    if (all->n == all->size) {
        size_t size = all->size ? 2 * all->size : 1024;
        struct print *more = realloc(all->p, size * sizeof *more);
        if (!more)
            return RC_TEMP;
        all->p = more;
        all->size = size;
    }
    all->p[all->n++] = *p;
    return RC_OK;
}

/* Calls fn for each message of a folder, with these columns. */
static enum rc each_item(struct mailbox *mb, uint64_t folder, unsigned columns,
                         enum rc (*fn)(void *ctx, const struct item *i), void *ctx)
{
    struct arena a;
    struct item *items;
    size_t n = 0;
    uint32_t from = 1;
    enum rc rc;

    arena_init(&a, LOOK_MEMORY);
    do {
        arena_reset(&a);
        rc = mailbox_items(mb, folder, from, UINT32_MAX, 0, columns, ROWS_A_LOOK, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            from = items[i].uid + 1;
            rc = fn(ctx, &items[i]);
        }
    } while (rc == RC_OK && n == ROWS_A_LOOK && from != 0);
    arena_clear(&a);
    return rc;
}

static enum rc note_item(void *ctx, const struct item *i)
{
    struct copy *c = ctx;
    struct print p;

    return print_of(c->to, i, &p) == RC_OK ? add_print(&c->there, &p) : RC_OK; /* damaged ones may come back */
}

/* Is it there, and not yet counted for another copy of the same in the backup? */
static bool take_print(struct prints *all, const struct print *p)
{
    size_t lo = 0, hi = all->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_prints(&all->p[mid], p) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < all->n && compare_prints(&all->p[lo], p) == 0; lo++)
        if (!all->p[lo].taken) {
            all->p[lo].taken = true;
            return true;
        }
    return false;
}

static enum rc copy_item(struct copy *c, const struct item *i, uint64_t folder)
{
    struct new_item item = {.flags = i->flags, .keywords = i->keywords, .internaldate = i->internaldate, .skip = i->skip};
    struct blob blob = {.ref = NULL};
    struct arena a;
    struct born born;
    uint32_t uidvalidity;
    enum rc rc = blob_open(c->from, i->blob, true, &blob);

    if (rc == RC_NOTFOUND || rc == RC_CORRUPT || (rc == RC_OK && (uint64_t)i->skip + i->size > blob.bytes.n)) {
        c->stats->damaged++;
        blob_close(&blob);
        return RC_OK;
    }
    arena_init(&a, ITEM_MEMORY);
    if (rc == RC_OK)
        rc = mailbox_describe(view_slice(blob.bytes, i->skip, i->size), &a, &item);
    if (rc == RC_OK)
        rc = rebuild_copy(c->to, c->account, blob.bytes, 0, &item.blob);
    if (rc == RC_OK)
        rc = blob_sync(c->to);
    if (rc == RC_OK)
        rc = mailbox_append(c->to_mb, folder, &item, 1, &born, &uidvalidity);
    if (rc == RC_OK)
        c->stats->messages++;
    blob_close(&blob);
    arena_clear(&a);
    return rc;
}

struct folder_copy {
    struct copy *c;
    uint64_t to;
    uint32_t uid;            /* of the only one wanted; 0: see message_id */
    struct view message_id;  /* empty: all */
    bool found;
};

static enum rc restore_item(void *ctx, const struct item *i)
{
    struct folder_copy *f = ctx;
    struct print p;

    if (f->uid > 0 ? i->uid != f->uid : f->message_id.n > 0 && !view_eq(i->message_id, f->message_id))
        return RC_OK;
    f->found = true;
    tell(f->c->set, f->c->stats->messages + f->c->stats->present);
    if (print_of(f->c->from, i, &p) != RC_OK) {
        f->c->stats->damaged++;
        return RC_OK;
    }
    if (take_print(&f->c->there, &p)) {
        f->c->stats->present++;
        return RC_OK;
    }
    return copy_item(f->c, i, f->to);
}

static void sort_prints(struct prints *all)
{
    if (all->n > 0)
        qsort(all->p, all->n, sizeof *all->p, compare_prints);
}

static enum rc note_account(struct copy *c)
{
    struct folder *folders;
    struct arena a;
    size_t n = 0;
    enum rc rc;

    arena_init(&a, LOOK_MEMORY);
    rc = mailbox_folders(c->to_mb, &a, &folders, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = each_item(c->to_mb, folders[i].id, ITEM_FLAGS, note_item, c);
    arena_clear(&a);
    sort_prints(&c->there);
    return rc;
}

/* The account in the running store; made again where it was removed. */
static enum rc find_account(struct copy *c, const struct directory_account *was, struct arena *a)
{
    struct directory_account now;
    enum rc rc = directory_account(c->to, was->address, a, &now);

    c->account = now.id;
    if (rc != RC_NOTFOUND)
        return rc;
    size_t at = view_rchr(was->address, '@');
    rc = directory_domain_add(c->to, view_from(was->address, at == VIEW_NONE ? 0 : at + 1));
    if (rc == RC_OK || rc == RC_EXISTS)
        rc = directory_account_add(c->to, was->address, &c->account);
    if (rc == RC_OK)
        rc = directory_account_set_role(c->to, was->address, was->role);
    c->stats->account_made = rc == RC_OK;
    return rc;
}

static enum rc begin_copy(struct copy *c, const char *dir, struct store *s, struct view address, struct arena *a)
{
    struct store_settings set = {.data = dir, .node = "restore"};
    struct directory_account was;
    const char *why = NULL;
    struct view normal;
    enum rc rc = backup_is_one(dir) ? RC_OK : RC_NOTFOUND;

    c->to = s;
    if (rc == RC_OK)
        rc = directory_normalise(address, a, &normal);
    if (rc == RC_OK)
        rc = store_open(&set, a, &c->from, &why);
    if (rc == RC_OK)
        rc = directory_account(c->from, normal, a, &was);
    if (rc == RC_OK)
        rc = mailbox_open(c->from, was.id, &c->from_mb);
    if (rc == RC_OK)
        rc = find_account(c, &was, a);
    if (rc == RC_OK)
        rc = mailbox_open(s, c->account, &c->to_mb);
    return rc;
}

static void end_copy(struct copy *c)
{
    mailbox_close(c->to_mb);
    mailbox_close(c->from_mb);
    store_close(c->from);
    free(c->there.p);
}

enum rc backup_restore_account(const char *dir, struct store *s, struct view address, const struct backup_settings *set,
                               struct restore_stats *out)
{
    struct copy c = {.stats = out, .set = set};
    struct folder *folders;
    struct arena a;
    size_t n = 0;
    enum rc rc;

    *out = (struct restore_stats){0};
    arena_init(&a, LOOK_MEMORY);
    rc = begin_copy(&c, dir, s, address, &a);
    if (rc == RC_OK)
        rc = note_account(&c);
    if (rc == RC_OK)
        rc = mailbox_folders(c.from_mb, &a, &folders, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++) { /* sorted by path: parents come first */
        struct folder_copy f = {.c = &c};
        rc = rebuild_folder(c.to_mb, folders[i].path, folders[i].role, &a, &f.to);
        if (rc == RC_OK && folders[i].subscribed)
            rc = mailbox_folder_subscribe(c.to_mb, folders[i].path, true);
        if (rc == RC_OK)
            rc = each_item(c.from_mb, folders[i].id, ITEM_FLAGS, restore_item, &f);
        out->folders++;
    }
    end_copy(&c);
    arena_clear(&a);
    return rc;
}

enum rc backup_restore_message(const char *dir, struct store *s, struct view address, struct view folder, uint32_t uid,
                               struct view message_id, struct restore_stats *out)
{
    struct copy c = {.stats = out};
    struct folder_copy f = {.c = &c, .uid = uid, .message_id = message_id};
    struct folder was;
    struct arena a;
    enum rc rc;

    *out = (struct restore_stats){0};
    if (f.message_id.n > 1 && f.message_id.p[0] == '<' && view_ends(f.message_id, VIEW(">")))
        f.message_id = view_slice(f.message_id, 1, f.message_id.n - 2);
    if (uid == 0 && f.message_id.n == 0)
        return RC_NOTFOUND;
    arena_init(&a, LOOK_MEMORY);
    rc = begin_copy(&c, dir, s, address, &a);
    if (rc == RC_OK)
        rc = mailbox_folder(c.from_mb, folder, &a, &was);
    if (rc == RC_OK)
        rc = rebuild_folder(c.to_mb, was.path, was.role, &a, &f.to);
    if (rc == RC_OK)
        rc = each_item(c.to_mb, f.to, ITEM_FLAGS, note_item, &c);
    sort_prints(&c.there);
    if (rc == RC_OK)
        rc = each_item(c.from_mb, was.id, ITEM_THREADING, restore_item, &f);
    out->folders = 1;
    if (rc == RC_OK && !f.found)
        rc = RC_NOTFOUND;
    if (rc == RC_OK && out->messages == 0)
        rc = out->present > 0 ? RC_EXISTS : RC_CORRUPT;
    end_copy(&c);
    arena_clear(&a);
    return rc;
}
