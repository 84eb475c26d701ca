#include "queue/hosts.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

struct host {
    struct addr addr;
    int64_t until_ms;
};
struct hosts {
    pthread_mutex_t lock; /* guards slots */
    struct host slots[HOSTS_SLOTS];
};

static size_t slot_of(const struct addr *a)
{
    uint8_t key[16];
    uint64_t h = addr_port(a);
    addr_rate_key(a, key);
    for (size_t i = 0; i < sizeof key; i++)
        h = (h ^ key[i]) * 0x100000001b3u;
    return (size_t)(h % HOSTS_SLOTS);
}

static bool is_same(const struct addr *a, const struct addr *b)
{
    return b->len > 0 && addr_port(a) == addr_port(b) && addr_eq_ip(a, b);
}

enum rc hosts_new(struct hosts **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return RC_TEMP;
    pthread_mutex_init(&(*out)->lock, NULL);
    return RC_OK;
}

void hosts_free(struct hosts *h)
{
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void hosts_failed(struct hosts *h, const struct addr *a, int64_t rest_ms)
{
    pthread_mutex_lock(&h->lock);
    h->slots[slot_of(a)] = (struct host){*a, deadline_in(rest_ms)};
    pthread_mutex_unlock(&h->lock);
}

bool hosts_is_dead(struct hosts *h, const struct addr *a)
{
    pthread_mutex_lock(&h->lock);
    const struct host *host = &h->slots[slot_of(a)];
    bool dead = is_same(a, &host->addr) && clock_mono_ms() < host->until_ms;
    pthread_mutex_unlock(&h->lock);
    return dead;
}

void hosts_forget(struct hosts *h)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < HOSTS_SLOTS; i++)
        h->slots[i].until_ms = 0;
    pthread_mutex_unlock(&h->lock);
}
