/* queue/outcome: what an attempt's results mean: a row goes, or waits for its next attempt; and who is told
 * (RFC 3461 §5, §6; RFC 5321 §4.5.4.1, §6.1). Rows go in the same transaction in which their notification is queued.
 * I/O: store. Any thread. */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "queue/queue.h"

enum outcome_kind {
    OUTCOME_DELIVERED, /* in a mailbox here */
    OUTCOME_RELAYED,   /* taken by a host that tells the sender nothing: so we do, where asked to */
    OUTCOME_PASSED,    /* taken by a host with the DSN extension */
    OUTCOME_DEFERRED,  /* later, or, when its time is over, failed */
    OUTCOME_FAILED,
};
struct outcome {
    const struct mailq_rcpt *rcpt;
    enum outcome_kind kind;
    bool count;         /* an attempt that reached somebody or should have: the wait grows */
    int64_t not_before_ms; /* DEFERRED: earliest next attempt; 0: as scheduled */
    struct view status; /* "5.1.1"; empty: "2.0.0", "4.0.0", "5.0.0" by kind */
    struct view reply;  /* the peer's words, or empty */
    struct view why;    /* ours, or empty */
    struct view mx;     /* who spoke, or empty */
    struct view address, tls, policy; /* of that connection */
};
/* What was tried before or instead, for all the recipients. */
struct outcome_story {
    struct view route;
    const struct mailq_attempt *tries; /* rcpt 0 */
    size_t n;
};
struct outcome_counts {
    uint64_t relayed, deferred, bounced;
};

/* Does that for recipients of one message. RC_OK: all written. Else nothing is changed for the rest, and rows stay due.
 * *counts is added to; *next_ms: the earliest next attempt, or INT64_MAX. */
enum rc outcome_settle(const struct queue_settings *set, struct store *s, const struct mailq_message *m,
                       const struct outcome_story *story, const struct outcome *o, size_t n, struct outcome_counts *counts, int64_t *next_ms);

/* When the next attempt is after `attempts` ones. */
int64_t outcome_retry_ms(const struct queue_settings *set, unsigned attempts);

#endif
