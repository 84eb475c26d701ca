/* message/envelope: subject and author out of the ENVELOPE that an item's row keeps (message/summary.h), for lists that
 * people read. Pure; any thread. */
#ifndef MESSAGE_ENVELOPE_H
#define MESSAGE_ENVELOPE_H

#include "base/buf.h"

#define ENVELOPE_TEXT_MAX 2000 /* bytes of a text that is shown */

/* Appends the subject, encoded words decoded, and the first author ("Name <local@domain>"), as UTF-8; what is too long is cut.
 * RC_CORRUPT: not such an envelope. */
enum rc envelope_read(struct view envelope, struct buf *subject, struct buf *from);

#endif
