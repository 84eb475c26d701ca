#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "store/backup_internal.h"
#include "store/db.h"
#include "store/db_file.h"
#include "store/directory.h"
#include "store/mailbox_internal.h"
#include "store/store_internal.h"

#define ACCOUNTS_MEMORY (1u << 30)
#define COPY_PIECE      (1u << 20)
#define FILE_TIME_LAG_S 1 /* the clock of file times ticks late: a change just after we began may bear an earlier second */

/* --- files --- */

static enum rc rc_of_errno(const char *what, const char *path)
{
    int e = errno;

    log_error("store.backup.failed", F_CSTR("doing", what), F_CSTR("file", path), F_CSTR("reason", strerrordesc_np(e)));
    return e == ENOSPC || e == EDQUOT ? RC_FULL : e == EACCES || e == EPERM ? RC_DENIED : RC_TEMP;
}

enum rc backup_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum rc rc = fd >= 0 && fsync(fd) == 0 ? RC_OK : rc_of_errno("sync", path);

    if (fd >= 0)
        close(fd);
    return rc;
}

enum rc backup_make_folder(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? RC_OK : rc_of_errno("make", path);
}

/* Bytes [at, end) of one file into the other; shares blocks where the file system can. */
static enum rc copy_range(int from, int to, uint64_t at, uint64_t end)
{
    char *piece = NULL;
    bool plain = false;
    enum rc rc = RC_OK;

    while (at < end && rc == RC_OK) {
        size_t want = end - at < COPY_PIECE ? (size_t)(end - at) : COPY_PIECE;
        off64_t in = (off64_t)at, out = (off64_t)at;
        ssize_t n = plain ? -1 : copy_file_range(from, &in, to, &out, want, 0);
        if (n < 0 && !plain) { /* across file systems, or it cannot */
            plain = true;
            piece = malloc(COPY_PIECE);
            if (!piece)
                return RC_TEMP;
        }
        if (plain) {
            n = pread(from, piece, want, (off_t)at);
            if (n > 0 && pwrite(to, piece, (size_t)n, (off_t)at) != n)
                rc = errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_TEMP;
        }
        if (n < 0)
            rc = RC_TEMP;
        if (n <= 0)
            break;
        at += (uint64_t)n;
    }
    free(piece);
    return rc;
}

enum rc backup_copy_file(int from_dir, const char *from, int to_dir, const char *to, uint64_t at, uint64_t *copied)
{
    int in = openat(from_dir, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int out = in >= 0 ? openat(to_dir, to, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    struct stat st;
    char head[SEGMENT_HEAD];
    bool is_segment = view_ends(view_str(from), VIEW(".seg"));
    enum rc rc = RC_TEMP;

    /* A segment's head says up to where it is complete: it is read before the records, for the writer goes on, and written
     * after them, for we may be cut off. */
    ssize_t n_head = in >= 0 && is_segment ? pread(in, head, sizeof head, 0) : 0;
    if (is_segment && at < SEGMENT_HEAD)
        at = SEGMENT_HEAD;
    if (in >= 0 && out >= 0 && n_head >= 0 && fstat(in, &st) == 0) {
        uint64_t end = (uint64_t)st.st_size;
        rc = copy_range(in, out, at < end ? at : end, end);
        if (rc == RC_OK && (ftruncate(out, st.st_size) != 0 || fsync(out) != 0))
            rc = rc_of_errno("write", to);
        if (rc == RC_OK && n_head > 0 && (pwrite(out, head, (size_t)n_head, 0) != n_head || fsync(out) != 0))
            rc = rc_of_errno("write", to);
        if (copied)
            *copied += end - (at < end ? at : end);
    }
    if (rc != RC_OK)
        log_error("store.backup.failed", F_CSTR("doing", "copy"), F_CSTR("file", from), F_CSTR("reason", strerrordesc_np(errno)));
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return rc;
}

/* --- what a backup folder is --- */

bool backup_is_one(const char *dir)
{
    char *path = NULL;
    bool is = asprintf(&path, "%s/backup.info", dir) > 0 && access(path, F_OK) == 0;

    free(path);
    return is;
}

bool backup_is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    bool empty = true;
    struct dirent *e;

    if (!d)
        return errno == ENOENT;
    while (empty && (e = readdir(d)))
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "backup.lock") == 0 ||
                strcmp(e->d_name, "lost+found") == 0;
    closedir(d);
    return empty;
}

static enum rc write_info(const char *dir, int64_t begun_s)
{
    char *path = NULL, *temp = NULL, line[64];
    enum rc rc = RC_TEMP;
    int fd = -1, n = snprintf(line, sizeof line, "facteur backup 1\nmade %lld\n", (long long)begun_s);

    if (asprintf(&path, "%s/backup.info", dir) < 0)
        path = NULL;
    if (asprintf(&temp, "%s/backup.info.new", dir) < 0)
        temp = NULL;
    if (path && temp) {
        fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        rc = fd >= 0 && write(fd, line, (size_t)n) == n && fsync(fd) == 0 && rename(temp, path) == 0 ? backup_sync_folder(dir)
                                                                                                 : rc_of_errno("write", path);
    }
    if (fd >= 0)
        close(fd);
    free(path);
    free(temp);
    return rc;
}

/* --- making one --- */

struct run {
    struct store *s;
    const char *dir;
    const struct backup_settings *set;
    struct backup_stats *stats;
    int blobs_fd;
    int64_t begun_s, last_s; /* this one, the one before */
    struct directory_account *accounts;
    size_t n_accounts;
};

/* When the backup that is there was begun, in seconds; 0: there is none. */
static int64_t read_info(const char *dir)
{
    char *path = NULL, line[64] = "";
    struct view v, first;
    uint64_t made = 0;
    int fd = asprintf(&path, "%s/backup.info", dir) > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line) : 0;

    v = view_of(line, n > 0 ? (size_t)n : 0);
    if (!view_split(&v, '\n', &first) || !view_take(&v, VIEW("made ")) || view_u64(&v, INT64_MAX, &made) != RC_OK)
        made = 0;
    if (fd >= 0)
        close(fd);
    free(path);
    return (int64_t)made;
}

/* Was this database left alone since before the last backup began? Dates of the copies tell nothing: a restore opens them. */
static bool is_unchanged(const struct run *r, const char *from, const char *copy)
{
    struct stat st;
    char *wal = NULL;
    bool same = r->last_s > 0 && access(copy, F_OK) == 0 && stat(from, &st) == 0 && st.st_mtim.tv_sec < r->last_s - FILE_TIME_LAG_S;

    if (same && asprintf(&wal, "%s-wal", from) < 0)
        return false;
    if (same && stat(wal, &st) == 0)
        same = st.st_mtim.tv_sec < r->last_s - FILE_TIME_LAG_S;
    free(wal);
    return same;
}

/* The copy waits as NAME.new until all is there. RC_NOTFOUND: there is no such database (any more). */
static enum rc copy_database(struct run *r, const char *from, const char *name, bool *unchanged)
{
    char *to = NULL, *fresh = NULL;
    enum rc rc = RC_TEMP;

    if (asprintf(&to, "%s/%s", r->dir, name) < 0)
        to = NULL;
    if (asprintf(&fresh, "%s/%s.new", r->dir, name) < 0)
        fresh = NULL;
    if (!to || !fresh)
        goto done;
    *unchanged = is_unchanged(r, from, to);
    rc = RC_OK;
    if (*unchanged)
        goto done;
    rc = db_file_copy(from, fresh);
done:
    free(to);
    free(fresh);
    return rc;
}

static void account_name(uint64_t id, char out[64])
{
    snprintf(out, 64, "accounts/%02x/%llx.db", (unsigned)(id & 0xff), (unsigned long long)id);
}

static enum rc make_account_folder(const char *dir, uint64_t id)
{
    char *path = NULL;
    enum rc rc = asprintf(&path, "%s/accounts/%02x", dir, (unsigned)(id & 0xff)) > 0 ? backup_make_folder(path) : RC_TEMP;

    free(path);
    return rc;
}

static enum rc copy_databases(struct run *r)
{
    char *from = store_path(r->s, "facteur.db"), name[64];
    bool unchanged;
    struct arena a;
    enum rc rc = from ? copy_database(r, from, "facteur.db", &unchanged) : RC_TEMP;

    arena_init(&a, ACCOUNTS_MEMORY);
    free(from);
    if (rc == RC_OK)
        rc = (from = store_path(r->s, "reports.db")) ? copy_database(r, from, "reports.db", &unchanged) : RC_TEMP;
    else
        from = NULL;
    free(from);
    rc = rc == RC_NOTFOUND ? RC_OK : rc; /* no report ever came */
    for (size_t i = 0; i < r->n_accounts && rc == RC_OK; i++) {
        account_name(r->accounts[i].id, name);
        from = mailbox_path(r->s, r->accounts[i].id);
        rc = from ? make_account_folder(r->dir, r->accounts[i].id) : RC_TEMP;
        if (rc == RC_OK)
            rc = copy_database(r, from, name, &unchanged);
        if (rc == RC_OK) {
            r->stats->accounts++;
            r->stats->unchanged += unchanged;
        } else if (rc == RC_NOTFOUND) {
            rc = RC_OK; /* removed since it was listed */
        }
        free(from);
    }
    arena_clear(&a);
    return rc;
}

/* The copy's head says up to where it was complete when it was made: what follows is copied again with the new. */
static enum rc copy_segment(struct run *r, uint32_t number)
{
    struct blobs *b = r->s->blobs;
    struct segment_head theirs, ours;
    char head[2][SEGMENT_HEAD], name[24];
    struct stat st[2];
    uint64_t at = 0;

    blobs_name(number, "seg", name);
    int in = openat(b->dir_fd, name, O_RDONLY | O_CLOEXEC), out = openat(r->blobs_fd, name, O_RDONLY | O_CLOEXEC);
    if (in >= 0 && out >= 0 && fstat(in, &st[0]) == 0 && fstat(out, &st[1]) == 0 &&
        pread(in, head[0], SEGMENT_HEAD, 0) == SEGMENT_HEAD && pread(out, head[1], SEGMENT_HEAD, 0) == SEGMENT_HEAD &&
        segment_head_parse(view_of(head[0], SEGMENT_HEAD), &theirs) == RC_OK &&
        segment_head_parse(view_of(head[1], SEGMENT_HEAD), &ours) == RC_OK && theirs.salt == ours.salt &&
        ours.complete <= (uint64_t)st[1].st_size)
        at = ours.complete;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    if (at > 0 && at == (uint64_t)st[0].st_size && st[0].st_size == st[1].st_size)
        return RC_OK;
    return backup_copy_file(b->dir_fd, name, r->blobs_fd, name, at, &r->stats->bytes);
}

static enum rc copy_blobs(struct run *r, const uint32_t *segments, size_t n, const uint32_t *tables, size_t n_tables)
{
    struct blobs *b = r->s->blobs;
    uint64_t done = 0, all = 0;
    struct stat st;
    char name[24], fresh[32];
    enum rc rc = RC_OK;

    for (size_t i = 0; i < n; i++) {
        blobs_name(segments[i], "seg", name);
        if (fstatat(b->dir_fd, name, &st, 0) == 0)
            all += (uint64_t)st.st_size;
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = copy_segment(r, segments[i]);
        r->stats->segments++;
        blobs_name(segments[i], "seg", name);
        if (fstatat(b->dir_fd, name, &st, 0) == 0)
            done += (uint64_t)st.st_size;
        if (r->set->progress)
            r->set->progress(r->set->ctx, done, all);
    }
    for (size_t i = 0; i < n_tables && rc == RC_OK; i++) {
        blobs_name(tables[i], "moved", name);
        snprintf(fresh, sizeof fresh, "%s.new", name);
        rc = backup_copy_file(b->dir_fd, name, r->blobs_fd, fresh, 0, NULL);
        if (rc == RC_OK && renameat(r->blobs_fd, fresh, r->blobs_fd, name) != 0)
            rc = rc_of_errno("rename", name);
    }
    return rc == RC_OK && fsync(r->blobs_fd) != 0 ? RC_TEMP : rc;
}

/* NAME.new becomes NAME. A log that opening the old copy left would not fit the new one. */
static enum rc put_in_place(const char *dir, const char *name)
{
    char *to = NULL, *fresh = NULL, *side = NULL;
    enum rc rc = RC_TEMP;

    if (asprintf(&to, "%s/%s", dir, name) < 0)
        to = NULL;
    if (asprintf(&fresh, "%s/%s.new", dir, name) < 0)
        fresh = NULL;
    if (!to || !fresh)
        goto done;
    rc = RC_OK;
    if (access(fresh, F_OK) != 0)
        goto done; /* the old copy was still right */
    for (int i = 0; i < 2; i++) {
        if (asprintf(&side, "%s%s", to, i ? "-shm" : "-wal") < 0) {
            rc = RC_TEMP;
            goto done;
        }
        unlink(side);
        free(side);
        side = NULL;
    }
    if (rename(fresh, to) != 0)
        rc = rc_of_errno("rename", to);
done:
    free(to);
    free(fresh);
    return rc;
}

static enum rc put_all_in_place(struct run *r)
{
    char name[64], *path = NULL;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < r->n_accounts && rc == RC_OK; i++) {
        account_name(r->accounts[i].id, name);
        rc = put_in_place(r->dir, name);
        free(path);
        path = NULL;
        if (rc == RC_OK)
            rc = asprintf(&path, "%s/accounts/%02x", r->dir, (unsigned)(r->accounts[i].id & 0xff)) > 0
                     ? backup_sync_folder(path)
                     : RC_TEMP;
    }
    free(path);
    if (rc == RC_OK)
        rc = put_in_place(r->dir, "reports.db");
    if (rc == RC_OK)
        rc = put_in_place(r->dir, "facteur.db"); /* last: with older mailboxes it would have let go of mail too early */
    return rc == RC_OK ? backup_sync_folder(r->dir) : rc;
}

static bool has_number(const uint32_t *list, size_t n, uint32_t number)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == number)
            return true;
    return false;
}

/* Segments and tables that compaction took away since the last backup. */
static void drop_stale(struct run *r, const char *kind, const uint32_t *now, size_t n_now)
{
    struct blobs theirs = {.dir_fd = r->blobs_fd};
    uint32_t *list = NULL;
    size_t n = 0;
    char name[24];

    if (blobs_list(&theirs, kind, &list, &n) != RC_OK)
        return; /* they only take room */
    for (size_t i = 0; i < n; i++)
        if (!has_number(now, n_now, list[i])) {
            blobs_name(list[i], kind, name);
            unlinkat(r->blobs_fd, name, 0);
        }
    free(list);
}

static void drop_stale_accounts(struct run *r)
{
    struct dirent *e;
    uint64_t known;

    for (unsigned i = 0; i < 256; i++) {
        char *path = NULL;
        DIR *d = asprintf(&path, "%s/accounts/%02x", r->dir, i) > 0 ? opendir(path) : NULL;
        while (d && (e = readdir(d))) {
            char *end;
            unsigned long long id = strtoull(e->d_name, &end, 16);
            if (end == e->d_name || strncmp(end, ".db", 3) != 0)
                continue;
            for (known = 0; known < r->n_accounts && r->accounts[known].id != id; known++)
                ;
            if (known == r->n_accounts)
                unlinkat(dirfd(d), e->d_name, 0);
        }
        if (d)
            closedir(d);
        free(path);
    }
}

static enum rc make_all(struct run *r)
{
    struct blobs *b = r->s->blobs;
    uint32_t *segments = NULL, *tables = NULL;
    size_t n = 0, n_tables = 0;
    struct arena a;
    enum rc rc;

    arena_init(&a, ACCOUNTS_MEMORY);
    rc = directory_accounts(r->s, VIEW(""), &a, &r->accounts, &r->n_accounts);
    if (rc == RC_OK)
        rc = copy_databases(r);
    if (rc == RC_OK)
        rc = blobs_list(b, "seg", &segments, &n);
    if (rc == RC_OK)
        rc = blobs_list(b, "moved", &tables, &n_tables);
    if (rc == RC_OK)
        rc = copy_blobs(r, segments, n, tables, n_tables);
    if (rc == RC_OK)
        rc = put_all_in_place(r);
    if (rc == RC_OK)
        rc = write_info(r->dir, r->begun_s);
    if (rc == RC_OK) {
        drop_stale(r, "seg", segments, n);
        drop_stale(r, "moved", tables, n_tables);
        drop_stale_accounts(r);
    }
    free(segments);
    free(tables);
    arena_clear(&a);
    return rc;
}

enum rc backup_make(struct store *s, const char *dir, const struct backup_settings *set, struct backup_stats *out)
{
    struct run r = {.s = s, .dir = dir, .set = set, .stats = out, .blobs_fd = -1};
    char *path = NULL, *accounts = NULL, *lock_path = NULL;
    int lock = -1, own = -1;
    enum rc rc = RC_EXISTS;

    *out = (struct backup_stats){0};
    r.begun_s = clock_real_s();
    r.last_s = read_info(dir);
    if (!backup_is_one(dir) && !backup_is_empty(dir))
        return RC_EXISTS;
    if (asprintf(&path, "%s/blobs", dir) < 0)
        path = NULL;
    if (asprintf(&accounts, "%s/accounts", dir) < 0)
        accounts = NULL;
    if (asprintf(&lock_path, "%s/backup.lock", dir) < 0)
        lock_path = NULL;
    rc = path && accounts && lock_path ? backup_make_folder(dir) : RC_TEMP;
    if (rc == RC_OK)
        rc = backup_make_folder(path);
    if (rc == RC_OK)
        rc = backup_make_folder(accounts);
    if (rc != RC_OK)
        goto done;
    own = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    r.blobs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = own >= 0 && r.blobs_fd >= 0 ? RC_OK : rc_of_errno("open", dir);
    if (rc == RC_OK && !blobs_lock_file(own, true))
        rc = RC_TEMP;
    if (rc == RC_OK)
        rc = blobs_lock(s->blobs, false, &lock);
    if (rc == RC_OK)
        rc = make_all(&r);
done:
    if (lock >= 0)
        close(lock);
    if (own >= 0)
        close(own);
    if (r.blobs_fd >= 0)
        close(r.blobs_fd);
    free(path);
    free(accounts);
    free(lock_path);
    return rc;
}

enum rc backup_add_vault(const char *dir, const char *vault)
{
    char *fresh = NULL;
    enum rc rc = asprintf(&fresh, "%s/vault.db.new", dir) > 0 ? RC_OK : RC_TEMP;

    if (rc == RC_OK)
        rc = backup_is_one(dir) ? db_file_copy(vault, fresh) : RC_NOTFOUND;
    if (rc == RC_OK)
        rc = put_in_place(dir, "vault.db");
    free(fresh);
    return rc == RC_OK ? backup_sync_folder(dir) : rc;
}
