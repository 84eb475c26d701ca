#include "net/pool_limit.h"

#include <stdlib.h>

#include "crypto/random.h"

struct limit_entry {
    struct limit_entry *next;
    uint8_t key[16];
    unsigned n;
};

static size_t bucket_of(const struct limit_table *t, const uint8_t key[16])
{
    uint64_t half[2];
    memcpy(half, key, sizeof half);
    unsigned __int128 product = (unsigned __int128)(half[0] ^ t->seed[0]) * ((half[1] ^ t->seed[1]) | 1);
    return (size_t)((uint64_t)product ^ (uint64_t)(product >> 64)) & (t->n_buckets - 1);
}

/* Doubles the buckets once there are as many addresses. Where there is no memory the lists just get longer.
 */
static void grow(struct limit_table *t)
{
    struct limit_table bigger = *t;
    bigger.n_buckets = t->n_buckets > 0 ? t->n_buckets * 2 : 64;
    bigger.buckets = calloc(bigger.n_buckets, sizeof(struct limit_entry *));
    if (!bigger.buckets)
        return;
    for (size_t i = 0; i < t->n_buckets; i++)
        for (struct limit_entry *e = t->buckets[i], *next; e; e = next) {
            struct limit_entry **to = &bigger.buckets[bucket_of(&bigger, e->key)];
            next = e->next;
            e->next = *to;
            *to = e;
        }
    free(t->buckets);
    *t = bigger;
}

static struct limit_entry **find(struct limit_table *t, const uint8_t key[16])
{
    struct limit_entry **at = &t->buckets[bucket_of(t, key)];
    while (*at && memcmp((*at)->key, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

void limit_init(struct limit_table *t)
{
    *t = (struct limit_table){0};
    random_bytes(t->seed, sizeof t->seed);
}

void limit_clear(struct limit_table *t)
{
    for (size_t i = 0; i < t->n_buckets; i++)
        for (struct limit_entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            free(e);
        }
    free(t->buckets);
    limit_init(t);
}

enum rc limit_add(struct limit_table *t, const struct addr *a, unsigned max)
{
    uint8_t key[16];
    addr_rate_key(a, key);
    if (t->n >= t->n_buckets)
        grow(t);
    if (t->n_buckets == 0)
        return RC_TEMP;
    struct limit_entry **at = find(t, key);
    if (*at && (*at)->n >= max)
        return RC_LIMIT;
    if (!*at) {
        if (max == 0)
            return RC_LIMIT;
        if (!(*at = calloc(1, sizeof **at)))
            return RC_TEMP;
        memcpy((*at)->key, key, sizeof key);
        t->n++;
    }
    (*at)->n++;
    return RC_OK;
}

void limit_drop(struct limit_table *t, const struct addr *a)
{
    uint8_t key[16];
    addr_rate_key(a, key);
    struct limit_entry **at = find(t, key), *e = *at;
    bug_if(!e);
    if (--e->n > 0)
        return;
    *at = e->next;
    t->n--;
    free(e);
}
