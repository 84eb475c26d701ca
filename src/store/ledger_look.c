/* store/ledger_look: what pages and commands ask of received reports. Sums come from the daily ones; rows are read only where they are shown. */
#include <stdlib.h>

#include "store/ledger_internal.h"

struct asking {
    const struct ledger_span *span;
    enum ledger_kind kind;
    int64_t before_s, domain;
    uint64_t before, id;
    struct view key;
    size_t max, n;
    struct arena *a;
    void *out;
};

/* RC_NOTFOUND becomes "nothing": a domain of which no report tells. */
static enum rc find_domain(struct db *db, struct asking *x)
{
    return ledger_domain_find(db, x->span->domain, &x->domain);
}

/* --- reports --- */

#define REPORT_COLUMNS                                                                                                              \
    "report.id, report.kind, domain.name, org, email, report_id, begin_s, end_s, received_s, via, spf, dkim, dmarc, proven, counted, why, policy, p," \
    " messages, n_rows, n_kept"

static enum rc take_report(struct db_query *q, struct arena *a, struct ledger_report *r)
{
    *r = (struct ledger_report){.id = (uint64_t)db_number(q, 0),
                                .kind = (enum ledger_kind)db_number(q, 1),
                                .begin_s = db_number(q, 6),
                                .end_s = db_number(q, 7),
                                .received_s = db_number(q, 8),
                                .via = (enum ledger_via)db_number(q, 9),
                                .counted = db_number(q, 14) != 0,
                                .messages = (uint64_t)db_number(q, 18),
                                .rows = (uint64_t)db_number(q, 19),
                                .rows_kept = (uint64_t)db_number(q, 20)};
    const struct {
        int column;
        struct view *to;
    } texts[] = {{2, &r->domain}, {3, &r->org},   {4, &r->email}, {5, &r->report_id}, {10, &r->spf}, {11, &r->dkim},
                 {12, &r->dmarc}, {13, &r->by},   {15, &r->why},  {16, &r->policy},   {17, &r->p}};
    enum rc rc = RC_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && rc == RC_OK; i++)
        rc = db_bytes_dup(q, texts[i].column, a, texts[i].to);
    return rc;
}

static enum rc ask_reports(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_report **out = x->out;
    struct db_query *q = NULL;
    x->n = 0;
    enum rc rc = find_domain(db, x);
    if (rc == RC_OK && x->before_s == 0)
        rc = db_query(db, &q, "SELECT " REPORT_COLUMNS " FROM report JOIN domain ON domain.id = report.domain WHERE report.domain = $1 AND kind = $2"
                              " AND state = 1 AND day BETWEEN $3 AND $4 ORDER BY received_s DESC, report.id DESC LIMIT $5",
                      DB_N(x->domain), DB_N(x->kind), DB_N(x->span->from), DB_N(x->span->to), DB_N(x->max));
    else if (rc == RC_OK)
        rc = db_query(db, &q, "SELECT " REPORT_COLUMNS " FROM report JOIN domain ON domain.id = report.domain WHERE report.domain = $1 AND kind = $2"
                              " AND state = 1 AND (received_s, report.id) < ($3, $4) AND day BETWEEN $5 AND $6"
                              " ORDER BY received_s DESC, report.id DESC LIMIT $7",
                      DB_N(x->domain), DB_N(x->kind), DB_N(x->before_s), DB_N(x->before), DB_N(x->span->from), DB_N(x->span->to), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = arena_room(x->a, *out, x->n) ? take_report(q, x->a, &(*out)[x->n++]) : RC_TEMP;
    db_done(q);
    return ledger_nothing(rc);
}

enum rc ledger_reports(struct store *s, const struct ledger_span *span, enum ledger_kind kind, int64_t before_s, uint64_t before_id, size_t max,
                       struct arena *a, struct ledger_report **out, size_t *n)
{
    struct asking x = {.span = span, .kind = kind, .before_s = before_s, .before = before_id, .max = max, .a = a, .out = out};
    *out = NULL;
    enum rc rc = ledger_nothing(ledger_look(s, ask_reports, &x));
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

static enum rc ask_report(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " REPORT_COLUMNS " FROM report JOIN domain ON domain.id = report.domain WHERE report.id = $1 AND state = 1",
                          DB_N(x->id));
    if (rc == RC_OK)
        rc = take_report(q, x->a, x->out);
    db_done(q);
    return rc;
}

enum rc ledger_report(struct store *s, uint64_t id, struct arena *a, struct ledger_report *out)
{
    struct asking x = {.id = id, .a = a, .out = out};
    return ledger_look(s, ask_report, &x);
}

static enum rc ask_rows(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_kept **out = x->out;
    struct db_query *q = NULL;
    x->n = 0;
    enum rc rc = db_query(db, &q, "SELECT ip, messages, detail FROM report_row LEFT JOIN report_said ON report_said.report = report_row.report AND"
                                  " report_said.id = report_row.said WHERE report_row.report = $1 AND n >= $2 ORDER BY n LIMIT $3",
                          DB_N(x->id), DB_N(x->before), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(x->a, *out, x->n)) {
            rc = RC_TEMP;
            break;
        }
        struct ledger_kept *row = &(*out)[x->n++];
        row->messages = (uint64_t)db_number(q, 1);
        rc = ledger_ip_text(db_bytes(q, 0), x->a, &row->ip);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 2, x->a, &row->detail);
    }
    db_done(q);
    return ledger_nothing(rc);
}

enum rc ledger_rows(struct store *s, uint64_t report, uint64_t from, size_t max, struct arena *a, struct ledger_kept **out, size_t *n)
{
    struct asking x = {.id = report, .before = from, .max = max, .a = a, .out = out};
    *out = NULL;
    enum rc rc = ledger_nothing(ledger_look(s, ask_rows, &x));
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* --- failure reports --- */

static enum rc take_failure(struct db_query *q, struct arena *a, struct ledger_failure *f)
{
    struct view *const texts[] = {&f->type, &f->reporter, &f->source_ip, &f->original_from, &f->original_to, &f->subject, &f->auth_failure,
                                  &f->verdict, &f->headers, &f->domain};
    *f = (struct ledger_failure){.id = (uint64_t)db_number(q, 0), .received_s = db_number(q, 1), .arrival_s = db_number(q, 2),
                                 .counted = db_number(q, 3) != 0};
    enum rc rc = RC_OK;
    for (int i = 0; i < 10 && rc == RC_OK; i++)
        rc = db_bytes_dup(q, 4 + i, a, texts[i]);
    return rc;
}

static enum rc ask_failures(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_failure **out = x->out;
    struct db_query *q = NULL;
    x->n = 0;
    enum rc rc = find_domain(db, x);
    if (rc == RC_OK)
        rc = db_query(db, &q, "SELECT failure.id, received_s, arrival_s, counted, type, reporter, source_ip, original_from, original_to, subject,"
                              " auth_failure, verdict, headers, domain.name FROM failure JOIN domain ON domain.id = failure.domain"
                              " WHERE failure.domain = $1 AND failure.id < $2 AND received_s >= $3 AND received_s < $4 ORDER BY failure.id DESC LIMIT $5",
                      DB_N(x->domain), DB_N(x->before > 0 ? x->before : INT64_MAX), DB_N(x->span->from * LEDGER_DAY_S),
                      DB_N((x->span->to + 1) * LEDGER_DAY_S), DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = arena_room(x->a, *out, x->n) ? take_failure(q, x->a, &(*out)[x->n++]) : RC_TEMP;
    db_done(q);
    return ledger_nothing(rc);
}

enum rc ledger_failures(struct store *s, const struct ledger_span *span, uint64_t before_id, size_t max, struct arena *a,
                        struct ledger_failure **out, size_t *n)
{
    struct asking x = {.span = span, .before = before_id, .max = max, .a = a, .out = out};
    *out = NULL;
    enum rc rc = ledger_nothing(ledger_look(s, ask_failures, &x));
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* --- sums of the domain --- */

/* Word, messages. */
static enum rc take_counts(struct db_query *q, enum rc rc, struct arena *a, struct ledger_count **out, size_t *n)
{
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(a, *out, *n)) {
            rc = RC_TEMP;
            break;
        }
        (*out)[*n].n = (uint64_t)db_number(q, 1);
        rc = db_bytes_dup(q, 0, a, &(*out)[(*n)++].name);
    }
    db_done(q);
    return ledger_nothing(rc);
}

/* Day, reports, sums. */
static enum rc take_days(struct db_query *q, enum rc rc, struct arena *a, struct ledger_day **out, size_t *n)
{
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(a, *out, *n)) {
            rc = RC_TEMP;
            break;
        }
        (*out)[(*n)++] = (struct ledger_day){db_number(q, 0), (uint64_t)db_number(q, 1), ledger_sum_of(q, 2)};
    }
    db_done(q);
    return ledger_nothing(rc);
}

static enum rc ask_words(struct db *db, const struct asking *x, int what, struct ledger_count **out, size_t *n)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT word, SUM(messages) FROM word_day WHERE domain = $1 AND day BETWEEN $2 AND $3 AND what = $4 GROUP BY word"
                                  " ORDER BY SUM(messages) DESC, word", DB_N(x->domain), DB_N(x->span->from), DB_N(x->span->to), DB_N(what));
    return take_counts(q, rc, x->a, out, n);
}

static enum rc ask_summary(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_summary *out = x->out;
    struct db_query *q;
    *out = (struct ledger_summary){0};
    enum rc rc = find_domain(db, x);
    if (rc != RC_OK)
        return ledger_nothing(rc);
    rc = db_query(db, &q, "SELECT day, reports, " SUM_NAMES " FROM total_day WHERE domain = $1 AND day BETWEEN $2 AND $3 ORDER BY day", DB_N(x->domain),
                  DB_N(x->span->from), DB_N(x->span->to));
    rc = take_days(q, rc, x->a, &out->days, &out->n_days);
    for (size_t i = 0; i < out->n_days; i++) {
        out->reports += out->days[i].reports;
        ledger_sum_add(&out->sum, &out->days[i].sum);
    }
    if (rc == RC_OK)
        rc = ask_words(db, x, 0, &out->reasons, &out->n_reasons);
    return rc == RC_OK ? ask_words(db, x, 1, &out->policies, &out->n_policies) : rc;
}

enum rc ledger_summary(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_summary *out)
{
    struct asking x = {.span = span, .a = a, .out = out};
    *out = (struct ledger_summary){0};
    return ledger_nothing(ledger_look(s, ask_summary, &x));
}

/* --- sources --- */

#define SOURCE_COLUMNS                                                                                                              \
    "source.key, source.name, source.kind, COALESCE(source_said.name, ''), COALESCE(source_said.kind, ''), source_domain.country,"    \
    " source_domain.addresses, source_domain.first, source_domain.last, source_domain.since_s"
#define SOURCE_SIZE 10
#define SOURCE_JOIN                                                                                                                 \
    " JOIN source ON source.id = s.source JOIN source_domain ON source_domain.domain = $1 AND source_domain.source = s.source"        \
    " LEFT JOIN source_said ON source_said.domain = $1 AND source_said.source = s.source"

static enum rc take_source(struct db_query *q, struct arena *a, struct ledger_source *out)
{
    struct view *const texts[] = {&out->key, &out->name, &out->kind, &out->said_name, &out->said_kind, &out->country};
    enum rc rc = RC_OK;
    for (int i = 0; i < 6 && rc == RC_OK; i++)
        rc = db_bytes_dup(q, i, a, texts[i]);
    if (view_eq(out->country, VIEW("--"))) /* several */
        out->country = VIEW("");
    out->addresses = (uint64_t)db_number(q, 6);
    out->first = db_number(q, 7);
    out->last = db_number(q, 8);
    out->since_s = db_number(q, 9);
    out->sum = ledger_sum_of(q, SOURCE_SIZE);
    return rc;
}

static enum rc ask_sources(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_source **out = x->out;
    struct db_query *q = NULL;
    x->n = 0;
    enum rc rc = find_domain(db, x);
    if (rc == RC_OK)
        rc = db_query(db, &q, "SELECT " SOURCE_COLUMNS ", s.* FROM (SELECT " SUM_TOTALS ", source FROM source_day WHERE domain = $1 AND day BETWEEN $2"
                              " AND $3 GROUP BY source) AS s" SOURCE_JOIN, DB_N(x->domain), DB_N(x->span->from), DB_N(x->span->to));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = arena_room(x->a, *out, x->n) ? take_source(q, x->a, &(*out)[x->n++]) : RC_TEMP;
    db_done(q);
    return ledger_nothing(rc);
}

enum rc ledger_sources(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_source **out, size_t *n)
{
    struct asking x = {.span = span, .a = a, .out = out};
    *out = NULL;
    enum rc rc = ledger_nothing(ledger_look(s, ask_sources, &x));
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

/* Messages by address and by reporter, added up here in one pass: a source may have hundreds of thousands of lines, and to have the
 * database group them by reporter would sort each. */
struct tally {
    int64_t id;
    uint64_t messages; /* 0: an empty bucket */
};
struct tallies {
    struct tally *all;
    size_t n, room; /* room: a power of two, at least twice n */
};

static struct tally *find_tally(const struct tallies *t, int64_t id)
{
    size_t at = (size_t)id & (t->room - 1);
    while (t->all[at].messages > 0 && t->all[at].id != id)
        at = (at + 1) & (t->room - 1);
    return &t->all[at];
}

static enum rc add_tally(struct tallies *t, int64_t id, uint64_t messages)
{
    if (2 * t->n >= t->room) {
        const struct tallies old = *t;
        struct tally *more = calloc(old.room > 0 ? 2 * old.room : 64, sizeof *more);
        if (!more)
            return RC_TEMP;
        t->all = more;
        t->room = old.room > 0 ? 2 * old.room : 64;
        for (size_t i = 0; i < old.room; i++)
            if (old.all[i].messages > 0)
                *find_tally(t, old.all[i].id) = old.all[i];
        free(old.all);
    }
    struct tally *found = find_tally(t, id);
    t->n += found->messages == 0 && messages > 0;
    *found = (struct tally){id, found->messages + messages};
    return RC_OK;
}

static int by_messages(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    return x->messages < y->messages ? 1 : x->messages > y->messages ? -1 : x->id > y->id ? 1 : x->id < y->id ? -1 : 0;
}

static enum rc add_lines(struct db *db, const struct asking *x, int64_t source, struct tallies *addresses, struct tallies *reporters)
{
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT address, reporter, messages FROM address_day WHERE domain = $1 AND day BETWEEN $2 AND $3 AND address IN"
                                  " (SELECT id FROM address WHERE source = $4)",
                          DB_N(x->domain), DB_N(x->span->from), DB_N(x->span->to), DB_N(source));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        rc = add_tally(addresses, db_number(q, 0), (uint64_t)db_number(q, 2));
        if (rc == RC_OK)
            rc = add_tally(reporters, db_number(q, 1), (uint64_t)db_number(q, 2));
    }
    db_done(q);
    if (addresses->n > 0) {
        qsort(addresses->all, addresses->room, sizeof *addresses->all, by_messages);
        qsort(reporters->all, reporters->room, sizeof *reporters->all, by_messages);
    }
    return ledger_nothing(rc);
}

static enum rc take_address(struct db *db, const struct asking *x, int64_t id, struct ledger_address *one)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT ip, host, country, header_from, envelope_from, selectors, first, address_domain.last, y.* FROM address JOIN"
                                  " address_domain ON address_domain.address = address.id AND address_domain.domain = $1 CROSS JOIN (SELECT " SUM_TOTALS
                                  " FROM address_day WHERE domain = $1 AND day BETWEEN $2 AND $3 AND address = $4) AS y WHERE address.id = $4",
                          DB_N(x->domain), DB_N(x->span->from), DB_N(x->span->to), DB_N(id));
    struct view *const texts[] = {&one->host, &one->country, &one->header_from, &one->envelope_from, &one->selectors};
    if (rc == RC_OK)
        rc = ledger_ip_text(db_bytes(q, 0), x->a, &one->ip);
    for (int i = 0; i < 5 && rc == RC_OK; i++)
        rc = db_bytes_dup(q, 1 + i, x->a, texts[i]);
    if (rc == RC_OK) {
        one->first = db_number(q, 6);
        one->last = db_number(q, 7);
        one->sum = ledger_sum_of(q, 8);
    }
    db_done(q);
    return rc;
}

static enum rc take_reporter(struct db *db, const struct asking *x, const struct tally *t, struct ledger_count *out)
{
    struct db_query *q;
    out->n = t->messages;
    enum rc rc = db_first(db, &q, "SELECT COALESCE((SELECT org FROM report WHERE domain = $1 AND kind = 0 AND reporter = $2 AND state = 1 LIMIT 1), name)"
                                  " FROM reporter WHERE id = $2",
                          DB_N(x->domain), DB_N(t->id));
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, &out->name);
    db_done(q);
    return rc;
}

static enum rc ask_lines(struct db *db, const struct asking *x, int64_t source, struct ledger_story *out)
{
    struct tallies addresses = {0}, reporters = {0};
    enum rc rc = add_lines(db, x, source, &addresses, &reporters);
    const size_t n_addresses = addresses.n < x->max ? addresses.n : x->max, n_reporters = reporters.n < x->max ? reporters.n : x->max;
    out->addresses = arena_new_array(x->a, n_addresses, struct ledger_address);
    out->reporters = arena_new_array(x->a, n_reporters, struct ledger_count);
    if (rc == RC_OK && (!out->addresses || !out->reporters))
        rc = RC_TEMP;
    for (; out->n_addresses < n_addresses && rc == RC_OK; out->n_addresses++)
        rc = take_address(db, x, addresses.all[out->n_addresses].id, &out->addresses[out->n_addresses]);
    for (; out->n_reporters < n_reporters && rc == RC_OK; out->n_reporters++)
        rc = take_reporter(db, x, &reporters.all[out->n_reporters], &out->reporters[out->n_reporters]);
    free(addresses.all);
    free(reporters.all);
    return rc;
}

/* What the lists do not tell of the source's sums. */
static void tell_rest(struct ledger_story *out)
{
    uint64_t messages = 0, aligned = 0, reported = 0;
    for (size_t i = 0; i < out->n_addresses; i++) {
        messages += out->addresses[i].sum.messages;
        aligned += out->addresses[i].sum.aligned;
    }
    for (size_t i = 0; i < out->n_reporters; i++)
        reported += out->reporters[i].n;
    out->rest_messages = out->source.sum.messages - messages;
    out->rest_aligned = out->source.sum.aligned - aligned;
    out->rest_reporters = out->source.sum.messages - reported;
}

static enum rc ask_source(struct db *db, void *ctx)
{
    struct asking *x = ctx;
    struct ledger_story *out = x->out;
    struct db_query *q;
    int64_t source = 0;
    *out = (struct ledger_story){0};
    enum rc rc = find_domain(db, x);
    if (rc == RC_OK)
        rc = ledger_source_find(db, x->key, &source);
    if (rc == RC_OK)
        rc = db_first(db, &q, "SELECT " SOURCE_COLUMNS ", s.* FROM (SELECT COALESCE(SUM(messages), 0), COALESCE(SUM(aligned), 0), COALESCE(SUM(spf), 0),"
                              " COALESCE(SUM(dkim), 0), COALESCE(SUM(spf_passed), 0), COALESCE(SUM(dkim_passed), 0), COALESCE(SUM(d_none), 0),"
                              " COALESCE(SUM(d_quarantine), 0), COALESCE(SUM(d_reject), 0), COALESCE(SUM(forwarded), 0), COALESCE(SUM(listed), 0), $1 AS domain, $2 AS source FROM source_day WHERE domain = $1 AND source = $2"
                              " AND day BETWEEN $3 AND $4) AS s" SOURCE_JOIN, DB_N(x->domain), DB_N(source), DB_N(x->span->from), DB_N(x->span->to));
    if (rc != RC_OK)
        return rc;
    rc = take_source(q, x->a, &out->source);
    db_done(q);
    if (rc == RC_OK)
        rc = ask_lines(db, x, source, out);
    if (rc == RC_OK)
        rc = db_query(db, &q, "SELECT day, 0, " SUM_NAMES " FROM source_day WHERE domain = $1 AND day BETWEEN $2 AND $3 AND source = $4 ORDER BY day",
                      DB_N(x->domain), DB_N(x->span->from), DB_N(x->span->to), DB_N(source));
    if (rc == RC_OK)
        rc = take_days(q, rc, x->a, &out->days, &out->n_days);
    if (rc == RC_OK)
        tell_rest(out);
    return rc;
}

enum rc ledger_source(struct store *s, const struct ledger_span *span, struct view key, size_t max, struct arena *a, struct ledger_story *out)
{
    struct asking x = {.span = span, .key = key, .max = max, .a = a, .out = out};
    return ledger_look(s, ask_source, &x);
}
