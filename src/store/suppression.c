#include "store/suppression.h"

#include "store/directory_internal.h"
#include "store/mailq_internal.h"

/* Local parts may tell case apart; no mail host of today does, and whoever complained must not get mail for a capital letter. */
static enum rc lower(struct view v, struct arena *a, struct view *out)
{
    char *p = arena_alloc(a, v.n);
    if (!p)
        return RC_TEMP;
    for (size_t i = 0; i < v.n; i++)
        p[i] = (char)to_lower((unsigned char)v.p[i]);
    *out = view_of(p, v.n);
    return RC_OK;
}

struct question {
    uint64_t account;
    struct view address;
    const struct suppression *put;
    size_t max, n;
    struct arena *a;
    struct suppression *out;
    bool has;
};

static enum rc add(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT COUNT(*) FROM suppression WHERE account = $1", DB_N(x->account));
    if (rc != RC_OK)
        return rc;
    bool full = db_number(q, 0) >= SUPPRESSION_MAX;
    db_done(q);
    if (full)
        return RC_LIMIT;
    return db_exec(db, "INSERT INTO suppression (account, address, kind, reason, since_s) VALUES ($1, $2, $3, $4, $5)"
                       " ON CONFLICT DO NOTHING",
                   DB_N(x->account), DB_T(x->address), DB_N(x->put->kind), DB_T(view_slice(x->put->reason, 0, SUPPRESSION_TEXT_MAX)),
                   DB_N(x->put->since_s));
}

enum rc suppression_add_in(struct db *db, uint64_t account, struct view address, struct view reason, int64_t now_s)
{
    struct arena a;
    const struct suppression put = {.kind = SUPPRESSED_BOUNCE, .reason = reason, .since_s = now_s};
    struct question x = {.account = account, .put = &put};
    arena_init(&a, 65536);
    enum rc rc = lower(address, &a, &x.address);
    if (rc == RC_OK)
        rc = add(db, &x);
    arena_clear(&a);
    return rc == RC_LIMIT ? RC_OK : rc; /* no mail waits for that */
}

static enum rc has(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT kind FROM suppression WHERE account = $1 AND address = $2", DB_N(x->account), DB_T(x->address));
    x->has = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc list(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT address, kind, reason, since_s FROM suppression WHERE account = $1 AND address > $2"
                                  " ORDER BY address LIMIT $3", DB_N(x->account), DB_T(x->address), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct suppression *one = &x->out[x->n++];
        *one = (struct suppression){.kind = db_number(q, 1) == SUPPRESSED_COMPLAINT ? SUPPRESSED_COMPLAINT : SUPPRESSED_BOUNCE,
                                    .since_s = db_number(q, 3)};
        rc = db_bytes_dup(q, 0, x->a, &one->address);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 2, x->a, &one->reason);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc remove_one(struct db *db, void *ctx)
{
    const struct question *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM suppression WHERE account = $1 AND address = $2", DB_N(x->account), DB_T(x->address));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc suppression_add(struct store *s, uint64_t account, const struct suppression *put)
{
    struct arena a;
    struct question x = {.account = account, .put = put};
    arena_init(&a, 65536);
    enum rc rc = lower(put->address, &a, &x.address);
    if (rc == RC_OK)
        rc = directory_txn(s, add, &x);
    arena_clear(&a);
    return rc;
}

enum rc suppression_has(struct store *s, uint64_t account, struct view address, bool *out)
{
    struct arena a;
    struct question x = {.account = account};
    arena_init(&a, 65536);
    enum rc rc = lower(address, &a, &x.address);
    if (rc == RC_OK)
        rc = directory_look(s, has, &x);
    *out = x.has;
    arena_clear(&a);
    return rc;
}

enum rc suppression_list(struct store *s, uint64_t account, struct view after, size_t max, struct arena *a, struct suppression **out, size_t *n)
{
    struct question x = {.account = account, .address = after, .max = max, .a = a, .out = arena_new_array(a, max, struct suppression)};
    enum rc rc = x.out ? directory_look(s, list, &x) : RC_TEMP;
    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

enum rc suppression_remove(struct store *s, uint64_t account, struct view address)
{
    struct arena a;
    struct question x = {.account = account};
    arena_init(&a, 65536);
    enum rc rc = lower(address, &a, &x.address);
    if (rc == RC_OK)
        rc = directory_txn(s, remove_one, &x);
    arena_clear(&a);
    return rc;
}

/* --- keys of what was sent --- */

struct key_question {
    uint64_t account;
    struct view key, body, answer;
    int64_t now_s;
    struct arena *a;
    struct view *out;
    bool exists, differs;
};

static enum rc read_key(struct db *db, struct key_question *x)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT body, answer FROM send_key WHERE account = $1 AND digest = $2", DB_N(x->account), DB_B(x->key));
    x->exists = rc == RC_OK;
    if (rc == RC_OK) {
        x->differs = !view_eq(db_bytes(q, 0), x->body);
        rc = db_bytes_dup(q, 1, x->a, x->out);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc begin_key(struct db *db, void *ctx)
{
    struct key_question *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM send_key WHERE made_s < $1 OR (made_s < $2 AND answer = '')", DB_N(x->now_s - SEND_KEY_KEEP_S),
                         DB_N(x->now_s - SEND_KEY_STUCK_S));
    if (rc == RC_OK)
        rc = read_key(db, x);
    if (rc != RC_OK || x->exists)
        return rc;
    return db_exec(db, "INSERT INTO send_key (account, digest, body, made_s, answer) VALUES ($1, $2, $3, $4, '')", DB_N(x->account),
                   DB_B(x->key), DB_B(x->body), DB_N(x->now_s));
}

static enum rc end_key(struct db *db, void *ctx)
{
    const struct key_question *x = ctx;
    return db_exec(db, "UPDATE send_key SET answer = $1 WHERE account = $2 AND digest = $3", DB_T(x->answer), DB_N(x->account), DB_B(x->key));
}

static enum rc drop_key(struct db *db, void *ctx)
{
    const struct key_question *x = ctx;
    return db_exec(db, "DELETE FROM send_key WHERE account = $1 AND digest = $2", DB_N(x->account), DB_B(x->key));
}

enum rc send_key_begin(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST], const uint8_t body[SEND_DIGEST], int64_t now_s,
                       struct arena *a, struct view *answer)
{
    struct key_question x = {.account = account, .key = view_of(key, SEND_DIGEST), .body = view_of(body, SEND_DIGEST), .now_s = now_s,
                             .a = a, .out = answer};
    *answer = VIEW("");
    enum rc rc = directory_txn(s, begin_key, &x);
    if (rc != RC_OK || !x.exists)
        return rc;
    return x.differs ? RC_DENIED : RC_EXISTS;
}

enum rc send_key_end(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST], struct view answer)
{
    struct key_question x = {.account = account, .key = view_of(key, SEND_DIGEST), .answer = answer};
    return directory_txn(s, end_key, &x);
}

enum rc send_key_drop(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST])
{
    struct key_question x = {.account = account, .key = view_of(key, SEND_DIGEST)};
    return directory_txn(s, drop_key, &x);
}
