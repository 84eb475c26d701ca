#include "web/people_json.h"

#include "crypto/pkey.h"
#include "web/api.h"

static const char *const sts_names[] = {[STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce"};

const char *people_sts_name(enum directory_sts mode)
{
    return sts_names[mode];
}

bool people_sts_parse(struct view name, enum directory_sts *out)
{
    for (int i = STS_NONE; i <= STS_ENFORCE; i++) {
        if (view_eq(name, view_str(sts_names[i]))) {
            *out = (enum directory_sts)i;
            return true;
        }
    }
    return false;
}

const char *people_key_state(enum dkim_key_state state)
{
    static const char *const names[] = {"next", "active", "retired", "gone"};
    return names[state];
}

static json_t *keys_json(struct view domain, const struct directory_dkim_key *keys, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (keys[i].state == DKIM_KEY_GONE || !view_eq(keys[i].domain, domain))
            continue;
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:o}", "selector", api_view(keys[i].selector), "algorithm",
                                              keys[i].algorithm == PKEY_RSA ? "rsa" : "ed25519", "state", people_key_state(keys[i].state),
                                              "created", api_time(keys[i].created_s)));
    }
    return list;
}

json_t *people_domain_json(const struct directory_domain *d, const struct directory_dkim_key *keys, size_t n_keys)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)d->sts_changed_s);
    return json_pack("{s:o, s:o, s:{s:s, s:s}, s:o, s:I, s:I}", "domain", api_view(d->name), "created", api_time(d->created_s), "mta_sts",
                     "mode", people_sts_name(d->sts_mode), "id", id, "keys", keys_json(d->name, keys, n_keys), "accounts",
                     (json_int_t)d->accounts, "aliases", (json_int_t)d->aliases);
}

json_t *people_account_json(const struct directory_account *a)
{
    size_t at = view_rchr(a->address, '@');
    return json_pack("{s:o, s:o, s:s, s:o, s:b, s:I}", "address", api_view(a->address), "domain",
                     api_view(at == VIEW_NONE ? (struct view){0} : view_from(a->address, at + 1)), "role", api_role_name(a->role), "created",
                     api_time(a->created_s), "disabled", (int)a->disabled, "quota", (json_int_t)a->quota);
}

json_t *people_alias_json(const struct directory_alias *a)
{
    json_t *targets = json_array();
    for (size_t i = 0; targets && i < a->n_targets; i++)
        json_array_append_new(targets, api_view(a->targets[i]));
    return json_pack("{s:o, s:o}", "address", api_view(a->address), "targets", targets);
}
