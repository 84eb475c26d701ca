/* libunbound's own thread resolves; one of ours takes its answers and wakes those who asked. Whoever asks what is being asked
 * already waits for the same answer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

#include "base/log.h"
#include "dns/ask.h"

#define PENDING_BUCKETS 1024

struct unbound_ask {
    struct unbound *owner;
    struct unbound_ask *next, **prev; /* of those under way, in one bucket */
    struct view name;                 /* the bytes follow this struct */
    enum dns_type type;
    unsigned n_waiting; /* none: whoever takes the answer frees it */
    pthread_cond_t answered;
    bool done;
    int err;                  /* this and the next do not change once it is done */
    struct ub_result *result;
};

struct unbound {
    struct ub_ctx *ctx;
    struct dns_cache *cache;
    pthread_t reader;
    bool has_reader;
    int stop[2]; /* a pipe: closing [1] ends the reader */
    pthread_mutex_t lock; /* guards all below and every unbound_ask */
    struct unbound_ask *pending[PENDING_BUCKETS];
    size_t n_pending;
    uint32_t keep_s; /* 0: as the records say */
};

/* Names that libunbound answers by itself as not existing, and which servers that we were told to ask may serve. */
static const char *const builtin_zones[] = {"test.", "invalid.", "localhost.", "home.arpa.", "127.in-addr.arpa.",
                                            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."};

/* By name without case, and type (FNV-1a): a bucket that strangers fill has at most DNS_PENDING_MAX entries. */
static struct unbound_ask **bucket_of(struct unbound *u, struct view name, enum dns_type type)
{
    uint32_t hash = 2166136261u ^ (uint32_t)type;
    for (size_t i = 0; i < name.n; i++)
        hash = (hash ^ (uint32_t)to_lower((unsigned char)name.p[i])) * 16777619u;
    return &u->pending[(hash ^ hash >> 16) % PENDING_BUCKETS];
}

static struct unbound_ask *ask_new(struct unbound *u, struct view name, enum dns_type type)
{
    struct unbound_ask *ask = calloc(1, sizeof *ask + name.n);
    pthread_condattr_t attr;
    if (!ask)
        return NULL;
    ask->owner = u;
    ask->type = type;
    ask->name = view_of(memcpy(ask + 1, name.p, name.n), name.n);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ask->answered, &attr);
    pthread_condattr_destroy(&attr);
    return ask;
}

static void ask_free(struct unbound_ask *ask)
{
    ub_resolve_free(ask->result);
    pthread_cond_destroy(&ask->answered);
    free(ask);
}

/* An answer as libunbound has it, and room for what it lacks. */
struct found {
    struct dns_answer answer;
    struct view rdata[DNS_RDATA_MAX];
    char canonical[DNS_NAME_MAX * 4];
};

/* *out borrows from the result. */
static void read_result(int err, const struct ub_result *r, struct found *out)
{
    struct dns_answer *answer = &out->answer;
    *answer = (struct dns_answer){.status = DNS_TEMP};
    if (err != 0 || !r) {
        answer->why = err ? ub_strerror(err) : "no answer";
        return;
    }
    answer->secure = r->secure;
    answer->ttl_s = r->ttl > 0 ? (uint32_t)r->ttl : 0;
    if (r->bogus) {
        answer->status = DNS_BOGUS;
        answer->why = r->why_bogus ? r->why_bogus : "signatures do not hold";
        return;
    }
    struct view canonical = view_str(r->canonname);
    if (canonical.n > 1 && view_ends(canonical, VIEW(".")))
        canonical.n--;
    if (r->canonname && !view_ieq(view_str(r->canonname), view_str(r->qname)) && canonical.n <= sizeof out->canonical) {
        for (size_t i = 0; i < canonical.n; i++)
            out->canonical[i] = (char)to_lower((unsigned char)canonical.p[i]);
        answer->canonical = view_of(out->canonical, canonical.n);
    }
    if (r->havedata) {
        answer->status = DNS_OK;
        answer->rdata = out->rdata;
        while (answer->n < DNS_RDATA_MAX && r->data[answer->n]) {
            out->rdata[answer->n] = view_of(r->data[answer->n], (size_t)r->len[answer->n]);
            answer->n++;
        }
        return;
    }
    answer->status = r->nxdomain ? DNS_NXDOMAIN : r->rcode == 0 ? DNS_NODATA : DNS_TEMP;
    if (answer->status == DNS_TEMP)
        answer->why = r->rcode == 2 ? "the name servers fail (SERVFAIL)" : "the name servers refuse to answer";
}

static enum rc copy_answer(const struct dns_answer *from, struct arena *a, struct dns_answer *out)
{
    struct view *rdata = arena_new_array(a, from->n, struct view);
    char *why = from->why ? arena_printf(a, "%.200s", from->why) : NULL;
    if (!rdata || (from->why && !why) || view_dup(a, from->canonical, &out->canonical) != RC_OK)
        return RC_TEMP;
    for (size_t i = 0; i < from->n; i++)
        if (view_dup(a, from->rdata[i], &rdata[i]) != RC_OK)
            return RC_TEMP;
    struct view canonical = out->canonical;
    *out = *from;
    out->canonical = canonical;
    out->rdata = rdata;
    out->why = why;
    return RC_OK;
}

/* libunbound calls it inside ub_process, on the reader's thread. */
static void take_answer(void *arg, int err, struct ub_result *result)
{
    struct unbound_ask *ask = arg;
    struct unbound *u = ask->owner;
    struct found found;
    read_result(err, result, &found);
    if (u->keep_s > 0 && found.answer.ttl_s > u->keep_s)
        found.answer.ttl_s = u->keep_s;
    dns_cache_put(u->cache, ask->name, ask->type, clock_mono_ms(), &found.answer);
    pthread_mutex_lock(&u->lock);
    ask->err = err;
    ask->result = result;
    ask->done = true;
    *ask->prev = ask->next;
    if (ask->next)
        ask->next->prev = ask->prev;
    u->n_pending--;
    bool unwanted = ask->n_waiting == 0;
    pthread_cond_broadcast(&ask->answered);
    pthread_mutex_unlock(&u->lock);
    if (unwanted)
        ask_free(ask);
}

static void *read_answers(void *arg)
{
    struct unbound *u = arg;
    struct pollfd fds[2] = {{.fd = ub_fd(u->ctx), .events = POLLIN}, {.fd = u->stop[0], .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            break;
        if (fds[0].revents) {
            int err = ub_process(u->ctx);
            if (err != 0) {
                log_error("dns.failed", F_CSTR("reason", ub_strerror(err)));
                break;
            }
        }
    }
    return NULL;
}

/* "127.0.0.1:5300" as libunbound writes it: "127.0.0.1@5300". */
static bool set_server(struct ub_ctx *ctx, const char *text)
{
    struct addr addr;
    char ip[ADDR_TEXT_MAX], fwd[ADDR_TEXT_MAX + 8];
    if (addr_parse(view_str(text), &addr) != RC_OK && addr_parse_ip(view_str(text), 53, &addr) != RC_OK)
        return false;
    addr_write_ip(&addr, ip);
    snprintf(fwd, sizeof fwd, "%s@%u", ip, addr_port(&addr));
    return ub_ctx_set_fwd(ctx, fwd) == 0;
}

static enum rc configure(struct ub_ctx *ctx, const struct dns_settings *set, const char **why)
{
    static const char *const options[][2] = {
        {"infra-keep-probing:", "yes"}, /* a server that comes back is used again at once */
        {"infra-host-ttl:", "60"},
        {"cache-max-negative-ttl:", "300"},
        {"outgoing-range:", "2048"}, /* questions to servers at once; a library asks 16 by default, and the others wait */
        {"num-queries-per-thread:", "4096"}, /* DNS_PENDING_MAX */
    };
    static const char *const lab_options[][2] = {
        {"do-not-query-localhost:", "no"}, {"unblock-lan-zones:", "yes"}, {"insecure-lan-zones:", "yes"}};
    int err = ub_ctx_async(ctx, 1);
    for (size_t i = 0; i < sizeof options / sizeof *options && err == 0; i++)
        err = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
    char keep[16];
    snprintf(keep, sizeof keep, "%u", set->keep_s);
    if (set->keep_s > 0 && err == 0)
        err = ub_ctx_set_option(ctx, "cache-max-ttl:", keep);
    if (set->keep_s > 0 && err == 0)
        err = ub_ctx_set_option(ctx, "cache-max-negative-ttl:", keep);
    for (size_t i = 0; i < sizeof lab_options / sizeof *lab_options && err == 0 && set->n_servers > 0; i++)
        err = ub_ctx_set_option(ctx, lab_options[i][0], lab_options[i][1]);
    if (err != 0) {
        *why = ub_strerror(err);
        return RC_TEMP;
    }
    for (size_t i = 0; i < set->n_servers; i++) {
        if (!set_server(ctx, set->servers[i])) {
            *why = "a name server's address cannot be read";
            return RC_SYNTAX;
        }
    }
    if (set->n_servers == 0 && ub_ctx_resolvconf(ctx, NULL) != 0) {
        *why = "/etc/resolv.conf cannot be read";
        return RC_TEMP;
    }
    const char *anchor = set->trust_anchor;
    if (!anchor && set->n_servers == 0 && access(DNS_ROOT_KEY, R_OK) == 0)
        anchor = DNS_ROOT_KEY;
    if (anchor && (access(anchor, R_OK) != 0 || ub_ctx_add_ta_file(ctx, anchor) != 0)) {
        *why = "the trust anchor's file cannot be read";
        return RC_SYNTAX;
    }
    /* This ends the configuration: the anchor is parsed here. */
    for (size_t i = 0; i < sizeof builtin_zones / sizeof *builtin_zones && set->n_servers > 0; i++) {
        if (ub_ctx_zone_remove(ctx, builtin_zones[i]) != 0) {
            *why = "the trust anchor's file cannot be read";
            return RC_SYNTAX;
        }
    }
    return RC_OK;
}

enum rc unbound_new(const struct dns_settings *set, struct dns_cache *cache, struct unbound **out, const char **why)
{
    struct unbound *u = calloc(1, sizeof *u);
    enum rc rc = RC_TEMP;
    *why = "out of memory";
    if (!u)
        return RC_TEMP;
    u->cache = cache;
    u->keep_s = set->keep_s;
    u->stop[0] = u->stop[1] = -1;
    pthread_mutex_init(&u->lock, NULL);
    u->ctx = ub_ctx_create();
    if (!u->ctx)
        goto done;
    ub_ctx_debuglevel(u->ctx, 0);
    rc = configure(u->ctx, set, why);
    if (rc != RC_OK)
        goto done;
    rc = RC_TEMP;
    *why = "no thread or pipe for the resolver";
    if (pipe2(u->stop, O_CLOEXEC) != 0)
        goto done;
    u->has_reader = pthread_create(&u->reader, NULL, read_answers, u) == 0;
    if (u->has_reader)
        rc = RC_OK;
done:
    if (rc == RC_OK)
        *out = u;
    else
        unbound_free(u);
    return rc;
}

void unbound_free(struct unbound *u)
{
    if (!u)
        return;
    if (u->stop[1] >= 0)
        close(u->stop[1]);
    if (u->has_reader)
        pthread_join(u->reader, NULL);
    if (u->stop[0] >= 0)
        close(u->stop[0]);
    if (u->ctx)
        ub_ctx_delete(u->ctx);
    for (size_t i = 0; i < PENDING_BUCKETS; i++) {
        for (struct unbound_ask *ask = u->pending[i], *next; ask; ask = next) { /* nobody waits */
            next = ask->next;
            ask_free(ask);
        }
    }
    pthread_mutex_destroy(&u->lock);
    free(u);
}

/* The question, under way already or from now on; with `waits`, the caller is one more who waits for it. NULL: there are
 * n_max under way, or no memory. Without `waits` what it gives is not to be touched. */
static struct unbound_ask *join(struct unbound *u, struct view name, enum dns_type type, size_t n_max, bool waits)
{
    struct unbound_ask *fresh = ask_new(u, name, type), *ask;
    if (!fresh)
        return NULL;
    pthread_mutex_lock(&u->lock);
    struct unbound_ask **bucket = bucket_of(u, name, type);
    for (ask = *bucket; ask; ask = ask->next)
        if (ask->type == type && view_ieq(ask->name, name))
            break;
    bool is_new = !ask && u->n_pending < n_max;
    if (is_new) {
        ask = fresh;
        ask->next = *bucket;
        ask->prev = bucket;
        if (ask->next)
            ask->next->prev = &ask->next;
        *bucket = ask;
        u->n_pending++;
    }
    if (ask)
        ask->n_waiting += waits;
    pthread_mutex_unlock(&u->lock);
    if (!is_new) {
        ask_free(fresh);
        return ask;
    }
    /* The answer may come before this call returns, and then free a question for which nobody waits. */
    int err = ub_resolve_async(u->ctx, name.p, (int)type, 1, ask, take_answer, NULL);
    if (err != 0)
        take_answer(ask, err, NULL);
    return ask;
}

struct unbound_ask *unbound_start(struct unbound *u, const char *name, enum dns_type type)
{
    return join(u, view_str(name), type, DNS_PENDING_MAX, true);
}

void unbound_prefetch(struct unbound *u, const char *name, enum dns_type type)
{
    join(u, view_str(name), type, DNS_PENDING_MAX / 2, false);
}

void unbound_finish(struct unbound *u, struct unbound_ask *ask, int64_t deadline_ms, struct arena *a,
                    struct dns_answer *out)
{
    struct timespec ts = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    struct found found;
    *out = (struct dns_answer){.status = DNS_TEMP, .why = "the name servers do not answer"};
    pthread_mutex_lock(&u->lock);
    while (!ask->done && pthread_cond_timedwait(&ask->answered, &u->lock, &ts) == 0)
        ;
    bool late = !ask->done;
    if (late)
        ask->n_waiting--;
    pthread_mutex_unlock(&u->lock);
    if (late)
        return;
    read_result(ask->err, ask->result, &found);
    if (copy_answer(&found.answer, a, out) != RC_OK)
        *out = (struct dns_answer){.status = DNS_TEMP, .why = "no memory for the answer"};
    pthread_mutex_lock(&u->lock);
    bool last = --ask->n_waiting == 0;
    pthread_mutex_unlock(&u->lock);
    if (last)
        ask_free(ask);
}
