/* crypto/digest: hashes and what is built of them, by OpenSSL's EVP. Pure; any thread (one digest: one
 * thread). FIPS 180-4; RFC 2104 (HMAC); RFC 8018 §5.2 (PBKDF2). SHA-1 is here for protocols that leave no
 * choice (SCRAM-SHA-1); MD5 is not. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/view.h"

#define SHA1_SIZE       20
#define SHA256_SIZE     32
#define DIGEST_SIZE_MAX 64

enum digest_kind { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

/* Bytes of a result. */
size_t digest_size(enum digest_kind kind);

/* In one go. RC_TEMP: OpenSSL has no memory. */
enum rc digest_of(enum digest_kind kind, struct view v, uint8_t *out);
enum rc sha1(struct view v, uint8_t out[SHA1_SIZE]);
enum rc sha256(struct view v, uint8_t out[SHA256_SIZE]);
enum rc hmac_sha1(struct view key, struct view v, uint8_t out[SHA1_SIZE]);
enum rc hmac_sha256(struct view key, struct view v, uint8_t out[SHA256_SIZE]);
/* Derives digest_size(kind) bytes; RC_SYNTAX: iterations are 0. Slow on purpose. */
enum rc pbkdf2(enum digest_kind kind, struct view password, struct view salt, uint32_t iterations,
               uint8_t *out);

/* In pieces. The first failure is remembered until digest_end. */
struct digest;
struct digest *digest_new(enum digest_kind kind); /* NULL: no memory */
void digest_add(struct digest *d, struct view v);
/* Writes digest_size(kind) bytes; the digest can only be freed afterwards. RC_TEMP as above. */
enum rc digest_end(struct digest *d, uint8_t *out);
/* A second digest that goes on from the same state; NULL: no memory. */
struct digest *digest_copy(const struct digest *d);
void digest_free(struct digest *d); /* accepts NULL */

#endif
