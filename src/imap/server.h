/* imap/server: IMAP4rev1 (RFC 3501) and its extensions for net/pool: make one server, give its services to the pool.
 * Each session runs its commands on worker threads; between them it is one small struct (see session.h).
 * Extensions: see capability.h. Limits: here and in session.h. */
#ifndef IMAP_SERVER_H
#define IMAP_SERVER_H

#include "login/sasl.h"
#include "net/pool.h"
#include "store/store.h"

struct imap_settings {
    const char *hostname;        /* in the greeting; copied */
    struct sasl_settings sasl;   /* its plain_without_tls goes for LOGIN also */
    uint64_t max_message;        /* limits.message-size: an APPENDed message; 0: 50 MiB */
    int64_t login_ms;            /* from connecting to being logged in; 0: 2 minutes */
    int64_t idle_ms;             /* autologout; 0: 30 minutes, the least that RFC 3501 §5.4 allows */
    int64_t command_ms;          /* for a command to arrive, and an answer to be taken, at 1 KiB/s; 0: 1 minute */
};

struct imap_server;
/* The settings are copied; store, vault and pool outlive the server. */
enum rc imap_server_new(const struct imap_settings *set, struct store *store, struct pool *pool, struct imap_server **out);
/* For sessions that begin from now on. */
enum rc imap_server_reload(struct imap_server *srv, const struct imap_settings *set);
/* Valid as long as the server. The same for plain connections with STARTTLS and for implicit TLS. */
const struct pool_service *imap_server_service(struct imap_server *srv, bool implicit_tls);
/* After the pool has been drained and freed. Accepts NULL. */
void imap_server_free(struct imap_server *srv);

#endif
