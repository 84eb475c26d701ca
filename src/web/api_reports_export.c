/* What the pages show of received reports, as a file: CSV (RFC 4180) or JSON. */
#include <stdlib.h>

#include "desk/advice.h"
#include "web/api_reports.h"

#define PAGE 500

/* A table on its way into the response. */
struct table {
    struct api_call *c;
    struct buf *out;
    bool csv, first_row, first_cell;
    const char *const *names;
    size_t column, rows;
};

/* Some spreadsheets take the wide forms for the same. */
static bool is_formula(struct view text)
{
    static const struct view wide[] = {VIEW_INIT("\xef\xbc\x9d"), VIEW_INIT("\xef\xbc\x8b"), VIEW_INIT("\xef\xbc\x8d"), VIEW_INIT("\xef\xbc\xa0")};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (view_starts(text, wide[i]))
            return true;
    return text.n > 0 && view_chr(VIEW("=+-@\t\r\n"), text.p[0]) != VIEW_NONE;
}

/* A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection). */
static void put_csv(struct buf *out, struct view text)
{
    if (is_formula(text))
        buf_str(out, "\"'");
    else
        buf_chr(out, '"');
    for (struct view part; text.n > 0;) {
        bool more = view_split(&text, '"', &part);
        buf_add(out, part);
        if (more)
            buf_str(out, "\"\"");
    }
    buf_chr(out, '"');
}

static void put_json(struct buf *out, struct view text)
{
    json_t *j = api_view(text);
    char *made = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
    buf_str(out, made ? made : "\"\"");
    free(made);
    json_decref(j);
}

static void begin_cell(struct table *t)
{
    if (!t->first_cell)
        buf_chr(t->out, ',');
    t->first_cell = false;
    if (!t->csv)
        buf_printf(t->out, "\"%s\":", t->names[t->column]);
    t->column++;
}

static void cell(struct table *t, struct view text)
{
    begin_cell(t);
    if (t->csv)
        put_csv(t->out, text);
    else
        put_json(t->out, text);
}

static void cell_number(struct table *t, uint64_t n)
{
    begin_cell(t);
    buf_u64(t->out, n);
}

/* A JSON string, as it is. */
static void cell_json(struct table *t, json_t *j)
{
    cell(t, json_is_string(j) ? view_of(json_string_value(j), json_string_length(j)) : VIEW(""));
    json_decref(j);
}

static void begin_row(struct table *t)
{
    if (!t->csv)
        buf_str(t->out, t->first_row ? "\n{" : ",\n{");
    t->first_row = false;
    t->first_cell = true;
    t->column = 0;
    t->rows++;
}

static void end_row(struct table *t)
{
    buf_str(t->out, t->csv ? "\r\n" : "}");
}

static void begin_table(struct table *t, const char *const *names)
{
    t->names = names;
    t->first_row = true;
    if (!t->csv) {
        buf_chr(t->out, '[');
        return;
    }
    for (size_t i = 0; names[i]; i++)
        buf_printf(t->out, "%s\"%s\"", i > 0 ? "," : "", names[i]);
    buf_str(t->out, "\r\n");
}

static void end_table(struct table *t)
{
    buf_str(t->out, t->csv ? "" : "\n]\n");
}

/* --- rows of DMARC reports --- */

static const char *const row_names[] = {"received", "org", "report_id", "begin", "end", "counted", "source_ip", "messages", "disposition", "dkim",
                                        "spf", "header_from", "envelope_from", NULL};

static void put_row(struct table *t, const struct ledger_report *r, const struct ledger_kept *row)
{
    json_t *j = row->detail.n > 0 ? json_loadb(row->detail.p, row->detail.n, 0, NULL) : NULL;
    static const char *const fields[] = {"disposition", "dkim", "spf", "header_from", "envelope_from"};
    begin_row(t);
    cell_json(t, api_time(r->received_s));
    cell(t, r->org);
    cell(t, r->report_id);
    cell_json(t, api_time(r->begin_s));
    cell_json(t, api_time(r->end_s));
    cell(t, r->counted ? VIEW("yes") : VIEW("no"));
    cell(t, row->ip);
    cell_number(t, row->messages);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        cell_json(t, json_incref(json_object_get(j, fields[i])));
    json_decref(j);
    end_row(t);
}

/* RC_LIMIT: more than a file may have. What is not kept as rows is one without an address, so that the messages add up. */
static enum rc put_rows_of(struct table *t, const struct ledger_report *r)
{
    struct ledger_kept *rows, rest = {.messages = r->messages};
    struct arena a;
    size_t n = PAGE;
    enum rc rc = RC_OK;
    arena_init(&a, 32u << 20);
    for (uint64_t from = 0; rc == RC_OK && n == PAGE; from += n) {
        arena_reset(&a);
        rc = ledger_rows(t->c->store, r->id, from, PAGE, &a, &rows, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            put_row(t, r, &rows[i]);
            rest.messages -= rows[i].messages;
        }
        if (rc == RC_OK && t->rows > REPORTS_EXPORT)
            rc = RC_LIMIT;
    }
    arena_clear(&a);
    if (rc == RC_OK && rest.messages > 0)
        put_row(t, r, &rest);
    return rc == RC_OK ? buf_rc(t->out) : rc;
}

static enum rc each_report(struct table *t, const struct ledger_span *span, enum ledger_kind kind,
                           enum rc (*put)(struct table *t, const struct ledger_report *r))
{
    struct ledger_report *list;
    int64_t before_s = 0;
    uint64_t before = 0;
    struct arena a;
    size_t n = PAGE;
    enum rc rc = RC_OK;
    arena_init(&a, 64u << 20);
    while (rc == RC_OK && n == PAGE) {
        arena_reset(&a);
        rc = ledger_reports(t->c->store, span, kind, before_s, before, PAGE, &a, &list, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            before_s = list[i].received_s;
            before = list[i].id;
            rc = put(t, &list[i]);
        }
    }
    arena_clear(&a);
    return rc;
}

static enum rc export_dmarc(struct table *t, const struct ledger_span *span)
{
    begin_table(t, row_names);
    return each_report(t, span, LEDGER_DMARC, put_rows_of);
}

/* --- sources --- */

static const char *const source_names[] = {"key", "name", "kind", "country", "addresses", "messages", "aligned", "spf", "dkim", "none", "quarantine",
                                           "reject", "first", "last", "advice", NULL};

static enum rc export_sources(struct table *t, const struct ledger_span *span)
{
    struct ledger_source *sources;
    size_t n;
    enum rc rc = ledger_sources(t->c->store, span, t->c->arena, &sources, &n);
    if (rc != RC_OK)
        return rc;
    reports_arrange(t->c, sources, &n);
    begin_table(t, source_names);
    for (size_t i = 0; i < n; i++) {
        const struct ledger_source *s = &sources[i];
        const char *kind = advice_kind(s);
        const uint64_t numbers[] = {s->addresses, s->sum.messages, s->sum.aligned, s->sum.spf, s->sum.dkim, s->sum.none, s->sum.quarantine, s->sum.reject};
        begin_row(t);
        cell(t, s->key);
        cell(t, reports_name(s));
        cell(t, view_str(kind));
        cell(t, s->country);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            cell_number(t, numbers[k]);
        cell_json(t, reports_day(s->first));
        cell_json(t, reports_day(s->last));
        cell(t, view_str(advice_code(s, kind)));
        end_row(t);
    }
    return RC_OK;
}

/* --- TLS --- */

static const char *const tls_names[] = {"received", "org", "report_id", "begin", "end", "counted", "type", "domain", "success", "failure", NULL};

static enum rc put_policies(struct table *t, const struct ledger_report *r)
{
    json_t *list = json_loadb(r->policy.p, r->policy.n, 0, NULL), *policy;
    size_t i;
    json_array_foreach(list, i, policy) {
        begin_row(t);
        cell_json(t, api_time(r->received_s));
        cell(t, r->org);
        cell(t, r->report_id);
        cell_json(t, api_time(r->begin_s));
        cell_json(t, api_time(r->end_s));
        cell(t, r->counted ? VIEW("yes") : VIEW("no"));
        cell_json(t, json_incref(json_object_get(policy, "type")));
        cell_json(t, json_incref(json_object_get(policy, "domain")));
        cell_number(t, (uint64_t)json_integer_value(json_object_get(policy, "success")));
        cell_number(t, (uint64_t)json_integer_value(json_object_get(policy, "failure")));
        end_row(t);
    }
    json_decref(list);
    return t->rows > REPORTS_EXPORT ? RC_LIMIT : buf_rc(t->out);
}

static enum rc export_tls(struct table *t, const struct ledger_span *span)
{
    begin_table(t, tls_names);
    return each_report(t, span, LEDGER_TLS, put_policies);
}

/* --- failures --- */

static const char *const failure_names[] = {"received", "type", "reporter", "source_ip", "original_from", "original_to", "subject", "arrival",
                                            "auth_failure", "headers", NULL};

static enum rc export_failures(struct table *t, const struct ledger_span *span)
{
    struct ledger_failure *list;
    uint64_t before = 0;
    struct arena a;
    size_t n = PAGE;
    enum rc rc = RC_OK;
    begin_table(t, failure_names);
    arena_init(&a, 64u << 20);
    while (rc == RC_OK && n == PAGE) {
        arena_reset(&a);
        rc = ledger_failures(t->c->store, span, before, PAGE, &a, &list, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            const struct ledger_failure *f = &list[i];
            const struct view texts[] = {f->type, f->reporter, f->source_ip, f->original_from, f->original_to, f->subject};
            before = f->id;
            begin_row(t);
            cell_json(t, api_time(f->received_s));
            for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
                cell(t, texts[k]);
            cell_json(t, api_time(f->arrival_s));
            cell(t, f->auth_failure);
            cell(t, f->headers);
            end_row(t);
            rc = buf_rc(t->out);
        }
    }
    arena_clear(&a);
    return rc;
}

/* --- all --- */

static const struct {
    const char *name;
    enum rc (*put)(struct table *t, const struct ledger_span *span);
} kinds[] = {{"dmarc", export_dmarc}, {"sources", export_sources}, {"tls", export_tls}, {"failure", export_failures}};

static void attach(struct api_call *c, const struct ledger_span *span, const char *kind, bool csv)
{
    struct buf name;
    buf_init(&name, 512);
    buf_printf(&name, "attachment; filename=\"%.*s-%s.%s\"", VIEW_FMT(span->domain), kind, csv ? "csv" : "json");
    http_respond(c->response, "Content-Disposition", buf_view(&name));
    buf_clear(&name);
    c->response->content_type = csv ? "text/csv; charset=utf-8; header=present" : "application/json";
}

void reports_export(struct api_call *c)
{
    struct ledger_span span;
    struct view kind = api_query(c, "kind"), format = api_query(c, "format");
    struct table t = {.c = c, .out = &c->response->body, .csv = view_eq(format, VIEW("csv"))};
    size_t at = 0;
    if (!reports_span(c, &span))
        return;
    while (at < sizeof kinds / sizeof *kinds && !view_eq(kind, view_str(kinds[at].name)))
        at++;
    if (at == sizeof kinds / sizeof *kinds || (!t.csv && format.n > 0 && !view_eq(format, VIEW("json")))) {
        api_refuse(c, 422, "export.kind", "kind is dmarc, sources, tls or failure; format is csv or json.");
        return;
    }
    enum rc rc = kinds[at].put(&t, &span);
    if (rc == RC_OK) {
        end_table(&t);
        attach(c, &span, kinds[at].name, t.csv);
        return;
    }
    buf_reset(&c->response->body);
    if (rc == RC_LIMIT)
        api_refuse(c, 422, "export.long", "That is too much for one file. Choose fewer days.");
    else
        api_refuse_rc(c, rc);
}
