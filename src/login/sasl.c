#include "login/sasl.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "login/scram.h"
#include "store/app_password.h"

#define SASL_ARENA (64u << 10)
#define NONCE      18 /* random bytes of ours; 24 characters of base64 */

enum mechanism { PLAIN, LOGIN, SCRAM, SCRAM_PLUS, EXTERNAL };
enum state { FIRST, LOGIN_NAME, LOGIN_PASSWORD, SCRAM_FINAL, OVER };
struct sasl {
    const struct sasl_settings *set;
    struct conn *conn;
    enum mechanism mechanism;
    enum state state;
    bool has_tls;
    struct arena arena;
    struct vault_login who;
    struct directory_account account;
    struct sasl_grant grant;
    struct buf name;      /* as tried */
    struct buf challenge;
    struct buf bare, first, gs2; /* SCRAM: client-first-bare, server-first, gs2-header */
    struct buf nonce;            /* both halves */
    struct buf binding;          /* channel binding data */
};

static bool may_login(const struct sasl_settings *set, struct conn *c)
{
    struct tls_info tls;
    return conn_tls(c, &tls) || (set->plain_without_tls && addr_is_loopback(conn_peer(c)));
}

static bool has_certificate(struct conn *c)
{
    struct arena a;
    struct view *mailboxes;
    size_t n;
    arena_init(&a, SASL_ARENA);
    bool has = conn_peer_mailboxes(c, &a, &mailboxes, &n) == RC_OK;
    arena_clear(&a);
    return has;
}

enum rc sasl_mechanisms(const struct sasl_settings *set, struct conn *c, struct buf *out)
{
    struct tls_info tls;
    if (!may_login(set, c))
        return buf_rc(out);
    if (conn_tls(c, &tls))
        buf_str(out, "SCRAM-SHA-256-PLUS ");
    buf_str(out, "SCRAM-SHA-256 PLAIN LOGIN");
    if (has_certificate(c))
        buf_str(out, " EXTERNAL");
    return buf_rc(out);
}

enum rc sasl_new(const struct sasl_settings *set, struct conn *c, struct view mechanism, struct sasl **out)
{
    static const struct {
        struct view name;
        enum mechanism mechanism;
    } names[] = {{VIEW_INIT("PLAIN"), PLAIN},
                 {VIEW_INIT("LOGIN"), LOGIN},
                 {VIEW_INIT("SCRAM-SHA-256"), SCRAM},
                 {VIEW_INIT("SCRAM-SHA-256-PLUS"), SCRAM_PLUS},
                 {VIEW_INIT("EXTERNAL"), EXTERNAL}};
    struct tls_info tls;
    size_t i = 0;

    *out = NULL;
    while (i < sizeof names / sizeof *names && !view_ieq(mechanism, names[i].name))
        i++;
    if (i == sizeof names / sizeof *names)
        return RC_NOTFOUND;
    const bool has_tls = conn_tls(c, &tls);
    if (!may_login(set, c) || (names[i].mechanism == SCRAM_PLUS && !has_tls) || (names[i].mechanism == EXTERNAL && !has_certificate(c)))
        return RC_DENIED;
    struct sasl *s = calloc(1, sizeof *s);
    if (!s)
        return RC_TEMP;
    s->set = set;
    s->conn = c;
    s->mechanism = names[i].mechanism;
    s->has_tls = has_tls;
    arena_init(&s->arena, SASL_ARENA);
    buf_init(&s->name, SASL_MESSAGE_MAX);
    buf_init(&s->challenge, SASL_MESSAGE_MAX);
    buf_init(&s->bare, SASL_MESSAGE_MAX);
    buf_init(&s->first, SASL_MESSAGE_MAX);
    buf_init(&s->gs2, SASL_MESSAGE_MAX);
    buf_init(&s->nonce, 2 * SCRAM_NONCE_MAX);
    buf_init(&s->binding, SASL_MESSAGE_MAX);
    *out = s;
    return RC_OK;
}

void sasl_free(struct sasl *s)
{
    if (!s)
        return;
    struct buf *bufs[] = {&s->name, &s->challenge, &s->bare, &s->first, &s->gs2, &s->nonce, &s->binding};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
        buf_wipe(bufs[i]);
        buf_clear(bufs[i]);
    }
    arena_clear(&s->arena);
    free(s);
}

bool sasl_client_first(const struct sasl *s)
{
    return s->mechanism != LOGIN;
}

const struct directory_account *sasl_account(const struct sasl *s)
{
    return &s->account;
}

struct sasl_grant sasl_grant(const struct sasl *s)
{
    return s->grant;
}

const char *sasl_step_text(enum sasl_step step)
{
    switch (step) {
    case SASL_WRONG: return "Name or password is wrong";
    case SASL_SCOPE: return "This application password is not for this service";
    case SASL_APP_ONLY: return "This account has a second factor: make an application password for your mail program";
    case SASL_SLOW: return "Too many failures, try again later";
    case SASL_MALFORMED: return "Not what this mechanism says";
    default: return "Please try again later";
    }
}

const char *sasl_step_word(enum sasl_step step)
{
    switch (step) {
    case SASL_WRONG: return "wrong";
    case SASL_SCOPE: return "scope";
    case SASL_APP_ONLY: return "app-password-wanted";
    case SASL_SLOW: return "too-many";
    case SASL_MALFORMED: return "malformed";
    default: return "temp";
    }
}

struct view sasl_name(const struct sasl *s)
{
    return buf_view(&s->name);
}

/* --- who it is --- */

/* The name in lower case: what the vault derives counts and salts from must not depend on how it was typed. */
static enum rc fold_name(struct view name, struct arena *a, struct view *out)
{
    char *p = arena_alloc(a, name.n + 1);
    if (!p)
        return RC_TEMP;
    for (size_t i = 0; i < name.n; i++)
        p[i] = (char)to_lower((unsigned char)name.p[i]);
    *out = view_of(p, name.n);
    return RC_OK;
}

/* Account of a name; unknown and disabled ones give account 0, which the vault refuses as slowly as a wrong password. */
static enum rc find_account(const struct sasl_settings *set, const struct addr *peer, struct view name, struct arena *a,
                            struct directory_account *account, struct vault_login *who)
{
    uint8_t hash[SHA256_SIZE];
    struct view folded;

    *who = (struct vault_login){0};
    addr_rate_key(peer, who->peer);
    if (fold_name(name, a, &folded) != RC_OK || sha256(folded, hash) != RC_OK)
        return RC_TEMP;
    memcpy(&who->name_hash, hash, sizeof who->name_hash);
    switch (directory_login(set->store, name, a, account)) {
    case RC_OK: who->account = account->id; return RC_OK;
    case RC_NOTFOUND:
    case RC_DENIED:
    case RC_SYNTAX: return RC_OK;
    default: return RC_TEMP;
    }
}

static enum sasl_step step_of(enum rc rc)
{
    switch (rc) {
    case RC_OK: return SASL_DONE;
    case RC_DENIED: return SASL_WRONG;
    case RC_LIMIT: return SASL_SLOW;
    default: return SASL_TEMP;
    }
}

static bool is_usable(struct view name, struct view password)
{
    return name.n > 0 && name.n <= SCRAM_NAME_MAX && password.n > 0 && password.n <= VAULT_PASSWORD_MAX && utf8_is_valid(name) &&
           !view_has_ctl(name) && memchr(password.p, 0, password.n) == NULL;
}

/* What the password that fitted opens, and that it was used. A second factor would be worth nothing if the password alone still
 * opened the mailbox, so then mail clients, which cannot ask for one, need an application password. */
static enum sasl_step grant(const struct sasl_settings *set, uint64_t account, const struct addr *peer, const struct vault_match *m,
                            struct sasl_grant *out)
{
    char text[ADDR_TEXT_MAX];
    bool passkeys = false;

    *out = (struct sasl_grant){.app_password = m->app_password, .read_only = m->scope == VAULT_SCOPE_READ};
    if (m->app_password != 0) {
        if (m->scope != VAULT_SCOPE_ALL && m->scope != (set->use == SASL_SEND ? VAULT_SCOPE_SEND : VAULT_SCOPE_READ))
            return SASL_SCOPE;
        addr_write_ip(peer, text);
        app_password_used(set->store, account, m->app_password, view_str(text)); /* what fails is logged: the login is good */
        return SASL_DONE;
    }
    if (m->second_factor)
        return SASL_APP_ONLY;
    if (passkey_any(set->store, account, &passkeys) != RC_OK)
        return SASL_TEMP;
    return passkeys ? SASL_APP_ONLY : SASL_DONE;
}

enum sasl_step sasl_password_of(const struct sasl_settings *set, const struct addr *peer, struct view name, struct view password,
                                uint32_t *delay_ms, struct arena *a, struct directory_account *out, struct sasl_grant *g)
{
    struct vault_login who;
    struct vault_match match;

    if (!is_usable(name, password))
        return SASL_MALFORMED;
    if (find_account(set, peer, name, a, out, &who) != RC_OK)
        return SASL_TEMP;
    who.delay_ms = delay_ms;
    enum sasl_step step = step_of(vault_check_login(set->vault, &who, password, &match));
    return step == SASL_DONE ? grant(set, who.account, peer, &match, g) : step;
}

enum sasl_step sasl_password(const struct sasl_settings *set, struct conn *c, struct view name, struct view password,
                             struct arena *a, struct directory_account *out, struct sasl_grant *g)
{
    return may_login(set, c) ? sasl_password_of(set, conn_peer(c), name, password, NULL, a, out, g) : SASL_WRONG;
}

enum sasl_step sasl_password_from(const struct sasl_settings *set, const struct addr *peer, struct view name, struct view password,
                                  uint32_t *delay_ms, struct arena *a, struct directory_account *out)
{
    struct vault_login who;

    *delay_ms = 0;
    if (!is_usable(name, password))
        return SASL_MALFORMED;
    if (find_account(set, peer, name, a, out, &who) != RC_OK)
        return SASL_TEMP;
    who.delay_ms = delay_ms;
    return step_of(vault_check_password(set->vault, &who, password));
}

static enum sasl_step check_password(struct sasl *s, struct view password)
{
    s->state = OVER;
    return sasl_password(s->set, s->conn, buf_view(&s->name), password, &s->arena, &s->account, &s->grant);
}

/* --- PLAIN: [authzid] NUL authcid NUL passwd (RFC 4616 §2) --- */

static enum sasl_step next_plain(struct sasl *s, struct view response)
{
    struct view authzid, name;

    s->state = OVER;
    if (!view_split(&response, 0, &authzid) || !view_split(&response, 0, &name))
        return SASL_MALFORMED;
    buf_add(&s->name, name);
    if (buf_rc(&s->name) != RC_OK)
        return SASL_TEMP;
    if (authzid.n > 0 && !view_ieq(authzid, name)) /* nobody acts for others here */
        return SASL_WRONG;
    return check_password(s, response);
}

/* --- LOGIN (draft-murchison-sasl-login; obsolete, and asked for by Outlook) --- */

static enum sasl_step next_login(struct sasl *s, struct view response, struct view *challenge)
{
    if (s->state == FIRST && response.n == 0) {
        s->state = LOGIN_NAME;
        *challenge = VIEW("Username:");
        return SASL_CONTINUE;
    }
    if (s->state == FIRST || s->state == LOGIN_NAME) {
        buf_add(&s->name, response);
        s->state = LOGIN_PASSWORD;
        *challenge = VIEW("Password:");
        return buf_rc(&s->name) == RC_OK ? SASL_CONTINUE : SASL_TEMP;
    }
    return check_password(s, response);
}

/* --- EXTERNAL: [authzid] (RFC 4422 appendix A.2) --- */

/* The first mailbox of the certificate that has an account, or the one that the client names. */
static enum sasl_step next_external(struct sasl *s, struct view response)
{
    struct view *mailboxes;
    size_t n;

    s->state = OVER;
    buf_add(&s->name, response);
    enum rc rc = buf_rc(&s->name);
    if (rc == RC_OK)
        rc = conn_peer_mailboxes(s->conn, &s->arena, &mailboxes, &n);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? SASL_WRONG : SASL_TEMP;
    for (size_t i = 0; i < n; i++) {
        if (response.n > 0 && !view_ieq(response, mailboxes[i]))
            continue;
        rc = directory_login(s->set->store, mailboxes[i], &s->arena, &s->account);
        if (rc == RC_OK && response.n == 0)
            buf_add(&s->name, mailboxes[i]);
        if (rc == RC_OK)
            return buf_rc(&s->name) == RC_OK ? SASL_DONE : SASL_TEMP;
        if (rc != RC_NOTFOUND && rc != RC_DENIED && rc != RC_SYNTAX)
            return SASL_TEMP;
    }
    return SASL_WRONG;
}

/* --- SCRAM --- */

/* What the gs2 flag asks, and whether this connection can give it (RFC 5802 §6). */
static enum sasl_step check_binding(struct sasl *s, const struct scram_first *f)
{
    if ((s->mechanism == SCRAM_PLUS) != (f->flag == 'p'))
        return SASL_MALFORMED;
    if (f->flag == 'y' && s->has_tls) /* we did offer -PLUS: somebody in between took it away */
        return SASL_WRONG;
    if (f->flag == 'p') {
        enum rc rc = conn_channel_binding(s->conn, f->binding, &s->binding);
        if (rc != RC_OK)
            return rc == RC_NOTFOUND ? SASL_WRONG : SASL_TEMP;
    }
    return SASL_CONTINUE;
}

static enum sasl_step scram_server_first(struct sasl *s, struct view folded, struct view *challenge)
{
    struct buf salt;
    uint32_t iterations;

    buf_init(&salt, 256);
    enum rc rc = vault_scram_start(s->set->vault, &s->who, folded, &salt, &iterations);
    if (rc == RC_OK) {
        buf_str(&s->first, "r=");
        buf_add(&s->first, buf_view(&s->nonce));
        buf_str(&s->first, ",s=");
        base64_encode(buf_view(&salt), &s->first);
        buf_printf(&s->first, ",i=%u", iterations);
        rc = buf_rc(&s->first) == RC_OK ? RC_OK : RC_TEMP;
    }
    buf_clear(&salt);
    if (rc != RC_OK)
        return step_of(rc);
    s->state = SCRAM_FINAL;
    *challenge = buf_view(&s->first);
    return SASL_CONTINUE;
}

static enum sasl_step scram_client_first(struct sasl *s, struct view response, struct view *challenge)
{
    struct scram_first f;
    struct buf authzid;
    struct view folded;
    uint8_t random[NONCE];

    s->state = OVER;
    if (scram_first_parse(response, &f) != RC_OK || scram_name_decode(f.name, &s->name) != RC_OK)
        return SASL_MALFORMED;
    if (!utf8_is_valid(buf_view(&s->name)) || view_has_ctl(buf_view(&s->name)))
        return SASL_MALFORMED;
    buf_init(&authzid, SCRAM_NAME_MAX);
    bool same = f.authzid.n == 0 || (scram_name_decode(f.authzid, &authzid) == RC_OK && view_ieq(buf_view(&authzid), buf_view(&s->name)));
    buf_clear(&authzid);
    if (!same)
        return SASL_WRONG;
    enum sasl_step step = check_binding(s, &f);
    if (step != SASL_CONTINUE)
        return step;
    buf_add(&s->gs2, f.gs2);
    buf_add(&s->bare, f.bare);
    buf_add(&s->nonce, f.nonce);
    random_bytes(random, sizeof random);
    base64_encode(view_of(random, sizeof random), &s->nonce);
    if (buf_rc(&s->gs2) != RC_OK || buf_rc(&s->bare) != RC_OK || buf_rc(&s->nonce) != RC_OK)
        return SASL_TEMP;
    if (fold_name(buf_view(&s->name), &s->arena, &folded) != RC_OK ||
        find_account(s->set, conn_peer(s->conn), buf_view(&s->name), &s->arena, &s->account, &s->who) != RC_OK)
        return SASL_TEMP;
    return scram_server_first(s, folded, challenge);
}

/* c= must be the gs2-header as it came and the channel's own data: else somebody sits in between. */
static bool is_binding_right(const struct sasl *s, struct view base64)
{
    struct buf got, wanted;
    buf_init(&got, SASL_MESSAGE_MAX);
    buf_init(&wanted, 2 * SASL_MESSAGE_MAX);
    buf_add(&wanted, buf_view(&s->gs2));
    buf_add(&wanted, buf_view(&s->binding));
    bool same = base64_decode(base64, &got) == RC_OK && buf_rc(&got) == RC_OK && buf_rc(&wanted) == RC_OK &&
                equal_secret(buf_view(&got), buf_view(&wanted));
    buf_clear(&got);
    buf_clear(&wanted);
    return same;
}

static enum sasl_step scram_client_final(struct sasl *s, struct view response, struct view *challenge)
{
    struct scram_final f;
    struct vault_match match;
    struct buf proof, auth;
    uint8_t signature[SHA256_SIZE];
    enum sasl_step step = SASL_MALFORMED;

    s->state = OVER;
    buf_init(&proof, SHA256_SIZE);
    buf_init(&auth, 4 * SASL_MESSAGE_MAX);
    if (scram_final_parse(response, &f) != RC_OK || base64_decode(f.proof, &proof) != RC_OK || buf_rc(&proof) != RC_OK ||
        proof.n != SHA256_SIZE)
        goto done;
    step = SASL_WRONG;
    if (!view_eq(f.nonce, buf_view(&s->nonce)) || !is_binding_right(s, f.binding))
        goto done;
    buf_add(&auth, buf_view(&s->bare));
    buf_chr(&auth, ',');
    buf_add(&auth, buf_view(&s->first));
    buf_chr(&auth, ',');
    buf_add(&auth, f.without_proof);
    step = SASL_TEMP;
    if (buf_rc(&auth) != RC_OK)
        goto done;
    step = step_of(vault_scram_finish(s->set->vault, &s->who, buf_view(&auth), (const uint8_t *)proof.p, signature, &match));
    if (step == SASL_DONE)
        step = grant(s->set, s->who.account, conn_peer(s->conn), &match, &s->grant);
    if (step != SASL_DONE)
        goto done;
    buf_str(&s->challenge, "v=");
    base64_encode(view_of(signature, sizeof signature), &s->challenge);
    if (buf_rc(&s->challenge) != RC_OK)
        step = SASL_TEMP;
    *challenge = buf_view(&s->challenge);
done:
    buf_clear(&proof);
    buf_clear(&auth);
    return step;
}

enum sasl_step sasl_next(struct sasl *s, struct view response, struct view *challenge)
{
    *challenge = VIEW("");
    if (s->state == OVER || response.n > SASL_MESSAGE_MAX)
        return SASL_MALFORMED;
    if (s->mechanism == PLAIN)
        return next_plain(s, response);
    if (s->mechanism == LOGIN)
        return next_login(s, response, challenge);
    if (s->mechanism == EXTERNAL)
        return next_external(s, response);
    return s->state == FIRST ? scram_client_first(s, response, challenge) : scram_client_final(s, response, challenge);
}
