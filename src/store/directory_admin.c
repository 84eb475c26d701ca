/* store/directory_admin: the side of the directory that operators' commands use. */
#include "base/clock.h"
#include "store/directory.h"
#include "store/directory_internal.h"
#include "store/mailbox_internal.h"
#include "store/store_internal.h"

struct admin {
    struct view address, local, domain; /* normal form; local empty for a catch-all */
    const struct view *targets;
    size_t n;
    uint64_t id;
    enum { FIELD_ROLE, FIELD_QUOTA, FIELD_DISABLED, FIELD_LANGUAGE } field; /* to be set to number or text */
    int64_t number;
    struct view text;
    struct arena *a;
    void *out; /* grows in the arena */
    size_t n_out, room;
};

/* Room for one more element in out; NULL: no memory. */
static void *grow_out(struct admin *x, size_t size)
{
    if (x->n_out == x->room) {
        size_t room = x->room ? 2 * x->room : 16;
        void *more = arena_array(x->a, room, size);
        if (!more)
            return NULL;
        if (x->n_out > 0)
            memcpy(more, x->out, x->n_out * size);
        x->out = more;
        x->room = room;
    }
    return (char *)x->out + size * x->n_out++;
}

/* "local@domain", or "@domain" for the catch-all of an alias. */
static enum rc set_address(struct admin *x, struct view address, bool catch_all)
{
    enum rc rc;

    if (catch_all && view_starts(address, VIEW("@"))) {
        struct buf b;
        buf_init(&b, 300);
        buf_chr(&b, '@');
        rc = address_put_domain(view_from(address, 1), &b);
        if (rc == RC_OK)
            rc = view_dup(x->a, buf_view(&b), &x->address);
        buf_clear(&b);
    } else {
        rc = directory_normalise(address, x->a, &x->address);
    }
    if (rc == RC_OK)
        rc = address_split(x->address, &x->local, &x->domain);
    return rc;
}

static enum rc exists(struct db_query *q, enum rc rc, bool *out)
{
    *out = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* --- domains --- */

static enum rc insert_domain(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    bool there;
    enum rc rc = directory_domain_is_ours(db, x->domain, &there);

    if (rc != RC_OK || there)
        return rc == RC_OK ? RC_EXISTS : rc;
    return db_exec(db, "INSERT INTO domain (name, created_s, sts_mode, sts_changed_s) VALUES ($1, $2, $3, $2)",
                   DB_T(x->domain), DB_N(clock_real_s()), DB_N(STS_TESTING));
}

static enum rc delete_domain(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct db_query *q;
    bool used;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM account WHERE domain = $1 LIMIT 1", DB_T(x->domain));

    rc = exists(q, rc, &used);
    if (rc == RC_OK && !used) {
        rc = db_first(db, &q, "SELECT 1 FROM alias WHERE domain = $1 LIMIT 1", DB_T(x->domain));
        rc = exists(q, rc, &used);
    }
    if (rc != RC_OK || used)
        return rc == RC_OK ? RC_EXISTS : rc;
    rc = db_exec(db, "DELETE FROM domain WHERE name = $1", DB_T(x->domain));
    if (rc == RC_OK && db_changed(db) == 0)
        rc = RC_NOTFOUND;
    return rc == RC_OK ? directory_dkim_leave(db, x->domain) : rc;
}

static enum rc change_domain(struct store *s, struct view domain, db_fn fn)
{
    struct admin x = {0};
    struct buf b;

    buf_init(&b, 256);
    enum rc rc = address_put_domain(domain, &b);
    if (rc == RC_OK && (view_starts(domain, VIEW("[")) || view_chr(buf_view(&b), '_') != VIEW_NONE))
        rc = RC_SYNTAX;
    x.domain = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_txn(s, fn, &x);
    buf_clear(&b);
    return rc == RC_LIMIT ? RC_SYNTAX : rc;
}

/* RFC 5321 §4.1.2, RFC 1123 §2.1: a label of a host name neither begins nor ends with a hyphen. */
static bool has_stray_hyphen(struct view domain)
{
    struct view label;
    bool more;

    do {
        more = view_split(&domain, '.', &label);
        if (view_starts(label, VIEW("-")) || view_ends(label, VIEW("-")))
            return true;
    } while (more);
    return false;
}

enum rc directory_domain_add(struct store *s, struct view domain)
{
    if (has_stray_hyphen(domain))
        return RC_SYNTAX;
    return change_domain(s, domain, insert_domain);
}

enum rc directory_domain_remove(struct store *s, struct view domain)
{
    return change_domain(s, domain, delete_domain);
}

static enum rc list_domains(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT name FROM domain ORDER BY name");

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct view *v = grow_out(x, sizeof *v);
        rc = v ? db_bytes_dup(q, 0, x->a, v) : RC_TEMP;
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc directory_domains(struct store *s, struct arena *a, struct view **out, size_t *n)
{
    struct admin x = {.a = a};
    enum rc rc = directory_look(s, list_domains, &x);

    *out = x.out;
    *n = rc == RC_OK ? x.n_out : 0;
    return rc;
}

/* --- accounts --- */

/* Numbers that were given to an account whose making failed are lost, not used again. */
static enum rc take_number(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct db_query *q;
    bool ours;
    enum rc rc = directory_domain_is_ours(db, x->domain, &ours);

    if (rc != RC_OK || !ours)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = db_first(db, &q, "UPDATE counter SET value = value + 1 WHERE name = 'account' RETURNING value");
    if (rc == RC_OK)
        x->id = (uint64_t)db_number(q, 0) - 1;
    while (rc == RC_OK)
        rc = db_next(q);
    return rc == RC_NOTFOUND && x->id > 0 ? RC_OK : rc;
}

static enum rc insert_account(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct db_query *q;
    bool there;
    enum rc rc = directory_domain_is_ours(db, x->domain, &there);

    if (rc != RC_OK || !there)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = db_first(db, &q, "SELECT 1 FROM account WHERE address = $1", DB_T(x->address));
    rc = exists(q, rc, &there);
    if (rc == RC_OK && !there) {
        rc = db_first(db, &q, "SELECT 1 FROM alias WHERE address = $1 LIMIT 1", DB_T(x->address));
        rc = exists(q, rc, &there);
    }
    if (rc != RC_OK || there)
        return rc == RC_OK ? RC_EXISTS : rc;
    return db_exec(db, "INSERT INTO account (id, address, domain, role, created_s, quota, disabled)"
                       " VALUES ($1, $2, $3, $4, $5, 0, 0)",
                   DB_N(x->id), DB_T(x->address), DB_T(x->domain), DB_N(ROLE_USER), DB_N(clock_real_s()));
}

enum rc directory_account_add(struct store *s, struct view address, uint64_t *id)
{
    struct arena a;
    struct admin x = {.a = &a};
    struct directory_account there;

    arena_init(&a, 1u << 16);
    enum rc rc = set_address(&x, address, false);
    if (rc == RC_OK) /* spares the making of a database; insert_account decides */
        rc = directory_account(s, x.address, &a, &there) == RC_OK ? RC_EXISTS : RC_OK;
    if (rc == RC_OK)
        rc = directory_txn(s, take_number, &x);
    if (rc == RC_OK) /* first the database, so that no account is ever without one */
        rc = mailbox_make(s, x.id);
    if (rc == RC_OK) {
        rc = directory_txn(s, insert_account, &x);
        if (rc != RC_OK && rc != RC_TEMP)
            mailbox_unmake(s, x.id);
    }
    if (rc == RC_OK)
        *id = x.id;
    arena_clear(&a);
    return rc;
}

static enum rc delete_account(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct directory_account account;
    enum rc rc = directory_read_account(db, x->address, x->a, &account);

    x->id = account.id;
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM app_password WHERE account = $1", DB_N(account.id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM passkey WHERE account = $1", DB_N(account.id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM suppression WHERE account = $1", DB_N(account.id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM webhook_call WHERE hook IN (SELECT id FROM webhook WHERE account = $1)", DB_N(account.id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM webhook WHERE account = $1", DB_N(account.id));
    if (rc == RC_OK)
        rc = directory_end_sessions(db, account.id, 0);
    return rc == RC_OK ? db_exec(db, "DELETE FROM account WHERE id = $1", DB_N(account.id)) : rc;
}

enum rc directory_account_remove(struct store *s, struct view address, uint64_t *id)
{
    struct arena a;
    struct admin x = {.a = &a};

    arena_init(&a, 1u << 16);
    enum rc rc = set_address(&x, address, false);
    if (rc == RC_OK)
        rc = directory_txn(s, delete_account, &x);
    if (rc == RC_OK) {
        mailbox_unmake(s, x.id);
        *id = x.id;
    }
    arena_clear(&a);
    return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
}

static enum rc list_accounts(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id, address, role, created_s, quota, disabled, language, password_n FROM account"
                                  " WHERE ($1 = '' OR domain = $1) ORDER BY address", DB_T(x->domain));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct directory_account *o = grow_out(x, sizeof *o);
        if (!o) {
            rc = RC_TEMP;
            break;
        }
        *o = (struct directory_account){.id = (uint64_t)db_number(q, 0), .role = (enum directory_role)db_number(q, 2),
                                        .created_s = db_number(q, 3), .quota = (uint64_t)db_number(q, 4),
                                        .disabled = db_number(q, 5) != 0, .password_n = (uint64_t)db_number(q, 7)};
        rc = db_bytes_dup(q, 1, x->a, &o->address);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 6, x->a, &o->language);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* Lists of a domain, or of all where it is empty. */
static enum rc list_of_domain(struct store *s, struct view domain, db_fn fn, struct admin *x)
{
    struct buf b;

    buf_init(&b, 256);
    enum rc rc = domain.n > 0 ? address_put_domain(domain, &b) : RC_OK;
    x->domain = buf_view(&b);
    if (rc == RC_OK)
        rc = directory_look(s, fn, x);
    buf_clear(&b);
    if (rc != RC_OK)
        x->n_out = 0;
    return rc == RC_SYNTAX || rc == RC_LIMIT ? RC_OK : rc; /* what is no domain has nothing */
}

enum rc directory_accounts(struct store *s, struct view domain, struct arena *a, struct directory_account **out, size_t *n)
{
    struct admin x = {.a = a};
    enum rc rc = list_of_domain(s, domain, list_accounts, &x);

    *out = x.out;
    *n = x.n_out;
    return rc;
}

/* Sessions of the pages end where what they may do has changed. */
static enum rc update_account(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct directory_account account;
    enum rc rc = directory_read_account(db, x->address, x->a, &account);
    if (rc != RC_OK)
        return rc;
    switch (x->field) {
    case FIELD_ROLE: rc = db_exec(db, "UPDATE account SET role = $1 WHERE id = $2", DB_N(x->number), DB_N(account.id)); break;
    case FIELD_QUOTA: return db_exec(db, "UPDATE account SET quota = $1 WHERE id = $2", DB_N(x->number), DB_N(account.id));
    case FIELD_DISABLED: rc = db_exec(db, "UPDATE account SET disabled = $1 WHERE id = $2", DB_N(x->number), DB_N(account.id)); break;
    case FIELD_LANGUAGE: return db_exec(db, "UPDATE account SET language = $1 WHERE id = $2", DB_T(x->text), DB_N(account.id));
    }
    return rc == RC_OK ? directory_end_sessions(db, account.id, 0) : rc;
}

static enum rc change_account(struct store *s, struct view address, struct admin x)
{
    struct arena a;

    arena_init(&a, 1u << 16);
    x.a = &a;
    enum rc rc = set_address(&x, address, false);
    if (rc == RC_OK)
        rc = directory_txn(s, update_account, &x);
    arena_clear(&a);
    return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
}

enum rc directory_account_set_role(struct store *s, struct view address, enum directory_role role)
{
    return change_account(s, address, (struct admin){.field = FIELD_ROLE, .number = role});
}

enum rc directory_account_set_quota(struct store *s, struct view address, uint64_t quota)
{
    if (quota > INT64_MAX)
        return RC_LIMIT;
    return change_account(s, address, (struct admin){.field = FIELD_QUOTA, .number = (int64_t)quota});
}

enum rc directory_account_set_disabled(struct store *s, struct view address, bool disabled)
{
    return change_account(s, address, (struct admin){.field = FIELD_DISABLED, .number = disabled});
}

enum rc directory_account_set_language(struct store *s, struct view address, struct view language)
{
    return change_account(s, address, (struct admin){.field = FIELD_LANGUAGE, .text = language});
}

/* --- aliases --- */

static enum rc replace_alias(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct directory_account account;
    bool ours;
    enum rc rc = directory_domain_is_ours(db, x->domain, &ours);

    if (rc != RC_OK || !ours)
        return rc == RC_OK ? RC_NOTFOUND : rc;
    rc = directory_read_account(db, x->address, x->a, &account);
    if (rc != RC_NOTFOUND)
        return rc == RC_OK ? RC_EXISTS : rc;
    rc = db_exec(db, "DELETE FROM alias WHERE address = $1", DB_T(x->address));
    for (size_t i = 0; i < x->n && rc == RC_OK; i++)
        rc = db_exec(db, "INSERT INTO alias (address, place, target, domain) VALUES ($1, $2, $3, $4)", DB_T(x->address),
                     DB_N(i), DB_T(x->targets[i]), DB_T(x->domain));
    return rc;
}

static enum rc delete_alias(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    int64_t gone = 0;
    enum rc rc;

    if (x->n == 0) {
        rc = db_exec(db, "DELETE FROM alias WHERE address = $1", DB_T(x->address));
        return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
    }
    rc = RC_OK;
    for (size_t i = 0; i < x->n && rc == RC_OK; i++) {
        rc = db_exec(db, "DELETE FROM alias WHERE address = $1 AND target = $2", DB_T(x->address), DB_T(x->targets[i]));
        gone += rc == RC_OK ? db_changed(db) : 0;
    }
    return rc == RC_OK && gone == 0 ? RC_NOTFOUND : rc;
}

static enum rc change_alias(struct store *s, struct view address, const struct view *targets, size_t n, db_fn fn)
{
    struct arena a;
    struct admin x = {.a = &a, .n = n};

    if (n > DIRECTORY_TARGETS_MAX)
        return RC_LIMIT;
    arena_init(&a, 1u << 20);
    enum rc rc = set_address(&x, address, true);
    struct view *normal = arena_new_array(&a, n, struct view);
    if (!normal)
        rc = RC_TEMP;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = address_normalise_target(targets[i], &a, &normal[i]);
    x.targets = normal;
    if (rc == RC_OK)
        rc = directory_txn(s, fn, &x);
    arena_clear(&a);
    return rc;
}

enum rc directory_alias_set(struct store *s, struct view address, const struct view *targets, size_t n)
{
    return n == 0 ? RC_SYNTAX : change_alias(s, address, targets, n, replace_alias);
}

enum rc directory_alias_remove(struct store *s, struct view address, const struct view *targets, size_t n)
{
    return change_alias(s, address, targets, n, delete_alias);
}

static enum rc list_aliases(struct db *db, void *ctx)
{
    struct admin *x = ctx;
    struct directory_alias *o = NULL;
    size_t room = 0;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT address, target FROM alias WHERE ($1 = '' OR domain = $1) ORDER BY address, place",
                          DB_T(x->domain));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!o || !view_eq(o->address, db_bytes(q, 0))) {
            o = grow_out(x, sizeof *o);
            if (!o) {
                rc = RC_TEMP;
                break;
            }
            *o = (struct directory_alias){0};
            room = 0;
            rc = db_bytes_dup(q, 0, x->a, &o->address);
        }
        if (o->n_targets == room) {
            room = room ? 2 * room : 2;
            struct view *more = arena_new_array(x->a, room, struct view);
            for (size_t i = 0; more && i < o->n_targets; i++)
                more[i] = o->targets[i];
            o->targets = more;
        }
        if (rc == RC_OK)
            rc = o->targets ? db_bytes_dup(q, 1, x->a, &o->targets[o->n_targets++]) : RC_TEMP;
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc directory_aliases(struct store *s, struct view domain, struct arena *a, struct directory_alias **out, size_t *n)
{
    struct admin x = {.a = a};
    enum rc rc = list_of_domain(s, domain, list_aliases, &x);

    *out = x.out;
    *n = x.n_out;
    return rc;
}
