#include "app/signing.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/pkey.h"
#include "mailauth/dkim_key.h"
#include "store/directory_dkim.h"
#include "sys/worker.h"

#define MEMORY (64u << 20) /* for the rows of all keys */

struct signing {
    struct vault *vault;
    struct store *store;
    struct dns *dns;
    struct signer *signer;
    struct worker worker;
    pthread_mutex_t lock; /* guards all below */
    int64_t keep_ms;
    bool look;
};

/* dkim_sign_fn; ctx: the vault. */
enum rc signing_by_vault(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                         struct buf *signature)
{
    const int kind = algorithm == DKIM_RSA_SHA256 ? PKEY_RSA : PKEY_ED25519;
    return vault_dkim_sign(ctx, domain, selector, kind, digest, signature);
}

/* --- one round --- */

static bool is_published(struct signing *s, const struct directory_dkim_key *k, struct arena *a)
{
    struct dkim_key_answer answer;
    const char *reason = "the DNS shows another key";

    dkim_key_fetch(s->dns, k->selector, k->domain, deadline_in(SIGNING_ANSWER_MS), a, &answer);
    for (size_t i = 0; i < answer.n; i++)
        if ((int)answer.keys[i].kind == k->algorithm && view_eq(answer.keys[i].bytes, k->public_key))
            return true;
    log_info("dkim.key.awaited", F_VIEW("domain", k->domain), F_VIEW("selector", k->selector),
             F_CSTR("reason", answer.n > 0 ? reason : answer.reason));
    return false;
}

/* keys[0..n) are those of one domain. */
static void look_at_domain(struct signing *s, const struct directory_dkim_key *keys, size_t n, struct arena *a)
{
    size_t waiting = 0, shown = 0;

    for (size_t i = 0; i < n && shown == waiting; i++) {
        if (keys[i].state != DKIM_KEY_NEXT)
            continue;
        waiting++;
        shown += is_published(s, &keys[i], a);
    }
    if (waiting == 0 || shown < waiting)
        return;
    enum rc rc = directory_dkim_switch(s->store, keys[0].domain);
    if (rc == RC_OK) {
        signer_refresh(s->signer);
        for (size_t i = 0; i < n; i++)
            if (keys[i].state == DKIM_KEY_NEXT)
                log_info("dkim.key.active", F_VIEW("domain", keys[i].domain), F_VIEW("selector", keys[i].selector));
    } else if (rc != RC_NOTFOUND) { /* a command may have been quicker */
        log_warn("dkim.rotation.failed", F_VIEW("domain", keys[0].domain), F_CSTR("reason", rc_name(rc)));
    }
}

/* The vault first: a row without a key can be dropped later, a key without a row would stay for ever. */
static void let_go(struct signing *s, const struct directory_dkim_key *k)
{
    enum rc rc = vault_dkim_forget(s->vault, k->domain, k->selector);
    if (rc == RC_OK || rc == RC_NOTFOUND)
        rc = directory_dkim_drop(s->store, k->domain, k->selector);
    if (rc == RC_OK)
        log_info("dkim.key.gone", F_VIEW("domain", k->domain), F_VIEW("selector", k->selector));
    else if (rc != RC_NOTFOUND)
        log_warn("dkim.rotation.failed", F_VIEW("domain", k->domain), F_VIEW("selector", k->selector), F_CSTR("reason", rc_name(rc)));
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Gives the time after which there is something to be done again. */
static int64_t run_round(struct signing *s, bool look, int64_t keep_ms)
{
    const int64_t now_ms = clock_real_ms();
    int64_t wait_ms = SIGNING_LOOK_MS;
    struct directory_dkim_key *keys;
    struct arena a;
    size_t n, end;

    arena_init(&a, MEMORY);
    enum rc rc = directory_dkim_keys(s->store, VIEW(""), &a, &keys, &n);
    if (rc != RC_OK)
        log_warn("dkim.rotation.failed", F_CSTR("reason", rc_name(rc)));
    for (size_t i = 0; rc == RC_OK && i < n; i = end) {
        for (end = i; end < n && view_eq(keys[end].domain, keys[i].domain);)
            end++;
        if (look)
            look_at_domain(s, &keys[i], end - i, &a);
    }
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        if (keys[i].state != DKIM_KEY_RETIRED)
            continue;
        int64_t left_ms = keys[i].retired_s * 1000 + keep_ms + 1000 - now_ms; /* seconds are cut off */
        if (left_ms <= 0)
            let_go(s, &keys[i]);
        else
            wait_ms = earlier(wait_ms, left_ms);
    }
    arena_clear(&a);
    return wait_ms;
}

static void run(void *arg)
{
    struct signing *s = arg;
    int64_t next_look = deadline_in(SIGNING_LOOK_MS);

    for (int64_t next = 0; worker_rest(&s->worker, next, NULL);) {
        pthread_mutex_lock(&s->lock);
        const bool look = s->look || clock_mono_ms() >= next_look;
        const int64_t keep_ms = s->keep_ms;
        s->look = false;
        pthread_mutex_unlock(&s->lock);
        if (look)
            next_look = deadline_in(SIGNING_LOOK_MS);
        next = deadline_in(run_round(s, look, keep_ms));
        if (look)
            next = 0; /* what was switched now is retired, with a time of its own */
    }
}

/* --- what others call --- */

enum rc signing_new(struct vault *vault, struct store *store, struct dns *dns, int64_t keep_ms, struct signing **out)
{
    struct signing *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return RC_TEMP;
    s->vault = vault;
    s->store = store;
    s->dns = dns;
    s->keep_ms = keep_ms;
    pthread_mutex_init(&s->lock, NULL);
    worker_init(&s->worker);
    enum rc rc = signer_new(store, signing_by_vault, vault, &s->signer);
    if (rc == RC_OK)
        rc = worker_start(&s->worker, "signing", run, s);
    if (rc != RC_OK)
        signing_free(s);
    else
        *out = s;
    return rc;
}

void signing_free(struct signing *s)
{
    if (!s)
        return;
    worker_clear(&s->worker);
    signer_free(s->signer);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct signer *signing_signer(struct signing *s)
{
    return s->signer;
}

void signing_set_keep(struct signing *s, int64_t keep_ms)
{
    pthread_mutex_lock(&s->lock);
    s->keep_ms = keep_ms;
    pthread_mutex_unlock(&s->lock);
    worker_call(&s->worker);
}

void signing_wake(struct signing *s, bool look)
{
    signer_refresh(s->signer);
    pthread_mutex_lock(&s->lock);
    s->look |= look;
    pthread_mutex_unlock(&s->lock);
    worker_call(&s->worker);
}
