/* imap/mutf7: mailbox names on the wire, modified UTF-7 (RFC 3501 §5.1.3), to and from UTF-8.
 * Pure: no I/O, no globals, any thread. Input is hostile and may hold any byte. */
#ifndef IMAP_MUTF7_H
#define IMAP_MUTF7_H

#include "base/buf.h"

/* Appends the UTF-8 of a name. RC_SYNTAX: not what an encoder writes (bytes from outside printable ASCII, bad BASE64,
 * lone surrogates, encoded characters that stand for themselves, superfluous shifts), so that each name has one
 * spelling. RC_LIMIT, RC_TEMP from out. What was appended before a failure stays. */
enum rc imap_mutf7_decode(struct view in, struct buf *out);
/* Appends the modified UTF-7 of a UTF-8 text. RC_SYNTAX: not UTF-8. */
enum rc imap_mutf7_encode(struct view in, struct buf *out);

#endif
