/* report/failing: failure reports on their way: a short list of messages that failed, filled by the door without waiting, emptied by the
 * thread of report/, which asks the DNS whether the address wants them, counts, and queues the mails. */
#ifndef REPORT_FAILING_H
#define REPORT_FAILING_H

#include <stdatomic.h>

#include "report/failure.h"
#include "report/plan.h"

#define FAILING_MAX 64 /* waiting; further ones are dropped: a domain gets a few a day anyhow */

struct failing;
/* The key of redaction is made once and kept in the store. */
enum rc failing_new(struct store *s, struct failing **out);
void failing_free(struct failing *f); /* accepts NULL */
/* Where the message's domain wants a report. Never waits. */
void failing_note(struct failing *f, const struct report_settings *set, const struct judgement *j, const struct report_facts *facts);
/* Sends what waits. */
void failing_send(struct failing *f, struct store *s, struct dns *dns, const struct report_settings *set, const atomic_bool *stop);

#endif
