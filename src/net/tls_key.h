/* net/tls_key: a private key that is not here. An EVP_PKEY made of a certificate's public half, whose
 * signatures come from a function. For RSA and ECDSA. Used by net/tls only. */
#ifndef NET_TLS_KEY_H
#define NET_TLS_KEY_H

#include <openssl/x509.h>

#include "net/tls.h"

/* NULL: neither RSA nor ECDSA, or no memory. The function is called as long as the key lives. */
EVP_PKEY *tls_key_new(X509 *cert, tls_sign_fn sign, void *sign_ctx);

#endif
