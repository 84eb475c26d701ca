/* report/tls: TLS reports (RFC 8460): what deliveries met on the way to a domain, told to whom its record names, by mail or by HTTPS.
 * What of it is common to all reports is in report.h, plan.h and send.c. Blocks on store, resolver and network; any thread. */
#ifndef REPORT_TLS_H
#define REPORT_TLS_H

#include <stdatomic.h>

#include "report/plan.h"

#define TLS_POST_MS      10000 /* for one POST */
#define TLS_ROUND_MS     20000 /* for those of one round; the rest waits for the next */
#define TLS_RETRY_S      900   /* the first wait after a POST that failed; each further one is twice as long ... */
#define TLS_RETRY_MAX_S  28800 /* ... at most */
#define TLS_TRIES_MAX    7     /* waits, together 23.75 hours: RFC 8460 §5.5 has 24 */
#define TLS_REPLY_MAX    65536 /* bytes of a reply, which nobody reads */

/* Closes what was counted: of days that ended, once their reports may go; or (day_s > 0) of the day that begins then. */
enum rc tls_seal(struct store *s, const struct report_settings *set, int64_t day_s, int64_t now_s);
/* plan_make for SEEN_TLS. plan.unwanted: the domain has no record. */
enum rc tls_plan(struct store *s, struct dns *dns, const struct report_settings *set, const struct seen_report *r, struct arena *a,
                 struct plan *out);
/* Asks early for the record. */
void tls_prefetch(struct dns *dns, struct view domain);
/* The gzipped JSON. RC_LIMIT: nothing in it, or too much. */
enum rc tls_document(struct store *s, const struct report_settings *set, const struct seen_report *r, struct view from, struct view report_id,
                     struct buf *gzip);
/* RC_OK: taken (RFC 8460 §5.4: any 2xx). RC_TEMP: not; *why in words, static or in the arena. */
enum rc tls_post(struct dns *dns, const struct report_settings *set, struct view uri, struct view gzip, const atomic_bool *stop,
                 struct arena *a, const char **why);
int64_t tls_retry_s(unsigned tries);

/* An "https:" URI: a host, perhaps a port, a path. RC_SYNTAX: anything else, such as names of users, fragments. */
struct tls_uri {
    const char *host, *path; /* host: A-labels; the path begins with "/" */
    unsigned port;
};
enum rc tls_uri_read(struct view uri, struct arena *a, struct tls_uri *out);

#endif
