/* store/handles: open account databases, kept for the next who asks. */
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "store/mailbox_internal.h"
#include "store/mailq_internal.h"
#include "store/schema.h"
#include "store/store_internal.h"

#define BUCKETS       256 /* power of two */
#define SYNC_EACH_MAX 3   /* more dirty databases than this: one syncfs instead */
#define MAINTAIN_MAX  64  /* databases looked at a call */

struct mailboxes {
    pthread_mutex_t mutex; /* guards all below and the marked fields of struct mailbox; never held over I/O */
    struct mailbox *buckets[BUCKETS];
    size_t count; /* in the table */
    struct mailbox *oldest, *newest; /* idle ones */
    struct mailbox *dirty;
    pthread_mutex_t settling; /* one settle at a time: who comes second may rely on the first one's work */
    int data_fd;              /* of the folder, for syncfs */
    size_t next_maintained;   /* bucket */
};

static const struct db_settings account_db = {.page_bytes = 1024, .cache_kib = 96, .checkpoint_kib = 512, .keep_log = true};

/* --- files --- */

static char *folder_path(const struct store *s, uint64_t account)
{
    char name[32];
    snprintf(name, sizeof name, "accounts/%02x", (unsigned)(account & 0xff));
    return store_path(s, name);
}

char *mailbox_path(const struct store *s, uint64_t account)
{
    char name[64];
    snprintf(name, sizeof name, "accounts/%02x/%llx.db", (unsigned)(account & 0xff), (unsigned long long)account);
    return store_path(s, name);
}

static enum rc sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum rc rc = fd >= 0 && fsync(fd) == 0 ? RC_OK : RC_TEMP;
    if (fd >= 0)
        close(fd);
    return rc;
}

static enum rc make_folders(struct store *s, uint64_t account)
{
    char *top = store_path(s, "accounts");
    char *sub = folder_path(s, account);
    enum rc rc = top && sub ? RC_OK : RC_TEMP;

    if (rc == RC_OK && mkdir(top, 0700) < 0 && errno != EEXIST)
        rc = errno == ENOSPC ? RC_FULL : RC_TEMP;
    if (rc == RC_OK && mkdir(sub, 0700) < 0 && errno != EEXIST)
        rc = errno == ENOSPC ? RC_FULL : RC_TEMP;
    if (rc == RC_OK)
        rc = sync_folder(s->data);
    if (rc == RC_OK)
        rc = sync_folder(top);
    free(top);
    free(sub);
    return rc;
}

static enum rc fill_new(struct db *db, void *ctx)
{
    static const struct {
        enum folder_role role;
        const char *name;
    } standard[] = {{FOLDER_INBOX, "INBOX"}, {FOLDER_DRAFTS, "Drafts"}, {FOLDER_SENT, "Sent"},
                    {FOLDER_JUNK, "Junk"},   {FOLDER_TRASH, "Trash"},   {FOLDER_ARCHIVE, "Archive"}};
    uint64_t account = *(uint64_t *)ctx;
    uint8_t guid[3][16];
    int64_t now = clock_real_s();
    struct sequence seq = {account, MAILBOX_FIRST_SEQ - 1, 0};

    random_bytes(guid, sizeof guid);
    enum rc rc = db_exec(db, "INSERT INTO mailbox (account, mailbox_guid, replica_guid, mapping_guid, uidvalidity, log_from,"
                             " created_s) VALUES ($1, $2, $3, $4, $5, 0, $6)",
                         DB_N(account), DB_B(view_of(guid[0], 16)), DB_B(view_of(guid[1], 16)), DB_B(view_of(guid[2], 16)),
                         DB_N(now + FOLDER_ARCHIVE), DB_N(now));
    if (rc == RC_OK)
        rc = sequence_log(db, &seq, ROW_FOLDER, FOLDER_INBOX, 0, 0, 0);
    for (size_t i = 0; i < sizeof standard / sizeof standard[0] && rc == RC_OK; i++)
        rc = db_exec(db, "INSERT INTO folder (account, id, parent, name, role, kind, container_class, subscribed, uidvalidity,"
                         " cn, uidnext, modseq, n_exists, n_unseen, n_deleted, n_bytes, recent_from)"
                         " VALUES ($1, $2, 0, $3, $4, $5, 'IPF.Note', 1, $6, $7, 1, $7, 0, 0, 0, 0, 1)",
                     DB_N(account), DB_N(standard[i].role), DB_T(view_str(standard[i].name)), DB_N(standard[i].role),
                     DB_N(KIND_MAIL), DB_N(now + standard[i].role), DB_N(seq.seq));
    return rc;
}

enum rc mailbox_make(struct store *s, uint64_t account)
{
    char *path = mailbox_path(s, account), *folder = folder_path(s, account);
    struct db_settings set = account_db;
    struct db *db = NULL;
    struct arena a;
    const char *why = NULL;
    enum rc rc = path && folder ? make_folders(s, account) : RC_TEMP;

    arena_init(&a, 1u << 16);
    set.path = path;
    set.create = true;
    if (rc == RC_OK)
        rc = db_open(&set, &db);
    if (rc == RC_OK)
        rc = schema_bring(db, &schema_account, path, &a, &why);
    if (rc == RC_OK)
        rc = db_txn(db, fill_new, &account);
    if (rc == RC_OK)
        rc = db_sync(db);
    db_close(db);
    if (rc == RC_OK)
        rc = sync_folder(folder);
    if (rc != RC_OK && path) {
        log_error("store.account.not_made", F_CSTR("file", path), F_CSTR("reason", why ? why : rc_name(rc)));
        mailbox_unmake(s, account);
    }
    arena_clear(&a);
    free(folder);
    free(path);
    return rc;
}

static enum rc open_db(struct mailbox *mb)
{
    struct db_settings set = account_db;
    struct arena a;
    const char *why = NULL;
    char *path = mailbox_path(mb->store, mb->account);
    struct db *db = NULL;

    arena_init(&a, 1u << 16);
    set.path = path;
    enum rc rc = path ? db_open(&set, &db) : RC_TEMP;
    if (rc == RC_OK)
        rc = schema_bring(db, &schema_account, path, &a, &why);
    if (rc == RC_OK) {
        mb->db = db;
    } else {
        if (why)
            log_error("store.account.not_opened", F_CSTR("file", path), F_CSTR("reason", why));
        db_close(db);
    }
    arena_clear(&a);
    free(path);
    return rc == RC_DENIED ? RC_TEMP : rc; /* by a newer program: for the account's user, later may differ */
}

/* --- the table --- */

enum rc mailboxes_open(struct store *s, struct mailboxes **out)
{
    struct mailboxes *m = calloc(1, sizeof *m);

    if (!m)
        return RC_TEMP;
    m->data_fd = open(s->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->data_fd < 0) {
        free(m);
        return RC_TEMP;
    }
    pthread_mutex_init(&m->mutex, NULL);
    pthread_mutex_init(&m->settling, NULL);
    *out = m;
    return RC_OK;
}

static void free_mailbox(struct mailbox *mb)
{
    db_close(mb->db);
    pthread_mutex_destroy(&mb->mutex);
    free(mb);
}

void mailboxes_close(struct mailboxes *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct mailbox *mb = m->buckets[i], *next; mb; mb = next) {
            next = mb->next_in_bucket;
            free_mailbox(mb);
        }
    }
    close(m->data_fd);
    pthread_mutex_destroy(&m->mutex);
    pthread_mutex_destroy(&m->settling);
    free(m);
}

static struct mailbox **bucket_of(struct mailboxes *m, uint64_t account)
{
    return &m->buckets[account & (BUCKETS - 1)];
}

static void idle_remove(struct mailboxes *m, struct mailbox *mb)
{
    *(mb->older ? &mb->older->newer : &m->oldest) = mb->newer;
    *(mb->newer ? &mb->newer->older : &m->newest) = mb->older;
    mb->newer = mb->older = NULL;
}

static void idle_add(struct mailboxes *m, struct mailbox *mb)
{
    mb->used_ms = clock_mono_ms();
    mb->older = m->newest;
    mb->newer = NULL;
    *(m->newest ? &m->newest->newer : &m->oldest) = mb;
    m->newest = mb;
}

static void table_remove(struct mailboxes *m, struct mailbox *mb)
{
    struct mailbox **at = bucket_of(m, mb->account);

    while (*at && *at != mb)
        at = &(*at)->next_in_bucket;
    if (*at) {
        *at = mb->next_in_bucket;
        m->count--;
    }
    mb->gone = true;
}

/* The mailbox in the table, with one more reference; NULL: not there. */
static struct mailbox *take_reference(struct mailboxes *m, uint64_t account)
{
    struct mailbox *mb = *bucket_of(m, account);

    while (mb && mb->account != account)
        mb = mb->next_in_bucket;
    if (mb && mb->refs++ == 0)
        idle_remove(m, mb);
    return mb;
}

enum rc mailbox_open(struct store *s, uint64_t account, struct mailbox **out)
{
    struct mailboxes *m = s->mailboxes;
    enum rc rc = RC_OK;

    pthread_mutex_lock(&m->mutex);
    struct mailbox *mb = take_reference(m, account);
    if (!mb && (mb = calloc(1, sizeof *mb))) {
        mb->store = s;
        mb->account = account;
        mb->refs = 1;
        pthread_mutex_init(&mb->mutex, NULL);
        mb->next_in_bucket = *bucket_of(m, account);
        *bucket_of(m, account) = mb;
        m->count++;
    }
    pthread_mutex_unlock(&m->mutex);
    if (!mb)
        return RC_TEMP;

    pthread_mutex_lock(&mb->mutex);
    if (!mb->db)
        rc = open_db(mb);
    pthread_mutex_unlock(&mb->mutex);
    if (rc == RC_OK)
        *out = mb;
    else
        mailbox_close(mb);
    return rc;
}

/* Drops references; what must be closed then is closed without the lock. */
static void drop_references(struct mailboxes *m, struct mailbox *mb, unsigned n, unsigned max_open)
{
    struct mailbox *victim = NULL;

    pthread_mutex_lock(&m->mutex);
    mb->refs -= n;
    if (mb->refs == 0) {
        if (!mb->gone && !mb->db)
            table_remove(m, mb);
        if (mb->gone) {
            victim = mb;
        } else {
            idle_add(m, mb);
            if (m->count > max_open) {
                victim = m->oldest;
                idle_remove(m, victim);
                table_remove(m, victim);
            }
        }
    }
    pthread_mutex_unlock(&m->mutex);
    if (victim)
        free_mailbox(victim);
}

void mailbox_close(struct mailbox *mb)
{
    if (mb)
        drop_references(mb->store->mailboxes, mb, 1, mb->store->max_open);
}

uint64_t mailbox_account(const struct mailbox *mb)
{
    return mb->account;
}

void mailbox_unmake(struct store *s, uint64_t account)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    struct mailboxes *m = s->mailboxes;
    char *path = mailbox_path(s, account);

    pthread_mutex_lock(&m->mutex);
    struct mailbox *mb = take_reference(m, account);
    if (mb)
        table_remove(m, mb);
    pthread_mutex_unlock(&m->mutex);
    if (mb)
        mailbox_close(mb);

    for (size_t i = 0; path && i < 3; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s%s", path, endings[i]) < 0)
            break;
        unlink(name);
        free(name);
    }
    free(path);
}

/* --- transactions --- */

enum rc mailbox_look(struct mailbox *mb, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&mb->mutex);
    enum rc rc = db_look(mb->db, fn, ctx);
    pthread_mutex_unlock(&mb->mutex);
    return rc;
}

enum rc mailbox_txn(struct mailbox *mb, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&mb->mutex);
    enum rc rc = db_txn(mb->db, fn, ctx);
    pthread_mutex_unlock(&mb->mutex);
    return rc;
}

enum rc mailbox_txn_sync(struct mailbox *mb, db_fn fn, void *ctx)
{
    enum rc rc = mailbox_txn(mb, fn, ctx);
    return rc == RC_OK ? db_sync(mb->db) : rc;
}

/* --- making commits durable --- */

void mailbox_mark_dirty(struct mailbox *mb)
{
    struct mailboxes *m = mb->store->mailboxes;

    pthread_mutex_lock(&m->mutex);
    if (!mb->dirty) {
        mb->dirty = true;
        mb->refs++; /* the caller has one, so it is not among the idle */
        mb->next_dirty = m->dirty;
        m->dirty = mb;
    }
    pthread_mutex_unlock(&m->mutex);
}

static enum rc sync_list(struct mailboxes *m, struct mailbox *list, size_t n)
{
    enum rc rc = RC_OK;

    if (n > SYNC_EACH_MAX) {
        if (syncfs(m->data_fd) == 0)
            return RC_OK;
        log_error("store.sync.failed", F_CSTR("reason", strerrordesc_np(errno)));
        return errno == ENOSPC ? RC_FULL : RC_TEMP;
    }
    for (struct mailbox *mb = list; mb && rc == RC_OK; mb = mb->next_settling)
        rc = db_sync(mb->db);
    return rc;
}

enum rc mailboxes_settle(struct store *s)
{
    struct mailboxes *m = s->mailboxes;
    size_t n = 0;

    pthread_mutex_lock(&m->settling);
    pthread_mutex_lock(&m->mutex);
    struct mailbox *list = m->dirty;
    m->dirty = NULL;
    for (struct mailbox *mb = list; mb; mb = mb->next_dirty, n++) {
        mb->dirty = false; /* who delivers from here on marks it again */
        mb->next_settling = mb->next_dirty;
    }
    pthread_mutex_unlock(&m->mutex);

    enum rc rc = sync_list(m, list, n);
    for (struct mailbox *mb = list, *next; mb; mb = next) {
        next = mb->next_settling;
        if (rc != RC_OK)
            mailbox_mark_dirty(mb);
        mailbox_close(mb);
    }
    pthread_mutex_unlock(&m->settling);
    return rc;
}

/* --- housekeeping --- */

/* The next used databases in turn, each with a reference. */
static size_t take_some(struct mailboxes *m, struct mailbox **out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < BUCKETS && n < max; i++) {
        size_t bucket = m->next_maintained;
        for (struct mailbox *mb = m->buckets[bucket]; mb && n < max; mb = mb->next_in_bucket) {
            if (mb->refs > 0) { /* idle ones are trimmed when they are closed */
                mb->refs++;
                out[n++] = mb;
            }
        }
        m->next_maintained = (bucket + 1) % BUCKETS;
    }
    pthread_mutex_unlock(&m->mutex);
    return n;
}

/* One that nobody used for long, out of the table; NULL: none. */
static struct mailbox *take_idle(struct mailboxes *m, int64_t before_ms)
{
    pthread_mutex_lock(&m->mutex);
    struct mailbox *mb = m->oldest;
    if (mb && mb->used_ms <= before_ms) {
        idle_remove(m, mb);
        table_remove(m, mb);
    } else {
        mb = NULL;
    }
    pthread_mutex_unlock(&m->mutex);
    return mb;
}

enum rc mailboxes_maintain(struct store *s)
{
    struct mailbox *some[MAINTAIN_MAX], *mb;
    uint64_t oldest;
    enum rc rc = mailboxes_settle(s);

    if (rc == RC_OK)
        rc = mailq_oldest(s, &oldest);
    if (rc != RC_OK)
        return rc;
    size_t n = take_some(s->mailboxes, some, MAINTAIN_MAX);
    for (size_t i = 0; i < n; i++) {
        enum rc one = mailbox_trim(some[i], oldest);
        mailbox_close(some[i]);
        rc = one == RC_OK ? rc : one;
    }
    int64_t before = clock_mono_ms() - MAILBOX_IDLE_MS;
    bool closed = false;
    while ((mb = take_idle(s->mailboxes, before))) {
        enum rc one = mb->db ? mailbox_trim(mb, oldest) : RC_OK;
        free_mailbox(mb);
        closed = true;
        rc = one == RC_OK ? rc : one;
    }
    if (closed)
        malloc_trim(0); /* their page caches lie between what stays: glibc gives nothing back by itself */
    return rc;
}
