/* smtp/path: the <path> of MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3), domains and address literals.
 * Pure: no I/O, no globals, any thread. Input is hostile and may hold any byte.
 * Whether the mailbox exists, and who may mail there, is for store/ and the session to say. */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include "base/buf.h"

#define SMTP_PATH_MAX   256 /* RFC 5321 §4.5.3.1.3, brackets included */
/* More than the 64 octets of RFC 5321 §4.5.3.1.1, which are what all must take: forwarders' return addresses (SRS, and mailing
 * lists') hold a whole address in theirs. */
#define SMTP_LOCAL_MAX  250
#define SMTP_DOMAIN_MAX 255 /* RFC 5321 §4.5.3.1.2 */
#define SMTP_LABEL_MAX  63  /* RFC 1035 §2.3.4 */

struct smtp_path {
    struct view local;  /* as sent, quotes and all; empty for "<>" */
    struct view domain; /* as sent; "[...]" for an address literal; empty for "<>" and "<postmaster>" */
    bool is_utf8;       /* has a byte above 127: only with SMTPUTF8 */
};

/* Reads a path at the front of *in and moves *in past it. *out borrows the bytes of *in. A source route in
 * front of the mailbox is read and dropped (RFC 5321 §4.1.1.3 and appendix C). "<>" and "<postmaster>" are
 * paths here. RC_SYNTAX: not a path. RC_LIMIT: longer than SMTP_PATH_MAX, or a part longer than its own
 * limit. On failure *in does not move. */
enum rc smtp_path_parse(struct view *in, struct smtp_path *out);
static inline bool smtp_path_is_null(const struct smtp_path *p)
{
    return p->local.n == 0;
}
bool smtp_path_is_literal(const struct smtp_path *p);

/* Appends "local@domain" (or "local" alone where there is no domain), quotes only where RFC 5321 §4.1.2 needs
 * them:
 * "\"user\"@ici.test" and "user@ici.test" are one mailbox. */
void smtp_path_write(const struct smtp_path *p, struct buf *out);

/* Reads domain or address literal at the front. Same errors. */
enum rc smtp_domain_parse(struct view *in, struct view *out);
/* Reads a local part at the front: dot-string or quoted string. Same errors. */
enum rc smtp_local_parse(struct view *in, struct view *out);

#endif
