/* store/mailq_look: what the scheduler and operators read of the queue, and what operators change. */
#include <stdlib.h>

#include "base/clock.h"
#include "store/mailq_internal.h"
#include "store/store_internal.h"

/* --- what is due --- */

struct due_question {
    struct view route; /* empty: any */
    int64_t after_ms, now_ms;
    uint64_t after;
    size_t max;
    struct arena *a;
    struct mailq_due *out;
    size_t n;
};

#define DUE_COLUMNS "id, message, account, route, due_ms, priority"

static enum rc take_due(struct db_query *q, struct due_question *d)
{
    struct mailq_due *row = &d->out[d->n++];

    *row = (struct mailq_due){.rcpt = (uint64_t)db_number(q, 0),
                              .message = (uint64_t)db_number(q, 1),
                              .account = (uint64_t)db_number(q, 2),
                              .due_ms = db_number(q, 4),
                              .priority = (int)db_number(q, 5)};
    return db_bytes_dup(q, 3, d->a, &row->route);
}

static enum rc look_at_due(struct db *db, void *ctx)
{
    struct due_question *d = ctx;
    struct db_query *q = NULL;
    enum rc rc;

    if (d->route.n > 0)
        rc = db_query(db, &q, "SELECT " DUE_COLUMNS " FROM queue_rcpt WHERE held = 0 AND route <> '' AND route = $1"
                              " AND due_ms <= $2 ORDER BY due_ms, id LIMIT $3", DB_T(d->route), DB_N(d->now_ms), DB_N(d->max));
    else
        rc = db_query(db, &q, "SELECT " DUE_COLUMNS " FROM queue_rcpt WHERE held = 0 AND (due_ms, id) > ($1, $2)"
                              " AND due_ms <= $3 ORDER BY due_ms, id LIMIT $4",
                      DB_N(d->after_ms), DB_N(d->after), DB_N(d->now_ms), DB_N(d->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = take_due(q, d);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc ask_due(struct store *s, struct due_question *d, struct mailq_due **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    d->out = arena_new_array(d->a, d->max, struct mailq_due);
    if (!d->out)
        return RC_TEMP;
    enum rc rc = mailq_look(s, look_at_due, d);
    if (rc == RC_OK) {
        *out = d->out;
        *n = d->n;
    }
    return rc;
}

enum rc mailq_due(struct store *s, int64_t after_ms, uint64_t after_rcpt, int64_t now_ms, size_t max, struct arena *a,
                  struct mailq_due **out, size_t *n)
{
    struct due_question d = {.after_ms = after_ms, .after = after_rcpt, .now_ms = now_ms, .max = max, .a = a};
    return ask_due(s, &d, out, n);
}

enum rc mailq_due_route(struct store *s, struct view route, int64_t now_ms, size_t max, struct arena *a, struct mailq_due **out,
                        size_t *n)
{
    struct due_question d = {.route = route, .now_ms = now_ms, .max = max, .a = a};

    *out = NULL;
    *n = 0;
    return route.n == 0 ? RC_OK : ask_due(s, &d, out, n);
}

/* A question of one number. */
struct number_question {
    int64_t in, out;
};

static enum rc finish_number(struct db_query *q, enum rc rc, struct number_question *x)
{
    if (rc == RC_OK)
        x->out = db_number(q, 0);
    db_done(q);
    return rc;
}

static enum rc look_at_next_due(struct db *db, void *ctx)
{
    struct number_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT due_ms FROM queue_rcpt WHERE held = 0 AND due_ms > $1 ORDER BY due_ms, id LIMIT 1",
                          DB_N(x->in));
    return finish_number(q, rc, x);
}

enum rc mailq_next_due(struct store *s, int64_t after_ms, int64_t *due_ms)
{
    struct number_question x = {.in = after_ms};
    enum rc rc = mailq_look(s, look_at_next_due, &x);

    *due_ms = x.out;
    return rc;
}

static enum rc look_at_oldest(struct db *db, void *ctx)
{
    struct number_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM queue_rcpt ORDER BY id LIMIT 1");
    return finish_number(q, rc, x);
}

enum rc mailq_oldest(struct store *s, uint64_t *out)
{
    struct number_question x = {0};
    enum rc rc = mailq_look(s, look_at_oldest, &x);

    *out = rc == RC_OK ? (uint64_t)x.out : UINT64_MAX;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* --- one message and its recipients --- */

struct message_question {
    uint64_t id;
    struct arena *a;
    struct mailq_message *m;
    struct mailq_rcpt *rcpts;
    uint64_t message; /* of the recipient */
    size_t n;
};

static enum rc look_at_message(struct db *db, void *ctx)
{
    struct message_question *x = ctx;
    struct mailq_message *m = x->m;
    struct db_query *q;
    enum rc rc = db_first(db, &q,
                          "SELECT blob, skip, size, sender, envid, ret, body, smtputf8, require_tls, priority, created_ms,"
                          " release_ms, deliver_by_ms, deliver_by_return, account, peer, seal, junk, lane"
                          " FROM queue_message WHERE id = $1",
                          DB_N(x->id));
    if (rc != RC_OK)
        return rc;
    *m = (struct mailq_message){.id = x->id,
                                .blob = (uint64_t)db_number(q, 0),
                                .skip = (uint32_t)db_number(q, 1),
                                .size = (uint64_t)db_number(q, 2),
                                .body = (enum mailq_body)db_number(q, 6),
                                .smtputf8 = db_number(q, 7) != 0,
                                .require_tls = db_number(q, 8) != 0,
                                .priority = (int)db_number(q, 9),
                                .created_ms = db_number(q, 10),
                                .release_ms = db_number(q, 11),
                                .deliver_by_ms = db_number(q, 12),
                                .deliver_by_return = db_number(q, 13) & 1, /* bit 0 the by-mode, bit 1 the by-trace */
                                .deliver_by_trace = db_number(q, 13) >> 1 & 1,
                                .account = (uint64_t)db_number(q, 14),
                                .junk = db_number(q, 17) != 0,
                                .lane = db_number(q, 18) == LANE_REPORTS ? LANE_REPORTS : LANE_MAIL};
    switch (db_number(q, 5)) {
    case RET_FULL:
        m->ret = RET_FULL;
        break;
    case RET_HDRS:
        m->ret = RET_HDRS;
        break;
    }
    rc = db_bytes_dup(q, 3, x->a, &m->sender);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 4, x->a, &m->envid);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 15, x->a, &m->peer);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 16, x->a, &m->seal);
    db_done(q);
    return rc;
}

enum rc mailq_message(struct store *s, uint64_t id, struct arena *a, struct mailq_message *out)
{
    struct message_question x = {.id = id, .a = a, .m = out};
    return mailq_look(s, look_at_message, &x);
}

#define RCPT_COLUMNS                                                                                                   \
    "id, message, account, notify, forwarded, due_ms, attempts, held, delay_told, last_attempt_ms,"                    \
    " address, detail, route, orcpt, original, last_reply, last_mx, sender"

static enum rc take_rcpt(struct db_query *q, struct arena *a, struct mailq_rcpt *r)
{
    struct view *texts[] = {&r->address, &r->detail, &r->route, &r->orcpt, &r->original, &r->last_reply, &r->last_mx, &r->sender};
    enum rc rc = RC_OK;

    *r = (struct mailq_rcpt){.id = (uint64_t)db_number(q, 0),
                             .account = (uint64_t)db_number(q, 2),
                             .notify = (unsigned)db_number(q, 3),
                             .forwarded = db_number(q, 4) != 0,
                             .due_ms = db_number(q, 5),
                             .attempts = (uint32_t)db_number(q, 6),
                             .held = db_number(q, 7) != 0,
                             .delay_told = db_number(q, 8) != 0,
                             .last_attempt_ms = db_number(q, 9)};
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts) && rc == RC_OK; i++)
        rc = db_bytes_dup(q, 10 + i, a, texts[i]);
    return rc;
}

static enum rc look_at_rcpt(struct db *db, void *ctx)
{
    struct message_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " RCPT_COLUMNS " FROM queue_rcpt WHERE id = $1", DB_N(x->id));

    if (rc == RC_OK) {
        x->message = (uint64_t)db_number(q, 1);
        rc = take_rcpt(q, x->a, x->rcpts);
    }
    db_done(q);
    return rc;
}

enum rc mailq_rcpt(struct store *s, uint64_t id, struct arena *a, uint64_t *message, struct mailq_rcpt *out)
{
    struct message_question x = {.id = id, .a = a, .rcpts = out};
    enum rc rc = mailq_look(s, look_at_rcpt, &x);

    *message = x.message;
    return rc;
}

/* The numbers of a message's recipients; how many of them wait still. RC_NOTFOUND: no such message. */
static enum rc read_range(struct db *db, uint64_t message, int64_t *last, size_t *waiting)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT last_rcpt, waiting FROM queue_message WHERE id = $1", DB_N(message));

    if (rc == RC_OK) {
        *last = db_number(q, 0);
        *waiting = (size_t)db_number(q, 1);
    }
    db_done(q);
    return rc;
}

static enum rc look_at_rcpts(struct db *db, void *ctx)
{
    struct message_question *x = ctx;
    struct db_query *q;
    int64_t last;
    size_t waiting;
    enum rc rc = read_range(db, x->id, &last, &waiting);

    if (rc != RC_OK)
        return rc;
    x->rcpts = arena_new_array(x->a, waiting, struct mailq_rcpt);
    if (!x->rcpts)
        return RC_TEMP;
    rc = db_query(db, &q, "SELECT " RCPT_COLUMNS " FROM queue_rcpt WHERE id > $1 AND id <= $2 ORDER BY id", DB_N(x->id),
                  DB_N(last));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && x->n < waiting)
        rc = take_rcpt(q, x->a, &x->rcpts[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailq_rcpts(struct store *s, uint64_t message, struct arena *a, struct mailq_rcpt **out, size_t *n)
{
    struct message_question x = {.id = message, .a = a};
    enum rc rc = mailq_look(s, look_at_rcpts, &x);

    *out = x.rcpts;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

struct story_question {
    uint64_t message;
    const struct mailq_rcpt *r;
    struct arena *a;
    struct mailq_attempt *out;
    size_t n;
};

static enum rc take_attempt(struct db_query *q, struct arena *a, struct mailq_attempt *t)
{
    struct view *texts[] = {&t->mx, &t->address, &t->tls, &t->policy, &t->reply, &t->result};
    enum rc rc = RC_OK;

    *t = (struct mailq_attempt){.rcpt = (uint64_t)db_number(q, 0), .at_ms = db_number(q, 1)};
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts) && rc == RC_OK; i++)
        rc = db_bytes_dup(q, 2 + i, a, texts[i]);
    return rc;
}

static enum rc look_at_story(struct db *db, void *ctx)
{
    struct story_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT rcpt, at_ms, mx, address, tls, policy, reply, result FROM queue_attempt"
                                  " WHERE message = $1 AND route = $2 AND rcpt IN (0, $3) ORDER BY seq",
                          DB_N(x->message), DB_T(x->r->route), DB_N(x->r->id));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && x->n < 2 * MAILQ_STORY_MAX)
        rc = take_attempt(q, x->a, &x->out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailq_story(struct store *s, uint64_t message, const struct mailq_rcpt *r, struct arena *a, struct mailq_attempt **out, size_t *n)
{
    struct story_question x = {.message = message, .r = r, .a = a, .out = arena_new_array(a, 2 * MAILQ_STORY_MAX, struct mailq_attempt)};
    enum rc rc = x.out ? mailq_look(s, look_at_story, &x) : RC_TEMP;

    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* --- operators --- */

static enum rc look_at_counts(struct db *db, void *ctx)
{
    struct mailq_counts *c = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT messages, rcpts, held, bytes FROM queue_state WHERE one = 1");

    if (rc == RC_OK) {
        c->messages = (uint64_t)db_number(q, 0);
        c->rcpts = (uint64_t)db_number(q, 1);
        c->held = (uint64_t)db_number(q, 2);
        c->ready = c->rcpts - c->held;
        c->bytes = (uint64_t)db_number(q, 3);
    }
    db_done(q);
    return rc;
}

enum rc mailq_count(struct store *s, struct mailq_counts *out)
{
    *out = (struct mailq_counts){0};
    return mailq_look(s, look_at_counts, out);
}

struct list_question {
    uint64_t after;
    size_t max, n;
    uint64_t *out;
    bool blobs;
};

static enum rc look_at_list(struct db *db, void *ctx)
{
    struct list_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id FROM queue_message WHERE id > $1 ORDER BY id LIMIT $2", DB_N(x->after),
                          DB_N(x->max));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        x->out[x->n++] = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailq_list(struct store *s, uint64_t after, size_t max, struct arena *a, uint64_t **out, size_t *n)
{
    struct list_question x = {.after = after, .max = max, .out = arena_new_array(a, max, uint64_t)};
    enum rc rc = x.out ? mailq_look(s, look_at_list, &x) : RC_TEMP;

    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

static enum rc look_at_blobs(struct db *db, void *ctx)
{
    struct list_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT DISTINCT blob FROM queue_message ORDER BY blob");

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (x->n == x->max) {
            size_t max = x->max ? 2 * x->max : 256;
            uint64_t *more = reallocarray(x->out, max, sizeof *more);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            x->out = more;
            x->max = max;
        }
        x->out[x->n++] = (uint64_t)db_number(q, 0);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailq_blobs(struct store *s, uint64_t **out, size_t *n)
{
    struct list_question x = {0};
    enum rc rc = mailq_look(s, look_at_blobs, &x);

    if (rc != RC_OK) {
        free(x.out);
        x = (struct list_question){0};
    }
    *out = x.out;
    *n = x.n;
    return rc;
}

struct order {
    uint64_t message; /* 0: all */
    struct view route;
    bool held;
    int64_t first, last; /* numbers of the recipients meant */
    uint64_t n;
};

/* RC_NOTFOUND: no such message. */
static enum rc set_range(struct db *db, struct order *o)
{
    size_t waiting;

    o->first = 0;
    o->last = INT64_MAX;
    if (o->message == 0)
        return RC_OK;
    o->first = (int64_t)o->message;
    return read_range(db, o->message, &o->last, &waiting);
}

static enum rc do_flush(struct db *db, void *ctx)
{
    struct order *o = ctx;
    enum rc rc = set_range(db, o);

    if (rc == RC_OK && o->route.n > 0)
        rc = db_exec(db, "UPDATE queue_rcpt SET due_ms = $1 WHERE id > $2 AND id <= $3 AND held = 0 AND route <> '' AND route = $4",
                     DB_N(clock_real_ms()), DB_N(o->first), DB_N(o->last), DB_T(o->route));
    else if (rc == RC_OK)
        rc = db_exec(db, "UPDATE queue_rcpt SET due_ms = $1 WHERE id > $2 AND id <= $3 AND held = 0", DB_N(clock_real_ms()),
                     DB_N(o->first), DB_N(o->last));
    o->n = rc == RC_OK ? (uint64_t)db_changed(db) : 0;
    return rc;
}

static enum rc do_hold(struct db *db, void *ctx)
{
    struct order *o = ctx;
    enum rc rc = set_range(db, o);

    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE queue_rcpt SET held = $1 WHERE id > $2 AND id <= $3 AND held <> $1", DB_N(o->held),
                     DB_N(o->first), DB_N(o->last));
    if (rc != RC_OK)
        return rc;
    o->n = (uint64_t)db_changed(db);
    return db_exec(db, "UPDATE queue_state SET held = held + $1 WHERE one = 1", DB_N(o->held ? (int64_t)o->n : -(int64_t)o->n));
}

static enum rc do_remove(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = set_range(db, o);
    int64_t held = 0, rcpts = 0, messages = 0, bytes = 0;

    if (rc != RC_OK)
        return rc;
    rc = db_first(db, &q, "SELECT count(*), coalesce(sum(held), 0) FROM queue_rcpt WHERE id > $1 AND id <= $2", DB_N(o->first),
                  DB_N(o->last));
    if (rc == RC_OK) {
        rcpts = db_number(q, 0);
        held = db_number(q, 1);
        db_done(q);
        rc = db_first(db, &q, "SELECT count(*), coalesce(sum(size), 0) FROM queue_message WHERE id >= $1 AND id <= $2",
                      DB_N(o->first), DB_N(o->message ? o->first : INT64_MAX));
    }
    if (rc == RC_OK) {
        messages = db_number(q, 0);
        bytes = db_number(q, 1);
        db_done(q);
        rc = db_exec(db, "DELETE FROM queue_rcpt WHERE id > $1 AND id <= $2", DB_N(o->first), DB_N(o->last));
    }
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM queue_attempt WHERE message >= $1 AND message <= $2", DB_N(o->first),
                     DB_N(o->message ? o->first : INT64_MAX));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM queue_message WHERE id >= $1 AND id <= $2", DB_N(o->first),
                     DB_N(o->message ? o->first : INT64_MAX));
    o->n = (uint64_t)rcpts;
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "UPDATE queue_state SET messages = messages - $1, rcpts = rcpts - $2, held = held - $3,"
                       " bytes = bytes - $4 WHERE one = 1", DB_N(messages), DB_N(rcpts), DB_N(held), DB_N(bytes));
}

static enum rc give_order(struct store *s, struct order *o, db_fn fn, uint64_t *n)
{
    enum rc rc = mailq_txn(s, fn, o);

    *n = rc == RC_OK ? o->n : 0;
    return rc;
}

enum rc mailq_flush(struct store *s, uint64_t message, struct view route, uint64_t *n)
{
    struct order o = {.message = message, .route = route};
    return give_order(s, &o, do_flush, n);
}

enum rc mailq_hold(struct store *s, uint64_t message, bool held, uint64_t *n)
{
    struct order o = {.message = message, .held = held};
    return give_order(s, &o, do_hold, n);
}

enum rc mailq_remove(struct store *s, uint64_t message, uint64_t *n)
{
    struct order o = {.message = message};
    return give_order(s, &o, do_remove, n);
}
