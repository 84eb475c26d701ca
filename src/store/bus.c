#include "store/bus.h"

#include <stdlib.h>

#include "store/store_internal.h"

#define BUCKETS 1024 /* power of two */

struct bus {
    pthread_mutex_t mutex; /* guards all below, and fn calls run under it */
    struct bus_watch *buckets[BUCKETS];
    bus_fn forward;
    void *forward_ctx;
};

enum rc bus_open(struct bus **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return RC_TEMP;
    pthread_mutex_init(&(*out)->mutex, NULL);
    return RC_OK;
}

void bus_close(struct bus *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

/* Account ids are given out in a row, so their low bits spread well. */
static struct bus_watch **bucket_of(struct bus *b, uint64_t account)
{
    return &b->buckets[account & (BUCKETS - 1)];
}

void bus_watch(struct store *s, struct bus_watch *w)
{
    struct bus *b = s->bus;

    pthread_mutex_lock(&b->mutex);
    struct bus_watch **head = bucket_of(b, w->account);
    w->next = *head;
    w->prev = head;
    if (w->next)
        w->next->prev = &w->next;
    *head = w;
    pthread_mutex_unlock(&b->mutex);
}

void bus_unwatch(struct store *s, struct bus_watch *w)
{
    pthread_mutex_lock(&s->bus->mutex);
    if (w->prev) {
        *w->prev = w->next;
        if (w->next)
            w->next->prev = w->prev;
        w->next = NULL;
        w->prev = NULL;
    }
    pthread_mutex_unlock(&s->bus->mutex);
}

static void tell_watchers(struct bus *b, uint64_t account, uint64_t folder)
{
    for (struct bus_watch *w = *bucket_of(b, account); w; w = w->next) {
        if (w->account == account && (w->folder == 0 || folder == 0 || w->folder == folder))
            w->fn(w->ctx, account, folder);
    }
}

void bus_publish(struct store *s, uint64_t account, uint64_t folder)
{
    struct bus *b = s->bus;

    pthread_mutex_lock(&b->mutex);
    tell_watchers(b, account, folder);
    if (b->forward)
        b->forward(b->forward_ctx, account, folder);
    pthread_mutex_unlock(&b->mutex);
}

void bus_set_forward(struct store *s, bus_fn forward, void *ctx)
{
    pthread_mutex_lock(&s->bus->mutex);
    s->bus->forward = forward;
    s->bus->forward_ctx = ctx;
    pthread_mutex_unlock(&s->bus->mutex);
}

void bus_receive(struct store *s, uint64_t account, uint64_t folder)
{
    pthread_mutex_lock(&s->bus->mutex);
    tell_watchers(s->bus, account, folder);
    pthread_mutex_unlock(&s->bus->mutex);
}
