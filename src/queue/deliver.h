/* queue/deliver: one message to one destination's recipients: rows from the store, a connection (one that is open, or a new
 * one by queue/route.h), one or more transactions, results into the store (queue/outcome.h).
 * Network and store; blocks; a worker thread's whole job. */
#ifndef QUEUE_DELIVER_H
#define QUEUE_DELIVER_H

#include "queue/hosts.h"
#include "queue/outcome.h"
#include "smtp/client.h"

#define DELIVER_WHY_MAX    512
#define DELIVER_CONNECTS   6      /* addresses that are tried for one message */
#define DELIVER_PER_CONN   100    /* messages on one connection */

enum deliver_verdict {
    DELIVER_OK,          /* somebody there answered */
    DELIVER_UNREACHABLE, /* nobody did: the destination should rest */
    DELIVER_TROUBLE,     /* the store: rows are as they were */
};
struct deliver_env {
    const struct queue_settings *set;
    struct store *store;
    struct dns *dns;
    struct tls_client *tls;
    struct hosts *hosts; /* which addresses were dead just now */
    unsigned generation; /* of the settings: a connection that was opened under others is not used again */
};
struct deliver_job {
    struct view route;
    uint64_t message;
    const uint64_t *rcpts;
    size_t n;
    /* Set: the destination rests: put all off until then, with `why`. */
    int64_t resting_until_ms;
    /* In: an open connection to there, or NULL. Out: one that can be used again, or NULL. */
    struct smtp_client *client;
    /* Called when a connection is there, to be cut at a shutdown, and with NULL before it is closed. */
    void (*on_conn)(void *ctx, struct conn *c);
    void *ctx;
    /* Out */
    enum deliver_verdict verdict;
    char why[DELIVER_WHY_MAX]; /* of DELIVER_UNREACHABLE; in: of resting */
    char status[16];
    struct outcome_counts counts;
    int64_t next_ms;
};
void deliver_run(const struct deliver_env *env, struct deliver_job *job);

#endif
