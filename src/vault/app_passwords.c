#include "vault/app_passwords.h"

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "vault/credentials_internal.h"

#define LETTERS 20
#define GROUP   5

struct row {
    uint64_t id;
    enum vault_scope scope;
    uint8_t salt[SCRAM_SALT], hash[SHA256_SIZE];   /* hash: HMAC-SHA-256 of the letters under the salt */
    uint8_t stored[SCRAM_KEY], server[SCRAM_KEY];  /* of the text as shown, hyphens included */
};

/* Only its letters, in lower case; false: not the shape of one of ours. */
static bool take_letters(struct view text, char letters[LETTERS])
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '-' || c == ' ')
            continue;
        if (n == LETTERS || (!is_alpha(c) && (c < '2' || c > '7')))
            return false;
        letters[n++] = (char)to_lower(c);
    }
    return n == LETTERS;
}

static void make_text(char text[APP_PASSWORD_TEXT + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[LETTERS];
    size_t n = 0;

    random_bytes(random, sizeof random);
    for (size_t i = 0; i < LETTERS; i++) {
        if (i > 0 && i % GROUP == 0)
            text[n++] = '-';
        text[n++] = alphabet[random[i] % 32];
    }
    text[n] = '\0';
    wipe(random, sizeof random);
}

static enum rc insert_row(struct credentials *c, uint64_t account, const struct row *r, uint64_t *id)
{
    int changed = 0;

    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = credentials_prepare(c, "INSERT INTO app_password (account, scope, salt, hash, stored, server)"
                                              " SELECT ?1, ?2, ?3, ?4, ?5, ?6"
                                              " WHERE (SELECT count(*) FROM app_password WHERE account = ?1) < ?7");
    enum rc rc = RC_TEMP;
    if (st) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
        sqlite3_bind_int(st, 2, (int)r->scope);
        sqlite3_bind_blob(st, 3, r->salt, sizeof r->salt, SQLITE_STATIC);
        sqlite3_bind_blob(st, 4, r->hash, sizeof r->hash, SQLITE_STATIC);
        sqlite3_bind_blob(st, 5, r->stored, sizeof r->stored, SQLITE_STATIC);
        sqlite3_bind_blob(st, 6, r->server, sizeof r->server, SQLITE_STATIC);
        sqlite3_bind_int(st, 7, APP_PASSWORDS_MAX);
        rc = credentials_run(c, st, "add an application password", &changed);
    }
    *id = (uint64_t)sqlite3_last_insert_rowid(c->db);
    pthread_mutex_unlock(&c->lock);
    return rc == RC_OK && changed == 0 ? RC_LIMIT : rc;
}

enum rc app_passwords_make(struct credentials *c, uint64_t account, enum vault_scope scope, char text[APP_PASSWORD_TEXT + 1],
                           uint64_t *id)
{
    struct credential own;
    struct row r = {.scope = scope};
    char letters[LETTERS];
    enum rc rc = credentials_get(c, account, &own);

    if (rc != RC_OK)
        return rc;
    make_text(text);
    take_letters(view_str(text), letters);
    random_bytes(r.salt, sizeof r.salt);
    rc = hmac_sha256(view_of(r.salt, sizeof r.salt), view_of(letters, sizeof letters), r.hash);
    if (rc == RC_OK)
        rc = scram_keys(view_str(text), view_of(own.salt, sizeof own.salt), own.iterations, r.stored, r.server);
    if (rc == RC_OK)
        rc = insert_row(c, account, &r, id);
    wipe(letters, sizeof letters);
    wipe(&own, sizeof own);
    wipe(&r, sizeof r);
    return rc;
}

enum rc app_passwords_remove(struct credentials *c, uint64_t account, uint64_t id)
{
    int changed = 0;
    enum rc rc = RC_TEMP;

    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = credentials_prepare(c, "DELETE FROM app_password WHERE account = ?1 AND id = ?2");
    if (st) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
        sqlite3_bind_int64(st, 2, (sqlite3_int64)id);
        rc = credentials_run(c, st, "remove an application password", &changed);
    }
    pthread_mutex_unlock(&c->lock);
    return rc == RC_OK && changed == 0 ? RC_NOTFOUND : rc;
}

/* All of an account, so that each costs the same time, whichever fits. */
static enum rc read_rows(struct credentials *c, uint64_t account, struct row rows[APP_PASSWORDS_MAX], size_t *n)
{
    enum rc rc = RC_OK;
    int got;

    *n = 0;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = credentials_prepare(c, "SELECT id, scope, salt, hash, stored, server FROM app_password WHERE account = ?1");
    if (!st) {
        pthread_mutex_unlock(&c->lock);
        return RC_TEMP;
    }
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    while ((got = sqlite3_step(st)) == SQLITE_ROW && *n < APP_PASSWORDS_MAX && rc == RC_OK) {
        struct row *r = &rows[(*n)++];
        r->id = (uint64_t)sqlite3_column_int64(st, 0);
        r->scope = (enum vault_scope)sqlite3_column_int(st, 1);
        if (!credentials_blob(st, 2, r->salt, sizeof r->salt) || !credentials_blob(st, 3, r->hash, sizeof r->hash) ||
            !credentials_blob(st, 4, r->stored, sizeof r->stored) || !credentials_blob(st, 5, r->server, sizeof r->server))
            rc = RC_TEMP;
    }
    if (rc == RC_OK)
        rc = vault_db_rc(c->db, got, "read application passwords");
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

enum rc app_passwords_find(struct credentials *c, uint64_t account, struct view password, struct vault_match *out)
{
    struct row rows[APP_PASSWORDS_MAX];
    char letters[LETTERS];
    uint8_t hash[SHA256_SIZE];
    size_t n = 0;
    bool found = false;

    if (!take_letters(password, letters))
        return RC_DENIED;
    enum rc rc = read_rows(c, account, rows, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = hmac_sha256(view_of(rows[i].salt, sizeof rows[i].salt), view_of(letters, sizeof letters), hash);
        if (rc == RC_OK && equal_secret(view_of(hash, sizeof hash), view_of(rows[i].hash, sizeof hash))) {
            *out = (struct vault_match){.app_password = rows[i].id, .scope = rows[i].scope};
            found = true;
        }
    }
    wipe(letters, sizeof letters);
    wipe(rows, sizeof rows);
    return rc == RC_OK && !found ? RC_DENIED : rc;
}

enum rc app_passwords_find_scram(struct credentials *c, uint64_t account, struct view auth_message, const uint8_t proof[SCRAM_KEY],
                                 uint8_t server_signature[SCRAM_KEY], struct vault_match *out)
{
    struct row rows[APP_PASSWORDS_MAX];
    uint8_t signature[SCRAM_KEY];
    size_t n = 0;
    bool found = false;
    enum rc rc = read_rows(c, account, rows, &n);

    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = scram_verify(rows[i].stored, rows[i].server, auth_message, proof, signature);
        if (rc == RC_OK) {
            *out = (struct vault_match){.app_password = rows[i].id, .scope = rows[i].scope};
            memcpy(server_signature, signature, sizeof signature);
            found = true;
        }
        rc = rc == RC_DENIED ? RC_OK : rc;
    }
    wipe(rows, sizeof rows);
    return rc == RC_OK && !found ? RC_DENIED : rc;
}
