/* mailauth/dkim_sign: writes DKIM-Signature fields (RFC 6376 §5, RFC 8301, RFC 8463): relaxed/relaxed, whole body, and each
 * field that matters signed once more than it occurs, so that none can be added (RFC 6376 §5.4, §8.15). The private key is
 * elsewhere: a function signs. No I/O of its own; any thread. */
#ifndef MAILAUTH_DKIM_SIGN_H
#define MAILAUTH_DKIM_SIGN_H

#include "base/buf.h"
#include "mailauth/dkim.h"

#define DKIM_SIGN_KEYS_MAX   4
#define DKIM_SIGN_FIELDS_MAX 200 /* names in one h=; beyond it instances are left unsigned */

/* Signs with the key of selector._domainkey.domain. `digest` is 32 bytes: for DKIM_RSA_SHA256 a SHA-256 to be wrapped in a
 * DigestInfo and signed by RSASSA-PKCS1-v1_5, for DKIM_ED25519_SHA256 the message that pure Ed25519 signs (RFC 8463
 * §3). Appends the raw signature. Blocks; any thread. RC_NOTFOUND: no such key. RC_TEMP: the vault does not answer. */
typedef enum rc (*dkim_sign_fn)(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm,
                                struct view digest, struct buf *signature);

struct dkim_signing_key {
    struct view selector;
    enum dkim_algorithm algorithm; /* DKIM_RSA_SHA256 or DKIM_ED25519_SHA256 */
};
struct dkim_sign_settings {
    struct view domain;                  /* d=, the author's domain, A-labels */
    const struct dkim_signing_key *keys; /* one signature each */
    size_t n_keys;
    int64_t now_s;
    int64_t lifetime_s;                  /* x= so much after t=; 0: without */
};

/* Before the body: what dkim_sign() needs of it. As dkim_body_want. */
enum rc dkim_sign_want(struct dkim_body *body, size_t *slot);
/* Appends one folded DKIM-Signature field a key, to be put above `header` (a header section), after dkim_body_end().
 * RC_SYNTAX: no From in it, or a domain or selector that is none. Else what `sign` gave; nothing is appended then. */
enum rc dkim_sign(const struct dkim_sign_settings *set, struct view header, const struct dkim_body *body, size_t slot,
                  dkim_sign_fn sign, void *sign_ctx, struct buf *out);
/* All in one, for a message that is in memory. */
enum rc dkim_sign_message(const struct dkim_sign_settings *set, struct view message, dkim_sign_fn sign, void *sign_ctx,
                          struct buf *out);

#endif
