#include "http/http_impl.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A request while libmicrohttpd hands it over in pieces. */
struct incoming {
    struct buf body;
    struct MHD_Response *answer; /* held back until the connection goes on */
    int status;
    size_t counted; /* of http_server.bodies */
    int refused;    /* 413, 503; 0: not */
};

/* --- what handlers see --- */

static struct view value_of(const struct http_request *r, enum MHD_ValueKind kind, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->from, kind, name);
    return value ? view_str(value) : (struct view){0};
}

struct view http_field(const struct http_request *r, const char *name)
{
    return value_of(r, MHD_HEADER_KIND, name);
}

struct last_field {
    const char *name;
    struct view value;
};

static enum MHD_Result look_at_field(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct last_field *l = cls;
    (void)kind;
    if (view_ieq(view_str(name), view_str(l->name)))
        l->value = view_str(value);
    return MHD_YES;
}

struct view http_field_last(const struct http_request *r, const char *name)
{
    struct last_field l = {.name = name};
    MHD_get_connection_values(r->from, MHD_HEADER_KIND, look_at_field, &l);
    return l.value;
}

struct view http_query(const struct http_request *r, const char *name)
{
    return value_of(r, MHD_GET_ARGUMENT_KIND, name);
}

struct view http_cookie(const struct http_request *r, const char *name)
{
    return value_of(r, MHD_COOKIE_KIND, name);
}

void http_respond(struct http_response *r, const char *name, struct view value)
{
    char *copy = r->n_fields < HTTP_FIELDS_MAX ? malloc(value.n + 1) : NULL;
    if (!copy) {
        r->body.fail = RC_TEMP; /* seen by respond */
        return;
    }
    memcpy(copy, value.p, value.n);
    copy[value.n] = '\0';
    r->fields[r->n_fields].name = name;
    r->fields[r->n_fields].value = view_of(copy, value.n);
    r->n_fields++;
}

static void clear_response(struct http_response *r)
{
    for (size_t i = 0; i < r->n_fields; i++)
        free((char *)(uintptr_t)r->fields[i].value.p);
    buf_clear(&r->body);
}

/* "MX.ici.test.:8443" -> "mx.ici.test" in out. */
static struct view host_of(struct view host, char *out, size_t max)
{
    size_t at = view_starts(host, VIEW("[")) ? view_chr(host, ']') : VIEW_NONE;
    size_t colon = at == VIEW_NONE ? view_chr(host, ':') : VIEW_NONE;
    size_t n = at != VIEW_NONE ? at + 1 : colon != VIEW_NONE ? colon : host.n;
    if (n > 0 && host.p[n - 1] == '.')
        n--;
    if (n > max)
        return (struct view){0};
    for (size_t i = 0; i < n; i++)
        out[i] = (char)to_lower((unsigned char)host.p[i]);
    return view_of(out, n);
}

/* --- requests --- */

/* NULL: no memory, or a field that cannot be. */
static struct MHD_Response *make_response(struct http_response *r)
{
    if (buf_rc(&r->body) != RC_OK) {
        r->status = 500;
        r->content_type = NULL;
    }
    struct view body = r->status == 500 && buf_rc(&r->body) != RC_OK ? (struct view){0} : buf_view(&r->body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)(body.n > 0 ? body.p : ""), MHD_RESPMEM_MUST_COPY);
    if (!response)
        return NULL;
    enum MHD_Result ok = r->content_type ? MHD_add_response_header(response, "Content-Type", r->content_type) : MHD_YES;
    for (size_t i = 0; i < r->n_fields && ok == MHD_YES; i++)
        ok = MHD_add_response_header(response, r->fields[i].name, r->fields[i].value.p);
    if (ok != MHD_YES) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

/* Takes the response. MHD_NO closes the connection. */
static enum MHD_Result send_made(struct MHD_Connection *c, int status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    enum MHD_Result ok = MHD_queue_response(c, (unsigned)status, response);
    MHD_destroy_response(response);
    return ok;
}

static enum MHD_Result send_status(struct MHD_Connection *c, int status)
{
    struct http_response r = {.status = status};
    return send_made(c, status, make_response(&r));
}

/* --- responses that are held back --- */

struct http_late {
    struct MHD_Connection *c;
    int64_t due_ms;
    struct http_late *next;
};

int http_send_late(struct http_server *s, bool all)
{
    const int64_t now = clock_mono_ms();
    int64_t next = INT64_MAX;

    pthread_mutex_lock(&s->lock);
    for (struct http_late **p = &s->late; *p;) {
        struct http_late *l = *p;
        if (!all && l->due_ms > now) {
            next = l->due_ms < next ? l->due_ms : next;
            p = &l->next;
            continue;
        }
        *p = l->next;
        MHD_resume_connection(l->c);
        free(l);
    }
    pthread_mutex_unlock(&s->lock);
    return next == INT64_MAX ? -1 : deadline_poll(next);
}

/* False: no memory; then it goes out at once. */
static bool hold_back(struct http_server *s, struct MHD_Connection *c, uint32_t delay_ms)
{
    const uint64_t one = 1;
    struct http_late *l = malloc(sizeof *l);
    if (!l)
        return false;
    *l = (struct http_late){.c = c, .due_ms = deadline_in(delay_ms)};
    MHD_suspend_connection(c);
    pthread_mutex_lock(&s->lock);
    l->next = s->late;
    s->late = l;
    pthread_mutex_unlock(&s->lock);
    if (write(s->late_event, &one, sizeof one) < 0)
        http_send_late(s, true); /* nobody would */
    return true;
}

/* Views borrow from the connection; `peer` and `host` are room for what lies nowhere else. */
static void read_request(struct http_server *s, struct MHD_Connection *c, const char *url, const char *method, struct addr *peer,
                         char *host, size_t host_size, struct http_request *out)
{
    const union MHD_ConnectionInfo *who = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *peer = (struct addr){0};
    if (who && who->client_addr) {
        peer->len = who->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        memcpy(&peer->ss, who->client_addr, peer->len);
    }
    *out = (struct http_request){.method = view_str(strcmp(method, "HEAD") == 0 ? "GET" : method),
                                 .path = view_str(url),
                                 .peer = peer,
                                 .is_tls = s->set.is_tls,
                                 .from = c};
    out->host = host_of(http_field(out, "Host"), host, host_size);
}

/* Fields that say where a request ends and whom it is for. */
struct framing {
    unsigned hosts, lengths, codings;
    bool is_odd;
};

static enum MHD_Result count_framing(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *f = cls;
    const struct view n = view_str(name);
    (void)kind;
    f->hosts += view_ieq(n, VIEW("Host"));
    f->lengths += view_ieq(n, VIEW("Content-Length"));
    if (view_ieq(n, VIEW("Transfer-Encoding"))) {
        f->codings++;
        f->is_odd |= !view_ieq(view_trim(view_str(value)), VIEW("chunked"));
    }
    f->is_odd |= n.n == 0 || is_wsp((unsigned char)n.p[n.n - 1]); /* RFC 9112 §5.1 */
    return MHD_YES;
}

/* RFC 9112 §3.2, §6.1, §6.3: a proxy in front of us must not have understood another request. */
static bool is_ambiguous(struct MHD_Connection *c)
{
    struct framing f = {0};
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_framing, &f);
    return f.is_odd || f.hosts > 1 || f.lengths > 1 || f.codings > 1 || (f.lengths > 0 && f.codings > 0);
}

static enum MHD_Result refuse_ambiguous(struct MHD_Connection *c)
{
    struct http_response r = {.status = 400};
    buf_init(&r.body, 0);
    http_respond(&r, "Connection", VIEW("close"));
    enum MHD_Result sent = send_made(c, r.status, make_response(&r));
    clear_response(&r);
    return sent;
}

/* The header alone: what is far too long by its own word is refused before it comes. Else it is read and thrown away, for many
 * clients look for an answer only when they have said all. */
static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *c, const struct http_request *r, void **state)
{
    uint64_t length = 0;
    size_t max = s->set.body_max ? s->set.body_max(s->set.ctx, r) : HTTP_BODY_MAX;
    struct view said = http_field(r, "Content-Length");
    if (max > HTTP_BODY_MAX)
        max = HTTP_BODY_MAX;
    bool too_long = said.n > 0 && (!view_is_u64(said, UINT64_MAX, &length) || length > max);
    if (too_long && length > HTTP_SWALLOW)
        return send_status(c, 413);
    struct incoming *in = calloc(1, sizeof *in);
    if (!in)
        return MHD_NO;
    buf_init(&in->body, max);
    in->refused = too_long ? 413 : 0;
    *state = in;
    return MHD_YES;
}

static void take_piece(struct http_server *s, struct incoming *in, struct view piece)
{
    if (in->refused)
        return;
    size_t all = atomic_fetch_add(&s->bodies, piece.n) + piece.n;
    in->counted += piece.n;
    buf_add(&in->body, piece);
    if (buf_rc(&in->body) != RC_OK)
        in->refused = buf_rc(&in->body) == RC_LIMIT ? 413 : 503;
    else if (all > HTTP_BODIES_MAX)
        in->refused = 503;
    if (in->refused)
        buf_clear(&in->body);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                              const char *upload, size_t *n_upload, void **state)
{
    struct http_server *s = cls;
    struct incoming *in = *state;
    struct http_request r;
    struct addr peer;
    char host[256];
    (void)version;

    if (in && *n_upload > 0) {
        take_piece(s, in, view_of(upload, *n_upload));
        *n_upload = 0;
        return MHD_YES;
    }
    if (in && in->answer) {
        struct MHD_Response *answer = in->answer;
        in->answer = NULL;
        return send_made(c, in->status, answer);
    }
    if (in && in->refused)
        return send_status(c, in->refused);
    read_request(s, c, url, method, &peer, host, sizeof host, &r);
    if (!in)
        return is_ambiguous(c) ? refuse_ambiguous(c) : begin(s, c, &r, state);
    r.body = buf_view(&in->body);
    struct http_response out = {.status = 200};
    buf_init(&out.body, HTTP_RESPONSE_MAX);
    s->set.handle(s->set.ctx, &r, &out);
    struct MHD_Response *response = make_response(&out); /* changes the status of what failed */
    clear_response(&out);
    if (out.delay_ms == 0 || !response)
        return send_made(c, out.status, response);
    in->answer = response;
    in->status = out.status;
    if (hold_back(s, c, out.delay_ms))
        return MHD_YES;
    in->answer = NULL;
    return send_made(c, out.status, response);
}

static void completed(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_server *s = cls;
    struct incoming *in = *state;
    (void)c, (void)why;
    if (in) {
        atomic_fetch_sub(&s->bodies, in->counted);
        if (in->answer)
            MHD_destroy_response(in->answer);
        buf_wipe(&in->body); /* there may be a password in it */
        buf_clear(&in->body);
    }
    free(in);
    *state = NULL;
}

/* %00 would end the path for some who look at it and not for others: such requests name nothing. */
static size_t unescape(void *cls, struct MHD_Connection *c, char *s)
{
    (void)cls, (void)c;
    struct view in = view_str(s);
    if (view_find(in, VIEW("%00")) != VIEW_NONE) {
        s[0] = '\0';
        return 0;
    }
    return MHD_http_unescape(s);
}

static void discard_log(void *cls, const char *format, va_list args)
{
    (void)cls, (void)format, (void)args; /* speaks of peers' mistakes alone */
}

/* --- life --- */

enum rc http_server_new(const struct http_settings *set, struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return RC_TEMP;
    s->set = *set;
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                           MHD_ALLOW_SUSPEND_RESUME;
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, discard_log, NULL,
                                 MHD_OPTION_THREAD_POOL_SIZE, (unsigned)HTTP_THREADS, MHD_OPTION_CONNECTION_LIMIT,
                                 set->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_MAX,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_NOTIFY_COMPLETED, completed, s,
                                 MHD_OPTION_UNESCAPE_CALLBACK, unescape, s, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!s->daemon || http_bridge_start(s) != RC_OK) {
        log_error("http.failed", F_CSTR("service", set->name));
        http_server_free(s);
        return RC_TEMP;
    }
    *out = s;
    return RC_OK;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_bridge_stop(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    pthread_mutex_destroy(&s->lock);
    free(s->slots);
    free(s);
}
