/* app/webhooks: tells those who sent a message what became of it: rows of store/webhook.h, called on a thread of the mta process; and
 * remembers addresses that do not exist for those who send over HTTP (store/suppression.h).
 * An event comes into the store in the transaction of what it tells of; calls that fail come again after longer and longer waits, for
 * WEBHOOKS_TRIES times. So each is made at least once, and perhaps twice, with one "event_id". */
#ifndef APP_WEBHOOKS_H
#define APP_WEBHOOKS_H

#include "app/webhook_post.h"
#include "queue/queue.h"
#include "store/webhook.h"

#define WEBHOOKS_TRIES     10
#define WEBHOOKS_FIRST_S   5
#define WEBHOOKS_LONGEST_S 14400
#define WEBHOOKS_KEEP_S    (2 * 86400) /* what is older by then is not told any more */
#define WEBHOOKS_FEEDBACK  64   /* reports that wait to be read; further ones are not */
#define WEBHOOKS_BATCH     50

struct webhooks;
struct webhooks_settings {
    struct store *store;
    struct dns *dns;
    struct tls_client *trust; /* counted */
    bool allow_private;
};
/* Starts the thread. RC_TEMP. */
enum rc webhooks_new(const struct webhooks_settings *set, struct webhooks **out);
void webhooks_reload(struct webhooks *w, const struct webhooks_settings *set);
/* Waits for the call under way, which is cut short. Accepts NULL. */
void webhooks_free(struct webhooks *w);

/* A queue_fate_fn and a queue_told_fn; ctx is struct webhooks *. */
enum rc webhooks_fate(void *w, const struct queue_fate *f, struct arena *a, struct mailq_event *out);
void webhooks_told(void *w, const struct mailq_event *e);
/* A feedback report has arrived: it is read on the thread (app/complaints.h), and where it is a complaint about a message that was sent
 * over HTTP, its recipient gets no more. ctx is struct webhooks *. Never blocks. */
void webhooks_feedback(void *w, uint64_t blob);

#endif
