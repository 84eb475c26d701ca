/* policy/dane: which TLSA records speak for a mail host, and what they ask of its TLS (RFC 6698, 7671, 7672). DNS only; blocks
 * until its deadline; any thread. That a chain fits the records is seen by net/tls.h (OpenSSL's own DANE).
 *
 * Only answers that DNSSEC proves count. An answer that cannot be had or does not hold (DANE_TEMP) makes the host one that
 * must not be used now: it never leads to delivery without TLS (RFC 7672 §2.1.2). Usages 0 and 1 are unusable here (§3.1.3). */
#ifndef POLICY_DANE_H
#define POLICY_DANE_H

#include "dns/dns.h"
#include "net/tls.h"

enum dane_verdict {
    DANE_NONE,     /* the host has no such policy */
    DANE_USABLE,   /* TLS, with a certificate that fits one of the records */
    DANE_UNUSABLE, /* records, none of which we can use: TLS with whatever certificate (RFC 7672 §2.2) */
    DANE_TEMP,     /* cannot tell */
};
struct dane {
    enum dane_verdict verdict;
    struct view base;           /* TLSA base domain: name for SNI, and first name for the certificate */
    struct tls_record *records; /* usable ones */
    size_t n;
    struct view *texts;         /* all records in presentation form, for reports (RFC 8460 §4.5) */
    size_t n_texts;
    bool bogus;                 /* of DANE_TEMP: DNSSEC does not hold */
    const char *why;            /* of DANE_TEMP */
};
/* Of the host `name` at `port`, whose address lookup gave `addrs`. All in the arena. RC_TEMP: no memory. */
enum rc dane_look_up(struct dns *dns, struct view name, unsigned port, const struct dns_answer *addrs, int64_t deadline_ms,
                     struct arena *a, struct dane *out);
bool dane_is_usable(const struct tls_record *r);

#endif
