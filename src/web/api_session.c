/* Logging in and out, and one's own sessions. */
#include "base/base64.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "web/api_factor.h"
#include "web/api_impl.h"

const char *api_role_name(enum directory_role role)
{
    return role == ROLE_OPERATOR ? "operator" : role == ROLE_OWNER ? "owner" : "user";
}

json_t *api_account(const struct api_call *c, const struct directory_account *account)
{
    struct api_factors f;
    size_t at = view_rchr(account->address, '@');
    if (api_factors_read(c, account->id, &f) != RC_OK)
        return NULL;
    return json_pack("{s:o, s:s, s:o, s:o, s:b, s:i, s:s}", "address", api_view(account->address), "role", api_role_name(account->role), "domain",
                     api_view(at == VIEW_NONE ? (struct view){0} : view_from(account->address, at + 1)), "language",
                     account->language.n ? api_view(account->language) : json_null(), "totp",
                     (int)f.codes.totp, "passkeys", (int)f.passkeys, "version", FACTEUR_VERSION);
}

/* --- cookies --- */

static void set_cookie(struct api_call *c, struct view token, const char *more)
{
    struct buf cookie;
    buf_init(&cookie, 300);
    buf_printf(&cookie, API_COOKIE "=%.*s; Path=/admin; HttpOnly; SameSite=Strict%s%s", VIEW_FMT(token), c->is_secure ? "; Secure" : "", more);
    if (buf_rc(&cookie) == RC_OK)
        http_respond(c->response, "Set-Cookie", buf_view(&cookie));
    else
        c->response->body.fail = RC_TEMP;
    buf_wipe(&cookie);
    buf_clear(&cookie);
}

void api_log_in(struct api_call *c, const struct directory_account *account)
{
    uint8_t token[API_TOKEN], hash[SESSION_HASH];
    char ip[ADDR_TEXT_MAX];
    struct buf text;
    uint64_t id;

    random_bytes(token, sizeof token);
    addr_write_ip(c->peer, ip);
    buf_init(&text, 2 * API_TOKEN);
    base64_encode_url(view_of(token, sizeof token), &text);
    enum rc rc = buf_rc(&text) == RC_OK ? sha256(view_of(token, sizeof token), hash) : RC_TEMP;
    if (rc == RC_OK)
        rc = session_open(c->store, hash, account->id, view_str(ip), http_field(c->http, "User-Agent"), &id);
    if (rc == RC_OK) {
        set_cookie(c, buf_view(&text), "");
        log_info("web.login", F_VIEW("account", account->address), F_CSTR("peer", ip));
        api_reply(c, json_pack("{s:o}", "account", api_account(c, account)));
    } else {
        api_refuse_rc(c, rc);
    }
    buf_wipe(&text);
    buf_clear(&text);
    wipe(token, sizeof token);
}

/* --- /session --- */

static void refuse_step(struct api_call *c, enum sasl_step step, struct view name)
{
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(c->peer, ip);
    log_info("web.login.failed", F_VIEW("name", name), F_CSTR("peer", ip), F_CSTR("reason", step == SASL_SLOW ? "slowed" : "wrong"));
    if (step == SASL_SLOW)
        api_refuse(c, 429, "login.slow", "Too many wrong passwords from your address: try again in some minutes.");
    else if (step == SASL_TEMP)
        api_refuse(c, 503, "login.temp", "Logging in does not work right now: try again in a minute.");
    else
        api_refuse(c, 401, "login.wrong", "Address and password do not fit.");
}

bool api_password_right(struct api_call *c, struct view name, struct directory_account *account)
{
    struct view password = api_text(c, "password");
    enum sasl_step step = sasl_password_from(&c->set->sasl, c->peer, name, password, &c->response->delay_ms, c->arena, account);

    if (step != SASL_DONE)
        refuse_step(c, step, name);
    return step == SASL_DONE;
}

static void post_session(struct api_call *c)
{
    struct directory_account account;
    if (api_password_right(c, api_text(c, "address"), &account) && api_factor_passed(c, &account))
        api_log_in(c, &account);
}

static void post_link(struct api_call *c)
{
    struct directory_account account;
    uint8_t hash[SESSION_HASH];
    enum rc rc = api_token_hash(api_text(c, "token"), hash) ? session_link_take(c->store, hash, c->arena, &account) : RC_NOTFOUND;

    if (rc == RC_OK)
        api_log_in(c, &account);
    else if (rc == RC_NOTFOUND || rc == RC_DENIED)
        api_refuse(c, 401, "login.link", "This link was used, or is too old: `facteur account link ADDRESS` makes another.");
    else
        api_refuse_rc(c, rc);
}

static void get_session(struct api_call *c)
{
    struct directory_account account;
    enum rc rc = directory_account_by_id(c->store, c->who.account, c->arena, &account);
    if (rc == RC_OK)
        api_reply(c, json_pack("{s:o}", "account", api_account(c, &account)));
    else
        api_refuse_rc(c, rc);
}

static void delete_session(struct api_call *c)
{
    enum rc rc = session_close(c->store, c->who.account, c->who.session_id);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        api_refuse_rc(c, rc);
        return;
    }
    set_cookie(c, (struct view){0}, "; Max-Age=0");
    api_done(c);
}

/* --- /me/sessions --- */

static void get_sessions(struct api_call *c)
{
    struct session_row *rows;
    size_t n;
    enum rc rc = session_list(c->store, c->who.account, &c->set->terms, c->arena, &rows, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char id[17];
        snprintf(id, sizeof id, "%016llx", (unsigned long long)rows[i].id);
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:b}", "id", id, "peer", api_view(rows[i].peer), "agent",
                                              api_view(rows[i].agent), "created", api_time(rows[i].created_s), "seen",
                                              api_time(rows[i].seen_s), "current", rows[i].id == c->who.session_id));
    }
    api_reply(c, json_pack("{s:o}", "sessions", list));
}

static bool read_id(struct view v, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < v.n && v.n == 16; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, v.p[i]);
        if (!at || !v.p[i])
            return false;
        *out = *out << 4 | (uint64_t)(at - digits);
    }
    return v.n == 16;
}

static void delete_one_session(struct api_call *c)
{
    uint64_t id;
    enum rc rc = read_id(c->args[0], &id) ? session_close(c->store, c->who.account, id) : RC_NOTFOUND;
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "session.end", c->who.address, c->args[0]);
    api_done(c);
}

const struct api_route api_session_routes[] = {
    {"POST", "/session", API_ANYBODY, post_session},
    {"POST", "/session/link", API_ANYBODY, post_link},
    {"GET", "/session", API_USER, get_session},
    {"DELETE", "/session", API_USER, delete_session},
    {"GET", "/me/sessions", API_USER, get_sessions},
    {"DELETE", "/me/sessions/{id}", API_USER, delete_one_session},
    {NULL},
};
