#include "desk/naming.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define ARENA_MAX (4u << 20)

struct naming {
    struct desk *desk;
    struct store *store;
    struct dns *dns;
    const struct country_file *countries;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    bool stop, wanted;
    int64_t again_s; /* when those without an answer are asked for once more */
};

static bool address_of(struct view ip, struct addr *out)
{
    char text[INET6_ADDRSTRLEN];
    return (ip.n == 4 || ip.n == 16) && inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof text) &&
           addr_parse_ip(view_str(text), 0, out) == RC_OK;
}

/* The first of its names that leads back to it. RC_TEMP: the DNS does not say. */
static enum rc find_host(struct naming *n, const struct addr *ip, struct arena *a, struct view *host)
{
    struct dns_answer answer;
    struct view *names = NULL;
    size_t n_names = 0;
    const int64_t deadline = deadline_in(NAMING_ASK_MS);
    bool unknown = false;
    *host = VIEW("");
    enum dns_status status = dns_ptr(n->dns, ip, deadline, a, &answer, &names, &n_names);
    if (status != DNS_OK)
        return status >= DNS_TEMP ? RC_TEMP : RC_OK;
    for (size_t i = 0; i < n_names && i < 4; i++) {
        struct addr *addrs = NULL;
        size_t n_addrs = 0;
        unknown |= dns_addrs(n->dns, names[i], 0, deadline, a, &answer, &addrs, &n_addrs) >= DNS_TEMP;
        for (size_t k = 0; k < n_addrs; k++)
            if (addr_eq_ip(&addrs[k], ip)) {
                *host = names[i];
                return RC_OK;
            }
    }
    return unknown ? RC_TEMP : RC_OK;
}

static enum rc name_one(struct naming *n, struct view ip)
{
    struct ledger_name source = {0};
    struct view host = VIEW("");
    struct addr addr;
    struct arena a;
    arena_init(&a, ARENA_MAX);
    enum rc found = address_of(ip, &addr) ? find_host(n, &addr, &a, &host) : RC_OK;
    enum rc rc = desk_name_address(n->desk, ip, host, &a, &source);
    if (rc == RC_OK)
        rc = ledger_named(n->store, ip, host, country_of(n->countries, ip), &source, found != RC_OK);
    arena_clear(&a);
    return rc;
}

static bool is_stopped(struct naming *n)
{
    pthread_mutex_lock(&n->lock);
    bool stop = n->stop;
    pthread_mutex_unlock(&n->lock);
    return stop;
}

/* As long as there are addresses without a name. */
static void name_all(struct naming *n)
{
    struct arena a;
    struct view *ips;
    size_t n_ips = NAMING_BATCH;
    arena_init(&a, 65536);
    while (n_ips == NAMING_BATCH && !is_stopped(n)) {
        struct addr addr;
        arena_reset(&a);
        enum rc rc = ledger_unnamed(n->store, NAMING_BATCH, &a, &ips, &n_ips);
        for (size_t i = 0; i < n_ips && rc == RC_OK; i++) /* all at once, then one after another */
            if (address_of(ips[i], &addr))
                dns_prefetch_ptr(n->dns, &addr);
        for (size_t i = 0; i < n_ips && rc == RC_OK && !is_stopped(n); i++)
            rc = name_one(n, ips[i]);
        if (rc != RC_OK)
            break; /* the store has said why; later */
    }
    arena_clear(&a);
}

static void ask_again(struct naming *n)
{
    const int64_t now = clock_real_s();
    if (now < n->again_s)
        return;
    if (n->again_s > 0)
        ledger_unnamed_again(n->store);
    n->again_s = now + LEDGER_DAY_S;
}

static void *run(void *arg)
{
    struct naming *n = arg;
    pthread_mutex_lock(&n->lock);
    while (!n->stop) {
        n->wanted = false;
        pthread_mutex_unlock(&n->lock);
        ask_again(n);
        name_all(n);
        pthread_mutex_lock(&n->lock);
        const int64_t until = deadline_in(NAMING_IDLE_MS);
        const struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
        while (!n->stop && !n->wanted && clock_mono_ms() < until)
            pthread_cond_timedwait(&n->wake, &n->lock, &ts);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

enum rc naming_new(struct desk *d, struct store *s, struct dns *dns, const struct country_file *countries, struct naming **out)
{
    struct naming *n = calloc(1, sizeof *n);
    pthread_condattr_t attr;
    if (!n)
        return RC_TEMP;
    *n = (struct naming){.desk = d, .store = s, .dns = dns, .countries = countries};
    pthread_mutex_init(&n->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&n->wake, &attr);
    pthread_condattr_destroy(&attr);
    n->running = pthread_create(&n->thread, NULL, run, n) == 0;
    if (!n->running) {
        naming_free(n);
        return RC_TEMP;
    }
    *out = n;
    return RC_OK;
}

void naming_wake(struct naming *n)
{
    pthread_mutex_lock(&n->lock);
    n->wanted = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
}

void naming_free(struct naming *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
    if (n->running)
        pthread_join(n->thread, NULL);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->lock);
    free(n);
}
