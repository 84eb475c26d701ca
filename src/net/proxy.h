/* net/proxy: the header by which a load balancer tells whom it speaks for, versions 1 and 2 of the PROXY
 * protocol (haproxy.org, doc/proxy-protocol.txt). Pure: no I/O, any thread. Who may send one is for net/pool
 * to say. */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "net/addr.h"

#define PROXY_V1_MAX 107  /* CRLF included, as the specification says */
#define PROXY_MAX    2048 /* a version 2 header with its extensions */

enum proxy_state {
    PROXY_MORE, /* all bytes given belong to a header that has not ended */
    PROXY_DONE,
    PROXY_BAD, /* no header, or a broken one */
};
struct proxy_header {
    bool known; /* false: LOCAL, UNKNOWN or no IP: the connection speaks for itself */
    struct addr from, to;
};

/* Reads a header at the front of `in`. *used: how long it is, when done. */
enum proxy_state proxy_parse(struct view in, struct proxy_header *out, size_t *used);

#endif
