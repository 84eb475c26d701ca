#include "store/tlsrpt.h"

#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "store/directory_internal.h"
#include "store/store_internal.h"

#define READ_MAX 16384 /* rows of one domain and day that are read */

const char *tlsrpt_type_name(enum tlsrpt_type type)
{
    static const char *const names[] = {"no-policy-found", "sts", "tlsa"};
    return type <= TLSRPT_TLSA ? names[type] : "?";
}

const char *tlsrpt_result_name(enum tlsrpt_result result)
{
    static const char *const names[] = {"success", "starttls-not-supported", "certificate-host-mismatch", "certificate-expired",
                                        "certificate-not-trusted", "validation-failure", "tlsa-invalid", "dnssec-invalid",
                                        "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"};
    return result <= TLSRPT_STS_WEBPKI_INVALID ? names[result] : "?";
}

/* --- adding --- */

struct addition {
    const struct tlsrpt_outcome *o;
    size_t n;
};

static enum rc add_policy(struct db *db, const struct tlsrpt_outcome *o, struct view digest)
{
    int64_t good = o->result == TLSRPT_SUCCESS ? (int64_t)o->sessions : 0, bad = (int64_t)o->sessions - good;
    return db_exec(db,
                   "INSERT INTO tls_policy (day, domain, report, type, digest, policy, mx, successes, failures) VALUES ($1, $2, 0, $3, $4,"
                   " $5, $6, $7, $8) ON CONFLICT (day, domain, report, type, digest) DO UPDATE SET successes = tls_policy.successes + $7,"
                   " failures = tls_policy.failures + $8",
                   DB_N(o->day), DB_T(o->domain), DB_N(o->type), DB_T(digest), DB_T(o->policy), DB_T(o->mx), DB_N(good), DB_N(bad));
}

/* Whoever makes up hosts and reasons must not fill the disk with them. */
static enum rc is_full(struct db *db, const struct tlsrpt_outcome *o, bool *out)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT COUNT(*) FROM tls_failure WHERE day = $1 AND domain = $2", DB_N(o->day), DB_T(o->domain));
    *out = rc == RC_OK && db_number(q, 0) >= TLSRPT_FAILURES_MAX;
    db_done(q);
    return rc;
}

static enum rc add_failure(struct db *db, const struct tlsrpt_outcome *o, struct view digest)
{
    bool full;
    enum rc rc = is_full(db, o, &full);
    if (rc != RC_OK)
        return rc;
    return db_exec(db,
                   "INSERT INTO tls_failure (day, domain, report, type, digest, result, mx, sent_from, sent_to, reason, sessions) VALUES"
                   " ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9, $10)"
                   " ON CONFLICT (day, domain, report, type, digest, result, mx, sent_from, sent_to, reason)"
                   " DO UPDATE SET sessions = tls_failure.sessions + $10",
                   DB_N(o->day), DB_T(o->domain), DB_N(o->type), DB_T(digest), DB_N(o->result), DB_T(full ? VIEW("") : o->host),
                   DB_T(full ? VIEW("") : o->sent_from), DB_T(full ? VIEW("") : o->sent_to), DB_T(full ? VIEW("") : o->reason),
                   DB_N(o->sessions));
}

/* Two hosts may have the same TLSA records under different names. */
static enum rc write_digest(const struct tlsrpt_outcome *o, char hex[2 * SHA256_SIZE + 1])
{
    uint8_t hash[SHA256_SIZE];
    struct buf b;
    buf_init(&b, 4u << 20);
    buf_add(&b, o->policy);
    buf_chr(&b, 0);
    buf_add(&b, o->mx);
    enum rc rc = buf_rc(&b);
    if (rc == RC_OK)
        rc = sha256(buf_view(&b), hash);
    if (rc == RC_OK)
        hex_write(view_of(hash, sizeof hash), hex);
    buf_clear(&b);
    return rc;
}

static enum rc add_all(struct db *db, void *ctx)
{
    const struct addition *add = ctx;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < add->n && rc == RC_OK; i++) {
        const struct tlsrpt_outcome *o = &add->o[i];
        char hex[2 * SHA256_SIZE + 1];
        rc = write_digest(o, hex);
        if (rc == RC_OK)
            rc = add_policy(db, o, view_str(hex));
        if (rc == RC_OK && o->result != TLSRPT_SUCCESS)
            rc = add_failure(db, o, view_str(hex));
    }
    return rc;
}

enum rc tlsrpt_add(struct store *s, const struct tlsrpt_outcome *o, size_t n)
{
    struct addition add = {o, n};
    return n == 0 ? RC_OK : directory_txn(s, add_all, &add);
}

/* --- reading --- */

struct open_question {
    int64_t from_day, to_day;
    size_t max, n;
    struct arena *a;
    struct tlsrpt_open *out;
};

static enum rc read_open(struct db *db, void *ctx)
{
    struct open_question *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q,
                          "SELECT day, domain, SUM(successes), SUM(failures) FROM tls_policy WHERE report = 0 AND day >= $1 AND day <= $2"
                          " GROUP BY day, domain ORDER BY day, domain LIMIT $3", DB_N(x->from_day), DB_N(x->to_day), DB_N(x->max));
    x->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct tlsrpt_open *o = &x->out[x->n++];
        *o = (struct tlsrpt_open){.day = db_number(q, 0), .successes = (uint64_t)db_number(q, 2), .failures = (uint64_t)db_number(q, 3)};
        rc = db_bytes_dup(q, 1, x->a, &o->domain);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc tlsrpt_open(struct store *s, int64_t from_day, int64_t to_day, size_t max, struct arena *a, struct tlsrpt_open **out, size_t *n)
{
    struct open_question x = {from_day, to_day, max, 0, a, arena_new_array(a, max, struct tlsrpt_open)};
    enum rc rc = x.out ? directory_look(s, read_open, &x) : RC_TEMP;
    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

struct tlsrpt_question {
    int64_t day;
    struct view domain;
    uint64_t report;
    struct arena *a;
    struct tlsrpt_outcome *out;
    size_t n, max;
};

static enum rc read_failures(struct db *db, struct tlsrpt_question *d, const struct tlsrpt_outcome *policy, struct view digest)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q,
                          "SELECT result, mx, sent_from, sent_to, reason, sessions FROM tls_failure WHERE day = $1 AND domain = $2"
                          " AND report = $3 AND type = $4 AND digest = $5 ORDER BY sessions DESC, result, mx",
                          DB_N(d->day), DB_T(d->domain), DB_N(d->report), DB_N(policy->type), DB_T(digest));
    while (rc == RC_OK && d->n < d->max && (rc = db_next(q)) == RC_OK) {
        struct tlsrpt_outcome *o = &d->out[d->n++];
        struct view *texts[] = {&o->host, &o->sent_from, &o->sent_to, &o->reason};
        *o = *policy;
        o->result = (enum tlsrpt_result)db_number(q, 0);
        o->sessions = (uint64_t)db_number(q, 5);
        for (int i = 0; i < 4 && rc == RC_OK; i++)
            rc = db_bytes_dup(q, i + 1, d->a, texts[i]);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc read_policies(struct db *db, void *ctx)
{
    struct tlsrpt_question *d = ctx;
    struct db_query *q;
    d->n = 0;
    enum rc rc = db_query(db, &q, "SELECT type, digest, policy, mx, successes FROM tls_policy WHERE day = $1 AND domain = $2"
                          " AND report = $3", DB_N(d->day), DB_T(d->domain), DB_N(d->report));
    while (rc == RC_OK && d->n < d->max && (rc = db_next(q)) == RC_OK) {
        struct tlsrpt_outcome *o = &d->out[d->n++];
        struct view digest;
        *o = (struct tlsrpt_outcome){.day = d->day, .domain = d->domain, .type = (enum tlsrpt_type)db_number(q, 0),
                                     .sessions = (uint64_t)db_number(q, 4)};
        rc = db_bytes_dup(q, 1, d->a, &digest);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 2, d->a, &o->policy);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 3, d->a, &o->mx);
        if (rc == RC_OK)
            rc = read_failures(db, d, o, digest);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc tlsrpt_read(struct store *s, int64_t day, struct view domain, uint64_t report, struct arena *a, struct tlsrpt_outcome **out,
                    size_t *n)
{
    struct tlsrpt_question d = {.day = day, .domain = domain, .report = report, .a = a, .max = READ_MAX};
    d.out = arena_new_array(a, d.max, struct tlsrpt_outcome);
    enum rc rc = d.out ? directory_look(s, read_policies, &d) : RC_TEMP;
    *out = d.out;
    *n = rc == RC_OK ? d.n : 0;
    return rc;
}

/* --- reports --- */

struct sealing {
    const struct tlsrpt_open *o;
    int64_t end_s, due_s;
};

static enum rc first_number(struct db *db, const char *sql, const struct tlsrpt_open *o, int64_t *out)
{
    struct db_query *q;
    const int64_t day_s = o->day * SEEN_DAY_S;
    enum rc rc = db_first(db, &q, sql, DB_N(SEEN_TLS), DB_N(day_s), DB_T(o->domain));
    if (rc == RC_OK)
        *out = db_number(q, 0);
    db_done(q);
    return rc;
}

/* The counts are read again: deliveries go on meanwhile. */
static enum rc seal(struct db *db, void *ctx)
{
    const struct sealing *x = ctx;
    const int64_t day_s = x->o->day * SEEN_DAY_S;
    int64_t last = 0, id = 0;
    enum rc rc = first_number(db, "SELECT COALESCE(MAX(end_s), 0) FROM seen_report WHERE kind = $1 AND day_s = $2 AND domain = $3", x->o, &last);
    if (rc != RC_OK)
        return rc;
    if (last >= day_s + SEEN_DAY_S - 1) /* told to the end: a clock went back */
        return db_exec(db, "DELETE FROM tls_policy WHERE day = $1 AND domain = $2 AND report = 0", DB_N(x->o->day), DB_T(x->o->domain));
    int64_t begin_s = last >= day_s ? last + 1 : day_s, end_s = x->end_s > begin_s ? x->end_s : begin_s;
    rc = db_exec(db,
                 "INSERT INTO seen_report (kind, day_s, domain, policy, begin_s, end_s, messages, bad, n_rows, dropped, due_s, tries,"
                 " finished_s, note) SELECT $1, $2, $3, '', $4, $5, SUM(successes + failures), SUM(failures), COUNT(*), 0, $6, 0, 0, ''"
                 " FROM tls_policy WHERE day = $7 AND domain = $3 AND report = 0 GROUP BY domain",
                 DB_N(SEEN_TLS), DB_N(day_s), DB_T(x->o->domain), DB_N(begin_s), DB_N(end_s), DB_N(x->due_s), DB_N(x->o->day));
    if (rc != RC_OK || db_changed(db) == 0)
        return rc;
    rc = first_number(db, "SELECT MAX(id) FROM seen_report WHERE kind = $1 AND day_s = $2 AND domain = $3", x->o, &id);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE tls_policy SET report = $1 WHERE day = $2 AND domain = $3 AND report = 0", DB_N(id), DB_N(x->o->day),
                     DB_T(x->o->domain));
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "UPDATE tls_failure SET report = $1 WHERE day = $2 AND domain = $3 AND report = 0", DB_N(id), DB_N(x->o->day),
                   DB_T(x->o->domain));
}

enum rc tlsrpt_seal(struct store *s, const struct tlsrpt_open *o, int64_t end_s, int64_t due_s)
{
    struct sealing x = {o, end_s, due_s};
    return directory_txn(s, seal, &x);
}

static enum rc drop(struct db *db, void *ctx)
{
    const struct seen_report *r = ctx;
    const int64_t day = r->begin_s / SEEN_DAY_S;
    enum rc rc = db_exec(db, "DELETE FROM tls_failure WHERE day = $1 AND domain = $2 AND report = $3", DB_N(day), DB_T(r->domain), DB_N(r->id));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM tls_policy WHERE day = $1 AND domain = $2 AND report = $3", DB_N(day), DB_T(r->domain), DB_N(r->id));
    return rc == RC_OK ? db_exec(db, "DELETE FROM seen_report WHERE id = $1", DB_N(r->id)) : rc;
}

enum rc tlsrpt_drop(struct store *s, const struct seen_report *r)
{
    struct seen_report copy = *r;
    return directory_txn(s, drop, &copy);
}

static enum rc delete_old(struct db *db, void *ctx)
{
    const int64_t *before = ctx;
    enum rc rc = db_exec(db, "DELETE FROM tls_failure WHERE day < $1", DB_N(*before));
    return rc == RC_OK ? db_exec(db, "DELETE FROM tls_policy WHERE day < $1", DB_N(*before)) : rc;
}

enum rc tlsrpt_forget(struct store *s, int64_t before_day)
{
    return directory_txn(s, delete_old, &before_day);
}
