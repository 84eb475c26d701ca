/* store/mailq_internal: what the files of the mail queue share. */
#ifndef STORE_MAILQ_INTERNAL_H
#define STORE_MAILQ_INTERNAL_H

#include <pthread.h>

#include "store/db.h"
#include "store/mailq.h"

struct mailq_job;
/* webhook.c and suppression.c, in a transaction of facteur.db. */
enum rc webhook_wanted_in(struct db *db, uint64_t account, unsigned event, bool *out);
enum rc webhook_tell_in(struct db *db, uint64_t account, unsigned event, struct view body, int64_t now_s);
enum rc suppression_add_in(struct db *db, uint64_t account, struct view address, struct view reason, int64_t now_s); /* of a bounce */

struct mailq {
    pthread_mutex_t mutex; /* guards db while a statement runs */
    struct db *db;

    pthread_mutex_t gathering;          /* guards all below */
    pthread_condattr_t clock;           /* of the jobs' conditions: monotonic */
    struct mailq_job *first, **last;    /* submissions and results that wait for the next transaction */
    size_t n_waiting;                   /* submissions among them */
    bool leading;                       /* a thread is committing for others */
    struct mailq_job *gatherer;         /* it waits for more to come; or NULL */
    size_t expected;                    /* submissions that the next commit waits for */
    int64_t commit_us;                  /* what a commit takes, averaged */
    mailq_wake_fn wake;
    void *wake_ctx;
};

enum rc mailq_look(struct store *s, db_fn fn, void *ctx);
/* Durable on RC_OK. */
enum rc mailq_txn(struct store *s, db_fn fn, void *ctx);

enum rc mailq_open(struct db *db, struct mailq **out); /* owns db on success */
void mailq_close(struct mailq *q);                     /* accepts NULL */
enum rc mailq_sync(struct store *s);
/* No waiting recipient has a lower number: UINT64_MAX where none waits. */
enum rc mailq_oldest(struct store *s, uint64_t *out);

#endif
