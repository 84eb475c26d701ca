/* queue/route: the one decision "which hosts, which TLS, whose names, whose trust, and why" for a next hop.
 * MX and address records by RFC 5321 §5.1, null MX by RFC 7505, address literals, a smarthost. What TLS a host must have
 * (queue/route_tls.c): the operator's word first, then DANE (RFC 7672), then MTA-STS (RFC 8461), else TLS where offered (RFC 7435).
 * REQUIRETLS raises and TLS-Required: No lowers what is asked (RFC 8689).
 * DNS, and HTTPS for MTA-STS; blocks until its deadline; any thread. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "policy/sts_cache.h"
#include "queue/queue.h"
#include "smtp/client.h"
#include "store/tlsrpt.h"

#define ROUTE_HOSTS_MAX 16 /* MX hosts that are looked at, best first */
#define ROUTE_ADDRS_MAX 16 /* addresses of one host */

enum route_verdict {
    ROUTE_OK,   /* hosts to try */
    ROUTE_FAIL, /* no mail can ever go there */
    ROUTE_TEMP, /* cannot tell now */
};
/* What the message asks for (RFC 8689). */
enum route_wish { ROUTE_AS_PUBLISHED, ROUTE_TLS_REQUIRED, ROUTE_TLS_OPTIONAL };
/* A policy as TLS-RPT names it. */
struct route_policy {
    enum tlsrpt_type type;
    struct view text, mx; /* an element a line; mx of TLSA: the base domain */
};
struct route_host {
    struct view name;   /* lower case, no final dot; the literal's text for an address literal */
    uint16_t preference;
    struct addr *addrs; /* with port, in the order to be tried */
    size_t n_addrs;
    enum smtp_client_tls level;
    struct smtp_client_proof proof;
    struct route_policy policy;
    const char *why;    /* the level, in words */
    /* Set: nothing may go there, and why; or (only_told) MTA-STS in testing mode would say so. */
    const char *barred;
    const char *barred_status;
    bool only_told;
    enum tlsrpt_result barred_result; /* TLSRPT_SUCCESS: nothing to report */
};
struct route {
    enum route_verdict verdict;
    struct route_host *hosts; /* in the order to be tried, barred ones among them */
    size_t n_hosts;
    bool login;         /* a smarthost that wants our password */
    bool reported;      /* TLS-RPT wants to know what comes of it */
    /* A policy that the domain announces and that could not be had: TLSRPT_SUCCESS: no such thing. */
    enum tlsrpt_result sts_fault;
    const char *sts_why;
    struct route_policy sts_policy; /* the older one that is in force meanwhile, if any */
    const char *status; /* of FAIL and TEMP: "5.1.2" */
    const char *why;    /* in words: of the verdict, or of the hosts chosen */
};
struct route_ask {
    struct dns *dns;
    const struct queue_settings *set; /* sts there NULL: without MTA-STS */
    struct view hop; /* a domain in A-labels or "[address literal]"; with a smarthost in the settings it does not matter */
    enum route_wish wish;
    int64_t deadline_ms;
};
/* All in the arena; RC_TEMP: no memory. */
enum rc route_decide(const struct route_ask *ask, struct arena *a, struct route *out);

#endif
