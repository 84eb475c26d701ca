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

#define DOMAINS_FIRST 16

struct domains_question {
    struct view name; /* empty: all */
    struct arena *a;
    struct directory_domain *out;
    size_t n, room;
};

static enum rc take_domain(struct domains_question *x, struct db_query *q)
{
    if (x->n == x->room) {
        size_t room = x->room ? 2 * x->room : DOMAINS_FIRST;
        struct directory_domain *more = arena_new_array(x->a, room, struct directory_domain);
        if (!more)
            return RC_TEMP;
        if (x->n > 0)
            memcpy(more, x->out, x->n * sizeof *more);
        x->out = more;
        x->room = room;
    }
    struct directory_domain *d = &x->out[x->n++];
    int64_t mode = db_number(q, 2);
    *d = (struct directory_domain){.created_s = db_number(q, 1),
                                   .sts_mode = mode == STS_TESTING ? STS_TESTING : mode == STS_ENFORCE ? STS_ENFORCE : STS_NONE,
                                   .sts_changed_s = db_number(q, 3) ? db_number(q, 3) : db_number(q, 1),
                                   .accounts = (uint64_t)db_number(q, 4),
                                   .aliases = (uint64_t)db_number(q, 5)};
    return db_bytes_dup(q, 0, x->a, &d->name);
}

static enum rc look_at_domains(struct db *db, void *ctx)
{
    struct domains_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q,
                          "SELECT d.name, d.created_s, d.sts_mode, d.sts_changed_s,"
                          " (SELECT COUNT(*) FROM account a WHERE a.domain = d.name),"
                          " (SELECT COUNT(DISTINCT l.address) FROM alias l WHERE l.domain = d.name)"
                          " FROM domain d WHERE ($1 = '' OR d.name = $1) ORDER BY d.name",
                          DB_T(x->name));
    x->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = take_domain(x, q);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc directory_domains_look(struct store *s, struct view domain, struct arena *a, struct directory_domain **out, size_t *n)
{
    struct domains_question x = {.a = a};
    struct buf b;
    buf_init(&b, 256);
    enum rc rc = domain.n > 0 ? address_put_domain(domain, &b) : RC_OK;
    x.name = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_look(s, look_at_domains, &x);
    buf_clear(&b);
    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc == RC_SYNTAX || rc == RC_LIMIT ? RC_OK : rc; /* what is no domain has none */
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
