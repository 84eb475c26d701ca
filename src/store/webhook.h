/* store/webhook: whom an account wants told of its messages' fate, and what is to be told still. Written by the process that serves the
 * API (hooks) and the one that delivers (calls). I/O: disk. Any thread. */
#ifndef STORE_WEBHOOK_H
#define STORE_WEBHOOK_H

#include "store/store.h"

#define WEBHOOKS_MAX       10   /* of an account */
#define WEBHOOK_URL_MAX    1000
#define WEBHOOK_SECRET_MAX 128
#define WEBHOOK_CALLS_MAX  10000 /* that wait for one hook; further ones are lost */

enum webhook_event { WEBHOOK_DELIVERED = 1, WEBHOOK_DEFERRED = 2, WEBHOOK_BOUNCED = 4, WEBHOOK_COMPLAINED = 8, WEBHOOK_EVENTS = 15 };
struct webhook {
    uint64_t id;
    struct view url, secret;
    unsigned events; /* enum webhook_event, joined */
    int64_t created_s;
    struct view last; /* what came of the last call: "200", or why it failed; empty: none yet */
    int64_t last_s;
};
/* *id is set. RC_LIMIT: there are as many as may be. */
enum rc webhook_add(struct store *s, uint64_t account, const struct webhook *w, uint64_t *id);
enum rc webhook_list(struct store *s, uint64_t account, struct arena *a, struct webhook **out, size_t *n);
/* Its calls go too. RC_NOTFOUND. */
enum rc webhook_remove(struct store *s, uint64_t account, uint64_t id);

/* Events come with results of deliveries, or alone: mailq_tell (store/mailq.h). */
struct webhook_call {
    uint64_t id, hook;
    struct view url, secret, body;
    unsigned event, tries;
    int64_t made_s;
};
/* Calls due at now_s, by time, up to max; *next_s: when the next one is, INT64_MAX: none. */
enum rc webhook_due(struct store *s, int64_t now_s, size_t max, struct arena *a, struct webhook_call **out, size_t *n, int64_t *next_s);
/* What came of one: again at due_s, as all others of that hook then, or (0) done with. */
enum rc webhook_called(struct store *s, const struct webhook_call *c, struct view last, int64_t now_s, int64_t due_s);

#endif
