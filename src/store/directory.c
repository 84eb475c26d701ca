#include "store/directory.h"

#include "store/directory_internal.h"
#include "store/store_internal.h"

enum rc directory_look(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->directory->mutex);
    enum rc rc = db_look(s->directory->db, fn, ctx);
    pthread_mutex_unlock(&s->directory->mutex);
    return rc;
}

enum rc directory_txn(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->directory->mutex);
    enum rc rc = db_txn(s->directory->db, fn, ctx);
    pthread_mutex_unlock(&s->directory->mutex);
    return rc == RC_OK ? db_sync(s->directory->db) : rc;
}

/* --- reading --- */

enum rc directory_domain_is_ours(struct db *db, struct view domain, bool *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM domain WHERE name = $1", DB_T(domain));

    *out = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

#define ACCOUNT_COLUMNS "id, address, role, created_s, quota, disabled, language, password_n"

static enum rc take_account(struct db_query *q, struct arena *a, struct directory_account *out)
{
    out->id = (uint64_t)db_number(q, 0);
    out->role = (enum directory_role)db_number(q, 2);
    out->created_s = db_number(q, 3);
    out->quota = (uint64_t)db_number(q, 4);
    out->disabled = db_number(q, 5) != 0;
    out->password_n = (uint64_t)db_number(q, 7);
    enum rc rc = db_bytes_dup(q, 1, a, &out->address);
    return rc == RC_OK ? db_bytes_dup(q, 6, a, &out->language) : rc;
}

/* The one account that a query gives. */
static enum rc finish_account(struct db_query *q, enum rc rc, struct arena *a, struct directory_account *out)
{
    if (rc == RC_OK)
        rc = take_account(q, a, out);
    db_done(q);
    return rc;
}

enum rc directory_read_account(struct db *db, struct view address, struct arena *a, struct directory_account *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE address = $1", DB_T(address));
    return finish_account(q, rc, a, out);
}

struct domain_question {
    struct view domain;
    bool *out;
};

static enum rc look_at_domain(struct db *db, void *ctx)
{
    struct domain_question *d = ctx;
    return directory_domain_is_ours(db, d->domain, d->out);
}

enum rc directory_has_domain(struct store *s, struct view domain, bool *out)
{
    struct buf b;
    struct domain_question d = {.out = out};
    enum rc rc;

    *out = false;
    buf_init(&b, 256);
    rc = address_put_domain(domain, &b);
    d.domain = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_look(s, look_at_domain, &d);
    else if (rc != RC_TEMP)
        rc = RC_OK; /* what is no domain is not ours */
    buf_clear(&b);
    return rc;
}

struct account_question {
    struct view address; /* empty: by id */
    uint64_t id;
    struct arena *a;
    struct directory_account *out;
};

static enum rc look_at_account(struct db *db, void *ctx)
{
    struct account_question *x = ctx;
    struct db_query *q;

    if (x->address.n > 0)
        return directory_read_account(db, x->address, x->a, x->out);
    enum rc rc = db_first(db, &q, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE id = $1", DB_N(x->id));
    return finish_account(q, rc, x->a, x->out);
}

enum rc directory_account(struct store *s, struct view address, struct arena *a, struct directory_account *out)
{
    struct account_question x = {.a = a, .out = out};
    enum rc rc = directory_normalise(address, a, &x.address);

    if (rc != RC_OK)
        return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
    return directory_look(s, look_at_account, &x);
}

enum rc directory_account_by_id(struct store *s, uint64_t id, struct arena *a, struct directory_account *out)
{
    struct account_question x = {.id = id, .a = a, .out = out};
    return directory_look(s, look_at_account, &x);
}

enum rc directory_login(struct store *s, struct view name, struct arena *a, struct directory_account *out)
{
    enum rc rc = directory_account(s, name, a, out);
    return rc == RC_OK && out->disabled ? RC_DENIED : rc;
}

/* --- where an address leads --- */

struct routing {
    struct db *db;
    struct view address; /* asked for, normal form */
    struct arena *a;
    struct directory_target *targets;
    size_t n;
    struct view path[DIRECTORY_DEPTH_MAX]; /* aliases that we are inside of */
    size_t depth;
    bool by_catch_all;
};

static enum rc follow(struct routing *r, struct view target);

static enum rc add_target(struct routing *r, uint64_t account, struct view address, struct view detail)
{
    for (size_t i = 0; i < r->n; i++) { /* by two ways to one mailbox: one copy */
        if (r->targets[i].account == account && view_eq(r->targets[i].address, address) &&
            view_eq(r->targets[i].detail, detail))
            return RC_OK;
    }
    if (r->n == DIRECTORY_TARGETS_MAX)
        return RC_LIMIT;
    if (!arena_room(r->a, r->targets, r->n))
        return RC_TEMP;
    r->targets[r->n++] = (struct directory_target){account, address, detail, r->depth > 0, r->by_catch_all};
    return RC_OK;
}

/* All targets of an alias. RC_NOTFOUND: there is no such alias. */
static enum rc follow_alias(struct routing *r, struct view alias)
{
    struct view *targets = NULL;
    size_t n = 0, room = 0;
    struct db_query *q;
    enum rc rc = db_query(r->db, &q, "SELECT target FROM alias WHERE address = $1 ORDER BY place", DB_T(alias));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (n == room) {
            room = room ? 2 * room : 4;
            struct view *more = arena_new_array(r->a, room, struct view);
            for (size_t i = 0; more && i < n; i++)
                more[i] = targets[i];
            targets = more;
        }
        rc = targets ? db_bytes_dup(q, 0, r->a, &targets[n++]) : RC_TEMP;
    }
    db_done(q);
    if (rc != RC_NOTFOUND || n == 0)
        return rc;

    for (size_t i = 0; i < r->depth; i++) {
        if (view_eq(r->path[i], alias))
            return RC_LIMIT;
    }
    if (r->depth == DIRECTORY_DEPTH_MAX)
        return RC_LIMIT;
    r->path[r->depth++] = alias;
    rc = RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = follow(r, targets[i]);
    r->depth--;
    return rc;
}

static enum rc follow_account(struct routing *r, struct view address, struct view detail)
{
    struct directory_account account;
    enum rc rc = directory_read_account(r->db, address, r->a, &account);
    return rc == RC_OK ? add_target(r, account.id, account.address, detail) : rc;
}

/* RFC 5321 §4.5.1: there is always a postmaster. */
static enum rc follow_postmaster(struct routing *r)
{
    struct directory_account first;
    struct db_query *q;
    enum rc rc = db_first(r->db, &q, "SELECT " ACCOUNT_COLUMNS " FROM account ORDER BY CASE WHEN role = $1 THEN 0 ELSE 1 END, id"
                                     " LIMIT 1", DB_N(ROLE_OPERATOR));
    rc = finish_account(q, rc, r->a, &first);
    return rc == RC_OK ? add_target(r, first.id, first.address, (struct view){0}) : rc;
}

/* The desk, and whoever wants the same mail. */
static enum rc follow_desk(struct routing *r, struct view address)
{
    enum rc rc = add_target(r, DIRECTORY_DESK, address, (struct view){0});
    if (rc == RC_OK)
        rc = follow_alias(r, address);
    if (rc == RC_NOTFOUND)
        rc = follow_account(r, address, (struct view){0});
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* An address of ours, in normal form. RC_NOTFOUND: leads nowhere. */
static enum rc follow_ours(struct routing *r, struct view local, struct view domain, struct view address)
{
    if (view_eq(local, VIEW(DIRECTORY_DESK_DMARC)) || view_eq(local, VIEW(DIRECTORY_DESK_TLS)))
        return follow_desk(r, address);
    enum rc rc = follow_alias(r, address);

    if (rc == RC_NOTFOUND)
        rc = follow_account(r, address, (struct view){0});
    size_t plus = view_chr(local, '+');
    if (rc == RC_NOTFOUND && plus != VIEW_NONE && plus > 0) { /* RFC 5233 */
        const char *text = arena_printf(r->a, "%.*s@%.*s", (int)plus, local.p, VIEW_FMT(domain));
        if (!text)
            return RC_TEMP;
        rc = follow_alias(r, view_str(text));
        if (rc == RC_NOTFOUND)
            rc = follow_account(r, view_str(text), view_from(local, plus + 1));
    }
    if (rc == RC_NOTFOUND && view_eq(view_slice(local, 0, plus == VIEW_NONE ? local.n : plus), VIEW("postmaster")))
        rc = follow_postmaster(r);
    if (rc == RC_NOTFOUND) {
        const char *text = arena_printf(r->a, "@%.*s", VIEW_FMT(domain));
        r->by_catch_all |= r->depth == 0;
        rc = text ? follow_alias(r, view_str(text)) : RC_TEMP;
    }
    return rc;
}

/* A target of an alias: ours or foreign. One that has gone is passed over. */
static enum rc follow(struct routing *r, struct view target)
{
    struct view local, domain, normal;
    bool ours;
    enum rc rc = address_split(target, &local, &domain);

    if (rc == RC_OK)
        rc = directory_domain_is_ours(r->db, domain, &ours);
    if (rc != RC_OK)
        return rc;
    if (!ours)
        return add_target(r, 0, target, (struct view){0});
    rc = directory_normalise(target, r->a, &normal);
    if (rc == RC_OK)
        rc = address_split(normal, &local, &domain);
    if (rc == RC_OK)
        rc = follow_ours(r, local, domain, normal);
    return rc == RC_NOTFOUND || rc == RC_SYNTAX ? RC_OK : rc;
}

static enum rc look_at_route(struct db *db, void *ctx)
{
    struct routing *r = ctx;
    struct view local, domain;
    bool ours;

    r->db = db;
    enum rc rc = address_split(r->address, &local, &domain);
    if (rc == RC_OK)
        rc = directory_domain_is_ours(db, domain, &ours);
    if (rc != RC_OK)
        return rc;
    if (!ours)
        return RC_DENIED;
    rc = follow_ours(r, local, domain, r->address);
    return rc == RC_OK && r->n == 0 ? RC_NOTFOUND : rc;
}

enum rc directory_route(struct store *s, struct view address, struct arena *a, struct directory_target **out, size_t *n)
{
    struct routing r = {.a = a};
    enum rc rc = directory_normalise(address, a, &r.address);

    if (rc == RC_SYNTAX)
        return RC_NOTFOUND;
    if (rc == RC_OK)
        rc = directory_look(s, look_at_route, &r);
    *out = r.targets;
    *n = rc == RC_OK ? r.n : 0;
    return rc;
}

static enum rc look_at_postmaster(struct db *db, void *ctx)
{
    struct routing *r = ctx;
    r->db = db;
    return follow_postmaster(r);
}

enum rc directory_postmaster(struct store *s, struct view domain, struct arena *a, struct directory_target *out)
{
    struct routing r = {.a = a};
    struct directory_target *targets = NULL;
    size_t n = 0;
    const char *address = arena_printf(a, "postmaster@%.*s", VIEW_FMT(domain));
    enum rc rc = address ? directory_route(s, view_str(address), a, &targets, &n) : RC_TEMP;
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        if (targets[i].account != 0 && targets[i].account != DIRECTORY_DESK) {
            *out = targets[i];
            return RC_OK;
        }
    if (rc == RC_OK || rc == RC_NOTFOUND || rc == RC_DENIED || rc == RC_LIMIT)
        rc = directory_look(s, look_at_postmaster, &r);
    if (rc == RC_OK)
        *out = r.targets[0];
    return rc;
}

enum rc directory_may_send(struct store *s, uint64_t account, struct view address)
{
    struct arena a;
    struct directory_target *targets;
    size_t n;

    arena_init(&a, 1u << 20);
    enum rc rc = directory_route(s, address, &a, &targets, &n);
    if (rc != RC_TEMP && rc != RC_CORRUPT) {
        enum rc found = RC_DENIED;
        for (size_t i = 0; i < n; i++) {
            if (targets[i].account == account)
                found = RC_OK;
        }
        rc = found;
    }
    arena_clear(&a);
    return rc;
}
