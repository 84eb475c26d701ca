/* app/complaints: reads feedback reports (RFC 5965) that arrive here for complaints about mail that was sent over HTTP: those that quote a
 * Message-ID of ours (policy/sent_id.h) and come from a domain that vouches for them. I/O: store. Any thread. */
#ifndef APP_COMPLAINTS_H
#define APP_COMPLAINTS_H

#include "store/store.h"

struct complaint {
    uint64_t account;
    struct view sender, recipient, type; /* of the message; type: "abuse" */
};
/* Calls `found` for each complaint in the mail `blob`. RC_TEMP, RC_NOTFOUND: the mail cannot be read (any more). */
enum rc complaints_read(struct store *s, uint64_t blob, void (*found)(void *ctx, const struct complaint *c), void *ctx);

#endif
