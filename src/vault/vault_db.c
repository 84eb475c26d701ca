#include "vault/vault_db.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* Step i leads from version i to i + 1. */
static const char *const steps[] = {
    "CREATE TABLE credential ("
    "  account INTEGER PRIMARY KEY, hash TEXT NOT NULL, salt BLOB NOT NULL,"
    "  iterations INTEGER NOT NULL, stored BLOB NOT NULL, server BLOB NOT NULL);"
    "CREATE TABLE secret (value BLOB NOT NULL);"
    "INSERT INTO secret VALUES (randomblob(32));"
    "PRAGMA user_version = 1;",
    /* id rises: the highest of a domain and kind is the newest. */
    "CREATE TABLE dkim_key ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, selector TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  private BLOB NOT NULL, UNIQUE (domain, selector));"
    "PRAGMA user_version = 2;",
    /* Of a name the highest id is the newest; at most one has a chain, and serves. */
    "CREATE TABLE tls_key ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, private BLOB NOT NULL, chain TEXT);"
    "CREATE INDEX tls_key_name ON tls_key (name, id);"
    "PRAGMA user_version = 3;",
    "CREATE TABLE app_password ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, scope INTEGER NOT NULL, salt BLOB NOT NULL,"
    "  hash BLOB NOT NULL, stored BLOB NOT NULL, server BLOB NOT NULL);"
    "CREATE INDEX app_password_account ON app_password (account);"
    "CREATE TABLE totp ("
    "  account INTEGER PRIMARY KEY, secret BLOB NOT NULL, confirmed INTEGER NOT NULL, last_step INTEGER NOT NULL,"
    "  wrong INTEGER NOT NULL, wrong_s INTEGER NOT NULL);"
    "CREATE TABLE recovery (account INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (account, hash)) WITHOUT ROWID;"
    "PRAGMA user_version = 4;",
};
#define VERSION ((int)(sizeof steps / sizeof *steps))

enum rc vault_db_rc(sqlite3 *db, int sqlite_rc, const char *doing)
{
    switch (sqlite_rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW: return RC_OK;
    default: break;
    }
    log_error("vault.db.failed", F_CSTR("doing", doing), F_CSTR("reason", sqlite3_errmsg(db)),
              F_INT("errno", sqlite3_system_errno(db)));
    switch (sqlite_rc & 0xff) {
    case SQLITE_FULL: return RC_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return RC_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return RC_DENIED;
    default: return RC_TEMP;
    }
}

static enum rc run(sqlite3 *db, const char *sql, const char *doing)
{
    return vault_db_rc(db, sqlite3_exec(db, sql, NULL, NULL, NULL), doing);
}

static enum rc read_version(sqlite3 *db, int *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return vault_db_rc(db, rc, "read the version");
}

/* What was there before a migration, beside it, so that the program from before can be used again. The caller's transaction keeps
 * others from writing meanwhile; read through a connection of its own, for the one that writes cannot be copied from. */
static enum rc keep_copy(const char *path, int version)
{
    char copy[PATH_MAX];
    sqlite3 *from = NULL, *to = NULL;

    int n = snprintf(copy, sizeof copy, "%s.v%d-before-v%d", path, version, VERSION);
    if (n < 0 || (size_t)n >= sizeof copy)
        return RC_LIMIT;
    unlink(copy); /* of a try that did not end */
    int opened = sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    enum rc rc = vault_db_rc(from, opened, "copy");
    if (rc == RC_OK) {
        opened = sqlite3_open_v2(copy, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        rc = vault_db_rc(to, opened, "copy");
    }
    sqlite3_backup *b = rc == RC_OK ? sqlite3_backup_init(to, "main", from, "main") : NULL;
    if (b) {
        sqlite3_backup_step(b, -1);
        rc = vault_db_rc(to, sqlite3_backup_finish(b), "copy"); /* what the step met, too */
    } else if (rc == RC_OK) {
        rc = vault_db_rc(to, sqlite3_errcode(to), "copy");
    }
    sqlite3_close(to);
    sqlite3_close(from);
    if (rc == RC_OK)
        log_info("store.schema.migrating", F_CSTR("file", path), F_INT("from", version), F_INT("to", VERSION), F_CSTR("copy", copy));
    return rc;
}

enum rc vault_db_open(const char *path, sqlite3 **out, const char **why)
{
    sqlite3 *db = NULL;
    int version = 0;

    *out = NULL;
    *why = "cannot open the password database";
    int opened = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    enum rc rc = vault_db_rc(db, opened, "open");
    if (rc != RC_OK)
        goto done;
    sqlite3_busy_timeout(db, 10000);
    rc = run(db, "PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -128;", "open");
    if (rc == RC_OK)
        rc = run(db, "BEGIN IMMEDIATE", "open");
    if (rc == RC_OK)
        rc = read_version(db, &version);
    if (rc == RC_OK && version > VERSION) {
        *why = "the password database was made by a newer version of this program";
        rc = RC_DENIED;
    }
    if (rc == RC_OK && version > 0 && version < VERSION) {
        rc = keep_copy(path, version);
        if (rc != RC_OK)
            *why = "no copy of the password database could be made before its schema is changed";
    }
    for (; rc == RC_OK && version < VERSION; version++)
        rc = run(db, steps[version], "create");
    if (rc == RC_OK)
        rc = run(db, "COMMIT", "create");
done:
    if (rc != RC_OK)
        sqlite3_close(db);
    else
        *out = db;
    return rc;
}
