/* net/pool: listeners, parked connections and workers.
 * One thread waits in epoll over listeners and all parked connections. A connection that speaks is given to a
 * worker, which runs its service's plain blocking code and parks it again. Ten thousand idle connections cost
 * ten thousand structs and no threads. Workers grow on demand up to a limit and end after idling. PROXY
 * protocol v1 and v2 are read from trusted peers, and required of them, before anything else. Signals are not
 * handled here. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "net/conn.h"

enum pool_why {
    POOL_INPUT,   /* the peer has sent something (or closed: the next read says so) */
    POOL_TIMEOUT, /* the time given to pool_park_until has passed */
    POOL_EVENT,   /* pool_wake was called */
    POOL_DRAIN,   /* the server is stopping: say goodbye, return POOL_CLOSE */
};
enum pool_next { POOL_PARK, POOL_CLOSE };

/* A protocol. All three run on a worker thread, one at a time for a connection. */
struct pool_service {
    const char *name; /* "smtp", "imaps": for the log and per-service counts */
    /* After accept (and the handshake for implicit TLS): make the session, greet. NULL session: refuse,
     * closed. */
    void *(*open)(void *ctx, struct conn *c);
    /* Run at least one command, and all that are already buffered (conn_has_input). Flush before returning.
     */
    enum pool_next (*serve)(void *session, enum pool_why why);
    /* Always called once after a session was made; the connection is still there, but may be dead. Not to
     * block. */
    void (*close)(void *session);
    void *ctx;
    /* POOL_INPUT as soon as a byte has come. Else, as fits protocols of lines, once a whole line waits (or
     * more than one can have, or the peer has gone): slow typing holds no worker. The timeout of the park
     * goes on meanwhile. */
    bool raw;
    /* One peer may speak for many (shared_from of the settings): HTTP behind a reverse proxy. */
    bool shared;
    /* Sent as it is before closing when the connection limits are hit: "421 4.7.0 Too many connections\r\n".
     */
    const char *busy_reply;
};

/* Who asks for this protocol by ALPN (RFC 7301) at a listener with implicit TLS does not get the listener's service but this one. */
struct pool_other {
    const char *protocol; /* one of the offer's */
    const struct pool_service *service; /* NULL, and no `hand`: the connection ends with the handshake (RFC 8737 §3) */
    /* Gives the connection, of which nothing but a PROXY header has been read, to whoever serves it: pool_adopt in another process.
     * Not to block; the descriptor stays the caller's. */
    enum rc (*hand)(void *ctx, int fd, const struct addr *peer, const struct addr *local);
    void *ctx;
};
struct pool_listener {
    int fd; /* bound and listening; owned by the pool from then on */
    const struct pool_service *service;
    bool implicit_tls;
    const struct tls_offer *offer;   /* NULL: none */
    const struct pool_other *others; /* both live as long as the pool */
    size_t n_others;
};

struct pool_settings {
    unsigned max_workers;              /* limits.workers */
    unsigned max_connections;          /* in all */
    unsigned max_per_address;          /* limits.connections-per-address (by addr_rate_key) */
    const struct addr_net *proxy_from; /* who may speak the PROXY protocol */
    size_t n_proxy_from;
    const struct addr_net *shared_from; /* max_per_address does not hold for these, at services that are shared */
    size_t n_shared_from;
    int64_t handshake_ms; /* deadline for PROXY header and for each TLS handshake */
    int64_t idle_ms;      /* parked longer without pool_park_until: POOL_TIMEOUT */
};

struct pool;
/* Starts the thread(s). The settings are copied. */
enum rc pool_new(const struct pool_settings *set, struct pool **out);
/* The listener ends with the pool, or when somebody who shares the socket calls shutdown(2) on it. */
enum rc pool_listen(struct pool *p, const struct pool_listener *l);
/* A connection that another process has accepted and handed over: limits, TLS at once, then the service. Owns fd. */
void pool_adopt(struct pool *p, int fd, const struct addr *peer, const struct addr *local, const struct pool_listener *as);
/* For new handshakes (implicit TLS and pool_tls); takes a reference. Also swaps limits at a reload. NULL: no
 * TLS. */
void pool_set_tls(struct pool *p, struct tls_server *t);
/* The current server context with a reference for the caller, or NULL. For STARTTLS. */
struct tls_server *pool_tls(struct pool *p);
enum rc pool_reload(struct pool *p, const struct pool_settings *set);
/* Stops accepting, gives every parked session POOL_DRAIN, waits for busy ones until the deadline, then cuts
 * them. */
void pool_drain(struct pool *p, int64_t deadline_ms);
void pool_free(struct pool *p); /* after pool_drain */

/* From inside a session: when to be called with POOL_TIMEOUT if nothing comes (absolute; for the next park
 * only). */
void pool_park_until(struct conn *c, int64_t deadline_ms);
/* From any thread, while the session is known to live (between its open and its close: the caller holds the
 * lock under which the session's close unregisters): run serve(POOL_EVENT) soon. Several calls may become
 * one. If the session is busy now, it is called right after it parks. Cheap, never blocks. */
void pool_wake(struct conn *c);
/* Asks the session's worker or parked session to end, e.g. when an account goes. As pool_wake. */
void pool_kick(struct conn *c);

struct pool_counts {
    unsigned connections, parked, workers, busy;
    uint64_t accepted, refused;
};
void pool_count(struct pool *p, struct pool_counts *out);

#endif
