#include "vault/dkim_keys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "vault/vault_db.h"

/* A key in memory. In use it may not go: users counts those who sign with it now. */
struct cached {
    char name[DKIM_KEY_NAME_MAX + 1]; /* "selector domain" */
    struct pkey *key;
    uint64_t used; /* when, by count of uses */
    unsigned users;
};
struct dkim_keys {
    pthread_mutex_t lock; /* guards all below */
    sqlite3 *db;
    struct cached *cache; /* DKIM_KEYS_CACHED */
    size_t n_cached;
    uint64_t uses;
};

enum rc dkim_keys_open(const char *path, struct dkim_keys **out, const char **why)
{
    struct dkim_keys *k = calloc(1, sizeof *k);
    enum rc rc = RC_TEMP;

    *out = NULL;
    *why = "out of memory";
    if (!k)
        return RC_TEMP;
    pthread_mutex_init(&k->lock, NULL);
    k->cache = calloc(DKIM_KEYS_CACHED, sizeof *k->cache);
    if (k->cache)
        rc = vault_db_open(path, &k->db, why);
    if (rc != RC_OK)
        dkim_keys_close(k);
    else
        *out = k;
    return rc;
}

void dkim_keys_close(struct dkim_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n_cached; i++)
        pkey_free(k->cache[i].key);
    free(k->cache);
    sqlite3_close(k->db);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static bool is_name(struct view v, size_t max)
{
    bool ok = v.n > 0 && v.n <= max && v.p[0] != '.' && v.p[v.n - 1] != '.' && view_find(v, VIEW("..")) == VIEW_NONE;
    for (size_t i = 0; ok && i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        ok = is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
    }
    return ok;
}

static bool are_names(struct view domain, struct view selector)
{
    return is_name(domain, 253) && is_name(selector, 63); /* RFC 1035 §2.3.4 */
}

/* --- rows, with the lock held --- */

static void bind(sqlite3_stmt *st, int place, struct view v)
{
    sqlite3_bind_text(st, place, v.p, (int)v.n, SQLITE_STATIC);
}

/* A statement about domain ?1 and selector ?2 (empty: not asked about). */
static enum rc prepare(struct dkim_keys *k, const char *sql, struct view domain, struct view selector, sqlite3_stmt **st)
{
    enum rc rc = vault_db_rc(k->db, sqlite3_prepare_v2(k->db, sql, -1, st, NULL), "prepare");
    if (rc == RC_OK)
        bind(*st, 1, domain);
    if (rc == RC_OK && selector.n > 0)
        bind(*st, 2, selector);
    return rc;
}

static enum rc insert_row(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind, struct view private_key)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, "INSERT INTO dkim_key (domain, selector, kind, private) VALUES (?1, ?2, ?3, ?4)", domain, selector, &st);
    if (rc == RC_OK) {
        sqlite3_bind_int(st, 3, kind);
        sqlite3_bind_blob(st, 4, private_key.p, (int)private_key.n, SQLITE_STATIC);
        int got = sqlite3_step(st);
        rc = (got & 0xff) == SQLITE_CONSTRAINT ? RC_EXISTS : vault_db_rc(k->db, got, "keep a key");
    }
    sqlite3_finalize(st);
    return rc;
}

static enum rc read_key(struct dkim_keys *k, struct view domain, struct view selector, struct pkey **out)
{
    sqlite3_stmt *st = NULL;
    enum rc rc = prepare(k, "SELECT private FROM dkim_key WHERE domain = ?1 AND selector = ?2", domain, selector, &st);
    int got = rc == RC_OK ? sqlite3_step(st) : SQLITE_DONE;
    if (rc == RC_OK && got == SQLITE_DONE)
        rc = RC_NOTFOUND;
    else if (rc == RC_OK)
        rc = vault_db_rc(k->db, got, "read a key");
    if (rc == RC_OK)
        rc = pkey_private(view_of(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), out);
    if (rc == RC_SYNTAX) {
        log_error("vault.key.damaged", F_VIEW("domain", domain), F_VIEW("selector", selector));
        rc = RC_TEMP;
    }
    sqlite3_finalize(st);
    return rc;
}

/* --- the cache, with the lock held --- */

static struct cached *find_cached(struct dkim_keys *k, const char *name)
{
    for (size_t i = 0; i < k->n_cached; i++)
        if (strcmp(k->cache[i].name, name) == 0)
            return &k->cache[i];
    return NULL;
}

/* A free place, or the one longest not used. NULL: all are in use now. */
static struct cached *free_place(struct dkim_keys *k)
{
    struct cached *oldest = NULL;

    if (k->n_cached < DKIM_KEYS_CACHED)
        return &k->cache[k->n_cached++];
    for (size_t i = 0; i < k->n_cached; i++)
        if (k->cache[i].users == 0 && (!oldest || k->cache[i].used < oldest->used))
            oldest = &k->cache[i];
    if (oldest)
        pkey_free(oldest->key);
    return oldest;
}

/* The key in memory, to be given back by let_go(). */
static enum rc take(struct dkim_keys *k, struct view domain, struct view selector, struct cached **out)
{
    char name[DKIM_KEY_NAME_MAX + 1];
    struct pkey *key = NULL;
    enum rc rc = RC_OK;

    snprintf(name, sizeof name, "%.*s %.*s", VIEW_FMT(selector), VIEW_FMT(domain));
    pthread_mutex_lock(&k->lock);
    struct cached *c = find_cached(k, name);
    if (!c) {
        rc = read_key(k, domain, selector, &key);
        if (rc == RC_OK && !(c = free_place(k))) {
            pkey_free(key);
            rc = RC_TEMP;
        }
        if (rc == RC_OK) {
            *c = (struct cached){.key = key};
            memcpy(c->name, name, sizeof name);
        }
    }
    if (rc == RC_OK) {
        c->users++;
        c->used = ++k->uses;
    }
    pthread_mutex_unlock(&k->lock);
    *out = c;
    return rc;
}

static void let_go(struct dkim_keys *k, struct cached *c)
{
    pthread_mutex_lock(&k->lock);
    c->users--;
    pthread_mutex_unlock(&k->lock);
}

/* A key that is in use is not found again, and goes when its place is needed. */
static void drop_cached(struct dkim_keys *k, struct view domain, struct view selector)
{
    char name[DKIM_KEY_NAME_MAX + 1];

    snprintf(name, sizeof name, "%.*s %.*s", VIEW_FMT(selector), VIEW_FMT(domain));
    struct cached *c = find_cached(k, name);
    if (c) {
        c->name[0] = '\0';
        c->used = 0;
    }
}

/* --- what others call --- */

enum rc dkim_keys_make(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind,
                       struct buf *public_key)
{
    const size_t before = public_key->n;
    struct pkey *key = NULL;
    struct buf pem;

    if (!are_names(domain, selector))
        return RC_SYNTAX;
    buf_init(&pem, PKEY_PEM_MAX);
    enum rc rc = pkey_generate(kind, DKIM_KEYS_RSA_BITS, &key);
    if (rc == RC_OK)
        rc = pkey_private_write(key, &pem);
    if (rc == RC_OK)
        rc = pkey_public_write(key, public_key);
    if (rc == RC_OK) {
        pthread_mutex_lock(&k->lock);
        rc = insert_row(k, domain, selector, kind, buf_view(&pem));
        pthread_mutex_unlock(&k->lock);
    }
    if (rc != RC_OK)
        public_key->n = before;
    buf_wipe(&pem);
    buf_clear(&pem);
    pkey_free(key);
    return rc;
}

enum rc dkim_keys_sign(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind, struct view digest,
                       struct buf *signature)
{
    struct cached *c;

    if (!are_names(domain, selector))
        return RC_NOTFOUND;
    enum rc rc = take(k, domain, selector, &c);
    if (rc != RC_OK)
        return rc;
    rc = pkey_kind(c->key) == kind ? pkey_sign(c->key, digest, signature) : RC_NOTFOUND;
    let_go(k, c);
    return rc;
}

enum rc dkim_keys_forget(struct dkim_keys *k, struct view domain, struct view selector)
{
    sqlite3_stmt *st = NULL;

    if (!are_names(domain, selector))
        return RC_NOTFOUND;
    pthread_mutex_lock(&k->lock);
    /* Whoever takes over the process that asks must not be able to leave a domain without keys. */
    enum rc rc = prepare(k, "SELECT (SELECT max(id) FROM dkim_key m WHERE m.domain = d.domain AND m.kind = d.kind) > d.id"
                            " FROM dkim_key d WHERE d.domain = ?1 AND d.selector = ?2", domain, selector, &st);
    int got = rc == RC_OK ? sqlite3_step(st) : SQLITE_DONE;
    if (rc == RC_OK)
        rc = got == SQLITE_DONE ? RC_NOTFOUND : vault_db_rc(k->db, got, "look at a key");
    if (rc == RC_OK && sqlite3_column_int(st, 0) == 0)
        rc = RC_DENIED;
    sqlite3_finalize(st);
    st = NULL;
    if (rc == RC_OK)
        rc = prepare(k, "DELETE FROM dkim_key WHERE domain = ?1 AND selector = ?2", domain, selector, &st);
    if (rc == RC_OK)
        rc = vault_db_rc(k->db, sqlite3_step(st), "forget a key");
    sqlite3_finalize(st);
    if (rc == RC_OK)
        drop_cached(k, domain, selector);
    pthread_mutex_unlock(&k->lock);
    return rc;
}

enum rc dkim_keys_remove_domain(struct dkim_keys *k, struct view domain)
{
    sqlite3_stmt *st = NULL;

    if (!is_name(domain, 253))
        return RC_NOTFOUND;
    pthread_mutex_lock(&k->lock);
    enum rc rc = prepare(k, "DELETE FROM dkim_key WHERE domain = ?1", domain, VIEW(""), &st);
    if (rc == RC_OK)
        rc = vault_db_rc(k->db, sqlite3_step(st), "forget a domain's keys");
    if (rc == RC_OK && sqlite3_changes(k->db) == 0)
        rc = RC_NOTFOUND;
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return rc;
}
