/* The dispatcher: which route, who asks, may they; then the handler. */
#include "web/api.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "web/api_factor.h"
#include "web/api_impl.h"
#include "web/web_impl.h"

#define JSON_TYPE "application/json"

/* A new area's table goes in here. */
static const struct api_route *const areas[] = {
    api_openapi_routes,
    api_session_routes,
    api_me_routes,
    api_self_routes,
    api_factor_routes,
    api_passkey_routes,
    api_overview_routes,
    api_people_routes,
    api_records_routes,
    api_settings_routes,
    api_queue_routes,
    api_trace_routes,
    api_send_routes,
    api_health_routes,
    api_report_routes,
    api_alert_routes,
};
#define N_AREAS (sizeof areas / sizeof *areas)

const struct api_route *api_route_next(const struct api_route *r)
{
    if (!r)
        return areas[0];
    if (r[1].method)
        return r + 1;
    for (size_t i = 0; i + 1 < N_AREAS; i++)
        for (const struct api_route *x = areas[i]; x->method; x++)
            if (x == r)
                return areas[i + 1];
    return NULL;
}

/* --- routes --- */

/* A segment of a pattern: "{name}" takes any, but nothing empty. */
static bool match_segment(struct view pattern, struct view text, struct view *args, size_t *n)
{
    if (!view_starts(pattern, VIEW("{")))
        return view_eq(pattern, text);
    if (text.n == 0 || *n == API_ARGS_MAX)
        return false;
    args[(*n)++] = text;
    return true;
}

/* `rest`: a {name} at the end takes all that is left, so that names may hold '/' (the path comes decoded). */
static bool match_path(struct view pattern, struct view path, bool rest, struct view args[API_ARGS_MAX])
{
    size_t n = 0;
    while (pattern.n > 0 && path.n > 0) {
        struct view p, t;
        if (!view_take_chr(&pattern, '/') || !view_take_chr(&path, '/'))
            return false;
        size_t end = view_chr(pattern, '/');
        p = view_slice(pattern, 0, end);
        bool is_last = end == VIEW_NONE;
        size_t cut = rest && is_last ? VIEW_NONE : view_chr(path, '/');
        t = view_slice(path, 0, cut);
        if (!match_segment(p, t, args, &n))
            return false;
        view_skip(&pattern, p.n);
        view_skip(&path, t.n);
    }
    return pattern.n == 0 && path.n == 0;
}

struct found {
    const struct api_route *route; /* NULL: none with that method */
    const struct api_route *other; /* one with that path */
    struct view args[API_ARGS_MAX];
};

static void find_route(struct view method, struct view path, struct found *f)
{
    *f = (struct found){0};
    for (int rest = 0; rest < 2 && !f->other; rest++) {
        for (const struct api_route *r = api_route_next(NULL); r; r = api_route_next(r)) {
            struct view args[API_ARGS_MAX] = {{0}};
            if (!match_path(view_str(r->path), path, rest, args))
                continue;
            f->other = r;
            if (view_eq(method, view_str(r->method)) && !f->route) {
                f->route = r;
                memcpy(f->args, args, sizeof args);
            }
        }
    }
}

/* What Allow says (RFC 9110 §15.5.6). */
static void allow_methods(struct api_call *c, const struct api_route *other)
{
    struct buf list;
    buf_init(&list, 100);
    for (const struct api_route *r = api_route_next(NULL); r; r = api_route_next(r))
        if (strcmp(r->path, other->path) == 0)
            buf_printf(&list, "%s%s%s", list.n ? ", " : "", r->method, strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
    http_respond(c->response, "Allow", buf_view(&list));
    buf_clear(&list);
    api_refuse(c, 405, "request.method", "This path is not for that method.");
}

/* --- who --- */

bool api_token_hash(struct view token, uint8_t hash[SESSION_HASH])
{
    struct buf raw;
    buf_init(&raw, API_TOKEN);
    bool ok = base64_decode_url(token, &raw) == RC_OK && raw.n == API_TOKEN && sha256(buf_view(&raw), hash) == RC_OK;
    buf_wipe(&raw);
    buf_clear(&raw);
    return ok;
}

static enum rc find_who(struct api_call *c)
{
    uint8_t hash[SESSION_HASH];
    struct session_row row;
    struct directory_account account;
    char ip[ADDR_TEXT_MAX];

    if (!api_token_hash(http_cookie(c->http, API_COOKIE), hash))
        return RC_NOTFOUND;
    addr_write_ip(c->peer, ip);
    enum rc rc = session_find(c->store, hash, &c->set->terms, view_str(ip), c->arena, &row, &account);
    if (rc != RC_OK)
        return rc;
    size_t at = view_rchr(account.address, '@');
    c->who = (struct api_who){.account = account.id,
                              .address = account.address,
                              .domain = at == VIEW_NONE ? (struct view){0} : view_from(account.address, at + 1),
                              .role = account.role,
                              .session = view_str(arena_printf(c->arena, "%016llx", (unsigned long long)row.id)),
                              .session_id = row.id,
                              .language = account.language};
    return c->who.session.n > 0 ? RC_OK : RC_TEMP;
}

static bool has_right(const struct api_who *who, enum api_right right)
{
    switch (right) {
    case API_ANYBODY: return true;
    case API_USER: return who->account != 0;
    case API_OWNER: return who->account != 0 && who->role >= ROLE_OWNER;
    case API_OPERATOR: return who->account != 0 && who->role == ROLE_OPERATOR;
    }
    return false;
}

/* --- requests from other sites --- */

bool api_is_own_origin(const struct api_call *c, struct view origin)
{
    struct view host = http_field(c->http, "Host"), port = c->is_secure ? VIEW(":443") : VIEW(":80");
    if (!view_itake(&origin, c->is_secure ? VIEW("https://") : VIEW("http://")))
        return false;
    if (view_ends(host, port))
        host.n -= port.n;
    return host.n > 0 && view_ieq(origin, host);
}

/* Browsers say where a request comes from; what is no browser says nothing (OWASP CSRF prevention, Fetch Metadata). */
static bool is_from_elsewhere(const struct api_call *c)
{
    struct view origin = http_field(c->http, "Origin"), site = http_field(c->http, "Sec-Fetch-Site");
    if (site.n > 0 && !view_eq(site, VIEW("same-origin")) && !view_eq(site, VIEW("none")))
        return true;
    return origin.n > 0 && !api_is_own_origin(c, origin);
}

static bool is_json(struct view type)
{
    struct view media;
    view_split(&type, ';', &media);
    return view_ieq(view_trim(media), VIEW(JSON_TYPE));
}

/* --- the body --- */

static bool read_body(struct api_call *c, const struct api_route *r)
{
    struct view body = c->http->body;
    json_error_t why;

    if (r->raw)
        return true;
    if (!is_json(http_field(c->http, "Content-Type")) && (body.n > 0 || !view_eq(c->http->method, VIEW("DELETE")))) {
        api_refuse(c, 415, "request.type", "Send JSON, and say so: Content-Type: application/json.");
        return false;
    }
    if (body.n == 0)
        return true;
    c->body = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &why);
    if (c->body && json_is_object(c->body))
        return true;
    api_refuse(c, 400, "request.json", c->body ? "The body must be a JSON object."
                                               : arena_printf(c->arena, "The body is not JSON: line %d, %s.", why.line, why.text));
    return false;
}

/* --- all --- */

static void call_handler(struct api_call *c, const struct found *f)
{
    const struct api_route *r = f->route;
    bool writes = !view_eq(c->http->method, VIEW("GET"));

    memcpy(c->args, f->args, sizeof c->args);
    if (writes && is_from_elsewhere(c))
        api_refuse(c, 403, "request.foreign", "This request was made by another site.");
    else if (!writes || read_body(c, r))
        r->handle(c);
    json_decref(c->body);
}

static void answer(struct api_call *c)
{
    struct found f;
    find_route(c->http->method, view_from(c->http->path, strlen(API_PREFIX)), &f);

    enum rc rc = find_who(c);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        api_refuse_rc(c, rc);
        return;
    }
    enum sasl_step step = SASL_MALFORMED;
    if (!c->who.account && f.route && f.route->basic)
        step = api_basic(c, &c->response->delay_ms);
    /* Before anything is said of what exists. */
    if (!c->who.account && step != SASL_MALFORMED)
        api_basic_refuse(c, step);
    else if (!c->who.account && (!f.other || (f.route ? f.route : f.other)->right != API_ANYBODY))
        api_refuse(c, 401, "session.none", "Please log in.");
    else if (!f.other)
        api_refuse(c, 404, "request.path", "There is no such path in this API.");
    else if (!f.route)
        allow_methods(c, f.other);
    else if (!has_right(&c->who, f.route->right))
        api_refuse(c, 403, "session.right", "Your account may not do this.");
    else
        call_handler(c, &f);
}

void api_answer(const struct web_settings *set, const struct http_request *request, const struct web_from *from,
                struct http_response *response)
{
    struct arena a;
    struct api_call c = {.http = request, .response = response, .set = set, .store = set->store, .peer = &from->peer,
                         .is_secure = from->is_secure, .arena = &a};
    arena_init(&a, API_ARENA);
    http_respond(response, "Cache-Control", VIEW("no-store"));
    http_respond(response, "Content-Security-Policy", VIEW("default-src 'none'; frame-ancestors 'none'"));
    http_respond(response, "Referrer-Policy", VIEW("no-referrer"));
    http_respond(response, "Cross-Origin-Resource-Policy", VIEW("same-origin"));
    answer(&c);
    arena_clear(&a);
}

size_t api_body_max(const struct web_settings *set, const struct http_request *request, const struct web_from *from)
{
    struct found f;
    uint64_t length;
    bool is_short = view_is_u64(http_field(request, "Content-Length"), API_BODY_NOBODY, &length);

    find_route(request->method, view_from(request->path, strlen(API_PREFIX)), &f);
    if (is_short || !f.route)
        return API_BODY_NOBODY;
    const size_t max = f.route->body_max ? f.route->body_max : API_BODY_MAX;
    if (f.route->right == API_ANYBODY)
        return f.route->body_max ? max : API_BODY_NOBODY;
    struct arena a;
    arena_init(&a, 65536);
    struct api_call c = {.http = request, .set = set, .store = set->store, .peer = &from->peer, .is_secure = from->is_secure, .arena = &a};
    uint32_t delay_ms;
    bool known = find_who(&c) == RC_OK || (f.route->basic && api_basic(&c, &delay_ms) == SASL_DONE);
    known = known && has_right(&c.who, f.route->right);
    arena_clear(&a);
    return known ? max : API_BODY_NOBODY;
}
