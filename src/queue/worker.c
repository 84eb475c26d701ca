#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_internal.h"

static void note_conn(void *ctx, struct conn *c)
{
    struct worker *w = ctx;
    pthread_mutex_lock(&w->q->lock);
    w->conn = c;
    pthread_mutex_unlock(&w->q->lock);
}

/* Called and left with the lock held. */
static void run_lane(struct worker *w, struct lane *lane)
{
    struct queue *q = w->q;
    struct queue_snapshot *snap = snapshot_get(q);
    uint64_t rcpts[LANE_BATCH_MAX];
    struct deliver_job job = {.route = view_of(lane->route, lane->route_n), .rcpts = rcpts, .on_conn = note_conn, .ctx = w};
    struct deliver_env env = {.set = &snap->set, .store = q->store, .dns = q->dns, .tls = snap->tls, .hosts = q->hosts,
                              .generation = snap->generation};
    if (lane->rest_until_ms > clock_real_ms()) {
        job.resting_until_ms = lane->rest_until_ms;
        memcpy(job.why, lane->why, sizeof job.why);
        memcpy(job.status, lane->status, sizeof job.status);
    }
    bool report = lane_is_report(lane);
    bool suspect = lane->failures > 0 && job.resting_until_ms == 0;
    job.n = lane_take(q, lane, &job.message, rcpts, LANE_BATCH_MAX);
    if (job.resting_until_ms == 0)
        job.client = lane_take_client(lane);
    w->conn = job.client ? smtp_client_conn(job.client) : NULL;
    lane->active++;
    q->n_busy++;
    q->n_suspects += suspect;
    q->n_reports += report;
    if (q->ready)
        worker_summon(q);
    pthread_mutex_unlock(&q->lock);

    /* Rows of a smarthost that is no more are looked for again under their own names. */
    bool stray = lane->route_n == 0 && !snap->set.relay_host;
    if (!stray)
        deliver_run(&env, &job);

    pthread_mutex_lock(&q->lock);
    q->n_suspects -= suspect;
    q->n_reports -= report;
    q->n_busy--;
    lane->active--;
    w->conn = NULL;
    lane_forget(q, lane, rcpts, job.n);
    if (stray)
        q->rewalk = true;
    else if (job.verdict == DELIVER_TROUBLE)
        queue_note_trouble(q);
    else if (job.verdict == DELIVER_UNREACHABLE)
        lane_failed(q, lane, &job);
    else if (job.resting_until_ms == 0)
        lane_succeeded(q, lane);
    if (job.client)
        lane_keep_client(q, lane, job.client);
    q->counts.relayed += job.counts.relayed;
    q->counts.deferred += job.counts.deferred;
    q->counts.bounced += job.counts.bounced;
    queue_note_due(q, job.next_ms);
    if (stray || (lane->more && lane->n_rows <= LANE_LOW))
        pthread_cond_signal(&q->wake);
    snapshot_put(q, snap);
}

/* Says goodbye to a connection that waited in vain. Called and left with the lock held. */
static void close_one(struct queue *q)
{
    struct idle_client *idle = q->closing;
    q->closing = idle->next;
    q->n_busy++;
    pthread_mutex_unlock(&q->lock);
    smtp_client_close(idle->client, true);
    free(idle);
    pthread_mutex_lock(&q->lock);
    q->n_busy--;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct queue *q = w->q;
    int64_t idle_until = deadline_in(WORKER_IDLE_MS);
    pthread_mutex_lock(&q->lock);
    while (!q->stop) {
        struct lane *lane;
        if (q->closing) {
            close_one(q);
        } else if ((lane = lane_next(q))) {
            run_lane(w, lane);
        } else if (clock_mono_ms() >= idle_until) {
            break;
        } else {
            queue_wait_until(&q->work, &q->lock, idle_until);
            continue;
        }
        idle_until = deadline_in(WORKER_IDLE_MS);
    }
    if (w->prev)
        w->prev->next = w->next;
    else
        q->workers = w->next;
    if (w->next)
        w->next->prev = w->prev;
    q->n_workers--;
    pthread_cond_broadcast(&q->done);
    pthread_mutex_unlock(&q->lock);
    free(w);
    return NULL;
}

void worker_summon(struct queue *q)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_cond_signal(&q->work);
    if (q->stop || q->n_busy < q->n_workers || q->n_workers >= q->snapshot->set.workers)
        return;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return; /* others come round */
    w->q = q;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool made = pthread_create(&thread, &attr, run, w) == 0;
    pthread_attr_destroy(&attr);
    if (!made) {
        free(w);
        log_warn("queue.worker.failed", F_INT("workers", q->n_workers));
        return;
    }
    w->next = q->workers;
    if (w->next)
        w->next->prev = w;
    q->workers = w;
    q->n_workers++;
}
