/* mailauth/dkim_body: the body hashes that signatures ask for, taken while the body arrives (RFC 6376 §3.4.3, §3.4.4,
 * §3.7). However many signatures there are, each byte is hashed at most once per canonicalisation: `l=` takes a copy
 * of the running hash where it is reached. A line ends at LF, a CR before it belongs to the end, and every end is
 * hashed as CRLF, so that a message stored with bare LF verifies as it was sent; a bare CR is an ordinary byte.
 * Memory does not grow with the body. Pure; one thread at a time. */
#ifndef MAILAUTH_DKIM_BODY_H
#define MAILAUTH_DKIM_BODY_H

#include "base/view.h"
#include "crypto/digest.h"

#define DKIM_WHOLE         UINT64_MAX /* no l= */
#define DKIM_BODY_WANT_MAX 32         /* different hashes of one body */

enum dkim_canon { DKIM_SIMPLE, DKIM_RELAXED };

struct dkim_body;
struct dkim_body *dkim_body_new(void);    /* NULL: no memory */
void dkim_body_free(struct dkim_body *b); /* accepts NULL */

/* Before the first byte: this hash (SHA-256) of the first `length` canonical bytes will be asked for. The same wish gives the
 * same slot. RC_LIMIT: too many wishes. RC_TEMP: no memory. */
enum rc dkim_body_want(struct dkim_body *b, enum dkim_canon canon, uint64_t length, size_t *slot);
/* The next bytes of the body, cut anywhere. */
void dkim_body_add(struct dkim_body *b, struct view bytes);
/* After the last byte; once. RC_TEMP: a hash could not be taken, and none may be used. */
enum rc dkim_body_end(struct dkim_body *b);
/* After dkim_body_end. False: the canonical body is shorter than `length` was. */
bool dkim_body_hash(const struct dkim_body *b, size_t slot, uint8_t out[SHA256_SIZE]);
/* Bytes of the canonical body. */
uint64_t dkim_body_length(const struct dkim_body *b, size_t slot);

#endif
