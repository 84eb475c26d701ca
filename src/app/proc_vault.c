/* The vault process: keys and verifiers, no network, no mail. It reads no reloads: for new keys the parent starts another
 * one, which reads them before it gives up root, and lets this one go. */
#include <unistd.h>

#include "app/process.h"
#include "base/clock.h"
#include "sys/confine.h"
#include "sys/fdpass.h"
#include "vault/server.h"

/* Channels until the parent closes. */
static void serve_control(struct vault_server *server, int control)
{
    char msg[16];
    int fds[FDPASS_MAX_FDS];
    size_t n, n_fds;

    while (fdpass_recv(control, msg, sizeof msg, &n, fds, FDPASS_MAX_FDS, &n_fds, NO_DEADLINE) == RC_OK) {
        if (msg[0] == CONTROL_DRAIN)
            break;
        for (size_t i = 0; i < n_fds; i++) {
            if (msg[0] == CONTROL_VAULT)
                vault_server_add_channel(server, fds[i], n == 2 && msg[1] == CONTROL_ACCESS);
            else
                close(fds[i]);
        }
    }
}

int vault_process(struct start *start)
{
    const struct config *c = start->config;
    const struct user_id *who = &start->users->vault;
    struct vault_server *server = NULL;
    struct credentials *credentials = NULL;
    struct dkim_keys *dkim = NULL;
    struct tls_keys *tls = NULL;
    struct keys *keys = NULL;
    struct arena a;
    const char *why = NULL;
    int status = 1;

    arena_init(&a, 1 << 20);
    const char *db = arena_printf(&a, "%s/vault/vault.db", c->data);
    if (!db || keys_load(c->tls.certificate.v, c->tls.key.v, c->tls.certificate.n, &a, &keys, &why) != RC_OK) {
        log_error("tls.failed", F_CSTR("reason", why ? why : "out of memory"));
        goto done;
    }
    const struct confine_path own = {arena_printf(&a, "%s/vault", c->data), true};
    enum rc rc = confine_become(start->users->root ? who->name : NULL);
    if (rc == RC_OK)
        rc = confine_hide_memory();
    if (rc == RC_OK)
        rc = own.path ? confine_files(&own, 1) : RC_TEMP;
    if (rc == RC_OK || rc == RC_NOTFOUND) /* no Landlock in this kernel: it has logged that */
        rc = confine_calls(CONFINE_FILES);
    if (rc != RC_OK) {
        log_error("process.confine.failed", F_CSTR("user", who->name), F_CSTR("reason", rc_name(rc)));
        goto done;
    }
    if (credentials_open(db, &credentials, &why) != RC_OK || dkim_keys_open(db, &dkim, &why) != RC_OK ||
        tls_keys_open(db, &tls, &why) != RC_OK) {
        log_error("vault.failed", F_CSTR("file", db), F_CSTR("reason", why));
        goto done;
    }
    rc = vault_server_new(credentials, keys, dkim, tls, &server);
    tls = NULL;
    keys = NULL;
    dkim = NULL;
    credentials = NULL;
    if (rc != RC_OK) {
        log_error("vault.failed", F_CSTR("reason", rc_name(rc)));
        goto done;
    }
    for (size_t i = 0; i < start->n_channels; i++)
        if (vault_server_add_channel(server, start->channels[i], i >= VAULT_CHANNELS) != RC_OK)
            goto done;
    const char ready = CONTROL_READY;
    fdpass_send(start->control, view_of(&ready, 1), NULL, 0, deadline_in(5000));
    serve_control(server, start->control);
    status = 0;
done:
    vault_server_free(server);
    credentials_close(credentials);
    dkim_keys_close(dkim);
    tls_keys_close(tls);
    keys_free(keys);
    arena_clear(&a);
    return status;
}
