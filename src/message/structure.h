/* message/structure: writes ENVELOPE and BODYSTRUCTURE (RFC 3501 §7.4.2) for summary.h, which is what others
 * use. Pure: no I/O, no globals, any thread. */
#ifndef MESSAGE_STRUCTURE_H
#define MESSAGE_STRUCTURE_H

#include "message/mime.h"

#define STRUCTURE_LEAN_STRING 32 /* bytes that lean strings are cut to */

/* The first field of each name that an envelope or a thread asks for; p is NULL where there is none. */
struct structure_header {
    struct view date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id, references;
};

/* Reads a message's header in one pass. */
void structure_header_read(struct view header, struct structure_header *out);
/* Appends the envelope. Lean: short strings and no addresses, a few hundred bytes at most. Failures in out.
 */
void structure_write_envelope(const struct structure_header *h, bool lean, struct buf *out);
/* Appends the structure of a part with its extension data. Lean: without parameters and other texts. */
void structure_write_body(struct view message, const struct mime_part *part, bool lean, struct buf *out);

#endif
