/* queue/'s parts among themselves: destinations in memory, and who works on them.
 *     queue.c    life, settings, what comes from submissions
 *     lane.c     destinations and their recipients in memory
 *     schedule.c the thread that brings due rows from the store
 *     worker.c   threads that deliver */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include <pthread.h>

#include "queue/deliver.h"
#include "queue/idset.h"
#include "queue/local.h"
#include "queue/queue.h"

#define LANE_BUCKETS       4096
#define LANE_LOW           (QUEUE_LANE_MAX / 4) /* fewer rows in memory: more are fetched */
#define LANE_BATCH_MAX     500   /* recipients of one message in one delivery */
#define LANE_REST_MAX_MS   300000
#define LANE_IDLE_MS       5000  /* an open connection waits so long for the next message */
#define LANE_MEMORY_MS     600000 /* a failing destination is remembered so long after its rest */
#define QUEUE_PAGE         500   /* rows of one look into the store */
#define QUEUE_REWALK_MS    600000 /* all due rows are looked at anew */
#define QUEUE_TROUBLE_MS   60000 /* likewise, after the store failed */
#define WORKER_IDLE_MS     15000

/* Settings and what belongs to them; replaced as a whole by a reload. */
struct queue_snapshot {
    unsigned refs; /* under queue.lock */
    unsigned generation; /* one more with each reload */
    struct queue_settings set;
    struct tls_client *tls;
    struct arena arena; /* strings and lists */
};

/* A remote recipient in memory. */
struct row {
    struct row *next;
    uint64_t rcpt, message;
    int priority;
};

struct idle_client {
    struct idle_client *next;
    struct smtp_client *client;
    int64_t until_ms;
};

struct lane {
    struct lane *hash_next;
    struct lane *ready_next, *ready_prev; /* in queue.ready, while it has rows */
    bool is_ready;
    struct row *first, **last;
    size_t n_rows;       /* in the list */
    size_t n_working;    /* taken by workers */
    unsigned active, window;
    unsigned good;       /* successes since the window grew */
    unsigned failures;   /* in a row */
    int64_t rest_until_ms; /* real time; 0: not resting */
    int64_t rest_ended_mono_ms;
    char why[DELIVER_WHY_MAX], status[16]; /* of the rest */
    bool mixed;          /* a row with a priority stood in the list since it was empty */
    bool more;           /* the store has due rows that are not here */
    struct idle_client *idle;
    unsigned n_idle;
    size_t route_n;
    char route[];
};

struct worker {
    struct worker *next, *prev;
    struct queue *q;
    struct conn *conn; /* to be cut at a shutdown */
};

struct queue {
    struct store *store;
    struct dns *dns;
    struct hosts *hosts;
    struct local *local;
    pthread_t scheduler;
    bool has_scheduler;

    pthread_mutex_t lock; /* guards all below, lanes and rows */
    pthread_cond_t work, wake, done;
    struct queue_snapshot *snapshot;
    struct lane *lanes[LANE_BUCKETS];
    struct lane *ready, *ready_last;
    size_t n_lanes, n_rows; /* n_rows: in lists and with workers */
    struct idset known;     /* recipients in memory */
    struct worker *workers;
    unsigned n_reports; /* workers that deliver reports */
    unsigned n_workers, n_busy, n_suspects; /* suspects: workers on destinations that fail */
    unsigned n_more;        /* lanes with `more` */
    struct idle_client *closing;
    bool stop, rewalk;
    int64_t next_due_ms;    /* real time: of the earliest row that is not due yet */
    int64_t rewalk_at_ms;   /* monotonic */
    struct outcome_counts counts;
    bool drained;
};

/* --- lane.c; all with the lock held --- */
/* NULL: no memory, or too many. */
struct lane *lane_find(struct queue *q, struct view route, bool make);
/* RC_EXISTS: in memory. RC_LIMIT: the lane or the queue is full (then lane->more is set, where there is a lane). */
enum rc lane_add(struct queue *q, struct view route, uint64_t rcpt, uint64_t message, int priority);
/* The next lane that may start a delivery, taken from its place and put last; NULL: none. */
struct lane *lane_next(struct queue *q);
/* Takes the first message's recipients off the lane. */
size_t lane_take(struct queue *q, struct lane *lane, uint64_t *message, uint64_t *rcpts, size_t max);
/* What was taken has left memory. */
void lane_forget(struct queue *q, struct lane *lane, const uint64_t *rcpts, size_t n);
/* What stands first is a report: with those of other destinations it gets a few workers only. */
bool lane_is_report(const struct lane *lane);
void lane_set_more(struct queue *q, struct lane *lane, bool more);
void lane_succeeded(struct queue *q, struct lane *lane);
void lane_failed(struct queue *q, struct lane *lane, const struct deliver_job *job);
struct smtp_client *lane_take_client(struct lane *lane);
void lane_keep_client(struct queue *q, struct lane *lane, struct smtp_client *client);
/* Moves connections that waited too long (all: every one) to q->closing and drops lanes of which nothing is left to know.
 * Gives the monotonic time of the next such work. */
int64_t lane_tidy(struct queue *q, bool all);
/* No lane rests any more. */
void lane_wake_all(struct queue *q);
void lane_free_all(struct queue *q);

/* --- others --- */
void *schedule_run(void *queue);
/* Starts a worker where there is work and room. With the lock held. */
void worker_summon(struct queue *q);
struct queue_snapshot *snapshot_get(struct queue *q);
void snapshot_put(struct queue *q, struct queue_snapshot *s);
void queue_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms);
/* With the lock held. */
void queue_note_due(struct queue *q, int64_t due_ms);
void queue_note_trouble(struct queue *q);

#endif
