/* vault/keys: the private keys of TLS certificates, and signing with them. Keys are named by the SHA-256 of their
 * SubjectPublicKeyInfo. Loaded once, read-only then: any thread. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "base/arena.h"
#include "base/buf.h"

#define KEYS_MAX      64
#define KEYS_FILE_MAX (60u << 10) /* a chain fits one message of vault/wire.h */

struct keys;
/* pairs of PEM files: certificates with their chain, private key. *why names the file and reason (in the arena, or static).
 * RC_NOTFOUND, RC_DENIED: a file; RC_SYNTAX: not PEM, or the key is not that of the certificate; RC_LIMIT: too many. */
enum rc keys_load(const char *const *certificates, const char *const *private_keys, size_t n, struct arena *a, struct keys **out,
                  const char **why);
void keys_free(struct keys *k); /* accepts NULL */

/* PEM text of chain i; RC_NOTFOUND beyond the last. Borrowed. */
enum rc keys_chain(const struct keys *k, size_t i, struct view *pem);
/* kind as enum tls_sign_kind of net/tls.h. RC_NOTFOUND: no such key. RC_SYNTAX: not for this kind of key, or input that
 * it cannot sign. RC_TEMP. */
enum rc keys_sign(const struct keys *k, const uint8_t key[32], uint32_t kind, struct view input, struct buf *signature);

#endif
