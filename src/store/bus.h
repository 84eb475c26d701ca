/* store/bus: who wants to know that an account's mailbox changed. Fed after commit by every protocol, in every process:
 * app/ joins the processes' buses by a datagram socket pair. Any thread. */
#ifndef STORE_BUS_H
#define STORE_BUS_H

#include "store/store.h"

/* Called with the bus locked: must be quick, must not call the bus; pool_wake is meant. */
typedef void (*bus_fn)(void *ctx, uint64_t account, uint64_t folder);
struct bus_watch {
    uint64_t account, folder; /* folder 0: any */
    bus_fn fn;
    void *ctx;
    struct bus_watch *next, **prev; /* the bus's own; the struct lives in the watcher: no allocation */
};
void bus_watch(struct store *s, struct bus_watch *w);
/* After it returns fn is not running and will not be called. Accepts one that is not watching (zeroed). */
void bus_unwatch(struct store *s, struct bus_watch *w);
/* mailbox.c calls it after each commit. folder 0: the account as a whole (it may be gone). */
void bus_publish(struct store *s, uint64_t account, uint64_t folder);

/* The other process: `forward` gets each local publication (not to block); what comes from there goes to bus_receive. */
void bus_set_forward(struct store *s, bus_fn forward, void *ctx);
void bus_receive(struct store *s, uint64_t account, uint64_t folder);

#endif
