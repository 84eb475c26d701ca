/* policy/signer: what leaves in the name of our domains is signed: by the domain's active keys, whose public halves the store
 * lists and whose private ones the vault uses. Keeps the list of keys in memory (SIGNER_FRESH_MS). Blocks on vault and
 * store; any thread. */
#ifndef POLICY_SIGNER_H
#define POLICY_SIGNER_H

#include "mailauth/arc.h"
#include "mailauth/dkim_sign.h"
#include "store/store.h"

#define SIGNER_FRESH_MS 5000 /* a key that was switched is used everywhere after so long */

struct signer;
/* sign, ctx: the vault's hand. RC_TEMP. */
enum rc signer_new(struct store *store, dkim_sign_fn sign, void *ctx, struct signer **out);
void signer_free(struct signer *s); /* accepts NULL */
/* Forget what is remembered: keys have changed. */
void signer_refresh(struct signer *s);

/* Appends a DKIM-Signature a key of the From header's domain, to go above `header`. `body` has hashed what dkim_sign_want()
 * asked for as `slot`. RC_NOTFOUND: no domain of ours is in From, or it has no key: nothing to sign with, the message may go
 * as it is. RC_LIMIT: the header is larger than what is signed. RC_TEMP: try again later. */
enum rc signer_sign(struct signer *s, struct view header, const struct dkim_body *body, size_t slot, struct buf *out);
/* The same for a message that is in memory: signatures alone are appended. */
enum rc signer_sign_message(struct signer *s, struct view message, struct buf *out);
/* Appends the fields of a new ARC set in the name of `domain` (ours). As arc_seal; RC_NOTFOUND: it has no key. */
enum rc signer_seal(struct signer *s, struct view domain, struct view authserv_id, struct view header,
                    const struct dkim_body *body, size_t slot, struct view results, const struct arc_verdict *found,
                    struct buf *out);

#endif
