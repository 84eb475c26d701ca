/* message/encoded: text of header fields: encoded words read into UTF-8 and written (RFC 2047, with the
 * language tags of RFC 2231 §5). Pure but for what charset.h says; any thread. */
#ifndef MESSAGE_ENCODED_H
#define MESSAGE_ENCODED_H

#include "base/buf.h"

#define ENCODED_WORD_MAX 75 /* RFC 2047 §2, for what we write; longer ones are read */

/* Appends the value unfolded, its encoded words decoded, blanks between two of them dropped, 8-bit bytes made
 * valid UTF-8. Anything that is no encoded word stands as it is. RC_LIMIT is remembered in out. */
void encoded_decode(struct view value, struct buf *out);

/* Appends UTF-8 text for an unstructured field or a display name: ASCII without "=?" and endless words as it is, anything else
 * as encoded words parted by blanks, where header_write may fold. CR, LF and NUL become blanks. */
void encoded_write(struct view text, struct buf *out);

#endif
