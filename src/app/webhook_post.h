/* app/webhook_post: one call of somebody's web address with JSON, signed so that whoever gets it knows that it is from us. HTTPS alone, to
 * addresses of the public Internet alone unless the configuration says otherwise: the address is a user's word, and must not lead to
 * what only this machine can reach. Network I/O; blocks until its deadline; any thread. */
#ifndef APP_WEBHOOK_POST_H
#define APP_WEBHOOK_POST_H

#include <stdatomic.h>

#include "base/arena.h"
#include "dns/dns.h"
#include "net/tls.h"

#define WEBHOOK_POST_MS   15000
#define WEBHOOK_REPLY_MAX 65536 /* bytes of the reply's body, of which nothing is used */
#define WEBHOOK_WHY_MAX   256

struct webhook_post {
    struct dns *dns;
    struct tls_client *trust;
    bool allow_private;
    const atomic_bool *stop; /* may be NULL */
    struct view url, secret; /* secret: of the signature; empty: unsigned */
    struct view body;        /* JSON */
    int64_t now_s;
};
/* RC_OK: a 2xx came. RC_TEMP: not now. RC_DENIED: never (no such address may be called, or it answered 410). `why` has the
 * status or the reason.
 * Facteur-Signature: t=SECONDS,v1=HEX, of HMAC-SHA256(secret, "SECONDS." body). */
enum rc webhook_post(const struct webhook_post *p, char why[WEBHOOK_WHY_MAX]);

#endif
