/* queue/route: the one decision "which hosts, which TLS level, why" for a next hop.
 * MX and address records by RFC 5321 §5.1, null MX by RFC 7505, address literals, a smarthost. DANE and MTA-STS will narrow
 * hosts and raise the level here and nowhere else.
 * DNS only; blocks until its deadline; any thread. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "queue/queue.h"
#include "smtp/client.h"

#define ROUTE_HOSTS_MAX 16 /* MX hosts that are looked at, best first */
#define ROUTE_ADDRS_MAX 16 /* addresses of one host */

enum route_verdict {
    ROUTE_OK,   /* hosts to try */
    ROUTE_FAIL, /* no mail can ever go there */
    ROUTE_TEMP, /* cannot tell now */
};
struct route_host {
    struct view name;   /* lower case, no final dot; the literal's text for an address literal */
    uint16_t preference;
    struct addr *addrs; /* with port, in the order to be tried */
    size_t n_addrs;
};
struct route {
    enum route_verdict verdict;
    struct route_host *hosts; /* in the order to be tried */
    size_t n_hosts;
    enum smtp_client_tls level;
    bool login;         /* a smarthost that wants our password */
    const char *status; /* of FAIL and TEMP: "5.1.2" */
    const char *why;    /* in words: of the verdict, and of the hosts and level chosen */
};
/* The next hop is a domain in A-labels or "[address literal]"; with a smarthost in the settings it does not matter.
 * All in the arena; RC_TEMP: no memory. */
enum rc route_decide(struct dns *dns, const struct queue_settings *set, struct view hop, int64_t deadline_ms, struct arena *a,
                     struct route *out);

#endif
