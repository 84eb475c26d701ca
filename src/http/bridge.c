/* Bytes between a connection of net/ and libmicrohttpd's end of a socket pair. Requests come when the connection speaks, on a
 * worker; for responses one thread waits in epoll over our ends of all pairs and has the pool call the session. */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_impl.h"
#include "sys/thread.h"

#define SLOTS_FIRST 64
#define PIECE       16384
#define RATE        1024    /* bytes a second that a client must take or give */
#define LONGEST_MS  3600000 /* for one response */
#define STOP_EVENT  UINT64_MAX
#define LATE_EVENT  (UINT64_MAX - 1)

struct bridge {
    struct http_server *s;
    struct conn *c;
    int fd; /* our end, not blocking */
    uint32_t slot;
};

/* --- slots: so that an event for a session that has gone finds nobody --- */

static bool take_slot(struct http_server *s, struct bridge *b)
{
    if (s->free_slot == s->n_slots) {
        uint32_t n = s->n_slots > 0 ? s->n_slots * 2 : SLOTS_FIRST;
        struct bridge_slot *slots = realloc(s->slots, n * sizeof *slots);
        if (!slots)
            return false;
        for (uint32_t i = s->n_slots; i < n; i++)
            slots[i] = (struct bridge_slot){.next_free = i + 1};
        s->slots = slots;
        s->n_slots = n;
    }
    b->slot = s->free_slot;
    s->free_slot = s->slots[b->slot].next_free;
    s->slots[b->slot].b = b;
    s->slots[b->slot].generation++;
    return true;
}

static void give_slot(struct http_server *s, struct bridge *b)
{
    s->slots[b->slot].b = NULL;
    s->slots[b->slot].next_free = s->free_slot;
    s->free_slot = b->slot;
}

/* Tells once when libmicrohttpd has written; armed again after what it wrote was read. */
static bool watch(struct bridge *b, int how)
{
    struct http_server *s = b->s;
    pthread_mutex_lock(&s->lock);
    uint64_t id = (uint64_t)s->slots[b->slot].generation << 32 | b->slot;
    pthread_mutex_unlock(&s->lock);
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.u64 = id};
    return epoll_ctl(s->epoll, how, b->fd, &e) == 0;
}

static void wake(struct http_server *s, uint64_t id)
{
    uint32_t slot = (uint32_t)id, generation = (uint32_t)(id >> 32);
    pthread_mutex_lock(&s->lock);
    if (slot < s->n_slots && s->slots[slot].b && s->slots[slot].generation == generation)
        pool_wake(s->slots[slot].b->c);
    pthread_mutex_unlock(&s->lock);
}

static void run(void *arg)
{
    struct http_server *s = arg;
    struct epoll_event events[64];
    for (;;) {
        int n = epoll_wait(s->epoll, events, 64, http_send_late(s, false));
        if (n < 0 && errno != EINTR)
            return; /* cannot be: the descriptor is ours */
        for (int i = 0; i < n; i++) {
            uint64_t one;
            if (events[i].data.u64 == STOP_EVENT)
                return;
            if (events[i].data.u64 != LATE_EVENT)
                wake(s, events[i].data.u64);
            else if (read(s->late_event, &one, sizeof one) < 0) /* another response waits: how long is asked above */
                continue;
        }
    }
}

/* --- the session --- */

static void *open_bridge(void *ctx, struct conn *c)
{
    struct http_server *s = ctx;
    int pair[2];
    struct bridge *b = calloc(1, sizeof *b);

    if (!b || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        free(b);
        return NULL;
    }
    *b = (struct bridge){.s = s, .c = c, .fd = pair[0]};
    pthread_mutex_lock(&s->lock);
    bool ok = take_slot(s, b);
    pthread_mutex_unlock(&s->lock);
    if (!ok) {
        close(pair[0]);
        close(pair[1]);
        free(b);
        return NULL;
    }
    const struct addr *peer = conn_peer(c);
    struct sockaddr_storage ss = peer->ss;
    /* Owns pair[1] from here on, also when it refuses. */
    if (MHD_add_connection(s->daemon, pair[1], (struct sockaddr *)&ss, peer->len) != MHD_YES || !watch(b, EPOLL_CTL_ADD)) {
        s->service.close(b);
        return NULL;
    }
    return b;
}

/* What libmicrohttpd has written goes to the client. RC_CLOSED: it has ended the connection, or the client has. */
static enum rc carry_out(struct bridge *b)
{
    char piece[PIECE];
    conn_progress(b->c, HTTP_SEND_MS, RATE, LONGEST_MS);
    for (;;) {
        ssize_t n = read(b->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return conn_flush(b->c);
        if (n <= 0) {
            conn_flush(b->c); /* what it said before it closed */
            return RC_CLOSED;
        }
        conn_write(b->c, view_of(piece, (size_t)n));
    }
}

/* What the client has sent goes to libmicrohttpd. While that takes no more, its answers are read. */
static enum rc carry_in(struct bridge *b)
{
    struct view in;
    conn_deadline(b->c, deadline_in(HTTP_SEND_MS));
    enum rc rc = conn_fill(b->c, &in);
    int64_t deadline = deadline_in(HTTP_SEND_MS);
    while (rc == RC_OK && in.n > 0) {
        ssize_t n = send(b->fd, in.p, in.n, MSG_NOSIGNAL);
        if (n > 0) {
            conn_eat(b->c, (size_t)n);
            in = view_from(in, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = b->fd, .events = POLLIN | POLLOUT};
            int ready = poll(&p, 1, deadline_poll(deadline));
            rc = ready == 0 ? RC_TIMEOUT : p.revents & POLLIN ? carry_out(b) : RC_OK;
        } else if (n == 0 || errno != EINTR) {
            carry_out(b); /* an answer may stand there: "413" comes before all was sent */
            rc = RC_CLOSED;
        }
    }
    return rc;
}

static enum pool_next serve_bridge(void *session, enum pool_why why)
{
    struct bridge *b = session;
    enum rc rc = RC_OK;
    if (why == POOL_TIMEOUT)
        return POOL_CLOSE;
    if (why == POOL_INPUT)
        rc = carry_in(b);
    if (rc == RC_OK)
        rc = carry_out(b);
    if (rc == RC_OK && !watch(b, EPOLL_CTL_MOD))
        rc = RC_CLOSED;
    return rc != RC_OK || why == POOL_DRAIN ? POOL_CLOSE : POOL_PARK;
}

static void close_bridge(void *session)
{
    struct bridge *b = session;
    struct http_server *s = b->s;
    pthread_mutex_lock(&s->lock);
    give_slot(s, b);
    pthread_mutex_unlock(&s->lock);
    close(b->fd); /* leaves epoll by itself; libmicrohttpd sees the end */
    free(b);
}

const struct pool_service *http_service(struct http_server *s)
{
    return &s->service;
}

/* --- life --- */

enum rc http_bridge_start(struct http_server *s)
{
    s->service = (struct pool_service){.name = s->set.name, .open = open_bridge, .serve = serve_bridge, .close = close_bridge,
                                       .ctx = s, .raw = true, .shared = true, .busy_reply = s->set.is_tls ? NULL : "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"};
    pthread_mutex_init(&s->lock, NULL);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->late_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = STOP_EVENT}, late = {.events = EPOLLIN, .data.u64 = LATE_EVENT};
    if (s->epoll < 0 || s->stop < 0 || s->late_event < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->stop, &e) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->late_event, &late) != 0)
        return RC_TEMP;
    s->has_thread = thread_start("http", run, s, &s->thread) == RC_OK;
    return s->has_thread ? RC_OK : RC_TEMP;
}

void http_bridge_stop(struct http_server *s)
{
    const uint64_t one = 1;
    if (s->has_thread && write(s->stop, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(s->thread, NULL);
    http_send_late(s, true);
    if (s->stop > 0)
        close(s->stop);
    if (s->late_event > 0)
        close(s->late_event);
    if (s->epoll > 0)
        close(s->epoll);
}
