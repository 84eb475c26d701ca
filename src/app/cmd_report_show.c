/* facteur report show: reads reports that others sent, from files, and prints them. Needs neither a server nor a configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/paths.h"
#include "app/progress.h"
#include "app/report_table.h"

#define SHOW_STREAM_MAX (1u << 30) /* bytes of standard input; files are mapped */

struct show {
    struct app *app;
    struct report_table *table; /* for people */
    json_t *failure, *tls, *refused; /* else; DMARC reports, which can be large, are written as they come */
    const char *file;
    bool any_report, any_row;
    size_t n_dmarc, n_read, n_refused;
};

/* --- JSON --- */

static json_t *text_or_null(struct view v)
{
    return v.n > 0 ? app_json(v) : json_null();
}

static json_t *time_or_null(int64_t s)
{
    char out[32];
    time_t t = (time_t)s;
    struct tm tm;
    if (s <= 0 || !gmtime_r(&t, &tm) || strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(out);
}

static json_t *texts(const struct view *list, size_t n)
{
    json_t *j = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(j, app_json(list[i]));
    return j;
}

/* Writes and frees. */
static enum rc write_json(json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    enum rc rc = text && fputs(text, stdout) != EOF ? RC_OK : RC_TEMP;
    free(text);
    json_decref(j);
    return rc;
}

/* What stands before the rows, as members without braces. */
static enum rc write_head(const struct show *s, const struct received_origin *o, const struct received_aggregate *r)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "org", app_json(r->org), "report_id", app_json(r->report_id), "domain",
                          app_json(r->domain), "begin", time_or_null(r->begin_s), "end", time_or_null(r->end_s), "email", text_or_null(r->email));
    json_t *more = json_pack("{s:o, s:s, s:I, s:I, s:I, s:o, s:o}", "contact", text_or_null(r->contact), "file", s->file, "messages",
                             (json_int_t)r->messages, "rows_total", (json_int_t)r->rows, "rows_left_out", (json_int_t)r->rows_left_out, "errors",
                             texts(r->errors, r->n_errors), "notes", texts(r->notes, r->n_notes));
    json_t *policy = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "p", text_or_null(r->p), "sp", text_or_null(r->sp), "np",
                               text_or_null(r->np), "pct", text_or_null(r->pct), "adkim", text_or_null(r->adkim), "aspf", text_or_null(r->aspf), "fo",
                               text_or_null(r->fo), "testing", text_or_null(r->testing), "discovery_method", text_or_null(r->discovery_method));
    if (json_object_update(j, more) != 0 || json_object_set_new(j, "policy", policy) != 0 ||
        json_object_set_new(j, "from", text_or_null(o->from)) != 0)
        policy = NULL;
    json_decref(more);
    char *text = policy ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    enum rc rc = text && printf("%.*s", (int)strlen(text) - 1, text) > 0 ? RC_OK : RC_TEMP;
    free(text);
    return rc;
}

static json_t *row_json(const struct received_row *r)
{
    json_t *reasons = json_array(), *dkim = json_array(), *spf = json_array();
    for (size_t i = 0; i < r->n_reasons; i++)
        json_array_append_new(reasons, json_pack("{s:o, s:o}", "type", app_json(r->reasons[i].type), "comment", text_or_null(r->reasons[i].comment)));
    for (size_t i = 0; i < r->n_dkim; i++)
        json_array_append_new(dkim, json_pack("{s:o, s:o, s:o, s:o}", "domain", app_json(r->dkim_results[i].domain), "selector",
                                              text_or_null(r->dkim_results[i].selector), "result", app_json(r->dkim_results[i].result),
                                              "human_result", text_or_null(r->dkim_results[i].human_result)));
    for (size_t i = 0; i < r->n_spf; i++)
        json_array_append_new(spf, json_pack("{s:o, s:o, s:o, s:o}", "domain", app_json(r->spf_results[i].domain), "scope",
                                             text_or_null(r->spf_results[i].scope), "result", app_json(r->spf_results[i].result), "human_result",
                                             text_or_null(r->spf_results[i].human_result)));
    return json_pack("{s:o, s:I, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:o}}", "source_ip", app_json(r->source_ip), "count", (json_int_t)r->count,
                     "disposition", app_json(r->disposition), "dkim", r->dkim ? "pass" : "fail", "spf", r->spf ? "pass" : "fail", "header_from",
                     app_json(r->header_from), "envelope_from", r->has_envelope_from ? app_json(r->envelope_from) : json_null(), "envelope_to",
                     r->has_envelope_to ? app_json(r->envelope_to) : json_null(), "reasons", reasons, "auth_results", "dkim", dkim, "spf", spf);
}

static json_t *failure_json(const struct show *s, const struct received_origin *o, const struct received_failure *f)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type", app_json(f->type), "reporter", text_or_null(o->from), "source_ip",
                          text_or_null(f->source_ip), "original_from", text_or_null(f->original_from), "original_to", text_or_null(f->original_to),
                          "subject", text_or_null(f->subject), "arrival", time_or_null(f->arrival_s), "auth_failure", text_or_null(f->auth_failure),
                          "headers", app_json(f->headers));
    json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:s}", "header_from", text_or_null(f->header_from), "domain",
                             text_or_null(f->reported_domain.n > 0 ? f->reported_domain : f->header_from_domain), "message_id",
                             text_or_null(f->message_id), "authentication_results", text_or_null(f->authentication_results), "incidents",
                             (json_int_t)f->incidents, "delivery_result", text_or_null(f->delivery_result), "identity_alignment",
                             text_or_null(f->identity_alignment), "dkim_domain", text_or_null(f->dkim_domain), "dkim_selector",
                             text_or_null(f->dkim_selector), "user_agent", text_or_null(f->user_agent), "file", s->file);
    if (json_object_update(j, more) != 0) {
        json_decref(j);
        j = NULL;
    }
    json_decref(more);
    return j;
}

static json_t *policy_json(const struct received_tls_policy *p)
{
    json_t *failures = json_array();
    for (size_t i = 0; i < p->n_failures; i++) {
        const struct received_tls_failure *f = &p->failures[i];
        json_array_append_new(failures, json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "result_type", text_or_null(f->result_type), "count",
                                                  (json_int_t)f->count, "receiving_mx", text_or_null(f->receiving_mx), "receiving_ip",
                                                  text_or_null(f->receiving_ip), "sending_mta_ip", text_or_null(f->sending_mta_ip), "receiving_mx_helo",
                                                  text_or_null(f->receiving_mx_helo), "reason_code", text_or_null(f->reason_code),
                                                  "additional_information", text_or_null(f->additional_information)));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "type", app_json(p->type), "domain", app_json(p->domain), "success", (json_int_t)p->success,
                     "failure", (json_int_t)p->failure, "strings", texts(p->strings, p->n_strings), "mx_hosts", texts(p->mx_hosts, p->n_mx_hosts),
                     "failures", failures);
}

static json_t *tls_json(const struct show *s, const struct received_origin *o, const struct received_tls *r)
{
    json_t *policies = json_array();
    for (size_t i = 0; i < r->n_policies; i++)
        json_array_append_new(policies, policy_json(&r->policies[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "org", app_json(r->org), "report_id", app_json(r->report_id), "begin",
                     time_or_null(r->begin_s), "end", time_or_null(r->end_s), "policies", policies, "contact", text_or_null(r->contact), "from",
                     text_or_null(o->from), "file", s->file);
}

/* --- what is found --- */

static enum rc on_begin(void *ctx, const struct received_origin *o, const struct received_aggregate *r)
{
    struct show *s = ctx;
    s->n_read++;
    if (s->table)
        return report_table_begin(s->table, r);
    fputs(s->n_dmarc++ > 0 ? ",\n" : "\n", stdout);
    s->any_row = false;
    enum rc rc = write_head(s, o, r);
    return rc == RC_OK && fputs(", \"rows\": [", stdout) == EOF ? RC_TEMP : rc;
}

static enum rc on_row(void *ctx, const struct received_row *r)
{
    struct show *s = ctx;
    if (s->table)
        return report_table_row(s->table, r);
    fputs(s->any_row ? ",\n  " : "\n  ", stdout);
    s->any_row = true;
    return write_json(row_json(r));
}

static enum rc on_end(void *ctx)
{
    const struct show *s = ctx;
    return s->table || fputs("]}", stdout) != EOF ? RC_OK : RC_TEMP;
}

static enum rc add(json_t *list, json_t *j)
{
    return json_array_append_new(list, j) == 0 ? RC_OK : RC_TEMP;
}

static enum rc on_failure(void *ctx, const struct received_origin *o, const struct received_failure *r)
{
    struct show *s = ctx;
    s->n_read++;
    return s->table ? report_table_failure(s->table, r) : add(s->failure, failure_json(s, o, r));
}

static enum rc on_tls(void *ctx, const struct received_origin *o, const struct received_tls *r)
{
    struct show *s = ctx;
    s->n_read++;
    return s->table ? report_table_tls(s->table, r) : add(s->tls, tls_json(s, o, r));
}

static enum rc on_refused(void *ctx, const struct received_origin *o, struct view reason)
{
    struct show *s = ctx;
    s->n_refused++;
    if (s->table) {
        app_fail("%s%s%.*s: %.*s", s->file, o->name.n > 0 ? ", " : "", VIEW_FMT(o->name), VIEW_FMT(reason));
        return RC_OK;
    }
    return add(s->refused, json_pack("{s:s, s:o, s:o}", "file", s->file, "reason", app_json(reason), "part", text_or_null(o->name)));
}

/* --- files --- */

static enum rc refuse_file(struct show *s, const char *reason)
{
    const struct received_origin none = {0};
    return on_refused(s, &none, view_str(reason));
}

static enum rc read_bytes(struct show *s, struct view bytes)
{
    const struct received_sink sink = {s, on_begin, on_row, on_end, on_failure, on_tls, on_refused};
    return received_read(bytes, &sink);
}

static enum rc read_mapped(struct show *s, const char *path)
{
    struct stat st;
    enum rc rc;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse_file(s, errno == ENOENT ? "no such file" : "it may not be read");
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = refuse_file(s, "it is no file");
    } else {
        void *p = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
        rc = p == MAP_FAILED ? refuse_file(s, "it cannot be read") : read_bytes(s, view_of(p, (size_t)st.st_size));
        if (p && p != MAP_FAILED)
            munmap(p, (size_t)st.st_size);
    }
    close(fd);
    return rc;
}

static enum rc read_one(struct show *s, const char *path)
{
    struct buf b;
    s->file = path;
    if (strcmp(path, "-") != 0 && !path_is_stream(path))
        return read_mapped(s, path);
    buf_init(&b, SHOW_STREAM_MAX);
    enum rc rc = path_read(path, SHOW_STREAM_MAX, &b);
    if (rc == RC_OK)
        rc = read_bytes(s, buf_view(&b));
    else if (rc != RC_TEMP || buf_rc(&b) == RC_OK)
        rc = refuse_file(s, rc == RC_LIMIT ? "it is too large" : "it cannot be read");
    buf_clear(&b);
    return rc;
}

static enum rc read_all(struct show *s, const struct paths *paths)
{
    struct progress progress;
    enum rc rc = RC_OK;
    size_t done = 0;
    progress_begin(&progress, "reading");
    for (const struct path *p = paths->first; p && rc == RC_OK; p = p->next) {
        rc = read_one(s, p->name);
        progress_tell(&progress, ++done, paths->n);
    }
    progress_end(&progress);
    return rc;
}

static enum rc finish(struct show *s, enum rc rc)
{
    static const char *const names[] = {"failure", "tls", "refused"};
    json_t *const lists[] = {s->failure, s->tls, s->refused};
    if (rc != RC_OK || s->table)
        return rc != RC_OK ? rc : report_table_print(s->table);
    fputs(s->n_dmarc > 0 ? "\n]" : "]", stdout);
    for (size_t i = 0; i < 3; i++) {
        printf(",\n\"%s\": ", names[i]);
        if (json_dumpf(lists[i], stdout, JSON_INDENT(2)) != 0)
            return RC_TEMP;
    }
    return puts("}") == EOF ? RC_TEMP : RC_OK;
}

int cmd_report_show(struct app *app, int argc, char **argv)
{
    struct show s = {.app = app};
    struct paths paths;
    int code = EXIT_FAILED;
    paths_init(&paths);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            code = app_usage(app);
            goto done;
        }
        if (!paths_add(&paths, argv[i]))
            goto done;
    }
    if (argc < 2) {
        code = app_usage(app);
        goto done;
    }
    if (app->json) {
        s.failure = json_array();
        s.tls = json_array();
        s.refused = json_array();
        fputs("{\"dmarc\": [", stdout);
    } else if (!(s.table = report_table_new())) {
        app_fail("out of memory");
        goto done;
    }
    enum rc rc = finish(&s, read_all(&s, &paths));
    if (rc != RC_OK || fflush(stdout) != 0)
        app_fail(ferror(stdout) ? "cannot write the output" : "out of memory");
    else if (s.n_read > 0)
        code = EXIT_DONE;
    else if (s.n_refused == 0)
        app_fail("there is no file in it");
done:
    json_decref(s.failure);
    json_decref(s.tls);
    json_decref(s.refused);
    report_table_free(s.table);
    paths_clear(&paths);
    return code;
}
