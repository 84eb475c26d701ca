#include "vault/credentials.h"

#include <stdlib.h>

#include "crypto/equal.h"
#include "crypto/random.h"
#include "vault/credentials_internal.h"
#include "vault/vault.h"

sqlite3_stmt *credentials_prepare(struct credentials *c, const char *sql)
{
    sqlite3_stmt *st = NULL;
    vault_db_rc(c->db, sqlite3_prepare_v2(c->db, sql, -1, &st, NULL), "prepare");
    return st;
}

enum rc credentials_run(struct credentials *c, sqlite3_stmt *st, const char *doing, int *changed)
{
    int got = sqlite3_step(st);
    enum rc rc = vault_db_rc(c->db, got, doing);
    if (changed)
        *changed = rc == RC_OK ? sqlite3_changes(c->db) : 0;
    sqlite3_finalize(st);
    return rc;
}

bool credentials_blob(sqlite3_stmt *st, int column, void *out, size_t n)
{
    const void *p = sqlite3_column_blob(st, column);
    if (!p || sqlite3_column_bytes(st, column) != (int)n)
        return false;
    memcpy(out, p, n);
    return true;
}

static enum rc prepare(struct credentials *c)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v3(c->db, "SELECT hash, salt, iterations, stored, server FROM credential WHERE account = ?1", -1,
                                SQLITE_PREPARE_PERSISTENT, &c->get, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(c->db, "INSERT OR REPLACE INTO credential VALUES (?1, ?2, ?3, ?4, ?5, ?6)", -1, &c->set, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(c->db, "DELETE FROM credential WHERE account = ?1", -1, &c->remove, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(c->db, "SELECT value FROM secret", -1, &st, NULL);
    if (rc == SQLITE_OK && (sqlite3_step(st) != SQLITE_ROW || !credentials_blob(st, 0, c->secret, sizeof c->secret)))
        rc = SQLITE_CORRUPT;
    sqlite3_finalize(st);
    return vault_db_rc(c->db, rc, "prepare");
}

enum rc credentials_open(const char *path, struct credentials **out, const char **why)
{
    struct credentials *c = calloc(1, sizeof *c);
    enum rc rc = RC_TEMP;

    *out = NULL;
    *why = "out of memory";
    if (!c)
        return RC_TEMP;
    pthread_mutex_init(&c->lock, NULL);
    rc = vault_db_open(path, &c->db, why);
    if (rc == RC_OK)
        rc = prepare(c);
    if (rc != RC_OK)
        credentials_close(c);
    else
        *out = c;
    return rc;
}

void credentials_close(struct credentials *c)
{
    if (!c)
        return;
    sqlite3_finalize(c->get);
    sqlite3_finalize(c->set);
    sqlite3_finalize(c->remove);
    sqlite3_close(c->db);
    pthread_mutex_destroy(&c->lock);
    wipe(c->secret, sizeof c->secret);
    free(c);
}

enum rc credentials_get(struct credentials *c, uint64_t account, struct credential *out)
{
    enum rc rc;

    pthread_mutex_lock(&c->lock);
    sqlite3_bind_int64(c->get, 1, (sqlite3_int64)account);
    int got = sqlite3_step(c->get);
    if (got == SQLITE_DONE) {
        rc = RC_NOTFOUND;
    } else if (got != SQLITE_ROW) {
        rc = vault_db_rc(c->db, got, "get");
    } else {
        const char *hash = (const char *)sqlite3_column_text(c->get, 0);
        rc = view_cstr(view_str(hash), out->hash, sizeof out->hash) == RC_OK && credentials_blob(c->get, 1, out->salt, sizeof out->salt) &&
                     credentials_blob(c->get, 3, out->stored, sizeof out->stored) && credentials_blob(c->get, 4, out->server, sizeof out->server)
                 ? RC_OK
                 : RC_CORRUPT;
        out->iterations = (uint32_t)sqlite3_column_int(c->get, 2);
    }
    sqlite3_reset(c->get);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

/* The SCRAM keys of application passwords (vault/app_passwords.h) hang on the account's salt: while there are any it stays. */
static enum rc choose_salt(struct credentials *c, uint64_t account, struct credential *cr)
{
    bool keep = false;

    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = credentials_prepare(c, "SELECT salt, iterations FROM credential WHERE account = ?1"
                                              " AND EXISTS (SELECT 1 FROM app_password WHERE account = ?1)");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    int got = st ? sqlite3_step(st) : SQLITE_ERROR;
    if (got == SQLITE_ROW) {
        keep = credentials_blob(st, 0, cr->salt, sizeof cr->salt);
        cr->iterations = (uint32_t)sqlite3_column_int(st, 1);
    }
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
    if (!keep) {
        random_bytes(cr->salt, sizeof cr->salt);
        cr->iterations = SCRAM_ITERATIONS;
    }
    return got == SQLITE_ROW || got == SQLITE_DONE ? RC_OK : RC_TEMP;
}

enum rc credentials_set(struct credentials *c, uint64_t account, struct view password)
{
    struct credential cr = {0};

    if (password.n > VAULT_PASSWORD_MAX)
        return RC_LIMIT;
    enum rc rc = choose_salt(c, account, &cr);
    if (rc == RC_OK)
        rc = password_hash(password, cr.hash);
    if (rc == RC_OK)
        rc = scram_keys(password, view_of(cr.salt, sizeof cr.salt), cr.iterations, cr.stored, cr.server);
    if (rc != RC_OK)
        goto done;
    pthread_mutex_lock(&c->lock);
    sqlite3_bind_int64(c->set, 1, (sqlite3_int64)account);
    sqlite3_bind_text(c->set, 2, cr.hash, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(c->set, 3, cr.salt, sizeof cr.salt, SQLITE_TRANSIENT);
    sqlite3_bind_int(c->set, 4, (int)cr.iterations);
    sqlite3_bind_blob(c->set, 5, cr.stored, sizeof cr.stored, SQLITE_TRANSIENT);
    sqlite3_bind_blob(c->set, 6, cr.server, sizeof cr.server, SQLITE_TRANSIENT);
    rc = vault_db_rc(c->db, sqlite3_step(c->set), "set");
    sqlite3_reset(c->set);
    sqlite3_clear_bindings(c->set);
    pthread_mutex_unlock(&c->lock);
done:
    wipe(&cr, sizeof cr);
    return rc;
}

/* In one transaction: who takes the account's number again finds nothing of before. */
enum rc credentials_remove(struct credentials *c, uint64_t account)
{
    static const char *const others[] = {"DELETE FROM app_password WHERE account = ?1", "DELETE FROM totp WHERE account = ?1",
                                         "DELETE FROM recovery WHERE account = ?1"};
    enum rc rc;

    pthread_mutex_lock(&c->lock);
    rc = vault_db_rc(c->db, sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "remove");
    for (size_t i = 0; i < sizeof others / sizeof *others && rc == RC_OK; i++) {
        sqlite3_stmt *st = credentials_prepare(c, others[i]);
        sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
        rc = st ? credentials_run(c, st, "remove", NULL) : RC_TEMP;
    }
    if (rc == RC_OK) {
        sqlite3_bind_int64(c->remove, 1, (sqlite3_int64)account);
        rc = vault_db_rc(c->db, sqlite3_step(c->remove), "remove");
        if (rc == RC_OK && sqlite3_changes(c->db) == 0)
            rc = RC_NOTFOUND;
        sqlite3_reset(c->remove);
    }
    if (rc == RC_OK || rc == RC_NOTFOUND) {
        enum rc ended = vault_db_rc(c->db, sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL), "remove");
        rc = ended == RC_OK ? rc : ended;
    }
    if (rc != RC_OK && rc != RC_NOTFOUND)
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void credentials_secret(const struct credentials *c, uint8_t out[32])
{
    memcpy(out, c->secret, sizeof c->secret);
}
