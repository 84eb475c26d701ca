/* store/sqlite: SQLite behind store/db.h. WAL mode with synchronous=NORMAL: a commit writes the log and does not wait
 * for the disk; db_sync does, for as many commits as there are by then. */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct db_query {
    struct db *db;
    sqlite3_stmt *stmt;
    const char *sql; /* NULL: free slot */
    bool running;
};

struct db {
    sqlite3 *conn;
    char *wal_path;
    atomic_int wal_fd; /* -1 until the first db_sync */
    bool conflict;     /* a statement of this transaction met another process's change */
    int64_t busy_since;
    struct db_query statements[DB_STATEMENTS]; /* by hash of the text's address */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void set_up_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD); /* our callers lock */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum rc translate(struct db *db, int code, const char *what)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return RC_EXISTS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        db->conflict = true;
        break;
    }
    log_error("store.db.failed", F_CSTR("file", sqlite3_db_filename(db->conn, "main")), F_CSTR("doing", what),
              F_CSTR("reason", sqlite3_errmsg(db->conn)), F_INT("code", code));
    switch (code & 0xff) {
    case SQLITE_FULL:
        return RC_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RC_CORRUPT;
    }
    return sqlite3_system_errno(db->conn) == ENOSPC && (code & 0xff) == SQLITE_IOERR ? RC_FULL : RC_TEMP;
}

/* Other processes hold the write lock for fractions of a millisecond: look often at first, then less so. */
static int wait_busy(void *ctx, int count)
{
    struct db *db = ctx;

    if (count == 0)
        db->busy_since = clock_mono_ms();
    else if (clock_mono_ms() - db->busy_since > DB_BUSY_MS)
        return 0;
    long us = count < 10 ? 100 : count < 30 ? 1000 : 5000;
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
    return 1;
}

static enum rc run_plain(struct db *db, const char *sql)
{
    int code = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RC_OK : translate(db, code, sql);
}

static enum rc run_setting(struct db *db, const char *name, long long value)
{
    char sql[80];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA %s = %lld", name, value);
    return run_plain(db, sql);
}

/* Two that make a database together both read it and then both want to write, which SQLite refuses at once, without asking
 * the busy handler: one of them would wait for ever. So whoever is refused lets go and begins again. */
static enum rc use_wal(struct db *db)
{
    int64_t end = deadline_in(DB_BUSY_MS);
    int code;

    while (((code = sqlite3_exec(db->conn, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY &&
           clock_mono_ms() < end)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return code == SQLITE_OK ? RC_OK : translate(db, code, "PRAGMA journal_mode = WAL");
}

static enum rc set_up_connection(struct db *db, const struct db_settings *set)
{
    enum rc rc = run_setting(db, "page_size", set->page_bytes); /* says nothing to a database that has pages */

    sqlite3_busy_handler(db->conn, wait_busy, db);
    if (set->keep_log)
        sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(db->conn, (int)(set->checkpoint_kib * 1024 / set->page_bytes));
    if (rc == RC_OK)
        rc = use_wal(db);
    if (rc == RC_OK)
        rc = run_plain(db, "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY");
    if (rc == RC_OK)
        rc = run_setting(db, "cache_size", -(long long)set->cache_kib);
    if (rc == RC_OK)
        rc = run_setting(db, "journal_size_limit", 1024 * (long long)set->checkpoint_kib);
    return rc;
}

enum rc db_open(const struct db_settings *set, struct db **out)
{
    struct db *db = calloc(1, sizeof *db);
    enum rc rc = RC_TEMP;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (set->create ? SQLITE_OPEN_CREATE : 0);

    pthread_once(&once, set_up_sqlite);
    if (!db)
        return RC_TEMP;
    atomic_init(&db->wal_fd, -1);
    if (asprintf(&db->wal_path, "%s-wal", set->path) < 0) {
        db->wal_path = NULL;
        goto done;
    }
    int code = sqlite3_open_v2(set->path, &db->conn, flags, NULL);
    if (code == SQLITE_CANTOPEN && access(set->path, F_OK) < 0 && errno == ENOENT && !set->create) {
        rc = RC_NOTFOUND;
        goto done;
    }
    if (!db->conn)
        goto done;
    if (code != SQLITE_OK) {
        log_error("store.db.failed", F_CSTR("file", set->path), F_CSTR("doing", "open"),
                  F_CSTR("reason", sqlite3_errmsg(db->conn)), F_INT("code", code));
        goto done;
    }
    sqlite3_extended_result_codes(db->conn, 1);
    rc = set_up_connection(db, set);
done:
    if (rc != RC_OK)
        db_close(db);
    else
        *out = db;
    return rc;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        sqlite3_finalize(db->statements[i].stmt);
    int fd = atomic_load(&db->wal_fd);
    if (fd >= 0)
        close(fd);
    sqlite3_close(db->conn);
    free(db->wal_path);
    free(db);
}

/* The slot of this text, prepared. */
static enum rc find_statement(struct db *db, const char *sql, struct db_query **out)
{
    size_t at = ((uintptr_t)sql * 0x9e3779b97f4a7c15u >> 40) % DB_STATEMENTS;

    for (size_t tries = 0; db->statements[at].sql != sql; tries++) {
        struct db_query *q = &db->statements[at];
        bug_if(tries == DB_STATEMENTS);
        if (q->sql) {
            at = (at + 1) % DB_STATEMENTS;
            continue;
        }
        int code = sqlite3_prepare_v3(db->conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
        if (code != SQLITE_OK)
            return translate(db, code, sql);
        q->sql = sql;
        q->db = db;
        for (int i = 1; i <= sqlite3_bind_parameter_count(q->stmt); i++) { /* SQLite numbers them by appearance */
            const char *name = sqlite3_bind_parameter_name(q->stmt, i);
            bug_if(!name || strtol(name + 1, NULL, 10) != i);
        }
    }
    *out = &db->statements[at];
    return RC_OK;
}

static enum rc bind_values(struct db_query *q, const struct db_value *v, size_t n)
{
    bug_if(n > DB_PARAMS_MAX || (int)n != sqlite3_bind_parameter_count(q->stmt));
    for (size_t i = 0; i < n; i++) {
        int code = SQLITE_OK;
        const char *p = v[i].bytes.p ? v[i].bytes.p : "";
        switch (v[i].kind) {
        case DB_NULL:
            code = sqlite3_bind_null(q->stmt, (int)i + 1);
            break;
        case DB_NUMBER:
            code = sqlite3_bind_int64(q->stmt, (int)i + 1, v[i].number);
            break;
        case DB_TEXT:
            code = sqlite3_bind_text64(q->stmt, (int)i + 1, p, v[i].bytes.n, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case DB_BYTES:
            code = sqlite3_bind_blob64(q->stmt, (int)i + 1, p, v[i].bytes.n, SQLITE_STATIC);
            break;
        }
        if (code != SQLITE_OK)
            return translate(q->db, code, q->sql);
    }
    return RC_OK;
}

enum rc db_query_values(struct db *db, struct db_query **q, const char *sql, const struct db_value *v, size_t n)
{
    *q = NULL;
    enum rc rc = find_statement(db, sql, q);

    if (rc != RC_OK)
        return rc;
    bug_if((*q)->running);
    rc = bind_values(*q, v, n);
    if (rc == RC_OK)
        (*q)->running = true;
    return rc;
}

enum rc db_next(struct db_query *q)
{
    int code = sqlite3_step(q->stmt);

    if (code == SQLITE_ROW)
        return RC_OK;
    enum rc rc = code == SQLITE_DONE ? RC_NOTFOUND : translate(q->db, code, q->sql);
    db_done(q);
    return rc;
}

void db_done(struct db_query *q)
{
    if (!q || !q->running)
        return;
    sqlite3_reset(q->stmt);
    q->running = false;
}

enum rc db_exec_values(struct db *db, const char *sql, const struct db_value *v, size_t n)
{
    struct db_query *q;
    enum rc rc = db_query_values(db, &q, sql, v, n);

    while (rc == RC_OK)
        rc = db_next(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc db_first_values(struct db *db, struct db_query **q, const char *sql, const struct db_value *v, size_t n)
{
    enum rc rc = db_query_values(db, q, sql, v, n);
    return rc == RC_OK ? db_next(*q) : rc;
}

int64_t db_number(struct db_query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

struct view db_bytes(struct db_query *q, int column)
{
    const void *p = sqlite3_column_blob(q->stmt, column);
    return view_of(p ? p : "", p ? (size_t)sqlite3_column_bytes(q->stmt, column) : 0);
}

enum rc db_bytes_dup(struct db_query *q, int column, struct arena *a, struct view *out)
{
    return view_dup(a, db_bytes(q, column), out);
}

int64_t db_changed(struct db *db)
{
    return sqlite3_changes64(db->conn);
}

/* Statements that were left on a row would keep the transaction open. */
static void roll_back(struct db *db)
{
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        db_done(&db->statements[i]);
    if (!sqlite3_get_autocommit(db->conn))
        run_plain(db, "ROLLBACK");
}

static enum rc run_between(struct db *db, const char *begin, db_fn fn, void *ctx)
{
    enum rc rc = db_exec(db, begin);

    db->conflict = false; /* whoever could not even begin has waited long enough */
    if (rc == RC_OK)
        rc = fn(db, ctx);
    if (rc == RC_OK)
        rc = db_exec(db, "COMMIT");
    if (rc != RC_OK)
        roll_back(db);
    return rc;
}

enum rc db_txn(struct db *db, db_fn fn, void *ctx)
{
    enum rc rc = RC_TEMP;

    for (int tries = 0; tries < DB_TXN_TRIES; tries++) {
        rc = run_between(db, "BEGIN IMMEDIATE", fn, ctx);
        if (rc != RC_TEMP || !db->conflict)
            break;
    }
    return rc;
}

enum rc db_look(struct db *db, db_fn fn, void *ctx)
{
    return run_between(db, "BEGIN", fn, ctx);
}

enum rc db_sync(struct db *db)
{
    int fd = atomic_load(&db->wal_fd);

    if (fd < 0) { /* SQLite keeps its descriptor to itself; the log holds no locks that closing ours could drop */
        fd = open(db->wal_path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            return RC_OK; /* nothing was ever written, or all is in the database */
        int none = -1;
        if (fd >= 0 && !atomic_compare_exchange_strong(&db->wal_fd, &none, fd)) {
            close(fd);
            fd = none;
        }
    }
    if (fd < 0 || fdatasync(fd) < 0) {
        log_error("store.db.failed", F_CSTR("file", db->wal_path), F_CSTR("doing", "sync"),
                  F_CSTR("reason", strerrordesc_np(errno)));
        return errno == ENOSPC ? RC_FULL : RC_TEMP;
    }
    return RC_OK;
}

enum rc db_checkpoint(struct db *db)
{
    int code = sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY ? RC_OK : translate(db, code, "checkpoint");
}

enum rc db_copy(struct db *db, const char *path)
{
    sqlite3_stmt *stmt = NULL;
    unlink(path); /* of a try that did not end */
    int code = sqlite3_prepare_v2(db->conn, "VACUUM INTO ?1", -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    enum rc rc = code == SQLITE_DONE ? RC_OK : translate(db, code, "copy");
    sqlite3_finalize(stmt);
    int fd = rc == RC_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (rc == RC_OK && (fd < 0 || fsync(fd) < 0))
        rc = RC_TEMP;
    if (fd >= 0)
        close(fd);
    return rc;
}

bool db_has_table(struct db *db, const char *name)
{
    struct db_query *q;
    bool has = db_first(db, &q, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1", DB_T(view_str(name))) == RC_OK;
    db_done(q);
    return has;
}

enum rc db_define(struct db *db, const char *sql)
{
    return run_plain(db, sql);
}
