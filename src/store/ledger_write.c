/* store/ledger_write: a report on its way in: its rows go to the disk in pieces, its sums stay in memory until the end. */
#include <stdlib.h>
#include <xxhash.h>

#include "base/clock.h"
#include "store/ledger_internal.h"

#define MEMORY_MAX   (96u << 20) /* of one report's sums */
#define CHUNK_MEMORY (8u << 20)  /* of the rows of one transaction */
#define SAID_BUCKETS 32768       /* powers of two, at least twice what they hold */
#define ADDRESS_BUCKETS 131072
#define SOURCE_BUCKETS 16384
#define SOURCES_MAX  5000        /* of one report; the last one is LEDGER_OTHERS */
#define REASONS_MAX  32
#define TLS_MAX      1000

struct chunk_row {
    uint8_t ip[16];
    uint8_t ip_n;
    uint64_t messages;
    int64_t said;
    struct view detail; /* where it is said for the first time */
};
struct said {
    uint64_t hash[2];
    int64_t id; /* from 1; 0: empty bucket */
};
struct ledger_writer {
    struct store *s;
    struct arena mem, chunk_mem;
    struct ledger_report report;
    int64_t id;
    uint64_t max_kept, n_said;
    struct chunk_row *chunk;
    size_t n_chunk;
    struct said *said;          /* SAID_BUCKETS */
    uint32_t *addresses, *sources; /* buckets: index + 1 into parts */
    struct parts parts;
};

/* --- beginning --- */

static enum rc copy_texts(struct arena *a, struct ledger_report *r)
{
    struct view *texts[] = {&r->domain, &r->org, &r->email, &r->report_id, &r->spf, &r->dkim, &r->dmarc, &r->by, &r->why, &r->policy, &r->p};
    enum rc rc = RC_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && rc == RC_OK; i++)
        rc = view_dup(a, *texts[i], texts[i]);
    return rc;
}

/* The one that is there already. RC_EXISTS: it stands before ours. RC_OK: *id, 0 for none, has to go for ours. */
static enum rc find_twin(struct db *db, const struct ledger_report *r, int64_t domain, int64_t reporter, int64_t *id)
{
    struct db_query *q;
    *id = 0;
    enum rc rc = db_first(db, &q, "SELECT id, counted FROM report WHERE domain = $1 AND kind = $2 AND reporter = $3 AND report_id = $4"
                                  " AND state = 1", DB_N(domain), DB_N(r->kind), DB_N(reporter), DB_T(r->report_id));
    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc == RC_OK) {
        bool counted = db_number(q, 1) != 0;
        *id = db_number(q, 0);
        rc = counted || !r->counted ? RC_EXISTS : RC_OK;
    }
    db_done(q);
    return rc;
}

static enum rc count_today(struct db *db, const struct ledger_report *r, int64_t domain)
{
    struct db_query *q;
    int64_t n = 0;
    enum rc rc = db_first(db, &q, "SELECT COUNT(*) FROM report WHERE domain = $1 AND kind = $2 AND received_s > $3 AND received_s <= $4"
                                  " AND state = 1", DB_N(domain), DB_N(r->kind), DB_N(r->received_s - LEDGER_DAY_S), DB_N(r->received_s));
    rc = ledger_number(q, rc, &n);
    return rc == RC_OK && n >= LEDGER_A_DAY ? RC_LIMIT : rc;
}

/* One that is not authentic takes the place of the oldest such. */
static enum rc make_room(struct db *db, int64_t domain)
{
    struct db_query *q;
    int64_t n = 0, oldest = 0;
    enum rc rc = db_first(db, &q, "SELECT COUNT(*), MIN(id) FROM report WHERE domain = $1 AND state = 1 AND counted = 0", DB_N(domain));
    if (rc == RC_OK) {
        n = db_number(q, 0);
        oldest = db_number(q, 1);
    }
    db_done(q);
    return rc == RC_OK && n >= LEDGER_UNPROVEN_MAX ? ledger_drop(db, oldest) : rc;
}

/* Reporters are told apart without case. */
static enum rc find_reporter(struct db *db, struct view org, int64_t *id)
{
    struct buf name;
    buf_init(&name, LEDGER_TEXT_MAX);
    for (size_t i = 0; i < org.n; i++)
        buf_chr(&name, (char)to_lower((unsigned char)org.p[i]));
    enum rc rc = buf_rc(&name);
    if (rc == RC_OK)
        rc = ledger_reporter(db, buf_view(&name), id);
    buf_clear(&name);
    return rc;
}

static enum rc begin_report(struct db *db, void *ctx)
{
    struct ledger_writer *w = ctx;
    const struct ledger_report *r = &w->report;
    struct db_query *q;
    int64_t domain = 0, reporter = 0, twin;
    enum rc rc = ledger_domain(db, r->domain, &domain);
    if (rc == RC_OK)
        rc = find_reporter(db, r->org, &reporter);
    if (rc == RC_OK)
        rc = find_twin(db, r, domain, reporter, &twin);
    if (rc == RC_OK)
        rc = count_today(db, r, domain);
    if (rc == RC_OK && !r->counted)
        rc = make_room(db, domain);
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO report (kind, state, written_s, domain, reporter, org, email, report_id, begin_s, end_s, day, received_s,"
                         " via, spf, dkim, dmarc, proven, counted, why, policy, p, messages, n_rows, n_kept) VALUES ($1, 0, $2, $3, $4, $5, $6,"
                         " $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 0, 0, 0)",
                     DB_N(r->kind), DB_N(clock_real_s()), DB_N(domain), DB_N(reporter), DB_T(r->org), DB_T(r->email), DB_T(r->report_id),
                     DB_N(r->begin_s), DB_N(r->end_s), DB_N(ledger_day_of(r->begin_s, r->end_s)), DB_N(r->received_s), DB_N(r->via),
                     DB_T(r->spf), DB_T(r->dkim), DB_T(r->dmarc), DB_T(r->by), DB_N(r->counted), DB_T(r->why), DB_T(r->policy), DB_T(r->p));
    if (rc == RC_OK)
        rc = db_first(db, &q, "SELECT MAX(id) FROM report"); /* in this transaction nobody else adds one */
    return rc == RC_OK ? ledger_number(q, rc, &w->id) : rc;
}

static void free_writer(struct ledger_writer *w)
{
    arena_clear(&w->mem);
    arena_clear(&w->chunk_mem);
    free(w->chunk);
    free(w->said);
    free(w->addresses);
    free(w->sources);
    free(w);
}

enum rc ledger_begin(struct store *s, const struct ledger_report *report, struct ledger_writer **out)
{
    struct ledger_writer *w = calloc(1, sizeof *w);
    enum rc rc = RC_TEMP;
    if (!w)
        return RC_TEMP;
    w->s = s;
    w->report = *report;
    w->max_kept = report->counted ? LEDGER_ROWS_MAX : LEDGER_ROWS_UNPROVEN;
    arena_init(&w->mem, MEMORY_MAX);
    arena_init(&w->chunk_mem, CHUNK_MEMORY);
    w->chunk = calloc(LEDGER_CHUNK, sizeof *w->chunk);
    w->said = calloc(SAID_BUCKETS, sizeof *w->said);
    w->addresses = calloc(ADDRESS_BUCKETS, sizeof *w->addresses);
    w->sources = calloc(SOURCE_BUCKETS, sizeof *w->sources);
    if (w->chunk && w->said && w->addresses && w->sources)
        rc = copy_texts(&w->mem, &w->report);
    if (rc == RC_OK && (report->policy.n > LEDGER_TEXT_MAX || report->org.n > 1024 || report->report_id.n > 1024))
        rc = RC_LIMIT;
    if (rc == RC_OK)
        rc = ledger_change(s, begin_report, w);
    if (rc == RC_OK)
        *out = w;
    else
        free_writer(w);
    return rc;
}

/* --- rows --- */

static enum rc write_chunk(struct db *db, void *ctx)
{
    const struct ledger_writer *w = ctx;
    uint64_t first = w->report.rows_kept - w->n_chunk;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < w->n_chunk && rc == RC_OK; i++) {
        const struct chunk_row *row = &w->chunk[i];
        if (row->detail.p)
            rc = db_exec(db, "INSERT INTO report_said (report, id, detail) VALUES ($1, $2, $3)", DB_N(w->id), DB_N(row->said),
                         DB_T(row->detail));
        if (rc == RC_OK)
            rc = db_exec(db, "INSERT INTO report_row (report, n, ip, messages, said) VALUES ($1, $2, $3, $4, $5)", DB_N(w->id), DB_N(first + i),
                         DB_B(view_of(row->ip, row->ip_n)), DB_N(row->messages), DB_N(row->said));
    }
    return rc;
}

static enum rc flush_chunk(struct ledger_writer *w)
{
    enum rc rc = w->n_chunk > 0 ? ledger_change(w->s, write_chunk, w) : RC_OK;
    if (rc == RC_OK) {
        w->n_chunk = 0;
        arena_reset(&w->chunk_mem);
    }
    return rc;
}

static enum rc keep_row(struct ledger_writer *w, const struct ledger_row *row)
{
    XXH128_hash_t h = XXH3_128bits(row->detail.p ? row->detail.p : "", row->detail.n);
    size_t at = h.low64 & (SAID_BUCKETS - 1);
    struct chunk_row *c = &w->chunk[w->n_chunk];
    enum rc rc = RC_OK;
    while (w->said[at].id != 0 && (w->said[at].hash[0] != h.low64 || w->said[at].hash[1] != h.high64))
        at = (at + 1) & (SAID_BUCKETS - 1);
    *c = (struct chunk_row){.ip_n = (uint8_t)row->ip.n, .messages = row->messages};
    memcpy(c->ip, row->ip.p, row->ip.n);
    if (w->said[at].id == 0) {
        rc = view_dup(&w->chunk_mem, row->detail, &c->detail);
        if (rc == RC_OK)
            w->said[at] = (struct said){{h.low64, h.high64}, (int64_t)++w->n_said};
    }
    c->said = w->said[at].id;
    if (rc != RC_OK)
        return rc;
    w->n_chunk++;
    w->report.rows_kept++;
    return w->n_chunk == LEDGER_CHUNK || w->chunk_mem.used > CHUNK_MEMORY / 2 ? flush_chunk(w) : RC_OK;
}

static enum rc copy_name(struct arena *a, const struct ledger_name *from, struct ledger_name *to)
{
    *to = *from;
    enum rc rc = view_dup(a, from->key, &to->key);
    if (rc == RC_OK)
        rc = view_dup(a, from->name, &to->name);
    return rc == RC_OK ? view_dup(a, from->kind, &to->kind) : rc;
}

static const struct ledger_name others = {.key = VIEW_INIT(LEDGER_OTHERS), .name = VIEW_INIT("")};

static uint32_t *find_bucket(struct ledger_writer *w, struct view key)
{
    size_t at = XXH3_64bits(key.p, key.n) & (SOURCE_BUCKETS - 1);
    while (w->sources[at] && !view_eq(w->parts.sources[w->sources[at] - 1].name.key, key))
        at = (at + 1) & (SOURCE_BUCKETS - 1);
    return &w->sources[at];
}

static enum rc find_source(struct ledger_writer *w, const struct ledger_name *name, uint32_t *out)
{
    struct parts *p = &w->parts;
    if (name->key.n == 0)
        name = &others;
    uint32_t *bucket = find_bucket(w, name->key);
    if (!*bucket && p->n_sources >= SOURCES_MAX - 1) {
        name = &others;
        bucket = find_bucket(w, name->key);
    }
    if (!*bucket) {
        if (!arena_room(&w->mem, p->sources, p->n_sources) || copy_name(&w->mem, name, &p->sources[p->n_sources].name) != RC_OK)
            return RC_TEMP;
        *bucket = (uint32_t)++p->n_sources;
    }
    *out = *bucket - 1;
    return RC_OK;
}

/* NULL in *out: it is not told apart. */
static enum rc find_address(struct ledger_writer *w, const struct ledger_row *row, uint32_t source, struct part_address **out)
{
    struct parts *p = &w->parts;
    size_t at = XXH3_64bits(row->ip.p, row->ip.n) & (ADDRESS_BUCKETS - 1);
    *out = NULL;
    for (; w->addresses[at]; at = (at + 1) & (ADDRESS_BUCKETS - 1)) {
        *out = &p->addresses[w->addresses[at] - 1];
        if (view_eq(view_of((*out)->ip, (*out)->ip_n), row->ip)) {
            if (p->sources[source].name.basis > p->sources[(*out)->source].name.basis)
                (*out)->source = source; /* this row says more of whose it is */
            return RC_OK;
        }
    }
    *out = NULL;
    if (p->n_addresses == LEDGER_ADDRESSES_MAX)
        return RC_OK;
    if (!arena_room(&w->mem, p->addresses, p->n_addresses))
        return RC_TEMP;
    struct part_address *new = &p->addresses[p->n_addresses];
    *new = (struct part_address){.ip_n = (uint8_t)row->ip.n, .source = source};
    memcpy(new->ip, row->ip.p, row->ip.n);
    if (view_dup(&w->mem, view_slice(row->header_from, 0, 255), &new->header_from) != RC_OK ||
        view_dup(&w->mem, view_slice(row->envelope_from, 0, 255), &new->envelope_from) != RC_OK ||
        view_dup(&w->mem, view_slice(row->selector, 0, 255), &new->selector) != RC_OK)
        return RC_TEMP;
    w->addresses[at] = (uint32_t)++p->n_addresses;
    *out = new;
    return RC_OK;
}

static enum rc count_reason(struct ledger_writer *w, struct view word, uint64_t messages)
{
    struct parts *p = &w->parts;
    for (size_t i = 0; i < p->n_reasons; i++)
        if (view_eq(p->reasons[i].word, word)) {
            p->reasons[i].messages += messages;
            return RC_OK;
        }
    if (p->n_reasons == REASONS_MAX)
        return RC_OK;
    if (!arena_room(&w->mem, p->reasons, p->n_reasons) ||
        view_dup(&w->mem, view_slice(word, 0, 64), &p->reasons[p->n_reasons].word) != RC_OK)
        return RC_TEMP;
    p->reasons[p->n_reasons++].messages = messages;
    return RC_OK;
}

static bool has_reason(const struct ledger_row *row, struct view type)
{
    for (size_t i = 0; i < row->n_reasons; i++)
        if (view_eq(row->reasons[i], type))
            return true;
    return false;
}

enum rc ledger_add(struct ledger_writer *w, const struct ledger_row *row)
{
    const uint64_t n = row->messages;
    const struct ledger_sum sum = {.messages = n,
                                     .aligned = row->spf_aligned || row->dkim_aligned ? n : 0,
                                     .spf = row->spf_aligned ? n : 0,
                                     .dkim = row->dkim_aligned ? n : 0,
                                     .spf_passed = row->spf_passed || row->spf_aligned ? n : 0,
                                     .dkim_passed = row->dkim_passed || row->dkim_aligned ? n : 0,
                                     .none = row->disposition == LEDGER_NONE ? n : 0,
                                     .quarantine = row->disposition == LEDGER_QUARANTINE ? n : 0,
                                     .reject = row->disposition == LEDGER_REJECT ? n : 0,
                                     .forwarded = has_reason(row, VIEW("forwarded")) || has_reason(row, VIEW("trusted_forwarder")) ? n : 0,
                                     .listed = has_reason(row, VIEW("mailing_list")) ? n : 0};
    struct part_address *address = NULL;
    uint32_t source = 0;
    enum rc rc = RC_OK;
    if (row->ip.n != 4 && row->ip.n != 16)
        return RC_SYNTAX;
    w->report.rows++;
    if (w->report.rows_kept < w->max_kept)
        rc = keep_row(w, row);
    ledger_sum_add(&w->parts.total, &sum);
    for (size_t i = 0; i < row->n_reasons && rc == RC_OK; i++)
        rc = count_reason(w, row->reasons[i], n);
    if (rc == RC_OK)
        rc = find_source(w, &row->source, &source);
    if (rc == RC_OK)
        rc = find_address(w, row, source, &address);
    if (rc == RC_OK)
        ledger_sum_add(address ? &address->sum : &w->parts.sources[source].rest, &sum);
    return rc;
}

enum rc ledger_add_tls(struct ledger_writer *w, const struct ledger_tls *policy)
{
    struct parts *p = &w->parts;
    if (p->n_tls == TLS_MAX)
        return RC_LIMIT;
    if (!arena_room(&w->mem, p->tls, p->n_tls))
        return RC_TEMP;
    struct ledger_tls *new = &p->tls[p->n_tls++];
    *new = *policy;
    w->report.rows++;
    w->parts.total.messages += policy->successes + policy->failures;
    enum rc rc = view_dup(&w->mem, policy->type, &new->type);
    return rc == RC_OK ? view_dup(&w->mem, policy->mx, &new->mx) : rc;
}

enum rc ledger_add_tls_failure(struct ledger_writer *w, const struct ledger_tls_failure *failure)
{
    struct parts *p = &w->parts;
    for (size_t i = 0; i < p->n_tls_failures; i++) {
        struct ledger_tls_failure *have = &p->tls_failures[i];
        if (view_eq(have->result, failure->result) && view_eq(have->mx, failure->mx)) {
            have->sessions += failure->sessions;
            return RC_OK;
        }
    }
    if (p->n_tls_failures == TLS_MAX)
        return RC_LIMIT;
    if (!arena_room(&w->mem, p->tls_failures, p->n_tls_failures))
        return RC_TEMP;
    struct ledger_tls_failure *new = &p->tls_failures[p->n_tls_failures++];
    *new = *failure;
    enum rc rc = view_dup(&w->mem, failure->result, &new->result);
    return rc == RC_OK ? view_dup(&w->mem, failure->mx, &new->mx) : rc;
}

/* --- the end --- */

static enum rc end_report(struct db *db, void *ctx)
{
    const struct ledger_writer *w = ctx;
    const struct ledger_report *r = &w->report;
    struct rollup up = {.day = ledger_day_of(r->begin_s, r->end_s), .now_s = r->received_s, .p = r->p};
    int64_t twin = 0;
    enum rc rc = ledger_domain(db, r->domain, &up.domain);
    if (rc == RC_OK)
        rc = find_reporter(db, r->org, &up.reporter);
    if (rc == RC_OK)
        rc = find_twin(db, r, up.domain, up.reporter, &twin);
    if (rc == RC_OK && twin != 0)
        rc = ledger_drop(db, twin);
    if (rc == RC_OK && r->counted)
        rc = r->kind == LEDGER_DMARC ? ledger_rollup_dmarc(db, &up, &w->parts) : ledger_rollup_tls(db, &up, &w->parts);
    if (rc != RC_OK)
        return rc;
    rc = db_exec(db, "UPDATE report SET state = 1, messages = $1, n_rows = $2, n_kept = $3 WHERE id = $4 AND state = 0", DB_N(w->parts.total.messages),
                 DB_N(r->rows), DB_N(r->rows_kept), DB_N(w->id));
    return rc == RC_OK && db_changed(db) == 0 ? RC_TEMP : rc; /* taken for a crashed one and dropped: it was far too slow */
}

static enum rc drop_report(struct db *db, void *ctx)
{
    return ledger_drop(db, *(const int64_t *)ctx);
}

void ledger_abort(struct ledger_writer *w)
{
    if (!w)
        return;
    ledger_change(w->s, drop_report, &w->id); /* what stays is dropped later */
    free_writer(w);
}

enum rc ledger_end(struct ledger_writer *w, uint64_t *id)
{
    enum rc rc = flush_chunk(w);
    if (rc == RC_OK)
        rc = ledger_change(w->s, end_report, w);
    if (rc == RC_OK)
        rc = ledger_sync(w->s);
    if (rc != RC_OK) {
        ledger_abort(w);
        return rc;
    }
    *id = (uint64_t)w->id;
    free_writer(w);
    return RC_OK;
}
