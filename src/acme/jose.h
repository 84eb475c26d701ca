/* acme/jose: the few forms of JOSE that ACME needs: ES256 keys as JWK (RFC 7517, 7518 §6.2), their thumbprint (RFC 7638), and
 * flattened JWS (RFC 7515 §7.2.2). Signing is a function's. Pure otherwise; any thread. */
#ifndef ACME_JOSE_H
#define ACME_JOSE_H

#include "base/buf.h"

#define JOSE_TEXT_MAX 65536

/* ECDSA over a SHA-256 digest; appends DER. */
typedef enum rc (*jose_sign_fn)(void *ctx, struct view digest, struct buf *der);

/* {"crv":"P-256","kty":"EC","x":...,"y":...} of a SubjectPublicKeyInfo, members in the order of RFC 7638. RC_SYNTAX: not such a key. */
enum rc jose_jwk(struct view spki, struct buf *out);
/* base64url of the SHA-256 of that. */
enum rc jose_thumbprint(struct view jwk, struct buf *out);
/* {"protected":..., "payload":..., "signature":...}; payload empty: POST-as-GET (RFC 8555 §6.3). */
enum rc jose_es256(struct view header, struct view payload, jose_sign_fn sign, void *ctx, struct buf *out);
/* The same by HMAC-SHA256 (RFC 8555 §7.3.4). */
enum rc jose_hs256(struct view header, struct view payload, struct view key, struct buf *out);

/* DER ECDSA-Sig-Value to the 64 bytes of RFC 7518 §3.4. RC_SYNTAX. */
enum rc jose_raw_signature(struct view der, uint8_t out[64]);

#endif
