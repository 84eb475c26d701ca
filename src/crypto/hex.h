/* crypto/hex: bytes as lowercase hexadecimal digits (RFC 4648 §8 reads either case). Pure; any thread. */
#ifndef CRYPTO_HEX_H
#define CRYPTO_HEX_H

#include "base/buf.h"

void hex_encode(struct view in, struct buf *out);
/* Two digits a byte and a final NUL; out has 2 * in.n + 1 bytes. */
void hex_write(struct view in, char *out);
/* Appends. RC_SYNTAX: an odd count, or no hexadecimal digit; RC_LIMIT and RC_TEMP from the buffer. */
enum rc hex_decode(struct view in, struct buf *out);

#endif
