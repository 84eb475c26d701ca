#include "policy/tls_outcomes.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define OUTCOMES_ARENA (32u << 20)
#define DAY_S          86400

/* What was counted since the last flush. */
struct tally {
    struct arena arena;
    struct tlsrpt_outcome list[TLS_OUTCOMES_MAX];
    size_t n;
};
struct tls_outcomes {
    struct store *store;
    pthread_mutex_t lock; /* guards now */
    struct tally *now;
};

static struct tally *tally_new(void)
{
    struct tally *t = calloc(1, sizeof *t);
    if (t)
        arena_init(&t->arena, OUTCOMES_ARENA);
    return t;
}

static void tally_free(struct tally *t)
{
    if (!t)
        return;
    arena_clear(&t->arena);
    free(t);
}

enum rc tls_outcomes_new(struct store *s, struct tls_outcomes **out)
{
    struct tls_outcomes *t = calloc(1, sizeof *t);
    if (!t || !(t->now = tally_new())) {
        free(t);
        return RC_TEMP;
    }
    t->store = s;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return RC_OK;
}

static bool is_same(const struct tlsrpt_outcome *a, const struct tlsrpt_outcome *b)
{
    return a->day == b->day && a->type == b->type && a->result == b->result && view_eq(a->domain, b->domain) &&
           view_eq(a->host, b->host) && view_eq(a->sent_from, b->sent_from) && view_eq(a->sent_to, b->sent_to) &&
           view_eq(a->reason, b->reason) && view_eq(a->policy, b->policy) && view_eq(a->mx, b->mx);
}

/* False: no room. */
static bool count(struct tally *t, const struct tlsrpt_outcome *o)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!is_same(&t->list[i], o))
            continue;
        t->list[i].sessions++;
        return true;
    }
    if (t->n == TLS_OUTCOMES_MAX)
        return false;
    struct tlsrpt_outcome *fresh = &t->list[t->n];
    *fresh = *o;
    fresh->sessions = 1;
    struct view *texts[] = {&fresh->domain, &fresh->policy, &fresh->mx, &fresh->host, &fresh->sent_from, &fresh->sent_to, &fresh->reason};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (view_dup(&t->arena, *texts[i], texts[i]) != RC_OK)
            return false;
    t->n++;
    return true;
}

void tls_outcomes_note(struct tls_outcomes *t, const struct tlsrpt_outcome *o)
{
    struct tlsrpt_outcome today = *o;
    today.day = clock_real_s() / DAY_S;
    pthread_mutex_lock(&t->lock);
    bool done = count(t->now, &today);
    pthread_mutex_unlock(&t->lock);
    if (done)
        return;
    tls_outcomes_flush(t);
    pthread_mutex_lock(&t->lock);
    count(t->now, &today);
    pthread_mutex_unlock(&t->lock);
}

void tls_outcomes_flush(struct tls_outcomes *t)
{
    struct tally *fresh = tally_new();
    if (!fresh)
        return;
    pthread_mutex_lock(&t->lock);
    struct tally *full = t->now;
    t->now = fresh;
    pthread_mutex_unlock(&t->lock);
    enum rc rc = tlsrpt_add(t->store, full->list, full->n);
    if (rc != RC_OK)
        log_warn("tlsrpt.failed", F_INT("outcomes", full->n), F_CSTR("reason", rc_name(rc)));
    tally_free(full);
}

void tls_outcomes_free(struct tls_outcomes *t)
{
    if (!t)
        return;
    tls_outcomes_flush(t);
    tally_free(t->now);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
