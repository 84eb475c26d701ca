/* vault/tls_keys: TLS keys and ACME account keys that the vault makes by itself (ECDSA P-256), with the certificate chains that
 * were issued for them, kept in vault.db (vault/vault_db.h). Private halves never leave; a key is asked for by its name
 * ("cert mx.ici.test", "account https://...") or, as TLS does, by the SHA-256 of its SubjectPublicKeyInfo.
 * Blocks on the disk. Any thread. */
#ifndef VAULT_TLS_KEYS_H
#define VAULT_TLS_KEYS_H

#include "base/buf.h"

#define TLS_KEYS_MAX      1000 /* names */
#define TLS_KEY_NAME_MAX  512
#define TLS_CHAIN_MAX     (60u << 10)

struct tls_keys;
/* As credentials_open. */
enum rc tls_keys_open(const char *path, struct tls_keys **out, const char **why);
void tls_keys_close(struct tls_keys *k); /* accepts NULL; no signature may be under way */

/* Which of a name's keys. The next one is made long before it serves, so that what is published of it (TLSA) can be. */
enum tls_key_which {
    TLS_KEY_LATEST,  /* made last; made when there is none */
    TLS_KEY_NEXT,    /* made last, and without a certificate yet; made when there is none */
    TLS_KEY_SERVING, /* has the certificate that is in use; RC_NOTFOUND where there is none */
};
/* Its SubjectPublicKeyInfo (DER) is appended; a key that is made is durable on RC_OK. RC_SYNTAX: not a name. RC_LIMIT: too many keys. */
enum rc tls_keys_public(struct tls_keys *k, struct view name, enum tls_key_which which, struct buf *public_key);
/* ECDSA over a digest of 32 bytes; DER. Nothing is made. RC_NOTFOUND. */
enum rc tls_keys_sign(struct tls_keys *k, struct view name, enum tls_key_which which, struct view digest, struct buf *signature);
/* The chain issued for one of the name's keys, which becomes the one that serves; older ones go. RC_SYNTAX: not certificates in
 * PEM, or for none of these keys. RC_NOTFOUND: no such name. */
enum rc tls_keys_install(struct tls_keys *k, struct view name, struct view pem);
/* Chain i of those that serve, by name; appended. RC_NOTFOUND beyond the last. */
enum rc tls_keys_chain(struct tls_keys *k, size_t i, struct buf *pem);
size_t tls_keys_count(struct tls_keys *k);
/* Signs for TLS, as keys_sign: by a key that serves. RC_NOTFOUND. */
enum rc tls_keys_sign_tls(struct tls_keys *k, const uint8_t key[32], struct view digest, struct buf *signature);

#endif
