/* app/signing: the mta's side of DKIM keys: the signer (policy/signer.h) with the vault's hand, and a thread that carries
 * rotations on: it looks whether the DNS shows the next keys, switches to them, and lets retired ones go after the time that
 * the queue keeps a message. Blocks nobody: the thread alone asks DNS, store and vault. */
#ifndef APP_SIGNING_H
#define APP_SIGNING_H

#include "dns/dns.h"
#include "policy/signer.h"
#include "vault/vault.h"

#define SIGNING_LOOK_MS   (2 * 60 * 1000) /* between looks at the DNS; a name that is not there yet is kept in caches */
#define SIGNING_ANSWER_MS 5000            /* for one look-up */

/* A dkim_sign_fn; ctx is struct vault *. */
enum rc signing_by_vault(void *vault, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                         struct buf *signature);

struct signing;
/* keep_ms: how long retired keys stay published and kept (queue.expire). All else is borrowed. RC_TEMP. */
enum rc signing_new(struct vault *vault, struct store *store, struct dns *dns, int64_t keep_ms, struct signing **out);
/* Waits for the look-up under way. Accepts NULL. */
void signing_free(struct signing *s);
struct signer *signing_signer(struct signing *s);
void signing_set_keep(struct signing *s, int64_t keep_ms);
/* Keys have changed in the store; `look`: the DNS is asked now, even soon after the last time. */
void signing_wake(struct signing *s, bool look);

#endif
