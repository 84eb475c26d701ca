/* crypto/pkey_cache: public keys that were read before, for whoever verifies many signatures with few keys: reading an RSA
 * key and the preparation that OpenSSL does at its first use cost as much as the verification itself. One for the
 * process, behind a lock; any thread. It changes no result: what it gives is what pkey_public() would, and it holds at most
 * PKEY_CACHE_KEYS, so strangers' keys can only push out one another's. */
#ifndef CRYPTO_PKEY_CACHE_H
#define CRYPTO_PKEY_CACHE_H

#include "crypto/pkey.h"

#define PKEY_CACHE_KEYS 1024

/* As pkey_public(); to be freed likewise. */
enum rc pkey_cache_public(enum pkey_kind kind, struct view bytes, struct pkey **out);

#endif
