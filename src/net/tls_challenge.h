/* net/tls_challenge: the certificate that answers an authority's challenge by TLS-ALPN-01 (RFC 8737 §3). Inside net/. */
#ifndef NET_TLS_CHALLENGE_H
#define NET_TLS_CHALLENGE_H

#include <openssl/ssl.h>

#include "base/view.h"

/* A certificate for this host alone, which holds the proof, and its key, which is worth nothing: made now, for ctx. RC_SYNTAX: no host
 * name. RC_TEMP: no memory. */
enum rc tls_challenge_use(SSL_CTX *ctx, struct view host, const uint8_t proof[32]);

#endif
