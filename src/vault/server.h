/* vault/server: the vault's own side: answers requests (vault/wire.h) on its channels, one thread a channel.
 * Has keys and verifiers; knows no names, mail or network. At most VAULT_HASHES passwords are hashed at once, so that
 * memory stays bounded whatever comes. */
#ifndef VAULT_SERVER_H
#define VAULT_SERVER_H

#include "vault/credentials.h"
#include "vault/dkim_keys.h"
#include "vault/keys.h"
#include "vault/tls_keys.h"
#include "vault/wire.h"

#define VAULT_HASHES       2
#define VAULT_HASH_WAIT_MS 15000 /* longer in line: RC_TEMP */

struct vault_server;
/* Takes all three over, and closes them at the end. */
enum rc vault_server_new(struct credentials *c, struct keys *k, struct dkim_keys *dkim, struct tls_keys *tls,
                         struct vault_server **out);
/* A thread of its own answers until the other end closes. Owns fd. may_change: passwords and keys are made and removed for it too,
 * where others get RC_DENIED. RC_TEMP: no thread. */
enum rc vault_server_add_channel(struct vault_server *s, int fd, bool may_change);
/* Ends all channels after the request in hand, waits for their threads, frees. Accepts NULL. */
void vault_server_free(struct vault_server *s);

/* One request, as the channels do it. The answer's view is in `out`. */
void vault_server_answer(struct vault_server *s, const struct vault_request *r, struct vault_answer *a, struct buf *out);

#endif
