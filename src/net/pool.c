#include "net/pool_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/thread.h"

#define EVENTS_AT_ONCE 256
#define CUT_MS         5000 /* what sessions get to notice that pool_drain has cut them */
#define SLOTS_FIRST    256

/* --- parked connections by their timeouts: a binary heap --- */

static void heap_set(struct pool *p, uint32_t i, struct conn *c)
{
    p->heap[i] = c;
    c->pool.heap_at = i;
}

static void heap_move(struct pool *p, uint32_t i, struct conn *c)
{
    for (; i > 0 && p->heap[(i - 1) / 2]->pool.until > c->pool.until; i = (i - 1) / 2)
        heap_set(p, i, p->heap[(i - 1) / 2]);
    for (uint32_t child; (child = 2 * i + 1) < p->n_heap; i = child) {
        if (child + 1 < p->n_heap && p->heap[child + 1]->pool.until < p->heap[child]->pool.until)
            child++;
        if (p->heap[child]->pool.until >= c->pool.until)
            break;
        heap_set(p, i, p->heap[child]);
    }
    heap_set(p, i, c);
}

static void heap_add(struct pool *p, struct conn *c)
{
    heap_move(p, p->n_heap++, c);
}

static void heap_remove(struct pool *p, struct conn *c)
{
    struct conn *last = p->heap[--p->n_heap];
    if (last != c)
        heap_move(p, c->pool.heap_at, last);
}

/* --- slots --- */

static enum rc add_slots(struct pool *p)
{
    uint32_t n = p->n_slots > 0 ? p->n_slots * 2 : SLOTS_FIRST;
    struct slot *slots = realloc(p->slots, n * sizeof *slots);
    if (!slots)
        return RC_TEMP;
    p->slots = slots;
    struct conn **heap = realloc(p->heap, n * sizeof *heap);
    if (!heap)
        return RC_TEMP;
    p->heap = heap;
    for (uint32_t i = p->n_slots; i < n; i++)
        slots[i] = (struct slot){.next_free = i + 1}; /* the last one's is n: none */
    p->free_slot = p->n_slots;
    p->n_slots = n;
    return RC_OK;
}

enum rc pool_enter(struct pool *p, struct conn *c)
{
    if (p->free_slot == p->n_slots && add_slots(p) != RC_OK)
        return RC_TEMP;
    struct slot *s = &p->slots[p->free_slot];
    c->pool.slot = p->free_slot;
    c->pool.generation = s->generation = (s->generation + 1) & INT32_MAX;
    p->free_slot = s->next_free;
    s->c = c;
    p->connections++;
    return RC_OK;
}

void pool_leave(struct pool *p, struct conn *c)
{
    struct slot *s = &p->slots[c->pool.slot];
    s->c = NULL;
    s->next_free = p->free_slot;
    p->free_slot = c->pool.slot;
    if (c->pool.counted)
        limit_drop(&p->limits, &c->peer);
    p->connections--;
    pthread_cond_broadcast(&p->changed);
}

/* --- states; the lock is held --- */

static void notify(struct pool *p)
{
    ssize_t n = write(p->event, &(uint64_t){1}, sizeof(uint64_t));
    bug_if(n < 0 && errno != EAGAIN); /* EAGAIN: it is awake already 2^64 times */
}

/* The epoll thread must not sleep longer than this. */
void pool_wake_by(struct pool *p, int64_t when)
{
    if (when >= p->sleep_until)
        return;
    p->sleep_until = 0;
    notify(p);
}

enum rc pool_park(struct pool *p, struct conn *c, int64_t until)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                            .data.u64 = (uint64_t)c->pool.generation << 32 | c->pool.slot};
    if (epoll_ctl(p->epoll, c->pool.in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) < 0)
        return RC_TEMP;
    c->pool.in_epoll = true;
    c->pool.state = STATE_PARKED;
    c->pool.until = until;
    heap_add(p, c);
    p->parked++;
    pool_wake_by(p, until);
    return RC_OK;
}

/* Something to do for a connection, whatever its state. */
static void raise_flag(struct pool *p, struct conn *c, uint8_t flag)
{
    c->pool.flags |= flag; /* a busy one's worker looks before it parks */
    if (c->pool.state != STATE_PARKED)
        return;
    heap_remove(p, c);
    p->parked--;
    pool_queue(p, c);
}

/* --- the thread that waits --- */

static int64_t expire(struct pool *p, int64_t now)
{
    while (p->n_heap > 0 && p->heap[0]->pool.until <= now)
        raise_flag(p, p->heap[0], FLAG_TIMEOUT);
    return p->n_heap > 0 ? p->heap[0]->pool.until : NO_DEADLINE;
}

static void handle_conn_event(struct pool *p, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    struct conn *c = p->slots[slot].c;
    /* Not parked: it was woken for another reason, and its next park will see the input again. */
    if (c && c->pool.generation == id >> 32 && c->pool.state == STATE_PARKED)
        raise_flag(p, c, FLAG_INPUT);
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Only here, as this thread may be in accept otherwise. The lock is held. */
static void stop_listening(struct pool *p)
{
    for (size_t i = 0; i < p->n_listeners; i++) {
        if (p->listeners[i].l.fd < 0)
            continue;
        /* Another process may hold the same socket open, and its events would then go on. */
        epoll_ctl(p->epoll, EPOLL_CTL_DEL, p->listeners[i].l.fd, NULL);
        close(p->listeners[i].l.fd);
    }
    p->n_listeners = 0;
    pthread_cond_broadcast(&p->changed);
}

static void run_epoll(void *arg)
{
    struct pool *p = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    struct listener *ready[POOL_LISTENERS_MAX];

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        int64_t now = clock_mono_ms();
        if (p->draining)
            stop_listening(p);
        int64_t until = earliest(pool_resume(p, now), expire(p, now));
        until = earliest(until, pool_grow(p, now));
        p->sleep_until = until;
        pthread_mutex_unlock(&p->lock);

        int n = epoll_wait(p->epoll, events, EVENTS_AT_ONCE, deadline_poll(until));
        bug_if(n < 0 && errno != EINTR);

        size_t n_ready = 0;
        pthread_mutex_lock(&p->lock);
        p->sleep_until = 0;
        for (int i = 0; i < n; i++) {
            uint64_t id = events[i].data.u64;
            if (id == EPOLL_EVENT) {
                uint64_t count;
                bug_if(read(p->event, &count, sizeof count) < 0 && errno != EAGAIN);
            } else if (id & EPOLL_LISTENER) {
                ready[n_ready++] = &p->listeners[id & ~EPOLL_LISTENER];
            } else {
                handle_conn_event(p, id);
            }
        }
        if (n_ready == 0 || p->draining)
            continue;
        pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < n_ready; i++)
            pool_accept(p, ready[i]);
        pthread_mutex_lock(&p->lock);
    }
    stop_listening(p);
    pthread_mutex_unlock(&p->lock);
}

/* --- life --- */

/* NULL: no memory. */
static struct addr_net *copy_nets(const struct addr_net *from, size_t n)
{
    struct addr_net *nets = calloc(n > 0 ? n : 1, sizeof *nets);
    if (nets && n > 0)
        memcpy(nets, from, n * sizeof *nets);
    return nets;
}

static void free_settings(const struct pool_settings *set)
{
    free((void *)set->proxy_from);
    free((void *)set->shared_from);
}

static enum rc copy_settings(struct pool_settings *to, const struct pool_settings *from)
{
    struct pool_settings copy = *from;
    copy.proxy_from = copy_nets(from->proxy_from, from->n_proxy_from);
    copy.shared_from = copy_nets(from->shared_from, from->n_shared_from);
    if (!copy.proxy_from || !copy.shared_from) {
        free_settings(&copy);
        return RC_TEMP;
    }
    if (copy.max_workers == 0)
        copy.max_workers = 1;
    *to = copy;
    return RC_OK;
}

static void release(struct pool *p)
{
    if (p->epoll >= 0)
        close(p->epoll);
    if (p->event >= 0)
        close(p->event);
    limit_clear(&p->limits);
    tls_server_free(p->tls);
    free_settings(&p->set);
    free(p->slots);
    free(p->heap);
    free(p);
}

enum rc pool_new(const struct pool_settings *set, struct pool **out)
{
    struct pool *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p)
        return RC_TEMP;
    p->event = -1;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    limit_init(&p->limits);
    pthread_mutex_init(&p->lock, NULL);
    thread_cond_init(&p->changed);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = EPOLL_EVENT};
    if (p->epoll < 0 || p->event < 0 || copy_settings(&p->set, set) != RC_OK ||
        epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->event, &e) < 0)
        goto fail;
    pool_set_crew(p);
    if (thread_start("net", run_epoll, p, &p->thread) != RC_OK)
        goto fail;
    *out = p;
    return RC_OK;
fail:
    release(p);
    return RC_TEMP;
}

void pool_set_tls(struct pool *p, struct tls_server *t)
{
    pthread_mutex_lock(&p->lock);
    struct tls_server *old = p->tls;
    p->tls = t ? tls_server_ref(t) : NULL;
    pthread_mutex_unlock(&p->lock);
    tls_server_free(old);
}

struct tls_server *pool_tls(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct tls_server *t = p->tls ? tls_server_ref(p->tls) : NULL;
    pthread_mutex_unlock(&p->lock);
    return t;
}

enum rc pool_reload(struct pool *p, const struct pool_settings *set)
{
    struct pool_settings fresh;
    enum rc rc = copy_settings(&fresh, set);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&p->lock);
    const struct pool_settings old = p->set;
    p->set = fresh;
    pthread_mutex_unlock(&p->lock);
    free_settings(&old);
    return RC_OK;
}

void pool_drain(struct pool *p, int64_t deadline_ms)
{
    pthread_mutex_lock(&p->lock);
    p->draining = true;
    notify(p);
    while (p->n_listeners > 0)
        pthread_cond_wait(&p->changed, &p->lock);
    for (uint32_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].c)
            raise_flag(p, p->slots[i].c, FLAG_DRAIN);
    while (p->connections > 0 && thread_cond_wait(&p->changed, &p->lock, deadline_ms))
        continue;
    if (p->connections > 0) {
        log_warn("pool.drain.cut", F_INT("connections", p->connections));
        for (uint32_t i = 0; i < p->n_slots; i++)
            if (p->slots[i].c)
                shutdown(p->slots[i].c->fd, SHUT_RDWR); /* open until it has left its slot */
    }
    int64_t end = deadline_in(CUT_MS);
    while (p->connections > 0 && thread_cond_wait(&p->changed, &p->lock, end))
        continue;
    pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    for (struct worker *w = p->idle; w; w = w->next_idle)
        pthread_cond_signal(&w->cond);
    notify(p);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_mutex_lock(&p->lock);
    int64_t end = deadline_in(CUT_MS);
    while (p->workers > 0 && thread_cond_wait(&p->changed, &p->lock, end))
        continue;
    bool stuck = p->workers > 0 || p->connections > 0;
    pthread_mutex_unlock(&p->lock);
    if (stuck) { /* a session hangs outside net/: it may still use all this */
        log_error("pool.free.stuck", F_INT("workers", p->workers), F_INT("connections", p->connections));
        return;
    }
    release(p);
}

/* --- for sessions and others --- */

void pool_park_until(struct conn *c, int64_t deadline_ms)
{
    c->pool.park_until = deadline_ms;
}

static void raise_from_outside(struct conn *c, uint8_t flag)
{
    struct pool *p = c->pool.pool;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    raise_flag(p, c, flag);
    pthread_mutex_unlock(&p->lock);
}

void pool_wake(struct conn *c)
{
    raise_from_outside(c, FLAG_EVENT);
}

void pool_kick(struct conn *c)
{
    raise_from_outside(c, FLAG_DRAIN);
}

void pool_count(struct pool *p, struct pool_counts *out)
{
    pthread_mutex_lock(&p->lock);
    *out = (struct pool_counts){.connections = p->connections,
                                .parked = p->parked,
                                .workers = p->workers,
                                .busy = p->busy,
                                .accepted = p->accepted,
                                .refused = p->refused};
    pthread_mutex_unlock(&p->lock);
}
