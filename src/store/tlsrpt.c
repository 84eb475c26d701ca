#include "store/tlsrpt.h"

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
                   "INSERT INTO tls_policy (day, domain, type, digest, policy, mx, successes, failures) VALUES ($1, $2, $3, $4, $5, $6,"
                   " $7, $8) ON CONFLICT (day, domain, type, digest) DO UPDATE SET successes = tls_policy.successes + $7,"
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
                   "INSERT INTO tls_failure (day, domain, type, digest, result, mx, sent_from, sent_to, reason, sessions) VALUES ($1, $2,"
                   " $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (day, domain, type, digest, result, mx, sent_from, sent_to, reason)"
                   " DO UPDATE SET sessions = tls_failure.sessions + $10",
                   DB_N(o->day), DB_T(o->domain), DB_N(o->type), DB_T(digest), DB_N(o->result), DB_T(full ? VIEW("") : o->host),
                   DB_T(full ? VIEW("") : o->sent_from), DB_T(full ? VIEW("") : o->sent_to), DB_T(full ? VIEW("") : o->reason),
                   DB_N(o->sessions));
}

static enum rc add_all(struct db *db, void *ctx)
{
    const struct addition *add = ctx;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < add->n && rc == RC_OK; i++) {
        const struct tlsrpt_outcome *o = &add->o[i];
        uint8_t hash[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        rc = sha256(o->policy, hash);
        if (rc != RC_OK)
            break;
        hex_write(view_of(hash, sizeof hash), hex);
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

struct tlsrpt_question {
    int64_t day;
    struct view domain;
    struct arena *a;
    struct view *domains;
    struct tlsrpt_outcome *out;
    size_t n, max;
};

static enum rc read_domains(struct db *db, void *ctx)
{
    struct tlsrpt_question *d = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT COUNT(DISTINCT domain) FROM tls_policy WHERE day = $1", DB_N(d->day));
    if (rc != RC_OK)
        return rc;
    d->max = (size_t)db_number(q, 0);
    d->n = 0;
    db_done(q);
    d->domains = arena_new_array(d->a, d->max, struct view);
    if (!d->domains)
        return RC_TEMP;
    rc = db_query(db, &q, "SELECT DISTINCT domain FROM tls_policy WHERE day = $1 ORDER BY domain", DB_N(d->day));
    while (rc == RC_OK && d->n < d->max && (rc = db_next(q)) == RC_OK)
        rc = db_bytes_dup(q, 0, d->a, &d->domains[d->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc tlsrpt_domains(struct store *s, int64_t day, struct arena *a, struct view **domains, size_t *n)
{
    struct tlsrpt_question d = {.day = day, .a = a};
    enum rc rc = directory_look(s, read_domains, &d);
    *domains = d.domains;
    *n = rc == RC_OK ? d.n : 0;
    return rc;
}

static enum rc read_failures(struct db *db, struct tlsrpt_question *d, const struct tlsrpt_outcome *policy, struct view digest)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q,
                          "SELECT result, mx, sent_from, sent_to, reason, sessions FROM tls_failure WHERE day = $1 AND domain = $2"
                          " AND type = $3 AND digest = $4 ORDER BY sessions DESC, result, mx",
                          DB_N(d->day), DB_T(d->domain), DB_N(policy->type), DB_T(digest));
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
    enum rc rc = db_query(db, &q, "SELECT type, digest, policy, mx, successes FROM tls_policy WHERE day = $1 AND domain = $2",
                          DB_N(d->day), DB_T(d->domain));
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

enum rc tlsrpt_read(struct store *s, int64_t day, struct view domain, struct arena *a, struct tlsrpt_outcome **out, size_t *n)
{
    struct tlsrpt_question d = {.day = day, .domain = domain, .a = a, .max = READ_MAX};
    d.out = arena_new_array(a, d.max, struct tlsrpt_outcome);
    enum rc rc = d.out ? directory_look(s, read_policies, &d) : RC_TEMP;
    *out = d.out;
    *n = rc == RC_OK ? d.n : 0;
    return rc;
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
