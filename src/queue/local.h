/* queue/local: local delivery without waiting. Recipients come in memory straight from the submission; a worker takes all that
 * wait for one account and puts them into its mailbox in one transaction; rows leave the queue later, many at a time, after
 * store_settle. A crash between leaves rows behind, whose second delivery adds nothing (idempotent by row id).
 * What is computed of a message (message/summary.h) is computed once for all its recipients.
 * I/O: disk. Any thread. */
#ifndef QUEUE_LOCAL_H
#define QUEUE_LOCAL_H

#include "store/mailq.h"

#define LOCAL_PENDING_MAX 100000 /* recipients in memory; further ones wait in the store */
#define LOCAL_BATCH_MAX   128    /* recipients of one account in one transaction */
#define LOCAL_SETTLE_MS   1000   /* delivered rows leave the queue after so long at most */
#define LOCAL_QUIET_MS    40     /* or when nothing more was delivered for so long */
#define LOCAL_SETTLE_ROWS 4096   /* or when so many wait for it */

/* A recipient whose row is not simply to go: delivery failed (rc), or succeeded and the sender wants to know (RC_OK).
 * Who is told writes the result to the store and then calls local_forget. On a worker thread; may block on the store. */
typedef void (*local_told_fn)(void *ctx, uint64_t message, uint64_t rcpt, enum rc rc);

/* Mail for the desk (DIRECTORY_DESK) is handed over on a thread of its own, one message at a time: reading one may take long. RC_OK: all of it is durable.
 * RC_NOTFOUND: nothing for the desk is in it: postmaster of the address's domain gets it. Anything else: later. */
struct local_desk_mail {
    struct view message; /* as mailboxes have it, Return-Path first */
    struct view address;
    bool trusted;        /* ours, or submitted with a password */
    int64_t created_ms;
};
typedef enum rc (*local_desk_fn)(void *ctx, const struct local_desk_mail *mail);

struct queue_fate;
struct mailq_event;
struct local_settings {
    unsigned workers;
    local_told_fn told;
    void *told_ctx;
    local_desk_fn desk;  /* NULL: nobody reads, postmaster gets it all */
    void *desk_ctx;
    enum rc (*fate)(void *ctx, const struct queue_fate *f, struct arena *a, struct mailq_event *out); /* as in queue/queue.h */
    void (*fate_told)(void *ctx, const struct mailq_event *e);
    void *fate_ctx;
};
struct local;
enum rc local_new(struct store *s, const struct local_settings *set, struct local **out);
/* Takes those of the recipients that are local and not known yet. False: some could not be taken (no room, no memory): they
 * wait in the store, and the caller comes again. Never blocks on the disk. */
bool local_add(struct local *l, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n);
/* Is the recipient in memory: waiting, being delivered, or delivered and its row not gone yet? */
bool local_has(struct local *l, uint64_t rcpt);
void local_forget(struct local *l, uint64_t rcpt);
size_t local_pending(struct local *l);    /* not delivered yet */
uint64_t local_delivered(struct local *l); /* since the start */
/* Delivers what waits until the deadline, settles what was delivered, ends the threads. */
void local_drain(struct local *l, int64_t deadline_ms);
void local_free(struct local *l); /* accepts NULL */

#endif
