/* The pool's crew: the queue of connections that have something to do, and the workers that do it.
 *
 * How many may work at once (`crew`) is found out, not set. Few are best while sessions only compute; where
 * they wait together (a group commit, a lock, a slow peer) more let others in. So a queue that waits although
 * the processors do not makes it larger, and one that waits for the processors makes it smaller. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/pool_impl.h"
#include "sys/board.h"
#include "sys/thread.h"

#define CREW_LEAST     4
#define WORKER_IDLE_MS 5000 /* a worker beyond CREW_LEAST ends after so long without work */
#define GROW_MS        2    /* waiting longer in the queue asks whether the crew is too small */

/* --- the queue --- */

static struct conn *dequeue(struct pool *p)
{
    struct conn *c = p->head;
    if (!c)
        return NULL;
    p->head = c->pool.next;
    if (!p->head)
        p->tail = NULL;
    c->pool.next = NULL;
    p->n_queued--;
    return c;
}

static void run_worker(void *arg);

/* One more at work, if there is one to be had. */
static bool call_worker(struct pool *p)
{
    if (p->idle) {
        struct worker *w = p->idle;
        p->idle = w->next_idle;
        p->n_idle--;
        w->job = dequeue(p);
        pthread_cond_signal(&w->cond);
        return true;
    }
    if (p->workers >= p->set.max_workers)
        return false;
    p->workers++;
    if (thread_detach("worker", run_worker, p) == RC_OK)
        return true;
    p->workers--;
    log_error("pool.thread.failed", F_INT("workers", p->workers));
    return false;
}

void pool_queue(struct pool *p, struct conn *c)
{
    int64_t now = clock_mono_ms();
    c->pool.state = STATE_QUEUED;
    c->pool.until = now;
    c->pool.next = NULL;
    if (p->tail)
        p->tail->pool.next = c;
    else
        p->head = c;
    p->tail = c;
    p->n_queued++;
    if (p->workers - p->n_idle >= p->crew || !call_worker(p))
        pool_wake_by(p, now + GROW_MS);
}

/* --- how many --- */

void pool_set_crew(struct pool *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    p->cores = cores > 0 ? (unsigned)cores : 1;
    p->crew = CREW_LEAST;
}

static int64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t pool_grow(struct pool *p, int64_t now)
{
    if (!p->head || p->stopping)
        return NO_DEADLINE;
    int64_t due = p->head->pool.until + GROW_MS;
    if (due < p->grow_at)
        due = p->grow_at;
    if (now < due)
        return due;
    int64_t cpu = cpu_us(), span_ms = now - p->grow_at + GROW_MS;
    if (span_ms <= 4 * GROW_MS) { /* else we looked too long ago to judge; next time */
        bool stuck = p->taken == p->grow_taken;
        bool computing =
            cpu - p->grow_cpu_us > span_ms * 500 * p->cores; /* half of all: others compute too */
        bool full = p->workers - p->n_idle >= p->crew;       /* else more are coming already */
        if (computing && !stuck)
            p->crew -= (p->crew - CREW_LEAST) / 4;
        else if (full)
            p->crew += stuck ? p->crew / 2 : p->crew / 4;
        if (p->crew > p->set.max_workers && p->set.max_workers >= CREW_LEAST)
            p->crew = p->set.max_workers;
        for (unsigned n = p->n_queued; n > 0 && p->workers - p->n_idle < p->crew && call_worker(p); n--)
            continue;
    }
    p->grow_cpu_us = cpu;
    p->grow_taken = p->taken;
    p->grow_at = now + GROW_MS;
    return p->grow_at;
}

/* --- a worker --- */

/* Runs the session for all that has come up. False: it has ended. */
static bool serve(struct conn *c, uint8_t flags)
{
    static const struct {
        uint8_t flag;
        enum pool_why why;
    } order[] = {{FLAG_DRAIN, POOL_DRAIN},
                 {FLAG_INPUT, POOL_INPUT},
                 {FLAG_EVENT, POOL_EVENT},
                 {FLAG_TIMEOUT, POOL_TIMEOUT}};

    if (flags & FLAG_INPUT) {
        if (conn_pull(c, c->pool.service->raw))
            flags &= (uint8_t)~FLAG_TIMEOUT; /* it came just in time */
        else
            flags &= (uint8_t)~FLAG_INPUT; /* half a line: the park goes on */
    }
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (!(flags & order[i].flag))
            continue;
        conn_deadline(c, deadline_in(c->pool.idle_ms));
        c->pool.park_until = 0;
        enum pool_next next = c->pool.service->serve(c->pool.session, order[i].why);
        if (conn_flush(c) != RC_OK || next == POOL_CLOSE || order[i].why == POOL_DRAIN)
            return false;
    }
    return true;
}

/* One round of work. False: close it. */
static bool work(struct pool *p, struct conn *c, uint8_t flags)
{
    if (c->pool.phase < PHASE_OPEN) {
        if (flags & (FLAG_TIMEOUT | FLAG_DRAIN))
            return false;
        enum rc rc = pool_prepare(p, c);
        if (rc != RC_OK)
            return rc == RC_TEMP && c->fail == RC_OK;
        c->pool.phase = PHASE_OPEN;
    }
    if (c->pool.phase == PHASE_SERVE)
        return serve(c, flags);
    if (flags & FLAG_DRAIN)
        return false;
    conn_deadline(c, deadline_in(c->pool.idle_ms));
    c->pool.park_until = 0;
    struct tls_info tls;
    c->pool.place = board_enter(c->pool.service->name, c->peer_text);
    if (conn_tls(c, &tls))
        board_tls(c->pool.place, tls.version);
    c->pool.session = c->pool.service->open(c->pool.service->ctx, c);
    if (!c->pool.session)
        return false;
    c->pool.phase = PHASE_SERVE;
    return conn_flush(c) == RC_OK;
}

/* Parks it, or queues it again where more has come up meanwhile. False: it must be closed. */
static bool put_back(struct pool *p, struct conn *c)
{
    bool serving = c->pool.phase == PHASE_SERVE, ok = true;
    bool input = serving && conn_has_more(c, c->pool.service->raw);

    if (c->fail != RC_OK)
        return false;
    if (!serving)
        c->pool.park_until = c->deadline;
    else if (c->pool.park_until == 0)
        c->pool.park_until = deadline_in(c->pool.idle_ms);
    conn_rest(c);
    pthread_mutex_lock(&p->lock);
    if (input)
        c->pool.flags |= FLAG_INPUT;
    if (p->draining)
        c->pool.flags |= FLAG_DRAIN;
    if (c->pool.flags)
        pool_queue(p, c);
    else
        ok = pool_park(p, c, c->pool.park_until) == RC_OK;
    pthread_mutex_unlock(&p->lock);
    return ok;
}

static void end_conn(struct pool *p, struct conn *c)
{
    if (c->pool.session)
        c->pool.service->close(c->pool.session);
    board_leave(c->pool.place);
    pthread_mutex_lock(&p->lock);
    pool_leave(p, c);
    pthread_mutex_unlock(&p->lock);
    conn_free(c);
}

static void forget_idle(struct pool *p, struct worker *w)
{
    for (struct worker **at = &p->idle; *at; at = &(*at)->next_idle)
        if (*at == w) {
            *at = w->next_idle;
            p->n_idle--;
            return;
        }
}

/* The next connection to serve, or NULL: this worker may end. The lock is held. */
static struct conn *next_job(struct pool *p, struct worker *w)
{
    struct conn *c = p->workers - p->n_idle <= p->crew || p->stopping ? dequeue(p) : NULL;
    while (!c && !p->stopping) {
        int64_t end = deadline_in(WORKER_IDLE_MS);
        w->next_idle = p->idle; /* the last to go idle is the first to work: the others may end */
        p->idle = w;
        p->n_idle++;
        w->job = NULL;
        while (!w->job && !p->stopping && thread_cond_wait(&w->cond, &p->lock, end))
            continue;
        c = w->job;
        if (c)
            break;
        forget_idle(p, w);
        if (p->workers > CREW_LEAST)
            break;
    }
    return c;
}

static void run_worker(void *arg)
{
    struct pool *p = arg;
    struct worker w = {0};
    struct conn *c;

    thread_cond_init(&w.cond);
    pthread_mutex_lock(&p->lock);
    while ((c = next_job(p, &w))) {
        uint8_t flags = c->pool.flags;
        c->pool.flags = 0;
        c->pool.state = STATE_BUSY;
        c->pool.idle_ms = p->set.idle_ms;
        p->busy++;
        p->taken++;
        pthread_mutex_unlock(&p->lock);
        if (!work(p, c, flags) || !put_back(p, c))
            end_conn(p, c);
        pthread_mutex_lock(&p->lock);
        p->busy--;
    }
    p->workers--;
    if (p->crew > p->workers && p->workers >= CREW_LEAST)
        p->crew = p->workers;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&w.cond);
}
