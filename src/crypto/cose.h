/* crypto/cose: public keys as authenticators give them (COSE_Key, RFC 9052 §7, RFC 9053) and signatures made with their private
 * halves: ES256 (P-256), EdDSA (Ed25519), RS256 (RFC 8812). By OpenSSL's EVP. Pure; any thread. */
#ifndef CRYPTO_COSE_H
#define CRYPTO_COSE_H

#include "base/view.h"

#define COSE_ES256 (-7)
#define COSE_EDDSA (-8)
#define COSE_RS256 (-257)
#define COSE_RSA_BITS_MIN 2048
#define COSE_RSA_BITS_MAX 4096

/* Moves *in past one key and gives its bytes. RC_SYNTAX: not such a key, of another algorithm, or no point of its curve. */
enum rc cose_key_take(struct view *in, struct view *key);
/* RC_OK: it is by this key over these bytes. RC_DENIED: it is not. RC_SYNTAX: not a key. RC_TEMP: no memory. */
enum rc cose_verify(struct view key, struct view message, struct view signature);

#endif
