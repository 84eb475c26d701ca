#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_internal.h"

static size_t bucket_of(struct view route)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < route.n; i++)
        h = (h ^ (unsigned char)route.p[i]) * 0x100000001b3u;
    return (size_t)((h ^ h >> 29) % LANE_BUCKETS);
}

static struct view route_of(const struct lane *lane)
{
    return view_of(lane->route, lane->route_n);
}

struct lane *lane_find(struct queue *q, struct view route, bool make)
{
    struct lane **at = &q->lanes[bucket_of(route)];
    for (struct lane *lane = *at; lane; lane = lane->hash_next)
        if (view_eq(route_of(lane), route))
            return lane;
    if (!make || q->n_lanes >= QUEUE_LANES_MAX)
        return NULL;
    struct lane *lane = calloc(1, sizeof *lane + route.n);
    if (!lane)
        return NULL;
    lane->last = &lane->first;
    lane->window = q->snapshot->set.per_destination < LANE_WINDOW_FIRST ? 1 : LANE_WINDOW_FIRST;
    lane->route_n = route.n;
    if (route.n > 0)
        memcpy(lane->route, route.p, route.n);
    lane->hash_next = *at;
    *at = lane;
    q->n_lanes++;
    return lane;
}

/* --- the list of lanes that have rows --- */

static void ready_append(struct queue *q, struct lane *lane)
{
    lane->ready_next = NULL;
    lane->ready_prev = q->ready_last;
    if (q->ready_last)
        q->ready_last->ready_next = lane;
    else
        q->ready = lane;
    q->ready_last = lane;
    lane->is_ready = true;
}

static void ready_remove(struct queue *q, struct lane *lane)
{
    if (lane->ready_prev)
        lane->ready_prev->ready_next = lane->ready_next;
    else
        q->ready = lane->ready_next;
    if (lane->ready_next)
        lane->ready_next->ready_prev = lane->ready_prev;
    else
        q->ready_last = lane->ready_prev;
    lane->is_ready = false;
}

static bool is_resting(const struct lane *lane)
{
    return lane->rest_until_ms > 0 && clock_real_ms() < lane->rest_until_ms;
}

/* Mail goes before them (insert_row), so where one is first there is nothing else. */
bool lane_is_report(const struct lane *lane)
{
    return lane->first && lane->first->priority <= MAILQ_PRIORITY_REPORTS;
}

struct lane *lane_next(struct queue *q)
{
    unsigned max_suspects = (q->snapshot->set.workers + 1) / 2;
    for (struct lane *lane = q->ready; lane; lane = lane->ready_next) {
        if (lane->active >= lane->window)
            continue;
        if (q->n_reports >= QUEUE_REPORTS_MAX && lane_is_report(lane))
            continue;
        if (lane->failures > 0 && !is_resting(lane) && q->n_suspects >= max_suspects)
            continue;
        ready_remove(q, lane);
        ready_append(q, lane);
        return lane;
    }
    return NULL;
}

/* --- rows --- */

/* Urgent ones first (RFC 6710), else by arrival. */
static void insert_row(struct lane *lane, struct row *row)
{
    struct row **at = lane->last;
    if (!lane->first)
        lane->mixed = false;
    lane->mixed |= row->priority != 0;
    if (lane->mixed)
        for (at = &lane->first; *at && (*at)->priority >= row->priority; at = &(*at)->next)
            continue;
    row->next = *at;
    *at = row;
    if (!row->next)
        lane->last = &row->next;
    lane->n_rows++;
}

enum rc lane_add(struct queue *q, struct view route, uint64_t rcpt, uint64_t message, int priority)
{
    if (idset_has(&q->known, rcpt))
        return RC_EXISTS;
    if (q->snapshot->set.relay_host)
        route = VIEW(""); /* one destination for all */
    struct lane *lane = lane_find(q, route, true);
    if (!lane)
        return RC_LIMIT;
    if (lane->n_rows + lane->n_working >= QUEUE_LANE_MAX || q->n_rows >= QUEUE_ACTIVE_MAX) {
        lane_set_more(q, lane, true);
        return RC_LIMIT;
    }
    struct row *row = malloc(sizeof *row);
    if (!row || idset_add(&q->known, rcpt) != RC_OK) {
        free(row);
        lane_set_more(q, lane, true);
        return RC_LIMIT;
    }
    *row = (struct row){.rcpt = rcpt, .message = message, .priority = priority};
    insert_row(lane, row);
    q->n_rows++;
    if (!lane->is_ready)
        ready_append(q, lane);
    return RC_OK;
}

size_t lane_take(struct queue *q, struct lane *lane, uint64_t *message, uint64_t *rcpts, size_t max)
{
    size_t n = 0;
    *message = lane->first->message;
    for (struct row **at = &lane->first; *at && n < max;) {
        struct row *row = *at;
        if (row->message != *message) {
            at = &row->next;
            continue;
        }
        rcpts[n++] = row->rcpt;
        *at = row->next;
        if (!*at)
            lane->last = at;
        free(row);
    }
    lane->n_rows -= n;
    lane->n_working += n;
    if (!lane->first)
        ready_remove(q, lane);
    return n;
}

void lane_forget(struct queue *q, struct lane *lane, const uint64_t *rcpts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        idset_remove(&q->known, rcpts[i]);
    lane->n_working -= n;
    q->n_rows -= n;
}

void lane_set_more(struct queue *q, struct lane *lane, bool more)
{
    if (lane->more == more)
        return;
    lane->more = more;
    if (more)
        q->n_more++;
    else
        q->n_more--;
}

/* --- how much at a time --- */

void lane_succeeded(struct queue *q, struct lane *lane)
{
    const unsigned most = q->snapshot->set.per_destination;
    lane->failures = 0;
    lane->rest_until_ms = 0;
    if (lane->window > most) /* a reload lowered it */
        lane->window = most;
    if (++lane->good >= lane->window && lane->window < most) {
        lane->window++;
        lane->good = 0;
    }
}

void lane_failed(struct queue *q, struct lane *lane, const struct deliver_job *job)
{
    const struct queue_settings *set = &q->snapshot->set;
    lane->good = 0;
    lane->window = lane->window > 1 ? lane->window / 2 : 1;
    if (is_resting(lane)) /* others of the same window: one failure is enough */
        return;
    int64_t rest = outcome_retry_ms(set, lane->failures);
    if (rest > LANE_REST_MAX_MS)
        rest = LANE_REST_MAX_MS;
    lane->failures++;
    lane->rest_until_ms = clock_real_ms() + rest;
    lane->rest_ended_mono_ms = deadline_in(rest);
    memcpy(lane->why, job->why, sizeof lane->why);
    memcpy(lane->status, job->status, sizeof lane->status);
    log_info("queue.route.resting", F_VIEW("route", route_of(lane)), F_INT("failures", lane->failures), F_INT("ms", rest),
             F_CSTR("reason", lane->why));
}

void lane_wake_all(struct queue *q)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane *lane = q->lanes[i]; lane; lane = lane->hash_next)
            lane->rest_until_ms = 0;
}

/* --- connections that wait --- */

struct smtp_client *lane_take_client(struct lane *lane)
{
    struct idle_client *idle = lane->idle;
    if (!idle)
        return NULL;
    struct smtp_client *client = idle->client;
    lane->idle = idle->next;
    lane->n_idle--;
    free(idle);
    return client;
}

void lane_keep_client(struct queue *q, struct lane *lane, struct smtp_client *client)
{
    struct idle_client *idle = malloc(sizeof *idle);
    if (!idle) {
        smtp_client_close(client, false);
        return;
    }
    *idle = (struct idle_client){.client = client, .until_ms = deadline_in(LANE_IDLE_MS)};
    if (q->stop || lane->n_idle >= lane->window) {
        idle->next = q->closing;
        q->closing = idle;
        return;
    }
    idle->next = lane->idle;
    lane->idle = idle;
    lane->n_idle++;
}

/* The one that was used last stands first: so all behind the first that is too old are too old. */
static int64_t retire_clients(struct queue *q, struct lane *lane, int64_t now, bool all)
{
    int64_t next = INT64_MAX;
    struct idle_client **at = &lane->idle;
    while (*at && !all && (*at)->until_ms > now) {
        next = (*at)->until_ms < next ? (*at)->until_ms : next;
        at = &(*at)->next;
    }
    while (*at) {
        struct idle_client *idle = *at;
        *at = idle->next;
        idle->next = q->closing;
        q->closing = idle;
        lane->n_idle--;
    }
    return next;
}

static bool is_forgettable(const struct lane *lane, int64_t now)
{
    return !lane->first && lane->n_working == 0 && lane->active == 0 && !lane->idle && !lane->more &&
           (lane->failures == 0 || now > lane->rest_ended_mono_ms + LANE_MEMORY_MS);
}

int64_t lane_tidy(struct queue *q, bool all)
{
    int64_t now = clock_mono_ms(), next = INT64_MAX;
    for (size_t i = 0; i < LANE_BUCKETS; i++) {
        for (struct lane **at = &q->lanes[i]; *at;) {
            struct lane *lane = *at;
            int64_t one = retire_clients(q, lane, now, all);
            next = one < next ? one : next;
            if (is_forgettable(lane, now)) {
                *at = lane->hash_next;
                free(lane);
                q->n_lanes--;
            } else {
                at = &lane->hash_next;
            }
        }
    }
    return next;
}

void lane_free_all(struct queue *q)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++) {
        for (struct lane *lane = q->lanes[i], *next; lane; lane = next) {
            next = lane->hash_next;
            for (struct row *row = lane->first, *after; row; row = after) {
                after = row->next;
                free(row);
            }
            for (struct smtp_client *client; (client = lane_take_client(lane));)
                smtp_client_close(client, false);
            free(lane);
        }
        q->lanes[i] = NULL;
    }
}
