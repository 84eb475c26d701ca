#include "app/tlsa.h"

#include "acme/acme.h"
#include "sys/file.h"
#include "vault/tls_keys.h"

static enum rc add_key(struct tls_keys *vault, struct view name, enum tls_key_which which, struct tlsa_keys *out)
{
    struct buf spki;
    buf_init(&spki, 1024);
    enum rc rc = tls_keys_public(vault, name, which, &spki);
    if (rc == RC_OK)
        rc = sha256(buf_view(&spki), out->key[out->n]);
    out->n += rc == RC_OK;
    buf_clear(&spki);
    return rc;
}

/* The first certificate in files that is for the host; its file may be root's alone. */
static enum rc add_file(struct app *app, struct tlsa_keys *out)
{
    const struct config *c = app->config;
    struct buf pem;
    enum rc rc = RC_NOTFOUND;
    buf_init(&pem, TLS_CHAIN_MAX);
    for (size_t i = 0; rc == RC_NOTFOUND && i < c->tls.certificate.n; i++) {
        buf_reset(&pem);
        rc = file_read(c->tls.certificate.v[i], TLS_CHAIN_MAX, &pem);
        if (rc == RC_OK)
            rc = acme_certificate_covers(buf_view(&pem), c->hostname) ? acme_certificate_key(buf_view(&pem), out->key[out->n]) : RC_NOTFOUND;
    }
    out->n += rc == RC_OK;
    buf_clear(&pem);
    return rc;
}

static int find_keys(struct app *app, struct tls_keys *vault, struct tlsa_keys *out)
{
    const char *name = arena_printf(&app->arena, "cert %s", app->config->hostname);
    enum rc rc = name ? add_key(vault, view_str(name), TLS_KEY_SERVING, out) : RC_TEMP;
    bool has_own = rc == RC_OK;
    if ((rc == RC_OK || rc == RC_NOTFOUND) && app->config->acme.directory)
        rc = add_key(vault, view_str(name), TLS_KEY_NEXT, out);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return app_fail_rc(rc, "read the keys of certificates");
    if (has_own || !app_become(app, APP_ROOT))
        return has_own ? EXIT_DONE : EXIT_FAILED;
    rc = add_file(app, out);
    return rc == RC_OK || rc == RC_NOTFOUND ? EXIT_DONE : app_fail_rc(rc, "read the certificate");
}

int tlsa_keys_find(struct app *app, struct tlsa_keys *out)
{
    struct tls_keys *vault;
    const char *why = "", *path = arena_printf(&app->arena, "%s/vault/vault.db", app->config->data);
    *out = (struct tlsa_keys){0};
    if (!path)
        return app_fail_rc(RC_TEMP, "open the keys");
    if (!app_become(app, APP_VAULT_USER))
        return EXIT_FAILED;
    int code = EXIT_FAILED;
    if (tls_keys_open(path, &vault, &why) == RC_OK) {
        code = find_keys(app, vault, out);
        tls_keys_close(vault);
    } else {
        app_fail("cannot open %s: %s", path, why);
    }
    return app_become(app, APP_STORE_USER) ? code : EXIT_FAILED;
}
