/* Authorization: Basic (RFC 7617), for programs that send: an application password with the scope to send, or the account's own. A
 * password costs much to check, so what came of it is remembered for some seconds by a keyed digest. */
#include <pthread.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "sys/board.h"
#include "web/api_impl.h"

#define REMEMBERED   64
#define GOOD_MS      30000
#define WRONG_MS     2000 /* the same request asks twice: how long its body may be, and then whether it may */
#define BASIC_MAX    4096
#define BASIC_ARENA  65536

struct remembered {
    uint8_t digest[SHA256_SIZE];
    enum sasl_step step;
    struct login_mark mark;
    uint32_t delay_ms;
    int64_t until_ms;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct remembered memory[REMEMBERED];
static uint8_t key[32];
static bool has_key;
static unsigned next_slot;

static bool digest_field(const struct api_call *c, struct view field, uint8_t out[SHA256_SIZE])
{
    char ip[ADDR_TEXT_MAX];
    struct buf text;
    addr_write_ip(c->peer, ip);
    buf_init(&text, BASIC_MAX + ADDR_TEXT_MAX + 1);
    buf_printf(&text, "%s ", ip);
    buf_add(&text, field);
    pthread_mutex_lock(&lock);
    if (!has_key)
        random_bytes(key, sizeof key);
    has_key = true;
    bool ok = buf_rc(&text) == RC_OK && hmac_sha256(view_of(key, sizeof key), buf_view(&text), out) == RC_OK;
    pthread_mutex_unlock(&lock);
    buf_wipe(&text);
    buf_clear(&text);
    return ok;
}

static bool recall(const uint8_t digest[SHA256_SIZE], struct remembered *out)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < REMEMBERED && !found; i++) {
        found = memory[i].until_ms > clock_mono_ms() && equal_secret(view_of(memory[i].digest, SHA256_SIZE), view_of(digest, SHA256_SIZE));
        if (found)
            *out = memory[i];
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void remember(const struct remembered *r)
{
    if (r->step == SASL_TEMP)
        return;
    pthread_mutex_lock(&lock);
    memory[next_slot++ % REMEMBERED] = *r;
    pthread_mutex_unlock(&lock);
}

/* "name:password" is checked. */
static void check(struct api_call *c, struct view credentials, struct remembered *r)
{
    struct sasl_settings sasl = c->set->sasl;
    struct directory_account account;
    struct sasl_grant grant;
    struct buf text;
    char ip[ADDR_TEXT_MAX];
    sasl.use = SASL_SEND;
    buf_init(&text, BASIC_MAX);
    r->step = SASL_WRONG;
    if (base64_decode(credentials, &text) == RC_OK) {
        struct view password = buf_view(&text), name;
        if (view_split(&password, ':', &name))
            r->step = sasl_password_of(&sasl, c->peer, name, password, &r->delay_ms, c->arena, &account, &grant);
        if (r->step == SASL_DONE)
            r->mark = sasl_mark(&account, grant);
        addr_write_ip(c->peer, ip);
        if (r->step != SASL_DONE)
            log_info("web.login.failed", F_VIEW("name", name), F_CSTR("peer", ip), F_CSTR("reason", sasl_step_word(r->step)));
    }
    board_count(r->step == SASL_DONE ? BOARD_LOGINS : BOARD_LOGINS_FAILED, "web");
    buf_wipe(&text);
    buf_clear(&text);
    r->until_ms = deadline_in(r->step == SASL_DONE ? GOOD_MS : WRONG_MS);
}

enum sasl_step api_basic(struct api_call *c, uint32_t *delay_ms)
{
    struct view field = http_field(c->http, "Authorization");
    struct directory_account account;
    struct remembered r = {0};
    *delay_ms = 0;
    if (!view_itake(&field, VIEW("Basic ")) || field.n > BASIC_MAX || !digest_field(c, field, r.digest))
        return SASL_MALFORMED;
    if (!recall(r.digest, &r)) {
        check(c, view_trim(field), &r);
        remember(&r);
    }
    *delay_ms = r.delay_ms;
    if (r.step != SASL_DONE)
        return r.step;
    if (login_mark_look(c->store, &r.mark) != RC_OK || directory_account_by_id(c->store, r.mark.account, c->arena, &account) != RC_OK)
        return SASL_WRONG;
    size_t at = view_rchr(account.address, '@');
    c->who = (struct api_who){.account = account.id, .address = account.address, .role = ROLE_USER, .language = account.language,
                              .domain = at == VIEW_NONE ? VIEW("") : view_from(account.address, at + 1)};
    return SASL_DONE;
}

void api_basic_refuse(struct api_call *c, enum sasl_step step)
{
    http_respond(c->response, "WWW-Authenticate", VIEW("Basic realm=\"Facteur\", charset=\"UTF-8\""));
    if (step == SASL_SLOW)
        api_refuse(c, 429, "login.slow", "Too many wrong passwords from your address: try again in some minutes.");
    else if (step == SASL_TEMP)
        api_refuse(c, 503, "login.temp", "Logging in does not work right now: try again in a minute.");
    else if (step == SASL_SCOPE)
        api_refuse(c, 403, "login.scope", "This application password is not for sending.");
    else if (step == SASL_APP_ONLY)
        api_refuse(c, 401, "login.app", "This account has a second factor: use an application password that may send.");
    else
        api_refuse(c, 401, "login.wrong", "Address and password do not fit.");
}
