/* vault/app_passwords: passwords that the vault makes up for one program each (a phone, a printer), with a scope, kept in vault.db
 * beside the account's own (vault/credentials.h). They are 100 random bits, which nobody guesses however fast they are
 * tried: so what is kept is HMAC-SHA-256 under a salt and not argon2id, whose slowness is there for passwords that people think
 * up; a client that logs in for each message then costs next to nothing. SCRAM works with them too: all passwords of an account
 * share its SCRAM salt, so that a proof can be tried against each.
 * Blocks on the disk. Any thread. */
#ifndef VAULT_APP_PASSWORDS_H
#define VAULT_APP_PASSWORDS_H

#include "vault/credentials.h"

#define APP_PASSWORDS_MAX 100 /* an account */
#define APP_PASSWORD_TEXT 23  /* "abcde-fghij-klmno-pqrst": a letter or 2 to 7 is five bits */

enum vault_scope { VAULT_SCOPE_ALL, VAULT_SCOPE_READ, VAULT_SCOPE_SEND };
struct vault_match {      /* which of an account's passwords fitted */
    uint64_t app_password; /* 0: the account's own */
    enum vault_scope scope;
    bool second_factor;    /* the account has one: its own password is not enough */
};

/* A new one, shown here and never again; durable on RC_OK. RC_NOTFOUND: the account has no password of its own. RC_LIMIT:
 * APP_PASSWORDS_MAX. RC_FULL, RC_TEMP. */
enum rc app_passwords_make(struct credentials *c, uint64_t account, enum vault_scope scope, char text[APP_PASSWORD_TEXT + 1],
                           uint64_t *id);
/* RC_NOTFOUND: the account has no such. */
enum rc app_passwords_remove(struct credentials *c, uint64_t account, uint64_t id);
/* Is it one of the account's? As shown, or without hyphens, or with spaces, in any case of letters. RC_DENIED: none fits. RC_TEMP. */
enum rc app_passwords_find(struct credentials *c, uint64_t account, struct view password, struct vault_match *out);
/* The same for a SCRAM proof, as scram_verify. */
enum rc app_passwords_find_scram(struct credentials *c, uint64_t account, struct view auth_message, const uint8_t proof[SCRAM_KEY],
                                 uint8_t server_signature[SCRAM_KEY], struct vault_match *out);

#endif
