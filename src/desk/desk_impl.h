/* desk/desk_impl: what the files of the desk share.
 *     desk.c     life; whose address it is
 *     intake.c   reports on their way into the ledger */
#ifndef DESK_DESK_IMPL_H
#define DESK_DESK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "desk/desk.h"

struct desk {
    struct store *store;
    struct psl_list *psl;   /* NULL: there is none */
    atomic_bool stop;
    pthread_rwlock_t lock;  /* guards all below; held for reading while a report is read */
    struct desk_settings set;
    struct arena mem;       /* of set */
    struct senders *senders;
};

/* The signs of one row of a report, best first: whose domain SPF passed for, whose signatures held. */
struct desk_signs {
    struct view spf;         /* empty: SPF did not pass */
    const struct view *dkim; /* domains of signatures that held */
    size_t n_dkim;
};
/* With the lock. */
enum rc desk_source_of(struct desk *d, struct view ip, const struct desk_signs *signs, struct arena *a, struct ledger_name *out);

#endif
