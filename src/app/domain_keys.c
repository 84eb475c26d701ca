#include "app/domain_keys.h"

#include "mailauth/dkim_key.h"
#include "policy/dkim_pair.h"
#include "store/directory.h"
#include "vault/dkim_keys.h"

#define RECORD_MAX 2048 /* bytes of a key's record */

/* Opens vault.db as its owner; the caller closes it and calls app_become(APP_STORE_USER). */
static int open_keys(struct app *app, struct dkim_keys **out)
{
    const char *why = "";
    const char *path = arena_printf(&app->arena, "%s/vault/vault.db", app->config->data);

    if (!path)
        return app_fail_rc(RC_TEMP, "open the keys");
    if (!app_become(app, APP_VAULT_USER))
        return EXIT_FAILED;
    if (dkim_keys_open(path, out, &why) == RC_OK)
        return EXIT_DONE;
    app_become(app, APP_STORE_USER);
    return app_fail("cannot open %s: %s", path, why);
}

/* The domain as the directory has it: A-labels. */
static enum rc normalise(struct app *app, struct view domain, struct view *out)
{
    const char *address = arena_printf(&app->arena, "x@%.*s", VIEW_FMT(domain));
    enum rc rc = address ? directory_normalise(view_str(address), &app->arena, out) : RC_TEMP;
    if (rc == RC_OK)
        view_skip(out, 2);
    return rc;
}

struct key_maker {
    struct app *app;
    struct dkim_keys *vault;
};

/* As the vault's user: its database makes files beside itself when it is written. */
static enum rc make_key(void *ctx, struct view domain, struct view selector, int kind, struct buf *public_key)
{
    const struct key_maker *m = ctx;
    if (!app_become(m->app, APP_VAULT_USER))
        return RC_DENIED;
    enum rc rc = dkim_keys_make(m->vault, domain, selector, (enum pkey_kind)kind, public_key);
    return app_become(m->app, APP_STORE_USER) ? rc : RC_DENIED;
}

int domain_keys_make(struct app *app, struct view domain, enum dkim_key_state state)
{
    struct key_maker m = {.app = app};

    if (open_keys(app, &m.vault) != EXIT_DONE)
        return EXIT_FAILED;
    if (!app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    enum rc rc = dkim_pair_make(app->store, domain, state, make_key, &m, &app->arena);
    if (!app_become(app, APP_VAULT_USER))
        return EXIT_FAILED;
    dkim_keys_close(m.vault);
    if (!app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    if (rc == RC_OK)
        app_poke(app, POKE_KEYS, 0, 0);
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "make the DKIM keys");
}

int domain_keys_remove(struct app *app, struct view domain)
{
    struct dkim_keys *vault;
    struct view name;

    if (normalise(app, domain, &name) != RC_OK || open_keys(app, &vault) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = dkim_keys_remove_domain(vault, name);
    dkim_keys_close(vault);
    if (!app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    app_poke(app, POKE_KEYS, 0, 0);
    return rc == RC_OK || rc == RC_NOTFOUND ? EXIT_DONE : app_fail_rc(rc, "remove the DKIM keys");
}

int domain_keys_list(struct app *app, struct view domain, struct directory_dkim_key **out, size_t *n)
{
    size_t all, kept = 0;
    enum rc rc = directory_dkim_keys(app->store, domain, &app->arena, out, &all);

    if (rc != RC_OK)
        return app_fail_rc(rc, "read the keys");
    for (size_t i = 0; i < all; i++)
        if ((*out)[i].state != DKIM_KEY_GONE)
            (*out)[kept++] = (*out)[i];
    *n = kept;
    return EXIT_DONE;
}

const char *domain_keys_state(enum dkim_key_state state)
{
    static const char *const names[] = {"next", "active", "retired", "gone"};
    return names[state];
}

const char *domain_keys_owner(struct app *app, const struct directory_dkim_key *k)
{
    return arena_printf(&app->arena, "%.*s._domainkey.%.*s.", VIEW_FMT(k->selector), VIEW_FMT(k->domain));
}

const char *domain_keys_record(struct app *app, const struct directory_dkim_key *k)
{
    struct buf text;

    buf_init(&text, RECORD_MAX);
    dkim_key_write_zone((enum pkey_kind)k->algorithm, k->public_key, &text);
    const char *record = buf_rc(&text) == RC_OK ? arena_cstr(&app->arena, buf_view(&text)) : NULL;
    buf_clear(&text);
    return record;
}
