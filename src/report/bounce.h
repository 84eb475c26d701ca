/* report/bounce: the envelope senders of reports: our address with a tag that only whoever got the mail can know, so that a bounce which comes
 * back later tells who bounced: "postmaster+bounce-0123456789abcdef@ours". Pure; any thread. */
#ifndef REPORT_BOUNCE_H
#define REPORT_BOUNCE_H

#include "base/arena.h"

#define BOUNCE_KEY_SIZE 32
#define BOUNCE_TAG      16 /* hexadecimal digits */

/* The tag of a destination, NUL-ended. RC_TEMP. */
enum rc bounce_tag(const uint8_t key[BOUNCE_KEY_SIZE], struct view address, char tag[BOUNCE_TAG + 1]);
/* The sender of mail to it; `from` itself where a tag would make it too long. RC_TEMP. */
enum rc bounce_sender(const uint8_t key[BOUNCE_KEY_SIZE], struct view from, struct view address, struct arena *a, struct view *out);
/* Whether this is a notification about undelivered mail (RFC 3464) to such an address; then *tag. */
bool bounce_is(struct view header, struct view rcpt, struct view *tag);

#endif
