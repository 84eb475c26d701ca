/* fetch: one request over HTTPS (libcurl), as policies of strangers are fetched and reports handed in: bounded in time and size, no redirects, no
 * proxies, no cookies, no compression, HTTP/1.1 alone; the certificate must hold for the host by its DNS names (RFC 9525) and an authority
 * of `trust`. libcurl resolves nothing: the addresses are the caller's, from the resolver that everything else asks.
 * Network I/O; blocks until its deadline; any thread. fetch_init once before the first thread. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/addr.h"
#include "net/tls.h"

#define FETCH_ADDRS_MAX  8          /* of a host, that are tried */
#define FETCH_HEADER_MAX (32u << 10) /* bytes of a reply's header */
#define FETCH_WHY_MAX    256

enum fetch_fault {
    FETCH_OK,          /* 200 and all of the body */
    FETCH_UNREACHABLE, /* no connection, no TLS, cut off, too slow */
    FETCH_UNTRUSTED,   /* the certificate does not hold */
    FETCH_REFUSED,     /* another status than 200, redirects among them */
    FETCH_TOO_LONG,
    FETCH_TYPE,        /* not the media type that was asked for */
};
struct fetch_request {
    const char *host;
    unsigned port;
    const char *path;         /* "/.well-known/mta-sts.txt" */
    const char *type;         /* media type that the reply must have, without parameters */
    const struct addr *addrs; /* their ports do not matter */
    size_t n_addrs;
    struct tls_client *trust;
    bool plain;               /* by HTTP without TLS: for what carries a signature of its own, such as a CRL; trust does not matter */
    int64_t deadline_ms;
    const atomic_bool *stop;  /* may be NULL; set by another thread: ends soon as FETCH_UNREACHABLE */
};
void fetch_init(void);
/* Appends the body to *body, whose cap is the limit. *why in words, not empty after a failure. */
enum fetch_fault fetch_get(const struct fetch_request *r, struct buf *body, char why[FETCH_WHY_MAX]);

/* A request of any kind, and a reply of any status and media type: what it means is the caller's to say. */
#define FETCH_FIELD_MAX 1024
struct fetch_upload {
    const char *method; /* "GET", "HEAD", "POST" */
    struct view bytes;  /* of POST */
    const char *type;   /* of these */
    const char *const *fields; /* further ones of the header, "Name: value", NULL ends; may be NULL */
};
struct fetch_reply {
    unsigned status;
    char type[128];                 /* without parameters; "" where missing or longer */
    char location[FETCH_FIELD_MAX]; /* these three: "" where missing or longer */
    char nonce[FETCH_FIELD_MAX];    /* Replay-Nonce, RFC 8555 §6.5.1 */
    char retry_after[128];
};
/* As fetch_get; r->type does not matter. FETCH_OK: a whole reply came. */
enum fetch_fault fetch_exchange(const struct fetch_request *r, const struct fetch_upload *upload, struct fetch_reply *reply,
                                struct buf *body, char why[FETCH_WHY_MAX]);

#endif
