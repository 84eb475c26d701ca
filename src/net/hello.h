/* net/hello: what a client says before TLS begins: the host that it wants (SNI, RFC 6066 §3) and the protocols that it speaks
 * (ALPN, RFC 7301 §3.1), read from the bytes of its ClientHello (RFC 8446 §4.1.2, §5.1). Pure; any thread. */
#ifndef NET_HELLO_H
#define NET_HELLO_H

#include "base/view.h"

#define HELLO_MAX 8192 /* bytes of one that is read here, its records' headers among them */

struct hello {
    struct view host;      /* empty: none named */
    struct view protocols; /* for hello_protocol; empty: none named */
};
/* The first bytes of a connection; they may come in several records. *out borrows from `room`.
 * RC_TEMP: more must come first. RC_SYNTAX: no ClientHello. RC_LIMIT: too large a one. */
enum rc hello_read(struct view in, char room[HELLO_MAX], struct hello *out);
/* The next of the protocols; false: there are no more. */
bool hello_protocol(struct view *protocols, struct view *one);

/* The same of the bodies of the two extensions. Empty: malformed. */
struct view hello_host_of(struct view extension);
struct view hello_protocols_of(struct view extension);

#endif
