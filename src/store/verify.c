#include "store/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/blob_live.h"
#include "store/blob_moved.h"
#include "store/db_file.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/mailbox_deleted.h"
#include "store/mailbox_internal.h"
#include "store/mailq.h"
#include "store/store_internal.h"

#define ACCOUNTS_MEMORY (1u << 30)
#define ROWS_A_LOOK     1000
#define ROWS_MEMORY     (64u << 20)
#define RETRIES         3 /* a young record that looks damaged is looked at again */
#define RETRY_MS        50
#define RETRY_YOUNG_S   60

struct run {
    struct store *s;
    struct blobs *b;
    const struct verify_settings *set;
    struct verify_stats *stats;
    struct arena arena; /* accounts */
    struct directory_account *accounts;
    size_t n_accounts;
    uint32_t *segments;
    size_t n_segments;
    struct id_set rows;   /* what rows refer to */
    struct id_set live;   /* and where that is */
    struct id_set whole;  /* records that are what they should be */
    struct id_set broken; /* records with damaged bodies */
    int64_t young_after_s;
    uint64_t done, all;
};

const char *finding_name(enum finding_kind kind)
{
    static const char *const names[] = {"database",     "segment",       "table",         "blob",         "item-missing",
                                        "item-damaged", "queue-missing", "queue-damaged", "unreferenced", "gap"};
    return names[kind];
}

bool finding_is_damage(enum finding_kind kind)
{
    return kind < FINDING_UNREFERENCED;
}

static void tell(struct run *r, const struct finding *f)
{
    if (finding_is_damage(f->kind))
        r->stats->damage++;
    if (f->kind == FINDING_UNREFERENCED) {
        r->stats->unreferenced++;
        r->stats->unreferenced_bytes += f->size;
    }
    r->set->found(r->set->ctx, f);
}

/* --- databases --- */

struct database {
    struct run *r;
    struct finding f;
};

static void tell_database(void *ctx, struct view what)
{
    struct database *d = ctx;

    d->f.text = what;
    tell(d->r, &d->f);
}

static void check_database(struct run *r, const char *path, const struct directory_account *account)
{
    struct database d = {.r = r, .f = {.kind = FINDING_DATABASE, .file = view_str(path)}};
    enum rc rc;

    if (account) {
        d.f.account = account->id;
        d.f.address = account->address;
    }
    rc = db_file_check(path, tell_database, &d);
    r->stats->databases++;
    if (rc == RC_NOTFOUND)
        tell_database(&d, VIEW("there is no such file"));
    else if (rc != RC_OK && rc != RC_CORRUPT)
        tell_database(&d, VIEW("cannot be read"));
}

static enum rc check_databases(struct run *r)
{
    char *path = store_path(r->s, "facteur.db");

    if (!path)
        return RC_TEMP;
    check_database(r, path, NULL);
    free(path);
    if (!(path = store_path(r->s, "reports.db")))
        return RC_TEMP;
    if (access(path, F_OK) == 0) /* made with the first report */
        check_database(r, path, NULL);
    free(path);
    for (size_t i = 0; i < r->n_accounts; i++) {
        path = mailbox_path(r->s, r->accounts[i].id);
        if (!path)
            return RC_TEMP;
        check_database(r, path, &r->accounts[i]);
        free(path);
    }
    return RC_OK;
}

/* --- what rows refer to; a mailbox that cannot be read was told of already --- */

static enum rc gather_rows(struct run *r)
{
    uint64_t *ids = NULL;
    size_t n = 0;
    enum rc rc = RC_OK;

    if (mailq_blobs(r->s, &ids, &n) == RC_OK)
        rc = id_set_add(&r->rows, ids, n);
    free(ids);
    for (size_t i = 0; i < r->n_accounts && rc == RC_OK; i++) {
        struct mailbox *mb = NULL;
        ids = NULL;
        if (mailbox_open(r->s, r->accounts[i].id, &mb) == RC_OK && mailbox_blobs(mb, &ids, &n) == RC_OK)
            rc = id_set_add(&r->rows, ids, n);
        free(ids);
        mailbox_close(mb);
    }
    ids = NULL;
    if (rc == RC_OK && mailq_blobs(r->s, &ids, &n) == RC_OK)
        rc = id_set_add(&r->rows, ids, n);
    free(ids);
    id_set_order(&r->rows);
    return rc;
}

/* --- segments --- */

static bool is_readable(struct run *r, uint64_t id)
{
    struct record rec;
    uint64_t final_id;

    return blobs_find(r->b, id, true, &final_id, &rec) == RC_OK;
}

/* Somebody may be writing it while we read. */
static bool is_whole_after_all(struct run *r, uint64_t id, int64_t time_s)
{
    for (int i = 0; i < RETRIES && time_s >= clock_real_s() - RETRY_YOUNG_S; i++) {
        if (is_readable(r, id))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
    return false;
}

static enum rc check_record(struct run *r, const char *name, struct view file, uint32_t number, const struct record *rec)
{
    uint64_t id = blob_id(number, rec->offset);
    struct finding f = {.kind = FINDING_BLOB, .file = view_str(name), .blob = id, .size = rec->size, .account = rec->owner};

    r->stats->blobs++;
    r->stats->bytes += rec->size;
    if (record_body_sum(record_body(file, rec)) != rec->body_sum && !is_whole_after_all(r, id, rec->time_s)) {
        tell(r, &f);
        return id_set_add(&r->broken, &id, 1);
    }
    if (!id_set_has(&r->live, id) && rec->time_s < r->young_after_s) {
        f.kind = FINDING_UNREFERENCED;
        tell(r, &f);
    }
    return id_set_add(&r->whole, &id, 1);
}

static enum rc check_segment(struct run *r, uint32_t number)
{
    struct view file;
    struct segment_head head;
    struct record rec;
    uint64_t unreadable = 0, gap = 0, at = SEGMENT_HEAD;
    char name[24];
    struct finding f = {.kind = FINDING_SEGMENT};
    enum rc rc;

    blobs_name(number, "seg", name);
    f.file = view_str(name);
    rc = blobs_load(r->b->dir_fd, name, &file, &unreadable);
    if (rc == RC_TEMP)
        f.text = VIEW("cannot be read");
    else if (unreadable > 0)
        f.text = VIEW("the disk does not give all of it");
    if (f.text.n > 0)
        tell(r, &f);
    if (rc != RC_OK)
        return RC_OK; /* RC_NOTFOUND: its rows will say so */
    r->stats->segments++;
    if (segment_head_parse(file, &head) != RC_OK || head.number != number) {
        f.text = VIEW("its head is damaged");
        tell(r, &f);
        if (segment_guess_salt(file, &head.salt) != RC_OK)
            file.n = file.n < SEGMENT_HEAD ? file.n : SEGMENT_HEAD; /* nothing in it to be found */
    }
    size_t all = file.n;
    while (rc == RC_OK && record_next(file, head.salt, &at, &rec, &gap) == RC_OK)
        rc = check_record(r, name, file, number, &rec);
    file.n = all;
    if (gap > 0) {
        f = (struct finding){.kind = FINDING_GAP, .file = view_str(name), .size = gap};
        tell(r, &f);
    }
    r->done += file.n;
    blobs_unload(&file);
    if (r->set->progress)
        r->set->progress(r->set->ctx, r->done, r->all);
    return rc;
}

static enum rc check_segments(struct run *r)
{
    enum rc rc = RC_OK;
    struct stat st;
    char name[24];

    for (size_t i = 0; i < r->n_segments; i++) {
        blobs_name(r->segments[i], "seg", name);
        if (fstatat(r->b->dir_fd, name, &st, 0) == 0)
            r->all += (uint64_t)st.st_size;
    }
    for (size_t i = 0; i < r->n_segments && rc == RC_OK; i++)
        rc = check_segment(r, r->segments[i]);
    id_set_order(&r->whole);
    id_set_order(&r->broken);
    return rc;
}

static enum rc check_tables(struct run *r)
{
    uint32_t *tables = NULL;
    size_t n = 0, entries;
    const struct moved *m;
    enum rc rc = blobs_list(r->b, "moved", &tables, &n);

    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct view file;
        uint64_t unreadable = 0;
        char name[24];
        blobs_name(tables[i], "moved", name);
        if (blobs_load(r->b->dir_fd, name, &file, &unreadable) != RC_OK ||
            moved_parse(file, tables[i], &m, &entries) != RC_OK)
            tell(r, &(struct finding){.kind = FINDING_TABLE, .file = view_str(name), .text = VIEW("is damaged")});
        blobs_unload(&file);
    }
    free(tables);
    return rc;
}

/* --- rows --- */

enum blob_state { BLOB_WHOLE, BLOB_BROKEN, BLOB_LOST };
static enum blob_state state_of(struct run *r, uint64_t id)
{
    struct id_set one = {.ids = &id, .n = 1}, at = {0};
    enum blob_state state = BLOB_LOST;

    if (live_resolve(r->b, &one, r->segments, r->n_segments, &at) == RC_OK && at.n == 1)
        state = id_set_has(&r->whole, at.ids[0])    ? BLOB_WHOLE
                : id_set_has(&r->broken, at.ids[0]) ? BLOB_BROKEN
                : is_readable(r, id)                ? BLOB_WHOLE /* written since its segment was read */
                                                    : BLOB_LOST;
    else if (is_readable(r, id))
        state = BLOB_WHOLE;
    id_set_clear(&at);
    return state;
}

static enum rc check_folder(struct run *r, struct mailbox *mb, const struct directory_account *account,
                            const struct folder *folder)
{
    struct arena a;
    struct item *items;
    size_t n;
    uint32_t from = 1;
    enum rc rc;

    arena_init(&a, ROWS_MEMORY);
    do {
        rc = mailbox_items(mb, folder->id, from, UINT32_MAX, 0, ITEM_FLAGS, ROWS_A_LOOK, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            enum blob_state state = state_of(r, items[i].blob);
            r->stats->items++;
            from = items[i].uid + 1;
            if (state != BLOB_WHOLE)
                tell(r, &(struct finding){.kind = state == BLOB_LOST ? FINDING_ITEM_MISSING : FINDING_ITEM_DAMAGED,
                                          .blob = items[i].blob, .size = items[i].size, .account = account->id,
                                          .address = account->address, .folder = folder->path, .uid = items[i].uid});
        }
        arena_reset(&a);
    } while (rc == RC_OK && n == ROWS_A_LOOK && from != 0);
    arena_clear(&a);
    return rc;
}

/* Those that can still be had back. */
static enum rc check_deleted(struct run *r, struct mailbox *mb, const struct directory_account *account)
{
    struct arena a;
    struct deleted_item *items;
    size_t n;
    uint64_t before = 0;
    enum rc rc;

    arena_init(&a, ROWS_MEMORY);
    do {
        rc = mailbox_deleted(mb, before, ROWS_A_LOOK, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            enum blob_state state = state_of(r, items[i].blob);
            before = items[i].id;
            if (state != BLOB_WHOLE)
                tell(r, &(struct finding){.kind = state == BLOB_LOST ? FINDING_ITEM_MISSING : FINDING_ITEM_DAMAGED,
                                          .blob = items[i].blob, .size = items[i].size, .account = account->id,
                                          .address = account->address, .text = VIEW("a deleted message")});
        }
        arena_reset(&a);
    } while (rc == RC_OK && n == ROWS_A_LOOK);
    arena_clear(&a);
    return rc;
}

static void check_mailbox(struct run *r, const struct directory_account *account)
{
    struct mailbox *mb = NULL;
    struct folder *folders;
    struct arena a;
    size_t n = 0;
    enum rc rc = mailbox_open(r->s, account->id, &mb);

    arena_init(&a, ROWS_MEMORY);
    if (rc == RC_OK)
        rc = mailbox_folders(mb, &a, &folders, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = check_folder(r, mb, account, &folders[i]);
    if (rc == RC_OK)
        rc = check_deleted(r, mb, account);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        tell(r, &(struct finding){.kind = FINDING_DATABASE, .account = account->id, .address = account->address,
                                  .text = VIEW("its folders and messages cannot all be read")});
    mailbox_close(mb);
    arena_clear(&a);
}

static enum rc check_queue(struct run *r)
{
    struct arena a;
    uint64_t *ids, after = 0;
    size_t n;
    struct mailq_message m;
    enum rc rc;

    arena_init(&a, ROWS_MEMORY);
    do {
        arena_reset(&a);
        rc = mailq_list(r->s, after, ROWS_A_LOOK, &a, &ids, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            after = ids[i];
            enum rc got = mailq_message(r->s, ids[i], &a, &m);
            if (got != RC_OK)
                continue; /* sent since */
            r->stats->queued++;
            enum blob_state state = state_of(r, m.blob);
            if (state != BLOB_WHOLE && mailq_message(r->s, ids[i], &a, &m) == RC_OK)
                tell(r, &(struct finding){.kind = state == BLOB_LOST ? FINDING_QUEUE_MISSING : FINDING_QUEUE_DAMAGED,
                                          .message = ids[i], .blob = m.blob, .size = m.size});
        }
    } while (rc == RC_OK && n == ROWS_A_LOOK);
    arena_clear(&a);
    return rc;
}

enum rc store_verify(struct store *s, const struct verify_settings *set, struct verify_stats *out)
{
    struct run r = {.s = s, .b = s->blobs, .set = set, .stats = out};
    int64_t young = set->young_s ? set->young_s : VERIFY_YOUNG_S;
    int lock = -1;
    enum rc rc = blobs_lock(r.b, false, &lock);

    *out = (struct verify_stats){0};
    arena_init(&r.arena, ACCOUNTS_MEMORY);
    r.young_after_s = young > 0 ? clock_real_s() - young : INT64_MAX;
    if (rc != RC_OK)
        goto done;
    if (directory_accounts(s, VIEW(""), &r.arena, &r.accounts, &r.n_accounts) != RC_OK)
        tell(&r, &(struct finding){.kind = FINDING_DATABASE, .file = VIEW("facteur.db"), .text = VIEW("cannot list accounts")});
    rc = check_databases(&r);
    if (rc == RC_OK)
        rc = blobs_list(r.b, "seg", &r.segments, &r.n_segments);
    if (rc == RC_OK)
        rc = gather_rows(&r);
    if (rc == RC_OK)
        rc = live_resolve(r.b, &r.rows, r.segments, r.n_segments, &r.live);
    if (rc == RC_OK)
        rc = check_segments(&r);
    if (rc == RC_OK)
        rc = check_tables(&r);
    for (size_t i = 0; i < r.n_accounts && rc == RC_OK; i++)
        check_mailbox(&r, &r.accounts[i]);
    if (rc == RC_OK && check_queue(&r) != RC_OK)
        tell(&r, &(struct finding){.kind = FINDING_DATABASE, .file = VIEW("facteur.db"), .text = VIEW("cannot list the queue")});
done:
    id_set_clear(&r.rows);
    id_set_clear(&r.live);
    id_set_clear(&r.whole);
    id_set_clear(&r.broken);
    free(r.segments);
    arena_clear(&r.arena);
    if (lock >= 0)
        close(lock);
    return rc;
}
