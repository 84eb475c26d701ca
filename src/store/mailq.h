/* store/mailq: the rows of the mail queue: a message (envelope and blob) and its recipients.
 * Rows are written before 250 is said and go only after their delivery is durable. Any thread.
 *
 * A recipient row is LOCAL (into an account's mailbox) or REMOTE (to the MX hosts of `route`). States:
 *   READY   may be tried when due_ms has come        HELD   not before `queue release`
 * There is no state for "being tried": that lives in queue/'s memory, so a crash leaves the row READY.
 * Cost of every call is flat in the number of waiting rows (indices on due time and on route). */
#ifndef STORE_MAILQ_H
#define STORE_MAILQ_H

#include "store/store.h"

enum mailq_notify { NOTIFY_DEFAULT = 0, NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 }; /* RFC 3461 §4.1 */
enum mailq_body { BODY_7BIT, BODY_8BIT, BODY_BINARY };                                                        /* RFC 6152, RFC 3030 */
struct mailq_rcpt {
    uint64_t id;            /* never reused; the idempotence key of local delivery; 0 before submit */
    uint64_t account;       /* local: the account; 0: remote */
    struct view address;    /* where it goes now: forward-path to send, or the account's address with detail */
    struct view detail;     /* local: subaddress */
    struct view route;      /* remote: the domain as A-label (dns_domain_ascii), whether or not there is a smarthost; set by the submitter */
    struct view orcpt;      /* as given, "rfc822;..." in xtext decoded form; empty: none */
    struct view original;   /* RCPT TO as the client gave it */
    struct view sender;     /* the envelope sender for this one (SRS); empty: the message's */
    unsigned notify;
    bool forwarded;         /* passed on for others: a foreign target of one of our aliases, or a bounce on its way back */
    /* progress */
    int64_t due_ms;         /* real time */
    uint32_t attempts;
    bool held, delay_told;
    struct view last_reply; /* the peer's words or our reason at the last attempt; "" none */
    struct view last_mx;    /* host it came from */
    int64_t last_attempt_ms;
};
struct mailq_message {
    uint64_t id;             /* 0 before submit; never reused; printed in hex */
    uint64_t blob;
    uint32_t skip;           /* bytes of the blob that are for mailboxes only (Return-Path) */
    uint64_t size;           /* of the blob less skip */
    struct view sender;      /* envelope sender without <>; empty: null reverse-path */
    struct view seal;        /* header fields (an ARC set) that go before the message to forwarded recipients; mostly empty */
    bool junk;               /* local recipients get it in their Junk folder */
    enum mailq_lane { LANE_MAIL, LANE_REPORTS } lane; /* reports about others' mail never stand in the way of mail */
    struct view envid;       /* RFC 3461 §4.4, decoded */
    enum { RET_DEFAULT, RET_FULL, RET_HDRS } ret;
    enum mailq_body body;
    bool smtputf8;
    bool require_tls;        /* RFC 8689 */
    int priority;            /* RFC 6710: -9..9 */
    int64_t created_ms;      /* arrival */
    int64_t release_ms;      /* FUTURERELEASE; 0: now */
    int64_t deliver_by_ms;   /* DELIVERBY absolute; 0: none */
    bool deliver_by_return;  /* by-mode R (bounce), else N (notify) */
    bool deliver_by_trace;   /* by-trace T: each relay is told */
    uint64_t account;        /* who submitted; 0: from outside or relay-from */
    struct view peer;        /* address and session for the log and traces: "192.0.2.1" */
};

#define MAILQ_PRIORITY_REPORTS (-10) /* of rows in LANE_REPORTS: behind all that RFC 6710 lets anybody ask for */
static inline int mailq_row_priority(const struct mailq_message *m)
{
    return m->lane == LANE_REPORTS ? MAILQ_PRIORITY_REPORTS : m->priority;
}

/* Group commit: makes blob and rows durable with all other submissions that wait now. Fills in the ids. On RC_OK the
 * promise of 250 is kept. Then wakes the queue (mailq_set_wake). */
enum rc mailq_submit(struct store *s, struct mailq_message *m, struct mailq_rcpt *rcpts, size_t n);
/* Called after each successful submit, on that thread; must not block. m and rcpts are the caller's. */
typedef void (*mailq_wake_fn)(void *ctx, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n);
void mailq_set_wake(struct store *s, mailq_wake_fn fn, void *ctx);

/* READY rows due at or before now, by (due time, id) and after the pair (after_ms, after_rcpt), up to max: the scheduler
 * walks forward and meets each row once; (0, 0) begins. Each with its message id: */
struct mailq_due {
    uint64_t rcpt, message, account;
    struct view route;
    int64_t due_ms;
    int priority; /* mailq_row_priority */
};
enum rc mailq_due(struct store *s, int64_t after_ms, uint64_t after_rcpt, int64_t now_ms, size_t max, struct arena *a,
                  struct mailq_due **out, size_t *n);
/* READY rows of one route that are due, for a connection that is open anyway. */
enum rc mailq_due_route(struct store *s, struct view route, int64_t now_ms, size_t max, struct arena *a, struct mailq_due **out,
                        size_t *n);
/* The earliest due time of a READY row later than `after_ms`; RC_NOTFOUND: none. */
enum rc mailq_next_due(struct store *s, int64_t after_ms, int64_t *due_ms);

enum rc mailq_message(struct store *s, uint64_t id, struct arena *a, struct mailq_message *out);
enum rc mailq_rcpt(struct store *s, uint64_t id, struct arena *a, uint64_t *message, struct mailq_rcpt *out);
enum rc mailq_rcpts(struct store *s, uint64_t message, struct arena *a, struct mailq_rcpt **out, size_t *n);

/* One host that was tried, or why none was: what people are told of a message that waits. */
struct mailq_attempt {
    uint64_t rcpt;       /* 0: of all the message's recipients of that route */
    int64_t at_ms;
    struct view mx;      /* "" none was asked */
    struct view address, tls; /* "192.0.2.1", "TLSv1.3" or "" */
    struct view policy;  /* what TLS was asked for, and why */
    struct view reply;   /* the peer's words or our reason */
    struct view result;  /* "deferred", "unreachable", "tls", "barred", "routing", "resting", "store" */
};
#define MAILQ_STORY_MAX 20 /* attempts kept of a recipient; older ones go */
/* Those of one recipient, oldest first. */
enum rc mailq_story(struct store *s, uint64_t message, const struct mailq_rcpt *r, struct arena *a, struct mailq_attempt **out, size_t *n);

/* What its sender's account is told of a result (store/webhook.h, store/suppression.h), in the same transaction: never lost, never of something
 * that did not happen. */
struct mailq_event {
    uint64_t account;      /* 0: nothing is told */
    unsigned event;        /* enum webhook_event */
    struct view body;
    struct view dead;      /* an address that does not exist; or empty */
    struct view reason;    /* the peer's words about it */
};
/* One by itself; returns at once where nobody wants it. */
enum rc mailq_tell(struct store *s, const struct mailq_event *event);

/* Results of attempts, many in one transaction. */
struct mailq_result {
    uint64_t rcpt;
    enum { RESULT_DONE, RESULT_RETRY } kind; /* DONE: row goes (delivered, bounced, removed); the message row goes with the last */
    int64_t due_ms;                          /* RETRY: when */
    bool delay_told;
    bool count;                              /* RETRY: counts as an attempt (not for "connection busy") */
    struct view reply, mx;
    uint64_t message;                        /* of the attempts, as the route */
    struct view route;
    const struct mailq_attempt *attempts;    /* RETRY: they are kept while the message waits */
    size_t n_attempts;
    struct mailq_event event;
};
enum rc mailq_results(struct store *s, const struct mailq_result *r, size_t n);
/* As submit, plus results in the same transaction: a bounce is queued when and only when the rows it tells of go. */
enum rc mailq_submit_and_results(struct store *s, struct mailq_message *m, struct mailq_rcpt *rcpts, size_t n,
                                 const struct mailq_result *r, size_t n_results);

/* For operators. `message` 0: all. */
struct mailq_counts {
    uint64_t messages, rcpts, ready, held;
    uint64_t bytes;
};
enum rc mailq_count(struct store *s, struct mailq_counts *out);
/* Message ids above `after`, up to max. */
enum rc mailq_list(struct store *s, uint64_t after, size_t max, struct arena *a, uint64_t **out, size_t *n);
enum rc mailq_flush(struct store *s, uint64_t message, struct view route, uint64_t *n); /* due now; route "" any */
enum rc mailq_hold(struct store *s, uint64_t message, bool held, uint64_t *n);
enum rc mailq_remove(struct store *s, uint64_t message, uint64_t *n);
/* Every blob id of the queue (sorted, malloc). */
enum rc mailq_blobs(struct store *s, uint64_t **out, size_t *n);

#endif
