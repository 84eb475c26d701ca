/* vault/password: what is kept of a password: an argon2id hash (RFC 9106) and SCRAM-SHA-256 keys (RFC 5802 §3, RFC 7677).
 * Pure but slow on purpose; any thread. One hash takes PASSWORD_MEMORY_KIB of memory while it runs.
 * Departs from RFC 5802 §2.2 (SASLprep) and RFC 8265: passwords are taken as the UTF-8 that was sent, without
 * normalisation; ASCII passwords are not touched by it. */
#ifndef VAULT_PASSWORD_H
#define VAULT_PASSWORD_H

#include "base/buf.h"

#define PASSWORD_MEMORY_KIB     12288 /* 12 MiB, 3 passes, 1 lane: as strong as 19 MiB with 2 (OWASP), and a quarter cheaper here */
#define PASSWORD_PASSES         3
#define PASSWORD_LANES          1
#define PASSWORD_HASH_MAX       256   /* text of a hash, with NUL */
#define SCRAM_SALT              16
#define SCRAM_KEY               32
#define SCRAM_ITERATIONS        10000 /* at least 4096: RFC 7677 §4 */

/* "$argon2id$v=19$m=..." with a new salt. RC_TEMP: no memory. */
enum rc password_hash(struct view password, char out[PASSWORD_HASH_MAX]);
/* RC_OK; RC_DENIED: does not fit; RC_CORRUPT: not a hash; RC_TEMP: no memory. */
enum rc password_verify(const char *hash, struct view password);

/* StoredKey and ServerKey. RC_TEMP: no memory. */
enum rc scram_keys(struct view password, struct view salt, uint32_t iterations, uint8_t stored[SCRAM_KEY],
                   uint8_t server[SCRAM_KEY]);
/* Does ClientProof fit? Then ServerSignature comes out. RC_DENIED; RC_TEMP. */
enum rc scram_verify(const uint8_t stored[SCRAM_KEY], const uint8_t server[SCRAM_KEY], struct view auth_message,
                     const uint8_t proof[SCRAM_KEY], uint8_t server_signature[SCRAM_KEY]);

#endif
