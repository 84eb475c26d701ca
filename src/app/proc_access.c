/* The access process: mailboxes by POP3. */
#include <stdlib.h>

#include "app/process.h"
#include "pop3/server.h"
#include "sys/confine.h"

struct access {
    struct child child;
    struct pop3_server *pop3;
    struct pool_service pop3_plain, pop3_tls;
};

static const struct pool_service *service_of(void *ctx, enum config_service service)
{
    struct access *m = ctx;
    switch (service) {
    case SERVICE_POP3: return &m->pop3_plain;
    case SERVICE_POP3S: return &m->pop3_tls;
    default: return NULL;
    }
}

static enum rc reload(void *ctx, struct child *c)
{
    (void)ctx, (void)c; /* POP3 has no setting that a reload could change */
    return RC_OK;
}

static bool begin(struct access *m)
{
    const struct pop3_settings pop3 = {.sasl = child_sasl(&m->child), .pool = m->child.pool};

    if (!(m->pop3 = pop3_server_new(&pop3)))
        return false;
    m->pop3_plain = pop3_service(m->pop3, "pop3");
    m->pop3_tls = pop3_service(m->pop3, "pop3s");
    return true;
}

int access_process(struct start *start)
{
    static const struct child_ops ops = {.service = service_of, .reload = reload};
    struct access *m = calloc(1, sizeof *m);
    int status = 1;

    if (m && child_begin(&m->child, start, POKE_ACCESS_SOCKET, CONFINE_NET_SERVER | CONFINE_FILES) && begin(m)) {
        status = child_run(&m->child, &ops, m);
        child_close_pool(&m->child);
        pop3_server_free(m->pop3);
        child_end(&m->child);
    }
    free(m);
    return status;
}
