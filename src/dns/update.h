/* dns/update: publishes records at a DNS server by dynamic update (RFC 2136) with a shared key (TSIG, RFC 8945), by libldns. What is
 * there already is read from that server first, and only what differs is changed. Network I/O by TCP; blocks for a few
 * times the timeout; any thread. */
#ifndef DNS_UPDATE_H
#define DNS_UPDATE_H

#include "base/arena.h"
#include "net/addr.h"

#define DNS_UPDATE_SETS_MAX   100
#define DNS_UPDATE_VALUES_MAX 50
#define DNS_UPDATE_TIMEOUT_MS 10000 /* of one question */

struct dns_update_server {
    struct addr addr;
    const char *key_name;  /* NULL: unsigned */
    const char *algorithm; /* "hmac-sha256" */
    const char *secret;    /* base64 */
    unsigned ttl_s;        /* of records that are added */
};
enum dns_update_rule {
    DNS_UPDATE_OURS,   /* nobody else has a say here: others of that purpose go */
    DNS_UPDATE_GENTLE, /* added where there is nothing of the kind; else left as it is */
};
enum dns_update_outcome {
    DNS_UPDATE_SAME,    /* just so already */
    DNS_UPDATE_CHANGED,
    DNS_UPDATE_KEPT,    /* there is something else, which stays */
};
const char *dns_update_outcome_name(enum dns_update_outcome outcome); /* "same", "changed", "kept" */
/* All records of one name and type for one purpose. */
struct dns_update_set {
    const char *name;    /* with the final dot */
    const char *type;
    const char *purpose; /* of TXT: how those of the purpose begin ("v=spf1"); "": all of them */
    const char *values[DNS_UPDATE_VALUES_MAX]; /* as in a zone file; none with OURS: what is there goes */
    size_t n;
    enum dns_update_rule rule;
    enum dns_update_outcome outcome; /* out */
    struct view found;               /* out: of KEPT, the first that stands there */
};
/* *why in words, for all but RC_OK. RC_DENIED: the server refuses (key, zone, rights). RC_SYNTAX: a record is not one, or not in
 * the zone. RC_TEMP: no answer, or the server fails: try again. */
enum rc dns_update_apply(const struct dns_update_server *server, const char *zone, struct dns_update_set *sets, size_t n, struct arena *a,
                         const char **why);

#endif
