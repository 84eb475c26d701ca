#include "http/http_impl.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/log.h"

/* A request while libmicrohttpd hands it over in pieces. */
struct incoming {
    struct buf body;
    bool too_large;
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

static enum MHD_Result send_response(struct MHD_Connection *c, struct http_response *r)
{
    if (buf_rc(&r->body) != RC_OK) {
        r->status = 500;
        r->content_type = NULL;
    }
    struct view body = r->status == 500 && buf_rc(&r->body) != RC_OK ? (struct view){0} : buf_view(&r->body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)(body.n > 0 ? body.p : ""), MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO; /* closes the connection */
    enum MHD_Result ok = r->content_type ? MHD_add_response_header(response, "Content-Type", r->content_type) : MHD_YES;
    for (size_t i = 0; i < r->n_fields && ok == MHD_YES; i++)
        ok = MHD_add_response_header(response, r->fields[i].name, r->fields[i].value.p);
    if (ok == MHD_YES)
        ok = MHD_queue_response(c, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return ok;
}

static enum MHD_Result send_status(struct MHD_Connection *c, int status)
{
    struct http_response r = {.status = status};
    return send_response(c, &r);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                              const char *upload, size_t *n_upload, void **state)
{
    struct http_server *s = cls;
    struct incoming *in = *state;
    char host[256];
    struct addr peer = {0};
    (void)version;

    if (!in) { /* the header alone */
        in = calloc(1, sizeof *in);
        if (!in)
            return MHD_NO;
        buf_init(&in->body, HTTP_BODY_MAX);
        *state = in;
        return MHD_YES;
    }
    if (*n_upload > 0) {
        if (!in->too_large)
            buf_add(&in->body, view_of(upload, *n_upload));
        in->too_large = buf_rc(&in->body) != RC_OK;
        *n_upload = 0;
        return MHD_YES;
    }
    if (in->too_large)
        return send_status(c, 413);
    const union MHD_ConnectionInfo *who = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (who && who->client_addr) {
        peer.len = who->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        memcpy(&peer.ss, who->client_addr, peer.len);
    }
    struct http_request r = {.method = view_str(strcmp(method, "HEAD") == 0 ? "GET" : method),
                             .path = view_str(url),
                             .body = buf_view(&in->body),
                             .peer = &peer,
                             .is_tls = s->set.is_tls,
                             .from = c};
    r.host = host_of(http_field(&r, "Host"), host, sizeof host);
    struct http_response out = {.status = 200};
    buf_init(&out.body, HTTP_RESPONSE_MAX);
    s->set.handle(s->set.ctx, &r, &out);
    enum MHD_Result result = send_response(c, &out);
    clear_response(&out);
    return result;
}

static void completed(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct incoming *in = *state;
    (void)cls, (void)c, (void)why;
    if (in)
        buf_clear(&in->body);
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
    free(s);
}
