#include "web/web_impl.h"
#include "web/metrics.h"

#include <pthread.h>
#include <stdlib.h>

#include "desk/desk.h"
#include "policy/records.h"
#include "store/challenge.h"
#include "store/logo.h"
#include "web/api_reports.h"

#define STS_PATH       "/.well-known/mta-sts.txt"
#define CHALLENGE_PATH "/.well-known/acme-challenge/"
#define WEB_BODY_MAX     1024       /* of requests that have no use for one */
#define WEB_SETTINGS_MAX (4u << 20) /* bytes of copied settings */

/* One state of the settings. It lives until the last request that began with it has its answer: some take seconds, and none may hold
 * a reload up, which the answer to PUT /settings itself brings about. */
struct web_state {
    struct web_settings set;
    struct arena mem; /* of set's texts */
    unsigned refs;    /* under web.lock */
};
struct web {
    pthread_mutex_t lock; /* guards now and all refs */
    struct web_state *now;
};

/* What a request is answered with is decided from one state of the settings. */
struct asked {
    const struct web_settings *set;
    const struct http_request *request;
    struct http_response *response;
    struct web_from from;
};

static void say(struct asked *q, int status, const char *text)
{
    q->response->status = status;
    q->response->content_type = "text/plain; charset=utf-8";
    buf_str(&q->response->body, text);
    buf_str(&q->response->body, "\n");
}

/* --- MTA-STS --- */

/* The domain of "mta-sts.DOMAIN", where it is one of ours. */
static enum rc sts_domain(const struct asked *q, struct arena *a, struct directory_domain *out)
{
    struct view host = q->request->host;
    if (!view_itake(&host, VIEW("mta-sts.")))
        return RC_NOTFOUND;
    enum rc rc = directory_domain(q->set->store, host, a, out);
    return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
}

/* A drawing of ours that mail programs fetch; a browser may show it, and do nothing else with it. */
static void answer_logo(struct asked *q)
{
    struct directory_domain domain;
    struct view svg;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = sts_domain(q, &a, &domain);
    if (rc == RC_OK)
        rc = logo_get(q->set->store, domain.name, &a, &svg);
    if (rc == RC_OK) {
        q->response->content_type = "image/svg+xml";
        http_respond(q->response, "Content-Security-Policy", VIEW("default-src 'none'; style-src 'unsafe-inline'; sandbox"));
        buf_add(&q->response->body, svg);
    } else {
        say(q, rc == RC_NOTFOUND ? 404 : 503, "No logo here.");
    }
    arena_clear(&a);
}

/* Only by HTTPS: nobody may believe a policy that came without (RFC 8461 §3.3). A host without policy has none: 404. */
static void answer_policy(struct asked *q)
{
    struct directory_domain domain;
    struct arena a;
    arena_init(&a, 4096);
    enum rc rc = sts_domain(q, &a, &domain);
    if (rc == RC_OK) {
        q->response->content_type = "text/plain";
        web_sts_policy(domain.sts_mode, q->set->hostname, &q->response->body);
    } else if (rc == RC_NOTFOUND) {
        say(q, 404, "No policy here.");
    } else {
        say(q, 503, "Please try again later.");
        http_respond(q->response, "Retry-After", VIEW("60"));
    }
    arena_clear(&a);
}

/* --- ACME --- */

/* RFC 8555 §8.3 */
static void answer_challenge(struct asked *q)
{
    struct view token = view_from(q->request->path, strlen(CHALLENGE_PATH)), answer;
    struct arena a;
    arena_init(&a, 4096);
    enum rc rc = challenge_get(q->set->store, token, &a, &answer);
    if (rc == RC_OK) {
        q->response->content_type = "application/octet-stream";
        buf_add(&q->response->body, answer);
    } else {
        say(q, rc == RC_NOTFOUND ? 404 : 503, "No such challenge.");
    }
    arena_clear(&a);
}

/* --- from HTTP to HTTPS --- */

/* A host that is ours: nobody is sent to a place that the request names. */
static bool is_our_host(const struct asked *q)
{
    struct directory_domain domain;
    struct arena a;
    bool ours = view_ieq(q->request->host, view_str(q->set->hostname));
    if (!ours && directory_has_domain(q->set->store, q->request->host, &ours) != RC_OK)
        return false;
    arena_init(&a, 4096);
    ours = ours || sts_domain(q, &a, &domain) == RC_OK;
    arena_clear(&a);
    return ours;
}

static void redirect(struct asked *q)
{
    struct buf to;
    unsigned port = q->from.by_proxy ? 443 : q->set->https_port; /* a proxy has its own */
    if (port == 0 || !is_our_host(q)) {
        say(q, 404, "Nothing here.");
        return;
    }
    buf_init(&to, 1024);
    buf_printf(&to, "https://%.*s", VIEW_FMT(q->request->host));
    if (port != 443)
        buf_printf(&to, ":%u", port);
    buf_chr(&to, '/'); /* the path has been decoded: only what needs no encoding goes along */
    struct view path = view_from(q->request->path, 1);
    for (size_t i = 0; i < path.n && path.p[i] > ' ' && path.p[i] < 0x7f && !strchr("\"<>%?#\\^`{|}", path.p[i]); i++)
        buf_chr(&to, path.p[i]);
    if (buf_rc(&to) == RC_OK)
        http_respond(q->response, "Location", buf_view(&to));
    say(q, buf_rc(&to) == RC_OK ? 308 : 404, "This is served by HTTPS.");
    buf_clear(&to);
}

/* --- who asks, and how --- */

/* The last address of X-Forwarded-For that is not a trusted proxy's own: whatever stands before it, anybody can have written. */
static void read_forwarded(const struct asked *q, struct addr *peer)
{
    struct view list = http_field_last(q->request, "X-Forwarded-For");
    while (list.n > 0) {
        size_t comma = view_rchr(list, ',');
        struct view one = view_trim(comma == VIEW_NONE ? list : view_from(list, comma + 1));
        struct addr a;
        if (addr_parse_ip(one, 0, &a) != RC_OK && addr_parse(one, &a) != RC_OK)
            return;
        addr_unmap(&a);
        *peer = a;
        if (!addr_in_nets(&a, q->set->proxies, q->set->n_proxies))
            return;
        list = comma == VIEW_NONE ? (struct view){0} : view_slice(list, 0, comma);
    }
}

static struct web_from origin_of(const struct asked *q)
{
    struct web_from from = {.peer = *q->request->peer, .is_secure = q->request->is_tls};
    addr_unmap(&from.peer);
    struct view proto = http_field_last(q->request, "X-Forwarded-Proto");
    from.by_proxy = addr_in_nets(&from.peer, q->set->proxies, q->set->n_proxies) &&
                    (proto.n > 0 || http_field_last(q->request, "X-Forwarded-For").n > 0);
    if (from.by_proxy) {
        from.is_secure = view_ieq(proto, VIEW("https"));
        read_forwarded(q, &from.peer);
    }
    return from;
}

/* A proxy has passed it on that the settings do not name. */
static bool by_unnamed_proxy(const struct asked *q)
{
    return !q->from.by_proxy && (http_field(q->request, "X-Forwarded-For").n > 0 || http_field(q->request, "Forwarded").n > 0);
}

/* Without TLS only from this machine itself: there nobody can listen in. */
static bool may_see_pages(const struct asked *q)
{
    return q->from.is_secure || (!q->from.by_proxy && addr_is_loopback(&q->from.peer));
}

/* --- all --- */

static void refuse_method(struct asked *q)
{
    say(q, 405, "GET only.");
    http_respond(q->response, "Allow", VIEW("GET, HEAD"));
}

static void answer_health(struct asked *q, bool reads)
{
    const char *why = "";
    if (!reads)
        refuse_method(q);
    else if (q->set->is_well && !q->set->is_well(q->set->app, &why))
        say(q, 503, why);
    else
        say(q, 200, "ok");
}

/* On this machine anybody may read it, but for what a proxy asks in others' name. */
static bool may_see_metrics(const struct asked *q)
{
    return addr_in_nets(&q->from.peer, q->set->metrics_from, q->set->n_metrics_from) ||
           (addr_is_loopback(&q->from.peer) && !q->from.by_proxy && !by_unnamed_proxy(q));
}

static void answer_metrics(struct asked *q, bool reads)
{
    bool open_metrics = view_ifind(http_field(q->request, "Accept"), VIEW("application/openmetrics-text")) != VIEW_NONE;
    if (!may_see_metrics(q)) {
        say(q, 403, "Not from here: `web { metrics-from }` says who may.");
    } else if (!reads) {
        refuse_method(q);
    } else {
        q->response->content_type = open_metrics ? METRICS_OPEN_METRICS : METRICS_TEXT;
        metrics_write(q->set->store, open_metrics, &q->response->body);
    }
}

static void lead_to_pages(struct asked *q)
{
    say(q, 308, "The pages are at /admin/.");
    http_respond(q->response, "Location", VIEW("/admin/"));
}

static void answer_pages(struct asked *q)
{
    struct view path = q->request->path;
    if (!q->from.is_secure && addr_is_loopback(&q->from.peer) && by_unnamed_proxy(q)) /* its clients would all count as this machine */
        say(q, 403, "A proxy asks that `web { proxies }` does not name.");
    else if (!may_see_pages(q))
        redirect(q);
    else if (view_eq(path, VIEW("/admin")))
        lead_to_pages(q);
    else if (view_eq(path, VIEW("/admin/api")) || view_starts(path, VIEW("/admin/api/")))
        api_answer(q->set, q->request, &q->from, q->response);
    else
        pages_answer(q->request, q->response);
}

static void answer_rest(struct asked *q, bool reads)
{
    if (!reads)
        refuse_method(q);
    else if (view_eq(q->request->path, VIEW(STS_PATH)))
        answer_policy(q);
    else if (view_eq(q->request->path, VIEW(RECORDS_LOGO_PATH)) && view_istarts(q->request->host, VIEW("mta-sts.")))
        answer_logo(q);
    else
        say(q, 404, "Nothing here.");
}

static void answer(struct asked *q)
{
    struct view path = q->request->path;
    bool reads = view_eq(q->request->method, VIEW("GET"));
    if (q->from.is_secure)
        http_respond(q->response, "Strict-Transport-Security", VIEW(WEB_HSTS));
    http_respond(q->response, "X-Content-Type-Options", VIEW("nosniff"));
    if (view_eq(path, VIEW("/healthz")))
        answer_health(q, reads);
    else if (view_eq(path, VIEW("/metrics")))
        answer_metrics(q, reads);
    else if (reads && view_starts(path, VIEW(CHALLENGE_PATH)))
        answer_challenge(q);
    else if (view_eq(path, VIEW("/admin")) || view_starts(path, VIEW("/admin/")))
        answer_pages(q);
    else if (!q->from.is_secure)
        redirect(q);
    else if (view_eq(path, VIEW(DESK_PATH)))
        reports_post(q->set, q->request, &q->from.peer, q->response);
    else
        answer_rest(q, reads);
}

static struct web_state *take_state(struct web *w)
{
    pthread_mutex_lock(&w->lock);
    struct web_state *st = w->now;
    st->refs++;
    pthread_mutex_unlock(&w->lock);
    return st;
}

static void drop_state(struct web *w, struct web_state *st)
{
    pthread_mutex_lock(&w->lock);
    bool last = --st->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    arena_clear(&st->mem);
    free(st);
}

void web_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct web *w = ctx;
    struct web_state *st = take_state(w);
    struct asked q = {.set = &st->set, .request = request, .response = response};
    q.from = origin_of(&q);
    answer(&q);
    drop_state(w, st);
}

size_t web_body_max(void *ctx, const struct http_request *request)
{
    struct web *w = ctx;
    struct web_state *st = take_state(w);
    struct asked q = {.set = &st->set, .request = request};
    q.from = origin_of(&q);
    size_t max = view_starts(request->path, VIEW("/admin/api/")) ? api_body_max(&st->set, request, &q.from)
                 : view_eq(request->path, VIEW(DESK_PATH))               ? REPORTS_POST_MAX
                                                                         : WEB_BODY_MAX;
    drop_state(w, st);
    return max;
}

/* --- life --- */

static enum rc copy_settings(const struct web_settings *set, struct arena *a, struct web_settings *out)
{
    struct addr_net *proxies = arena_new_array(a, set->n_proxies, struct addr_net),
                    *metrics_from = arena_new_array(a, set->n_metrics_from, struct addr_net);
    *out = *set;
    out->hostname = arena_printf(a, "%s", set->hostname);
    out->data = arena_printf(a, "%s", set->data ? set->data : "");
    if (!out->hostname || !out->data || !proxies || !metrics_from)
        return RC_TEMP;
    for (size_t i = 0; i < set->n_proxies; i++)
        proxies[i] = set->proxies[i];
    out->proxies = proxies;
    for (size_t i = 0; i < set->n_metrics_from; i++)
        metrics_from[i] = set->metrics_from[i];
    out->metrics_from = metrics_from;
    out->config_file = arena_printf(a, "%s", set->config_file ? set->config_file : "");
    if (!out->config_file || view_dup(a, set->config_text, &out->config_text) != RC_OK)
        return RC_TEMP;
    return records_settings_dup(a, &set->records, &out->records);
}

static enum rc make_state(const struct web_settings *set, struct web_state **out)
{
    struct web_state *st = calloc(1, sizeof *st);
    if (!st)
        return RC_TEMP;
    st->refs = 1;
    arena_init(&st->mem, WEB_SETTINGS_MAX);
    enum rc rc = copy_settings(set, &st->mem, &st->set);
    if (rc != RC_OK) {
        arena_clear(&st->mem);
        free(st);
        return rc;
    }
    *out = st;
    return RC_OK;
}

enum rc web_new(const struct web_settings *set, struct web **out)
{
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return RC_TEMP;
    pthread_mutex_init(&w->lock, NULL);
    if (make_state(set, &w->now) != RC_OK) {
        web_free(w);
        return RC_TEMP;
    }
    *out = w;
    return RC_OK;
}

enum rc web_reload(struct web *w, const struct web_settings *set)
{
    struct web_state *next;
    enum rc rc = make_state(set, &next);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&w->lock);
    struct web_state *old = w->now;
    w->now = next;
    pthread_mutex_unlock(&w->lock);
    drop_state(w, old);
    return RC_OK;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    if (w->now)
        drop_state(w, w->now);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
