/* smtp/received: the Received field that each message gets from us (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3)
 * and the Return-Path line in front of it. Pure; any thread. */
#ifndef SMTP_RECEIVED_H
#define SMTP_RECEIVED_H

#include "base/buf.h"
#include "net/tls.h"

#define SMTP_RECEIVED_MAX 2048 /* bytes of both lines */

struct smtp_received {
    struct view helo;           /* as the client gave it: odd bytes are replaced */
    const char *peer;           /* its address */
    const char *hostname;       /* ours */
    const struct tls_info *tls; /* NULL: plain */
    bool esmtp, login, utf8;
    struct view id; /* of session and transaction, as in the log */
    struct view
        recipient; /* only where there is exactly one (it would tell blind copies otherwise); else empty */
    int64_t now_s;
    unsigned indent; /* blanks before the date, where the length matters */
};
/* Appends "Received: ...\r\n". */
void smtp_received_write(const struct smtp_received *r, struct buf *out);
/* Appends "Return-Path: <sender>\r\n" (RFC 5321 §4.4). */
void smtp_return_path_write(struct view sender, struct buf *out);

#endif
