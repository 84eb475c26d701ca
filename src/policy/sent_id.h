/* policy/sent_id: Message-IDs of what is sent over HTTP, which prove whose they are: so that a complaint that quotes one can be believed
 * to be about a message of that account. I/O: store (a secret made once). Any thread. */
#ifndef POLICY_SENT_ID_H
#define POLICY_SENT_ID_H

#include "base/arena.h"
#include "store/store.h"

/* "RANDOM.ACCOUNT.PROOF@hostname", without <>. */
enum rc sent_id_write(struct store *s, uint64_t account, const char *hostname, struct arena *a, struct view *out);
/* Of a Message-ID with or without <>. RC_NOTFOUND: it is none of ours. */
enum rc sent_id_read(struct store *s, struct view message_id, uint64_t *account);

#endif
