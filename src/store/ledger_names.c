/* store/ledger_names: what is found out about addresses, what people say of sources, and which ones are new. */
#include "base/clock.h"
#include "store/ledger_internal.h"

#define UNSURE      1   /* as address.named_s */
#define DOMAINS_MAX 1000 /* that one address was seen at and that hear of its country */

struct listing {
    size_t max, n;
    int64_t since_s;
    struct arena *a;
    void *out;
};

static enum rc ask_unnamed(struct db *db, void *ctx)
{
    struct listing *x = ctx;
    struct view *out = x->out;
    struct db_query *q;
    x->n = 0;
    enum rc rc = db_query(db, &q, "SELECT ip FROM address WHERE named_s = 0 ORDER BY id DESC LIMIT $1", DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, &out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc ledger_unnamed(struct store *s, size_t max, struct arena *a, struct view **out, size_t *n)
{
    struct listing x = {.max = max, .a = a, .out = arena_new_array(a, max, struct view)};
    *out = x.out;
    *n = 0;
    enum rc rc = x.out ? ledger_nothing(ledger_look(s, ask_unnamed, &x)) : RC_TEMP;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

struct naming {
    struct view ip, host, country;
    const struct ledger_name *source;
    bool unsure;
};

/* To its source, wherever it was seen. */
static enum rc tell_country(struct db *db, int64_t address, int64_t source)
{
    int64_t domains[DOMAINS_MAX];
    struct db_query *q;
    size_t n = 0;
    enum rc rc = db_query(db, &q, "SELECT domain FROM address_domain WHERE address = $1", DB_N(address));
    while (rc == RC_OK && n < DOMAINS_MAX && (rc = db_next(q)) == RC_OK)
        domains[n++] = db_number(q, 0);
    db_done(q);
    rc = rc == RC_NOTFOUND ? RC_OK : rc;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = ledger_add_country(db, address, source, domains[i], 0);
    return rc;
}

static enum rc name_address(struct db *db, void *ctx)
{
    const struct naming *x = ctx;
    struct db_query *q;
    int64_t id = 0, was = 0, basis = 0, to = 0;
    bool moved = false;
    enum rc rc = db_first(db, &q, "SELECT id, source, basis FROM address WHERE ip = $1", DB_B(x->ip));
    if (rc == RC_OK) {
        id = db_number(q, 0);
        was = db_number(q, 1);
        basis = db_number(q, 2);
    }
    db_done(q);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE address SET host = $1, country = $2, named_s = $3 WHERE id = $4", DB_T(x->host), DB_T(x->country),
                     DB_N(x->unsure ? UNSURE : clock_real_s()), DB_N(id));
    if (rc == RC_OK && x->source->key.n > 0 && (int64_t)x->source->basis > basis) {
        rc = ledger_source_row(db, x->source, &to);
        if (rc == RC_OK)
            rc = ledger_move(db, id, was, to, x->source->basis);
        moved = to != was;
    }
    return rc == RC_OK && !moved && x->country.n > 0 ? tell_country(db, id, was) : rc;
}

enum rc ledger_named(struct store *s, struct view ip, struct view host, struct view country, const struct ledger_name *source, bool unsure)
{
    struct naming x = {ip, host, country, source, unsure};
    return ledger_change(s, name_address, &x);
}

static enum rc forget_unsure(struct db *db, void *ctx)
{
    (void)ctx;
    return db_exec(db, "UPDATE address SET named_s = 0 WHERE named_s = 1");
}

static enum rc look_at_nothing(struct db *db, void *ctx)
{
    (void)db;
    (void)ctx;
    return RC_OK;
}

bool ledger_is_there(struct store *s)
{
    return ledger_look(s, look_at_nothing, NULL) == RC_OK;
}

enum rc ledger_unnamed_again(struct store *s)
{
    if (!ledger_is_there(s))
        return RC_OK;
    return ledger_change(s, forget_unsure, NULL);
}

struct saying {
    struct view domain, key, name, kind;
};

static enum rc say(struct db *db, void *ctx)
{
    const struct saying *x = ctx;
    struct db_query *q;
    int64_t domain = 0, source = 0, there = 0;
    enum rc rc = ledger_domain_find(db, x->domain, &domain);
    if (rc == RC_OK)
        rc = ledger_source_find(db, x->key, &source);
    if (rc == RC_OK) {
        rc = db_first(db, &q, "SELECT 1 FROM source_domain WHERE domain = $1 AND source = $2", DB_N(domain), DB_N(source));
        rc = ledger_number(q, rc, &there);
    }
    if (rc != RC_OK)
        return rc;
    if (x->name.n == 0 && x->kind.n == 0)
        return db_exec(db, "DELETE FROM source_said WHERE domain = $1 AND source = $2", DB_N(domain), DB_N(source));
    return db_exec(db, "INSERT INTO source_said (domain, source, name, kind) VALUES ($1, $2, $3, $4) ON CONFLICT (domain, source) DO UPDATE SET"
                       " name = $3, kind = $4", DB_N(domain), DB_N(source), DB_T(x->name), DB_T(x->kind));
}

enum rc ledger_say(struct store *s, struct view domain, struct view key, struct view name, struct view kind)
{
    struct saying x = {domain, key, name, kind};
    enum rc rc = ledger_change(s, say, &x);
    return rc == RC_OK ? ledger_sync(s) : rc;
}

static enum rc ask_news(struct db *db, void *ctx)
{
    struct listing *x = ctx;
    struct ledger_news *out = x->out;
    struct db_query *q;
    x->n = 0;
    enum rc rc = db_query(db, &q, "SELECT domain.name, source.key, source.name, since_s FROM source_domain JOIN domain ON domain.id ="
                                  " source_domain.domain JOIN source ON source.id = source_domain.source WHERE since_s > $1 ORDER BY since_s LIMIT $2",
                          DB_N(x->since_s), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct ledger_news *one = &out[x->n++];
        one->since_s = db_number(q, 3);
        rc = db_bytes_dup(q, 0, x->a, &one->domain);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 1, x->a, &one->key);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 2, x->a, &one->name);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc ledger_new_sources(struct store *s, int64_t since_s, size_t max, struct arena *a, struct ledger_news **out, size_t *n)
{
    struct listing x = {.max = max, .since_s = since_s, .a = a, .out = arena_new_array(a, max, struct ledger_news)};
    *out = x.out;
    *n = 0;
    enum rc rc = x.out ? ledger_nothing(ledger_look(s, ask_news, &x)) : RC_TEMP;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* --- known senders --- */

static enum rc ask_senders(struct db *db, void *ctx)
{
    struct listing *x = ctx;
    struct ledger_sender **out = x->out;
    struct db_query *q;
    x->n = 0;
    enum rc rc = db_query(db, &q, "SELECT name, kind, hosts, dkim, spf FROM sender WHERE kind <> '' ORDER BY name");
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(x->a, *out, x->n)) {
            rc = RC_TEMP;
            break;
        }
        struct ledger_sender *one = &(*out)[x->n++];
        struct view *const texts[] = {&one->name, &one->kind, &one->hosts, &one->dkim, &one->spf};
        for (int i = 0; i < 5 && rc == RC_OK; i++)
            rc = db_bytes_dup(q, i, x->a, texts[i]);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc ledger_senders(struct store *s, struct arena *a, struct ledger_sender **out, size_t *n)
{
    struct listing x = {.a = a, .out = out};
    *out = NULL;
    enum rc rc = ledger_nothing(ledger_look(s, ask_senders, &x));
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

static enum rc set_sender(struct db *db, void *ctx)
{
    const struct ledger_sender *x = ctx;
    if (x->kind.n == 0)
        return db_exec(db, "DELETE FROM sender WHERE name = $1", DB_T(x->name));
    return db_exec(db, "INSERT INTO sender (name, kind, hosts, dkim, spf) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET kind = $2,"
                       " hosts = $3, dkim = $4, spf = $5", DB_T(x->name), DB_T(x->kind), DB_T(x->hosts), DB_T(x->dkim), DB_T(x->spf));
}

enum rc ledger_sender_set(struct store *s, const struct ledger_sender *sender)
{
    struct ledger_sender copy = *sender;
    enum rc rc = ledger_change(s, set_sender, &copy);
    return rc == RC_OK ? ledger_sync(s) : rc;
}

/* --- failure reports --- */

static enum rc add_failure(struct db *db, void *ctx)
{
    const struct ledger_failure *f = ctx;
    struct db_query *q;
    int64_t domain = 0, n = 0;
    enum rc rc = ledger_domain(db, f->domain, &domain);
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO failure (domain, digest, received_s, arrival_s, type, reporter, source_ip, original_from, original_to, subject,"
                         " auth_failure, verdict, counted, headers) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
                         " ON CONFLICT (domain, digest) DO NOTHING",
                     DB_N(domain), DB_B(view_of(f->digest, sizeof f->digest)), DB_N(f->received_s), DB_N(f->arrival_s), DB_T(f->type),
                     DB_T(f->reporter), DB_T(f->source_ip), DB_T(f->original_from), DB_T(f->original_to), DB_T(f->subject), DB_T(f->auth_failure),
                     DB_T(f->verdict), DB_N(f->counted), DB_T(view_slice(f->headers, 0, LEDGER_TEXT_MAX)));
    if (rc != RC_OK)
        return rc;
    if (db_changed(db) == 0)
        return RC_EXISTS;
    rc = db_first(db, &q, "SELECT COUNT(*) FROM failure WHERE domain = $1", DB_N(domain));
    rc = ledger_number(q, rc, &n);
    if (rc == RC_OK && n > LEDGER_FAILURES_MAX)
        rc = db_exec(db, "DELETE FROM failure WHERE id = (SELECT MIN(id) FROM failure WHERE domain = $1)", DB_N(domain));
    return rc;
}

enum rc ledger_failure_add(struct store *s, const struct ledger_failure *f)
{
    struct ledger_failure copy = *f;
    enum rc rc = ledger_change(s, add_failure, &copy);
    return rc == RC_OK ? ledger_sync(s) : rc;
}
