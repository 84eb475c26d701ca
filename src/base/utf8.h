/* base/utf8: RFC 3629. Pure; any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* Shortest form, no surrogates, at most U+10FFFF. */
bool utf8_is_valid(struct view v);
/* The next code point, moving past it. RC_SYNTAX: not valid here (cursor unmoved). RC_NOTFOUND: at the end. */
enum rc utf8_next(struct view *in, uint32_t *cp);
void utf8_put(struct buf *b, uint32_t cp);
/* Appends v with U+FFFD for each byte that is not valid. */
void utf8_clean(struct view v, struct buf *out);

#endif
