/* queue/tls_note: what came of TLS with a host: counted for TLS-RPT (RFC 8460 §4.3, policy/tls_outcomes.h), remembered and logged.
 * A host that had STARTTLS before and has it no more is what an attacker's downgrade looks like: it is always told.
 * I/O: store. Any thread. */
#ifndef QUEUE_TLS_NOTE_H
#define QUEUE_TLS_NOTE_H

#include "queue/deliver.h"
#include "queue/route.h"

/* Before any host: what the look-up of policies said. */
void tls_note_route(const struct deliver_env *env, struct view hop, const struct route *route);
/* A host that policy keeps us from, or would. */
void tls_note_barred(const struct deliver_env *env, struct view hop, const struct route *route, const struct route_host *host);
/* One connection. */
void tls_note_session(const struct deliver_env *env, struct view hop, const struct route *route, const struct route_host *host,
                      const struct smtp_client_tls_report *report);

#endif
