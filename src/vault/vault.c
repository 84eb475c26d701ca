#include "vault/vault.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/equal.h"
#include "sys/fdpass.h"
#include "sys/thread.h"
#include "vault/dkim_keys.h"
#include "vault/tls_keys.h"
#include "vault/wire.h"

#define CHANNELS_MAX  32
#define CHAINS_MAX    1064 /* KEYS_MAX of files and TLS_KEYS_MAX of our own */
#define NO_CHANNEL_MS 5000 /* a vault that crashed is back within this, or something is badly wrong */

struct channel {
    int fd;       /* -1: free place */
    uint32_t seq; /* of the last request */
    bool busy, dropped;
    bool retired; /* leads to a vault that is being replaced */
};
struct vault {
    pthread_mutex_t lock; /* guards all below; a busy channel belongs to the thread that took it */
    pthread_cond_t changed;
    struct channel channels[CHANNELS_MAX];
    unsigned n, n_retired, n_busy_slow; /* n: without the retired */
};

enum rc vault_new(struct vault **out)
{
    struct vault *v = calloc(1, sizeof *v);
    *out = v;
    if (!v)
        return RC_TEMP;
    pthread_mutex_init(&v->lock, NULL);
    thread_cond_init(&v->changed);
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        v->channels[i].fd = -1;
    return RC_OK;
}

enum rc vault_add_channel(struct vault *v, int fd)
{
    enum rc rc = RC_LIMIT;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < CHANNELS_MAX && rc != RC_OK; i++) {
        if (v->channels[i].fd < 0) {
            v->channels[i] = (struct channel){.fd = fd};
            v->n++;
            rc = RC_OK;
        }
    }
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->lock);
    if (rc != RC_OK)
        close(fd);
    return rc;
}

/* With the lock held. */
static void close_channel(struct vault *v, struct channel *c)
{
    close(c->fd);
    c->fd = -1;
    --*(c->retired ? &v->n_retired : &v->n);
}

/* With the lock held. */
static void drop_retired(struct vault *v)
{
    for (size_t i = 0; i < CHANNELS_MAX; i++) {
        struct channel *c = &v->channels[i];
        if (c->fd >= 0 && c->retired && !c->busy)
            close_channel(v, c);
        else if (c->fd >= 0 && c->retired)
            c->dropped = true;
    }
}

void vault_retire_channels(struct vault *v)
{
    pthread_mutex_lock(&v->lock);
    drop_retired(v); /* those of a replacement before */
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        v->channels[i].retired = v->channels[i].fd >= 0;
    v->n_retired += v->n;
    v->n = 0;
    pthread_mutex_unlock(&v->lock);
}


void vault_free(struct vault *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        if (v->channels[i].fd >= 0)
            close(v->channels[i].fd);
    pthread_mutex_destroy(&v->lock);
    pthread_cond_destroy(&v->changed);
    free(v);
}

/* Slow requests (password hashes) never hold the last half of the channels: guesses must not stop handshakes. */
static struct channel *take_channel(struct vault *v, bool slow, bool retired, int64_t deadline_ms)
{
    struct channel *got = NULL;
    const int64_t none_until = deadline_in(NO_CHANNEL_MS);

    pthread_mutex_lock(&v->lock);
    for (;;) {
        if (retired && v->n_retired == 0)
            break;
        if ((retired || v->n > 0) && !(slow && v->n_busy_slow >= (v->n + 1) / 2)) {
            for (size_t i = 0; i < CHANNELS_MAX && !got; i++)
                if (v->channels[i].fd >= 0 && !v->channels[i].busy && v->channels[i].retired == retired)
                    got = &v->channels[i];
        }
        if (got)
            break;
        int64_t until = v->n == 0 && none_until < deadline_ms ? none_until : deadline_ms;
        if (!thread_cond_wait(&v->changed, &v->lock, until) && (v->n == 0 || until == deadline_ms))
            break;
    }
    if (got) {
        got->busy = true;
        got->seq++;
        v->n_busy_slow += slow;
    }
    pthread_mutex_unlock(&v->lock);
    return got;
}

static void give_back(struct vault *v, struct channel *c, bool slow, bool dead)
{
    pthread_mutex_lock(&v->lock);
    c->busy = false;
    v->n_busy_slow -= slow;
    if (dead || c->dropped)
        close_channel(v, c);
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->lock);
}

/* One try on one channel. RC_CLOSED: the vault has gone; another channel may lead to its successor. */
static enum rc exchange(struct channel *c, struct vault_request *r, char *in, struct vault_answer *a, int64_t deadline_ms)
{
    struct buf message;
    size_t n, n_fds;

    r->seq = c->seq;
    buf_init(&message, VAULT_MESSAGE_MAX);
    vault_request_write(r, &message);
    enum rc rc = buf_rc(&message);
    if (rc == RC_OK)
        rc = fdpass_send(c->fd, buf_view(&message), NULL, 0, deadline_ms);
    buf_wipe(&message);
    buf_clear(&message);
    while (rc == RC_OK) {
        rc = fdpass_recv(c->fd, in, VAULT_MESSAGE_MAX, &n, NULL, 0, &n_fds, deadline_ms);
        if (rc == RC_OK && vault_answer_parse(view_of(in, n), a) != RC_OK)
            rc = RC_CLOSED;
        if (rc == RC_OK && a->seq == r->seq)
            return RC_OK; /* others answer requests that were given up */
    }
    return rc;
}

/* RC_OK: *a is the vault's answer, whose view lies in *in (from malloc, the caller frees). RC_TEMP: none. */
static enum rc call_one(struct vault *v, bool slow, bool retired, struct vault_request *r, char **in, struct vault_answer *a)
{
    const int64_t deadline = deadline_in(VAULT_TIMEOUT_MS);
    enum rc rc = RC_CLOSED;

    *in = malloc(VAULT_MESSAGE_MAX);
    if (!*in)
        return RC_TEMP;
    while (rc == RC_CLOSED) {
        struct channel *c = take_channel(v, slow, retired, deadline);
        if (!c)
            break;
        rc = exchange(c, r, *in, a, deadline);
        give_back(v, c, slow, rc == RC_CLOSED || rc == RC_TEMP);
    }
    if (rc == RC_OK)
        return RC_OK;
    if (!retired)
        log_warn("vault.silent", F_CSTR("reason", rc_name(rc)));
    free(*in);
    *in = NULL;
    return RC_TEMP;
}

static enum rc call(struct vault *v, bool slow, struct vault_request *r, char **in, struct vault_answer *a)
{
    return call_one(v, slow, false, r, in, a);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static enum rc login_call(struct vault *v, const struct vault_login *who, bool slow, struct vault_request *r, char **in,
                          struct vault_answer *a)
{
    r->account = who->account;
    r->n = who->name_hash;
    memcpy(r->peer, who->peer, sizeof r->peer);
    enum rc rc = call(v, slow, r, in, a);
    if (rc != RC_OK)
        return rc;
    const uint32_t delay_ms = a->delay_ms < VAULT_TIMEOUT_MS ? a->delay_ms : VAULT_TIMEOUT_MS;
    if (who->delay_ms)
        *who->delay_ms = delay_ms;
    else if (delay_ms > 0) /* without a channel in hand */
        sleep_ms(delay_ms);
    return a->rc;
}

enum rc vault_check_password(struct vault *v, const struct vault_login *who, struct view password)
{
    struct vault_request r = {.op = VAULT_OP_PASSWORD, .a = view_slice(password, 0, VAULT_PASSWORD_MAX + 1)};
    struct vault_answer a;
    char *in;
    enum rc rc = login_call(v, who, true, &r, &in, &a);
    free(in);
    return rc;
}

enum rc vault_check_login(struct vault *v, const struct vault_login *who, struct view password, struct vault_match *out)
{
    struct vault_request r = {.op = VAULT_OP_LOGIN, .a = view_slice(password, 0, VAULT_PASSWORD_MAX + 1)};
    struct vault_answer a;
    char *in;
    enum rc rc = login_call(v, who, true, &r, &in, &a);
    if (rc == RC_OK && !vault_match_parse(a.n, a.a, out))
        rc = RC_TEMP;
    free(in);
    return rc;
}

enum rc vault_scram_start(struct vault *v, const struct vault_login *who, struct view name, struct buf *salt,
                          uint32_t *iterations)
{
    struct vault_request r = {.op = VAULT_OP_SCRAM_START, .a = name};
    struct vault_answer a;
    char *in;
    enum rc rc = login_call(v, who, false, &r, &in, &a);
    if (rc == RC_OK) {
        buf_add(salt, a.a);
        *iterations = a.n;
        rc = buf_rc(salt) == RC_OK ? RC_OK : RC_TEMP;
    }
    free(in);
    return rc;
}

enum rc vault_scram_finish(struct vault *v, const struct vault_login *who, struct view auth_message, const uint8_t proof[32],
                           uint8_t server_signature[32], struct vault_match *out)
{
    struct vault_request r = {.op = VAULT_OP_SCRAM_FINISH, .a = auth_message};
    struct vault_answer a;
    char *in;
    memcpy(r.key, proof, sizeof r.key);
    enum rc rc = login_call(v, who, false, &r, &in, &a);
    if (rc == RC_OK && (a.a.n < 32 || !vault_match_parse(a.n, view_from(a.a, 32), out)))
        rc = RC_TEMP;
    if (rc == RC_OK)
        memcpy(server_signature, a.a.p, 32);
    free(in);
    return rc;
}

enum rc vault_app_password_make(struct vault *v, uint64_t account, enum vault_scope scope, struct buf *text, uint64_t *id)
{
    struct vault_request r = {.op = VAULT_OP_APP_MAKE, .account = account, .n = scope};
    struct vault_answer a;
    char *in;
    enum rc rc = call(v, false, &r, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    if (rc == RC_OK) {
        rc = vault_id_parse(&a.a, id) ? RC_OK : RC_TEMP;
        buf_add(text, a.a);
        wipe(in, VAULT_MESSAGE_MAX);
    }
    free(in);
    return rc == RC_OK ? buf_rc(text) : rc;
}

enum rc vault_app_password_remove(struct vault *v, uint64_t account, uint64_t id)
{
    struct buf text;
    struct vault_answer a;
    char *in = NULL;
    buf_init(&text, 8);
    vault_id_write(id, &text);
    struct vault_request r = {.op = VAULT_OP_APP_REMOVE, .account = account, .a = buf_view(&text)};
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = call(v, false, &r, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    free(in);
    buf_clear(&text);
    return rc;
}

enum rc vault_tls_sign(void *vault, const uint8_t key[32], int kind, struct view input, struct buf *signature)
{
    struct vault_request r = {.op = VAULT_OP_TLS_SIGN, .n = (uint32_t)kind, .a = input};
    struct vault_answer a;
    char *in;
    memcpy(r.key, key, sizeof r.key);
    enum rc rc = call(vault, false, &r, &in, &a);
    if (rc == RC_OK && a.rc == RC_NOTFOUND) { /* a handshake with the certificate before: its key may be in the vault before */
        free(in);
        rc = call_one(vault, false, true, &r, &in, &a);
        if (rc != RC_OK)
            return RC_NOTFOUND;
    }
    if (rc != RC_OK)
        return rc;
    rc = a.rc;
    if (rc == RC_OK) {
        buf_add(signature, a.a);
        rc = buf_rc(signature);
    }
    free(in);
    return rc;
}

/* "selector domain", as requests name a DKIM key. */
static enum rc name_key(struct view domain, struct view selector, struct buf *out)
{
    buf_init(out, DKIM_KEY_NAME_MAX);
    buf_line_part(out, selector);
    buf_chr(out, ' ');
    buf_line_part(out, domain);
    return buf_rc(out) == RC_OK ? RC_OK : RC_NOTFOUND; /* too long, or no name at all */
}

enum rc vault_dkim_sign(struct vault *v, struct view domain, struct view selector, int kind, struct view digest,
                        struct buf *signature)
{
    struct vault_request r = {.op = VAULT_OP_DKIM_SIGN, .n = (uint32_t)kind};
    struct vault_answer a;
    struct buf name;
    char *in = NULL;

    bug_if(digest.n != sizeof r.key);
    memcpy(r.key, digest.p, sizeof r.key);
    enum rc rc = name_key(domain, selector, &name);
    r.a = buf_view(&name);
    if (rc == RC_OK)
        rc = call(v, false, &r, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    if (rc == RC_OK) {
        buf_add(signature, a.a);
        rc = buf_rc(signature);
    }
    free(in);
    buf_clear(&name);
    return rc;
}

enum rc vault_dkim_forget(struct vault *v, struct view domain, struct view selector)
{
    struct vault_request r = {.op = VAULT_OP_DKIM_FORGET};
    struct vault_answer a;
    struct buf name;
    char *in = NULL;

    enum rc rc = name_key(domain, selector, &name);
    r.a = buf_view(&name);
    if (rc == RC_OK)
        rc = call(v, false, &r, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    free(in);
    buf_clear(&name);
    return rc;
}

/* Sends r; what comes back is appended to `out` (NULL: nothing is wanted). */
static enum rc call_key(struct vault *v, const struct vault_request *r, struct buf *out)
{
    struct vault_request request = *r;
    struct vault_answer a;
    char *in = NULL;
    enum rc rc = call(v, false, &request, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    if (rc == RC_OK && out) {
        buf_add(out, a.a);
        rc = buf_rc(out);
    }
    free(in);
    return rc;
}

enum rc vault_password_set(struct vault *v, uint64_t account, struct view password)
{
    if (password.n > VAULT_PASSWORD_MAX)
        return RC_LIMIT;
    return call_key(v, &(struct vault_request){.op = VAULT_OP_PASSWORD_SET, .account = account, .a = password}, NULL);
}

enum rc vault_password_remove(struct vault *v, uint64_t account)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_PASSWORD_REMOVE, .account = account}, NULL);
}

enum rc vault_dkim_make(struct vault *v, struct view domain, struct view selector, int kind, struct buf *public_key)
{
    struct buf name;
    enum rc rc = name_key(domain, selector, &name);
    if (rc == RC_OK)
        rc = call_key(v, &(struct vault_request){.op = VAULT_OP_DKIM_MAKE, .n = (uint32_t)kind, .a = buf_view(&name)}, public_key);
    buf_clear(&name);
    return rc;
}

enum rc vault_dkim_leave(struct vault *v, struct view domain)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_DKIM_LEAVE, .a = domain}, NULL);
}

enum rc vault_key_public(struct vault *v, struct view name, enum tls_key_which which, struct buf *public_key)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_KEY_PUBLIC, .n = which, .a = name}, public_key);
}

enum rc vault_key_sign(struct vault *v, struct view name, enum tls_key_which which, struct view digest, struct buf *signature)
{
    struct vault_request r = {.op = VAULT_OP_KEY_SIGN, .n = which, .a = name};
    bug_if(digest.n != sizeof r.key);
    memcpy(r.key, digest.p, sizeof r.key);
    return call_key(v, &r, signature);
}

enum rc vault_key_install(struct vault *v, struct view name, struct view pem)
{
    struct buf both;
    buf_init(&both, TLS_KEY_NAME_MAX + TLS_CHAIN_MAX + 1);
    buf_line_part(&both, name);
    buf_chr(&both, '\n');
    buf_add(&both, pem);
    enum rc rc = buf_rc(&both);
    if (rc == RC_OK)
        rc = call_key(v, &(struct vault_request){.op = VAULT_OP_KEY_INSTALL, .a = buf_view(&both)}, NULL);
    buf_clear(&both);
    return rc;
}

enum rc vault_second_factor(struct vault *v, uint64_t account, struct second_factor *out)
{
    struct vault_request r = {.op = VAULT_OP_FACTOR_STATE, .account = account};
    struct vault_answer a;
    char *in = NULL;
    enum rc rc = call(v, false, &r, &in, &a);
    if (rc == RC_OK)
        rc = a.rc;
    *out = rc == RC_OK ? (struct second_factor){.totp = a.n & 1, .recovery = a.n / 2} : (struct second_factor){0};
    free(in);
    return rc;
}

enum rc vault_second_factor_check(struct vault *v, const struct vault_login *who, struct view code, bool *recovery)
{
    struct vault_request r = {.op = VAULT_OP_FACTOR_CHECK, .a = view_slice(code, 0, 100)};
    struct vault_answer a;
    char *in = NULL;
    enum rc rc = login_call(v, who, false, &r, &in, &a);
    *recovery = rc == RC_OK && a.n == 1;
    free(in);
    return rc;
}

enum rc vault_totp_begin(struct vault *v, uint64_t account, struct buf *secret)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_TOTP_BEGIN, .account = account}, secret);
}

enum rc vault_totp_confirm(struct vault *v, uint64_t account, struct view code)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_TOTP_CONFIRM, .account = account, .a = view_slice(code, 0, 100)}, NULL);
}

enum rc vault_totp_remove(struct vault *v, uint64_t account, bool recovery_too)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_TOTP_REMOVE, .account = account, .n = recovery_too}, NULL);
}

enum rc vault_recovery_make(struct vault *v, uint64_t account, struct buf *codes)
{
    return call_key(v, &(struct vault_request){.op = VAULT_OP_RECOVERY_MAKE, .account = account}, codes);
}

enum rc vault_tls_chains(struct vault *v, struct arena *arena, const char *const **out)
{
    const char **list = arena_new_array(arena, CHAINS_MAX + 1, const char *);
    if (!list)
        return RC_TEMP;
    for (uint32_t i = 0; i < CHAINS_MAX; i++) {
        struct vault_request r = {.op = VAULT_OP_TLS_CHAIN, .n = i};
        struct vault_answer a;
        char *in;
        enum rc rc = call(v, false, &r, &in, &a);
        if (rc == RC_OK && a.rc == RC_OK && !(list[i] = arena_cstr(arena, a.a)))
            rc = RC_TEMP;
        enum rc told = rc == RC_OK ? a.rc : rc;
        free(in);
        if (told == RC_NOTFOUND)
            break;
        if (told != RC_OK)
            return RC_TEMP;
    }
    *out = list;
    return RC_OK;
}
