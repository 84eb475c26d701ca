/* net/pool_impl: the inside of the pool, shared by pool.c (states, waiting, life), pool_work.c (queue,
 * workers) and pool_accept.c (listeners, and what happens before a session is there). */
#ifndef NET_POOL_IMPL_H
#define NET_POOL_IMPL_H

#include <pthread.h>

#include "net/conn_impl.h"
#include "net/pool_limit.h"

#define POOL_LISTENERS_MAX 64

enum { STATE_PARKED, STATE_QUEUED, STATE_BUSY };
enum { PHASE_PROXY, PHASE_HELLO, PHASE_TLS, PHASE_OPEN, PHASE_SERVE };
enum { FLAG_INPUT = 1, FLAG_TIMEOUT = 2, FLAG_EVENT = 4, FLAG_DRAIN = 8 };

struct slot { /* epoll names connections by slot and generation, as events may outlive them */
    struct conn *c;
    uint32_t generation, next_free;
};
struct worker {
    pthread_cond_t cond;
    struct worker *next_idle;
    struct conn *job;
};
struct listener {
    struct pool_listener l;
    int64_t resume; /* paused for want of descriptors until then; 0: open */
};

struct pool {
    pthread_t thread; /* waits in epoll */
    int epoll, event;

    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t changed; /* a connection or a worker has gone */
    struct pool_settings set;
    struct tls_server *tls;
    struct listener listeners[POOL_LISTENERS_MAX];
    size_t n_listeners;
    struct limit_table limits;

    struct slot *slots;
    uint32_t n_slots, free_slot;
    struct conn **heap; /* parked ones, the first to time out on top; room for n_slots */
    uint32_t n_heap;
    struct conn *head, *tail; /* wait for a worker */
    struct worker *idle;
    unsigned n_queued, workers, n_idle, busy, connections, parked;
    unsigned cores, crew; /* how many workers may be at work */
    uint64_t accepted, refused, taken;

    int64_t sleep_until; /* of the epoll thread; 0 while it is awake */
    int64_t grow_at;     /* when to look again whether the queue needs more workers */
    int64_t grow_cpu_us; /* processor time used, and tasks taken, when we last looked */
    uint64_t grow_taken;
    int64_t refused_logged;
    bool draining, stopping;
};

#define EPOLL_EVENT    UINT64_MAX
#define EPOLL_LISTENER (1ull << 63) /* | index; else a connection: generation (31 bits) << 32 | slot */

/* --- pool.c; the lock is held --- */
/* The epoll thread must not sleep longer than this. */
void pool_wake_by(struct pool *p, int64_t when);
enum rc pool_enter(struct pool *p, struct conn *c);
void pool_leave(struct pool *p, struct conn *c);
/* RC_TEMP: epoll has no memory; the connection is still the caller's. */
enum rc pool_park(struct pool *p, struct conn *c, int64_t until);

/* --- pool_work.c; the lock is held --- */
/* Something is to be done for it: a worker will. */
void pool_queue(struct pool *p, struct conn *c);
void pool_set_crew(struct pool *p);
/* Looks whether the crew has the right size; gives when to look again. For the epoll thread. */
int64_t pool_grow(struct pool *p, int64_t now);

/* --- pool_accept.c --- */
/* In the epoll thread, without the lock. */
void pool_accept(struct pool *p, struct listener *l);
/* Opens listeners again whose pause is over; gives when to look next. The lock is held. */
int64_t pool_resume(struct pool *p, int64_t now);
/* On a worker: PROXY header and handshake. RC_OK: go on to open the session. RC_TEMP: park, more must come.
 */
enum rc pool_prepare(struct pool *p, struct conn *c);

#endif
