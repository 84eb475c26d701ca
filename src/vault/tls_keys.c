#include "vault/tls_keys.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "vault/vault_db.h"

/* A key that serves, decoded. In use it may not go: users counts those who sign with it now. */
struct serving {
    uint8_t id[SHA256_SIZE];
    EVP_PKEY *pkey;
    bool is_old; /* replaced by the last change */
    struct serving *next;
};
struct tls_keys {
    pthread_mutex_t lock; /* guards all below */
    sqlite3 *db;
    struct serving *serving;
};

enum rc tls_keys_open(const char *path, struct tls_keys **out, const char **why)
{
    struct tls_keys *k = calloc(1, sizeof *k);

    *out = NULL;
    *why = "out of memory";
    if (!k)
        return RC_TEMP;
    pthread_mutex_init(&k->lock, NULL);
    enum rc rc = vault_db_open(path, &k->db, why);
    if (rc != RC_OK)
        tls_keys_close(k);
    else
        *out = k;
    return rc;
}

static void forget_serving(struct tls_keys *k)
{
    for (struct serving *s; (s = k->serving);) {
        k->serving = s->next;
        EVP_PKEY_free(s->pkey); /* who signs with it now holds a reference */
        free(s);
    }
}

void tls_keys_close(struct tls_keys *k)
{
    if (!k)
        return;
    forget_serving(k);
    sqlite3_close(k->db);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static bool is_name(struct view name)
{
    bool ok = name.n > 0 && name.n <= TLS_KEY_NAME_MAX;
    for (size_t i = 0; ok && i < name.n; i++)
        ok = name.p[i] >= ' ' && name.p[i] < 0x7f;
    return ok;
}

/* --- keys and their texts --- */

static enum rc write_private(EVP_PKEY *pkey, struct buf *out)
{
    unsigned char *der = NULL;
    int n = i2d_PrivateKey(pkey, &der);
    if (n > 0)
        buf_add(out, view_of(der, (size_t)n));
    OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
    return n > 0 ? buf_rc(out) : RC_TEMP;
}

static enum rc write_public(EVP_PKEY *pkey, struct buf *out)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pkey, &der);
    if (n > 0)
        buf_add(out, view_of(der, (size_t)n));
    OPENSSL_free(der);
    return n > 0 ? buf_rc(out) : RC_TEMP;
}

static enum rc id_of(EVP_PKEY *pkey, uint8_t id[SHA256_SIZE])
{
    struct buf der;
    buf_init(&der, 1024);
    enum rc rc = write_public(pkey, &der);
    if (rc == RC_OK)
        rc = sha256(buf_view(&der), id);
    buf_clear(&der);
    return rc;
}

static EVP_PKEY *read_private(const void *der, int n)
{
    const unsigned char *p = der;
    return d2i_AutoPrivateKey(NULL, &p, n);
}

static enum rc sign_digest(EVP_PKEY *pkey, struct view digest, struct buf *signature)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    size_t n = (size_t)EVP_PKEY_get_size(pkey);
    char *room = buf_room(signature, n);
    enum rc rc = RC_TEMP;
    if (ctx && room && EVP_PKEY_sign_init(ctx) > 0 &&
        EVP_PKEY_sign(ctx, (unsigned char *)room, &n, (const unsigned char *)digest.p, digest.n) > 0) {
        buf_grew(signature, n);
        rc = RC_OK;
    }
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    return rc;
}

/* --- rows, with the lock held --- */

static enum rc prepare(struct tls_keys *k, const char *sql, struct view name, sqlite3_stmt **st)
{
    enum rc rc = vault_db_rc(k->db, sqlite3_prepare_v2(k->db, sql, -1, st, NULL), "prepare");
    if (rc == RC_OK && name.n > 0)
        sqlite3_bind_text(*st, 1, name.p, (int)name.n, SQLITE_STATIC);
    return rc;
}

/* RC_OK: there is a row. */
static enum rc step(struct tls_keys *k, sqlite3_stmt *st, const char *doing)
{
    int got = sqlite3_step(st);
    return got == SQLITE_DONE ? RC_NOTFOUND : vault_db_rc(k->db, got, doing);
}

static const char *question_of(enum tls_key_which which)
{
    switch (which) {
    case TLS_KEY_NEXT: /* one older than the serving key was given up */
        return "SELECT private FROM tls_key t WHERE name = ?1 AND chain IS NULL AND NOT EXISTS (SELECT 1 FROM tls_key s"
               " WHERE s.name = t.name AND s.chain IS NOT NULL AND s.id > t.id) ORDER BY id DESC LIMIT 1";
    case TLS_KEY_SERVING: return "SELECT private FROM tls_key WHERE name = ?1 AND chain IS NOT NULL ORDER BY id DESC LIMIT 1";
    default: return "SELECT private FROM tls_key WHERE name = ?1 ORDER BY id DESC LIMIT 1";
    }
}

static enum rc find_key(struct tls_keys *k, struct view name, enum tls_key_which which, EVP_PKEY **out)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, question_of(which), name, &st);
    if (rc == RC_OK)
        rc = step(k, st, "read a key");
    if (rc == RC_OK && !(*out = read_private(sqlite3_column_blob(st, 0), sqlite3_column_bytes(st, 0))))
        rc = RC_TEMP;
    sqlite3_finalize(st);
    return rc;
}

static enum rc has_room(struct tls_keys *k)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, "SELECT count(*) FROM tls_key", VIEW(""), &st);
    if (rc == RC_OK)
        rc = step(k, st, "count the keys");
    if (rc == RC_OK && sqlite3_column_int(st, 0) >= TLS_KEYS_MAX)
        rc = RC_LIMIT;
    sqlite3_finalize(st);
    return rc;
}

static enum rc insert_key(struct tls_keys *k, struct view name, EVP_PKEY *pkey)
{
    sqlite3_stmt *st = NULL;
    struct buf der;
    buf_init(&der, 4096);
    enum rc rc = has_room(k);
    if (rc == RC_OK)
        rc = write_private(pkey, &der);
    if (rc == RC_OK)
        rc = prepare(k, "INSERT INTO tls_key (name, private, chain) VALUES (?1, ?2, NULL)", name, &st);
    if (rc == RC_OK) {
        sqlite3_bind_blob(st, 2, der.p, (int)der.n, SQLITE_STATIC);
        rc = vault_db_rc(k->db, sqlite3_step(st), "keep a key");
    }
    sqlite3_finalize(st);
    buf_wipe(&der);
    buf_clear(&der);
    return rc;
}

/* The name's key that this certificate is for. */
static enum rc find_owner(struct tls_keys *k, struct view name, X509 *cert, int64_t *id)
{
    sqlite3_stmt *st = NULL;
    bool any = false, found = false;
    enum rc rc = prepare(k, "SELECT id, private FROM tls_key WHERE name = ?1 ORDER BY id DESC", name, &st);
    while (rc == RC_OK && !found && (rc = step(k, st, "look for a key")) == RC_OK) {
        EVP_PKEY *pkey = read_private(sqlite3_column_blob(st, 1), sqlite3_column_bytes(st, 1));
        any = true;
        found = pkey && X509_check_private_key(cert, pkey) == 1;
        *id = sqlite3_column_int64(st, 0);
        EVP_PKEY_free(pkey);
    }
    ERR_clear_error();
    sqlite3_finalize(st);
    return found ? RC_OK : rc == RC_NOTFOUND && any ? RC_SYNTAX : rc;
}

static enum rc keep_chain(struct tls_keys *k, struct view name, int64_t id, struct view pem)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, "UPDATE tls_key SET chain = CASE WHEN id = ?3 THEN ?2 ELSE NULL END WHERE name = ?1", name, &st);
    if (rc == RC_OK) {
        sqlite3_bind_text(st, 2, pem.p, (int)pem.n, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, id);
        rc = vault_db_rc(k->db, sqlite3_step(st), "keep a certificate");
    }
    sqlite3_finalize(st);
    st = NULL;
    if (rc == RC_OK)
        rc = prepare(k, "DELETE FROM tls_key WHERE name = ?1 AND id < ?2", name, &st);
    if (rc == RC_OK) {
        sqlite3_bind_int64(st, 2, id);
        rc = vault_db_rc(k->db, sqlite3_step(st), "forget a key");
    }
    sqlite3_finalize(st);
    return rc;
}

/* Decodes those that have a chain; after a change it is done anew when first needed. */
static enum rc load_serving(struct tls_keys *k)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, "SELECT private FROM tls_key WHERE chain IS NOT NULL", VIEW(""), &st);
    while (rc == RC_OK && (rc = step(k, st, "read the keys")) == RC_OK) {
        struct serving *s = calloc(1, sizeof *s);
        if (s)
            s->pkey = read_private(sqlite3_column_blob(st, 0), sqlite3_column_bytes(st, 0));
        if (!s || !s->pkey || id_of(s->pkey, s->id) != RC_OK) {
            EVP_PKEY_free(s ? s->pkey : NULL);
            free(s);
            rc = RC_TEMP;
            break;
        }
        s->next = k->serving;
        k->serving = s;
    }
    sqlite3_finalize(st);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static bool serves(const struct tls_keys *k, const uint8_t id[SHA256_SIZE])
{
    for (const struct serving *s = k->serving; s; s = s->next)
        if (memcmp(s->id, id, SHA256_SIZE) == 0)
            return true;
    return false;
}

/* Until everybody has the new chain a key that was replaced may still be asked for; the next change lets it go. */
static void keep_old(struct tls_keys *k, struct serving *old)
{
    for (struct serving *s; (s = old);) {
        old = s->next;
        if (s->is_old || serves(k, s->id)) {
            EVP_PKEY_free(s->pkey);
            free(s);
            continue;
        }
        s->is_old = true;
        s->next = k->serving;
        k->serving = s;
    }
}

/* --- what others call --- */

enum rc tls_keys_public(struct tls_keys *k, struct view name, enum tls_key_which which, struct buf *public_key)
{
    EVP_PKEY *pkey = NULL;
    if (!is_name(name))
        return RC_SYNTAX;
    pthread_mutex_lock(&k->lock);
    enum rc rc = find_key(k, name, which, &pkey);
    if (rc == RC_NOTFOUND && which != TLS_KEY_SERVING) {
        pkey = EVP_EC_gen("P-256");
        rc = pkey ? insert_key(k, name, pkey) : RC_TEMP;
    }
    pthread_mutex_unlock(&k->lock);
    if (rc == RC_OK)
        rc = write_public(pkey, public_key);
    EVP_PKEY_free(pkey);
    return rc;
}

enum rc tls_keys_sign(struct tls_keys *k, struct view name, enum tls_key_which which, struct view digest, struct buf *signature)
{
    EVP_PKEY *pkey = NULL;
    if (!is_name(name) || digest.n != SHA256_SIZE)
        return RC_SYNTAX;
    pthread_mutex_lock(&k->lock);
    enum rc rc = find_key(k, name, which, &pkey);
    pthread_mutex_unlock(&k->lock);
    if (rc == RC_OK)
        rc = sign_digest(pkey, digest, signature);
    EVP_PKEY_free(pkey);
    return rc;
}

enum rc tls_keys_install(struct tls_keys *k, struct view name, struct view pem)
{
    int64_t id;
    if (!is_name(name) || pem.n > TLS_CHAIN_MAX)
        return RC_SYNTAX;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!cert)
        return RC_SYNTAX;
    pthread_mutex_lock(&k->lock);
    enum rc rc = vault_db_rc(k->db, sqlite3_exec(k->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
    if (rc == RC_OK) {
        rc = find_owner(k, name, cert, &id);
        if (rc == RC_OK)
            rc = keep_chain(k, name, id, pem);
        const char *end = rc == RC_OK ? "COMMIT" : "ROLLBACK";
        enum rc ended = vault_db_rc(k->db, sqlite3_exec(k->db, end, NULL, NULL, NULL), end);
        rc = rc == RC_OK ? ended : rc;
    }
    struct serving *old = k->serving;
    k->serving = NULL;
    if (rc == RC_OK && load_serving(k) != RC_OK)
        forget_serving(k); /* read again when first needed */
    keep_old(k, old);
    pthread_mutex_unlock(&k->lock);
    X509_free(cert);
    return rc;
}

enum rc tls_keys_chain(struct tls_keys *k, size_t i, struct buf *pem)
{
    sqlite3_stmt *st = NULL;
    pthread_mutex_lock(&k->lock);
    enum rc rc = prepare(k, "SELECT chain FROM tls_key WHERE chain IS NOT NULL ORDER BY name LIMIT 1 OFFSET ?1", VIEW(""), &st);
    if (rc == RC_OK) {
        sqlite3_bind_int64(st, 1, (int64_t)i);
        rc = step(k, st, "read a certificate");
    }
    if (rc == RC_OK)
        buf_add(pem, view_of(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return rc == RC_OK ? buf_rc(pem) : rc;
}

size_t tls_keys_count(struct tls_keys *k)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    pthread_mutex_lock(&k->lock);
    enum rc rc = prepare(k, "SELECT count(*) FROM tls_key WHERE chain IS NOT NULL", VIEW(""), &st);
    if (rc == RC_OK && step(k, st, "count the certificates") == RC_OK)
        n = (size_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return n;
}

static EVP_PKEY *find_serving(struct tls_keys *k, const uint8_t id[SHA256_SIZE])
{
    for (struct serving *s = k->serving; s; s = s->next)
        if (memcmp(s->id, id, SHA256_SIZE) == 0 && EVP_PKEY_up_ref(s->pkey) == 1)
            return s->pkey;
    return NULL;
}

enum rc tls_keys_sign_tls(struct tls_keys *k, const uint8_t id[SHA256_SIZE], struct view digest, struct buf *signature)
{
    pthread_mutex_lock(&k->lock);
    EVP_PKEY *pkey = find_serving(k, id);
    enum rc rc = RC_OK;
    if (!pkey && !k->serving)
        rc = load_serving(k);
    if (!pkey && rc == RC_OK)
        pkey = find_serving(k, id);
    pthread_mutex_unlock(&k->lock);
    if (!pkey)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = sign_digest(pkey, digest, signature);
    EVP_PKEY_free(pkey);
    return rc == RC_TEMP ? RC_SYNTAX : rc;
}
