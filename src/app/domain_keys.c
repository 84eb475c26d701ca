#include "app/domain_keys.h"

#include <time.h>

#include "base/clock.h"
#include "mailauth/dkim_key.h"
#include "store/directory.h"
#include "vault/dkim_keys.h"

#define PUBLIC_MAX 1024 /* of RSA-2048: 294 */

static const enum pkey_kind kinds[] = {PKEY_RSA, PKEY_ED25519};
#define N_KINDS (sizeof kinds / sizeof *kinds)

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

/* "a" to "z", "aa", "ab", ... */
static void write_ending(unsigned n, char out[8])
{
    char back[8];
    size_t len = 0;
    do {
        back[len++] = (char)('a' + n % 26);
        n = n / 26;
    } while (n-- > 0 && len < sizeof back - 1);
    for (size_t i = 0; i < len; i++)
        out[i] = back[len - 1 - i];
    out[len] = '\0';
}

static const char *selector_of(struct app *app, enum pkey_kind kind, unsigned n)
{
    const time_t now = (time_t)clock_real_s();
    char ending[8];
    struct tm tm;

    write_ending(n, ending);
    gmtime_r(&now, &tm);
    return arena_printf(&app->arena, "%c%04d%02d%s", kind == PKEY_RSA ? 'r' : 'e', tm.tm_year + 1900, tm.tm_mon + 1, ending);
}

static bool is_used(const struct directory_dkim_key *keys, size_t n, const char *selector)
{
    for (size_t i = 0; i < n; i++)
        if (view_eq(keys[i].selector, view_str(selector)))
            return true;
    return false;
}

/* A pair with this ending. RC_EXISTS: one of the selectors was used before. */
static enum rc make_pair(struct app *app, struct dkim_keys *vault, unsigned ending, const struct directory_dkim_key *used,
                         size_t n_used, struct directory_dkim_key pair[N_KINDS])
{
    struct buf public_key;
    enum rc rc = RC_OK;

    buf_init(&public_key, PUBLIC_MAX);
    for (size_t i = 0; rc == RC_OK && i < N_KINDS; i++) {
        const char *selector = selector_of(app, kinds[i], ending);
        if (!selector)
            rc = RC_TEMP;
        else if (is_used(used, n_used, selector))
            rc = RC_EXISTS;
        else
            pair[i].selector = view_str(selector);
    }
    for (size_t i = 0; rc == RC_OK && i < N_KINDS; i++) {
        buf_reset(&public_key);
        pair[i].algorithm = (int)kinds[i];
        rc = dkim_keys_make(vault, pair[i].domain, pair[i].selector, kinds[i], &public_key);
        if (rc == RC_OK)
            rc = view_dup(&app->arena, buf_view(&public_key), &pair[i].public_key);
    }
    buf_clear(&public_key);
    return rc;
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

int domain_keys_make(struct app *app, struct view domain, enum dkim_key_state state)
{
    struct directory_dkim_key *used = NULL, pair[N_KINDS] = {{.state = state}, {.state = state}};
    struct dkim_keys *vault;
    struct view name;
    size_t n = 0;

    enum rc rc = normalise(app, domain, &name);
    if (rc == RC_OK)
        rc = directory_dkim_keys(app->store, name, &app->arena, &used, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the keys");
    if (open_keys(app, &vault) != EXIT_DONE)
        return EXIT_FAILED;
    for (size_t i = 0; i < N_KINDS; i++)
        pair[i].domain = name;
    rc = RC_EXISTS;
    for (unsigned ending = 0; rc == RC_EXISTS && ending < n + 100; ending++) /* the vault may know some that no row tells of */
        rc = make_pair(app, vault, ending, used, n, pair);
    dkim_keys_close(vault);
    if (!app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    if (rc == RC_OK)
        rc = directory_dkim_add(app->store, pair, N_KINDS);
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

    buf_init(&text, 2 * PUBLIC_MAX);
    dkim_key_write_zone((enum pkey_kind)k->algorithm, k->public_key, &text);
    const char *record = buf_rc(&text) == RC_OK ? arena_cstr(&app->arena, buf_view(&text)) : NULL;
    buf_clear(&text);
    return record;
}
