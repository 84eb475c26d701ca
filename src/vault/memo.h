/* vault/memo: passwords that were right a while ago, so that a client that logs in for every message costs one argon2id
 * hash in MEMO_MS and not each time. Kept is only HMAC-SHA-256 under a random key of this process over account, verifier
 * and password: a changed password misses, and memory gives nothing away that outlives the process.
 * Fixed memory. Time is handed in. Not thread-safe: the caller locks. */
#ifndef VAULT_MEMO_H
#define VAULT_MEMO_H

#include "base/view.h"

#define MEMO_MS (5 * 60 * 1000)

struct memo;
enum rc memo_new(struct memo **out); /* RC_TEMP: no memory */
void memo_free(struct memo *m);      /* accepts NULL; wipes */
bool memo_has(const struct memo *m, int64_t now_ms, uint64_t account, const char *hash, struct view password);
void memo_add(struct memo *m, int64_t now_ms, uint64_t account, const char *hash, struct view password);

#endif
