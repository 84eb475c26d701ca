#include "store/logo.h"

#include "base/clock.h"
#include "store/directory_internal.h"

struct question {
    struct view domain, svg;
    struct arena *a;
    struct view *out;
};

static enum rc put(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    return db_exec(db, "INSERT INTO logo (domain, svg, made_s) VALUES ($1, $2, $3) ON CONFLICT (domain) DO UPDATE SET svg = $2, made_s = $3",
                   DB_T(x->domain), DB_B(x->svg), DB_N(clock_real_s()));
}

static enum rc get(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT svg FROM logo WHERE domain = $1", DB_T(x->domain));
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, x->out);
    db_done(q);
    return rc;
}

static enum rc remove_one(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    return db_exec(db, "DELETE FROM logo WHERE domain = $1", DB_T(x->domain));
}

enum rc logo_put(struct store *s, struct view domain, struct view svg)
{
    struct question x = {.domain = domain, .svg = svg};
    return svg.n > LOGO_MAX ? RC_LIMIT : directory_txn(s, put, &x);
}

enum rc logo_get(struct store *s, struct view domain, struct arena *a, struct view *svg)
{
    struct question x = {.domain = domain, .a = a, .out = svg};
    return directory_look(s, get, &x);
}

enum rc logo_remove(struct store *s, struct view domain)
{
    struct question x = {.domain = domain};
    return directory_txn(s, remove_one, &x);
}

/* --- of others --- */

static enum rc put_fetched(struct db *db, void *ctx)
{
    const struct logo_fetched *l = ctx;
    enum rc rc = db_exec(db,
                         "INSERT INTO logo_fetched (location, authority, domain, good, svg, why, fetched_s) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                         " ON CONFLICT (location, authority, domain) DO UPDATE SET good = $4, svg = $5, why = $6, fetched_s = $7",
                         DB_T(l->location), DB_T(l->authority), DB_T(l->domain), DB_N(l->good), DB_B(l->svg), DB_T(l->why), DB_N(l->fetched_s));
    if (rc != RC_OK)
        return rc;
    return db_exec(db,
                   "DELETE FROM logo_fetched WHERE fetched_s < (SELECT COALESCE(MIN(fetched_s), 0) FROM (SELECT fetched_s FROM logo_fetched"
                   " ORDER BY fetched_s DESC LIMIT $1) AS newest)", DB_N(LOGO_FETCHED_MAX));
}

struct fetched_question {
    struct view location, authority, domain;
    struct arena *a;
    struct logo_fetched *out;
};

static enum rc get_fetched(struct db *db, void *ctx)
{
    const struct fetched_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT good, svg, why, fetched_s FROM logo_fetched WHERE location = $1 AND authority = $2 AND domain = $3",
                          DB_T(x->location), DB_T(x->authority), DB_T(x->domain));
    *x->out = (struct logo_fetched){.location = x->location, .authority = x->authority, .domain = x->domain};
    if (rc == RC_OK) {
        x->out->good = db_number(q, 0) != 0;
        x->out->fetched_s = db_number(q, 3);
        rc = db_bytes_dup(q, 1, x->a, &x->out->svg);
    }
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 2, x->a, &x->out->why);
    db_done(q);
    return rc;
}

enum rc logo_fetched_put(struct store *s, const struct logo_fetched *l)
{
    struct logo_fetched copy = *l;
    return l->svg.n > LOGO_MAX ? RC_LIMIT : directory_txn(s, put_fetched, &copy);
}

enum rc logo_fetched_get(struct store *s, struct view location, struct view authority, struct view domain, struct arena *a, struct logo_fetched *out)
{
    struct fetched_question x = {location, authority, domain, a, out};
    return directory_look(s, get_fetched, &x);
}
