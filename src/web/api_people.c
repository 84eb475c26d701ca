/* Domains, accounts and aliases. Owners work on the domain of their own address, and never on an operator's account. */
#include "base/log.h"
#include "base/utf8.h"
#include "policy/dkim_pair.h"
#include "store/health_result.h"
#include "store/mailbox.h"
#include "vault/vault.h"
#include "web/api_impl.h"
#include "web/people_json.h"

#define PASSWORD_MIN 8   /* characters (NIST SP 800-63B §5.1.1) */
#define USED_MAX     200 /* accounts of one answer whose mailboxes are looked at */

/* --- domains --- */

/* How the doctor found it when it last looked; null: it has not. */
static json_t *health_json(struct api_call *c, struct view domain)
{
    static const char *const marks[] = {"good", "note", "warn", "bad", "unknown"};
    struct health_result r;
    struct arena a;
    json_t *j = NULL;

    arena_init(&a, 4u << 20);
    if (health_result_get(c->store, HEALTH_ASK_DOCTOR, domain, &a, &r) == RC_OK && r.made_s > 0) {
        j = json_pack("{s:o}", "made", api_time(r.made_s));
        for (size_t i = 0; j && i < 5; i++)
            json_object_set_new(j, marks[i], json_integer(r.n[i]));
    }
    arena_clear(&a);
    return j ? j : json_null();
}

static json_t *domain_json(struct api_call *c, const struct directory_domain *d, const struct directory_dkim_key *keys, size_t n)
{
    json_t *j = people_domain_json(d, keys, n);
    if (j && json_object_set_new(j, "health", health_json(c, d->name)) == 0)
        return j;
    json_decref(j);
    return NULL;
}

/* Of those without the operator's rights, the domain that they may see. */
static struct view own_domain(const struct api_call *c)
{
    return c->who.role == ROLE_OPERATOR ? (struct view){0} : c->who.domain;
}

static void get_domains(struct api_call *c)
{
    struct directory_domain *list;
    struct directory_dkim_key *keys;
    size_t n, n_keys;
    enum rc rc = directory_domains_look(c->store, own_domain(c), c->arena, &list, &n);
    if (rc == RC_OK)
        rc = directory_dkim_keys(c->store, own_domain(c), c->arena, &keys, &n_keys);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, domain_json(c, &list[i], keys, n_keys));
    api_reply(c, json_pack("{s:o}", "domains", out));
}

bool api_path_domain(struct api_call *c, struct directory_domain *out)
{
    if (!api_domain(c, c->args[0]))
        return false;
    enum rc rc = directory_domain(c->store, c->args[0], c->arena, out);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        api_refuse(c, 404, "domain.notfound", "This domain is not hosted here.");
    else if (rc != RC_OK)
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

static void reply_domain(struct api_call *c, struct view name)
{
    struct directory_domain *d;
    struct directory_dkim_key *keys;
    size_t n, n_keys;
    enum rc rc = directory_domains_look(c->store, name, c->arena, &d, &n);
    if (rc == RC_OK)
        rc = n == 1 ? directory_dkim_keys(c->store, d->name, c->arena, &keys, &n_keys) : RC_NOTFOUND;
    if (rc == RC_OK)
        api_reply(c, domain_json(c, d, keys, n_keys));
    else
        api_refuse_rc(c, rc);
}

static enum rc make_key(void *vault, struct view domain, struct view selector, int kind, struct buf *public_key)
{
    return vault_dkim_make(vault, domain, selector, kind, public_key);
}

static void keys_changed(struct api_call *c)
{
    if (c->set->keys_changed)
        c->set->keys_changed(c->set->app);
}

static void post_domain(struct api_call *c)
{
    struct view name = api_text(c, "domain");
    enum rc rc = directory_domain_add(c->store, name);
    if (rc == RC_SYNTAX) {
        api_refuse_field(c, "domain", "This is not the name of a domain, such as example.org.");
        return;
    }
    if (rc == RC_EXISTS) {
        api_refuse(c, 409, "domain.exists", "This domain is hosted here already.");
        return;
    }
    if (rc == RC_OK) {
        rc = dkim_pair_make(c->store, name, DKIM_KEY_ACTIVE, make_key, c->set->sasl.vault, c->arena);
        if (rc != RC_OK)
            directory_domain_remove(c->store, name); /* without keys its mail would go unsigned, and nobody would know */
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    keys_changed(c);
    api_audit(c, "domain.add", name, VIEW(""));
    c->response->status = 201;
    reply_domain(c, name);
}

static void delete_domain(struct api_call *c)
{
    struct directory_domain d;
    if (!api_path_domain(c, &d))
        return;
    enum rc rc = directory_domain_remove(c->store, d.name);
    if (rc == RC_EXISTS) {
        api_refuse(c, 409, "domain.used", "This domain still has accounts or aliases: remove these first.");
        return;
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    rc = vault_dkim_leave(c->set->sasl.vault, d.name);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        log_warn("web.failed", F_VIEW("path", c->http->path), F_CSTR("reason", "the private keys are still there"));
    keys_changed(c);
    api_audit(c, "domain.remove", d.name, VIEW(""));
    api_done(c);
}

static void patch_domain(struct api_call *c)
{
    struct directory_domain d;
    struct view mode = api_text(c, "mta_sts");
    if (!api_path_domain(c, &d))
        return;
    const enum directory_sts before = d.sts_mode;
    if (!people_sts_parse(mode, &d.sts_mode)) {
        api_refuse_field(c, "mta_sts", "This is testing, enforce or none.");
        return;
    }
    enum rc rc = directory_domain_set_sts(c->store, d.name, d.sts_mode);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit_change(c, "domain.mta_sts", d.name, people_sts_name(before), people_sts_name(d.sts_mode));
    reply_domain(c, d.name);
}

/* New keys beside those that sign: they take over when the DNS shows them. */
static void post_keys(struct api_call *c)
{
    struct directory_domain d;
    if (!api_path_domain(c, &d))
        return;
    enum rc rc = dkim_pair_make(c->store, d.name, DKIM_KEY_NEXT, make_key, c->set->sasl.vault, c->arena);
    if (rc == RC_EXISTS) {
        api_refuse(c, 409, "keys.waiting", "The next keys are there already: they sign as soon as the DNS shows them.");
        return;
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    keys_changed(c);
    api_audit(c, "domain.keys", d.name, VIEW("next"));
    reply_domain(c, d.name);
}

/* --- accounts --- */

struct person {
    struct view address, domain; /* normal form */
    struct directory_account account;
};

/* The address that the path names, in normal form, of a domain that the caller may see; else refused. */
static bool read_address(struct api_call *c, struct view text, struct person *p)
{
    enum rc rc = directory_normalise(text, c->arena, &p->address);
    if (rc != RC_OK) {
        if (rc == RC_SYNTAX)
            api_refuse_field(c, "address", "This is not an address, such as anne@example.org.");
        else
            api_refuse_rc(c, rc);
        return false;
    }
    p->domain = view_from(p->address, view_rchr(p->address, '@') + 1);
    return api_domain(c, p->domain);
}

/* And the account that has it, which an owner may change. */
static bool find_account(struct api_call *c, struct person *p)
{
    if (!read_address(c, c->args[0], p))
        return false;
    enum rc rc = directory_account(c->store, p->address, c->arena, &p->account);
    if (rc == RC_NOTFOUND) {
        api_refuse(c, 404, "account.notfound", "There is no such account.");
        return false;
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return false;
    }
    if (p->account.role > c->who.role) {
        api_refuse(c, 403, "session.right", "Only an operator may change an operator's account.");
        return false;
    }
    return true;
}

bool api_check_password(struct api_call *c, const char *field, struct view password)
{
    size_t n = 0;
    uint32_t cp;
    for (struct view v = password; utf8_next(&v, &cp) == RC_OK;)
        n++;
    if (password.n > 0 && !utf8_is_valid(password))
        n = 0;
    if (n >= PASSWORD_MIN && password.n <= VAULT_PASSWORD_MAX)
        return true;
    api_refuse_field(c, field, "A password has at least 8 characters; a sentence is a good one.");
    return false;
}

static bool read_role(struct api_call *c, enum directory_role *out)
{
    struct view name = api_text(c, "role");
    for (int r = ROLE_USER; r <= ROLE_OPERATOR; r++) {
        if (!view_eq(name, view_str(api_role_name((enum directory_role)r))))
            continue;
        *out = (enum directory_role)r;
        if (*out <= c->who.role)
            return true;
        api_refuse(c, 403, "session.right", "Only an operator can make operators.");
        return false;
    }
    api_refuse_field(c, "role", "This is user, owner or operator.");
    return false;
}

static bool read_quota(struct api_call *c, int64_t *out)
{
    *out = api_number(c, "quota", -1);
    if (*out >= 0)
        return true;
    api_refuse_field(c, "quota", "This is a number of bytes; 0: no limit.");
    return false;
}

/* Messages and bytes of its mailbox. */
static void add_used(struct api_call *c, json_t *j, uint64_t account)
{
    struct mailbox *mb = NULL;
    struct folder *folders;
    struct arena a;
    size_t n = 0;
    uint64_t bytes = 0, messages = 0;

    arena_init(&a, 16u << 20);
    enum rc rc = mailbox_open(c->store, account, &mb);
    if (rc == RC_OK)
        rc = mailbox_folders(mb, &a, &folders, &n);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        bytes += folders[i].bytes;
        messages += folders[i].exists;
    }
    mailbox_close(mb);
    arena_clear(&a);
    json_object_set_new(j, "used", rc == RC_OK ? json_integer((json_int_t)bytes) : json_null());
    json_object_set_new(j, "messages", rc == RC_OK ? json_integer((json_int_t)messages) : json_null());
}

/* Lists are by address; `next` is the last one of the answer before. API_LIMIT_MAX rows unless the client asks for less. */
static size_t read_limit(const struct api_call *c)
{
    return api_query(c, "limit").n > 0 ? api_limit(c) : API_LIMIT_MAX;
}

/* The query's domain, where the caller may see it; without one all that they may. */
static bool read_domain(struct api_call *c, struct view *out)
{
    *out = own_domain(c);
    return api_query(c, "domain").n == 0 || api_query_domain(c, out);
}

static void get_accounts(struct api_call *c)
{
    struct directory_account *all;
    struct view domain, after = api_query(c, "after");
    size_t n, shown = 0, last = 0;
    const size_t limit = read_limit(c);
    bool more = false;

    if (!read_domain(c, &domain))
        return;
    enum rc rc = directory_accounts(c->store, domain, c->arena, &all, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n && !more; i++) {
        if (after.n > 0 && view_cmp(all[i].address, after) <= 0)
            continue;
        more = shown == limit;
        if (more)
            break;
        json_t *j = people_account_json(&all[i]);
        if (j && shown < USED_MAX)
            add_used(c, j, all[i].id);
        json_array_append_new(list, j);
        last = i;
        shown++;
    }
    api_reply(c, json_pack("{s:o, s:o}", "accounts", list, "next", more ? api_view(all[last].address) : json_null()));
}

static void reply_account(struct api_call *c, struct view address)
{
    struct directory_account a;
    enum rc rc = directory_account(c->store, address, c->arena, &a);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *j = people_account_json(&a);
    if (j)
        add_used(c, j, a.id);
    api_reply(c, j);
}

static void post_account(struct api_call *c)
{
    struct person p;
    struct view password = api_text(c, "password");
    enum directory_role role = ROLE_USER;
    int64_t quota = 0;
    uint64_t id;

    if (!read_address(c, api_text(c, "address"), &p) || !api_check_password(c, "password", password) ||
        (api_has(c, "role") && !read_role(c, &role)) || (api_has(c, "quota") && !read_quota(c, &quota)))
        return;
    enum rc rc = directory_account_add(c->store, p.address, &id);
    if (rc == RC_EXISTS) {
        api_refuse(c, 409, "account.exists", "There is an account or alias of that address already.");
        return;
    }
    if (rc == RC_NOTFOUND) {
        api_refuse(c, 404, "domain.notfound", "This domain is not hosted here.");
        return;
    }
    if (rc == RC_OK) {
        rc = vault_password_set(c->set->sasl.vault, id, password);
        if (rc == RC_OK && role != ROLE_USER)
            rc = directory_account_set_role(c->store, p.address, role);
        if (rc == RC_OK && quota > 0)
            rc = directory_account_set_quota(c->store, p.address, (uint64_t)quota);
        if (rc != RC_OK) /* half an account is one that nobody can open */
            directory_account_remove(c->store, p.address, &id);
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "account.add", p.address, view_str(api_role_name(role)));
    c->response->status = 201;
    reply_account(c, p.address);
}

/* Nobody would be left to run the server. */
static bool is_last_operator(struct api_call *c, const struct directory_account *account)
{
    struct directory_account *all;
    size_t n;
    if (account->role != ROLE_OPERATOR || account->disabled)
        return false;
    if (directory_accounts(c->store, VIEW(""), c->arena, &all, &n) != RC_OK)
        return true;
    for (size_t i = 0; i < n; i++)
        if (all[i].role == ROLE_OPERATOR && !all[i].disabled && all[i].id != account->id)
            return false;
    return true;
}

static bool refuse_last(struct api_call *c, const struct person *p)
{
    if (!is_last_operator(c, &p->account))
        return false;
    api_refuse(c, 409, "account.last_operator", "This is the only operator: make another one first.");
    return true;
}

static void account_gone(struct api_call *c, uint64_t id)
{
    if (c->set->account_gone)
        c->set->account_gone(c->set->app, id);
}

static enum rc change_account(struct api_call *c, const struct person *p, enum directory_role role, int64_t quota, bool disabled,
                              struct view password)
{
    enum rc rc = RC_OK;
    if (api_has(c, "role") && role != p->account.role && (rc = directory_account_set_role(c->store, p->address, role)) == RC_OK)
        api_audit_change(c, "account.role", p->address, api_role_name(p->account.role), api_role_name(role));
    if (rc == RC_OK && api_has(c, "quota") && (uint64_t)quota != p->account.quota &&
        (rc = directory_account_set_quota(c->store, p->address, (uint64_t)quota)) == RC_OK)
        api_audit_change(c, "account.quota", p->address, arena_printf(c->arena, "%llu", (unsigned long long)p->account.quota),
                     arena_printf(c->arena, "%lld", (long long)quota));
    if (rc == RC_OK && disabled != p->account.disabled && (rc = directory_account_set_disabled(c->store, p->address, disabled)) == RC_OK) {
        api_audit(c, disabled ? "account.disable" : "account.enable", p->address, VIEW(""));
        account_gone(c, p->account.id);
    }
    if (rc == RC_OK && password.n > 0 && (rc = vault_password_set(c->set->sasl.vault, p->account.id, password)) == RC_OK) {
        api_audit(c, "account.password", p->address, VIEW(""));
        rc = session_close_all(c->store, p->account.id, p->account.id == c->who.account ? c->who.session_id : 0);
    }
    return rc;
}

static void patch_account(struct api_call *c)
{
    struct person p;
    enum directory_role role = ROLE_USER;
    int64_t quota = 0;
    struct view password = api_text(c, "password");

    if (!find_account(c, &p) || (api_has(c, "role") && !read_role(c, &role)) || (api_has(c, "quota") && !read_quota(c, &quota)) ||
        (api_has(c, "password") && !api_check_password(c, "password", password)))
        return;
    const json_t *off = json_object_get(c->body, "disabled");
    if (off && !json_is_boolean(off)) {
        api_refuse_field(c, "disabled", "This is true or false.");
        return;
    }
    const bool disabled = off ? json_is_true(off) : p.account.disabled;
    if (((api_has(c, "role") && role != ROLE_OPERATOR) || disabled) && refuse_last(c, &p))
        return;
    enum rc rc = change_account(c, &p, role, quota, disabled, password);
    if (rc == RC_OK)
        reply_account(c, p.address);
    else
        api_refuse_rc(c, rc);
}

static void delete_account(struct api_call *c)
{
    struct person p;
    uint64_t id;
    if (!find_account(c, &p) || refuse_last(c, &p))
        return;
    enum rc rc = directory_account_remove(c->store, p.address, &id);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    account_gone(c, id);
    rc = vault_password_remove(c->set->sasl.vault, id);
    if (rc != RC_OK && rc != RC_NOTFOUND) /* its number is never used again: nobody can log in by it */
        log_warn("web.failed", F_VIEW("path", c->http->path), F_CSTR("reason", "the password is still there"));
    api_audit(c, "account.remove", p.address, VIEW(""));
    api_done(c);
}

/* --- aliases --- */

static void get_aliases(struct api_call *c)
{
    struct directory_alias *all;
    struct view domain, after = api_query(c, "after");
    const size_t limit = read_limit(c);
    size_t n, shown = 0, last = 0;
    bool more = false;

    if (!read_domain(c, &domain))
        return;
    enum rc rc = directory_aliases(c->store, domain, c->arena, &all, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n && !more; i++) {
        if (after.n > 0 && view_cmp(all[i].address, after) <= 0)
            continue;
        more = shown == limit;
        if (!more) {
            json_array_append_new(list, people_alias_json(&all[i]));
            last = i;
            shown++;
        }
    }
    api_reply(c, json_pack("{s:o, s:o}", "aliases", list, "next", more ? api_view(all[last].address) : json_null()));
}

/* "a@ici.test, b@ici.test" */
static const char *targets_text(struct api_call *c, const struct view *targets, size_t n)
{
    struct buf text;
    buf_init(&text, 2000); /* what is longer is cut, as details are */
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", VIEW_FMT(targets[i]));
    const char *out = arena_cstr(c->arena, view_of(text.p, text.n));
    buf_clear(&text);
    return out;
}

/* Where an alias leads now; "-": there is none. */
static const char *leads_to(struct api_call *c, struct view address)
{
    struct directory_alias *all;
    size_t n, at = view_rchr(address, '@');
    if (at == VIEW_NONE || directory_aliases(c->store, view_from(address, at + 1), c->arena, &all, &n) != RC_OK)
        return "-";
    for (size_t i = 0; i < n; i++)
        if (view_ieq(all[i].address, address))
            return targets_text(c, all[i].targets, all[i].n_targets);
    return "-";
}

/* "@example.org" is the catch-all. */
static bool read_alias(struct api_call *c, struct view *out)
{
    struct person p;
    struct view text = c->args[0];
    if (!view_starts(text, VIEW("@"))) {
        bool ok = read_address(c, text, &p);
        *out = p.address;
        return ok;
    }
    *out = text;
    return api_domain(c, view_from(text, 1));
}

static void put_alias(struct api_call *c)
{
    const json_t *list = json_object_get(c->body, "targets"), *one;
    struct view address;
    size_t n = json_array_size(list), i;

    if (!read_alias(c, &address))
        return;
    if (n == 0 || n > DIRECTORY_TARGETS_MAX) {
        api_refuse_field(c, "targets", "An alias leads to one address or up to 1000.");
        return;
    }
    struct view *targets = arena_new_array(c->arena, n, struct view);
    if (!targets) {
        api_refuse_rc(c, RC_TEMP);
        return;
    }
    json_array_foreach(list, i, one)
        targets[i] = json_is_string(one) ? view_of(json_string_value(one), json_string_length(one)) : (struct view){0};
    const char *before = leads_to(c, address);
    switch (directory_alias_set(c->store, address, targets, n)) {
    case RC_OK: break;
    case RC_SYNTAX: api_refuse_field(c, "targets", "One of these is not an address."); return;
    case RC_NOTFOUND: api_refuse(c, 404, "domain.notfound", "This domain is not hosted here."); return;
    case RC_EXISTS: api_refuse(c, 409, "alias.account", "This is an account: its mail cannot be led away by an alias."); return;
    default: api_refuse_rc(c, RC_TEMP); return;
    }
    api_audit_change(c, "alias.set", address, before, targets_text(c, targets, n));
    api_reply(c, people_alias_json(&(struct directory_alias){address, targets, n}));
}

static void delete_alias(struct api_call *c)
{
    struct view address;
    if (!read_alias(c, &address))
        return;
    const char *before = leads_to(c, address);
    enum rc rc = directory_alias_remove(c->store, address, NULL, 0);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX) {
        api_refuse(c, 404, "alias.notfound", "There is no such alias.");
    } else if (rc != RC_OK) {
        api_refuse_rc(c, rc);
    } else {
        api_audit_change(c, "alias.remove", address, before, "-");
        api_done(c);
    }
}

const struct api_route api_people_routes[] = {
    {"GET", "/domains", API_OWNER, get_domains},
    {"POST", "/domains", API_OPERATOR, post_domain},
    {"PATCH", "/domains/{domain}", API_OWNER, patch_domain},
    {"DELETE", "/domains/{domain}", API_OPERATOR, delete_domain},
    {"POST", "/domains/{domain}/keys", API_OWNER, post_keys},
    {"GET", "/accounts", API_OWNER, get_accounts},
    {"POST", "/accounts", API_OWNER, post_account},
    {"PATCH", "/accounts/{address}", API_OWNER, patch_account},
    {"DELETE", "/accounts/{address}", API_OWNER, delete_account},
    {"GET", "/aliases", API_OWNER, get_aliases},
    {"PUT", "/aliases/{address}", API_OWNER, put_alias},
    {"DELETE", "/aliases/{address}", API_OWNER, delete_alias},
    {NULL},
};
