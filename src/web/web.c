#include "web/web.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/challenge.h"

#define STS_PATH       "/.well-known/mta-sts.txt"
#define CHALLENGE_PATH "/.well-known/acme-challenge/"

struct web {
    pthread_rwlock_t lock; /* guards set */
    struct web_settings set;
    struct arena mem; /* of set's texts; a reload begins another */
};

/* What a request is answered with is decided from one state of the settings. */
struct asked {
    const struct web_settings *set;
    const struct http_request *request;
    struct http_response *response;
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
    if (q->set->https_port == 0 || !is_our_host(q)) {
        say(q, 404, "Nothing here.");
        return;
    }
    buf_init(&to, 1024);
    buf_printf(&to, "https://%.*s", VIEW_FMT(q->request->host));
    if (q->set->https_port != 443)
        buf_printf(&to, ":%u", q->set->https_port);
    buf_chr(&to, '/'); /* the path has been decoded: only what needs no encoding goes along */
    struct view path = view_from(q->request->path, 1);
    for (size_t i = 0; i < path.n && path.p[i] > ' ' && path.p[i] < 0x7f && !strchr("\"<>%?#\\^`{|}", path.p[i]); i++)
        buf_chr(&to, path.p[i]);
    if (buf_rc(&to) == RC_OK)
        http_respond(q->response, "Location", buf_view(&to));
    say(q, buf_rc(&to) == RC_OK ? 308 : 404, "This is served by HTTPS.");
    buf_clear(&to);
}

/* --- all --- */

static void answer(struct asked *q)
{
    struct view path = q->request->path;
    bool reads = view_eq(q->request->method, VIEW("GET"));
    if (view_eq(path, VIEW("/healthz"))) {
        say(q, reads ? 200 : 405, reads ? "ok" : "GET only.");
    } else if (reads && view_starts(path, VIEW(CHALLENGE_PATH))) {
        answer_challenge(q);
    } else if (!q->request->is_tls) {
        redirect(q);
    } else {
        http_respond(q->response, "Strict-Transport-Security", VIEW(WEB_HSTS));
        if (!reads)
            say(q, 405, "GET only.");
        else if (view_eq(path, VIEW(STS_PATH)))
            answer_policy(q);
        else
            say(q, 404, "Nothing here.");
    }
    if (q->response->status == 405)
        http_respond(q->response, "Allow", VIEW("GET, HEAD"));
    http_respond(q->response, "X-Content-Type-Options", VIEW("nosniff"));
}

void web_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct web *w = ctx;
    pthread_rwlock_rdlock(&w->lock);
    struct asked q = {&w->set, request, response};
    answer(&q);
    pthread_rwlock_unlock(&w->lock);
}

/* --- life --- */

static enum rc copy_settings(const struct web_settings *set, struct arena *a, struct web_settings *out)
{
    *out = *set;
    out->hostname = arena_printf(a, "%s", set->hostname);
    return out->hostname ? RC_OK : RC_TEMP;
}

enum rc web_new(const struct web_settings *set, struct web **out)
{
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return RC_TEMP;
    pthread_rwlock_init(&w->lock, NULL);
    arena_init(&w->mem, 65536);
    if (copy_settings(set, &w->mem, &w->set) != RC_OK) {
        web_free(w);
        return RC_TEMP;
    }
    *out = w;
    return RC_OK;
}

enum rc web_reload(struct web *w, const struct web_settings *set)
{
    struct web_settings copy;
    struct arena mem;
    arena_init(&mem, 65536);
    enum rc rc = copy_settings(set, &mem, &copy);
    if (rc != RC_OK) {
        arena_clear(&mem);
        return rc;
    }
    pthread_rwlock_wrlock(&w->lock);
    struct arena old = w->mem;
    w->mem = mem;
    w->set = copy;
    pthread_rwlock_unlock(&w->lock);
    arena_clear(&old);
    return RC_OK;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    pthread_rwlock_destroy(&w->lock);
    arena_clear(&w->mem);
    free(w);
}
