/* queue: carries what store/mailq.h keeps: into mailboxes (queue/local.h) and to the MX hosts of other domains
 * (queue/route.h, smtp/client.h), with retries, delay notices and bounces (queue/outcome.h, queue/dsn.h).
 * RFC 5321 §4.5.4, RFC 3461, RFC 3464, RFC 2852, RFC 4865, RFC 6710.
 *
 * One thread waits for the next due time; workers, at most `workers`, each carry one destination's messages by plain
 * blocking code. A destination ("lane") is a route of mailq. It starts with LANE_WINDOW_FIRST deliveries at a time, one more for
 * each success up to `per_destination`, half after a failure; when its hosts cannot be reached it rests and its rows are put
 * off. Lanes that fail may hold half of the workers at most, and reports about others' mail (LANE_REPORTS) QUEUE_REPORTS_MAX. Memory holds at most QUEUE_ACTIVE_MAX recipients; all
 * others stay in the store and are met by indices when their turn comes, so that a million of them cost nothing. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "dns/dns.h"
#include "net/tls.h"
#include "policy/signer.h"
#include "store/mailq.h"

#define QUEUE_ACTIVE_MAX  20000 /* remote recipients in memory */
#define QUEUE_LANE_MAX    500   /* of them for one destination */
#define QUEUE_LANES_MAX   20000 /* destinations in memory */
#define QUEUE_REPORTS_MAX 4     /* deliveries of reports at once, to all destinations together */
#define LANE_WINDOW_FIRST 2
#define LANE_WINDOW_MAX   20
#define QUEUE_RETRY_MAX   32    /* steps of the retry schedule */

/* What the operator says of TLS to one destination. Anything but PUBLISHED stands before what the destination publishes. */
struct queue_destination {
    const char *domain;      /* in A-labels; "*.example.org": all below it */
    enum {
        DESTINATION_PUBLISHED, /* nothing */
        DESTINATION_OPTIONAL,  /* when offered, whatever it publishes */
        DESTINATION_LEGACY,    /* as above; TLS 1.0 and 1.1 will do */
        DESTINATION_ENCRYPTED, /* any certificate */
        DESTINATION_REQUIRED,  /* one that holds */
    } tls;
    const char *const *mx;   /* patterns as of MTA-STS: no other host gets its mail; none: any */
    size_t n_mx;
    const struct tls_record *records; /* keys and authorities of its own, in the form of TLSA; none: the known authorities */
    size_t n_records;
};
/* What became of one recipient; for those who want to know, beside the sender's notices. Views are borrowed during the call. */
struct queue_fate {
    enum { FATE_DELIVERED, FATE_DEFERRED, FATE_BOUNCED } kind;
    uint64_t message, account; /* account: who submitted it; 0: from outside */
    struct view sender, recipient;
    struct view status, reply, mx;
};
/* What is kept of it, in `a`; it comes into the store together with the result, or not at all. RC_TEMP: no memory. */
typedef enum rc (*queue_fate_fn)(void *ctx, const struct queue_fate *f, struct arena *a, struct mailq_event *out);
/* It is in the store now. */
typedef void (*queue_told_fn)(void *ctx, const struct mailq_event *e);
struct sts_cache;
struct tls_outcomes;
struct local_desk_mail; /* queue/local.h */
struct queue_settings {
    const char *hostname;            /* in EHLO, Reporting-MTA and addresses of bounces; an MX of this name is us */
    const struct addr *own;          /* our listening addresses on the outbound port: an MX host there is us */
    size_t n_own;
    struct addr bind4, bind6;        /* source addresses; len 0: the system's choice. One alone keeps us to its family */
    unsigned port;                   /* of MX hosts; 0: 25 */
    const char *relay_host;          /* NULL: by MX. Else everything goes there, TLS verified and logged in where a username is */
    unsigned relay_port;             /* 0: 587 */
    const char *relay_username, *relay_password;
    unsigned workers;                /* 0: 64 */
    unsigned per_destination;        /* deliveries to one destination at a time, at most; 0: LANE_WINDOW_MAX */
    unsigned local_workers;          /* 0: 2 */
    int64_t retry_ms[QUEUE_RETRY_MAX]; /* the last one is repeated; none: 1 min, 5 min, 15 min, 1 h, 4 h */
    size_t n_retry;
    int64_t delay_notice_ms;         /* 0: 4 h; negative: never */
    int64_t expire_ms;               /* 0: 5 d */
    /* A report (LANE_REPORTS) to this address failed for good. NULL: nobody wants to know. Must not block for long. */
    void (*report_failed)(void *ctx, struct view address, struct view why);
    void *report_ctx;
    enum rc (*desk)(void *ctx, const struct local_desk_mail *mail); /* reads reports of others; as it was at queue_new. NULL: nobody does */
    void *desk_ctx;
    queue_fate_fn fate; /* NULL: nobody is told. Both: any thread of the queue; must not block for long */
    queue_told_fn fate_told;
    void *fate_ctx;
    const struct queue_destination *destinations; /* the first one that fits counts */
    size_t n_destinations;
    struct sts_cache *sts;           /* policies of others (policy/sts_cache.h), borrowed; NULL: without */
    struct tls_outcomes *outcomes;   /* what TLS-RPT tells (policy/tls_outcomes.h), borrowed; NULL: nobody counts */
    size_t bounce_size_max;          /* a bounce has headers only of larger messages; 0: 1 MiB */
    struct signer *signer;           /* signs bounces and notices; NULL: they go unsigned */
};

struct queue;
/* Starts the threads and takes the store's wake function (mailq_set_wake). Settings are copied, store and resolver borrowed; of `tls`
 * it takes a reference. */
enum rc queue_new(const struct queue_settings *set, struct store *s, struct dns *dns, struct tls_client *tls,
                  struct queue **out);
/* Rows were changed by somebody else (`facteur queue flush`): look at all of them again; resting destinations are
 * tried at once. Never blocks. */
void queue_wake(struct queue *q);
/* New settings and trust anchors for deliveries that begin from now on. */
enum rc queue_reload(struct queue *q, const struct queue_settings *set, struct tls_client *tls);
/* Begins nothing new, ends deliveries under way (until the deadline, then their connections are cut) and settles what was delivered. */
void queue_drain(struct queue *q, int64_t deadline_ms);
void queue_free(struct queue *q); /* drains with no patience if not done; accepts NULL */

struct queue_counts {
    size_t lanes, active, workers, busy, local_pending;
    uint64_t delivered_local, delivered_remote, deferred, bounced;
};
void queue_count(struct queue *q, struct queue_counts *out);

#endif
