/* queue/route's parts among themselves. */
#ifndef QUEUE_ROUTE_IMPL_H
#define QUEUE_ROUTE_IMPL_H

#include "queue/route.h"

struct routing {
    const struct route_ask *ask;
    const struct queue_settings *set;
    const struct queue_destination *own; /* what the operator says of this hop, or NULL */
    struct arena *a;
    struct route *out;
    bool mx_secure;             /* DNSSEC proves which hosts these are */
    bool mx_direct;             /* there is no MX record: the domain is its own host */
    struct view mx_canonical;   /* where the hop's alias led; empty: it is none */
    struct sts_answer sts;
};

/* Before the hosts: what the operator and MTA-STS say of the hop. RC_TEMP: nothing can be told; *out says so. */
enum rc route_tls_begin(struct routing *r);
/* What this host must have, from `addrs`, its address lookup. RC_TEMP: no memory. */
enum rc route_tls_host(struct routing *r, struct route_host *host, const struct dns_answer *addrs);

#endif
