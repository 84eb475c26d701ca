/* store/ledger_tls: the sums of TLS reports (RFC 8460). */
#include "store/ledger_internal.h"

enum rc ledger_rollup_tls(struct db *db, const struct rollup *r, const struct parts *p)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < p->n_tls && rc == RC_OK; i++) {
        const struct ledger_tls *t = &p->tls[i];
        rc = db_exec(db, "INSERT INTO tls_day (domain, day, reporter, type, mx, heard_s, reports, successes, failures) VALUES ($1, $2, $3, $4, $5, $6, $7, $8,"
                         " $9) ON CONFLICT (domain, day, reporter, type, mx) DO UPDATE SET heard_s = MAX(tls_day.heard_s, $6),"
                         " reports = tls_day.reports + $7, successes = tls_day.successes + $8, failures = tls_day.failures + $9",
                     DB_N(r->domain), DB_N(r->day), DB_N(r->reporter), DB_T(t->type), DB_T(t->mx), DB_N(r->now_s), DB_N(i == 0),
                     DB_N(t->successes), DB_N(t->failures));
    }
    for (size_t i = 0; i < p->n_tls_failures && rc == RC_OK; i++) {
        const struct ledger_tls_failure *f = &p->tls_failures[i];
        rc = db_exec(db, "INSERT INTO tls_failure_day (domain, day, reporter, result, mx, heard_s, sessions) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT"
                         " (domain, day, reporter, result, mx) DO UPDATE SET heard_s = MAX(tls_failure_day.heard_s, $6),"
                         " sessions = tls_failure_day.sessions + $7",
                     DB_N(r->domain), DB_N(r->day), DB_N(r->reporter), DB_T(f->result), DB_T(f->mx), DB_N(r->now_s), DB_N(f->sessions));
    }
    return rc;
}

struct asking {
    const struct ledger_span *span;
    struct arena *a;
    struct ledger_tls_summary *out;
};

/* name, also, successes, failures. */
static enum rc take_lines(struct db_query *q, enum rc rc, struct arena *a, struct ledger_tls_line **out, size_t *n)
{
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(a, *out, *n)) {
            rc = RC_TEMP;
            break;
        }
        struct ledger_tls_line *line = &(*out)[*n];
        line->day = db_number(q, 0);
        line->successes = (uint64_t)db_number(q, 2);
        line->failures = (uint64_t)db_number(q, 3);
        rc = db_bytes_dup(q, 0, a, &line->name);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 1, a, &line->also);
        *n += rc == RC_OK;
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc ask_summary(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    const struct ledger_span *s = x->span;
    struct ledger_tls_summary *out = x->out;
    struct db_query *q = NULL;
    int64_t domain;
    *out = (struct ledger_tls_summary){0};
    enum rc rc = ledger_domain_find(db, s->domain, &domain);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    rc = db_first(db, &q, "SELECT COALESCE(SUM(reports), 0), COALESCE(SUM(successes), 0), COALESCE(SUM(failures), 0) FROM tls_day"
                          " WHERE domain = $1 AND day BETWEEN $2 AND $3", DB_N(domain), DB_N(s->from), DB_N(s->to));
    if (rc == RC_OK) {
        out->reports = (uint64_t)db_number(q, 0);
        out->failures = (uint64_t)db_number(q, 2);
        out->sessions = (uint64_t)db_number(q, 1) + out->failures;
    }
    db_done(q);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT day, '', SUM(successes), SUM(failures) FROM tls_day WHERE domain = $1 AND day BETWEEN $2 AND $3 GROUP BY day"
                          " ORDER BY day", DB_N(domain), DB_N(s->from), DB_N(s->to));
    rc = take_lines(q, rc, x->a, &out->days, &out->n_days);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT COALESCE((SELECT org FROM report WHERE report.domain = $1 AND kind = 1 AND report.reporter = by_reporter.reporter"
                          " AND state = 1 LIMIT 1), name), '', good, bad FROM (SELECT reporter, SUM(successes) AS good, SUM(failures) AS bad FROM tls_day WHERE"
                          " domain = $1 AND day BETWEEN $2 AND $3 GROUP BY reporter) AS by_reporter JOIN reporter ON reporter.id = by_reporter.reporter"
                          " ORDER BY good + bad DESC, 1",
                  DB_N(domain), DB_N(s->from), DB_N(s->to));
    rc = take_lines(q, rc, x->a, &out->organizations, &out->n_organizations);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT type, '', SUM(successes), SUM(failures) FROM tls_day WHERE domain = $1 AND day BETWEEN $2 AND $3 GROUP BY type"
                          " ORDER BY type", DB_N(domain), DB_N(s->from), DB_N(s->to));
    rc = take_lines(q, rc, x->a, &out->policies, &out->n_policies);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT mx, '', SUM(successes), SUM(failures) FROM (SELECT mx, successes, 0 AS failures FROM tls_day WHERE domain = $1 AND"
                          " day BETWEEN $2 AND $3 UNION ALL SELECT mx, 0, sessions FROM tls_failure_day WHERE domain = $1 AND day BETWEEN $2 AND $3)"
                          " AS by_mx GROUP BY mx ORDER BY mx", DB_N(domain), DB_N(s->from), DB_N(s->to));
    rc = take_lines(q, rc, x->a, &out->mx, &out->n_mx);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT result, mx, 0, SUM(sessions) FROM tls_failure_day WHERE domain = $1 AND day BETWEEN $2 AND $3 GROUP BY result, mx"
                          " ORDER BY SUM(sessions) DESC, result, mx", DB_N(domain), DB_N(s->from), DB_N(s->to));
    return take_lines(q, rc, x->a, &out->results, &out->n_results);
}

enum rc ledger_tls_summary(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_tls_summary *out)
{
    struct asking x = {span, a, out};
    *out = (struct ledger_tls_summary){0};
    return ledger_nothing(ledger_look(s, ask_summary, &x));
}
