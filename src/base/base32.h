/* base/base32: RFC 4648 §6, as authenticator apps take secrets: upper case, without padding. Pure; any thread. */
#ifndef BASE_BASE32_H
#define BASE_BASE32_H

#include "base/buf.h"

void base32_encode(struct view in, struct buf *out);

#endif
