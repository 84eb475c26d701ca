#include "vault/server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "net/tls.h"
#include "sys/fdpass.h"
#include "sys/thread.h"
#include "vault/app_passwords.h"
#include "vault/failures.h"
#include "vault/memo.h"
#include "vault/second_factor.h"
#include "vault/vault.h"

struct channel {
    struct vault_server *server;
    int fd;
    bool may_change;
    struct channel *next;
};
struct vault_server {
    struct credentials *credentials;
    struct keys *keys;
    struct dkim_keys *dkim;
    struct tls_keys *tls;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct failures *failures;
    struct memo *memo;
    unsigned hashing;
    struct channel *channels;
    char nobody[PASSWORD_HASH_MAX]; /* a hash to try for accounts that do not exist: the same time goes by */
};

enum rc vault_server_new(struct credentials *c, struct keys *k, struct dkim_keys *dkim, struct tls_keys *tls,
                         struct vault_server **out)
{
    struct vault_server *s = calloc(1, sizeof *s);
    enum rc rc = RC_TEMP;

    *out = NULL;
    if (!s) {
        credentials_close(c);
        keys_free(k);
        dkim_keys_close(dkim);
        tls_keys_close(tls);
        return RC_TEMP;
    }
    s->credentials = c;
    s->keys = k;
    s->dkim = dkim;
    s->tls = tls;
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->changed);
    if ((rc = failures_new(&s->failures)) == RC_OK && (rc = memo_new(&s->memo)) == RC_OK)
        rc = password_hash(VIEW("nobody has this one"), s->nobody);
    if (rc != RC_OK)
        vault_server_free(s);
    else
        *out = s;
    return rc;
}

/* --- passwords --- */

static bool begin_hash(struct vault_server *s)
{
    const int64_t deadline = deadline_in(VAULT_HASH_WAIT_MS);
    pthread_mutex_lock(&s->lock);
    while (s->hashing >= VAULT_HASHES)
        if (!thread_cond_wait(&s->changed, &s->lock, deadline))
            break;
    bool mine = s->hashing < VAULT_HASHES;
    s->hashing += mine;
    pthread_mutex_unlock(&s->lock);
    return mine;
}

static void end_hash(struct vault_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->hashing--;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Under which account failures count: names that do not exist get one of their own each. */
static uint64_t counted_as(const struct vault_request *r)
{
    return r->account ? r->account : 1ull << 63 | r->n;
}

static enum rc look_at_failures(struct vault_server *s, const struct vault_request *r)
{
    pthread_mutex_lock(&s->lock);
    enum rc rc = failures_look(s->failures, clock_mono_ms(), counted_as(r), r->peer);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Counts what came of a login. Only RC_OK and RC_DENIED say something about who asks. */
static void count_login(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    pthread_mutex_lock(&s->lock);
    if (a->rc == RC_DENIED)
        a->delay_ms = failures_add(s->failures, clock_mono_ms(), counted_as(r), r->peer);
    else if (a->rc == RC_OK)
        failures_clear(s->failures, counted_as(r), r->peer);
    pthread_mutex_unlock(&s->lock);
}

static bool remembers(struct vault_server *s, const struct vault_request *r, const char *hash)
{
    pthread_mutex_lock(&s->lock);
    bool yes = memo_has(s->memo, clock_mono_ms(), r->account, hash, r->a);
    pthread_mutex_unlock(&s->lock);
    return yes;
}

static void remember(struct vault_server *s, const struct vault_request *r, const char *hash)
{
    pthread_mutex_lock(&s->lock);
    memo_add(s->memo, clock_mono_ms(), r->account, hash, r->a);
    pthread_mutex_unlock(&s->lock);
}

static enum rc check_password(struct vault_server *s, const struct vault_request *r)
{
    struct credential c;
    enum rc known = r->account ? credentials_get(s->credentials, r->account, &c) : RC_NOTFOUND, rc;

    if (r->a.n > VAULT_PASSWORD_MAX)
        return RC_DENIED;
    if (known != RC_OK && known != RC_NOTFOUND)
        return RC_TEMP;
    if (known == RC_OK && remembers(s, r, c.hash)) {
        wipe(&c, sizeof c);
        return RC_OK;
    }
    if (!begin_hash(s)) {
        log_warn("vault.busy", F_INT("hashes", VAULT_HASHES));
        rc = RC_TEMP;
    } else {
        rc = password_verify(known == RC_OK ? c.hash : s->nobody, r->a);
        end_hash(s);
    }
    if (known != RC_OK && rc == RC_OK)
        rc = RC_DENIED;
    if (rc == RC_CORRUPT) {
        log_error("vault.hash.damaged", F_INT("account", r->account));
        rc = RC_TEMP;
    }
    if (rc == RC_OK)
        remember(s, r, c.hash);
    wipe(&c, sizeof c);
    return rc;
}

static void answer_password(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    a->rc = look_at_failures(s, r);
    if (a->rc != RC_OK)
        return;
    a->rc = check_password(s, r);
    count_login(s, r, a);
}

/* Is the account's own password enough? */
static enum rc look_at_factor(struct vault_server *s, uint64_t account, struct vault_match *match)
{
    struct second_factor f;
    enum rc rc = match->app_password == 0 ? second_factor_state(s->credentials, account, &f) : RC_NOTFOUND;

    match->second_factor = rc == RC_OK && f.totp;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* For mail clients: application passwords first, for they cost no argon2id. */
static void answer_login(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct vault_match match = {0};

    a->rc = look_at_failures(s, r);
    if (a->rc != RC_OK)
        return;
    a->rc = r->account ? app_passwords_find(s->credentials, r->account, r->a, &match) : RC_DENIED;
    if (a->rc == RC_DENIED)
        a->rc = check_password(s, r);
    count_login(s, r, a);
    if (a->rc == RC_OK)
        a->rc = look_at_factor(s, r->account, &match);
    if (a->rc != RC_OK)
        return;
    a->n = vault_match_number(&match);
    vault_id_write(match.app_password, out);
}

/* A salt for names without verifier: always the same for a name, and not to be told from a real one (RFC 5802 §5.1 asks
 * nothing here; without it SCRAM tells which accounts exist). */
static enum rc fake_salt(struct vault_server *s, struct view name, uint8_t salt[SCRAM_SALT])
{
    uint8_t secret[32], mac[SHA256_SIZE];
    credentials_secret(s->credentials, secret);
    enum rc rc = hmac_sha256(view_of(secret, sizeof secret), name, mac);
    wipe(secret, sizeof secret);
    if (rc == RC_OK)
        memcpy(salt, mac, SCRAM_SALT);
    return rc;
}

static void answer_scram_start(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct credential c;
    uint8_t salt[SCRAM_SALT];

    a->rc = look_at_failures(s, r);
    if (a->rc != RC_OK)
        return;
    enum rc known = r->account ? credentials_get(s->credentials, r->account, &c) : RC_NOTFOUND;
    if (known == RC_OK) {
        buf_add(out, view_of(c.salt, sizeof c.salt));
        a->n = c.iterations;
    } else if (known == RC_NOTFOUND) {
        a->rc = fake_salt(s, r->a, salt);
        buf_add(out, view_of(salt, sizeof salt));
        a->n = SCRAM_ITERATIONS;
    } else {
        a->rc = RC_TEMP;
    }
    if (a->rc == RC_OK)
        a->rc = buf_rc(out);
    wipe(&c, sizeof c);
}

/* The proof may be made of the account's password or of any application password: they have one salt. */
static enum rc check_proof(struct vault_server *s, const struct vault_request *r, uint8_t signature[SCRAM_KEY], struct vault_match *match)
{
    struct credential c = {0};
    enum rc known = r->account ? credentials_get(s->credentials, r->account, &c) : RC_NOTFOUND, rc;

    if (known != RC_OK && known != RC_NOTFOUND)
        return RC_TEMP;
    rc = scram_verify(c.stored, c.server, r->a, r->key, signature);
    if (known == RC_NOTFOUND && rc == RC_OK)
        rc = RC_DENIED;
    if (known == RC_OK && rc == RC_DENIED)
        rc = app_passwords_find_scram(s->credentials, r->account, r->a, r->key, signature, match);
    wipe(&c, sizeof c);
    return rc;
}

static void answer_scram_finish(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct vault_match match = {0};
    uint8_t signature[SCRAM_KEY];

    a->rc = look_at_failures(s, r);
    if (a->rc != RC_OK)
        return;
    a->rc = check_proof(s, r, signature, &match);
    count_login(s, r, a);
    if (a->rc == RC_OK)
        a->rc = look_at_factor(s, r->account, &match);
    if (a->rc != RC_OK)
        return;
    a->n = vault_match_number(&match);
    buf_add(out, view_of(signature, sizeof signature));
    vault_id_write(match.app_password, out);
}

/* --- application passwords --- */

static void answer_app_make(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    char text[APP_PASSWORD_TEXT + 1];
    uint64_t id;

    a->rc = RC_SYNTAX;
    if (r->n > VAULT_SCOPE_SEND)
        return;
    a->rc = app_passwords_make(s->credentials, r->account, (enum vault_scope)r->n, text, &id);
    if (a->rc != RC_OK)
        return;
    vault_id_write(id, out);
    buf_str(out, text);
    wipe(text, sizeof text);
}

static void answer_app_remove(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    struct view in = r->a;
    uint64_t id;

    a->rc = vault_id_parse(&in, &id) ? app_passwords_remove(s->credentials, r->account, id) : RC_SYNTAX;
}

/* --- an account's own password --- */

static void answer_password_set(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    a->rc = RC_SYNTAX;
    if (r->account == 0 || r->a.n == 0)
        return;
    a->rc = RC_TEMP;
    if (!begin_hash(s))
        return;
    a->rc = credentials_set(s->credentials, r->account, r->a);
    end_hash(s);
}

/* --- second factors --- */

/* Counted apart from passwords: who knows the password could otherwise clear the count by it. */
static void answer_factor_check(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    struct vault_request counted = *r;
    bool recovery = false;

    counted.account |= 1ull << 62;
    a->rc = look_at_failures(s, &counted);
    if (a->rc != RC_OK)
        return;
    a->rc = second_factor_check(s->credentials, r->account, r->a, clock_real_s(), &recovery);
    if (a->rc == RC_LIMIT)
        log_warn("vault.codes.guessed", F_INT("account", r->account));
    count_login(s, &counted, a);
    a->n = recovery;
}

static void answer_factor_state(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    struct second_factor f;
    a->rc = second_factor_state(s->credentials, r->account, &f);
    a->n = a->rc == RC_OK ? f.recovery * 2 + f.totp : 0;
}

static void answer_totp_begin(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    uint8_t secret[TOTP_SECRET];
    a->rc = totp_begin(s->credentials, r->account, secret);
    if (a->rc == RC_OK)
        buf_add(out, view_of(secret, sizeof secret));
    wipe(secret, sizeof secret);
}

/* --- TLS keys --- */

/* Those of files have any kind; those that were made here are ECDSA. */
static void answer_tls_sign(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    a->rc = keys_sign(s->keys, r->key, r->n, r->a, out);
    if (a->rc == RC_NOTFOUND && r->n == TLS_SIGN_ECDSA)
        a->rc = tls_keys_sign_tls(s->tls, r->key, r->a, out);
}

/* Those of files come last: a self-signed one of the first day steps back for what an authority has issued since. */
static void answer_tls_chain(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct view pem;
    size_t n = tls_keys_count(s->tls);
    a->rc = r->n < n ? tls_keys_chain(s->tls, r->n, out) : keys_chain(s->keys, r->n - n, &pem);
    if (a->rc == RC_OK && r->n >= n)
        buf_add(out, pem);
}

static void answer_key_install(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    struct view pem = r->a, name;
    a->rc = view_split(&pem, '\n', &name) ? tls_keys_install(s->tls, name, pem) : RC_SYNTAX;
}

/* --- DKIM keys --- */

static void answer_dkim_sign(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct view domain = r->a, selector;

    a->rc = RC_NOTFOUND;
    if (view_split(&domain, ' ', &selector) && (r->n == PKEY_RSA || r->n == PKEY_ED25519))
        a->rc = dkim_keys_sign(s->dkim, domain, selector, (enum pkey_kind)r->n, view_of(r->key, sizeof r->key), out);
}

static void answer_dkim_forget(struct vault_server *s, const struct vault_request *r, struct vault_answer *a)
{
    struct view domain = r->a, selector;

    a->rc = view_split(&domain, ' ', &selector) ? dkim_keys_forget(s->dkim, domain, selector) : RC_NOTFOUND;
}

static void answer_dkim_make(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    struct view domain = r->a, selector;

    a->rc = RC_SYNTAX;
    if (view_split(&domain, ' ', &selector) && (r->n == PKEY_RSA || r->n == PKEY_ED25519))
        a->rc = dkim_keys_make(s->dkim, domain, selector, (enum pkey_kind)r->n, out);
}

/* What the process that speaks with the network's mail must not be able to do, whoever has taken it over. */
static bool is_change(enum vault_op op)
{
    switch (op) {
    case VAULT_OP_APP_MAKE:
    case VAULT_OP_APP_REMOVE:
    case VAULT_OP_PASSWORD_SET:
    case VAULT_OP_PASSWORD_REMOVE:
    case VAULT_OP_FACTOR_CHECK:
    case VAULT_OP_TOTP_BEGIN:
    case VAULT_OP_TOTP_CONFIRM:
    case VAULT_OP_TOTP_REMOVE:
    case VAULT_OP_RECOVERY_MAKE:
    case VAULT_OP_DKIM_MAKE:
    case VAULT_OP_DKIM_LEAVE: return true;
    default: return false;
    }
}

void vault_server_answer(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out)
{
    *a = (struct vault_answer){.seq = r->seq};
    buf_reset(out);
    switch (r->op) {
    case VAULT_OP_PASSWORD: answer_password(s, r, a); break;
    case VAULT_OP_SCRAM_START: answer_scram_start(s, r, a, out); break;
    case VAULT_OP_SCRAM_FINISH: answer_scram_finish(s, r, a, out); break;
    case VAULT_OP_TLS_SIGN: answer_tls_sign(s, r, a, out); break;
    case VAULT_OP_TLS_CHAIN: answer_tls_chain(s, r, a, out); break;
    case VAULT_OP_DKIM_SIGN: answer_dkim_sign(s, r, a, out); break;
    case VAULT_OP_DKIM_FORGET: answer_dkim_forget(s, r, a); break;
    case VAULT_OP_KEY_PUBLIC:
        a->rc = r->n <= TLS_KEY_SERVING ? tls_keys_public(s->tls, r->a, (enum tls_key_which)r->n, out) : RC_SYNTAX;
        break;
    case VAULT_OP_KEY_SIGN:
        a->rc = r->n <= TLS_KEY_SERVING
                    ? tls_keys_sign(s->tls, r->a, (enum tls_key_which)r->n, view_of(r->key, sizeof r->key), out)
                    : RC_SYNTAX;
        break;
    case VAULT_OP_KEY_INSTALL: answer_key_install(s, r, a); break;
    case VAULT_OP_LOGIN: answer_login(s, r, a, out); break;
    case VAULT_OP_APP_MAKE: answer_app_make(s, r, a, out); break;
    case VAULT_OP_APP_REMOVE: answer_app_remove(s, r, a); break;
    case VAULT_OP_PASSWORD_SET: answer_password_set(s, r, a); break;
    case VAULT_OP_PASSWORD_REMOVE: a->rc = credentials_remove(s->credentials, r->account); break;
    case VAULT_OP_DKIM_MAKE: answer_dkim_make(s, r, a, out); break;
    case VAULT_OP_DKIM_LEAVE: a->rc = dkim_keys_remove_domain(s->dkim, r->a); break;
    case VAULT_OP_FACTOR_STATE: answer_factor_state(s, r, a); break;
    case VAULT_OP_FACTOR_CHECK: answer_factor_check(s, r, a); break;
    case VAULT_OP_TOTP_BEGIN: answer_totp_begin(s, r, a, out); break;
    case VAULT_OP_TOTP_CONFIRM: a->rc = totp_confirm(s->credentials, r->account, r->a, clock_real_s()); break;
    case VAULT_OP_TOTP_REMOVE: a->rc = totp_remove(s->credentials, r->account, r->n != 0); break;
    case VAULT_OP_RECOVERY_MAKE: a->rc = recovery_make(s->credentials, r->account, out); break;
    }
    if (a->rc == RC_OK)
        a->rc = buf_rc(out);
    if (a->rc == RC_OK)
        a->a = buf_view(out);
}

/* --- channels --- */

/* Request after request until the client goes, or sends what no client of ours sends. */
static void serve_channel(struct channel *c, char *in)
{
    struct buf out, message;
    size_t n, n_fds;

    buf_init(&out, KEYS_FILE_MAX);
    buf_init(&message, VAULT_MESSAGE_MAX);
    while (fdpass_recv(c->fd, in, VAULT_MESSAGE_MAX, &n, NULL, 0, &n_fds, NO_DEADLINE) == RC_OK) {
        struct vault_request r;
        struct vault_answer a;
        if (vault_request_parse(view_of(in, n), &r) != RC_OK) {
            log_error("vault.request.malformed", F_INT("bytes", n));
            break;
        }
        if (is_change(r.op) && !c->may_change) {
            log_error("vault.request.denied", F_INT("op", r.op));
            a = (struct vault_answer){.seq = r.seq, .rc = RC_DENIED};
        } else {
            vault_server_answer(c->server, &r, &a, &out);
        }
        wipe(in, n);
        buf_reset(&message);
        vault_answer_write(&a, &message);
        if (buf_rc(&message) != RC_OK || fdpass_send(c->fd, buf_view(&message), NULL, 0, deadline_in(VAULT_TIMEOUT_MS)) != RC_OK)
            break;
        if (message.n > 4096) { /* a chain went out: that happens once */
            buf_clear(&message);
            buf_clear(&out);
        }
    }
    buf_clear(&out);
    buf_clear(&message);
}

static void run_channel(void *arg)
{
    struct channel *c = arg;
    struct vault_server *s = c->server;
    char *in = malloc(VAULT_MESSAGE_MAX);

    if (in)
        serve_channel(c, in);
    free(in);
    OPENSSL_thread_stop(); /* who waits below for the last channel may end the process before this thread is gone */
    pthread_mutex_lock(&s->lock);
    for (struct channel **p = &s->channels; *p; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    close(c->fd);
    free(c);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

enum rc vault_server_add_channel(struct vault_server *s, int fd, bool may_change)
{
    struct channel *c = malloc(sizeof *c);
    if (!c) {
        close(fd);
        return RC_TEMP;
    }
    *c = (struct channel){.server = s, .fd = fd, .may_change = may_change};
    pthread_mutex_lock(&s->lock);
    c->next = s->channels;
    s->channels = c;
    enum rc rc = thread_detach("channel", run_channel, c);
    if (rc != RC_OK) {
        s->channels = c->next;
        close(fd);
        free(c);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void vault_server_free(struct vault_server *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    for (struct channel *c = s->channels; c; c = c->next)
        shutdown(c->fd, SHUT_RD); /* the answer in hand still goes out */
    while (s->channels)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    failures_free(s->failures);
    memo_free(s->memo);
    credentials_close(s->credentials);
    keys_free(s->keys);
    dkim_keys_close(s->dkim);
    tls_keys_close(s->tls);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}
