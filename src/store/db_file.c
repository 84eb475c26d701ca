#include "store/db_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

#define BUSY_MS 10000
#define TEXT_OF(n)  TEXT_OF_(n)
#define TEXT_OF_(n) #n
#define FINDINGS    TEXT_OF(DB_FILE_FINDINGS_MAX)

static enum rc rc_of(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return RC_OK;
    case SQLITE_FULL:
        return RC_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RC_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return RC_DENIED;
    case SQLITE_IOERR:
        return sqlite3_system_errno(db) == ENOSPC ? RC_FULL : RC_TEMP;
    }
    return RC_TEMP;
}

static enum rc open_file(const char *path, sqlite3 **out)
{
    int code;

    *out = NULL;
    if (access(path, R_OK) != 0)
        return errno == ENOENT ? RC_NOTFOUND : RC_DENIED;
    code = sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        sqlite3_busy_timeout(*out, BUSY_MS);
    return *out ? rc_of(*out, code) : RC_TEMP;
}

enum rc db_file_check(const char *path, void (*tell)(void *ctx, struct view what), void *ctx)
{
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    enum rc rc = open_file(path, &db), found = RC_OK;
    int code = SQLITE_OK;

    if (rc == RC_OK)
        rc = rc_of(db, sqlite3_prepare_v2(db, "SELECT integrity_check FROM pragma_integrity_check(" FINDINGS ")", -1, &st, NULL));
    while (rc == RC_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        if (text && strcmp(text, "ok") == 0)
            continue;
        found = RC_CORRUPT;
        if (tell)
            tell(ctx, view_str(text));
    }
    if (rc == RC_OK)
        rc = rc_of(db, code);
    if (rc == RC_CORRUPT && tell)
        tell(ctx, view_str(sqlite3_errmsg(db)));
    sqlite3_finalize(st);
    sqlite3_close(db);
    return rc == RC_OK ? found : rc;
}

static enum rc sync_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum rc rc = fd >= 0 && fsync(fd) == 0 ? RC_OK : RC_TEMP;

    if (fd >= 0)
        close(fd);
    return rc;
}

enum rc db_file_copy(const char *from, const char *to)
{
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    enum rc rc = open_file(from, &db);

    if (unlink(to) != 0 && errno != ENOENT)
        rc = RC_DENIED;
    if (rc == RC_OK)
        rc = rc_of(db, sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &st, NULL));
    if (rc == RC_OK)
        rc = rc_of(db, sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC));
    if (rc == RC_OK)
        rc = rc_of(db, sqlite3_step(st));
    if (rc != RC_OK && db)
        log_error("store.db.failed", F_CSTR("file", from), F_CSTR("doing", "copy"), F_CSTR("reason", sqlite3_errmsg(db)));
    sqlite3_finalize(st);
    sqlite3_close(db);
    if (rc == RC_OK)
        rc = sync_file(to);
    if (rc != RC_OK)
        unlink(to);
    return rc;
}
