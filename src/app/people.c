#include "app/people.h"

#include "base/base64.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "store/session.h"

static const char *const role_names[] = {"user", "owner", "operator"};

const char *people_role_name(enum directory_role role)
{
    return role_names[role];
}

bool people_role_parse(const char *name, enum directory_role *out)
{
    for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
        if (strcmp(name, role_names[i]) == 0) {
            *out = (enum directory_role)i;
            return true;
        }
    return false;
}

int people_open_credentials(struct app *app, struct credentials **out)
{
    const char *why = "";
    const char *path = arena_printf(&app->arena, "%s/vault/vault.db", app->config->data);

    if (!path)
        return app_fail_rc(RC_TEMP, "open the passwords");
    if (!app_become(app, APP_VAULT_USER))
        return EXIT_FAILED;
    enum rc rc = credentials_open(path, out, &why);
    if (rc == RC_OK)
        return EXIT_DONE;
    app_become(app, APP_STORE_USER);
    return app_fail("cannot open %s: %s", path, why);
}

bool people_close_credentials(struct app *app, struct credentials *c)
{
    credentials_close(c);
    return app_become(app, APP_STORE_USER);
}

static int forget_password(struct app *app, uint64_t account)
{
    struct credentials *c = NULL;
    if (people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = credentials_remove(c, account);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    return rc == RC_OK || rc == RC_NOTFOUND ? EXIT_DONE : app_fail_rc(rc, "remove the password");
}

const char *people_domain(const char *address)
{
    const char *at = strrchr(address, '@');
    return at ? at + 1 : address;
}

int people_find(struct app *app, const char *address, struct directory_account *out)
{
    enum rc rc = directory_account(app->store, view_str(address), &app->arena, out);
    if (rc == RC_OK)
        return EXIT_DONE;
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("there is no account %s: `facteur account list` shows all", address);
    return app_fail_rc(rc, "find the account");
}

static int tell_add(const char *address, enum rc rc)
{
    switch (rc) {
    case RC_OK:       return EXIT_DONE;
    case RC_EXISTS:   return app_fail("%s exists already", address);
    case RC_SYNTAX:   return app_fail("'%s' is not an address", address);
    case RC_NOTFOUND: return app_fail("the domain of %s is not hosted here: `facteur domain add %s` first", address,
                                      people_domain(address));
    default:          return app_fail_rc(rc, "add the account");
    }
}

int people_may_add(struct app *app, const char *address)
{
    struct directory_account account;
    const size_t at = view_rchr(view_str(address), '@');
    bool ours = false;
    if (at == VIEW_NONE || at == 0)
        return tell_add(address, RC_SYNTAX);
    enum rc rc = directory_has_domain(app->store, view_from(view_str(address), at + 1), &ours);
    if (rc != RC_OK || !ours)
        return tell_add(address, rc == RC_OK ? RC_NOTFOUND : rc);
    rc = directory_account(app->store, view_str(address), &app->arena, &account);
    return tell_add(address, rc == RC_OK ? RC_EXISTS : rc == RC_NOTFOUND ? RC_OK : rc);
}

int people_is_ours(struct app *app, struct view domain)
{
    bool ours = domain.n == 0;
    enum rc rc = ours ? RC_OK : directory_has_domain(app->store, domain, &ours);
    if (rc != RC_OK && rc != RC_SYNTAX)
        return app_fail_rc(rc, "find the domain");
    return ours ? EXIT_DONE : app_fail("%.*s is not hosted here: `facteur domain list` shows all", VIEW_FMT(domain));
}

int people_add(struct app *app, const char *address, uint64_t *id)
{
    return tell_add(address, directory_account_add(app->store, view_str(address), id));
}

int people_remove(struct app *app, const char *address)
{
    uint64_t id;
    enum rc rc = directory_account_remove(app->store, view_str(address), &id);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("there is no account %s: `facteur account list` shows all", address);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the account");
    app_poke(app, POKE_ACCOUNT, id, 0);
    return forget_password(app, id);
}

int people_set_password(struct app *app, uint64_t account, struct view password)
{
    struct credentials *c = NULL;
    if (people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = credentials_set(c, account, password);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    if (rc == RC_OK)
        rc = session_close_all(app->store, account, 0);
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "keep the password");
}

int people_link(struct app *app, uint64_t account, struct buf *out)
{
    uint8_t token[SESSION_HASH], hash[SESSION_HASH];
    const unsigned port = config_https_port(app->config);

    if (port == 0)
        return app_fail("the pages are not served: listen { https = ... } in %s serves them, or http behind one of web { proxies }", app->config_path);
    random_bytes(token, sizeof token);
    enum rc rc = sha256(view_of(token, sizeof token), hash);
    if (rc == RC_OK)
        rc = session_link_add(app->store, hash, account);
    if (rc != RC_OK)
        return app_fail_rc(rc, "make the link");
    buf_printf(out, "https://%s", app->config->hostname);
    if (port != 443)
        buf_printf(out, ":%u", port);
    buf_str(out, "/admin/#/link/");
    base64_encode_url(view_of(token, sizeof token), out);
    wipe(token, sizeof token);
    return buf_rc(out) == RC_OK ? EXIT_DONE : app_fail_rc(RC_TEMP, "make the link");
}
