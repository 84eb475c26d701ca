/* policy/tls_outcomes: counts what came of TLS in memory and adds it to the store (store/tlsrpt.h) now and then, as a
 * connection must not cost a transaction. A crash loses what was not written: these are statistics.
 * Any thread; only tls_outcomes_flush does I/O. */
#ifndef POLICY_TLS_OUTCOMES_H
#define POLICY_TLS_OUTCOMES_H

#include "store/tlsrpt.h"

#define TLS_OUTCOMES_MAX 1024 /* different ones in memory; then they are written */

struct tls_outcomes;
enum rc tls_outcomes_new(struct store *s, struct tls_outcomes **out);
/* One more session of this kind today; o->day and o->sessions do not matter. What cannot be kept is lost. */
void tls_outcomes_note(struct tls_outcomes *t, const struct tlsrpt_outcome *o);
void tls_outcomes_flush(struct tls_outcomes *t);
void tls_outcomes_free(struct tls_outcomes *t); /* flushes; accepts NULL */

#endif
