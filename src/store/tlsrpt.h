/* store/tlsrpt: what came of TLS on the way to other domains, a UTC day at a time, as TLS-RPT reports it (RFC 8460 §4). Kept
 * for TLSRPT_KEEP_DAYS. Sessions are counted in memory first (policy/tls_outcomes.h).
 * I/O: disk. Any thread. */
#ifndef STORE_TLSRPT_H
#define STORE_TLSRPT_H

#include "store/seen.h"

#define TLSRPT_KEEP_DAYS    14
#define TLSRPT_FAILURES_MAX 1000 /* different ones of a domain and day; further ones are counted without host and reason */

enum tlsrpt_type { TLSRPT_NO_POLICY, TLSRPT_STS, TLSRPT_TLSA };
enum tlsrpt_result { /* RFC 8460 §4.3 */
    TLSRPT_SUCCESS,
    TLSRPT_STARTTLS_NOT_SUPPORTED,
    TLSRPT_CERTIFICATE_HOST_MISMATCH,
    TLSRPT_CERTIFICATE_EXPIRED,
    TLSRPT_CERTIFICATE_NOT_TRUSTED,
    TLSRPT_VALIDATION_FAILURE,
    TLSRPT_TLSA_INVALID,
    TLSRPT_DNSSEC_INVALID,
    TLSRPT_STS_POLICY_FETCH_ERROR,
    TLSRPT_STS_POLICY_INVALID,
    TLSRPT_STS_WEBPKI_INVALID,
};
/* "no-policy-found", "sts", "tlsa"; "starttls-not-supported", ... */
const char *tlsrpt_type_name(enum tlsrpt_type type);
const char *tlsrpt_result_name(enum tlsrpt_result result);

struct tlsrpt_outcome {
    int64_t day;         /* since 1970, UTC */
    struct view domain;  /* next hop in A-labels, which is asked for its TLS-RPT record */
    enum tlsrpt_type type;
    struct view policy;  /* policy-string, an element a line */
    struct view mx;      /* mx-host patterns of an STS policy, one a line; of TLSA the base domain (RFC 7672 §2.2.3) */
    enum tlsrpt_result result;
    struct view host, sent_from, sent_to, reason; /* of a failure: MX host, addresses, failure-reason-code */
    uint64_t sessions;
};
/* Adds them up, all in one transaction. */
enum rc tlsrpt_add(struct store *s, const struct tlsrpt_outcome *o, size_t n);

/* What no report tells of yet, by day and domain, up to max. */
struct tlsrpt_open {
    int64_t day;
    struct view domain;
    uint64_t successes, failures;
};
enum rc tlsrpt_open(struct store *s, int64_t from_day, int64_t to_day, size_t max, struct arena *a, struct tlsrpt_open **out, size_t *n);
/* Makes a report (store/seen.h, SEEN_TLS) of it, from the end of the day's last one to end_s. What is counted from now on is for a
 * further one. */
enum rc tlsrpt_seal(struct store *s, const struct tlsrpt_open *o, int64_t end_s, int64_t due_s);
/* Nobody wants that report: it goes, and all that it would tell. */
enum rc tlsrpt_drop(struct store *s, const struct seen_report *r);
/* All of one report (0: of none yet), policy by policy: for each a TLSRPT_SUCCESS with what succeeded (perhaps 0), then its failures. */
enum rc tlsrpt_read(struct store *s, int64_t day, struct view domain, uint64_t report, struct arena *a, struct tlsrpt_outcome **out,
                    size_t *n);
enum rc tlsrpt_forget(struct store *s, int64_t before_day);

#endif
