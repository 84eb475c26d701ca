/* What people do with their own account: application passwords, deleted messages. Second factors: api_factor.c, api_passkey.c. */
#include <stdlib.h>

#include "message/envelope.h"
#include "store/app_password.h"
#include "store/mailbox_deleted.h"
#include "web/api_factor.h"

static const char *const scopes[] = {"all", "read", "send"}; /* enum vault_scope */

static struct vault *vault_of(const struct api_call *c)
{
    return c->set->sasl.vault;
}

static bool read_number(struct view text, uint64_t *out)
{
    return view_is_u64(text, INT64_MAX, out);
}

/* --- /me/app-passwords --- */

static void get_app_passwords(struct api_call *c)
{
    struct app_password *list;
    size_t n;
    enum rc rc = app_passwords(c->store, c->who.account, c->arena, &list, &n);

    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        char id[24];
        snprintf(id, sizeof id, "%llu", (unsigned long long)list[i].id);
        json_array_append_new(out, json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "id", id, "name", api_view(list[i].name), "scope",
                                             scopes[list[i].scope], "created", api_time(list[i].created_s), "last_used",
                                             api_time(list[i].used_s), "last_peer",
                                             list[i].used_peer.n > 0 ? api_view(list[i].used_peer) : json_null()));
    }
    api_reply(c, json_pack("{s:o}", "app_passwords", out));
}

static bool read_scope(const struct api_call *c, enum vault_scope *out)
{
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (view_eq(api_text(c, "scope"), view_str(scopes[i]))) {
            *out = (enum vault_scope)i;
            return true;
        }
    return false;
}

/* The vault has the verifier before the store has the name: what is listed works. */
static void post_app_password(struct api_call *c)
{
    enum vault_scope scope;
    struct buf text;
    uint64_t id;
    char number[24];

    if (!read_scope(c, &scope)) {
        api_refuse_field(c, "scope", "scope: all, read or send");
        return;
    }
    buf_init(&text, 2 * APP_PASSWORD_TEXT);
    enum rc rc = vault_app_password_make(vault_of(c), c->who.account, scope, &text, &id);
    if (rc == RC_OK) {
        rc = app_password_add(c->store, c->who.account, id, api_text(c, "name"), (int)scope);
        if (rc != RC_OK)
            vault_app_password_remove(vault_of(c), c->who.account, id);
    }
    if (rc == RC_OK) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)id);
        api_audit(c, "app-password.add", c->who.address, api_text(c, "name"));
        c->response->status = 201;
        api_reply(c, json_pack("{s:s, s:o}", "id", number, "password", api_view(buf_view(&text))));
    } else if (rc == RC_SYNTAX) {
        api_refuse_field(c, "name", "name: say what the password is for, in up to 100 bytes");
    } else {
        api_refuse_rc(c, rc);
    }
    buf_wipe(&text);
    buf_clear(&text);
}

static void delete_app_password(struct api_call *c)
{
    uint64_t id;
    enum rc rc = read_number(c->args[0], &id) ? RC_OK : RC_NOTFOUND;

    if (rc == RC_OK)
        rc = vault_app_password_remove(vault_of(c), c->who.account, id);
    if (rc == RC_OK || rc == RC_NOTFOUND) { /* of one that the vault has no more the name goes */
        enum rc shown = app_password_remove(c->store, c->who.account, id);
        rc = rc == RC_OK && shown == RC_NOTFOUND ? RC_OK : shown;
    }
    if (rc == RC_OK) {
        api_audit(c, "app-password.remove", c->who.address, c->args[0]);
        api_done(c);
    } else {
        api_refuse_rc(c, rc);
    }
}

/* --- /me/deleted --- */

static json_t *deleted_row(const struct deleted_item *d)
{
    struct buf subject, from;
    char id[24];

    buf_init(&subject, 2 * ENVELOPE_TEXT_MAX);
    buf_init(&from, 4 * ENVELOPE_TEXT_MAX);
    envelope_read(d->envelope, &subject, &from); /* what cannot be read is shown empty */
    snprintf(id, sizeof id, "%llu", (unsigned long long)d->id);
    json_t *j = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "id", id, "folder", d->folder.n > 0 ? api_view(d->folder) : json_null(),
                          "subject", api_view(buf_view(&subject)), "from", api_view(buf_view(&from)), "date",
                          api_time(d->sent_date ? d->sent_date : d->internaldate), "deleted", api_time(d->deleted_s), "size",
                          (json_int_t)d->size);
    buf_clear(&subject);
    buf_clear(&from);
    return j;
}

static void get_deleted(struct api_call *c)
{
    struct mailbox *mb = NULL;
    struct deleted_item *items = NULL;
    size_t n = 0, limit = api_limit(c);
    uint64_t before = 0;

    if (api_query(c, "after").n > 0 && !read_number(api_query(c, "after"), &before)) {
        api_refuse_rc(c, RC_SYNTAX);
        return;
    }
    enum rc rc = mailbox_open(c->store, c->who.account, &mb);
    if (rc == RC_OK)
        rc = mailbox_deleted(mb, before, limit + 1, c->arena, &items, &n);
    mailbox_close(mb);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n && i < limit; i++)
        json_array_append_new(list, deleted_row(&items[i]));
    char next[24];
    snprintf(next, sizeof next, "%llu", n > limit ? (unsigned long long)items[limit - 1].id : 0);
    api_reply(c, json_pack("{s:o, s:o}", "deleted", list, "next", n > limit ? json_string(next) : json_null()));
}

static void post_restore(struct api_call *c)
{
    const json_t *list = json_object_get(c->body, "ids");
    const size_t n = json_array_size(list);
    struct mailbox *mb = NULL;
    size_t restored = 0;
    uint64_t *ids = arena_new_array(c->arena, n + 1, uint64_t);

    if (!json_is_array(list) || n == 0 || n > API_LIMIT_MAX || !ids) {
        api_refuse_field(c, "ids", "ids: a list of up to 1000");
        return;
    }
    for (size_t i = 0; i < n; i++) { /* the last of the list went first: it goes back first */
        const json_t *j = json_array_get(list, n - 1 - i);
        if (!json_is_string(j) || !read_number(view_of(json_string_value(j), json_string_length(j)), &ids[i])) {
            api_refuse_field(c, "ids", "ids: those of the list of deleted messages");
            return;
        }
    }
    enum rc rc = mailbox_open(c->store, c->who.account, &mb);
    if (rc == RC_OK)
        rc = mailbox_restore(mb, ids, n, &restored);
    mailbox_close(mb);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    if (restored > 0)
        api_audit(c, "account.undelete", c->who.address, view_str(arena_printf(c->arena, "%zu", restored)));
    api_reply(c, json_pack("{s:I}", "restored", (json_int_t)restored));
}

const struct api_route api_self_routes[] = {
    {"GET", "/me/app-passwords", API_USER, get_app_passwords},
    {"POST", "/me/app-passwords", API_USER, post_app_password},
    {"DELETE", "/me/app-passwords/{id}", API_USER, delete_app_password},
    {"GET", "/me/deleted", API_USER, get_deleted},
    {"POST", "/me/deleted/restore", API_USER, post_restore},
    {NULL},
};
