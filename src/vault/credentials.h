/* vault/credentials: the password verifiers of the accounts, kept in vault.db (vault/vault_db.h). The commands write them, the
 * vault reads them: a changed password holds from the next login on. Blocks on the disk. Any thread. */
#ifndef VAULT_CREDENTIALS_H
#define VAULT_CREDENTIALS_H

#include "vault/password.h"

struct credential {
    char hash[PASSWORD_HASH_MAX]; /* argon2id */
    uint8_t salt[SCRAM_SALT];
    uint32_t iterations;
    uint8_t stored[SCRAM_KEY], server[SCRAM_KEY];
};

struct credentials;
/* Opens DATA/vault/vault.db, made when missing. *why: static text. RC_DENIED: no right to it, or newer than this
 * program; RC_CORRUPT; RC_TEMP. */
enum rc credentials_open(const char *path, struct credentials **out, const char **why);
void credentials_close(struct credentials *c); /* accepts NULL */

/* RC_NOTFOUND: this account has no password. RC_TEMP, RC_CORRUPT. Wipe it after use. */
enum rc credentials_get(struct credentials *c, uint64_t account, struct credential *out);
/* Makes the verifiers (which takes a tenth of a second) and replaces those of the account. RC_LIMIT: longer than
 * VAULT_PASSWORD_MAX. RC_FULL, RC_TEMP. */
enum rc credentials_set(struct credentials *c, uint64_t account, struct view password);
/* With application passwords and second factors. RC_NOTFOUND: had no password. */
enum rc credentials_remove(struct credentials *c, uint64_t account);
/* 32 random bytes, the same for ever: from them come the salts told for names that do not exist. */
void credentials_secret(const struct credentials *c, uint8_t out[32]);

#endif
