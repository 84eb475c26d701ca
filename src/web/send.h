/* web/send: a message that is in memory goes the way of every submission: signed, kept, queued (store/mailq.h). I/O: store, vault. */
#ifndef WEB_SEND_H
#define WEB_SEND_H

#include "store/mailq.h"
#include "web/web.h"

struct send {
    uint64_t account;
    struct view sender;     /* of the envelope */
    struct view peer;       /* for the log */
    struct view message;    /* 7 bits, lines ended by CRLF */
    const struct view *to;  /* envelope recipients, each once */
    size_t n_to;
    uint64_t unique;        /* random: the Received field's id */
};
/* Queues it. *id: its number. RC_NOTFOUND: to[*bad] is an address of ours that does not exist, or leads nowhere. RC_DENIED: it is no
 * address that mail can be sent to. RC_LIMIT: it leads to too many. RC_TEMP, RC_FULL: later. */
enum rc send_queue(const struct web_settings *set, const struct send *x, struct arena *a, uint64_t *id, size_t *bad);

#endif
