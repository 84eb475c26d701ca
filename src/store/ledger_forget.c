/* store/ledger_forget: what goes with time, and what a crash left unfinished. One short transaction after another. */
#include "base/clock.h"
#include "store/ledger_internal.h"

#define UNFINISHED_S 86400 /* nobody writes on one report for so long */
#define PIECE        500   /* rows of one transaction */
#define PIECE_TEXT   "500"

enum rc ledger_drop(struct db *db, int64_t report)
{
    enum rc rc = db_exec(db, "DELETE FROM report_row WHERE report = $1", DB_N(report));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM report_said WHERE report = $1", DB_N(report));
    return rc == RC_OK ? db_exec(db, "DELETE FROM report WHERE id = $1", DB_N(report)) : rc;
}

struct forgetting {
    int64_t now_s;
    int64_t rows_before_s, before_s; /* what was heard of before goes */
    int64_t changed;
};

/* The first report of a question, whole. */
static enum rc drop_first(struct db *db, struct db_query *q, enum rc rc, struct forgetting *x)
{
    int64_t id = 0;
    rc = ledger_number(q, rc, &id);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    x->changed = 1;
    return ledger_drop(db, id);
}

static enum rc drop_unfinished(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM report WHERE state = 0 AND written_s < $1 ORDER BY written_s LIMIT 1", DB_N(x->now_s - UNFINISHED_S));
    return drop_first(db, q, rc, x);
}

static enum rc drop_old(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id FROM report WHERE received_s < $1 ORDER BY received_s LIMIT 1", DB_N(x->before_s));
    return drop_first(db, q, rc, x);
}

static enum rc drop_rows(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    int64_t id = 0;
    enum rc rc = db_first(db, &q, "SELECT id FROM report WHERE n_kept > 0 AND received_s < $1 ORDER BY received_s LIMIT 1", DB_N(x->rows_before_s));
    rc = ledger_number(q, rc, &id);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    x->changed = 1;
    rc = db_exec(db, "DELETE FROM report_row WHERE report = $1", DB_N(id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM report_said WHERE report = $1", DB_N(id));
    return rc == RC_OK ? db_exec(db, "UPDATE report SET n_kept = 0 WHERE id = $1", DB_N(id)) : rc;
}

static enum rc drop_failures(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM failure WHERE id IN (SELECT id FROM failure WHERE received_s < $1 ORDER BY received_s LIMIT " PIECE_TEXT ")",
                         DB_N(x->rows_before_s));
    x->changed = rc == RC_OK ? db_changed(db) : 0;
    return rc;
}

struct domain_day {
    int64_t domain, day;
};

static enum rc take_day(struct db_query *q, enum rc rc, struct forgetting *x, struct domain_day *out)
{
    if (rc == RC_OK) {
        *out = (struct domain_day){db_number(q, 0), db_number(q, 1)};
        x->changed = 1;
    }
    db_done(q);
    return rc;
}

/* The lines of the addresses of a day go as early as rows: what stays for long is of sources. */
static enum rc drop_address_days(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    struct domain_day d;
    enum rc rc = db_first(db, &q, "SELECT domain, day FROM total_day WHERE heard_s < $1 AND addresses > 0 LIMIT 1", DB_N(x->rows_before_s));
    rc = take_day(q, rc, x, &d);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    rc = db_exec(db, "DELETE FROM address_day WHERE domain = $1 AND day = $2", DB_N(d.domain), DB_N(d.day));
    return rc == RC_OK ? db_exec(db, "UPDATE total_day SET addresses = 0 WHERE domain = $1 AND day = $2", DB_N(d.domain), DB_N(d.day)) : rc;
}

static enum rc drop_addresses(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    int64_t ids[PIECE];
    size_t n = 0;
    enum rc rc = db_query(db, &q, "SELECT id FROM address WHERE heard_s < $1 ORDER BY heard_s LIMIT " PIECE_TEXT, DB_N(x->rows_before_s));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        ids[n++] = db_number(q, 0);
    db_done(q);
    rc = rc == RC_NOTFOUND ? RC_OK : rc;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = db_exec(db, "UPDATE source_domain SET addresses = addresses - 1 WHERE source = (SELECT source FROM address WHERE id = $1) AND domain IN"
                         " (SELECT domain FROM address_domain WHERE address = $1)", DB_N(ids[i]));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM address_domain WHERE address = $1", DB_N(ids[i]));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM address_day WHERE address = $1", DB_N(ids[i]));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM address WHERE id = $1", DB_N(ids[i]));
    }
    x->changed = (int64_t)n;
    return rc;
}

/* All sums of a day of a domain. */
static enum rc drop_day(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    struct domain_day d;
    enum rc rc = db_first(db, &q, "SELECT domain, day FROM total_day WHERE heard_s < $1 LIMIT 1", DB_N(x->before_s));
    rc = take_day(q, rc, x, &d);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    rc = db_exec(db, "DELETE FROM source_day WHERE domain = $1 AND day = $2", DB_N(d.domain), DB_N(d.day));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM word_day WHERE domain = $1 AND day = $2", DB_N(d.domain), DB_N(d.day));
    return rc == RC_OK ? db_exec(db, "DELETE FROM total_day WHERE domain = $1 AND day = $2", DB_N(d.domain), DB_N(d.day)) : rc;
}

/* What people said of a source stays: it may come back. */
static enum rc drop_rest(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM tls_day WHERE heard_s < $1", DB_N(x->before_s));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM tls_failure_day WHERE heard_s < $1", DB_N(x->before_s));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM source_domain WHERE heard_s < $1", DB_N(x->before_s));
    x->changed = 0;
    return rc;
}

enum rc ledger_forget(struct store *s, int64_t now_s)
{
    static const db_fn steps[] = {drop_unfinished, drop_rows, drop_old, drop_failures, drop_address_days, drop_addresses, drop_day, drop_rest};
    struct forgetting x = {.now_s = now_s, .rows_before_s = now_s - (int64_t)LEDGER_ROWS_DAYS * LEDGER_DAY_S,
                           .before_s = now_s - (int64_t)LEDGER_DAYS * LEDGER_DAY_S};
    enum rc rc = RC_OK;
    if (!ledger_is_there(s))
        return RC_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && rc == RC_OK; i++) {
        do {
            x.changed = 0;
            rc = ledger_change(s, steps[i], &x);
        } while (rc == RC_OK && x.changed > 0);
    }
    return rc;
}
