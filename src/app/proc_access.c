/* The access process: mailboxes by IMAP and POP3. */
#include <stdlib.h>

#include "app/process.h"
#include "imap/server.h"
#include "pop3/server.h"
#include "sys/confine.h"

struct access {
    struct child child;
    struct imap_server *imap;
    struct pop3_server *pop3;
    struct pool_service pop3_plain, pop3_tls;
};

static const struct pool_service *service_of(void *ctx, enum config_service service)
{
    struct access *m = ctx;
    switch (service) {
    case SERVICE_IMAP: return imap_server_service(m->imap, false);
    case SERVICE_IMAPS: return imap_server_service(m->imap, true);
    case SERVICE_POP3: return &m->pop3_plain;
    case SERVICE_POP3S: return &m->pop3_tls;
    default: return NULL;
    }
}

static struct imap_settings imap_settings_of(const struct child *c)
{
    return (struct imap_settings){
        .hostname = c->config->hostname, .sasl = child_sasl(c), .max_message = c->config->limits.message_size};
}

static enum rc reload(void *ctx, struct child *c)
{
    struct access *m = ctx;
    const struct imap_settings imap = imap_settings_of(c);

    return imap_server_reload(m->imap, &imap); /* POP3 has no setting that a reload could change */
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
        pop3_server_free(m->pop3);
        imap_server_free(m->imap);
        child_end(&m->child);
    }
    free(m);
    return status;
}
