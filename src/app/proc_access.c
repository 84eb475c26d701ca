/* The access process: mailboxes by IMAP and POP3, policies and pages by HTTP. */
#include <stdlib.h>

#include "app/process.h"
#include "imap/server.h"
#include "pop3/server.h"
#include "sys/confine.h"
#include "web/web.h"

struct access {
    struct child child;
    struct imap_server *imap;
    struct pop3_server *pop3;
    struct pool_service pop3_plain, pop3_tls;
    struct web *web;
    struct http_server *http, *https;
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

static void health_asked(void *child)
{
    const struct child *c = child;
    const struct poke p = {.kind = POKE_HEALTH};
    poke_send(c->start->bus, &p);
}

static struct web_settings web_settings_of(struct child *c)
{
    struct web_settings set = {.hostname = c->config->hostname,
                               .store = c->store,
                               .queue_changed = queue_changed,
                               .health_asked = health_asked,
                               .app = c};
    for (size_t i = 0; i < c->config->listen.n && set.https_port == 0; i++)
        if (c->config->listen.v[i].service == SERVICE_HTTPS)
            set.https_port = addr_port(&c->config->listen.v[i].addr);
    return set;
}

static enum rc reload(void *ctx, struct child *c)
{
    struct access *m = ctx;
    const struct imap_settings imap = imap_settings_of(c);
    const struct web_settings web = web_settings_of(c);

    enum rc rc = imap_server_reload(m->imap, &imap); /* POP3 has no setting that a reload could change */
    return rc == RC_OK ? web_reload(m->web, &web) : rc;
}

static void tick(void *ctx)
{
    struct access *m = ctx;
    store_maintain(m->child.store, false);
}

static bool begin(struct access *m)
{
    const struct imap_settings imap = imap_settings_of(&m->child);
    const struct pop3_settings pop3 = {.sasl = child_sasl(&m->child), .pool = m->child.pool};

    if (imap_server_new(&imap, m->child.store, m->child.pool, &m->imap) != RC_OK)
        return false;
    if (!(m->pop3 = pop3_server_new(&pop3)))
        return false;
    const struct web_settings web = web_settings_of(&m->child);
    if (web_new(&web, &m->web) != RC_OK)
        return false;
    struct http_settings http = {.name = "http", .connections = m->child.config->limits.connections, .handle = web_handle, .ctx = m->web};
    if (http_server_new(&http, &m->http) != RC_OK)
        return false;
    http.name = "https";
    http.is_tls = true;
    if (http_server_new(&http, &m->https) != RC_OK)
        return false;
    m->pop3_plain = pop3_service(m->pop3, "pop3");
    m->pop3_tls = pop3_service(m->pop3, "pop3s");
    return true;
}

int access_process(struct start *start)
{
    static const struct child_ops ops = {.service = service_of, .reload = reload, .tick = tick};
    struct access *m = calloc(1, sizeof *m);
    int status = 1;

    if (m && child_begin(&m->child, start, POKE_ACCESS_SOCKET, CONFINE_NET_SERVER | CONFINE_FILES) && begin(m)) {
        status = child_run(&m->child, &ops, m);
        child_close_pool(&m->child);
        http_server_free(m->http);
        http_server_free(m->https);
        web_free(m->web);
        pop3_server_free(m->pop3);
        imap_server_free(m->imap);
        child_end(&m->child);
    }
    free(m);
    return status;
}
