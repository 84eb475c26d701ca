/* Received TLS reports (RFC 8460) and failure reports. */
#include "desk/advice.h"
#include "web/api_reports.h"

/* Result types of RFC 8460 §4.3; others become "tls.other". */
static const char *advice_of(struct view result, char out[64])
{
    static const char *const known[] = {"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted",
                                        "validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error",
                                        "sts-policy-invalid", "sts-webpki-invalid"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (view_eq(result, view_str(known[i]))) {
            snprintf(out, 64, "tls.%s", known[i]);
            return out;
        }
    return "tls.other";
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *lines_json(const char *name, const struct ledger_tls_line *lines, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", name, strcmp(name, "day") == 0 ? reports_day(lines[i].day) : api_view(lines[i].name),
                                              "success", number(lines[i].successes), "failure", number(lines[i].failures)));
    return list;
}

static json_t *results_json(const struct ledger_tls_line *lines, size_t n)
{
    json_t *list = json_array();
    char advice[64];
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:s}", "result_type", api_view(lines[i].name), "mx", api_view(lines[i].also), "count",
                                              number(lines[i].failures), "advice", advice_of(lines[i].name, advice)));
    return list;
}

void reports_tls_summary(struct api_call *c)
{
    static const char *const modes[] = {"none", "testing", "enforce"};
    struct ledger_span span;
    struct ledger_tls_summary sum;
    struct directory_domain domain;
    if (!reports_span(c, &span))
        return;
    enum rc rc = ledger_tls_summary(c->store, &span, c->arena, &sum);
    if (rc == RC_OK)
        rc = directory_domain(c->store, span.domain, c->arena, &domain);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    const struct advice_enforce e = advice_enforce(domain.sts_mode, &sum);
    json_t *enforce = json_pack("{s:s, s:b, s:s, s:i, s:o, s:o}", "mode", modes[domain.sts_mode], "ready", e.ready, "why", e.why, "days", (int)sum.n_days,
                                "sessions", number(sum.sessions), "failures", number(sum.failures));
    api_reply(c, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain", api_view(span.domain), "from", reports_day(span.from),
                           "to", reports_day(span.to), "reports", number(sum.reports), "sessions", number(sum.sessions), "failures",
                           number(sum.failures), "days", lines_json("day", sum.days, sum.n_days), "results", results_json(sum.results, sum.n_results),
                           "organizations", lines_json("org", sum.organizations, sum.n_organizations), "mx", lines_json("mx", sum.mx, sum.n_mx), "policies",
                           lines_json("type", sum.policies, sum.n_policies), "enforce", enforce));
}

static json_t *failure_json(const struct ledger_failure *f)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:b, s:o}}", "id", number(f->id), "received", api_time(f->received_s),
                     "type", api_view(f->type), "reporter", api_view(f->reporter), "source_ip", api_view(f->source_ip), "original_from",
                     api_view(f->original_from), "original_to", api_view(f->original_to), "subject", api_view(f->subject), "arrival",
                     api_time(f->arrival_s), "auth_failure", api_view(f->auth_failure), "headers", api_view(f->headers), "verdict", "counted", f->counted,
                     "why", api_view(f->verdict));
}

void reports_failures(struct api_call *c)
{
    struct ledger_span span;
    struct ledger_failure *list;
    struct view after = api_query(c, "after");
    uint64_t before = 0;
    size_t n, limit = api_limit(c);
    char next[32];
    if (!reports_span(c, &span))
        return;
    if (after.n > 0 && !view_is_u64(after, INT64_MAX, &before)) {
        api_refuse(c, 400, "request.after", "`after` must be the `next` of the answer before.");
        return;
    }
    enum rc rc = ledger_failures(c->store, &span, before, limit, c->arena, &list, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, failure_json(&list[i]));
    snprintf(next, sizeof next, "%llu", n > 0 ? (unsigned long long)list[n - 1].id : 0);
    api_reply(c, json_pack("{s:o, s:o}", "failure", all, "next", n == limit && n > 0 ? json_string(next) : json_null()));
}
