#include "imap/server.h"

#include <pthread.h>
#include <stdlib.h>

#include "imap/session.h"

#define DEFAULT_MESSAGE (50ull << 20)

static enum rc snapshot_new(const struct imap_settings *set, struct imap_snapshot **out)
{
    struct imap_snapshot *n = calloc(1, sizeof *n);

    if (!n)
        return RC_TEMP;
    n->refs = 1;
    n->set = *set;
    if (view_cstr(view_str(set->hostname), n->hostname, sizeof n->hostname) != RC_OK) {
        free(n);
        return RC_LIMIT;
    }
    n->set.hostname = n->hostname;
    n->set.max_message = set->max_message ? set->max_message : DEFAULT_MESSAGE;
    n->set.login_ms = set->login_ms ? set->login_ms : 2 * 60 * 1000;
    n->set.idle_ms = set->idle_ms ? set->idle_ms : 30 * 60 * 1000;
    n->set.command_ms = set->command_ms ? set->command_ms : 60 * 1000;
    *out = n;
    return RC_OK;
}

/* Under srv->lock, or where no other thread can know it. */
static void snapshot_unref(struct imap_snapshot *n)
{
    if (n && --n->refs == 0)
        free(n);
}

static void *session_open(void *ctx, struct conn *c)
{
    struct imap_server *srv = ctx;
    struct imap_session *s;

    pthread_mutex_lock(&srv->lock);
    struct imap_snapshot *n = srv->snapshot;
    n->refs++;
    pthread_mutex_unlock(&srv->lock);
    s = imap_session_new(srv, n, c);
    if (!s) {
        pthread_mutex_lock(&srv->lock);
        snapshot_unref(n);
        pthread_mutex_unlock(&srv->lock);
    }
    return s;
}

static enum pool_next session_serve(void *session, enum pool_why why)
{
    return imap_session_serve(session, why);
}

static void session_close(void *session)
{
    struct imap_session *s = session;
    struct imap_server *srv = s->server;
    struct imap_snapshot *n = s->snapshot;

    imap_session_free(s);
    pthread_mutex_lock(&srv->lock);
    snapshot_unref(n);
    pthread_mutex_unlock(&srv->lock);
}

enum rc imap_server_new(const struct imap_settings *set, struct store *store, struct pool *pool, struct imap_server **out)
{
    struct imap_server *srv = calloc(1, sizeof *srv);
    enum rc rc;

    if (!srv)
        return RC_TEMP;
    rc = snapshot_new(set, &srv->snapshot);
    if (rc == RC_OK)
        rc = imap_table_new(store, &srv->table);
    if (rc != RC_OK) {
        snapshot_unref(srv->snapshot);
        free(srv);
        return rc;
    }
    srv->store = store;
    srv->pool = pool;
    pthread_mutex_init(&srv->lock, NULL);
    srv->plain = (struct pool_service){.name = "imap", .open = session_open, .serve = session_serve, .close = session_close,
                                       .ctx = srv, .busy_reply = "* BYE [UNAVAILABLE] Too many connections\r\n"};
    srv->tls = srv->plain;
    srv->tls.name = "imaps";
    *out = srv;
    return RC_OK;
}

enum rc imap_server_reload(struct imap_server *srv, const struct imap_settings *set)
{
    struct imap_snapshot *n;
    enum rc rc = snapshot_new(set, &n);

    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&srv->lock);
    snapshot_unref(srv->snapshot);
    srv->snapshot = n;
    pthread_mutex_unlock(&srv->lock);
    return RC_OK;
}

const struct pool_service *imap_server_service(struct imap_server *srv, bool implicit_tls)
{
    return implicit_tls ? &srv->tls : &srv->plain;
}

void imap_server_free(struct imap_server *srv)
{
    if (!srv)
        return;
    imap_table_free(srv->table);
    snapshot_unref(srv->snapshot);
    pthread_mutex_destroy(&srv->lock);
    free(srv);
}
