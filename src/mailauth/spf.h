/* mailauth/spf: may this address send for this domain (RFC 7208): check_host() with all mechanisms, modifiers and
 * macros, for the MAIL FROM and the HELO identity. A resolver and the connection's facts in; a verdict with its reasons
 * out. No sockets of its own, no store; blocks on the resolver at most until the deadline. Any thread.
 * What to do about a result is policy's to say. Received-SPF is not written (mailauth/authres writes
 * Authentication-Results). */
#ifndef MAILAUTH_SPF_H
#define MAILAUTH_SPF_H

#include "dns/dns.h"

#define SPF_LOOKUPS_MAX     10    /* terms that ask the DNS (RFC 7208 §4.6.4) */
#define SPF_VOIDS_MAX       2     /* of them, those that find nothing (§4.6.4) */
#define SPF_NAMES_MAX       10    /* hosts of one mx (more: permerror) and names of an address (more: not looked at) */
#define SPF_TIME_MS         20000 /* one check takes no longer, whatever its deadline says (§4.6.4) */
#define SPF_VALUE_MAX       1024  /* bytes of HELO name and sender that are looked at; longer ones give "none" */
#define SPF_EXPANSION_MAX   8192  /* bytes that a domain-spec may expand to before it is cut to a name (§7.3) */
#define SPF_EXPLANATION_MAX 500   /* bytes of an explanation; the rest is cut (§6.2) */
#define SPF_STEPS_MAX       100   /* steps told */
#define SPF_SCRATCH_MAX     (8u << 20) /* memory for answers during one check; past it: temperror */

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };
enum spf_identity { SPF_MAILFROM, SPF_HELO };
/* "pass", "permerror", ... as RFC 8601 §2.7.2 writes them. */
const char *spf_result_name(enum spf_result result);
/* "mailfrom", "helo". */
const char *spf_identity_name(enum spf_identity identity);

struct spf_facts {
    struct addr ip;        /* of the client; IPv4 mapped into IPv6 counts as IPv4 (§5) */
    struct view helo;      /* as sent */
    struct view mail_from; /* "local@domain" as sent, without the brackets; empty for the null path */
    struct view receiver;  /* our host name, for %{r}; empty: "unknown" */
    int64_t now_s;         /* seconds since 1970, for %{t} */
};

struct spf_step {
    struct spf_step *next;
    unsigned depth;      /* of include and redirect */
    struct view domain;  /* whose record */
    struct view term;    /* as written; empty for what concerns the whole record */
    struct view outcome; /* in words */
};

/* Views are in the caller's arena and hold visible ASCII and spaces only. */
struct spf_verdict {
    enum spf_result result;
    enum spf_identity identity; /* SPF_HELO where the reverse-path was null (§2.4) or the HELO was asked about */
    struct view domain;         /* that was asked about, as A-labels; empty where there is none to ask about */
    struct view mechanism;      /* the term that decided, as written; empty where none did */
    struct view source;         /* whose record that term is in, after redirects */
    struct view explanation;    /* the domain's own words on a fail (§6.2): a third party's text; mostly empty */
    struct view reason;         /* ours, one sentence */
    unsigned lookups, voids;
    struct spf_step *steps;     /* in order */
};

/* The MAIL FROM identity; with a null reverse-path postmaster at the HELO name (§2.4). Without memory: temperror. */
void spf_check(struct dns *dns, const struct spf_facts *facts, int64_t deadline_ms, struct arena *a, struct spf_verdict *out);
/* The HELO identity (§2.3). */
void spf_check_helo(struct dns *dns, const struct spf_facts *facts, int64_t deadline_ms, struct arena *a, struct spf_verdict *out);

/* Whether a TXT record is an SPF record at all (§4.5). */
bool spf_is_record(struct view txt);
/* Whether its syntax holds (§4.6), for those who publish one. RC_SYNTAX: *why and *where say. */
enum rc spf_record_check(struct view txt, const char **why, struct view *where);

#endif
