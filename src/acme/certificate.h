/* acme/certificate: requests for certificates (PKCS #10, RFC 2986) signed by somebody else's hand. Pure otherwise. */
#ifndef ACME_CERTIFICATE_H
#define ACME_CERTIFICATE_H

#include "acme/acme.h"
#include "acme/jose.h"

/* DER of a request for these DNS names with this public key. RC_SYNTAX: names or key that cannot be. */
enum rc acme_request_write(struct view spki, const struct view *names, size_t n, jose_sign_fn sign, void *ctx, struct buf *der);
/* RFC 9773 §4.1: the certificate's unique identifier. RC_NOTFOUND: it has no authority key identifier. RC_SYNTAX. */
enum rc acme_certificate_id(struct view pem, struct buf *out);

#endif
