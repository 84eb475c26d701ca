/* How connections come into the pool: accept, limits, PROXY header, handshake. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "net/hello.h"
#include "net/pool_impl.h"
#include "net/proxy.h"
#include "sys/board.h"

#define ACCEPT_AT_ONCE 64  /* then those that are connected already get their turn */
#define PAUSE_MS       200 /* without descriptors, accept would fail in a busy loop */

enum rc pool_listen(struct pool *p, const struct pool_listener *l)
{
    int flags = fcntl(l->fd, F_GETFL);
    enum rc rc = RC_TEMP;

    pthread_mutex_lock(&p->lock);
    size_t at = 0;
    while (at < p->n_listeners && p->listeners[at].l.fd >= 0)
        at++;
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = EPOLL_LISTENER | at};
    if (at == POOL_LISTENERS_MAX || p->draining) {
        rc = RC_LIMIT;
        goto done;
    }
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        goto done;
    /* Accepted sockets inherit both. Keepalive finds peers that have vanished, as idle ones say nothing for
     * hours. */
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, l->fd, &e) < 0)
        goto done;
    p->listeners[at] = (struct listener){.l = *l}; /* the epoll thread looks at it under the lock */
    if (at == p->n_listeners)
        p->n_listeners++;
    rc = RC_OK;
done:
    pthread_mutex_unlock(&p->lock);
    if (rc != RC_OK)
        close(l->fd);
    return rc;
}

static void pause_listener(struct pool *p, struct listener *l, int err)
{
    struct epoll_event e = {.events = 0, .data.u64 = EPOLL_LISTENER | (uint64_t)(l - p->listeners)};
    log_warn("pool.accept.paused", F_CSTR("service", l->l.service->name),
             F_CSTR("reason", strerrordesc_np(err)));
    pthread_mutex_lock(&p->lock);
    if (epoll_ctl(p->epoll, EPOLL_CTL_MOD, l->l.fd, &e) == 0)
        l->resume = deadline_in(PAUSE_MS);
    pthread_mutex_unlock(&p->lock);
}

/* Its place can be taken by another. */
static void retire_listener(struct pool *p, struct listener *l)
{
    pthread_mutex_lock(&p->lock);
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, l->l.fd, NULL);
    close(l->l.fd);
    *l = (struct listener){.l.fd = -1};
    pthread_mutex_unlock(&p->lock);
}

int64_t pool_resume(struct pool *p, int64_t now)
{
    int64_t next = NO_DEADLINE;
    for (size_t i = 0; i < p->n_listeners; i++) {
        struct listener *l = &p->listeners[i];
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = EPOLL_LISTENER | i};
        if (l->l.fd < 0 || l->resume == 0)
            continue;
        if (l->resume <= now && epoll_ctl(p->epoll, EPOLL_CTL_MOD, l->l.fd, &e) == 0)
            l->resume = 0;
        else if (l->resume <= now)
            l->resume = now + PAUSE_MS;
        if (l->resume > 0 && l->resume < next)
            next = l->resume;
    }
    return next;
}

/* Not a line each: a flood must not fill the log. */
static void note_refused(struct pool *p, struct conn *c, const char *reason)
{
    int64_t now = clock_mono_ms();
    p->refused++;
    board_count(BOARD_TURNED_AWAY, c->pool.service->name);
    board_count(BOARD_REFUSED, "connection");
    if (p->refused_logged != 0 && now - p->refused_logged < 1000)
        return;
    p->refused_logged = now;
    log_info("pool.refused", F_ID("sid", c->id), F_CSTR("service", c->pool.service->name),
             F_CSTR("peer", c->peer_text), F_CSTR("reason", reason), F_INT("refused", p->refused));
}

/* Says it is busy, without waiting, where plain text can be said. */
static void say_busy(struct conn *c)
{
    const char *text = c->pool.service->busy_reply;
    if (text && !c->pool.implicit_tls)
        (void)!send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Makes it one of the pool's; the lock is held. Else: why not. */
static const char *admit(struct pool *p, struct conn *c, bool proxy)
{
    if (p->draining)
        return "the server stops";
    if (p->connections >= p->set.max_connections)
        return "too many connections";
    const bool shared = c->pool.service->shared && addr_in_nets(&c->peer, p->set.shared_from, p->set.n_shared_from);
    if (!proxy && !shared) { /* a proxy's own address does not count, those it speaks for do */
        if (limit_add(&p->limits, &c->peer, p->set.max_per_address) != RC_OK)
            return "too many connections from this address";
        c->pool.counted = true;
    }
    if (pool_enter(p, c) != RC_OK) {
        if (c->pool.counted)
            limit_drop(&p->limits, &c->peer);
        return "out of memory";
    }
    return NULL;
}

/* A listener that hands some connections on has to see what they want before it speaks. */
static int first_phase(const struct conn *c)
{
    if (!c->pool.implicit_tls)
        return PHASE_OPEN;
    for (size_t i = 0; i < c->pool.n_others; i++)
        if (c->pool.others[i].hand)
            return PHASE_HELLO;
    return PHASE_TLS;
}

/* `own`: accepted here. */
static void begin(struct pool *p, const struct pool_listener *l, struct conn *c, bool own)
{
    const char *refused;

    c->pool.pool = p;
    c->pool.service = l->service;
    c->pool.implicit_tls = l->implicit_tls;
    c->pool.others = l->others;
    c->pool.n_others = l->n_others;
    c->offer = l->offer;
    pthread_mutex_lock(&p->lock);
    bool proxy = own && addr_in_nets(&c->peer, p->set.proxy_from, p->set.n_proxy_from);
    c->pool.phase = proxy ? PHASE_PROXY : (uint8_t)first_phase(c);
    c->deadline = deadline_in(p->set.handshake_ms);
    p->accepted++;
    board_count(BOARD_CONNECTIONS, c->pool.service->name);
    refused = admit(p, c, proxy);
    if (!refused && c->pool.phase == PHASE_OPEN) {
        pool_queue(p, c);
    } else if (!refused && pool_park(p, c, c->deadline) != RC_OK) {
        pool_leave(p, c);
        refused = "out of memory";
    }
    if (refused)
        note_refused(p, c, refused);
    pthread_mutex_unlock(&p->lock);
    if (refused) {
        say_busy(c);
        conn_free(c);
    }
}

void pool_accept(struct pool *p, struct listener *l)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct addr peer = {.len = sizeof peer.ss}, local = {.len = sizeof local.ss};
        int fd = accept4(l->l.fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_listener(p, l, errno);
            if (errno == EINVAL) /* shut down by whoever shares it: a reload took it away */
                retire_listener(p, l);
            if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
                continue;
            return;
        }
        if (getsockname(fd, (struct sockaddr *)&local.ss, &local.len) < 0)
            local.len = 0;
        struct conn *c = conn_make(fd, &peer, &local);
        if (c)
            begin(p, &l->l, c, true);
    }
}

void pool_adopt(struct pool *p, int fd, const struct addr *peer, const struct addr *local, const struct pool_listener *as)
{
    struct conn *c = conn_make(fd, peer, local);
    if (c)
        begin(p, as, c, false);
}

/* --- on a worker --- */

/* Takes the header and not a byte more: what follows may be a TLS handshake. */
static enum rc read_proxy(struct conn *c, struct proxy_header *out)
{
    char header[PROXY_MAX];
    size_t n = 0, used;
    for (;;) {
        ssize_t got = recv(c->fd, header + n, sizeof header - n, MSG_PEEK);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            enum rc rc = conn_wait(c, POLLIN);
            if (rc != RC_OK)
                return rc;
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return RC_CLOSED;
        enum proxy_state state = proxy_parse(view_of(header, n + (size_t)got), out, &used);
        size_t take = state == PROXY_DONE ? used - n : (size_t)got;
        if (state == PROXY_BAD || recv(c->fd, header + n, take, 0) != (ssize_t)take)
            return RC_SYNTAX;
        if (state == PROXY_DONE)
            return RC_OK;
        n += take;
        if (n == sizeof header)
            return RC_LIMIT;
    }
}

static enum rc take_proxy(struct pool *p, struct conn *c)
{
    struct proxy_header h;
    enum rc rc = read_proxy(c, &h);

    if (rc != RC_OK) {
        log_info("pool.proxy.failed", F_ID("sid", c->id), F_CSTR("peer", c->peer_text),
                 F_CSTR("reason", rc_name(rc)));
        return rc == RC_TEMP ? RC_CLOSED : rc;
    }
    if (!h.known)
        return RC_OK;
    conn_set_peer(c, &h.from);
    c->local = h.to;
    addr_unmap(&c->local);
    pthread_mutex_lock(&p->lock);
    rc = limit_add(&p->limits, &c->peer, p->set.max_per_address);
    c->pool.counted = rc == RC_OK;
    if (rc != RC_OK)
        note_refused(p, c, "too many connections from this address");
    pthread_mutex_unlock(&p->lock);
    if (rc != RC_OK)
        say_busy(c);
    return rc == RC_OK ? RC_OK : RC_DENIED;
}

static const struct pool_other *find_other(const struct conn *c, struct view protocol)
{
    for (size_t i = 0; i < c->pool.n_others; i++)
        if (view_eq(protocol, view_str(c->pool.others[i].protocol)))
            return &c->pool.others[i];
    return NULL;
}

/* The connection is not spoken to before more than n bytes wait: what was only looked at would wake us at once. */
static void wait_beyond(const struct conn *c, size_t n)
{
    setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &(int){(int)n + 1}, sizeof(int));
}

/* Looks at the ClientHello, without taking it. RC_CLOSED: it was handed on, or has gone. */
static enum rc look_at_hello(struct conn *c)
{
    char bytes[HELLO_MAX], room[HELLO_MAX];
    struct hello hello;
    struct view one;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return RC_TEMP;
    if (n <= 0)
        return RC_CLOSED;
    enum rc rc = hello_read(view_of(bytes, (size_t)n), room, &hello);
    struct pollfd gone = {.fd = c->fd, .events = POLLRDHUP};
    if (rc == RC_TEMP && poll(&gone, 1, 0) > 0)
        return RC_CLOSED; /* no more will come */
    if (rc == RC_TEMP) {
        wait_beyond(c, (size_t)n);
        return RC_TEMP;
    }
    wait_beyond(c, 0);
    while (rc == RC_OK && hello_protocol(&hello.protocols, &one)) {
        const struct pool_other *o = find_other(c, one);
        if (!o)
            continue;
        if (!o->hand)
            return RC_OK;
        rc = o->hand(o->ctx, c->fd, &c->peer, &c->local);
        c->handed = rc == RC_OK;
        if (rc != RC_OK)
            log_warn("pool.hand.failed", F_ID("sid", c->id), F_CSTR("peer", c->peer_text), F_CSTR("protocol", o->protocol),
                     F_CSTR("reason", rc_name(rc)));
        return RC_CLOSED;
    }
    return RC_OK; /* a handshake will say what is wrong with it */
}

/* The service that was asked for by ALPN. RC_CLOSED: none. */
static enum rc choose_service(struct conn *c)
{
    const struct pool_other *o = find_other(c, view_str(c->alpn));
    if (!o)
        return RC_OK;
    c->pool.service = o->service;
    return o->service ? RC_OK : RC_CLOSED;
}

enum rc pool_prepare(struct pool *p, struct conn *c)
{
    enum rc rc;
    if (c->pool.phase == PHASE_PROXY) {
        rc = take_proxy(p, c);
        if (rc != RC_OK || !c->pool.implicit_tls)
            return rc;
        c->pool.phase = (uint8_t)first_phase(c);
    }
    if (c->pool.phase == PHASE_HELLO) {
        rc = look_at_hello(c);
        if (rc != RC_OK)
            return rc;
        c->pool.phase = PHASE_TLS;
    }
    struct tls_server *t = pool_tls(p);
    if (!t) {
        log_warn("pool.tls.none", F_ID("sid", c->id), F_CSTR("service", c->pool.service->name));
        return RC_DENIED;
    }
    rc = conn_tls_step(c, t);
    tls_server_free(t);
    return rc == RC_OK ? choose_service(c) : rc;
}
