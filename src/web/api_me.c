/* One's own language and password, and the audit trail. */
#include "base/utf8.h"
#include "store/audit.h"
#include "vault/vault.h"
#include "web/api_impl.h"

static void patch_me(struct api_call *c)
{
    struct directory_account account;
    struct view language = api_text(c, "language");
    if (!view_eq(language, VIEW("en")) && !view_eq(language, VIEW("fr"))) {
        api_refuse_field(c, "language", "This is en or fr.");
        return;
    }
    enum rc rc = directory_account_set_language(c->store, c->who.address, language);
    if (rc == RC_OK)
        api_audit_change(c, "account.language", c->who.address, arena_cstr(c->arena, c->who.language), arena_cstr(c->arena, language));
    if (rc == RC_OK)
        rc = directory_account_by_id(c->store, c->who.account, c->arena, &account);
    if (rc == RC_OK)
        api_reply(c, json_pack("{s:o}", "account", api_account(c, &account)));
    else
        api_refuse_rc(c, rc);
}

/* The other sessions of the pages end. A wrong old password counts as a wrong log-in. */
static void put_password(struct api_call *c)
{
    struct directory_account account;
    struct view new = api_text(c, "new");

    if (!api_check_password(c, "new", new))
        return;
    enum sasl_step step = sasl_password_from(&c->set->sasl, c->peer, c->who.address, api_text(c, "old"), &c->response->delay_ms, c->arena, &account);
    if (step == SASL_SLOW) {
        api_refuse(c, 429, "login.slow", "Too many wrong passwords from your address: try again in some minutes.");
        return;
    }
    if (step != SASL_DONE && step != SASL_TEMP) {
        api_refuse(c, 403, "password.wrong", "The old password is another one.");
        return;
    }
    enum rc rc = step == SASL_TEMP ? RC_TEMP : vault_password_set(c->set->sasl.vault, c->who.account, new);
    if (rc == RC_OK)
        rc = session_close_all(c->store, c->who.account, c->who.session_id);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "account.password", c->who.address, VIEW("by its owner"));
    api_done(c);
}

/* Owners see what was done to their domain and its addresses. */
static void get_audit(struct api_call *c)
{
    uint64_t before = 0;
    struct view after = api_query(c, "after");
    if (after.n > 0 && !view_is_u64(after, INT64_MAX, &before)) {
        api_refuse(c, 400, "query.after", "`after` is what `next` was in the answer before.");
        return;
    }
    struct audit_range range = {.from_ms = 1000 * api_when(c, "from", 0), .to_ms = 1000 * api_until(c, "to", 0), .before = before,
                                .max = api_limit(c) + 1};
    struct audit_row *rows;
    size_t n;
    if (c->who.role != ROLE_OPERATOR)
        range.domain = c->who.domain;
    if (api_query(c, "domain").n > 0 && !api_query_domain(c, &range.domain))
        return;
    enum rc rc = audit_list(c->store, &range, c->arena, &rows, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    const bool more = n == range.max;
    json_t *list = json_array();
    for (size_t i = 0; i < n - more; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "at", api_time(rows[i].at_ms / 1000), "who", api_view(rows[i].who),
                                              "peer", api_view(rows[i].peer), "what", api_view(rows[i].what), "about",
                                              api_view(rows[i].about), "detail", api_view(rows[i].detail)));
    json_t *next = more ? json_sprintf("%llu", (unsigned long long)rows[n - 2].id) : json_null();
    api_reply(c, json_pack("{s:o, s:o}", "audit", list, "next", next));
}

const struct api_route api_me_routes[] = {
    {"PATCH", "/me", API_USER, patch_me},
    {"PUT", "/me/password", API_USER, put_password},
    {"GET", "/audit", API_OWNER, get_audit},
    {NULL},
};
