#include "store/directory_dkim.h"

#include "base/clock.h"
#include "store/directory_internal.h"

struct key_list {
    struct view domain;
    struct arena *a;
    struct directory_dkim_key *v;
    size_t n, room;
};

static enum rc take_key(struct key_list *l, struct db_query *q)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 8;
        struct directory_dkim_key *more = arena_new_array(l->a, room, struct directory_dkim_key);
        if (!more)
            return RC_TEMP;
        if (l->n > 0)
            memcpy(more, l->v, l->n * sizeof *more);
        l->v = more;
        l->room = room;
    }
    struct directory_dkim_key *k = &l->v[l->n++];
    *k = (struct directory_dkim_key){.algorithm = (int)db_number(q, 2),
                                     .state = (enum dkim_key_state)db_number(q, 4),
                                     .created_s = db_number(q, 5),
                                     .active_s = db_number(q, 6),
                                     .retired_s = db_number(q, 7)};
    enum rc rc = db_bytes_dup(q, 0, l->a, &k->domain);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 1, l->a, &k->selector);
    return rc == RC_OK ? db_bytes_dup(q, 3, l->a, &k->public_key) : rc;
}

static enum rc take_keys(struct key_list *l, struct db_query *q, enum rc rc)
{
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = take_key(l, q);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

#define COLUMNS "domain, selector, algorithm, public_key, state, created_s, active_s, retired_s"

static enum rc list_keys(struct db *db, void *ctx)
{
    struct key_list *l = ctx;
    struct db_query *q = NULL;
    enum rc rc = l->domain.n > 0
                     ? db_query(db, &q, "SELECT " COLUMNS " FROM dkim_key WHERE domain = $1 ORDER BY selector", DB_T(l->domain))
                     : db_query(db, &q, "SELECT " COLUMNS " FROM dkim_key ORDER BY domain, selector");
    l->n = 0;
    return take_keys(l, q, rc);
}

static enum rc list_active(struct db *db, void *ctx)
{
    struct key_list *l = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT " COLUMNS " FROM dkim_key WHERE domain = $1 AND state = $2 ORDER BY algorithm, selector",
                          DB_T(l->domain), DB_N(DKIM_KEY_ACTIVE));
    l->n = 0;
    return take_keys(l, q, rc);
}

static enum rc run_list(struct store *s, db_fn fn, struct view domain, struct arena *a, struct directory_dkim_key **out, size_t *n)
{
    struct key_list l = {.a = a};
    struct buf b;
    enum rc rc = RC_OK;

    buf_init(&b, 256);
    if (domain.n > 0)
        rc = address_put_domain(domain, &b);
    l.domain = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_look(s, fn, &l);
    else if (rc != RC_TEMP)
        rc = RC_OK; /* what is no domain has no keys */
    buf_clear(&b);
    *out = l.v;
    *n = rc == RC_OK ? l.n : 0;
    return rc;
}

enum rc directory_dkim_keys(struct store *s, struct view domain, struct arena *a, struct directory_dkim_key **out, size_t *n)
{
    return run_list(s, list_keys, domain, a, out, n);
}

enum rc directory_dkim_active(struct store *s, struct view domain, struct arena *a, struct directory_dkim_key **out, size_t *n)
{
    return run_list(s, list_active, domain, a, out, n);
}

/* --- changes --- */

struct key_change {
    struct view domain, selector;
    const struct directory_dkim_key *keys;
    size_t n;
    int64_t now_s;
};

static enum rc retire_active(struct db *db, const struct key_change *c)
{
    return db_exec(db, "UPDATE dkim_key SET state = $1, retired_s = $2 WHERE domain = $3 AND state = $4", DB_N(DKIM_KEY_RETIRED),
                   DB_N(c->now_s), DB_T(c->domain), DB_N(DKIM_KEY_ACTIVE));
}

static enum rc has_next(struct db *db, struct view domain, bool *out)
{
    struct db_query *q = NULL;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM dkim_key WHERE domain = $1 AND state = $2 LIMIT 1", DB_T(domain), DB_N(DKIM_KEY_NEXT));

    *out = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc add_keys(struct db *db, void *ctx)
{
    const struct key_change *c = ctx;
    bool ours, waits;
    enum rc rc = directory_domain_is_ours(db, c->domain, &ours);

    if (rc != RC_OK || !ours)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = has_next(db, c->domain, &waits);
    if (rc == RC_OK && waits)
        rc = RC_EXISTS;
    if (rc == RC_OK && c->keys[0].state == DKIM_KEY_ACTIVE)
        rc = retire_active(db, c);
    for (size_t i = 0; rc == RC_OK && i < c->n; i++) {
        const struct directory_dkim_key *k = &c->keys[i];
        rc = db_exec(db, "INSERT INTO dkim_key (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, 0)", DB_T(c->domain),
                     DB_T(k->selector), DB_N(k->algorithm), DB_B(k->public_key), DB_N(k->state), DB_N(c->now_s),
                     DB_N(k->state == DKIM_KEY_ACTIVE ? c->now_s : 0));
    }
    return rc;
}

static enum rc switch_keys(struct db *db, void *ctx)
{
    const struct key_change *c = ctx;
    bool waits;
    enum rc rc = has_next(db, c->domain, &waits);

    if (rc != RC_OK || !waits)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = retire_active(db, c);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE dkim_key SET state = $1, active_s = $2 WHERE domain = $3 AND state = $4", DB_N(DKIM_KEY_ACTIVE),
                     DB_N(c->now_s), DB_T(c->domain), DB_N(DKIM_KEY_NEXT));
    return rc;
}

static enum rc drop_key(struct db *db, void *ctx)
{
    const struct key_change *c = ctx;
    enum rc rc = db_exec(db, "UPDATE dkim_key SET state = $1, public_key = $2 WHERE domain = $3 AND selector = $4 AND state = $5",
                         DB_N(DKIM_KEY_GONE), DB_B(VIEW("")), DB_T(c->domain), DB_T(c->selector), DB_N(DKIM_KEY_RETIRED));

    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc directory_dkim_leave(struct db *db, struct view domain)
{
    return db_exec(db, "UPDATE dkim_key SET state = $1, public_key = $2 WHERE domain = $3", DB_N(DKIM_KEY_GONE), DB_B(VIEW("")),
                   DB_T(domain));
}

static enum rc run_change(struct store *s, db_fn fn, struct view domain, struct key_change *c)
{
    struct buf b;

    buf_init(&b, 256);
    enum rc rc = address_put_domain(domain, &b);
    c->domain = buf_view(&b);
    c->now_s = clock_real_s();
    if (rc == RC_OK)
        rc = directory_txn(s, fn, c);
    buf_clear(&b);
    return rc == RC_SYNTAX || rc == RC_LIMIT ? RC_NOTFOUND : rc;
}

enum rc directory_dkim_add(struct store *s, const struct directory_dkim_key *keys, size_t n)
{
    struct key_change c = {.keys = keys, .n = n};

    bug_if(n == 0 || n > DIRECTORY_DKIM_MAX);
    return run_change(s, add_keys, keys[0].domain, &c);
}

enum rc directory_dkim_switch(struct store *s, struct view domain)
{
    struct key_change c = {0};
    return run_change(s, switch_keys, domain, &c);
}

enum rc directory_dkim_drop(struct store *s, struct view domain, struct view selector)
{
    struct key_change c = {.selector = selector};
    return run_change(s, drop_key, domain, &c);
}
