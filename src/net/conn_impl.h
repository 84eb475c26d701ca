/* net/conn_impl: the inside of a connection, shared by conn.c and pool.c only. */
#ifndef NET_CONN_IMPL_H
#define NET_CONN_IMPL_H

#include <openssl/ssl.h>

#include "net/conn.h"
#include "net/pool.h"

/* What the pool keeps of a connection. Guarded by the pool's lock, but for what only the worker that has it
 * uses. */
struct pool_part {
    struct pool *pool; /* NULL: not in a pool */
    const struct pool_service *service;
    const struct pool_other *others; /* of its listener */
    size_t n_others;
    struct conn *next;  /* in the queue */
    void *session;      /* the worker's */
    int64_t until;      /* parked: when it times out; queued: since when */
    int64_t park_until; /* the worker's: the end of this park, or 0 where the session has not said */
    int64_t idle_ms;    /* the worker's: of the settings when it began */
    uint32_t slot, generation;
    uint32_t heap_at; /* its place among the timeouts */
    uint8_t state, phase, flags;
    unsigned place; /* on the board of sessions; 0: none */
    bool in_epoll, counted, implicit_tls;
};

struct conn {
    int fd;
    enum rc fail; /* the first failure; nothing works afterwards */
    SSL *ssl;
    const struct tls_offer *offer; /* NULL: none */
    struct tls_server *tls; /* during a server's handshake: its callbacks need the context */
    uint64_t id;

    char *in;  /* while something waits in it: CONN_BUF + 2 bytes, parked just what is there; else NULL */
    char *out; /* CONN_BUF bytes, likewise */
    uint32_t in_size;
    uint32_t in_at, in_n; /* unread: in[in_at .. in_at + in_n) */
    uint32_t shown;       /* of in_n, by the last conn_fill */
    uint32_t scanned;     /* of in_n, found to hold no CRLF */
    uint32_t out_n;

    int64_t deadline;
    int64_t rate_start, rate_end; /* conn_progress; rate_bytes_per_s 0: off */
    uint64_t rate_done, rate_bytes_per_s;

    struct pool_part pool;
    struct addr peer, local;
    char peer_text[ADDR_TEXT_MAX];
    char alpn[16];
    bool handed;    /* another process has it now: what waits to be read is theirs */
    bool tls_named; /* client side: a name was to be checked */
};

/* Owns the non-blocking fd. NULL: no memory, fd is closed. */
struct conn *conn_make(int fd, const struct addr *peer, const struct addr *local);
void conn_set_peer(struct conn *c, const struct addr *peer);
/* One try of the server's handshake, which does not wait for the peer. RC_TEMP: more bytes must come first.
 */
enum rc conn_tls_step(struct conn *c, struct tls_server *t);
/* Reads what is there, without waiting. False: not a whole line yet (raw: nothing), and the socket is empty.
 */
bool conn_pull(struct conn *c, bool raw);
/* conn_has_input; raw: anything at all waits. */
bool conn_has_more(struct conn *c, bool raw);
/* Gives unused buffers back. */
void conn_rest(struct conn *c);
/* Waits until the socket has this poll(2) event, within the deadline. */
enum rc conn_wait(struct conn *c, short events);
/* The TLS side of one try to read or write: RC_OK with *done > 0, RC_TEMP with the event to wait for,
 * RC_CLOSED. */
enum rc conn_tls_read(struct conn *c, char *p, size_t n, size_t *done, short *events);
enum rc conn_tls_write(struct conn *c, struct view v, size_t *done, short *events);
/* close_notify, if all is well, and frees. */
void conn_tls_end(struct conn *c);

#endif
