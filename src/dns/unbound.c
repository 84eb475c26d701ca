/* libunbound's own thread resolves; one of ours takes its answers and wakes those who asked. */
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

struct unbound_ask {
    struct unbound *owner;
    struct unbound_ask *next, **prev; /* of those under way */
    bool done, abandoned;
    int err;
    struct ub_result *result;
};

struct unbound {
    struct ub_ctx *ctx;
    pthread_t reader;
    bool has_reader;
    int stop[2]; /* a pipe: closing [1] ends the reader */
    pthread_mutex_t lock; /* guards all below and every unbound_ask */
    pthread_cond_t answered;
    struct unbound_ask *pending;
    size_t n_pending;
};

/* Names that libunbound answers by itself as not existing, and which servers that we were told to ask may serve. */
static const char *const builtin_zones[] = {"test.", "invalid.", "localhost.", "home.arpa.", "127.in-addr.arpa.",
                                            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."};

/* libunbound calls it inside ub_process, on the reader's thread. */
static void take_answer(void *arg, int err, struct ub_result *result)
{
    struct unbound_ask *ask = arg;
    struct unbound *u = ask->owner;
    pthread_mutex_lock(&u->lock);
    ask->err = err;
    ask->result = result;
    ask->done = true;
    *ask->prev = ask->next;
    if (ask->next)
        ask->next->prev = ask->prev;
    u->n_pending--;
    if (ask->abandoned) {
        ub_resolve_free(result);
        free(ask);
    }
    pthread_cond_broadcast(&u->answered);
    pthread_mutex_unlock(&u->lock);
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
    };
    static const char *const lab_options[][2] = {
        {"do-not-query-localhost:", "no"}, {"unblock-lan-zones:", "yes"}, {"insecure-lan-zones:", "yes"}};
    int err = ub_ctx_async(ctx, 1);
    for (size_t i = 0; i < sizeof options / sizeof *options && err == 0; i++)
        err = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
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

enum rc unbound_new(const struct dns_settings *set, struct unbound **out, const char **why)
{
    struct unbound *u = calloc(1, sizeof *u);
    pthread_condattr_t attr;
    enum rc rc = RC_TEMP;
    *why = "out of memory";
    if (!u)
        return RC_TEMP;
    u->stop[0] = u->stop[1] = -1;
    pthread_mutex_init(&u->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&u->answered, &attr);
    pthread_condattr_destroy(&attr);
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
    for (struct unbound_ask *ask = u->pending, *next; ask; ask = next) { /* all of them abandoned */
        next = ask->next;
        free(ask);
    }
    pthread_cond_destroy(&u->answered);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

struct unbound_ask *unbound_start(struct unbound *u, const char *name, enum dns_type type)
{
    struct unbound_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return NULL;
    ask->owner = u;
    pthread_mutex_lock(&u->lock);
    bool full = u->n_pending >= DNS_PENDING_MAX;
    if (!full) {
        ask->next = u->pending;
        ask->prev = &u->pending;
        if (ask->next)
            ask->next->prev = &ask->next;
        u->pending = ask;
        u->n_pending++;
    }
    pthread_mutex_unlock(&u->lock);
    if (full) {
        free(ask);
        return NULL;
    }
    /* Its answer may come before this call returns: nothing below touches ask when it was taken. */
    int err = ub_resolve_async(u->ctx, name, (int)type, 1, ask, take_answer, NULL);
    if (err != 0)
        take_answer(ask, err, NULL);
    return ask;
}

static void fill(const struct unbound_ask *ask, struct arena *a, struct dns_answer *out)
{
    const struct ub_result *r = ask->result;
    if (ask->err != 0 || !r) {
        out->why = ask->err ? ub_strerror(ask->err) : "no answer";
        return;
    }
    out->secure = r->secure;
    out->ttl_s = r->ttl > 0 ? (uint32_t)r->ttl : 0;
    if (r->bogus) {
        out->status = DNS_BOGUS;
        out->why = arena_printf(a, "%.200s", r->why_bogus ? r->why_bogus : "signatures do not hold");
        return;
    }
    if (r->canonname && !view_ieq(view_str(r->canonname), view_str(r->qname)) &&
        view_dup(a, view_str(r->canonname), &out->canonical) != RC_OK)
        return;
    if (r->havedata) {
        size_t n = 0;
        while (n < DNS_RDATA_MAX && r->data[n])
            n++;
        out->rdata = arena_new_array(a, n, struct view);
        for (size_t i = 0; out->rdata && i < n; i++)
            if (view_dup(a, view_of(r->data[i], (size_t)r->len[i]), &out->rdata[i]) != RC_OK)
                return;
        if (!out->rdata)
            return;
        out->n = n;
        out->status = DNS_OK;
        return;
    }
    out->status = r->nxdomain ? DNS_NXDOMAIN : r->rcode == 0 ? DNS_NODATA : DNS_TEMP;
    if (out->status == DNS_TEMP)
        out->why = r->rcode == 2 ? "the name servers fail (SERVFAIL)" : "the name servers refuse to answer";
}

void unbound_finish(struct unbound *u, struct unbound_ask *ask, int64_t deadline_ms, struct arena *a,
                    struct dns_answer *out)
{
    struct timespec ts = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    *out = (struct dns_answer){.status = DNS_TEMP, .why = "no memory for the answer"};
    pthread_mutex_lock(&u->lock);
    while (!ask->done && pthread_cond_timedwait(&u->answered, &u->lock, &ts) == 0)
        ;
    bool late = !ask->done;
    ask->abandoned = late;
    pthread_mutex_unlock(&u->lock);
    if (late) {
        out->why = "the name servers do not answer";
        return;
    }
    fill(ask, a, out);
    ub_resolve_free(ask->result);
    free(ask);
}
