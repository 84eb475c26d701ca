#include "vault/password.h"

#include <argon2.h>

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"

#define HASH_SALT 16
#define HASH_OUT  32

enum rc password_hash(struct view password, char out[PASSWORD_HASH_MAX])
{
    uint8_t salt[HASH_SALT];
    random_bytes(salt, sizeof salt);
    int rc = argon2id_hash_encoded(PASSWORD_PASSES, PASSWORD_MEMORY_KIB, PASSWORD_LANES, password.p, password.n, salt,
                                   sizeof salt, HASH_OUT, out, PASSWORD_HASH_MAX);
    return rc == ARGON2_OK ? RC_OK : RC_TEMP;
}

enum rc password_verify(const char *hash, struct view password)
{
    switch (argon2id_verify(hash, password.p, password.n)) {
    case ARGON2_OK: return RC_OK;
    case ARGON2_VERIFY_MISMATCH: return RC_DENIED;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
    case ARGON2_THREAD_FAIL: return RC_TEMP;
    default: return RC_CORRUPT;
    }
}

enum rc scram_keys(struct view password, struct view salt, uint32_t iterations, uint8_t stored[SCRAM_KEY],
                   uint8_t server[SCRAM_KEY])
{
    uint8_t salted[SHA256_SIZE], client[SHA256_SIZE];
    enum rc rc = pbkdf2(DIGEST_SHA256, password, salt, iterations, salted);
    if (rc == RC_OK)
        rc = hmac_sha256(view_of(salted, sizeof salted), VIEW("Client Key"), client);
    if (rc == RC_OK)
        rc = sha256(view_of(client, sizeof client), stored);
    if (rc == RC_OK)
        rc = hmac_sha256(view_of(salted, sizeof salted), VIEW("Server Key"), server);
    wipe(salted, sizeof salted);
    wipe(client, sizeof client);
    return rc;
}

enum rc scram_verify(const uint8_t stored[SCRAM_KEY], const uint8_t server[SCRAM_KEY], struct view auth_message,
                     const uint8_t proof[SCRAM_KEY], uint8_t server_signature[SCRAM_KEY])
{
    uint8_t signature[SHA256_SIZE], client[SHA256_SIZE], again[SHA256_SIZE];
    enum rc rc = hmac_sha256(view_of(stored, SCRAM_KEY), auth_message, signature);
    for (size_t i = 0; i < SCRAM_KEY; i++)
        client[i] = proof[i] ^ signature[i];
    if (rc == RC_OK)
        rc = sha256(view_of(client, sizeof client), again);
    if (rc == RC_OK && !equal_secret(view_of(again, sizeof again), view_of(stored, SCRAM_KEY)))
        rc = RC_DENIED;
    if (rc == RC_OK)
        rc = hmac_sha256(view_of(server, SCRAM_KEY), auth_message, server_signature);
    wipe(client, sizeof client);
    return rc;
}
