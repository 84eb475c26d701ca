/* vault/dkim_keys: the private keys that our domains sign mail with (RFC 6376, RFC 8463), kept in vault.db (vault/vault_db.h). The
 * commands make them as the vault's user, the vault signs with them; public halves alone come out. A key is found
 * at its first use, so that new ones need no restart, and kept decoded, DKIM_KEYS_CACHED at most. Domains and selectors are
 * those of the DNS: A-labels, lower case. Blocks on the disk. Any thread. */
#ifndef VAULT_DKIM_KEYS_H
#define VAULT_DKIM_KEYS_H

#include "base/buf.h"
#include "crypto/pkey.h"

#define DKIM_KEYS_RSA_BITS 2048 /* RFC 8301 §3.2; larger ones do not fit the answers of many name servers */
#define DKIM_KEYS_CACHED   256
#define DKIM_KEY_NAME_MAX  512  /* domain and selector */

struct dkim_keys;
/* As credentials_open. */
enum rc dkim_keys_open(const char *path, struct dkim_keys **out, const char **why);
void dkim_keys_close(struct dkim_keys *k); /* accepts NULL; no signature may be under way */

/* A new key, durable on RC_OK; its public half is appended as pkey_public reads it. RC_EXISTS: the selector is taken. RC_SYNTAX:
 * not names of the DNS. RC_FULL, RC_TEMP. */
enum rc dkim_keys_make(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind,
                       struct buf *public_key);
/* As pkey_sign. RC_NOTFOUND: there is no such key of that kind. */
enum rc dkim_keys_sign(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind, struct view digest,
                       struct buf *signature);
/* One goes for ever. RC_NOTFOUND. RC_DENIED: it is the newest of its domain and kind. */
enum rc dkim_keys_forget(struct dkim_keys *k, struct view domain, struct view selector);
/* All of a domain that is no longer ours. RC_NOTFOUND: it had none. */
enum rc dkim_keys_remove_domain(struct dkim_keys *k, struct view domain);

#endif
