/* http/http: HTTP/1.1 for pages and policies (RFC 9110, RFC 9112). GNU libmicrohttpd reads requests and writes responses on
 * threads of its own; net/ has the connection, its TLS, PROXY header and limits, and hands libmicrohttpd the plain side of a
 * socket pair. An idle connection is parked like any other and holds no thread. What paths mean is the handler's.
 * One server for plain connections, one for those in TLS. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "net/pool.h"

#define HTTP_HEADER_MAX   32768      /* bytes of a request's line and fields; more: 431 */
#define HTTP_BODY_MAX     (96u << 20) /* bytes of a request's body; more, or more than body_max says: 413 */
#define HTTP_SWALLOW      (8u << 20) /* bytes of a body that is refused, and read to its end all the same */
#define HTTP_BODIES_MAX   (256u << 20) /* bytes of all bodies that are being read; more: 503 */
#define HTTP_RESPONSE_MAX (64u << 20)
#define HTTP_FIELDS_MAX   16         /* that a handler may add */
#define HTTP_IDLE_S       60         /* a connection without a request is closed */
#define HTTP_THREADS      4          /* that run handlers, for each server */
#define HTTP_SEND_MS      30000      /* to take the next piece of a response */

struct http_request {
    struct view method;  /* "GET"; HEAD comes as "GET", its body is not sent */
    struct view path;    /* percent-decoded, begins with '/' (or is "*"); without the query; holds no NUL */
    struct view host;    /* of Host, lower case, without port or final dot; empty where missing */
    struct view body;
    const struct addr *peer;
    bool is_tls;
    void *from;          /* for http_field and http_query */
};
/* Value of a request's header field, of its query's parameter (decoded), or of a cookie; empty where missing. Borrowed until the
 * handler returns. */
struct view http_field(const struct http_request *r, const char *name);
struct view http_field_last(const struct http_request *r, const char *name); /* of several of that name */
struct view http_query(const struct http_request *r, const char *name);
struct view http_cookie(const struct http_request *r, const char *name);

struct http_response {
    int status; /* 200 unless changed */
    uint32_t delay_ms; /* the client gets it only after so long; no thread waits for that */
    struct buf body;
    const char *content_type; /* NULL: none */
    struct { /* further fields; both without CR and LF, or the response becomes 500 */
        const char *name;
        struct view value; /* copied by http_respond */
    } fields[HTTP_FIELDS_MAX];
    size_t n_fields;
};
/* Adds a field; further ones than HTTP_FIELDS_MAX, or without memory, turn the response into a 500. `value` is copied. */
void http_respond(struct http_response *r, const char *name, struct view value);
/* Runs on a thread of the server; may block for a while. The body of a response that fails (buf_rc) becomes a 500. */
typedef void (*http_handler)(void *ctx, const struct http_request *request, struct http_response *response);

struct http_settings {
    const char *name; /* of the service, for the log: "http", "https" */
    bool is_tls;
    unsigned connections; /* at most so many */
    http_handler handle;
    /* Asked before a body is read: how long may it be? NULL: HTTP_BODY_MAX. */
    size_t (*body_max)(void *ctx, const struct http_request *request);
    void *ctx;
};
struct http_server;
/* RC_TEMP. */
enum rc http_server_new(const struct http_settings *set, struct http_server **out);
/* Valid as long as the server. */
const struct pool_service *http_service(struct http_server *s);
/* When the pool has let go of all its connections. Waits for handlers under way. Accepts NULL. */
void http_server_free(struct http_server *s);

#endif
