/* trail/trace: what became of a message, from the connection to the folder: its lines of the kept log, put together. Lines of a client's
 * session bear `sid`, and `n` for its n-th message; lines of the queue bear `id`; "smtp.message.accepted" has both.
 * Two passes: the first finds messages that fit, newest first, the second gathers their lines. I/O: files. */
#ifndef TRAIL_TRACE_H
#define TRAIL_TRACE_H

#include "trail/trail.h"

#define TRACE_LIMIT_MAX   200         /* messages */
#define TRACE_STEPS_MAX   400         /* of one message */
#define TRACE_SESSION_MS  (15 * 60000) /* a login may stand so long before its message */

struct trace_query {
    struct view sender, recipient; /* part of the address; empty: any */
    struct view id;                /* of the queue, of the session, or SESSION.N as in Received; empty: any */
    struct view domain;            /* set: as its owner may see it */
    int64_t from_ms, to_ms;        /* 0: any */
    size_t limit;
    uint64_t budget;               /* bytes of the log that each pass looks at; 0: all of them */
};
enum trace_result { TRACE_REFUSED, TRACE_ACCEPTED, TRACE_DEFERRED, TRACE_DELIVERED, TRACE_BOUNCED, TRACE_REMOVED };
struct trace {
    uint64_t id, session; /* 0: not known */
    uint64_t n;           /* message of the session */
    struct view sender, peer;
    struct view *recipients;
    size_t n_recipients;
    int64_t began_ms;
    enum trace_result result;
    struct trail_line *steps; /* the oldest first */
    size_t n_steps;
    bool is_part;         /* of `domain` are only some recipients: trace_hides */
};
/* *out, from the arena, the newest first; what it borrows lives as long as the trail. *older_ms: older ones may be found with this as to_ms
 * (one that was under way just then perhaps again); 0: there are none. RC_SYNTAX: `id` is none. */
enum rc trace_find(struct trail *t, const struct trace_query *q, struct arena *a, struct trace **out, size_t *n, int64_t *older_ms);
const char *trace_result_name(enum trace_result r); /* "delivered" */
/* A field that tells of others than the owner of `domain`, who sees the trace in part. */
bool trace_hides(struct view field);

#endif
