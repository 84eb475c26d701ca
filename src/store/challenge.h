/* store/challenge: answers that an ACME server has to find at our HTTP port (RFC 8555 §8.3), by token, or proven in a handshake
 * at our HTTPS port (RFC 8737), by host: written by the process that orders certificates, read by the one that serves pages. Any thread. */
#ifndef STORE_CHALLENGE_H
#define STORE_CHALLENGE_H

#include "store/store.h"

#define CHALLENGE_TLS    "tls:" /* before a host, where a token would stand: in none of these is a colon */
#define CHALLENGE_KEEP_S 3600 /* what nobody took back by then goes at the next one */

enum rc challenge_put(struct store *s, struct view token, struct view answer);
/* RC_NOTFOUND: there is none. */
enum rc challenge_get(struct store *s, struct view token, struct arena *a, struct view *answer);
enum rc challenge_remove(struct store *s, struct view token);

#endif
