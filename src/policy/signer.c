#include "policy/signer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/pkey.h"
#include "mailauth/dmarc.h"
#include "message/header.h"
#include "store/directory_dkim.h"

#define SIGNER_DOMAINS 256 /* remembered at a time */
#define SELECTOR_MAX   63
#define DOMAIN_MAX     253

/* What is known of a domain, ours or not. */
struct signer_keys {
    char domain[DOMAIN_MAX + 1];
    int64_t until_ms; /* 0: nothing */
    size_t n;         /* 0: it has no keys */
    struct signer_key {
        char selector[SELECTOR_MAX + 1];
        enum dkim_algorithm algorithm;
    } keys[DKIM_SIGN_KEYS_MAX];
};
struct signer {
    struct store *store;
    dkim_sign_fn sign;
    void *ctx;
    pthread_mutex_t lock; /* guards known */
    struct signer_keys known[SIGNER_DOMAINS]; /* a place each by hash of the name */
};

enum rc signer_new(struct store *store, dkim_sign_fn sign, void *ctx, struct signer **out)
{
    struct signer *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return RC_TEMP;
    s->store = store;
    s->sign = sign;
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    return RC_OK;
}

void signer_free(struct signer *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void signer_refresh(struct signer *s)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SIGNER_DOMAINS; i++)
        s->known[i].until_ms = 0;
    pthread_mutex_unlock(&s->lock);
}

/* --- which keys --- */

static struct signer_keys *place_of(struct signer *s, struct view domain)
{
    uint32_t hash = 2166136261u; /* FNV-1a; names of others only push ours out for a moment */
    for (size_t i = 0; i < domain.n; i++)
        hash = (hash ^ (unsigned char)domain.p[i]) * 16777619u;
    return &s->known[hash % SIGNER_DOMAINS];
}

static bool recall(struct signer *s, struct view domain, struct signer_keys *out)
{
    pthread_mutex_lock(&s->lock);
    const struct signer_keys *k = place_of(s, domain);
    bool found = clock_mono_ms() < k->until_ms && view_eq(view_str(k->domain), domain);
    if (found)
        *out = *k;
    pthread_mutex_unlock(&s->lock);
    return found;
}

static void remember(struct signer *s, struct view domain, const struct signer_keys *k)
{
    pthread_mutex_lock(&s->lock);
    *place_of(s, domain) = *k;
    pthread_mutex_unlock(&s->lock);
}

static void forget(struct signer *s, struct view domain)
{
    pthread_mutex_lock(&s->lock);
    place_of(s, domain)->until_ms = 0;
    pthread_mutex_unlock(&s->lock);
}

static enum rc read_keys(struct signer *s, struct view domain, struct signer_keys *out)
{
    struct directory_dkim_key *keys;
    struct arena a;
    size_t n;

    *out = (struct signer_keys){.until_ms = deadline_in(SIGNER_FRESH_MS)};
    if (view_cstr(domain, out->domain, sizeof out->domain) != RC_OK)
        return RC_NOTFOUND;
    arena_init(&a, 1 << 20);
    enum rc rc = directory_dkim_active(s->store, domain, &a, &keys, &n);
    for (size_t i = 0; rc == RC_OK && i < n && out->n < DKIM_SIGN_KEYS_MAX; i++) {
        struct signer_key *k = &out->keys[out->n];
        k->algorithm = keys[i].algorithm == PKEY_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
        if (view_cstr(keys[i].selector, k->selector, sizeof k->selector) == RC_OK)
            out->n++;
    }
    arena_clear(&a);
    if (rc == RC_OK)
        remember(s, domain, out);
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* `domain` in A-labels. RC_NOTFOUND: there is nothing to sign with. */
static enum rc find_keys(struct signer *s, struct view domain, struct signer_keys *out)
{
    enum rc rc = recall(s, domain, out) ? RC_OK : read_keys(s, domain, out);
    return rc == RC_OK && out->n == 0 ? RC_NOTFOUND : rc;
}

/* The first domain in From that has keys. */
static enum rc find_author(struct signer *s, struct view header, struct signer_keys *out)
{
    struct dmarc_authors authors;
    struct arena a;

    arena_init(&a, 4 * HEADER_MAX);
    enum rc rc = dmarc_authors(header, &a, &authors), found = RC_NOTFOUND;
    for (size_t i = 0; rc == RC_OK && i < authors.n && found == RC_NOTFOUND; i++)
        found = find_keys(s, authors.domains[i], out);
    arena_clear(&a);
    return rc == RC_OK ? found : RC_TEMP;
}

/* --- signing --- */

typedef enum rc (*with_keys_fn)(struct signer *s, const struct signer_keys *k, const void *what, struct buf *out);

/* The vault may miss a key because it has just gone: then what the store says now counts. A key that the store lists and
 * the vault has not is a fault that somebody must mend, so the message waits. */
static enum rc use_keys(struct signer *s, struct signer_keys *k, with_keys_fn fn, const void *what, struct buf *out)
{
    enum rc rc = fn(s, k, what, out);
    const struct view domain = view_str(k->domain);
    struct signer_keys fresh;

    if (rc == RC_NOTFOUND) {
        forget(s, domain);
        rc = find_keys(s, domain, &fresh);
        if (rc != RC_OK)
            return rc;
        rc = fn(s, &fresh, what, out);
    }
    if (rc == RC_NOTFOUND)
        log_error("dkim.key.missing", F_VIEW("domain", domain));
    return rc == RC_OK || rc == RC_LIMIT ? rc : RC_TEMP;
}

struct message {
    struct view header, whole; /* one of them */
    const struct dkim_body *body;
    size_t slot;
};

static enum rc sign_message(struct signer *s, const struct signer_keys *k, const void *what, struct buf *out)
{
    const struct message *m = what;
    struct dkim_signing_key keys[DKIM_SIGN_KEYS_MAX];

    for (size_t i = 0; i < k->n; i++)
        keys[i] = (struct dkim_signing_key){view_str(k->keys[i].selector), k->keys[i].algorithm};
    const struct dkim_sign_settings set = {.domain = view_str(k->domain), .keys = keys, .n_keys = k->n, .now_s = clock_real_s()};
    return m->body ? dkim_sign(&set, m->header, m->body, m->slot, s->sign, s->ctx, out)
                   : dkim_sign_message(&set, m->whole, s->sign, s->ctx, out);
}

enum rc signer_sign(struct signer *s, struct view header, const struct dkim_body *body, size_t slot, struct buf *out)
{
    const struct message m = {.header = header, .body = body, .slot = slot};
    struct signer_keys k;
    enum rc rc = find_author(s, header, &k);
    return rc == RC_OK ? use_keys(s, &k, sign_message, &m, out) : rc;
}

enum rc signer_sign_message(struct signer *s, struct view message, struct buf *out)
{
    const struct message m = {.whole = message};
    struct signer_keys k;
    enum rc rc = find_author(s, header_of(message), &k);
    return rc == RC_OK ? use_keys(s, &k, sign_message, &m, out) : rc;
}

struct seal {
    struct view authserv_id, header, results;
    const struct dkim_body *body;
    size_t slot;
    const struct arc_verdict *found;
    enum rc *result; /* of arc_seal, where it is no trouble with keys */
};

static enum rc seal_message(struct signer *s, const struct signer_keys *k, const void *what, struct buf *out)
{
    const struct seal *m = what;
    size_t i = 0;

    while (i < k->n && k->keys[i].algorithm != DKIM_RSA_SHA256) /* RFC 8617 §4.1.3: what everybody verifies */
        i++;
    if (i == k->n)
        i = 0;
    const struct arc_seal_settings set = {.domain = view_str(k->domain), .selector = view_str(k->keys[i].selector),
                                          .algorithm = k->keys[i].algorithm, .authserv_id = m->authserv_id, .now_s = clock_real_s()};
    enum rc rc = arc_seal(&set, m->header, m->body, m->slot, m->results, m->found, s->sign, s->ctx, out);
    *m->result = rc;
    return rc;
}

enum rc signer_seal(struct signer *s, struct view domain, struct view authserv_id, struct view header,
                    const struct dkim_body *body, size_t slot, struct view results, const struct arc_verdict *found,
                    struct buf *out)
{
    enum rc told = RC_OK;
    const struct seal m = {authserv_id, header, results, body, slot, found, &told};
    struct signer_keys k;
    enum rc rc = find_keys(s, domain, &k);
    if (rc == RC_OK)
        rc = use_keys(s, &k, seal_message, &m, out);
    return rc == RC_TEMP && (told == RC_DENIED || told == RC_LIMIT || told == RC_SYNTAX) ? told : rc;
}
