/* queue/dsn: writes delivery status notifications: bounces, delay and success notices (RFC 3464 in RFC 6522's
 * multipart/report; RFC 6533 where UTF-8 is needed; RFC 3834 §5 Auto-Submitted).
 * Addresses and replies come from strangers: whatever they hold, lines end at CRLF only, none is longer than 998 bytes and no
 * field is made by them. Pure; any thread. */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "base/buf.h"

#define DSN_REPLY_MAX   1000        /* bytes of a peer's reply that are quoted */
#define DSN_HEADERS_MAX (128u << 10) /* bytes of the original's header that are returned */
#define DSN_RCPTS_MAX   1000        /* recipients of one notification */

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED }; /* RFC 3464 §2.3.3 */
struct dsn_rcpt {
    enum dsn_action action;
    struct view address;      /* Final-Recipient */
    struct view orcpt;        /* "rfc822;user@example.org" decoded, or empty */
    struct view status;       /* "5.1.1" */
    struct view reply;        /* the peer's words, or empty */
    struct view why;          /* ours, or empty */
    struct view mx;           /* host that gave the reply, or empty */
    int64_t last_attempt_ms;  /* 0: none */
    int64_t retry_until_ms;   /* DSN_DELAYED */
};
struct dsn {
    struct view hostname;     /* Reporting-MTA */
    struct view domain;       /* the author's, one of ours that signs; empty: the host name */
    struct view to;           /* the original's envelope sender */
    struct view envid;        /* decoded, or empty */
    uint64_t queue_id;
    uint64_t unique[2];       /* random: Message-ID and boundary */
    int64_t arrival_ms, now_ms;
    bool utf8;                /* write message/global-* (RFC 6533): the original was SMTPUTF8 */
    bool full;                /* return all of the original, not only its header */
    struct view original;
    const struct dsn_rcpt *rcpts;
    size_t n_rcpts;
};
/* Appends the whole message. RC_LIMIT, RC_TEMP as of the buffer. */
enum rc dsn_write(const struct dsn *d, struct buf *out);
/* The text that explains a status to people; never NULL. */
const char *dsn_advice(struct view status);

#endif
