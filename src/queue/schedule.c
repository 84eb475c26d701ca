#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_internal.h"

#define SCHEDULE_ARENA  (8u << 20)
#define TIDY_MS         1000
#define LOCAL_FULL_MS   1000 /* until local recipients that found no room are looked for again */

struct scheduler {
    struct queue *q;
    struct arena arena;
    int64_t after_ms; /* the walk has met all rows up to here */
    uint64_t after_rcpt;
    int64_t tidy_at_ms;
    bool local_full;
};

static void add_local(struct scheduler *s, const struct mailq_due *due)
{
    struct queue *q = s->q;
    struct arena a;
    struct mailq_message m;
    struct mailq_rcpt r;
    uint64_t message;
    if (s->local_full || local_has(q->local, due->rcpt))
        return;
    arena_init(&a, 1u << 20);
    enum rc rc = mailq_message(q->store, due->message, &a, &m);
    if (rc == RC_OK)
        rc = mailq_rcpt(q->store, due->rcpt, &a, &message, &r);
    if (rc == RC_OK && !r.held)
        s->local_full = !local_add(q->local, &m, &r, 1);
    arena_clear(&a);
}

/* One page of due rows. False: that was the last one, or the rest must wait. */
static bool walk_page(struct scheduler *s)
{
    struct queue *q = s->q;
    struct mailq_due *due;
    size_t n;
    bool go_on = true;
    arena_reset(&s->arena);
    if (mailq_due(q->store, s->after_ms, s->after_rcpt, clock_real_ms(), QUEUE_PAGE, &s->arena, &due, &n) != RC_OK) {
        pthread_mutex_lock(&q->lock);
        queue_note_trouble(q);
        pthread_mutex_unlock(&q->lock);
        return false;
    }
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n && go_on; i++) {
        if (due[i].account == 0 && lane_add(q, due[i].route, due[i].rcpt, due[i].message, due[i].priority) == RC_LIMIT) {
            if (q->snapshot->set.relay_host)
                go_on = false; /* its one destination is full: a later walk begins anew */
            else if (!lane_find(q, due[i].route, false))
                queue_note_trouble(q); /* no room for a further destination */
        }
        s->after_ms = due[i].due_ms;
        s->after_rcpt = due[i].rcpt;
    }
    if (n > 0)
        worker_summon(q);
    go_on = go_on && !q->stop && n == QUEUE_PAGE;
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < n; i++)
        if (due[i].account != 0)
            add_local(s, &due[i]);
    return go_on;
}

/* Brings in what has become due since the last walk. Called and left with the lock held. */
static void walk(struct scheduler *s)
{
    struct queue *q = s->q;
    int64_t next;
    q->next_due_ms = INT64_MAX;
    pthread_mutex_unlock(&q->lock);
    s->local_full = false;
    int64_t from = clock_real_ms();
    while (walk_page(s))
        continue;
    enum rc rc = mailq_next_due(q->store, from, &next);
    pthread_mutex_lock(&q->lock);
    if (rc == RC_OK)
        queue_note_due(q, next);
    else if (rc != RC_NOTFOUND)
        queue_note_trouble(q);
    if (s->local_full && q->rewalk_at_ms > deadline_in(LOCAL_FULL_MS))
        q->rewalk_at_ms = deadline_in(LOCAL_FULL_MS);
}

/* Rows of one destination that found no room before. Called and left with the lock held. */
static void refill(struct scheduler *s, struct lane *lane)
{
    struct queue *q = s->q;
    struct view route;
    struct mailq_due *due;
    size_t n, max = lane->n_rows + lane->n_working + QUEUE_LANE_MAX;
    if (lane->route_n == 0) { /* the smarthost's: rows of all routes */
        lane_set_more(q, lane, false);
        q->rewalk = true;
        return;
    }
    arena_reset(&s->arena);
    if (view_dup(&s->arena, view_of(lane->route, lane->route_n), &route) != RC_OK)
        return;
    pthread_mutex_unlock(&q->lock);
    enum rc rc = mailq_due_route(q->store, route, clock_real_ms(), max, &s->arena, &due, &n);
    pthread_mutex_lock(&q->lock);
    if (rc != RC_OK) {
        queue_note_trouble(q);
        return;
    }
    lane_set_more(q, lane, n == max);
    for (size_t i = 0; i < n; i++)
        if (due[i].account == 0 && lane_add(q, route, due[i].rcpt, due[i].message, due[i].priority) == RC_LIMIT)
            break;
    worker_summon(q);
}

/* `more` keeps a lane from being dropped, so that it stands while the lock is open. */
static void refill_lanes(struct scheduler *s)
{
    struct queue *q = s->q;
    for (size_t i = 0; i < LANE_BUCKETS && q->n_more > 0; i++)
        for (struct lane *lane = q->lanes[i]; lane; lane = lane->hash_next)
            if (lane->more && lane->n_rows <= LANE_LOW && q->n_rows < QUEUE_ACTIVE_MAX)
                refill(s, lane);
}

void *schedule_run(void *arg)
{
    struct queue *q = arg;
    struct scheduler s = {.q = q};
    arena_init(&s.arena, SCHEDULE_ARENA);
    pthread_mutex_lock(&q->lock);
    while (!q->stop) {
        if (q->rewalk || clock_mono_ms() >= q->rewalk_at_ms) {
            q->rewalk = false;
            q->rewalk_at_ms = deadline_in(QUEUE_REWALK_MS);
            s.after_ms = 0;
            s.after_rcpt = 0;
            walk(&s);
        } else if (clock_real_ms() >= q->next_due_ms) {
            walk(&s);
        }
        if (q->n_more > 0)
            refill_lanes(&s);
        int64_t until = q->rewalk_at_ms, now = clock_mono_ms();
        if (q->n_lanes > 0) {
            if (now >= s.tidy_at_ms) {
                lane_tidy(q, false);
                s.tidy_at_ms = now + TIDY_MS;
            }
            if (q->closing)
                worker_summon(q);
            until = s.tidy_at_ms < until ? s.tidy_at_ms : until;
        }
        int64_t due_in = q->next_due_ms == INT64_MAX ? INT64_MAX - now : q->next_due_ms - clock_real_ms();
        if (due_in < until - now)
            until = now + (due_in > 0 ? due_in : 0);
        if (!q->rewalk && !q->stop)
            queue_wait_until(&q->wake, &q->lock, until);
    }
    pthread_mutex_unlock(&q->lock);
    arena_clear(&s.arena);
    return NULL;
}
