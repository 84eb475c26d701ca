/* net/pool_limit: how many connections each address has now. Inside net/pool; guarded by its lock. */
#ifndef NET_POOL_LIMIT_H
#define NET_POOL_LIMIT_H

#include "net/addr.h"

struct limit_entry;
struct limit_table {
    struct limit_entry **buckets;
    size_t n, n_buckets;
    uint64_t seed[2]; /* so that nobody can choose addresses that share a bucket */
};

void limit_init(struct limit_table *t);
void limit_clear(struct limit_table *t);
/* One more for this address (by addr_rate_key). RC_LIMIT: it has max already; RC_TEMP: no memory. */
enum rc limit_add(struct limit_table *t, const struct addr *a, unsigned max);
/* One less. Only after limit_add said RC_OK for the same address. */
void limit_drop(struct limit_table *t, const struct addr *a);

#endif
