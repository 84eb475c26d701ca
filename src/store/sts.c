#include "store/sts.h"

#include "store/directory_internal.h"
#include "store/store_internal.h"

#define DAY_S 86400

/* --- policies --- */

static enum rc write_row(struct db *db, void *ctx)
{
    const struct sts_row *r = ctx;
    return db_exec(db,
                   "INSERT INTO sts_policy (domain, id, policy, fetched_s, expires_s, refresh_s, used_s) VALUES ($1, $2, $3, $4, $5, $6,"
                   " $7) ON CONFLICT (domain) DO UPDATE SET id = $2, policy = $3, fetched_s = $4, expires_s = $5, refresh_s = $6, used_s = $7",
                   DB_T(r->domain), DB_T(r->id), DB_T(r->policy), DB_N(r->fetched_s), DB_N(r->expires_s), DB_N(r->refresh_s),
                   DB_N(r->used_s));
}

enum rc sts_put(struct store *s, const struct sts_row *row)
{
    struct sts_row copy = *row;
    return directory_txn(s, write_row, &copy);
}

struct sts_question {
    struct view domain;
    struct arena *a;
    struct sts_row *out;
};

static enum rc take_row(struct db_query *q, struct arena *a, struct sts_row *out)
{
    enum rc rc = db_bytes_dup(q, 0, a, &out->domain);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 1, a, &out->id);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 2, a, &out->policy);
    out->fetched_s = db_number(q, 3);
    out->expires_s = db_number(q, 4);
    out->refresh_s = db_number(q, 5);
    out->used_s = db_number(q, 6);
    return rc;
}

#define COLUMNS "domain, id, policy, fetched_s, expires_s, refresh_s, used_s"

static enum rc read_row(struct db *db, void *ctx)
{
    const struct sts_question *d = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " COLUMNS " FROM sts_policy WHERE domain = $1", DB_T(d->domain));
    if (rc == RC_OK)
        rc = take_row(q, d->a, d->out);
    db_done(q);
    return rc;
}

static enum rc read_next(struct db *db, void *ctx)
{
    const struct sts_question *d = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " COLUMNS " FROM sts_policy ORDER BY refresh_s LIMIT 1");
    if (rc == RC_OK)
        rc = take_row(q, d->a, d->out);
    db_done(q);
    return rc;
}

enum rc sts_get(struct store *s, struct view domain, struct arena *a, struct sts_row *out)
{
    struct sts_question d = {domain, a, out};
    return directory_look(s, read_row, &d);
}

enum rc sts_next(struct store *s, struct arena *a, struct sts_row *out)
{
    struct sts_question d = {.a = a, .out = out};
    return directory_look(s, read_next, &d);
}

static enum rc delete_row(struct db *db, void *ctx)
{
    const struct view *domain = ctx;
    return db_exec(db, "DELETE FROM sts_policy WHERE domain = $1", DB_T(*domain));
}

enum rc sts_remove(struct store *s, struct view domain)
{
    return directory_txn(s, delete_row, &domain);
}

struct sts_time {
    struct view name;
    int64_t at_s;
};

static enum rc write_refresh(struct db *db, void *ctx)
{
    const struct sts_time *t = ctx;
    return db_exec(db, "UPDATE sts_policy SET refresh_s = $1 WHERE domain = $2", DB_N(t->at_s), DB_T(t->name));
}

static enum rc write_used(struct db *db, void *ctx)
{
    const struct sts_time *t = ctx;
    return db_exec(db, "UPDATE sts_policy SET used_s = $1 WHERE domain = $2", DB_N(t->at_s), DB_T(t->name));
}

enum rc sts_set_refresh(struct store *s, struct view domain, int64_t refresh_s)
{
    struct sts_time t = {domain, refresh_s};
    return directory_txn(s, write_refresh, &t);
}

enum rc sts_set_used(struct store *s, struct view domain, int64_t used_s)
{
    struct sts_time t = {domain, used_s};
    return directory_txn(s, write_used, &t);
}

/* --- hosts --- */

static enum rc read_host(struct db *db, void *ctx)
{
    struct sts_time *t = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT seen_s FROM tls_host WHERE host = $1", DB_T(t->name));
    t->at_s = rc == RC_OK ? db_number(q, 0) : 0;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc write_host(struct db *db, void *ctx)
{
    const struct sts_time *t = ctx;
    return db_exec(db, "INSERT INTO tls_host (host, seen_s) VALUES ($1, $2) ON CONFLICT (host) DO UPDATE SET seen_s = $2",
                   DB_T(t->name), DB_N(t->at_s));
}

enum rc tls_host_get(struct store *s, struct view host, int64_t *seen_s)
{
    struct sts_time t = {.name = host};
    enum rc rc = directory_look(s, read_host, &t);
    *seen_s = t.at_s;
    return rc;
}

enum rc tls_host_seen(struct store *s, struct view host, int64_t now_s)
{
    struct sts_time t = {host, now_s};
    int64_t before_s;
    enum rc rc = tls_host_get(s, host, &before_s);
    if (rc != RC_OK || (now_s >= before_s && now_s - before_s < DAY_S))
        return rc;
    return directory_txn(s, write_host, &t);
}

static enum rc delete_hosts(struct db *db, void *ctx)
{
    const int64_t *before_s = ctx;
    return db_exec(db, "DELETE FROM tls_host WHERE seen_s < $1", DB_N(*before_s));
}

enum rc tls_host_forget(struct store *s, int64_t before_s)
{
    return directory_txn(s, delete_hosts, &before_s);
}
