/* sys/worker: one thread that works in rounds: it rests until a time has come or somebody calls it, and ends when told.
 * What the rounds work with is guarded by locks of its owner: a worker knows only its own times. */
#ifndef SYS_WORKER_H
#define SYS_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

struct worker {
    atomic_bool stop; /* for whoever works long: leave soon. Read it, never write it */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool is_running, is_called;
};

void worker_init(struct worker *w);
/* Starts run(arg), whose loop is: for (until = ...; worker_rest(w, until, NULL); until = ...). RC_TEMP: no thread. After
 * worker_end it may be started again. */
enum rc worker_start(struct worker *w, const char *name, void (*run)(void *arg), void *arg);
/* For run alone: true at until_ms (monotonic) or when somebody called, which *is_called says (may be NULL); calls during a
 * round are not lost, several are one. False: told to end. */
bool worker_rest(struct worker *w, int64_t until_ms, bool *is_called);
/* A round now, please. Any thread. */
void worker_call(struct worker *w);
/* Tells it to end and waits for that; nothing where it does not run. Not from its own thread. */
void worker_end(struct worker *w);
/* Ends it, and frees what worker_init made. */
void worker_clear(struct worker *w);

#endif
