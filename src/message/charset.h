/* message/charset: text in the charset that a message names, as UTF-8 (RFC 2978 names, and those that are
 * met). UTF-8, US-ASCII and the Latin-1 family are done here; the rest by the C library's iconv, which loads
 * a module from disk at its first use: a process that will be confined calls charset_preload before. No I/O
 * but that; any thread. */
#ifndef MESSAGE_CHARSET_H
#define MESSAGE_CHARSET_H

#include "base/buf.h"

#define CHARSET_NAME_MAX 64

/* Opens the charsets that mail is written in and keeps them, so that later uses need no file. */
void charset_preload(void);
/* Appends the text as valid UTF-8; what cannot be read becomes U+FFFD. "us-ascii" and the empty name with
 * 8-bit bytes are read as UTF-8 where they are that, else as windows-1252. RC_NOTFOUND: nobody knows the
 * charset, and the text was appended as if it had no name. RC_LIMIT: out is full and holds what fitted. */
enum rc charset_to_utf8(struct view charset, struct view text, struct buf *out);
/* Whether this charset is known; SEARCH answers BADCHARSET otherwise. */
bool charset_is_known(struct view charset);
/* Whether ASCII text stands as its own bytes in it, and such bytes mean nothing else: then it can be searched
 * raw. */
bool charset_is_ascii_superset(struct view charset);

#endif
