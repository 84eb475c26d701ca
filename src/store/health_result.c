#include "store/health_result.h"

#include "base/clock.h"
#include "store/directory_internal.h"

#define HOUR_S 3600

struct question {
    enum health_asked kind;
    struct view domain;
    struct arena *a;
    struct health_result *out;
    int64_t before_s;
};

static enum rc count(struct db *db, const char *sql, struct db_value v, struct db_value w, int64_t *out)
{
    struct db_query *q;
    enum rc rc = w.kind == DB_NULL ? db_first(db, &q, sql, v) : db_first(db, &q, sql, v, w);
    *out = rc == RC_OK ? db_number(q, 0) : 0;
    db_done(q);
    return rc;
}

static enum rc may_ask(struct db *db, const struct health_result *r, int64_t now_s)
{
    int64_t all, own = 0, hour = 0;
    enum rc rc = count(db, "SELECT COUNT(*) FROM health_result WHERE waiting = $1", DB_N(1), (struct db_value){0}, &all);
    if (rc == RC_OK && r->asker != 0)
        rc = count(db, "SELECT COUNT(*) FROM health_result WHERE waiting = 1 AND asker = $1", DB_N(r->asker), (struct db_value){0}, &own);
    if (rc == RC_OK && r->asker != 0)
        rc = count(db, "SELECT COUNT(*) FROM health_result WHERE asker = $1 AND asked_s > $2", DB_N(r->asker), DB_N(now_s - HOUR_S), &hour);
    if (rc != RC_OK)
        return rc;
    return all >= HEALTH_ASKS_MAX || own >= HEALTH_ASKS_AT_ONCE || hour >= HEALTH_ASKS_PER_HOUR ? RC_LIMIT : RC_OK;
}

static enum rc ask(struct db *db, void *ctx)
{
    const struct health_result *r = ctx;
    const int64_t now_s = clock_real_s();
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT waiting FROM health_result WHERE kind = $1 AND domain = $2", DB_N(r->kind), DB_T(r->domain));
    const bool waits = rc == RC_OK && db_number(q, 0) != 0;
    db_done(q);
    if (waits)
        return RC_OK;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        rc = may_ask(db, r, now_s);
    if (rc != RC_OK)
        return rc;
    return db_exec(db,
                   "INSERT INTO health_result (kind, domain, question, asker, asked_s, made_s, waiting, good, note, warn, bad, unknown, en,"
                   " fr) VALUES ($1, $2, $3, $4, $5, 0, 1, 0, 0, 0, 0, 0, '', '') ON CONFLICT (kind, domain) DO UPDATE SET question = $3,"
                   " asker = $4, asked_s = $5, waiting = 1",
                   DB_N(r->kind), DB_T(r->domain), DB_T(r->question), DB_N(r->asker), DB_N(now_s));
}

static enum rc put(struct db *db, void *ctx)
{
    const struct health_result *r = ctx;
    return db_exec(db,
                   "INSERT INTO health_result (kind, domain, question, asker, asked_s, made_s, waiting, good, note, warn, bad, unknown, en,"
                   " fr) VALUES ($1, $2, $3, 0, 0, $4, 0, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (kind, domain) DO UPDATE SET made_s = $4,"
                   " waiting = 0, good = $5, note = $6, warn = $7, bad = $8, unknown = $9, en = $10, fr = $11",
                   DB_N(r->kind), DB_T(r->domain), DB_T(r->question), DB_N(r->made_s), DB_N(r->n[0]), DB_N(r->n[1]), DB_N(r->n[2]),
                   DB_N(r->n[3]), DB_N(r->n[4]), DB_T(r->text[LANG_EN]), DB_T(r->text[LANG_FR]));
}

#define COLUMNS "kind, domain, question, asker, asked_s, made_s, waiting, good, note, warn, bad, unknown, en, fr"

static enum rc take_row(struct db_query *q, struct arena *a, struct health_result *out)
{
    *out = (struct health_result){.kind = (enum health_asked)db_number(q, 0),
                                  .asker = (uint64_t)db_number(q, 3),
                                  .asked_s = db_number(q, 4),
                                  .made_s = db_number(q, 5),
                                  .waiting = db_number(q, 6) != 0};
    for (int i = 0; i < 5; i++)
        out->n[i] = (unsigned)db_number(q, 7 + i);
    enum rc rc = db_bytes_dup(q, 1, a, &out->domain);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 2, a, &out->question);
    for (int i = 0; i < LANG_N && rc == RC_OK; i++)
        rc = db_bytes_dup(q, 12 + i, a, &out->text[i]);
    return rc;
}

static enum rc read_one(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " COLUMNS " FROM health_result WHERE kind = $1 AND domain = $2", DB_N(x->kind), DB_T(x->domain));
    if (rc == RC_OK)
        rc = take_row(q, x->a, x->out);
    db_done(q);
    return rc;
}

static enum rc read_next(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " COLUMNS " FROM health_result WHERE waiting = 1 ORDER BY asked_s, kind, domain LIMIT 1");
    if (rc == RC_OK)
        rc = take_row(q, x->a, x->out);
    db_done(q);
    return rc;
}

static enum rc forget(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    return db_exec(db, "DELETE FROM health_result WHERE waiting = 0 AND made_s < $1", DB_N(x->before_s));
}

enum rc health_result_ask(struct store *s, const struct health_result *r)
{
    struct health_result copy = *r;
    return r->question.n > HEALTH_TEXT_MAX ? RC_LIMIT : directory_txn(s, ask, &copy);
}

enum rc health_result_next(struct store *s, struct arena *a, struct health_result *out)
{
    struct question x = {.a = a, .out = out};
    return directory_look(s, read_next, &x);
}

enum rc health_result_put(struct store *s, const struct health_result *result)
{
    struct health_result copy = *result;
    for (int i = 0; i < LANG_N; i++)
        if (result->text[i].n > HEALTH_TEXT_MAX)
            return RC_LIMIT;
    return directory_txn(s, put, &copy);
}

enum rc health_result_get(struct store *s, enum health_asked kind, struct view domain, struct arena *a, struct health_result *out)
{
    struct question x = {.kind = kind, .domain = domain, .a = a, .out = out};
    return directory_look(s, read_one, &x);
}

enum rc health_result_forget(struct store *s, int64_t before_s)
{
    struct question x = {.before_s = before_s};
    return directory_txn(s, forget, &x);
}
