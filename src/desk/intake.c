/* A report on its way from the reader (received/) into the ledger. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "desk/desk_impl.h"
#include "desk/verdict.h"
#include "received/received.h"

#define DETAIL_MAX   32768 /* bytes of what is kept of one row; longer ones lose their results */
#define RESULTS_MAX  10    /* signatures, SPF results, reasons of one row that are kept */
#define KEPT_TEXT    255
#define PARENTS_MAX  3     /* a report may speak of a domain so far below one of ours */
#define ARENA_MAX    (8u << 20)
#define AHEAD_S      (2 * LEDGER_DAY_S) /* of our clock; a period that begins later is an error */

struct intake {
    struct desk *d;
    const struct desk_asked *asked;
    struct desk_outcome *out;
    struct arena mem;             /* of the report that is read */
    struct arena row;             /* of the row */
    struct ledger_writer *writer; /* NULL: its rows are passed over */
    struct view domain, org, report_id; /* of the report, for the log */
    bool counted;
    uint8_t digest[SHA256_SIZE];
    uint8_t n_failures;
    uint64_t messages;            /* of the DMARC report */
};

/* --- JSON --- */

/* Cut between characters. */
static struct view cut(struct view v)
{
    size_t n = v.n < KEPT_TEXT ? v.n : KEPT_TEXT;
    while (n < v.n && n > 0 && ((unsigned char)v.p[n] & 0xc0) == 0x80)
        n--;
    return view_slice(v, 0, n);
}

static json_t *text(struct view v)
{
    v = cut(v);
    return json_stringn(v.p ? v.p : "", v.n);
}

static json_t *text_or_null(struct view v)
{
    return v.n > 0 ? text(v) : json_null();
}

/* The text of `j`, which goes, in the arena. RC_LIMIT: longer than max. */
static enum rc dump(json_t *j, size_t max, struct arena *a, struct view *out)
{
    char *made = j ? json_dumps(j, JSON_COMPACT) : NULL;
    enum rc rc = !made ? RC_TEMP : strlen(made) > max ? RC_LIMIT : view_dup(a, view_str(made), out);
    free(made);
    json_decref(j);
    return rc;
}

static json_t *reasons_json(const struct received_row *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_reasons && i < RESULTS_MAX; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "type", text_or_null(r->reasons[i].type), "comment", text_or_null(r->reasons[i].comment)));
    return list;
}

static json_t *results_json(const struct received_row *r)
{
    json_t *dkim = json_array(), *spf = json_array();
    for (size_t i = 0; i < r->n_dkim && i < RESULTS_MAX; i++)
        json_array_append_new(dkim, json_pack("{s:o, s:o, s:o, s:o}", "domain", text(r->dkim_results[i].domain), "selector",
                                              text_or_null(r->dkim_results[i].selector), "result", text(r->dkim_results[i].result),
                                              "human_result", text_or_null(r->dkim_results[i].human_result)));
    for (size_t i = 0; i < r->n_spf && i < RESULTS_MAX; i++)
        json_array_append_new(spf, json_pack("{s:o, s:o, s:o, s:o}", "domain", text(r->spf_results[i].domain), "scope",
                                             text_or_null(r->spf_results[i].scope), "result", text(r->spf_results[i].result), "human_result",
                                             text_or_null(r->spf_results[i].human_result)));
    return json_pack("{s:o, s:o}", "dkim", dkim, "spf", spf);
}

/* As `facteur report show --json` has rows, but for address and count. */
static enum rc row_json(const struct received_row *r, struct arena *a, struct view *out)
{
    json_t *j = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "disposition", text(r->disposition), "dkim", r->dkim ? "pass" : "fail", "spf",
                          r->spf ? "pass" : "fail", "header_from", text(r->header_from), "envelope_from",
                          r->has_envelope_from ? text(r->envelope_from) : json_null(), "envelope_to",
                          r->has_envelope_to ? text(r->envelope_to) : json_null(), "reasons", reasons_json(r));
    json_t *results = results_json(r);
    if (!j || !results) {
        json_decref(j);
        json_decref(results);
        return RC_TEMP;
    }
    json_object_set_new(j, "auth_results", results);
    json_incref(j);
    enum rc rc = dump(j, DETAIL_MAX, a, out);
    if (rc == RC_LIMIT) {
        json_object_set_new(j, "auth_results", json_pack("{s:[], s:[]}", "dkim", "spf"));
        json_object_set_new(j, "reasons", json_array());
        return dump(j, DETAIL_MAX, a, out);
    }
    json_decref(j);
    return rc;
}

static enum rc policy_json(const struct received_aggregate *r, struct arena *a, struct view *out)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain", text(r->domain), "p", text_or_null(r->p), "sp",
                          text_or_null(r->sp), "np", text_or_null(r->np), "pct", text_or_null(r->pct), "adkim", text_or_null(r->adkim), "aspf",
                          text_or_null(r->aspf), "fo", text_or_null(r->fo), "testing", text_or_null(r->testing), "discovery_method",
                          text_or_null(r->discovery_method));
    return dump(j, LEDGER_TEXT_MAX, a, out);
}

static json_t *texts_json(const struct view *list, size_t n)
{
    json_t *j = json_array();
    for (size_t i = 0; i < n && i < RESULTS_MAX; i++)
        json_array_append_new(j, text(list[i]));
    return j;
}

static json_t *tls_policy_json(const struct received_tls_policy *p, size_t max_failures)
{
    json_t *failures = json_array();
    for (size_t i = 0; i < p->n_failures && i < max_failures; i++) {
        const struct received_tls_failure *f = &p->failures[i];
        json_array_append_new(failures, json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "result_type", text_or_null(f->result_type), "count",
                                                  (json_int_t)f->count, "receiving_mx", text_or_null(f->receiving_mx), "receiving_ip",
                                                  text_or_null(f->receiving_ip), "sending_mta_ip", text_or_null(f->sending_mta_ip),
                                                  "receiving_mx_helo", text_or_null(f->receiving_mx_helo), "reason_code",
                                                  text_or_null(f->reason_code), "additional_information", text_or_null(f->additional_information)));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "type", text(p->type), "domain", text(p->domain), "success",
                     (json_int_t)p->success, "failure", (json_int_t)p->failure, "strings", texts_json(p->strings, p->n_strings), "mx_hosts",
                     texts_json(p->mx_hosts, p->n_mx_hosts), "failures", failures);
}

/* As many failures as there is room for. */
static enum rc policies_json(const struct received_tls *r, struct arena *a, struct view *out)
{
    enum rc rc = RC_LIMIT;
    for (size_t max = 100; rc == RC_LIMIT; max /= 10) {
        json_t *list = json_array();
        for (size_t i = 0; i < r->n_policies && i < (max > 10 ? max : 10); i++)
            json_array_append_new(list, tls_policy_json(&r->policies[i], max));
        rc = dump(list, LEDGER_TEXT_MAX, a, out);
        if (max == 0)
            break;
    }
    if (rc != RC_LIMIT)
        return rc;
    *out = VIEW("[]");
    return RC_OK;
}

/* --- whose reports --- */

/* The domain of ours that is meant: this one or one above it. RC_NOTFOUND. */
static enum rc our_domain(struct intake *x, struct view domain, struct view *out)
{
    for (int up = 0; up <= PARENTS_MAX && view_chr(domain, '.') != VIEW_NONE; up++) {
        struct directory_domain found;
        enum rc rc = directory_domain(x->d->store, domain, &x->mem, &found);
        if (rc == RC_OK) {
            *out = found.name;
            return x->asked->via == LEDGER_BY_FILE && x->asked->domain.n > 0 && !view_eq(found.name, x->asked->domain) ? RC_NOTFOUND : RC_OK;
        }
        if (rc != RC_NOTFOUND && rc != RC_SYNTAX)
            return rc;
        domain = view_from(domain, view_chr(domain, '.') + 1);
    }
    return RC_NOTFOUND;
}

static enum rc refuse(struct intake *x, const struct received_origin *o, struct view reason)
{
    x->out->refused++;
    log_info("desk.report.refused", F_VIEW("from", o->from), F_VIEW("part", o->name), F_VIEW("reason", reason));
    if (x->asked->refused)
        x->asked->refused(x->asked->ctx, o->name, reason);
    return RC_OK;
}

static enum rc refuse_domain(struct intake *x, const struct received_origin *o, struct view domain)
{
    const char *why = arena_printf(&x->mem, "it tells of %.*s, which is not hosted here%s", VIEW_FMT(domain),
                                   x->asked->via == LEDGER_BY_FILE ? " or not yours" : "");
    return refuse(x, o, why ? view_str(why) : VIEW("it tells of a domain that is not hosted here"));
}

/* How it came, and whether it is believed. */
static enum rc judge(struct intake *x, const struct received_origin *o, struct ledger_report *r)
{
    const struct desk_asked *asked = x->asked;
    struct verdict v;
    r->via = asked->via;
    r->received_s = asked->received_s;
    r->counted = asked->via == LEDGER_BY_FILE || asked->trusted;
    r->by = asked->trusted ? o->from_domain : VIEW("");
    if (asked->via != LEDGER_BY_MAIL || asked->trusted) {
        r->why = asked->via == LEDGER_BY_FILE ? VIEW("file") : asked->via == LEDGER_BY_POST ? VIEW("post") : VIEW("own");
        return RC_OK;
    }
    enum rc rc = verdict_read(o->header, view_str(x->d->set.hostname), o->from_domain, x->d->psl, &x->mem, &v);
    if (rc != RC_OK)
        return rc;
    r->spf = v.spf;
    r->dkim = v.dkim;
    r->dmarc = v.dmarc;
    r->by = v.by;
    r->counted = v.counted;
    r->why = view_str(v.why);
    return RC_OK;
}

static void log_end(struct intake *x, const char *kind, uint64_t messages, enum rc rc)
{
    log_info(rc == RC_EXISTS ? "desk.report.again" : "desk.report.read", F_CSTR("kind", kind), F_VIEW("domain", x->domain), F_VIEW("org", x->org),
             F_VIEW("report", x->report_id), F_INT("messages", messages), F_CSTR("counted", x->counted ? "yes" : "no"));
}

/* Where a reporter gives its reports no names, they are told apart by their periods. */
static enum rc name_report(struct intake *x, const struct ledger_report *r)
{
    if (r->report_id.n > 0)
        return view_dup(&x->mem, cut(r->report_id), &x->report_id);
    const char *name = arena_printf(&x->mem, "%lld-%lld", (long long)r->begin_s, (long long)r->end_s);
    x->report_id = name ? view_str(name) : VIEW("");
    return name ? RC_OK : RC_TEMP;
}

/* RC_OK with x->writer NULL: it is known already, or refused. */
static enum rc begin(struct intake *x, const struct received_origin *o, struct ledger_report *r, const char *kind)
{
    x->domain = r->domain;
    x->writer = NULL;
    enum rc rc = judge(x, o, r);
    x->counted = r->counted;
    if (rc == RC_OK && r->begin_s > r->received_s + AHEAD_S)
        return refuse(x, o, VIEW("its period lies in the future"));
    if (r->end_s == 0) /* a TLS report need not say it: it is of the day before, as a rule */
        r->begin_s = r->end_s = r->received_s - LEDGER_DAY_S;
    if (rc == RC_OK)
        rc = view_dup(&x->mem, cut(r->org), &x->org);
    if (rc == RC_OK)
        rc = name_report(x, r);
    r->org = x->org;
    r->report_id = x->report_id;
    if (rc == RC_OK)
        rc = ledger_begin(x->d->store, r, &x->writer);
    if (rc == RC_LIMIT)
        return refuse(x, o, VIEW("too many reports came today"));
    if (rc == RC_EXISTS) {
        x->out->again++;
        log_end(x, kind, 0, rc);
        return RC_OK;
    }
    return rc;
}

static enum rc finish(struct intake *x, const char *kind, uint64_t messages)
{
    uint64_t id;
    if (!x->writer)
        return RC_OK;
    enum rc rc = ledger_end(x->writer, &id);
    x->writer = NULL;
    if (rc != RC_OK && rc != RC_EXISTS)
        return rc;
    *(rc == RC_OK ? &x->out->read : &x->out->again) += 1;
    log_end(x, kind, messages, rc);
    return RC_OK;
}

/* --- DMARC --- */

static enum rc take_aggregate(void *ctx, const struct received_origin *o, const struct received_aggregate *a)
{
    static const char *const words[] = {"none", "quarantine", "reject"};
    struct intake *x = ctx;
    struct ledger_report r = {.kind = LEDGER_DMARC, .org = a->org, .email = cut(a->email), .report_id = a->report_id, .begin_s = a->begin_s,
                              .end_s = a->end_s, .p = VIEW("other")};
    arena_reset(&x->mem);
    x->messages = a->messages;
    enum rc rc = our_domain(x, a->domain, &r.domain);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? refuse_domain(x, o, a->domain) : rc;
    for (size_t i = 0; i < 3; i++)
        if (view_eq(a->p, view_str(words[i])))
            r.p = view_str(words[i]);
    rc = policy_json(a, &x->mem, &r.policy);
    return rc == RC_OK ? begin(x, o, &r, "dmarc") : rc;
}

static bool is_below(struct view domain, struct view above)
{
    return view_ieq(domain, above) || (view_iends(domain, above) && domain.p[domain.n - above.n - 1] == '.');
}

/* What the row tells of who handed the mail over. */
static enum rc fill_signs(struct intake *x, const struct received_row *r, struct ledger_row *out, struct desk_signs *signs)
{
    struct view *dkim = arena_new_array(&x->row, r->n_dkim + 1, struct view);
    if (!dkim)
        return RC_TEMP;
    out->envelope_from = r->envelope_from;
    for (size_t i = 0; i < r->n_spf; i++) {
        const struct received_spf *s = &r->spf_results[i];
        if (out->envelope_from.n == 0 && !view_eq(s->scope, VIEW("helo")))
            out->envelope_from = s->domain;
        if (view_eq(s->result, VIEW("pass")) && signs->spf.n == 0)
            signs->spf = s->domain;
    }
    for (size_t i = 0; i < r->n_dkim; i++) {
        const struct received_dkim *k = &r->dkim_results[i];
        if (view_eq(k->result, VIEW("pass")))
            dkim[signs->n_dkim++] = k->domain;
        if (out->selector.n == 0 || (view_eq(k->result, VIEW("pass")) && is_below(k->domain, x->domain)))
            out->selector = k->selector;
    }
    signs->dkim = dkim;
    out->spf_passed = signs->spf.n > 0;
    out->dkim_passed = signs->n_dkim > 0;
    return RC_OK;
}

static enum rc take_row(void *ctx, const struct received_row *r)
{
    struct intake *x = ctx;
    struct ledger_row row = {.messages = r->count, .spf_aligned = r->spf, .dkim_aligned = r->dkim, .header_from = r->header_from};
    struct desk_signs signs = {0};
    uint8_t ip[16];
    char text_ip[INET6_ADDRSTRLEN];
    if (!x->writer)
        return RC_OK;
    if (atomic_load(&x->d->stop))
        return RC_TEMP;
    arena_reset(&x->row);
    if (view_cstr(r->source_ip, text_ip, sizeof text_ip) != RC_OK)
        return RC_OK;
    if (inet_pton(AF_INET, text_ip, ip) == 1)
        row.ip = view_of(ip, 4);
    else if (inet_pton(AF_INET6, text_ip, ip) == 1)
        row.ip = view_of(ip, 16);
    else
        return RC_OK;
    row.disposition = view_eq(r->disposition, VIEW("quarantine")) ? LEDGER_QUARANTINE : view_eq(r->disposition, VIEW("reject")) ? LEDGER_REJECT : LEDGER_NONE;
    for (size_t i = 0; i < r->n_reasons && row.n_reasons < LEDGER_REASONS_MAX; i++) {
        bool twice = r->reasons[i].type.n == 0;
        for (size_t k = 0; k < row.n_reasons; k++)
            twice |= view_eq(row.reasons[k], r->reasons[i].type);
        if (!twice)
            row.reasons[row.n_reasons++] = r->reasons[i].type;
    }
    enum rc rc = fill_signs(x, r, &row, &signs);
    if (rc == RC_OK)
        rc = desk_source_of(x->d, row.ip, &signs, &x->row, &row.source);
    if (rc == RC_OK)
        rc = row_json(r, &x->row, &row.detail);
    return rc == RC_OK ? ledger_add(x->writer, &row) : rc;
}

static enum rc end_aggregate(void *ctx)
{
    struct intake *x = ctx;
    return finish(x, "dmarc", x->messages);
}

/* --- TLS --- */

static enum rc add_policy(struct intake *x, const struct received_tls_policy *p)
{
    struct ledger_tls t = {.type = p->type.n > 0 ? p->type : VIEW("other"), .mx = p->n_mx_hosts == 1 ? p->mx_hosts[0] : VIEW(""),
                           .successes = p->success, .failures = p->failure};
    enum rc rc = ledger_add_tls(x->writer, &t);
    for (size_t i = 0; i < p->n_failures && rc == RC_OK; i++)
        rc = ledger_add_tls_failure(x->writer, &(struct ledger_tls_failure){.result = p->failures[i].result_type, .mx = p->failures[i].receiving_mx,
                                                                            .sessions = p->failures[i].count});
    return rc == RC_LIMIT ? RC_OK : rc; /* far more than a report has: the rest is not told apart */
}

/* A TLSA policy is that of a host: then the domain is the one that the report was sent to. */
static enum rc tls_domain(struct intake *x, const struct received_tls *t, struct view *out)
{
    enum rc rc = RC_NOTFOUND;
    for (size_t i = 0; i < t->n_policies && rc == RC_NOTFOUND; i++)
        if (t->policies[i].domain.n > 0 && !view_ieq(t->policies[i].domain, view_str(x->d->set.hostname)))
            rc = our_domain(x, t->policies[i].domain, out);
    for (size_t i = 0; i < t->n_policies && rc == RC_NOTFOUND; i++)
        if (view_ieq(t->policies[i].domain, view_str(x->d->set.hostname)))
            rc = our_domain(x, x->asked->domain.n > 0 ? x->asked->domain : t->policies[i].domain, out);
    return rc;
}

static enum rc take_tls(void *ctx, const struct received_origin *o, const struct received_tls *t)
{
    struct intake *x = ctx;
    struct ledger_report r = {.kind = LEDGER_TLS, .org = t->org, .email = cut(t->contact), .report_id = t->report_id, .begin_s = t->begin_s,
                              .end_s = t->end_s};
    uint64_t sessions = 0;
    arena_reset(&x->mem);
    enum rc rc = tls_domain(x, t, &r.domain);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? refuse_domain(x, o, t->domain) : rc;
    rc = policies_json(t, &x->mem, &r.policy);
    if (rc == RC_OK)
        rc = begin(x, o, &r, "tls");
    for (size_t i = 0; i < t->n_policies && rc == RC_OK && x->writer; i++) {
        rc = add_policy(x, &t->policies[i]);
        sessions += t->policies[i].success + t->policies[i].failure;
    }
    return rc == RC_OK ? finish(x, "tls", sessions) : rc;
}

/* --- failures --- */

static enum rc take_failure(void *ctx, const struct received_origin *o, const struct received_failure *f)
{
    struct intake *x = ctx;
    struct ledger_report how = {.kind = LEDGER_DMARC};
    struct ledger_failure out = {.received_s = x->asked->received_s, .arrival_s = f->arrival_s, .type = cut(f->type), .reporter = cut(o->from),
                                 .source_ip = f->source_ip, .original_from = cut(f->original_from.n > 0 ? f->original_from : f->header_from),
                                 .original_to = cut(f->original_to.n > 0 ? f->original_to : f->header_to), .subject = f->subject,
                                 .auth_failure = cut(f->auth_failure), .headers = f->headers};
    arena_reset(&x->mem);
    enum rc rc = our_domain(x, f->reported_domain.n > 0 ? f->reported_domain : f->header_from_domain, &out.domain);
    if (rc == RC_NOTFOUND && f->reported_domain.n > 0)
        rc = our_domain(x, f->header_from_domain, &out.domain);
    if (rc == RC_NOTFOUND && x->asked->via == LEDGER_BY_MAIL && x->asked->domain.n > 0)
        rc = our_domain(x, x->asked->domain, &out.domain); /* a complaint need not name it */
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? refuse_domain(x, o, f->reported_domain) : rc;
    rc = judge(x, o, &how);
    if (rc != RC_OK)
        return rc;
    out.counted = how.counted;
    out.verdict = how.why;
    memcpy(out.digest, x->digest, sizeof out.digest);
    out.digest[0] ^= x->n_failures++; /* several in one mail */
    rc = ledger_failure_add(x->d->store, &out);
    if (rc != RC_OK && rc != RC_EXISTS)
        return rc;
    x->domain = out.domain;
    x->org = out.reporter;
    x->report_id = VIEW("");
    x->counted = out.counted;
    *(rc == RC_OK ? &x->out->read : &x->out->again) += 1;
    log_end(x, "failure", f->incidents, rc);
    return RC_OK;
}

static enum rc take_refused(void *ctx, const struct received_origin *o, struct view reason)
{
    return refuse(ctx, o, reason);
}

/* --- all --- */

enum rc desk_read(struct desk *d, const struct desk_asked *asked, struct desk_outcome *out)
{
    struct intake x = {.d = d, .asked = asked, .out = out};
    const struct received_sink sink = {&x, take_aggregate, take_row, end_aggregate, take_failure, take_tls, take_refused};
    *out = (struct desk_outcome){0};
    enum rc rc = sha256(asked->file, x.digest);
    if (rc != RC_OK)
        return rc;
    arena_init(&x.mem, ARENA_MAX);
    arena_init(&x.row, ARENA_MAX);
    pthread_rwlock_rdlock(&d->lock);
    rc = received_read_within(asked->file, asked->via == LEDGER_BY_POST ? DESK_POST_PLAIN_MAX : RECEIVED_PLAIN_MAX, &sink);
    ledger_abort(x.writer);
    pthread_rwlock_unlock(&d->lock);
    arena_clear(&x.mem);
    arena_clear(&x.row);
    if (rc == RC_OK && out->read + out->again == 0)
        rc = RC_NOTFOUND;
    return rc == RC_LIMIT || rc == RC_SYNTAX ? RC_NOTFOUND : rc;
}
