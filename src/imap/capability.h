/* imap/capability: what the server says it can, by what the session may do now (RFC 3501 §7.2.1).
 * IMAP4rev1, LITERAL+ (7888), SASL-IR (4959), ID (2971), ENABLE (5161), IDLE (2177), NAMESPACE (2342), UIDPLUS (4315),
 * MOVE (6851), UNSELECT (3691), CHILDREN (3348), SPECIAL-USE and CREATE-SPECIAL-USE (6154), ESEARCH (4731),
 * CONDSTORE (7162), BINARY (3516), MULTIAPPEND (3502), LIST-EXTENDED (5258), LIST-STATUS (5819), STATUS=SIZE (8438). */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "imap/session.h"

/* Appends "CAPABILITY IMAP4rev1 ...". */
void imap_capability_write(struct imap_session *s, struct buf *out);

/* Whether passwords may be said on this connection: by TLS, or where the settings trust it (RFC 3501 §6.2.3). */
bool imap_may_login(struct imap_session *s);

#endif
