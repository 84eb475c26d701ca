/* store/directory: what a domain says about itself. */
#include "base/clock.h"
#include "store/directory_internal.h"

struct domain_question {
    struct view name;
    enum directory_sts mode;
    struct arena *a;
    struct directory_domain *out;
};

static enum rc look_at_domain(struct db *db, void *ctx)
{
    struct domain_question *x = ctx;
    struct directory_domain *d = x->out;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT name, created_s, sts_mode, sts_changed_s FROM domain WHERE name = $1", DB_T(x->name));
    if (rc == RC_OK) {
        int64_t mode = db_number(q, 2);
        *d = (struct directory_domain){.created_s = db_number(q, 1),
                                       .sts_mode = mode == STS_TESTING ? STS_TESTING : mode == STS_ENFORCE ? STS_ENFORCE : STS_NONE,
                                       .sts_changed_s = db_number(q, 3)};
        if (d->sts_changed_s == 0)
            d->sts_changed_s = d->created_s;
        rc = db_bytes_dup(q, 0, x->a, &d->name);
    }
    db_done(q);
    return rc;
}

/* The id has to be another one each time (RFC 8461 §3.1), also for two changes within a second. */
static enum rc set_sts(struct db *db, void *ctx)
{
    struct domain_question *x = ctx;
    enum rc rc = db_exec(db,
                         "UPDATE domain SET sts_mode = $1, sts_changed_s = CASE WHEN sts_changed_s >= $2 THEN sts_changed_s + 1"
                         " ELSE $2 END WHERE name = $3",
                         DB_N(x->mode), DB_N(clock_real_s()), DB_T(x->name));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc directory_domain(struct store *s, struct view domain, struct arena *a, struct directory_domain *out)
{
    struct domain_question x = {.a = a, .out = out};
    struct buf b;
    buf_init(&b, 256);
    enum rc rc = address_put_domain(domain, &b);
    x.name = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_look(s, look_at_domain, &x);
    buf_clear(&b);
    return rc == RC_LIMIT ? RC_SYNTAX : rc;
}

enum rc directory_domain_set_sts(struct store *s, struct view domain, enum directory_sts mode)
{
    struct domain_question x = {.mode = mode};
    struct buf b;
    buf_init(&b, 256);
    enum rc rc = address_put_domain(domain, &b);
    x.name = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_txn(s, set_sts, &x);
    buf_clear(&b);
    return rc == RC_LIMIT ? RC_SYNTAX : rc;
}
