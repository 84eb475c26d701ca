/* The access process: mailboxes by IMAP and POP3, policies and pages by HTTP. */
#include <stdlib.h>

#include "app/own_records.h"
#include "app/process.h"
#include "app/reading.h"
#include "app/settings_desk.h"
#include "app/signing.h"
#include "base/clock.h"
#include "imap/server.h"
#include "pop3/server.h"
#include "store/mailq.h"
#include "store/bus.h"
#include "sys/confine.h"
#include "web/web.h"

#define FORGET_TICKS 60 /* between two looks for sessions that have ended */

struct access {
    struct child child;
    unsigned ticks;
    struct imap_server *imap;
    struct pop3_server *pop3;
    struct pool_service pop3_plain, pop3_tls;
    struct web *web;
    struct desk *desk;
    struct signer *signer;
    struct http_server *http, *https;
    struct tls_offer https_offer;
    struct pool_other others[3]; /* at https by ALPN */
    size_t n_others;
};

static const struct pool_service *service_of(void *ctx, enum config_service service)
{
    struct access *m = ctx;
    switch (service) {
    case SERVICE_IMAP: return imap_server_service(m->imap, false);
    case SERVICE_IMAPS: return imap_server_service(m->imap, true);
    case SERVICE_POP3: return &m->pop3_plain;
    case SERVICE_POP3S: return &m->pop3_tls;
    case SERVICE_HTTP: return http_service(m->http);
    case SERVICE_HTTPS: return http_service(m->https);
    default: return NULL;
    }
}

/* Submission is mta's: it gets the connection before a byte of TLS was read. */
static enum rc hand_to_mta(void *ctx, int fd, const struct addr *peer, const struct addr *local)
{
    struct access *m = ctx;
    const struct poke_connection connection = {fd, *peer, *local};
    return poke_send_connection(m->child.start->bus, &connection);
}

/* Where a network lets nothing but HTTPS through: IMAP and submission at its port, for clients that ask by ALPN; when they
 * are served at ports of their own. And what an authority looks at for a certificate. */
static void find_others(struct access *m)
{
    const struct config *f = m->child.config;
    bool imap = false, submission = false;
    for (size_t i = 0; i < f->listen.n; i++) {
        imap |= f->listen.v[i].service == SERVICE_IMAP || f->listen.v[i].service == SERVICE_IMAPS;
        submission |= f->listen.v[i].service == SERVICE_SUBMISSION || f->listen.v[i].service == SERVICE_SUBMISSIONS;
    }
    m->https_offer.protocols = imap && submission ? "http/1.1,imap,smtp," TLS_ALPN_ACME
                               : imap             ? "http/1.1,imap," TLS_ALPN_ACME
                               : submission       ? "http/1.1,smtp," TLS_ALPN_ACME
                                                  : "http/1.1," TLS_ALPN_ACME;
    m->others[m->n_others++] = (struct pool_other){.protocol = TLS_ALPN_ACME};
    if (imap)
        m->others[m->n_others++] = (struct pool_other){.protocol = "imap", .service = imap_server_service(m->imap, true)};
    if (submission)
        m->others[m->n_others++] = (struct pool_other){.protocol = "smtp", .hand = hand_to_mta, .ctx = m};
}

static void add_others(void *ctx, enum config_service service, struct pool_listener *l)
{
    struct access *m = ctx;
    if (service != SERVICE_HTTPS)
        return;
    l->offer = &m->https_offer;
    l->others = m->others;
    l->n_others = m->n_others;
}

static struct imap_settings imap_settings_of(const struct child *c)
{
    return (struct imap_settings){
        .hostname = c->config->hostname, .sasl = child_sasl(c), .max_message = c->config->limits.message_size};
}

static void queue_changed(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_QUEUE};
    poke_send(c->start->bus, &p);
}

static void desk_changed(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_DESK};
    poke_send(c->start->bus, &p);
}

/* For people; NULL: none. The text lives as long as the configuration. */
static const char *update_server_of(struct child *c)
{
    static char text[ADDR_TEXT_MAX]; /* written by the one thread that reads configurations */
    if (c->config->dns_update.server.n == 0)
        return NULL;
    addr_write(&c->config->dns_update.server.v[0], text);
    return text;
}

static void health_asked(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_HEALTH};
    poke_send(c->start->bus, &p);
}

static void alerts_changed(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_ALERTS};
    poke_send(c->start->bus, &p);
}

#define WELL_KNOWN_MS 2000 /* so long an answer stands: who asks often costs nothing */

/* The store answers, and the vault. */
static bool is_well(void *child, const char **why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the three */
    static int64_t until_ms;
    static const char *reason;
    const struct child *c = child;
    struct mailq_counts counts;
    struct buf key;

    pthread_mutex_lock(&lock);
    if (clock_mono_ms() >= until_ms) {
        buf_init(&key, 4096);
        enum rc rc = vault_key_public(c->vault, VIEW("healthz"), TLS_KEY_SERVING, &key);
        reason = rc == RC_TEMP || rc == RC_CLOSED || rc == RC_TIMEOUT ? "The vault does not answer."
                 : mailq_count(c->store, &counts) != RC_OK           ? "The store does not answer."
                                                                     : NULL;
        buf_clear(&key);
        until_ms = deadline_in(WELL_KNOWN_MS);
    }
    *why = reason ? reason : "";
    pthread_mutex_unlock(&lock);
    return !*why[0];
}

/* Its sessions, here and by way of mta those that deliver, look and find it gone. */
static void account_gone(void *child, uint64_t account)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_ACCOUNT, .account = account};
    bus_receive(c->store, account, 0);
    poke_send(c->start->bus, &p);
}

static void keys_changed(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_KEYS};
    poke_send(c->start->bus, &p);
}

/* The arena holds what is made of the configuration, until web/ has copied it. */
static enum rc web_settings_of(struct child *c, struct signer *signer, struct arena *a, struct web_settings *out)
{
    struct web_settings set = {.hostname = c->config->hostname,
                               .store = c->store,
                               .queue_changed = queue_changed,
                               .update_server = update_server_of(c),
                               .health_asked = health_asked,
                               .alerts_changed = alerts_changed,
                               .is_well = is_well,
                               .account_gone = account_gone,
                               .keys_changed = keys_changed,
                               .desk_changed = desk_changed,
                               .app = c,
                               .config = &settings_desk,
                               .config_file = c->config->file,
                               .config_text = c->config->text,
                               .data = c->config->data,
                               .signer = signer,
                               .message_size = c->config->limits.message_size,
                               .metrics_from = c->config->web.metrics_from.v,
                               .n_metrics_from = c->config->web.metrics_from.n,
                               .sasl = child_sasl(c),
                               .proxies = c->config->web.proxies.v,
                               .n_proxies = c->config->web.proxies.n,
                               .terms = {c->config->web.idle / 1000, c->config->web.longest / 1000}};
    for (size_t i = 0; i < c->config->listen.n && set.https_port == 0; i++)
        if (c->config->listen.v[i].service == SERVICE_HTTPS)
            set.https_port = addr_port(&c->config->listen.v[i].addr);
    *out = set;
    if (own_tlsa(c->config, c->vault, &out->tlsa) != RC_OK)
        log_warn("tlsa.failed", F_CSTR("reason", "the vault did not tell the keys"));
    return own_records(c->config, a, &out->records);
}

static enum rc web_begin(struct access *m)
{
    struct web_settings set;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = m->desk ? reading_reload(m->desk, m->child.config, m->child.store)
                         : reading_desk(m->child.config, m->child.store, &m->desk);
    if (rc == RC_OK)
        rc = web_settings_of(&m->child, m->signer, &a, &set);
    set.desk = m->desk;
    if (rc == RC_OK)
        rc = m->web ? web_reload(m->web, &set) : web_new(&set, &m->web);
    arena_clear(&a);
    return rc;
}

static enum rc reload(void *ctx, struct child *c)
{
    struct access *m = ctx;
    const struct imap_settings imap = imap_settings_of(c);

    enum rc rc = imap_server_reload(m->imap, &imap); /* POP3 has no setting that a reload could change */
    return rc == RC_OK ? web_begin(m) : rc;
}

static void tick(void *ctx)
{
    struct access *m = ctx;
    const struct session_terms terms = {m->child.config->web.idle / 1000, m->child.config->web.longest / 1000};
    store_maintain(m->child.store, false);
    if (++m->ticks % FORGET_TICKS == 0)
        session_forget(m->child.store, &terms); /* they have ended by then: only their rows go */
}

static bool begin(struct access *m)
{
    const struct imap_settings imap = imap_settings_of(&m->child);
    const struct pop3_settings pop3 = {.sasl = child_sasl(&m->child), .pool = m->child.pool};

    if (imap_server_new(&imap, m->child.store, m->child.pool, &m->imap) != RC_OK)
        return false;
    if (!(m->pop3 = pop3_server_new(&pop3)))
        return false;
    if (signer_new(m->child.store, signing_by_vault, m->child.vault, &m->signer) != RC_OK)
        return false;
    if (web_begin(m) != RC_OK)
        return false;
    struct http_settings http = {.name = "http", .connections = m->child.config->limits.connections, .handle = web_handle, .body_max = web_body_max, .ctx = m->web};
    if (http_server_new(&http, &m->http) != RC_OK)
        return false;
    http.name = "https";
    http.is_tls = true;
    if (http_server_new(&http, &m->https) != RC_OK)
        return false;
    find_others(m);
    m->pop3_plain = pop3_service(m->pop3, "pop3");
    m->pop3_tls = pop3_service(m->pop3, "pop3s");
    return true;
}

int access_process(struct start *start)
{
    static const struct child_ops ops = {.service = service_of, .listener = add_others, .reload = reload, .tick = tick};
    struct access *m = calloc(1, sizeof *m);
    int status = 1;

    if (m && child_begin(&m->child, start, POKE_ACCESS_SOCKET, CONFINE_NET_SERVER | CONFINE_FILES) && begin(m)) {
        status = child_run(&m->child, &ops, m);
        child_close_pool(&m->child);
        http_server_free(m->http);
        http_server_free(m->https);
        web_free(m->web);
        desk_free(m->desk);
        signer_free(m->signer);
        pop3_server_free(m->pop3);
        imap_server_free(m->imap);
        child_end(&m->child);
    }
    free(m);
    return status;
}
