#include "store/mailq.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "store/blob.h"
#include "store/mailq_internal.h"
#include "store/store_internal.h"

/* A sync costs as much for ten messages as for one. So a commit waits for as many as were about during the last one (in it, or
 * waiting behind it), for three times what a commit takes at most: whoever was answered just now is likely to come back with the next
 * message. One client alone never waits. */
#define GATHER_MAX_US 5000
#define GATHER_MAX    64

/* A submission, results, or both, of one thread. */
struct mailq_job {
    struct mailq_message *m; /* NULL: only results */
    struct mailq_rcpt *rcpts;
    size_t n;
    const struct mailq_result *results;
    size_t n_results;
    enum rc rc;
    bool done;
    pthread_cond_t wake;
    struct mailq_job *next;
};

enum rc mailq_open(struct db *db, struct mailq **out)
{
    struct mailq *q = calloc(1, sizeof *q);

    if (!q)
        return RC_TEMP;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_mutex_init(&q->gathering, NULL);
    pthread_condattr_init(&q->clock);
    pthread_condattr_setclock(&q->clock, CLOCK_MONOTONIC);
    q->db = db;
    q->last = &q->first;
    *out = q;
    return RC_OK;
}

void mailq_close(struct mailq *q)
{
    if (!q)
        return;
    db_close(q->db);
    pthread_mutex_destroy(&q->mutex);
    pthread_mutex_destroy(&q->gathering);
    pthread_condattr_destroy(&q->clock);
    free(q);
}

void mailq_set_wake(struct store *s, mailq_wake_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->mailq->gathering);
    s->mailq->wake = fn;
    s->mailq->wake_ctx = ctx;
    pthread_mutex_unlock(&s->mailq->gathering);
}

enum rc mailq_look(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->mailq->mutex);
    enum rc rc = db_look(s->mailq->db, fn, ctx);
    pthread_mutex_unlock(&s->mailq->mutex);
    return rc;
}

enum rc mailq_txn(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->mailq->mutex);
    enum rc rc = db_txn(s->mailq->db, fn, ctx);
    pthread_mutex_unlock(&s->mailq->mutex);
    return rc == RC_OK ? db_sync(s->mailq->db) : rc;
}

/* Local results are committed without waiting for the disk; now and then it is told. */
enum rc mailq_sync(struct store *s)
{
    return db_sync(s->mailq->db);
}

/* --- one transaction for all that wait --- */

/* What a group does to queue_state. */
struct group {
    struct mailq_job *jobs;
    int64_t next_id;
    int64_t messages, rcpts, held, bytes;
    bool promises; /* something in it must be durable before anybody is told */
};

static enum rc insert_rcpt(struct db *db, const struct mailq_message *m, const struct mailq_rcpt *r)
{
    return db_exec(db,
                   "INSERT INTO queue_rcpt (id, message, account, route, priority, held, due_ms, attempts, delay_told, notify,"
                   " forwarded, address, detail, orcpt, original, last_reply, last_mx, last_attempt_ms, sender)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
                   DB_N(r->id), DB_N(m->id), DB_N(r->account), DB_T(r->route), DB_N(mailq_row_priority(m)), DB_N(r->held),
                   DB_N(r->due_ms), DB_N(r->attempts), DB_N(r->delay_told), DB_N(r->notify), DB_N(r->forwarded),
                   DB_T(r->address), DB_T(r->detail), DB_T(r->orcpt), DB_T(r->original), DB_T(r->last_reply),
                   DB_T(r->last_mx), DB_N(r->last_attempt_ms), DB_T(r->sender));
}

/* A message's recipients have the numbers that follow its own, so that no index from message to recipients is needed. */
static enum rc insert_message(struct db *db, struct group *g, struct mailq_message *m, struct mailq_rcpt *rcpts, size_t n)
{
    m->id = (uint64_t)g->next_id++;
    enum rc rc = db_exec(db,
                         "INSERT INTO queue_message (id, last_rcpt, waiting, blob, skip, size, sender, envid, ret, body,"
                         " smtputf8, require_tls, priority, created_ms, release_ms, deliver_by_ms, deliver_by_return, account,"
                         " peer, seal, junk, lane) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"
                         " $19, $20, $21, $22)",
                         DB_N(m->id), DB_N(m->id + n), DB_N(n), DB_N(m->blob), DB_N(m->skip), DB_N(m->size), DB_T(m->sender),
                         DB_T(m->envid), DB_N(m->ret), DB_N(m->body), DB_N(m->smtputf8), DB_N(m->require_tls),
                         DB_N(m->priority), DB_N(m->created_ms), DB_N(m->release_ms), DB_N(m->deliver_by_ms),
                         DB_N(m->deliver_by_return | m->deliver_by_trace << 1), DB_N(m->account), DB_T(m->peer), DB_T(m->seal),
                         DB_N(m->junk), DB_N(m->lane));
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rcpts[i].id = (uint64_t)g->next_id++;
        g->held += rcpts[i].held;
        rc = insert_rcpt(db, m, &rcpts[i]);
    }
    g->messages++;
    g->rcpts += (int64_t)n;
    g->bytes += (int64_t)m->size;
    g->promises = true;
    return rc;
}

static enum rc put_event(struct db *db, const struct mailq_event *e)
{
    const int64_t now_s = clock_real_s();
    enum rc rc = e->account && e->dead.n > 0 ? suppression_add_in(db, e->account, e->dead, e->reason, now_s) : RC_OK;
    if (rc == RC_OK && e->account && e->event)
        rc = webhook_tell_in(db, e->account, e->event, e->body, now_s);
    return rc;
}

static enum rc finish_rcpt(struct db *db, struct group *g, const struct mailq_result *r)
{
    const uint64_t id = r->rcpt;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT message, held, account FROM queue_rcpt WHERE id = $1", DB_N(id));

    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc; /* an operator removed it meanwhile */
    int64_t message = db_number(q, 0);
    g->held -= db_number(q, 1);
    /* To forget a local delivery is harmless, for it would be recognised when repeated; a remote one would be sent twice. */
    if (db_number(q, 2) == 0)
        g->promises = true;
    db_done(q);
    g->rcpts--;
    rc = put_event(db, &r->event);
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM queue_rcpt WHERE id = $1", DB_N(id));
    if (rc == RC_OK)
        rc = db_first(db, &q, "SELECT waiting, size, tries FROM queue_message WHERE id = $1", DB_N(message));
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    bool last = db_number(q, 0) <= 1;
    int64_t size = db_number(q, 1), tries = db_number(q, 2);
    db_done(q);
    if (!last)
        return db_exec(db, "UPDATE queue_message SET waiting = waiting - 1 WHERE id = $1", DB_N(message));
    g->messages--;
    g->bytes -= size;
    if (tries > 0 && (rc = db_exec(db, "DELETE FROM queue_attempt WHERE message = $1", DB_N(message))) != RC_OK)
        return rc;
    return db_exec(db, "DELETE FROM queue_message WHERE id = $1", DB_N(message));
}

static enum rc put_attempts(struct db *db, const struct mailq_result *r)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT tries FROM queue_message WHERE id = $1", DB_N(r->message));

    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc; /* removed meanwhile */
    int64_t seq = db_number(q, 0);
    db_done(q);
    for (size_t i = 0; i < r->n_attempts && rc == RC_OK; i++) {
        const struct mailq_attempt *t = &r->attempts[i];
        rc = db_exec(db, "INSERT INTO queue_attempt (message, route, rcpt, seq, at_ms, mx, address, tls, policy, reply, result)"
                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                     DB_N(r->message), DB_T(r->route), DB_N(t->rcpt), DB_N(++seq), DB_N(t->at_ms), DB_T(t->mx), DB_T(t->address),
                     DB_T(t->tls), DB_T(t->policy), DB_T(t->reply), DB_T(t->result));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM queue_attempt WHERE message = $1 AND route = $2 AND rcpt = $3 AND seq <="
                             " (SELECT seq FROM queue_attempt WHERE message = $1 AND route = $2 AND rcpt = $3"
                             " ORDER BY seq DESC LIMIT 1 OFFSET $4)",
                         DB_N(r->message), DB_T(r->route), DB_N(t->rcpt), DB_N(MAILQ_STORY_MAX));
    }
    return rc == RC_OK ? db_exec(db, "UPDATE queue_message SET tries = $1 WHERE id = $2", DB_N(seq), DB_N(r->message)) : rc;
}

static enum rc put_result(struct db *db, struct group *g, const struct mailq_result *r)
{
    if (r->kind == RESULT_DONE)
        return finish_rcpt(db, g, r);
    enum rc rc = r->n_attempts > 0 ? put_attempts(db, r) : RC_OK;
    if (rc != RC_OK)
        return rc;
    rc = db_exec(db,
                   "UPDATE queue_rcpt SET due_ms = $1, delay_told = $2, attempts = attempts + $3,"
                   " last_attempt_ms = CASE WHEN $3 = 0 THEN last_attempt_ms ELSE $4 END,"
                   " last_reply = CASE WHEN $5 = '' THEN last_reply ELSE $5 END,"
                   " last_mx = CASE WHEN $5 = '' THEN last_mx ELSE $6 END WHERE id = $7",
                   DB_N(r->due_ms), DB_N(r->delay_told), DB_N(r->count ? 1 : 0), DB_N(clock_real_ms()), DB_T(r->reply),
                   DB_T(r->mx), DB_N(r->rcpt));
    return rc == RC_OK && db_changed(db) > 0 ? put_event(db, &r->event) : rc;
}

static enum rc write_group(struct db *db, void *ctx)
{
    struct group *g = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT next_id FROM queue_state WHERE one = 1");

    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
    *g = (struct group){.jobs = g->jobs, .next_id = db_number(q, 0)};
    db_done(q);
    for (const struct mailq_job *job = g->jobs; job && rc == RC_OK; job = job->next) {
        if (job->m)
            rc = insert_message(db, g, job->m, job->rcpts, job->n);
        for (size_t i = 0; i < job->n_results && rc == RC_OK; i++)
            rc = put_result(db, g, &job->results[i]);
    }
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "UPDATE queue_state SET next_id = $1, messages = messages + $2, rcpts = rcpts + $3, held = held + $4,"
                       " bytes = bytes + $5 WHERE one = 1",
                   DB_N(g->next_id), DB_N(g->messages), DB_N(g->rcpts), DB_N(g->held), DB_N(g->bytes));
}

/* Bodies first: a row whose body is not there would be a promise that nobody made. */
static enum rc commit_group(struct store *s, struct mailq_job *jobs)
{
    struct group g = {.jobs = jobs};
    enum rc rc = RC_OK;
    bool bodies = false;

    for (const struct mailq_job *job = jobs; job; job = job->next)
        bodies |= job->m != NULL;
    if (bodies)
        rc = blob_sync(s);
    if (rc == RC_OK) {
        pthread_mutex_lock(&s->mailq->mutex);
        rc = db_txn(s->mailq->db, write_group, &g);
        pthread_mutex_unlock(&s->mailq->mutex);
    }
    return rc == RC_OK && g.promises ? db_sync(s->mailq->db) : rc;
}

static int64_t mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void add_job(struct mailq *q, struct mailq_job *job)
{
    *q->last = job;
    q->last = &job->next;
    if (!job->m)
        return;
    q->n_waiting++;
    if (q->gatherer && q->n_waiting >= q->expected)
        pthread_cond_signal(&q->gatherer->wake);
}

static void gather(struct mailq *q, struct mailq_job *job)
{
    if (!job->m || q->expected < 2)
        return;
    int64_t until = mono_us() + (q->commit_us < GATHER_MAX_US / 3 ? q->commit_us * 3 : GATHER_MAX_US);
    struct timespec at = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    q->gatherer = job;
    while (q->n_waiting < q->expected && pthread_cond_timedwait(&job->wake, &q->gathering, &at) == 0)
        continue;
    q->gatherer = NULL;
}

/* How many to expect next time, and how long a commit takes. */
static void learn(struct mailq *q, size_t n, int64_t took_us)
{
    if (n == 0)
        return;
    n = n + q->n_waiting < GATHER_MAX ? n + q->n_waiting : GATHER_MAX;
    q->expected = n >= q->expected ? n : (q->expected + n) / 2;
    q->commit_us += (took_us - q->commit_us) / 4;
}

/* Whoever finds nobody leading commits for all that have gathered; who comes while it works gathers for the next. */
static enum rc run_job(struct store *s, struct mailq_job *job)
{
    struct mailq *q = s->mailq;

    pthread_cond_init(&job->wake, &q->clock);
    pthread_mutex_lock(&q->gathering);
    add_job(q, job);
    while (!job->done && q->leading)
        pthread_cond_wait(&job->wake, &q->gathering);
    if (!job->done) {
        q->leading = true;
        gather(q, job);
        struct mailq_job *jobs = q->first;
        q->first = NULL;
        q->last = &q->first;
        size_t n_submitted = q->n_waiting;
        q->n_waiting = 0;
        pthread_mutex_unlock(&q->gathering);
        int64_t began = mono_us();
        enum rc rc = commit_group(s, jobs);
        pthread_mutex_lock(&q->gathering);
        learn(q, n_submitted, mono_us() - began);
        for (struct mailq_job *j = jobs; j; j = j->next) {
            j->rc = rc;
            j->done = true;
            pthread_cond_signal(&j->wake);
        }
        q->leading = false;
        if (q->first)
            pthread_cond_signal(&q->first->wake);
    }
    pthread_mutex_unlock(&q->gathering);
    pthread_cond_destroy(&job->wake);
    return job->rc;
}

enum rc mailq_submit_and_results(struct store *s, struct mailq_message *m, struct mailq_rcpt *rcpts, size_t n,
                                 const struct mailq_result *r, size_t n_results)
{
    struct mailq_job job = {.m = m, .rcpts = rcpts, .n = n, .results = r, .n_results = n_results};

    bug_if(m && n == 0);
    enum rc rc = run_job(s, &job);
    if (rc != RC_OK && m) {
        m->id = 0;
        for (size_t i = 0; i < n; i++)
            rcpts[i].id = 0;
    }
    if (rc != RC_OK || !m)
        return rc;
    pthread_mutex_lock(&s->mailq->gathering);
    mailq_wake_fn wake = s->mailq->wake;
    void *ctx = s->mailq->wake_ctx;
    pthread_mutex_unlock(&s->mailq->gathering);
    if (wake)
        wake(ctx, m, rcpts, n);
    return RC_OK;
}

enum rc mailq_submit(struct store *s, struct mailq_message *m, struct mailq_rcpt *rcpts, size_t n)
{
    return mailq_submit_and_results(s, m, rcpts, n, NULL, 0);
}

enum rc mailq_results(struct store *s, const struct mailq_result *r, size_t n)
{
    return n == 0 ? RC_OK : mailq_submit_and_results(s, NULL, NULL, 0, r, n);
}

/* --- events by themselves --- */

struct telling {
    const struct mailq_event *event;
    bool wanted;
};

static enum rc look_who_wants(struct db *db, void *ctx)
{
    struct telling *x = ctx;
    x->wanted = x->event->dead.n > 0;
    return x->wanted ? RC_OK : webhook_wanted_in(db, x->event->account, x->event->event, &x->wanted);
}

static enum rc tell(struct db *db, void *ctx)
{
    const struct telling *x = ctx;
    return put_event(db, x->event);
}

enum rc mailq_tell(struct store *s, const struct mailq_event *event)
{
    struct telling x = {.event = event};
    enum rc rc = event->account ? mailq_look(s, look_who_wants, &x) : RC_OK;
    return rc == RC_OK && x.wanted ? mailq_txn(s, tell, &x) : rc;
}
