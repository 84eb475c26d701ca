#include "store/challenge.h"

#include "base/clock.h"
#include "store/directory_internal.h"

struct question {
    struct view token, answer;
    struct arena *a;
    struct view *out;
};

static enum rc put(struct db *db, void *ctx)
{
    struct question *x = ctx;
    int64_t now = clock_real_s();
    enum rc rc = db_exec(db, "DELETE FROM acme_challenge WHERE made_s < $1", DB_N(now - CHALLENGE_KEEP_S));
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "INSERT INTO acme_challenge (token, answer, made_s) VALUES ($1, $2, $3)"
                       " ON CONFLICT (token) DO UPDATE SET answer = $2, made_s = $3",
                   DB_T(x->token), DB_T(x->answer), DB_N(now));
}

static enum rc get(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT answer FROM acme_challenge WHERE token = $1", DB_T(x->token));
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, x->out);
    db_done(q);
    return rc;
}

static enum rc remove_one(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db, "DELETE FROM acme_challenge WHERE token = $1", DB_T(x->token));
}

enum rc challenge_put(struct store *s, struct view token, struct view answer)
{
    struct question x = {.token = token, .answer = answer};
    return directory_txn(s, put, &x);
}

enum rc challenge_get(struct store *s, struct view token, struct arena *a, struct view *answer)
{
    struct question x = {.token = token, .a = a, .out = answer};
    return directory_look(s, get, &x);
}

enum rc challenge_remove(struct store *s, struct view token)
{
    struct question x = {.token = token};
    return directory_txn(s, remove_one, &x);
}
