/* policy/sts_cache: the MTA-STS policy that is in force for a domain (RFC 8461 §3, §5.1): asks for the TXT record, fetches the policy
 * when its id is new, keeps it in the store for its max_age and looks again well before that ends.
 *
 * A policy that was fetched protects until it expires, whatever DNS and the policy host say or do not say meanwhile. Only a
 * newer policy, fetched over HTTPS whose certificate holds, takes its place. Whoever can lie about DNS alone cannot remove it.
 *
 * A clock that leaps ahead while we run is believed a day later: until then time goes on from where it was. Whoever can set the
 * clock and lie about DNS would otherwise be rid of all policies at once.
 *
 * Network and disk; a look-up blocks until its deadline at most. Any thread. One thread of its own refreshes. */
#ifndef POLICY_STS_CACHE_H
#define POLICY_STS_CACHE_H

#include "dns/dns.h"
#include "policy/mta_sts.h"
#include "store/store.h"
#include "store/tlsrpt.h"

#define STS_FETCH_MS        30000     /* for one fetch; RFC 8461 §3.3 suggests a minute at most */
#define STS_RETRY_MS        300000    /* after a failure, for the same id (RFC 8461 §3.3) */
#define STS_REFRESH_MAX_S   86400     /* RFC 8461 §3.3: once a day */
#define STS_REFRESH_MIN_S   300
#define STS_UNUSED_S        2592000   /* policies that no delivery asked for are no longer refreshed */
#define STS_CLOCK_SLACK_S   300       /* a policy fetched later than now by more than this is fetched again: the clock was set back */
#define STS_LEAP_MS         86400000  /* a clock that leaps ahead by more than the slack is believed after so long */
#define STS_FAILURES_MAX    256       /* that are remembered */

struct sts_cache;
struct sts_settings {
    struct store *store;      /* borrowed, as the resolver */
    struct dns *dns;
    struct tls_client *trust; /* authorities for the policy hosts; a reference is taken */
    unsigned port;            /* of policy hosts; 0: 443 */
    int64_t refresh_min_s;    /* 0: STS_REFRESH_MIN_S */
    bool only_asked;          /* refreshes nothing by itself: for commands */
    int64_t (*real_s)(void);  /* the clock; NULL: the system's */
};
enum rc sts_cache_new(const struct sts_settings *set, struct sts_cache **out);
/* Other authorities from now on. */
void sts_cache_trust(struct sts_cache *c, struct tls_client *trust);
/* Ends fetches that are under way, and look-ups with them. */
void sts_cache_stop(struct sts_cache *c);
void sts_cache_free(struct sts_cache *c); /* nobody may be looking up; accepts NULL */

struct sts_answer {
    bool found;                    /* a policy is in force */
    struct mta_sts_policy policy;
    struct view text;              /* the file that it stands in */
    /* The record promised another policy than the one that is in force, which could not be had: TLSRPT_SUCCESS: no such thing. */
    enum tlsrpt_result fault;
    const char *why;               /* of the fault */
};
/* domain: A-labels, lower case. All in the arena. RC_TEMP: no memory, or the store fails: then nothing is known, and whoever
 * delivers must wait. */
enum rc sts_look_up(struct sts_cache *c, struct view domain, int64_t deadline_ms, struct arena *a, struct sts_answer *out);

#endif
