/* policy/dkim_pair: new DKIM keys for one of our domains: one of each kind (RSA-2048, Ed25519) under selectors of this month that
 * were never used: "r202611a" and "e202611a". The private halves are made by whoever may (the vault, by one way or another); the
 * public ones go into the directory. Blocks on the disk. Any thread. */
#ifndef POLICY_DKIM_PAIR_H
#define POLICY_DKIM_PAIR_H

#include "base/buf.h"
#include "store/directory_dkim.h"

/* As dkim_keys_make: `kind` is enum pkey_kind's value; the public key is appended. RC_EXISTS: the selector is taken. */
typedef enum rc (*dkim_pair_fn)(void *ctx, struct view domain, struct view selector, int kind, struct buf *public_key);

/* state: DKIM_KEY_NEXT or DKIM_KEY_ACTIVE. RC_NOTFOUND: not our domain. RC_SYNTAX: no domain. RC_EXISTS: there are next keys already. */
enum rc dkim_pair_make(struct store *s, struct view domain, enum dkim_key_state state, dkim_pair_fn make, void *ctx, struct arena *a);

#endif
