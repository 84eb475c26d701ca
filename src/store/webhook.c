#include "store/webhook.h"

#include "store/directory_internal.h"
#include "store/mailq_internal.h"

struct question {
    uint64_t account, id;
    const struct webhook *hook;
    struct arena *a;
    struct webhook *hooks;
    size_t n;
    /* calls */
    struct view text;
    int64_t now_s, due_s;
    size_t max;
    struct webhook_call *calls;
    const struct webhook_call *call;
};

static enum rc count(struct db *db, const char *sql, uint64_t key, int64_t *n)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, sql, DB_N(key));
    if (rc == RC_OK)
        *n = db_number(q, 0);
    db_done(q);
    return rc;
}

static enum rc add(struct db *db, void *ctx)
{
    struct question *x = ctx;
    int64_t there = 0, last = 0;
    enum rc rc = count(db, "SELECT COUNT(*) FROM webhook WHERE account = $1", x->account, &there);
    if (rc == RC_OK && there >= WEBHOOKS_MAX)
        return RC_LIMIT;
    if (rc == RC_OK)
        rc = count(db, "SELECT COALESCE(MAX(id), 0) FROM webhook WHERE id > $1", 0, &last);
    x->id = (uint64_t)last + 1;
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO webhook (id, account, url, events, secret, created_s, last, last_s) VALUES ($1, $2, $3, $4, $5, $6, '', 0)",
                     DB_N(x->id), DB_N(x->account), DB_T(x->hook->url), DB_N(x->hook->events), DB_T(x->hook->secret), DB_N(x->hook->created_s));
    return rc;
}

static enum rc list(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT id, url, events, secret, created_s, last, last_s FROM webhook WHERE account = $1 ORDER BY id",
                          DB_N(x->account));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && x->n < WEBHOOKS_MAX) {
        struct webhook *w = &x->hooks[x->n++];
        *w = (struct webhook){.id = (uint64_t)db_number(q, 0), .events = (unsigned)db_number(q, 2), .created_s = db_number(q, 4),
                              .last_s = db_number(q, 6)};
        rc = db_bytes_dup(q, 1, x->a, &w->url);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 3, x->a, &w->secret);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 5, x->a, &w->last);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc remove_one(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM webhook WHERE id = $1 AND account = $2", DB_N(x->id), DB_N(x->account));
    if (rc == RC_OK && db_changed(db) == 0)
        return RC_NOTFOUND;
    return rc == RC_OK ? db_exec(db, "DELETE FROM webhook_call WHERE hook = $1", DB_N(x->id)) : rc;
}

enum rc webhook_add(struct store *s, uint64_t account, const struct webhook *w, uint64_t *id)
{
    struct question x = {.account = account, .hook = w};
    enum rc rc = directory_txn(s, add, &x);
    *id = x.id;
    return rc;
}

enum rc webhook_list(struct store *s, uint64_t account, struct arena *a, struct webhook **out, size_t *n)
{
    struct question x = {.account = account, .a = a, .hooks = arena_new_array(a, WEBHOOKS_MAX, struct webhook)};
    enum rc rc = x.hooks ? directory_look(s, list, &x) : RC_TEMP;
    *out = x.hooks;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

enum rc webhook_remove(struct store *s, uint64_t account, uint64_t id)
{
    struct question x = {.account = account, .id = id};
    return directory_txn(s, remove_one, &x);
}

/* --- calls --- */

enum rc webhook_wanted_in(struct db *db, uint64_t account, unsigned event, bool *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM webhook WHERE account = $1 AND (events & $2) <> 0", DB_N(account), DB_N(event));
    *out = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc list_wanting(struct db *db, uint64_t account, unsigned event, uint64_t ids[WEBHOOKS_MAX], size_t *n)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id FROM webhook WHERE account = $1 AND (events & $2) <> 0", DB_N(account), DB_N(event));
    *n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && *n < WEBHOOKS_MAX)
        ids[(*n)++] = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc webhook_tell_in(struct db *db, uint64_t account, unsigned event, struct view body, int64_t now_s)
{
    uint64_t ids[WEBHOOKS_MAX];
    size_t n;
    enum rc rc = list_wanting(db, account, event, ids, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        int64_t waiting = 0, last = 0, due_s = 0;
        rc = count(db, "SELECT COUNT(*) FROM webhook_call WHERE hook = $1", ids[i], &waiting);
        if (rc == RC_OK) /* where others wait, for the hook did not answer, this one does too */
            rc = count(db, "SELECT COALESCE(MIN(due_s), 0) FROM webhook_call WHERE hook = $1", ids[i], &due_s);
        if (rc != RC_OK || waiting >= WEBHOOK_CALLS_MAX)
            continue;
        if (due_s < now_s)
            due_s = now_s;
        rc = count(db, "SELECT COALESCE(MAX(id), 0) FROM webhook_call WHERE id > $1", 0, &last);
        if (rc == RC_OK)
            rc = db_exec(db, "INSERT INTO webhook_call (id, hook, due_s, tries, made_s, event, body) VALUES ($1, $2, $3, 0, $4, $5, $6)",
                         DB_N(last + 1), DB_N(ids[i]), DB_N(due_s), DB_N(now_s), DB_N(event), DB_T(body));
    }
    return rc;
}

static enum rc look_at_due(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT c.id, c.hook, w.url, w.secret, c.body, c.event, c.tries, c.made_s FROM webhook_call c"
                                  " JOIN webhook w ON w.id = c.hook WHERE c.due_s <= $1 ORDER BY c.due_s, c.id LIMIT $2",
                          DB_N(x->now_s), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct webhook_call *c = &x->calls[x->n++];
        struct view *texts[] = {&c->url, &c->secret, &c->body};
        *c = (struct webhook_call){.id = (uint64_t)db_number(q, 0), .hook = (uint64_t)db_number(q, 1), .event = (unsigned)db_number(q, 5),
                                   .tries = (unsigned)db_number(q, 6), .made_s = db_number(q, 7)};
        for (int i = 0; i < 3 && rc == RC_OK; i++)
            rc = db_bytes_dup(q, 2 + i, x->a, texts[i]);
    }
    db_done(q);
    if (rc != RC_NOTFOUND)
        return rc;
    rc = db_first(db, &q, "SELECT due_s FROM webhook_call WHERE due_s > $1 ORDER BY due_s, id LIMIT 1", DB_N(x->now_s));
    x->due_s = rc == RC_OK ? db_number(q, 0) : INT64_MAX;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc webhook_due(struct store *s, int64_t now_s, size_t max, struct arena *a, struct webhook_call **out, size_t *n, int64_t *next_s)
{
    struct question x = {.now_s = now_s, .max = max, .a = a, .calls = arena_new_array(a, max, struct webhook_call)};
    enum rc rc = x.calls ? directory_look(s, look_at_due, &x) : RC_TEMP;
    *out = x.calls;
    *n = rc == RC_OK ? x.n : 0;
    *next_s = x.due_s;
    return rc;
}

static enum rc note_call(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    enum rc rc = x->due_s > 0 ? db_exec(db, "UPDATE webhook_call SET due_s = $1, tries = tries + 1 WHERE id = $2", DB_N(x->due_s), DB_N(x->call->id))
                              : db_exec(db, "DELETE FROM webhook_call WHERE id = $1", DB_N(x->call->id));
    if (rc == RC_OK && x->due_s > 0)
        rc = db_exec(db, "UPDATE webhook_call SET due_s = $1 WHERE hook = $2 AND due_s < $1", DB_N(x->due_s), DB_N(x->call->hook));
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE webhook SET last = $1, last_s = $2 WHERE id = $3", DB_T(x->text), DB_N(x->now_s), DB_N(x->call->hook));
    return rc;
}

enum rc webhook_called(struct store *s, const struct webhook_call *c, struct view last, int64_t now_s, int64_t due_s)
{
    struct question x = {.call = c, .text = last, .now_s = now_s, .due_s = due_s};
    return directory_txn(s, note_call, &x);
}
