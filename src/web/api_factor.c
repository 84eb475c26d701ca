/* Second factors: what logging in asks for, codes by time and recovery codes (vault/second_factor.h). Passkeys: api_passkey.c. */
#include "base/base32.h"
#include "base/log.h"
#include "store/app_password.h"
#include "web/api_factor.h"

static struct vault *vault_of(const struct api_call *c)
{
    return c->set->sasl.vault;
}

enum rc api_factors_read(const struct api_call *c, uint64_t account, struct api_factors *out)
{
    struct passkey *keys;
    *out = (struct api_factors){0};
    enum rc rc = vault_second_factor(vault_of(c), account, &out->codes);
    return rc == RC_OK ? passkeys(c->store, account, c->arena, &keys, &out->passkeys) : rc;
}

bool api_password_again(struct api_call *c)
{
    struct directory_account account;
    switch (sasl_password_from(&c->set->sasl, c->peer, c->who.address, api_text(c, "password"), &c->response->delay_ms, c->arena, &account)) {
    case SASL_DONE: return true;
    case SASL_SLOW:
        api_refuse(c, 429, "login.slow", "Too many wrong passwords from your address: try again in some minutes.");
        return false;
    case SASL_TEMP:
        api_refuse_rc(c, RC_TEMP);
        return false;
    default:
        api_refuse(c, 403, "password.wrong", "This is not your password.");
        return false;
    }
}

/* --- logging in --- */

static void ask_for_factor(struct api_call *c, const struct api_factors *f)
{
    json_t *methods = json_array();
    if (f->codes.totp)
        json_array_append_new(methods, json_string("totp"));
    if (f->passkeys > 0)
        json_array_append_new(methods, json_string("passkey"));
    if (f->codes.recovery > 0)
        json_array_append_new(methods, json_string("recovery"));
    c->response->status = 401;
    api_reply(c, json_pack("{s:{s:s, s:s, s:o}}", "error", "code", "login.second_factor", "text",
                           "This account has a second factor: it is needed too.", "methods", methods));
}

static void refuse_code(struct api_call *c, enum rc rc, const struct directory_account *account)
{
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(c->peer, ip);
    log_info("web.login.failed", F_VIEW("name", account->address), F_CSTR("peer", ip), F_CSTR("reason", "code"));
    if (rc == RC_LIMIT)
        api_refuse(c, 429, "login.slow", "Too many wrong codes: try again in some minutes, or use a recovery code.");
    else if (rc == RC_DENIED || rc == RC_NOTFOUND)
        api_refuse(c, 401, "login.code", "This code is wrong, or was used already.");
    else
        api_refuse_rc(c, rc);
}

bool api_factor_passed(struct api_call *c, const struct directory_account *account)
{
    struct vault_login who = {.account = account->id, .delay_ms = &c->response->delay_ms};
    struct api_factors f;
    const struct view code = api_text(c, "code");
    bool recovery = false;
    enum rc rc = api_factors_read(c, account->id, &f);

    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return false;
    }
    if (!f.codes.totp && f.passkeys == 0)
        return true;
    if (code.n == 0) {
        ask_for_factor(c, &f);
        return false;
    }
    addr_rate_key(c->peer, who.peer);
    rc = vault_second_factor_check(vault_of(c), &who, code, &recovery);
    if (rc != RC_OK) {
        refuse_code(c, rc, account);
        return false;
    }
    if (recovery)
        log_info("web.recovery.used", F_VIEW("account", account->address), F_INT("left", f.codes.recovery - 1));
    return true;
}

/* --- /me/totp, /me/recovery --- */

/* "otpauth://totp/HOST:ADDRESS?secret=...&issuer=HOST", as authenticator apps read it (Google's Key URI Format). */
static void write_uri(const struct api_call *c, struct view secret, struct buf *out)
{
    buf_printf(out, "otpauth://totp/%s:", c->set->hostname);
    for (size_t i = 0; i < c->who.address.n; i++) {
        unsigned char ch = (unsigned char)c->who.address.p[i];
        if (is_alnum(ch) || ch == '.' || ch == '-' || ch == '_' || ch == '@')
            buf_chr(out, (char)ch);
        else
            buf_printf(out, "%%%02X", ch);
    }
    buf_printf(out, "?secret=%.*s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", VIEW_FMT(secret), c->set->hostname, TOTP_DIGITS,
               TOTP_STEP_S);
}

static void post_totp(struct api_call *c)
{
    struct buf secret, text, uri;

    buf_init(&secret, TOTP_SECRET);
    buf_init(&text, 2 * TOTP_SECRET);
    buf_init(&uri, 4096);
    enum rc rc = vault_totp_begin(vault_of(c), c->who.account, &secret);
    if (rc == RC_OK) {
        base32_encode(buf_view(&secret), &text);
        write_uri(c, buf_view(&text), &uri);
        api_reply(c, buf_rc(&uri) == RC_OK ? json_pack("{s:o, s:o}", "secret", api_view(buf_view(&text)), "uri", api_view(buf_view(&uri)))
                                           : NULL);
    } else if (rc == RC_EXISTS) {
        api_refuse(c, 409, "totp.exists", "Codes by time are on already: switch them off first.");
    } else {
        api_refuse_rc(c, rc);
    }
    buf_wipe(&secret);
    buf_wipe(&text);
    buf_wipe(&uri);
    buf_clear(&secret);
    buf_clear(&text);
    buf_clear(&uri);
}

json_t *api_recovery_codes(const struct api_call *c)
{
    struct buf codes;
    struct view rest, one;
    json_t *list = NULL;

    buf_init(&codes, 1024);
    if (vault_recovery_make(vault_of(c), c->who.account, &codes) == RC_OK && (list = json_array())) {
        for (rest = buf_view(&codes); view_split(&rest, '\n', &one) && one.n > 0;)
            json_array_append_new(list, api_view(one));
    }
    buf_wipe(&codes);
    buf_clear(&codes);
    return list;
}

static void reply_recovery(struct api_call *c)
{
    json_t *codes = api_recovery_codes(c);
    if (codes)
        api_reply(c, json_pack("{s:o}", "recovery", codes));
    else
        api_refuse_rc(c, RC_TEMP);
}

static void put_totp(struct api_call *c)
{
    enum rc rc = vault_totp_confirm(vault_of(c), c->who.account, api_text(c, "code"));
    if (rc == RC_OK)
        rc = login_mark_end(c->store, c->who.account); /* the password alone opens no mail client any more */
    if (rc == RC_OK) {
        api_audit(c, "totp.on", c->who.address, (struct view){0});
        reply_recovery(c);
    } else if (rc == RC_DENIED) {
        api_refuse(c, 400, "totp.code", "This is not the code of now: is the clock of your phone right?");
    } else if (rc == RC_NOTFOUND) {
        api_refuse(c, 409, "totp.none", "Begin by asking for a secret.");
    } else {
        api_refuse_rc(c, rc);
    }
}

static void delete_totp(struct api_call *c)
{
    struct api_factors f;
    enum rc rc;

    if (!api_password_again(c))
        return;
    rc = api_factors_read(c, c->who.account, &f);
    if (rc == RC_OK)
        rc = vault_totp_remove(vault_of(c), c->who.account, f.passkeys == 0);
    if (rc == RC_OK) {
        api_audit(c, "totp.off", c->who.address, (struct view){0});
        api_done(c);
    } else {
        api_refuse_rc(c, rc);
    }
}

static void post_recovery(struct api_call *c)
{
    struct api_factors f;

    if (!api_password_again(c))
        return;
    enum rc rc = api_factors_read(c, c->who.account, &f);
    if (rc == RC_OK && !f.codes.totp && f.passkeys == 0)
        rc = RC_NOTFOUND;
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "recovery.make", c->who.address, (struct view){0});
    reply_recovery(c);
}

const struct api_route api_factor_routes[] = {
    {"POST", "/me/totp", API_USER, post_totp},
    {"PUT", "/me/totp", API_USER, put_totp},
    {"DELETE", "/me/totp", API_USER, delete_totp},
    {"POST", "/me/recovery", API_USER, post_recovery},
    {NULL},
};
