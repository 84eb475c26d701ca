#include "queue/queue.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_internal.h"

#define SNAPSHOT_ARENA (8u << 20)
#define CUT_WAIT_MS    2000 /* for deliveries whose connections were cut */

/* --- settings --- */

static const int64_t default_retry_ms[] = {60000, 300000, 900000, 3600000, 14400000};

static const char *copy_text(struct arena *a, const char *s, bool *ok)
{
    const char *copy = s ? arena_cstr(a, view_str(s)) : NULL;
    if (s && !copy)
        *ok = false;
    return copy;
}

static struct view copy_view(struct arena *a, struct view v, bool *ok)
{
    struct view copy = {0};
    if (view_dup(a, v, &copy) != RC_OK)
        *ok = false;
    return copy;
}

static void copy_destinations(const struct queue_settings *from, struct arena *a, struct queue_settings *to, bool *ok)
{
    struct queue_destination *list = arena_new_array(a, from->n_destinations, struct queue_destination);
    for (size_t i = 0; list && i < from->n_destinations; i++) {
        const struct queue_destination *d = &from->destinations[i];
        const char **mx = arena_new_array(a, d->n_mx, const char *);
        struct tls_record *records = arena_new_array(a, d->n_records, struct tls_record);
        list[i] = *d;
        list[i].domain = copy_text(a, d->domain, ok);
        list[i].mx = mx;
        list[i].records = records;
        for (size_t k = 0; mx && k < d->n_mx; k++)
            mx[k] = copy_text(a, d->mx[k], ok);
        for (size_t k = 0; records && k < d->n_records; k++) {
            records[k] = d->records[k];
            records[k].data = copy_view(a, d->records[k].data, ok);
        }
        *ok = *ok && mx && records;
    }
    to->destinations = list;
    *ok = *ok && list;
}

static void fill_defaults(struct queue_settings *set)
{
    if (set->n_retry == 0 || set->n_retry > QUEUE_RETRY_MAX) {
        set->n_retry = sizeof default_retry_ms / sizeof *default_retry_ms;
        memcpy(set->retry_ms, default_retry_ms, sizeof default_retry_ms);
    }
    if (set->port == 0)
        set->port = 25;
    if (set->relay_port == 0)
        set->relay_port = 587;
    if (set->workers == 0)
        set->workers = 64;
    if (set->per_destination == 0)
        set->per_destination = LANE_WINDOW_MAX;
    if (set->local_workers == 0)
        set->local_workers = 2;
    if (set->delay_notice_ms == 0)
        set->delay_notice_ms = 4 * 3600000;
    if (set->expire_ms == 0)
        set->expire_ms = 5ll * 24 * 3600000;
    if (set->bounce_size_max == 0)
        set->bounce_size_max = 1u << 20;
}

static enum rc snapshot_new(const struct queue_settings *set, struct tls_client *tls, struct queue_snapshot **out)
{
    struct queue_snapshot *s = calloc(1, sizeof *s);
    bool ok = true;
    if (!s)
        return RC_TEMP;
    s->refs = 1;
    s->set = *set;
    arena_init(&s->arena, SNAPSHOT_ARENA);
    struct addr *own = arena_new_array(&s->arena, set->n_own, struct addr);
    s->set.hostname = copy_text(&s->arena, set->hostname ? set->hostname : "localhost", &ok);
    s->set.relay_host = copy_text(&s->arena, set->relay_host, &ok);
    s->set.relay_username = copy_text(&s->arena, set->relay_username, &ok);
    s->set.relay_password = copy_text(&s->arena, set->relay_password, &ok);
    copy_destinations(set, &s->arena, &s->set, &ok);
    if (!own || !ok) {
        arena_clear(&s->arena);
        free(s);
        return RC_TEMP;
    }
    if (set->n_own > 0)
        memcpy(own, set->own, set->n_own * sizeof *own);
    s->set.own = own;
    fill_defaults(&s->set);
    s->tls = tls ? tls_client_ref(tls) : NULL;
    *out = s;
    return RC_OK;
}

static void snapshot_free(struct queue_snapshot *s)
{
    tls_client_free(s->tls);
    arena_clear(&s->arena);
    free(s);
}

struct queue_snapshot *snapshot_get(struct queue *q)
{
    q->snapshot->refs++;
    return q->snapshot;
}

void snapshot_put(struct queue *q, struct queue_snapshot *s)
{
    (void)q;
    if (s && --s->refs == 0)
        snapshot_free(s);
}

/* --- what all parts need --- */

void queue_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms)
{
    struct timespec ts = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_cond_timedwait(cond, lock, &ts);
}

void queue_note_due(struct queue *q, int64_t due_ms)
{
    if (due_ms >= q->next_due_ms)
        return;
    q->next_due_ms = due_ms;
    pthread_cond_signal(&q->wake);
}

void queue_note_trouble(struct queue *q)
{
    int64_t at = deadline_in(QUEUE_TROUBLE_MS);
    if (at < q->rewalk_at_ms)
        q->rewalk_at_ms = at;
    pthread_cond_signal(&q->wake);
}

/* --- local recipients that need more than their row's end --- */

static void explain_local(enum rc rc, struct outcome *o)
{
    switch (rc) {
    case RC_OK: o->kind = OUTCOME_DELIVERED; break;
    case RC_NOTFOUND:
        o->kind = OUTCOME_FAILED;
        o->status = VIEW("5.1.1");
        o->why = VIEW("the mailbox does not exist any more");
        break;
    case RC_FULL:
        o->kind = OUTCOME_DEFERRED;
        o->status = VIEW("4.2.2");
        o->why = VIEW("there is no room in the mailbox");
        break;
    default:
        o->kind = OUTCOME_DEFERRED;
        o->status = VIEW("4.3.0");
        o->why = VIEW("the mailbox cannot be written now");
        break;
    }
}

static const struct outcome_story local_story; /* no hosts */

static void told_local(void *ctx, uint64_t message, uint64_t rcpt, enum rc delivered)
{
    struct queue *q = ctx;
    struct arena a;
    struct mailq_message m;
    struct mailq_rcpt r;
    struct outcome o = {.rcpt = &r, .count = true};
    struct outcome_counts counts = {0};
    int64_t next = INT64_MAX;
    arena_init(&a, 4u << 20);
    pthread_mutex_lock(&q->lock);
    struct queue_snapshot *snap = snapshot_get(q);
    pthread_mutex_unlock(&q->lock);
    explain_local(delivered, &o);
    enum rc rc = delivered == RC_OK ? store_settle(q->store) : RC_OK;
    if (rc == RC_OK)
        rc = mailq_message(q->store, message, &a, &m);
    if (rc == RC_OK)
        rc = mailq_rcpt(q->store, rcpt, &a, &message, &r);
    if (rc == RC_OK)
        rc = outcome_settle(&snap->set, q->store, &m, &local_story, &o, 1, &counts, &next);
    local_forget(q->local, rcpt);
    pthread_mutex_lock(&q->lock);
    q->counts.deferred += counts.deferred;
    q->counts.bounced += counts.bounced;
    queue_note_due(q, next);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        queue_note_trouble(q);
    snapshot_put(q, snap);
    pthread_mutex_unlock(&q->lock);
    arena_clear(&a);
}

/* --- from submissions --- */

static void take_submission(void *ctx, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n)
{
    struct queue *q = ctx;
    int64_t now = clock_real_ms(), due = m->release_ms;
    bool has_local = false, has_remote = false, all = true;
    for (size_t i = 0; i < n; i++) {
        due = rcpts[i].due_ms > due ? rcpts[i].due_ms : due;
        has_local |= rcpts[i].account != 0;
        has_remote |= rcpts[i].account == 0;
    }
    if (due > now) { /* RFC 4865 */
        pthread_mutex_lock(&q->lock);
        queue_note_due(q, due);
        pthread_mutex_unlock(&q->lock);
        return;
    }
    if (has_local)
        all = local_add(q->local, m, rcpts, n);
    if (all && !has_remote)
        return;
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n && !q->stop; i++) {
        if (rcpts[i].account != 0)
            continue;
        if (lane_add(q, rcpts[i].route, rcpts[i].id, m->id, mailq_row_priority(m)) == RC_LIMIT)
            all &= lane_find(q, rcpts[i].route, false) != NULL && !q->snapshot->set.relay_host;
    }
    if (!all)
        queue_note_trouble(q);
    worker_summon(q);
    pthread_mutex_unlock(&q->lock);
}

/* --- life --- */

enum rc queue_new(const struct queue_settings *set, struct store *s, struct dns *dns, struct tls_client *tls,
                  struct queue **out)
{
    struct queue *q = calloc(1, sizeof *q);
    pthread_condattr_t attr;
    if (!q)
        return RC_TEMP;
    q->store = s;
    q->dns = dns;
    q->next_due_ms = INT64_MAX;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->work, &attr);
    pthread_cond_init(&q->wake, &attr);
    pthread_cond_init(&q->done, &attr);
    pthread_condattr_destroy(&attr);
    enum rc rc = snapshot_new(set, tls, &q->snapshot);
    if (rc == RC_OK)
        rc = hosts_new(&q->hosts);
    if (rc == RC_OK)
        rc = local_new(s, &(struct local_settings){q->snapshot->set.local_workers, told_local, q, set->desk, set->desk_ctx,
                                                       set->fate, set->fate_told, set->fate_ctx}, &q->local);
    if (rc == RC_OK) {
        mailq_set_wake(s, take_submission, q);
        q->has_scheduler = pthread_create(&q->scheduler, NULL, schedule_run, q) == 0;
        rc = q->has_scheduler ? RC_OK : RC_TEMP;
    }
    if (rc == RC_OK)
        *out = q;
    else
        queue_free(q);
    return rc;
}

void queue_wake(struct queue *q)
{
    hosts_forget(q->hosts);
    pthread_mutex_lock(&q->lock);
    lane_wake_all(q);
    q->rewalk = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

enum rc queue_reload(struct queue *q, const struct queue_settings *set, struct tls_client *tls)
{
    struct queue_snapshot *fresh;
    enum rc rc = snapshot_new(set, tls, &fresh);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&q->lock);
    fresh->generation = q->snapshot->generation + 1;
    snapshot_put(q, q->snapshot);
    q->snapshot = fresh;
    q->rewalk = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    return RC_OK;
}

static void cut_workers(struct queue *q)
{
    for (struct worker *w = q->workers; w; w = w->next)
        if (w->conn)
            conn_cut(w->conn);
}

void queue_drain(struct queue *q, int64_t deadline_ms)
{
    if (q->drained)
        return;
    q->drained = true;
    mailq_set_wake(q->store, NULL, NULL);
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->wake);
    pthread_cond_broadcast(&q->work);
    pthread_mutex_unlock(&q->lock);
    if (q->has_scheduler)
        pthread_join(q->scheduler, NULL);
    pthread_mutex_lock(&q->lock);
    while (q->n_workers > 0 && clock_mono_ms() < deadline_ms)
        queue_wait_until(&q->done, &q->lock, deadline_ms);
    int64_t cut_until = deadline_in(CUT_WAIT_MS);
    while (q->n_workers > 0 && clock_mono_ms() < cut_until) {
        cut_workers(q);
        queue_wait_until(&q->done, &q->lock, deadline_in(50));
    }
    lane_tidy(q, true);
    pthread_mutex_unlock(&q->lock);
    if (q->local)
        local_drain(q->local, deadline_ms);
    for (struct idle_client *idle = q->closing, *next; idle; idle = next) {
        next = idle->next;
        smtp_client_close(idle->client, clock_mono_ms() < deadline_ms);
        free(idle);
    }
    q->closing = NULL;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    queue_drain(q, 0);
    pthread_mutex_lock(&q->lock);
    bool busy = q->n_workers > 0;
    pthread_mutex_unlock(&q->lock);
    if (busy) {
        /* A worker still waits for a host that does not even take a connection. Its rows are safe in the store; what it
         * uses must outlive it, and this process is about to end. */
        log_warn("queue.stop.busy", F_INT("workers", q->n_workers));
        return;
    }
    local_free(q->local);
    lane_free_all(q);
    idset_clear(&q->known);
    hosts_free(q->hosts);
    if (q->snapshot)
        snapshot_put(q, q->snapshot);
    pthread_cond_destroy(&q->work);
    pthread_cond_destroy(&q->wake);
    pthread_cond_destroy(&q->done);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void queue_count(struct queue *q, struct queue_counts *out)
{
    *out = (struct queue_counts){.local_pending = local_pending(q->local), .delivered_local = local_delivered(q->local)};
    pthread_mutex_lock(&q->lock);
    out->lanes = q->n_lanes;
    out->active = q->n_rows;
    out->workers = q->n_workers;
    out->busy = q->n_busy;
    out->delivered_remote = q->counts.relayed;
    out->deferred = q->counts.deferred;
    out->bounced = q->counts.bounced;
    pthread_mutex_unlock(&q->lock);
}
