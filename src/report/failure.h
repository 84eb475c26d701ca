/* report/failure: the report on a single message that failed (RFC 9991, RFC 6591, RFC 5965): whether its domain asks for one, and its
 * two parts for programs, with everything left out or made unreadable that tells of persons (RFC 6590): no body, no
 * subject, no names; what stands before an @ becomes a keyed digest, the same for the same address. Pure; any thread. */
#ifndef REPORT_FAILURE_H
#define REPORT_FAILURE_H

#include "report/row.h"

#define FAILURE_KEY_SIZE   32
#define FAILURE_HEADER_MAX 32768 /* bytes of redacted header; further fields are left out */
#define FAILURE_FIELDS_MAX 200

/* By the record's fo= (RFC 9989 §4.7) and its ruf=, but never about automatic mail, reports above all, nor for a public suffix. */
bool failure_is_wanted(const struct judgement *j, const struct report_facts *facts);
/* Appends the message/feedback-report part but for SPF-DNS. RC_TEMP, RC_LIMIT. */
enum rc failure_feedback(const struct judgement *j, const char *hostname, const uint8_t key[FAILURE_KEY_SIZE], struct buf *out);
/* Whether RFC 9991 wants the SPF record shown: SPF failed for an aligned domain. */
bool failure_wants_spf(const struct judgement *j);
/* Appends what may be shown of a header section, as text/rfc822-headers. */
enum rc failure_redact(struct view header, const uint8_t key[FAILURE_KEY_SIZE], struct arena *a, struct buf *out);

#endif
