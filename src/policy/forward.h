/* policy/forward: the envelope of mail that an alias sends on to a foreign address, and the way back of its bounces
 * (policy/srs.h with the store's domains and secret). I/O: store. Any thread. */
#ifndef POLICY_FORWARD_H
#define POLICY_FORWARD_H

#include "policy/srs.h"
#include "store/store.h"

#define FORWARD_STEPS_MAX 2 /* an SRS1 of ours that leads to an SRS0 of ours: by another forwarder and back to us */

/* The envelope sender for a foreign target of the alias `rcpt` ("local@domain", or without a domain of ours: our first domain is
 * taken). Empty: `sender` stays as it is: null, of one of our domains, or not to be rewritten (a literal, or too long). RC_TEMP,
 * RC_CORRUPT. */
enum rc forward_sender(struct store *s, struct view sender, struct view rcpt, int64_t now_s, struct arena *a, struct view *out);

/* The domain that speaks then, in A-labels. RC_NOTFOUND: we have none. RC_TEMP, RC_CORRUPT. */
enum rc forward_domain(struct store *s, struct view rcpt, struct arena *a, struct view *out);

/* Whom a bounce to `address`, of one of our domains, is for: a foreign address, or one of ours that is no SRS address.
 * RC_NOTFOUND: it is none. RC_DENIED: it is not from our hand. RC_TIMEOUT: from long ago. RC_LIMIT: it leads to itself.
 * RC_TEMP, RC_CORRUPT. */
enum rc forward_back(struct store *s, struct view address, int64_t now_s, struct arena *a, struct view *out);

#endif
