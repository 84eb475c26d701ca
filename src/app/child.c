/* app/process.h: what mta and access have in common. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "acme/acme.h"
#include "app/process.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "message/charset.h"
#include "net/pool.h"
#include "store/bus.h"
#include "store/challenge.h"
#include "store/store.h"
#include "login/sasl.h"
#include "sys/confine.h"
#include "sys/fdpass.h"

#define HANDSHAKE_MS 30000
#define IDLE_MS      (35 * 60 * 1000) /* the services set shorter ones of their own */
#define CONFIG_FDS   32

static struct pool_settings pool_settings_of(const struct config *c)
{
    return (struct pool_settings){.max_workers = c->limits.workers,
                                  .max_connections = c->limits.connections,
                                  .max_per_address = c->limits.connections_per_address,
                                  .proxy_from = c->proxy_from.v,
                                  .n_proxy_from = c->proxy_from.n,
                                  .shared_from = c->web.proxies.v,
                                  .n_shared_from = c->web.proxies.n,
                                  .handshake_ms = HANDSHAKE_MS,
                                  .idle_ms = IDLE_MS};
}

struct sasl_settings child_sasl(const struct child *c)
{
    return (struct sasl_settings){.vault = c->vault, .store = c->store, .plain_without_tls = c->config->plaintext_login};
}

/* net/tls.h and the vault use the same numbers. */
static enum rc sign(void *ctx, const uint8_t key[32], enum tls_sign_kind kind, struct view input, struct buf *signature)
{
    return vault_tls_sign(ctx, key, (int)kind, input, signature);
}

/* What mta has put there for an authority that asks by TLS (RFC 8737 §3). */
static enum rc prove_host(void *ctx, struct view host, uint8_t proof[32])
{
    const struct child *c = ctx;
    struct arena a;
    struct view answer;
    arena_init(&a, 4096);
    const char *name = arena_printf(&a, CHALLENGE_TLS "%.*s", VIEW_FMT(host));
    enum rc rc = name ? challenge_get(c->store, view_str(name), &a, &answer) : RC_TEMP;
    if (rc == RC_OK)
        rc = sha256(answer, proof);
    arena_clear(&a);
    return rc;
}

/* The first one is for clients that name no host: the host's own goes there, wherever it lay. */
static enum rc host_first(const char *hostname, struct arena *a, const char *const **chains)
{
    size_t n = 0, host = 0;
    while ((*chains)[n])
        n++;
    while (host < n && !acme_certificate_covers(view_str((*chains)[host]), hostname))
        host++;
    if (host == 0 || host == n)
        return RC_OK;
    const char **sorted = arena_new_array(a, n + 1, const char *);
    if (!sorted)
        return RC_TEMP;
    sorted[0] = (*chains)[host];
    for (size_t i = 0, to = 1; i < n; i++)
        if (i != host)
            sorted[to++] = (*chains)[i];
    sorted[n] = NULL;
    *chains = sorted;
    return RC_OK;
}

bool child_load_tls(struct child *c)
{
    struct arena a;
    const char *const *chains;
    struct tls_server *tls = NULL;
    const char *why = "the vault does not answer";

    arena_init(&a, 64 << 20);
    enum rc rc = vault_tls_chains(c->vault, &a, &chains);
    if (rc == RC_OK)
        rc = host_first(c->config->hostname, &a, &chains);
    if (rc == RC_OK && chains[0]) {
        pthread_mutex_lock(&c->tls_lock);
        const char *clients = c->config->tls.client_trust ? arena_cstr(&a, view_str(c->side.client_trust.p)) : NULL;
        pthread_mutex_unlock(&c->tls_lock);
        const struct tls_server_settings set = {.client_ca_pem = clients, .chain_pem = chains, .sign = sign, .sign_ctx = c->vault,
                                                .challenge = prove_host, .challenge_ctx = c};
        rc = tls_server_new(&set, &tls, &why);
    }
    arena_clear(&a);
    if (rc != RC_OK) {
        log_error("tls.failed", F_CSTR("reason", why));
        return false;
    }
    pthread_mutex_lock(&c->tls_lock);
    pool_set_tls(c->pool, tls);
    tls_server_free(c->tls);
    c->tls = tls;
    pthread_mutex_unlock(&c->tls_lock);
    return true;
}

/* Every change of ours goes to the other process. */
static void forward_bus(void *ctx, uint64_t account, uint64_t folder)
{
    const struct child *c = ctx;
    const struct poke p = {.kind = POKE_BUS, .account = account, .folder = folder};
    poke_send(c->start->bus, &p);
}

/* From here on as a user without rights, with these files and calls alone. One thread still. */
static bool confine(const struct child *c, unsigned calls)
{
    static const char *const readable[] = {"/etc/ssl", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf",
                                           "/etc/gai.conf", "/etc/services", "/etc/localtime", "/run/systemd/resolve", "/usr/lib",
                                           "/usr/share", "/lib", "/lib64", "/dev/null", "/dev/urandom",
                                           "/sys/devices/system/cpu"};
    enum { N = sizeof readable / sizeof *readable };
    struct confine_path paths[N + 2];
    size_t n = 0;

    for (size_t i = 0; i < N; i++)
        paths[n++] = (struct confine_path){readable[i], false};
    paths[n++] = (struct confine_path){c->config->data, true};
    if (c->config->dns.trust_anchor)
        paths[n++] = (struct confine_path){c->config->dns.trust_anchor, false};
    enum rc rc = confine_files(paths, n);
    if (rc == RC_OK || rc == RC_NOTFOUND) /* no Landlock in this kernel: it has logged that */
        rc = confine_calls(calls);
    if (rc != RC_OK)
        log_error("process.confine.failed", F_CSTR("reason", rc_name(rc)));
    return rc == RC_OK;
}

bool child_begin(struct child *c, struct start *start, const char *poke_socket, unsigned calls)
{
    int fds[CONFIG_FDS];
    size_t n = 0;
    struct arena a;
    const char *why = NULL;

    *c = (struct child){.tls_lock = PTHREAD_MUTEX_INITIALIZER, .start = start, .name = start->name, .config = start->config, .poke_fd = -1};
    arena_init(&a, 1 << 20);
    if (!side_files_open(c->config, fds, CONFIG_FDS, &n) || !side_files_read(c->config, fds, n, &c->side))
        return false;
    const char *user = start->users->root ? start->users->store.name : NULL;
    enum rc rc = confine_become(user);
    if (rc != RC_OK) {
        log_error("process.user.failed", F_CSTR("user", user), F_CSTR("reason", rc_name(rc)));
        return false;
    }
    if (vault_new(&c->vault) != RC_OK)
        return false;
    for (size_t i = 0; i < start->n_channels; i++)
        if (vault_add_channel(c->vault, start->channels[i]) != RC_OK)
            return false;
    if (poke_bind(c->config->data, poke_socket, &c->poke_fd) != RC_OK) /* the server works without: commands then wait */
        log_warn("poke.failed", F_CSTR("socket", poke_socket), F_CSTR("reason", strerror(errno)));
    charset_preload(); /* its files are out of reach afterwards */
    if (!confine(c, calls))
        return false;

    const struct store_settings set = {.data = c->config->data, .node = c->name, .keep_deleted_s = c->config->limits.keep_deleted / 1000};
    rc = store_open(&set, &a, &c->store, &why);
    if (rc != RC_OK) {
        log_error("store.failed", F_CSTR("data", c->config->data), F_CSTR("reason", why ? why : rc_name(rc)));
        arena_clear(&a);
        return false;
    }
    arena_clear(&a);
    bus_set_forward(c->store, forward_bus, c);
    const struct pool_settings pool = pool_settings_of(c->config);
    if (pool_new(&pool, &c->pool) != RC_OK) {
        log_error("pool.failed");
        return false;
    }
    return child_load_tls(c);
}

void child_close_pool(struct child *c)
{
    pool_free(c->pool);
    c->pool = NULL;
}

void child_end(struct child *c)
{
    tls_server_free(c->tls);
    store_close(c->store);
    vault_free(c->vault);
    side_files_clear(&c->side);
    if (c->poke_fd >= 0)
        close(c->poke_fd);
    config_free(c->config);
}

/* --- control channel --- */

static void tell_parent(const struct child *c, char what)
{
    fdpass_send(c->start->control, view_of(&what, 1), NULL, 0, deadline_in(5000));
}

/* Names of the registry of RFC 7301; other servers and we speak SMTP in clear where TLS cannot be agreed on. */
static const struct tls_offer *offer_of(enum config_service service)
{
    static const struct tls_offer smtp = {.protocols = "smtp", .optional = true}, submission = {.protocols = "smtp", .ask_certificate = true},
                                  imap = {.protocols = "imap"}, pop3 = {.protocols = "pop3"}, http = {.protocols = "http/1.1"};
    switch (service) {
    case SERVICE_SMTP: return &smtp;
    case SERVICE_SUBMISSION:
    case SERVICE_SUBMISSIONS: return &submission;
    case SERVICE_IMAP:
    case SERVICE_IMAPS: return &imap;
    case SERVICE_POP3:
    case SERVICE_POP3S: return &pop3;
    case SERVICE_HTTPS: return &http;
    default: return NULL;
    }
}

static bool listen_on(struct child *c, enum config_service service, int fd)
{
    const struct pool_service *s = c->ops->service(c->ctx, service);
    if (!s) {
        close(fd);
        return true;
    }
    struct pool_listener l = {.fd = fd, .service = s, .implicit_tls = config_service_is_tls(service), .offer = offer_of(service)};
    if (c->ops->listener)
        c->ops->listener(c->ctx, service, &l);
    if (pool_listen(c->pool, &l) == RC_OK)
        return true;
    log_error("listen.failed", F_CSTR("service", config_service_name(service)));
    return false;
}

/* The configuration as the parent read it, then the files beside it. */
static bool read_reload(struct child *c, const int *fds, size_t n, struct config **config, struct side_files *side)
{
    struct buf text, errors;
    bool ok = false;

    buf_init(&text, CONFIG_TEXT_MAX);
    buf_init(&errors, 65536);
    for (ssize_t got = n > 0; got > 0;) {
        char *room = buf_room(&text, 4096);
        got = room ? pread(fds[0], room, 4096, (off_t)text.n) : -1;
        if (got > 0)
            buf_grew(&text, (size_t)got);
    }
    if (n > 0)
        close(fds[0]);
    if (n > 0 && config_parse(c->config->file, buf_view(&text), config, &errors) == RC_OK) {
        ok = side_files_read(*config, fds + 1, n - 1, side);
        if (!ok)
            config_free(*config);
    } else {
        log_error("reload.failed", F_VIEW("reason", buf_view(&errors)));
        for (size_t i = 1; i < n; i++)
            close(fds[i]);
    }
    buf_clear(&text);
    buf_clear(&errors);
    return ok;
}

static void reload(struct child *c, const int *fds, size_t n)
{
    struct config *config;
    struct side_files side;

    if (!read_reload(c, fds, n, &config, &side))
        return;
    struct config *old = c->config;
    struct side_files old_side = c->side;
    pthread_mutex_lock(&c->tls_lock);
    c->config = config;
    c->side = side;
    pthread_mutex_unlock(&c->tls_lock);
    log_set_level(config->log_level);
    store_keep_deleted(c->store, config->limits.keep_deleted / 1000);
    child_load_tls(c); /* first: the vault that we speak to by now may not have the keys of the certificates before */
    const struct pool_settings pool = pool_settings_of(config);
    enum rc rc = pool_reload(c->pool, &pool);
    if (rc == RC_OK)
        rc = c->ops->reload(c->ctx, c);
    if (rc != RC_OK)
        log_error("reload.failed", F_CSTR("reason", rc_name(rc)));
    config_free(old);
    side_files_clear(&old_side);
    tell_parent(c, CONTROL_RELOADED);
}

/* False: drain. */
static bool handle_control(struct child *c)
{
    char msg[CONTROL_MAX];
    int fds[FDPASS_MAX_FDS];
    size_t n, n_fds = 0;

    if (fdpass_recv(c->start->control, msg, sizeof msg, &n, fds, FDPASS_MAX_FDS, &n_fds, deadline_in(5000)) != RC_OK)
        return false; /* the parent has gone */
    switch (msg[0]) {
    case CONTROL_VAULT:
        vault_retire_channels(c->vault);
        for (size_t i = 0; i < n_fds; i++)
            vault_add_channel(c->vault, fds[i]);
        return true;
    case CONTROL_LISTEN:
        if (n == 2 && n_fds == 1)
            listen_on(c, (enum config_service)msg[1], fds[0]);
        return true;
    case CONTROL_BUS:
        if (n_fds == 1) {
            dup3(fds[0], c->start->bus, O_CLOEXEC); /* in place: other threads send on it */
            close(fds[0]);
        }
        return true;
    case CONTROL_RELOAD: reload(c, fds, n_fds); return true;
    case CONTROL_SETTINGS: child_settings_answer(c, view_of(msg, n)); return true;
    default: return false;
    }
}

/* As if it had come to a listener of our own for submissions. */
static void adopt(struct child *c, int by, const struct poke_connection *connection)
{
    const struct pool_listener as = {
        .service = c->ops->service(c->ctx, SERVICE_SUBMISSIONS), .implicit_tls = true, .offer = offer_of(SERVICE_SUBMISSIONS)};
    if (as.service && by == c->start->bus) /* not from a command */
        pool_adopt(c->pool, connection->fd, &connection->peer, &connection->local, &as);
    else
        close(connection->fd);
}

static void handle_pokes(struct child *c, int fd)
{
    struct poke p;
    struct poke_connection connection;
    enum rc rc;
    while ((rc = poke_receive(fd, &p, &connection)) == RC_OK || rc == RC_SYNTAX) {
        if (connection.fd >= 0)
            adopt(c, fd, &connection);
        else if (rc == RC_OK && p.kind == POKE_BUS)
            bus_receive(c->store, p.account, p.folder);
        else if (rc == RC_OK && p.kind == POKE_ACCOUNT)
            bus_receive(c->store, p.account, 0); /* its sessions look, and find it gone */
        else if (rc == RC_OK && p.kind == POKE_TLS)
            child_load_tls(c);
        else if (rc == RC_OK && c->ops->poke)
            c->ops->poke(c->ctx, &p);
    }
}

static void serve_control(struct child *c)
{
    int64_t next_tick = deadline_in(CHILD_TICK_MS);
    for (;;) {
        struct pollfd p[] = {{.fd = c->start->control, .events = POLLIN},
                             {.fd = c->start->bus, .events = POLLIN},
                             {.fd = c->poke_fd, .events = POLLIN}};
        int n = poll(p, 3, deadline_poll(next_tick));
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0 && p[1].revents)
            handle_pokes(c, p[1].fd);
        if (n > 0 && p[2].revents)
            handle_pokes(c, p[2].fd);
        if (n > 0 && p[0].revents && !handle_control(c))
            return;
        if (clock_mono_ms() >= next_tick) {
            const struct logfile_settings log = process_logfile(c->config, c->start->users);
            logfile_follow(&log);
            if (c->ops->tick)
                c->ops->tick(c->ctx);
            next_tick = deadline_in(CHILD_TICK_MS);
        }
    }
}

int child_run(struct child *c, const struct child_ops *ops, void *ctx)
{
    bool ok = true;

    c->ops = ops;
    c->ctx = ctx;
    for (size_t i = 0; i < c->start->n_listeners; i++)
        ok &= listen_on(c, c->start->listeners[i].service, c->start->listeners[i].fd);
    if (ok) {
        tell_parent(c, CONTROL_READY);
        serve_control(c);
    }
    const int64_t deadline = deadline_in(DRAIN_MS);
    pool_drain(c->pool, deadline);
    if (ops->drain)
        ops->drain(ctx, deadline);
    return ok ? 0 : 1;
}
