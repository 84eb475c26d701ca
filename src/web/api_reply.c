/* How handlers answer, and how they read what was sent. */
#include <time.h>

#include "base/json_text.h"
#include "base/log.h"
#include "store/audit.h"
#include "web/api_impl.h"

/* --- answers --- */

static int append(const char *bytes, size_t n, void *out)
{
    buf_add(out, view_of(bytes, n));
    return buf_rc(out) == RC_OK ? 0 : -1;
}

void api_reply(struct api_call *c, json_t *j)
{
    c->response->content_type = "application/json";
    if (!j || json_dump_callback(j, append, &c->response->body, JSON_COMPACT) != 0)
        c->response->body.fail = RC_TEMP; /* a 500 */
    json_decref(j);
}

void api_done(struct api_call *c)
{
    c->response->status = 204;
}

void api_refuse(struct api_call *c, int status, const char *code, const char *text)
{
    c->response->status = status;
    buf_reset(&c->response->body);
    if (status == 429 || status == 503)
        http_respond(c->response, "Retry-After", VIEW("60"));
    api_reply(c, json_pack("{s:{s:s, s:s}}", "error", "code", code, "text", text ? text : ""));
}

void api_refuse_field(struct api_call *c, const char *name, const char *text)
{
    c->response->status = 400;
    buf_reset(&c->response->body);
    api_reply(c, json_pack("{s:{s:s, s:s, s:s}}", "error", "code", "request.field", "text", text, "field", name));
}

void api_refuse_rc(struct api_call *c, enum rc rc)
{
    switch (rc) {
    case RC_SYNTAX: api_refuse(c, 400, "request.syntax", "That is not written as it should be."); return;
    case RC_LIMIT: api_refuse(c, 400, "request.limit", "That is too long, or too many."); return;
    case RC_NOTFOUND: api_refuse(c, 404, "request.notfound", "There is no such thing."); return;
    case RC_EXISTS: api_refuse(c, 409, "request.exists", "It is there already."); return;
    case RC_DENIED: api_refuse(c, 403, "session.right", "Your account may not do this."); return;
    case RC_FULL: api_refuse(c, 507, "store.full", "The disk is full."); break;
    default: api_refuse(c, 503, "store.busy", "That cannot be done now: try again in a minute. The log has the reason."); break;
    }
    log_warn("web.failed", F_VIEW("path", c->http->path), F_CSTR("reason", rc_name(rc)));
}

json_t *api_view(struct view v)
{
    return json_text(v);
}

json_t *api_time(int64_t s)
{
    char text[40];
    struct tm tm;
    time_t t = (time_t)s;
    if (s == 0 || !gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

/* --- what was sent --- */

struct view api_text(const struct api_call *c, const char *name)
{
    const json_t *j = json_object_get(c->body, name);
    return json_is_string(j) ? view_of(json_string_value(j), json_string_length(j)) : (struct view){0};
}

int64_t api_number(const struct api_call *c, const char *name, int64_t otherwise)
{
    const json_t *j = json_object_get(c->body, name);
    return json_is_integer(j) ? (int64_t)json_integer_value(j) : otherwise;
}

bool api_has(const struct api_call *c, const char *name)
{
    return json_object_get(c->body, name) != NULL;
}

struct view api_query(const struct api_call *c, const char *name)
{
    return http_query(c->http, name);
}

size_t api_limit(const struct api_call *c)
{
    uint64_t n;
    if (!view_is_u64(api_query(c, "limit"), UINT64_MAX, &n) || n == 0)
        return API_LIMIT;
    return n < API_LIMIT_MAX ? (size_t)n : API_LIMIT_MAX;
}

static bool take_digits(struct view *in, size_t n, int *out)
{
    uint64_t number;
    if (in->n < n || !view_is_u64(view_slice(*in, 0, n), 9999, &number))
        return false;
    view_skip(in, n);
    *out = (int)number;
    return true;
}

/* "2026-11-22", "2026-11-22T01:30:00Z" (RFC 3339 §5.6, UTC alone). */
int64_t api_when(const struct api_call *c, const char *name, int64_t otherwise)
{
    struct view v = api_query(c, name);
    struct tm tm = {0};
    if (!take_digits(&v, 4, &tm.tm_year) || !view_take_chr(&v, '-') || !take_digits(&v, 2, &tm.tm_mon) || !view_take_chr(&v, '-') ||
        !take_digits(&v, 2, &tm.tm_mday) || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
        return otherwise;
    if (v.n > 0 && (!view_take_chr(&v, 'T') || !take_digits(&v, 2, &tm.tm_hour) || !view_take_chr(&v, ':') ||
                    !take_digits(&v, 2, &tm.tm_min) || tm.tm_hour > 23 || tm.tm_min > 59))
        return otherwise;
    if (view_take_chr(&v, ':') && (!take_digits(&v, 2, &tm.tm_sec) || tm.tm_sec > 60))
        return otherwise;
    if (view_take_chr(&v, '.'))
        view_take_while(&v, is_digit);
    if (v.n > 0 && !view_eq(v, VIEW("Z")))
        return otherwise;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm);
}

int64_t api_until(const struct api_call *c, const char *name, int64_t otherwise)
{
    int64_t at = api_when(c, name, -1);
    return at < 0 ? otherwise : api_query(c, name).n == sizeof "2026-11-22" - 1 ? at + 86400 : at;
}

/* --- domains --- */

bool api_domain(struct api_call *c, struct view domain)
{
    if (c->who.role == ROLE_OPERATOR || (c->who.role == ROLE_OWNER && view_ieq(domain, c->who.domain)))
        return true;
    api_refuse(c, 403, "session.right", "Your account may not see this domain.");
    return false;
}

bool api_query_domain(struct api_call *c, struct view *out)
{
    struct directory_domain d;
    struct view domain = api_query(c, "domain");
    if (!api_domain(c, domain))
        return false;
    enum rc rc = directory_domain(c->store, domain, c->arena, &d);
    if (rc == RC_OK)
        *out = d.name;
    else if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        api_refuse(c, 404, "domain.notfound", "This domain is not hosted here.");
    else
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

/* --- the audit trail --- */

/* What happened has happened: a trail that cannot be written is logged, not refused. */
void api_audit(struct api_call *c, const char *what, struct view about, struct view detail)
{
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(c->peer, ip);
    const struct audit_row row = {.who = c->who.address, .peer = view_str(ip), .what = view_str(what), .about = about, .detail = detail};
    enum rc rc = audit_add(c->store, &row);
    log_info("web.changed", F_VIEW("account", c->who.address), F_CSTR("peer", ip), F_CSTR("what", what), F_VIEW("about", about));
    if (rc != RC_OK)
        log_warn("audit.failed", F_CSTR("what", what), F_CSTR("reason", rc_name(rc)));
}

void api_audit_change(struct api_call *c, const char *what, struct view about, const char *from, const char *to)
{
    const char *detail = arena_printf(c->arena, "%s -> %s", from ? from : "", to ? to : "");
    api_audit(c, what, about, view_str(detail ? detail : ""));
}
