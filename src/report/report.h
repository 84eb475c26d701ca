/* report: the reports that we owe. To the domains whose names others use at our door: DMARC aggregate reports (RFC 9990), one a
 * policy domain and UTC day, and, where the operator wants it, failure reports (RFC 9991, RFC 6591). To the domains that we send
 * mail to: what came of TLS on the way (RFC 8460, tls.h). Gathers verdicts, keeps them in the store, and sends when a day is over, spread over hours. What may go out is plan.h's to say; mails leave by the
 * queue, in a lane of their own.
 * One thread of its own for the store, the DNS and the mails; report_note never waits for any of them. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdatomic.h>

#include "report/plan.h"
#include "report/row.h"

#define REPORT_FLUSH_MS   2000  /* a crash loses what was noted since */
#define REPORT_LOOK_MS    30000 /* how often it looks for what is due */
#define REPORT_START_S    1800  /* a day's reports go from so long after its end ... */
#define REPORT_SPREAD_S   14400 /* ... for so long, each domain at its own time */
#define REPORT_RETRY_S    3600
#define REPORT_TRIES_MAX  40
#define REPORT_SEND_MAX   50    /* reports of one round */

struct report;
/* Settings are copied; store, dns and what `dmarc` points to are borrowed. RC_TEMP. */
enum rc report_new(const struct report_settings *set, struct store *s, struct dns *dns, struct report **out);
/* For what comes from now on. */
enum rc report_reload(struct report *r, const struct report_settings *set);
/* A message was judged. Any thread; copies what it needs. */
void report_note(struct report *r, const struct judgement *j, const struct report_facts *facts);
/* A mail to this address failed for good: it is left alone for a while. Any thread. */
void report_bounced(struct report *r, struct view address, struct view why);
/* A message for this address of ours came with a null reverse-path: where it tells of a report that was not delivered, its destination is
 * left alone, too. Never waits. */
void report_returned(struct report *r, struct view header, struct view rcpt);
/* Somebody asked for reports (seen_ask). Any thread. */
void report_wake(struct report *r);
/* Begins nothing new; what is noted after this is still written by report_free. */
void report_drain(struct report *r);
void report_free(struct report *r); /* accepts NULL */

/* Sends what is due of a kind at now_s, until *stop (NULL: to the end); *n: reports looked at. For the thread, and for tests. */
enum rc report_round(struct store *s, struct dns *dns, const struct report_settings *set, enum seen_kind kind, int64_t now_s,
                     const atomic_bool *stop, size_t *n);

#endif
