/* store/ledger_db: the database of received reports, opened when it is first wanted, and its small tables. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/ledger_internal.h"
#include "store/schema.h"

#define WRITE_CACHE_KIB 4096
#define LOOK_CACHE_KIB  4096
#define CHECKPOINT_KIB  8192

enum rc ledger_new(struct ledger **out)
{
    struct ledger *r = calloc(1, sizeof *r);
    if (!r)
        return RC_TEMP;
    pthread_mutex_init(&r->write_mutex, NULL);
    pthread_mutex_init(&r->look_mutex, NULL);
    *out = r;
    return RC_OK;
}

void ledger_free(struct ledger *r)
{
    if (!r)
        return;
    db_close(r->write);
    db_close(r->look);
    pthread_mutex_destroy(&r->write_mutex);
    pthread_mutex_destroy(&r->look_mutex);
    free(r);
}

static enum rc open_one(struct store *s, bool create, unsigned cache_kib, struct db **out)
{
    struct db_settings set = {.create = create, .page_bytes = 4096, .cache_kib = cache_kib, .checkpoint_kib = CHECKPOINT_KIB};
    char *path = store_path(s, "reports.db");
    struct db *db = NULL;
    struct arena a;
    const char *why = NULL;

    arena_init(&a, 65536);
    set.path = path;
    enum rc rc = path ? db_open(&set, &db) : RC_TEMP;
    if (rc == RC_OK)
        rc = schema_bring(db, &schema_reports, path, &a, &why);
    if (rc == RC_OK) {
        *out = db;
    } else if (create || rc != RC_NOTFOUND) {
        log_error("store.reports.not_opened", F_CSTR("file", path ? path : "reports.db"), F_CSTR("reason", why ? why : rc_name(rc)));
    }
    if (rc != RC_OK)
        db_close(db);
    arena_clear(&a);
    free(path);
    return rc == RC_DENIED ? RC_TEMP : rc;
}

enum rc ledger_change(struct store *s, db_fn fn, void *ctx)
{
    struct ledger *r = s->ledger;
    pthread_mutex_lock(&r->write_mutex);
    enum rc rc = r->write ? RC_OK : open_one(s, true, WRITE_CACHE_KIB, &r->write);
    if (rc == RC_OK)
        rc = db_txn(r->write, fn, ctx);
    pthread_mutex_unlock(&r->write_mutex);
    return rc;
}

enum rc ledger_look(struct store *s, db_fn fn, void *ctx)
{
    struct ledger *r = s->ledger;
    pthread_mutex_lock(&r->look_mutex);
    enum rc rc = r->look ? RC_OK : open_one(s, false, LOOK_CACHE_KIB, &r->look);
    if (rc == RC_OK)
        rc = db_look(r->look, fn, ctx);
    pthread_mutex_unlock(&r->look_mutex);
    return rc;
}

enum rc ledger_sync(struct store *s)
{
    struct ledger *r = s->ledger;
    pthread_mutex_lock(&r->write_mutex);
    struct db *db = r->write;
    pthread_mutex_unlock(&r->write_mutex);
    return db ? db_sync(db) : RC_OK;
}

enum rc ledger_number(struct db_query *q, enum rc rc, int64_t *out)
{
    if (rc == RC_OK)
        *out = db_number(q, 0);
    db_done(q);
    return rc;
}

enum rc ledger_domain_find(struct db *db, struct view name, int64_t *id)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM domain WHERE name = $1", DB_T(name));
    return ledger_number(q, rc, id);
}

enum rc ledger_domain(struct db *db, struct view name, int64_t *id)
{
    enum rc rc = db_exec(db, "INSERT INTO domain (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", DB_T(name));
    return rc == RC_OK ? ledger_domain_find(db, name, id) : rc;
}

enum rc ledger_reporter(struct db *db, struct view name, int64_t *id)
{
    struct db_query *q;
    enum rc rc = db_exec(db, "INSERT INTO reporter (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", DB_T(name));
    if (rc != RC_OK)
        return rc;
    rc = db_first(db, &q, "SELECT id FROM reporter WHERE name = $1", DB_T(name));
    return ledger_number(q, rc, id);
}

enum rc ledger_source_find(struct db *db, struct view key, int64_t *id)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM source WHERE key = $1", DB_T(key));
    return ledger_number(q, rc, id);
}

/* The table of known senders may have another name for it since. */
enum rc ledger_source_row(struct db *db, const struct ledger_name *name, int64_t *id)
{
    enum rc rc = db_exec(db, "INSERT INTO source (key, name, kind) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET name = $2, kind = $3"
                             " WHERE source.name <> $2 OR source.kind <> $3", DB_T(name->key), DB_T(name->name), DB_T(name->kind));
    return rc == RC_OK ? ledger_source_find(db, name->key, id) : rc;
}

enum rc ledger_ip_text(struct view ip, struct arena *a, struct view *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (ip.n == 4 || ip.n == 16)
        inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof text);
    return view_dup(a, view_str(text), out);
}

void ledger_sum_add(struct ledger_sum *to, const struct ledger_sum *add)
{
    to->messages += add->messages;
    to->aligned += add->aligned;
    to->spf += add->spf;
    to->dkim += add->dkim;
    to->spf_passed += add->spf_passed;
    to->dkim_passed += add->dkim_passed;
    to->none += add->none;
    to->quarantine += add->quarantine;
    to->reject += add->reject;
    to->forwarded += add->forwarded;
    to->listed += add->listed;
}

struct ledger_sum ledger_sum_of(struct db_query *q, int column)
{
    return (struct ledger_sum){.messages = (uint64_t)db_number(q, column),
                                 .aligned = (uint64_t)db_number(q, column + 1),
                                 .spf = (uint64_t)db_number(q, column + 2),
                                 .dkim = (uint64_t)db_number(q, column + 3),
                                 .spf_passed = (uint64_t)db_number(q, column + 4),
                                 .dkim_passed = (uint64_t)db_number(q, column + 5),
                                 .none = (uint64_t)db_number(q, column + 6),
                                 .quarantine = (uint64_t)db_number(q, column + 7),
                                 .reject = (uint64_t)db_number(q, column + 8),
                                 .forwarded = (uint64_t)db_number(q, column + 9),
                                 .listed = (uint64_t)db_number(q, column + 10)};
}
