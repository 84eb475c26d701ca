/* vault: the client's side of the process that alone holds private keys and password verifiers.
 * Each call is one request and one answer on one of a few SEQPACKET channels; it blocks for at most VAULT_TIMEOUT_MS.
 * Any thread. RC_TEMP: the vault does not answer (it restarts): say "try again later" (454 4.7.0), never "wrong password". */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/arena.h"
#include "base/buf.h"
#include "vault/app_passwords.h"
#include "vault/second_factor.h"
#include "vault/tls_keys.h"

#define VAULT_TIMEOUT_MS 20000
#define VAULT_PASSWORD_MAX 1024 /* longer ones are refused */

struct vault;
/* Channels (connected SEQPACKET sockets) come from the parent; more may be added later, dead ones are dropped. */
enum rc vault_new(struct vault **out);
enum rc vault_add_channel(struct vault *v, int fd); /* owns fd */
/* The vault is being replaced: no further request takes the channels there are, but for signatures of handshakes with keys that
 * the new one does not have, as long as the old one lives; answers under way still come. */
void vault_retire_channels(struct vault *v);
void vault_free(struct vault *v);

/* --- passwords --- */
/* The vault counts failures by (peer address) and by (account, peer address); it slows answers, then refuses for a
 * while, so that guessing is dear and the real owner is not locked out from elsewhere.
 * account 0 (unknown name) costs the same time and is always denied.
 * RC_OK; RC_DENIED: wrong; RC_LIMIT: too many failures from there, not even looked at. */
struct vault_login {
    uint64_t account;
    uint32_t name_hash; /* account 0: of the name that was tried, so that counts do not tell which names exist */
    uint8_t peer[16];   /* addr_rate_key */
    uint32_t *delay_ms; /* NULL: a wrong answer comes late. Else it comes at once, and is to be held back so long by who asked */
};
enum rc vault_check_password(struct vault *v, const struct vault_login *who, struct view password);
/* The same for mail clients, whose password may also be an application password; *out: which it was. */
enum rc vault_check_login(struct vault *v, const struct vault_login *who, struct view password, struct vault_match *out);

/* SCRAM-SHA-256 (RFC 5802, 7677). Start: salt and iteration count of the account, or stable fake ones for account 0 /
 * without verifier, derived from `name`. Finish: does ClientProof fit AuthMessage? Gives ServerSignature (32 bytes), and which password it was. */
enum rc vault_scram_start(struct vault *v, const struct vault_login *who, struct view name, struct buf *salt,
                          uint32_t *iterations);
enum rc vault_scram_finish(struct vault *v, const struct vault_login *who, struct view auth_message, const uint8_t proof[32],
                           uint8_t server_signature[32], struct vault_match *out);

/* --- application passwords: as app_passwords_make and app_passwords_remove --- */
enum rc vault_app_password_make(struct vault *v, uint64_t account, enum vault_scope scope, struct buf *text, uint64_t *id);
enum rc vault_app_password_remove(struct vault *v, uint64_t account, uint64_t id);

/* An account's own password: set (RC_LIMIT: too long) and removed (RC_NOTFOUND: had none). These and all that makes or removes
 * passwords and keys: RC_DENIED on channels that may not (vault/server.h). */
enum rc vault_password_set(struct vault *v, uint64_t account, struct view password);
enum rc vault_password_remove(struct vault *v, uint64_t account);

/* --- second factors: as those of vault/second_factor.h; failures of checks are counted as for passwords, apart from them --- */
enum rc vault_second_factor(struct vault *v, uint64_t account, struct second_factor *out);
enum rc vault_second_factor_check(struct vault *v, const struct vault_login *who, struct view code, bool *recovery);
enum rc vault_totp_begin(struct vault *v, uint64_t account, struct buf *secret);
enum rc vault_totp_confirm(struct vault *v, uint64_t account, struct view code);
enum rc vault_totp_remove(struct vault *v, uint64_t account, bool recovery_too);
enum rc vault_recovery_make(struct vault *v, uint64_t account, struct buf *codes);

/* --- keys --- */
/* Matches tls_sign_fn of net/tls.h, ctx = struct vault *; kind is enum tls_sign_kind's value. */
enum rc vault_tls_sign(void *vault, const uint8_t key[32], int kind, struct view input, struct buf *signature);
/* PEM of all certificate chains configured (the vault reads them beside the keys), each NUL-ended, in the arena;
 * NULL-ended list. For tls_server_settings.chain_pem. */
enum rc vault_tls_chains(struct vault *v, struct arena *a, const char *const **out);

/* Signs a digest of 32 bytes with the DKIM key of selector._domainkey.domain (A-labels, lower case), whose kind is
 * enum pkey_kind's value; appends the raw signature, as pkey_sign has it. RC_NOTFOUND: no such key of that kind. */
enum rc vault_dkim_sign(struct vault *v, struct view domain, struct view selector, int kind, struct view digest,
                        struct buf *signature);
/* As dkim_keys_make and dkim_keys_remove_domain. */
enum rc vault_dkim_make(struct vault *v, struct view domain, struct view selector, int kind, struct buf *public_key);
enum rc vault_dkim_leave(struct vault *v, struct view domain);
/* A retired key goes for ever. RC_NOTFOUND: there is none. RC_DENIED: the newest of its kind stays, whoever asks. */
enum rc vault_dkim_forget(struct vault *v, struct view domain, struct view selector);

/* Keys that the vault makes for ACME and for the certificates that it gets (vault/tls_keys.h has what they mean). */
enum rc vault_key_public(struct vault *v, struct view name, enum tls_key_which which, struct buf *public_key);
enum rc vault_key_sign(struct vault *v, struct view name, enum tls_key_which which, struct view digest, struct buf *signature);
enum rc vault_key_install(struct vault *v, struct view name, struct view pem);

#endif
