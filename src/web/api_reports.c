/* Received DMARC reports: lists, sums, sources. */
#include "web/api_reports.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "desk/advice.h"

#define ADDRESSES_MAX 500 /* of one source that are shown */

/* --- shared --- */

bool reports_span(struct api_call *c, struct ledger_span *out)
{
    const int64_t today = clock_real_s() / LEDGER_DAY_S;
    if (!api_query_domain(c, &out->domain))
        return false;
    const int64_t to = api_when(c, "to", today * LEDGER_DAY_S);
    out->to = to / LEDGER_DAY_S;
    out->from = api_when(c, "from", (out->to - (REPORTS_DAYS - 1)) * LEDGER_DAY_S) / LEDGER_DAY_S;
    if (out->from <= out->to && out->to - out->from <= REPORTS_DAYS_MAX)
        return true;
    api_refuse(c, 422, "reports.span", "The first day must not come after the last, nor more than two years before it.");
    return false;
}

json_t *reports_day(int64_t day)
{
    char text[16] = "";
    time_t t = (time_t)(day * LEDGER_DAY_S);
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
    return json_string(text);
}

struct view reports_name(const struct ledger_source *s)
{
    return s->said_name.n > 0 ? s->said_name : s->name.n > 0 ? s->name : s->key;
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *disposition_json(const struct ledger_sum *s)
{
    return json_pack("{s:o, s:o, s:o}", "none", number(s->none), "quarantine", number(s->quarantine), "reject", number(s->reject));
}

static json_t *days_json(const struct ledger_day *days, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct ledger_sum *s = &days[i].sum;
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "day", reports_day(days[i].day), "messages", number(s->messages), "aligned",
                                              number(s->aligned), "spf", number(s->spf), "dkim", number(s->dkim), "rejected", number(s->reject),
                                              "quarantined", number(s->quarantine)));
    }
    return list;
}

/* --- reports --- */

static json_t *json_of(struct view text)
{
    json_t *j = text.n > 0 ? json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL) : NULL;
    return j ? j : json_object();
}

static const char *via_name(enum ledger_via via)
{
    return via == LEDGER_BY_MAIL ? "mail" : via == LEDGER_BY_POST ? "post" : "file";
}

static enum rc rows_json(struct api_call *c, const struct ledger_report *r, size_t max, json_t **out, size_t *n)
{
    struct ledger_kept *rows = NULL;
    enum rc rc = max > 0 ? ledger_rows(c->store, r->id, 0, max, c->arena, &rows, n) : RC_OK;
    *out = json_array();
    for (size_t i = 0; i < *n && rc == RC_OK; i++) {
        json_t *row = json_of(rows[i].detail);
        json_object_set_new(row, "source_ip", api_view(rows[i].ip));
        json_object_set_new(row, "count", number(rows[i].messages));
        json_array_append_new(*out, row);
    }
    return rc;
}

static json_t *report_json(const struct ledger_report *r)
{
    json_t *verdict = json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "spf", api_view(r->spf), "dkim", api_view(r->dkim), "dmarc", api_view(r->dmarc), "by",
                                api_view(r->by), "counted", r->counted, "why", api_view(r->why));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id", number(r->id), "org", api_view(r->org), "email", api_view(r->email),
                     "report_id", api_view(r->report_id), "domain", api_view(r->domain), "begin", api_time(r->begin_s), "end", api_time(r->end_s),
                     "received", api_time(r->received_s), "via", via_name(r->via), "verdict", verdict);
}

/* With its first rows. */
static enum rc dmarc_json(struct api_call *c, const struct ledger_report *r, size_t max, json_t **out, size_t *n)
{
    json_t *rows = NULL;
    enum rc rc = rows_json(c, r, max, &rows, n);
    *out = report_json(r);
    json_object_set_new(*out, "messages", number(r->messages));
    json_object_set_new(*out, "rows", rows);
    json_object_set_new(*out, "rows_total", number(r->rows));
    json_object_set_new(*out, "policy", json_of(r->policy));
    return rc;
}

static void get_report(struct api_call *c)
{
    struct ledger_report r;
    struct view domain;
    uint64_t id;
    size_t n = 0;
    json_t *one = NULL;
    if (!api_query_domain(c, &domain))
        return;
    enum rc rc = view_is_u64(c->args[0], INT64_MAX, &id) ? ledger_report(c->store, id, c->arena, &r) : RC_NOTFOUND;
    if (rc == RC_OK && (r.kind != LEDGER_DMARC || !view_eq(r.domain, domain)))
        rc = RC_NOTFOUND;
    if (rc == RC_OK)
        rc = dmarc_json(c, &r, REPORTS_ALL_ROWS, &one, &n);
    if (rc == RC_OK) {
        api_reply(c, one);
        return;
    }
    json_decref(one);
    if (rc == RC_NOTFOUND)
        api_refuse(c, 404, "report.missing", "There is no such report about this domain.");
    else
        api_refuse_rc(c, rc);
}

/* "received_s.id" of the last one. */
static bool read_after(struct api_call *c, int64_t *before_s, uint64_t *before)
{
    struct view after = api_query(c, "after"), first;
    uint64_t s = 0;
    *before_s = 0;
    *before = 0;
    if (after.n == 0)
        return true;
    if (view_split(&after, '.', &first) && view_is_u64(first, INT64_MAX, &s) && view_is_u64(after, INT64_MAX, before)) {
        *before_s = (int64_t)s;
        return true;
    }
    api_refuse(c, 400, "request.after", "`after` must be the `next` of the answer before.");
    return false;
}

static size_t limit_of(struct api_call *c)
{
    return api_query(c, "limit").n > 0 ? api_limit(c) : REPORTS_LIMIT;
}

static json_t *next_json(const struct ledger_report *list, size_t n, size_t limit)
{
    char text[64];
    if (n < limit || n == 0)
        return json_null();
    snprintf(text, sizeof text, "%lld.%llu", (long long)list[n - 1].received_s, (unsigned long long)list[n - 1].id);
    return json_string(text);
}

static void get_reports(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_report *list;
    int64_t before_s;
    uint64_t before;
    size_t n, limit = limit_of(c), left = REPORTS_ALL_ROWS;
    if (!reports_span(c, &span) || !read_after(c, &before_s, &before))
        return;
    const struct view wanted = api_query(c, "rows");
    uint64_t rows = REPORTS_ROWS;
    if (wanted.n > 0 && !view_is_u64(wanted, REPORTS_ROWS, &rows)) {
        api_refuse_field(c, "rows", "a number from 0 to 100");
        return;
    }
    enum rc rc = ledger_reports(c->store, &span, LEDGER_DMARC, before_s, before, limit, c->arena, &list, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        json_t *one;
        size_t n_rows = 0;
        rc = dmarc_json(c, &list[i], left < rows ? left : rows, &one, &n_rows);
        left -= n_rows;
        json_array_append_new(all, one);
    }
    if (rc == RC_OK) {
        api_reply(c, json_pack("{s:o, s:o}", "dmarc", all, "next", next_json(list, n, limit)));
        return;
    }
    json_decref(all);
    api_refuse_rc(c, rc);
}

void reports_tls(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_report *list;
    int64_t before_s;
    uint64_t before;
    size_t n, limit = limit_of(c);
    if (!reports_span(c, &span) || !read_after(c, &before_s, &before))
        return;
    enum rc rc = ledger_reports(c->store, &span, LEDGER_TLS, before_s, before, limit, c->arena, &list, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *one = report_json(&list[i]);
        json_object_set_new(one, "sessions", number(list[i].messages));
        json_object_set_new(one, "policies", json_of(list[i].policy));
        json_array_append_new(all, one);
    }
    api_reply(c, json_pack("{s:o, s:o}", "tls", all, "next", next_json(list, n, limit)));
}

/* --- sums --- */

/* The policy that the newest report saw. */
static enum rc newest_policy(struct api_call *c, const struct ledger_span *span, struct view *p, json_t **policy)
{
    struct ledger_report *list;
    size_t n;
    enum rc rc = ledger_reports(c->store, span, LEDGER_DMARC, 0, 0, 1, c->arena, &list, &n);
    *p = rc == RC_OK && n > 0 ? list[0].p : VIEW("none");
    *policy = rc == RC_OK && n > 0 ? json_of(list[0].policy) : json_null();
    return rc;
}

static int compare_failing(const void *a, const void *b)
{
    const struct ledger_sum *x = &((const struct ledger_source *)a)->sum, *y = &((const struct ledger_source *)b)->sum;
    const uint64_t m = x->messages - x->aligned, n = y->messages - y->aligned;
    return m < n ? 1 : m > n ? -1 : 0;
}

/* The wanted sources whose mail fails, the worst first. */
static json_t *blockers_json(struct ledger_source *sources, size_t n)
{
    json_t *list = json_array();
    if (n > 0)
        qsort(sources, n, sizeof *sources, compare_failing);
    for (size_t i = 0; i < n && json_array_size(list) < 20; i++) {
        const char *kind = advice_kind(&sources[i]);
        if (sources[i].sum.messages > sources[i].sum.aligned && advice_is_wanted(kind))
            json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:s, s:o}", "source", api_view(sources[i].key), "name",
                                                  api_view(reports_name(&sources[i])), "kind", kind, "advice", advice_code(&sources[i], kind), "messages",
                                                  number(sources[i].sum.messages - sources[i].sum.aligned)));
    }
    return list;
}

static json_t *path_json(struct view p, const struct ledger_summary *sum, struct ledger_source *sources, size_t n)
{
    struct advice_path path;
    advice_path(p, sum, sources, n, &path);
    const double share = path.messages > 0 ? (double)(path.messages - path.would_break) / (double)path.messages : 1.0;
    return json_pack("{s:s, s:s?, s:b, s:s, s:o, s:f, s:i, s:o}", "now", path.now, "next", path.next, "ready", path.ready, "why", path.why, "would_break",
                     number(path.would_break), "share", share, "days", (int)sum->n_days, "blockers", blockers_json(sources, n));
}

static void get_summary(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_summary sum;
    struct ledger_source *sources = NULL;
    struct view p;
    json_t *published = NULL, *seen, *reasons;
    size_t n = 0;
    if (!reports_span(c, &span))
        return;
    enum rc rc = ledger_summary(c->store, &span, c->arena, &sum);
    if (rc == RC_OK)
        rc = ledger_sources(c->store, &span, c->arena, &sources, &n);
    if (rc == RC_OK)
        rc = newest_policy(c, &span, &p, &published);
    if (rc != RC_OK) {
        json_decref(published);
        api_refuse_rc(c, rc);
        return;
    }
    seen = json_array();
    for (size_t i = 0; i < sum.n_policies; i++)
        json_array_append_new(seen, json_pack("{s:o, s:o}", "p", api_view(sum.policies[i].name), "messages", number(sum.policies[i].n)));
    reasons = json_object();
    for (size_t i = 0; i < sum.n_reasons; i++)
        json_object_setn_new(reasons, sum.reasons[i].name.p, sum.reasons[i].name.n, number(sum.reasons[i].n));
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain", api_view(span.domain), "from", reports_day(span.from), "to",
                          reports_day(span.to), "reports", number(sum.reports), "messages", number(sum.sum.messages), "aligned", number(sum.sum.aligned),
                          "spf_aligned", number(sum.sum.spf), "dkim_aligned", number(sum.sum.dkim), "disposition", disposition_json(&sum.sum), "overrides",
                          reasons, "days", days_json(sum.days, sum.n_days));
    if (j) {
        json_object_set_new(j, "policy", json_pack("{s:o, s:o}", "published", published, "seen", seen));
        json_object_set_new(j, "path", path_json(p, &sum, sources, n));
    }
    api_reply(c, j);
}

/* --- sources --- */

static json_t *source_json(const struct ledger_source *s, struct view domain)
{
    const char *kind = advice_kind(s);
    json_t *args = json_pack("{s:o, s:o, s:o, s:o, s:f}", "name", api_view(reports_name(s)), "domain", api_view(domain), "messages",
                             number(s->sum.messages), "failing", number(s->sum.messages - s->sum.aligned), "share",
                             s->sum.messages > 0 ? (double)s->sum.aligned / (double)s->sum.messages : 1.0);
    json_t *j = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "key", api_view(s->key), "name", api_view(reports_name(s)), "organization",
                          api_view(s->name), "kind", kind, "country", s->country.n > 0 ? api_view(s->country) : json_null(), "addresses",
                          number(s->addresses), "messages", number(s->sum.messages), "aligned", number(s->sum.aligned), "spf", number(s->sum.spf), "dkim",
                          number(s->sum.dkim));
    json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:b}", "spf_passed", number(s->sum.spf_passed), "dkim_passed", number(s->sum.dkim_passed),
                             "disposition", disposition_json(&s->sum), "first", reports_day(s->first), "last", reports_day(s->last), "advice",
                             advice_code(s, kind), "advice_args", args, "said", s->said_kind.n > 0 || s->said_name.n > 0);
    if (j && more)
        json_object_update(j, more);
    json_decref(more);
    return j;
}

static int by_messages(const void *a, const void *b)
{
    const struct ledger_source *x = a, *y = b;
    return x->sum.messages < y->sum.messages ? 1 : x->sum.messages > y->sum.messages ? -1 : view_cmp(x->key, y->key);
}

static int by_name(const void *a, const void *b)
{
    const struct ledger_source *x = a, *y = b;
    int order = view_icmp(reports_name(x), reports_name(y));
    return order != 0 ? order : view_cmp(x->key, y->key);
}

static int by_last(const void *a, const void *b)
{
    const struct ledger_source *x = a, *y = b;
    return x->last < y->last ? 1 : x->last > y->last ? -1 : by_messages(a, b);
}

static int by_failing(const void *a, const void *b)
{
    int order = compare_failing(a, b);
    return order != 0 ? order : by_messages(a, b);
}

static int by_kind(const void *a, const void *b)
{
    int order = strcmp(advice_kind(a), advice_kind(b));
    return order != 0 ? order : by_messages(a, b);
}

void reports_arrange(struct api_call *c, struct ledger_source *sources, size_t *n)
{
    struct view q = api_query(c, "q"), sort = api_query(c, "sort");
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (q.n == 0 || view_ifind(reports_name(&sources[i]), q) != VIEW_NONE || view_ifind(sources[i].key, q) != VIEW_NONE ||
            view_ieq(sources[i].country, q) || view_ieq(view_str(advice_kind(&sources[i])), q))
            sources[kept++] = sources[i];
    *n = kept;
    if (kept > 0)
        qsort(sources, kept, sizeof *sources,
              view_eq(sort, VIEW("name"))      ? by_name
              : view_eq(sort, VIEW("last"))    ? by_last
              : view_eq(sort, VIEW("failing")) ? by_failing
              : view_eq(sort, VIEW("kind"))    ? by_kind
                                               : by_messages);
}

static void get_sources(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_source *sources;
    size_t n;
    if (!reports_span(c, &span))
        return;
    enum rc rc = ledger_sources(c->store, &span, c->arena, &sources, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    reports_arrange(c, sources, &n);
    json_t *list = json_array();
    const size_t limit = api_query(c, "limit").n > 0 ? api_limit(c) : API_LIMIT_MAX;
    for (size_t i = 0; i < n && i < limit; i++)
        json_array_append_new(list, source_json(&sources[i], span.domain));
    api_reply(c, json_pack("{s:o, s:o}", "sources", list, "total", number(n)));
}

/* "a b c" as a list. */
static json_t *words_json(struct view words)
{
    json_t *list = json_array();
    struct view one;
    while (words.n > 0) {
        view_split(&words, ' ', &one);
        if (one.n > 0)
            json_array_append_new(list, api_view(one));
    }
    return list;
}

static json_t *address_json(const struct ledger_address *x)
{
    const struct ledger_sum *s = &x->sum;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ip", api_view(x->ip), "host",
                     x->host.n > 0 ? api_view(x->host) : json_null(), "country", x->country.n > 0 ? api_view(x->country) : json_null(), "messages",
                     number(s->messages), "aligned", number(s->aligned), "spf", number(s->spf), "dkim", number(s->dkim), "spf_passed",
                     number(s->spf_passed), "dkim_passed", number(s->dkim_passed), "disposition", disposition_json(s), "first", reports_day(x->first), "last",
                     reports_day(x->last), "header_from", words_json(x->header_from), "envelope_from", words_json(x->envelope_from), "selectors",
                     words_json(x->selectors));
}

static void get_source(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_story story;
    if (!reports_span(c, &span))
        return;
    enum rc rc = ledger_source(c->store, &span, c->args[0], ADDRESSES_MAX, c->arena, &story);
    if (rc != RC_OK) {
        if (rc == RC_NOTFOUND)
            api_refuse(c, 404, "source.missing", "No report tells of such a source of this domain.");
        else
            api_refuse_rc(c, rc);
        return;
    }
    json_t *addresses = json_array(), *reporters = json_array();
    for (size_t i = 0; i < story.n_addresses; i++)
        json_array_append_new(addresses, address_json(&story.addresses[i]));
    for (size_t i = 0; i < story.n_reporters; i++)
        json_array_append_new(reporters, json_pack("{s:o, s:o}", "org", api_view(story.reporters[i].name), "messages", number(story.reporters[i].n)));
    api_reply(c, json_pack("{s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o}", "source", source_json(&story.source, span.domain), "addresses", addresses,
                           "addresses_rest", "messages", number(story.rest_messages), "aligned", number(story.rest_aligned), "days",
                           days_json(story.days, story.n_days), "reporters", reporters, "reporters_rest", number(story.rest_reporters)));
}

static void put_source(struct api_call *c)
{
    struct view domain, name = view_trim(api_text(c, "name")), kind = api_text(c, "kind");
    if (!api_query_domain(c, &domain))
        return;
    if (name.n > 100 || view_has_ctl(name)) {
        api_refuse_field(c, "name", "at most 100 bytes, and no control characters");
        return;
    }
    if (kind.n > 0 && !advice_is_kind(kind)) {
        api_refuse_field(c, "kind", "ours, service, forwarder, list, threat or unknown");
        return;
    }
    enum rc rc = ledger_say(c->store, domain, c->args[0], name, kind);
    if (rc == RC_OK) {
        api_audit(c, "source.name", c->args[0], kind);
        api_done(c);
    } else if (rc == RC_NOTFOUND) {
        api_refuse(c, 404, "source.missing", "No report tells of such a source of this domain.");
    } else {
        api_refuse_rc(c, rc);
    }
}

const struct api_route api_report_routes[] = {
    {"GET", "/reports/dmarc", API_OWNER, get_reports},
    {"GET", "/reports/dmarc/summary", API_OWNER, get_summary},
    {"GET", "/reports/dmarc/sources", API_OWNER, get_sources},
    {"GET", "/reports/dmarc/sources/{key}", API_OWNER, get_source},
    {"PUT", "/reports/dmarc/sources/{key}", API_OWNER, put_source},
    {"GET", "/reports/dmarc/{id}", API_OWNER, get_report},
    {"GET", "/reports/tls", API_OWNER, reports_tls},
    {"GET", "/reports/tls/summary", API_OWNER, reports_tls_summary},
    {"GET", "/reports/failure", API_OWNER, reports_failures},
    {"GET", "/reports/export", API_OWNER, reports_export},
    {"POST", "/reports", API_OWNER, reports_upload, .raw = true, .body_max = REPORTS_FILE_MAX},
    {"GET", "/sources", API_OWNER, reports_senders},
    {"PUT", "/sources/{name}", API_OPERATOR, reports_sender_set},
    {"DELETE", "/sources/{name}", API_OPERATOR, reports_sender_drop},
    {NULL},
};
