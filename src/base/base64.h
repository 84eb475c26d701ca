/* base/base64: RFC 4648 §4 and §5. Pure; any thread. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Strict, as SASL wants it: padding required, no other byte. RC_SYNTAX otherwise; appends to out. */
enum rc base64_decode(struct view in, struct buf *out);
/* As MIME wants it (RFC 2045 §6.8): foreign bytes skipped, ends at padding, never fails on input. */
void base64_decode_mime(struct view in, struct buf *out);
void base64_encode(struct view in, struct buf *out);
/* The alphabet of URLs, without padding (RFC 4648 §5, RFC 7515 §2). */
void base64_encode_url(struct view in, struct buf *out);
/* RC_SYNTAX: another byte, padding, or a length that cannot be. */
enum rc base64_decode_url(struct view in, struct buf *out);
/* With CRLF after each 76 characters and at the end. */
void base64_encode_mime(struct view in, struct buf *out);

#endif
