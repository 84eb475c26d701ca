#include "report/tls_json.h"

#include <jansson.h>
#include <time.h>
#include <zlib.h>

#define TEXT_MAX  1024 /* of a host, reason ... */
#define LINES_MAX 1024 /* of a policy */

/* I-JSON wants Unicode without surprises, and whoever reads the report a text on one line. */
static json_t *text(struct view v)
{
    char clean[TEXT_MAX];
    size_t n = v.n < sizeof clean ? v.n : sizeof clean;
    for (size_t i = 0; i < n; i++)
        clean[i] = (unsigned char)v.p[i] < ' ' || (unsigned char)v.p[i] >= 0x7f ? '?' : v.p[i];
    return json_stringn(clean, n);
}

static json_t *lines(struct view v)
{
    json_t *list = json_array();
    struct view line;
    for (size_t i = 0; i < LINES_MAX && v.n > 0; i++) {
        view_split(&v, '\n', &line);
        json_array_append_new(list, text(line));
    }
    return list;
}

/* RFC 3339 §5.6 */
static json_t *date_time(int64_t s)
{
    char out[32] = "";
    time_t t = (time_t)s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(out);
}

static void set_text(json_t *to, const char *name, struct view v)
{
    if (v.n > 0)
        json_object_set_new(to, name, text(v));
}

/* The Policy Domain of DANE is the TLSA base domain (RFC 8460 §1.1). */
static json_t *policy_of(const struct tlsrpt_outcome *o)
{
    json_t *p = json_object();
    json_object_set_new(p, "policy-type", json_string(tlsrpt_type_name(o->type)));
    if (o->type != TLSRPT_NO_POLICY)
        json_object_set_new(p, "policy-string", lines(o->policy));
    json_object_set_new(p, "policy-domain", text(o->type == TLSRPT_TLSA && o->mx.n > 0 ? o->mx : o->domain));
    if (o->type == TLSRPT_STS && o->mx.n > 0)
        json_object_set_new(p, "mx-host", lines(o->mx));
    return p;
}

static json_t *failure_of(const struct tlsrpt_outcome *o)
{
    json_t *f = json_object();
    json_object_set_new(f, "result-type", json_string(tlsrpt_result_name(o->result)));
    set_text(f, "sending-mta-ip", o->sent_from);
    set_text(f, "receiving-mx-hostname", o->host);
    set_text(f, "receiving-ip", o->sent_to);
    json_object_set_new(f, "failed-session-count", json_integer((json_int_t)o->sessions));
    set_text(f, "failure-reason-code", o->reason);
    return f;
}

/* One policy, whose rows begin at *i, which moves to the next one's. */
static json_t *entry_of(const struct tlsrpt_outcome *o, size_t n, size_t *i)
{
    const struct tlsrpt_outcome *good = &o[(*i)++];
    json_t *details = json_array(), *summary = json_object(), *entry = json_object();
    json_int_t failures = 0;
    for (; *i < n && o[*i].result != TLSRPT_SUCCESS; ++*i) {
        failures += (json_int_t)o[*i].sessions;
        json_array_append_new(details, failure_of(&o[*i]));
    }
    json_object_set_new(summary, "total-successful-session-count", json_integer((json_int_t)good->sessions));
    json_object_set_new(summary, "total-failure-session-count", json_integer(failures));
    json_object_set_new(entry, "policy", policy_of(good));
    json_object_set_new(entry, "summary", summary);
    if (json_array_size(details) > 0)
        json_object_set(entry, "failure-details", details);
    json_decref(details);
    return entry;
}

enum rc tls_json_write(const struct tls_json_meta *meta, const struct tlsrpt_outcome *o, size_t n, struct buf *out)
{
    json_t *root = json_object(), *range = json_object(), *policies = json_array();
    enum rc rc = RC_TEMP;
    json_object_set_new(range, "start-datetime", date_time(meta->begin_s));
    json_object_set_new(range, "end-datetime", date_time(meta->end_s));
    for (size_t i = 0; i < n;)
        json_array_append_new(policies, entry_of(o, n, &i));
    json_object_set_new(root, "organization-name", text(meta->organization));
    json_object_set_new(root, "date-range", range);
    json_object_set_new(root, "contact-info", text(meta->contact));
    json_object_set_new(root, "report-id", text(meta->report_id));
    json_object_set_new(root, "policies", policies);
    char *all = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    if (all && n == 0)
        rc = RC_LIMIT;
    else if (all) {
        buf_str(out, all);
        rc = buf_rc(out);
    }
    free(all);
    json_decref(root);
    return rc;
}

enum rc tls_json_gzip(struct view json, struct buf *out)
{
    unsigned char chunk[16384];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)json.p, .avail_in = (unsigned)json.n};
    int status = Z_OK;
    if (json.n > TLS_JSON_MAX)
        return RC_LIMIT;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) /* 16: gzip */
        return RC_TEMP;
    while (status == Z_OK && buf_rc(out) == RC_OK) {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        status = deflate(&z, Z_FINISH);
        buf_add(out, view_of(chunk, sizeof chunk - z.avail_out));
    }
    deflateEnd(&z);
    return buf_rc(out) != RC_OK ? buf_rc(out) : status == Z_STREAM_END ? RC_OK : RC_TEMP;
}
