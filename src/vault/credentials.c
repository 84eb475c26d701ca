#include "vault/credentials.h"

#include <pthread.h>
#include <stdlib.h>

#include "crypto/equal.h"
#include "crypto/random.h"
#include "vault/vault.h"
#include "vault/vault_db.h"

struct credentials {
    pthread_mutex_t lock; /* guards the statements */
    sqlite3 *db;
    sqlite3_stmt *get, *set, *remove;
    uint8_t secret[32];
};

static bool copy_blob(sqlite3_stmt *st, int column, void *out, size_t n)
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
    if (rc == SQLITE_OK && (sqlite3_step(st) != SQLITE_ROW || !copy_blob(st, 0, c->secret, sizeof c->secret)))
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
        rc = view_cstr(view_str(hash), out->hash, sizeof out->hash) == RC_OK && copy_blob(c->get, 1, out->salt, sizeof out->salt) &&
                     copy_blob(c->get, 3, out->stored, sizeof out->stored) && copy_blob(c->get, 4, out->server, sizeof out->server)
                 ? RC_OK
                 : RC_CORRUPT;
        out->iterations = (uint32_t)sqlite3_column_int(c->get, 2);
    }
    sqlite3_reset(c->get);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

enum rc credentials_set(struct credentials *c, uint64_t account, struct view password)
{
    struct credential cr = {.iterations = SCRAM_ITERATIONS};

    if (password.n > VAULT_PASSWORD_MAX)
        return RC_LIMIT;
    random_bytes(cr.salt, sizeof cr.salt);
    enum rc rc = password_hash(password, cr.hash);
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

enum rc credentials_remove(struct credentials *c, uint64_t account)
{
    pthread_mutex_lock(&c->lock);
    sqlite3_bind_int64(c->remove, 1, (sqlite3_int64)account);
    enum rc rc = vault_db_rc(c->db, sqlite3_step(c->remove), "remove");
    if (rc == RC_OK && sqlite3_changes(c->db) == 0)
        rc = RC_NOTFOUND;
    sqlite3_reset(c->remove);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void credentials_secret(const struct credentials *c, uint8_t out[32])
{
    memcpy(out, c->secret, sizeof c->secret);
}
