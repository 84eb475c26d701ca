#include "app/health_desk.h"

#include <stdlib.h>

#include "app/health_own.h"
#include "app/health_route.h"
#include "app/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "health/health_json.h"
#include "health/health_records.h"
#include "store/directory.h"
#include "store/health_result.h"
#include "sys/worker.h"

#define MEMORY       (32u << 20) /* of one look */
#define HTTPS_PORT   443
#define NS_PORT      53
#define SETTINGS_MAX (1u << 20)
#define RECORDS_MS   15000
#define FAILED_S     3600 /* after a failure of the store a domain waits so long for its daily look */
#define DAILY_GAP_MS 2000 /* between two daily looks: nobody waits for them */

/* Never changed once made; whoever works with them holds a reference. */
struct desk_settings {
    atomic_uint refs;
    struct arena mem;
    struct tls_client *trust;
    const char *hostname;
    const struct addr *bind4, *bind6; /* NULL: any */
    const char **blocklists;
    const char *mark_roots;
    struct addr *sources;
    size_t n_blocklists, n_sources;
    unsigned port;
    bool is_lab; /* all that we listen for is local: so may be the hosts of others */
};
struct health_desk {
    struct store *store;
    struct dns *dns;
    struct sts_cache *sts;
    struct publish *publish;
    struct worker answering, daily;
    atomic_bool stop; /* for both */
    pthread_mutex_t lock; /* guards set */
    struct desk_settings *set;
};

/* --- settings --- */

bool health_desk_is_lab(const struct config *c)
{
    bool any = false;
    for (size_t i = 0; i < c->listen.n; i++) {
        if (c->listen.v[i].service != SERVICE_SMTP)
            continue;
        any = true;
        if (!addr_is_loopback(&c->listen.v[i].addr))
            return false;
    }
    return any;
}

static void drop_settings(struct desk_settings *set)
{
    if (!set || atomic_fetch_sub(&set->refs, 1) > 1)
        return;
    tls_client_free(set->trust);
    arena_clear(&set->mem);
    free(set);
}

/* NULL: no memory. */
static struct desk_settings *make_settings(const struct health_desk_settings *from)
{
    const struct config *c = from->config;
    struct desk_settings *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    atomic_init(&set->refs, 1);
    arena_init(&set->mem, SETTINGS_MAX);
    set->port = c->outbound.port;
    set->is_lab = health_desk_is_lab(c);
    set->trust = tls_client_ref(from->trust);
    set->hostname = arena_cstr(&set->mem, view_str(c->hostname));
    set->sources = arena_new_array(&set->mem, c->outbound.bind.n + 1, struct addr);
    set->blocklists = arena_new_array(&set->mem, c->health.blocklists.n + 1, const char *);
    set->mark_roots = from->mark_roots ? arena_cstr(&set->mem, view_str(from->mark_roots)) : NULL;
    bool ok = set->hostname && (set->mark_roots || !from->mark_roots) && set->sources && set->blocklists;
    for (size_t i = 0; ok && i < c->outbound.bind.n; i++) {
        struct addr *own = &set->sources[set->n_sources++];
        *own = c->outbound.bind.v[i];
        *(addr_is_ipv6(own) ? &set->bind6 : &set->bind4) = own;
    }
    for (size_t i = 0; ok && i < c->health.blocklists.n; i++) {
        set->blocklists[i] = arena_cstr(&set->mem, c->health.blocklists.v[i]);
        ok = set->blocklists[i] != NULL;
        set->n_blocklists += ok;
    }
    if (ok)
        return set;
    drop_settings(set);
    return NULL;
}

static struct desk_settings *hold_settings(struct health_desk *d)
{
    pthread_mutex_lock(&d->lock);
    struct desk_settings *set = d->set;
    atomic_fetch_add(&set->refs, 1);
    pthread_mutex_unlock(&d->lock);
    return set;
}

/* --- answers --- */

static enum rc dump(json_t *j, struct arena *a, struct view *out)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    enum rc rc = text ? view_dup(a, view_str(text), out) : RC_TEMP;
    free(text);
    json_decref(j);
    return rc;
}

static enum rc look(struct health_desk *d, const struct desk_settings *set, struct arena *a, struct health_result *r)
{
    struct health_route route = {.dns = d->dns, .hostname = set->hostname, .port = set->port, .sts = d->sts, .https_port = HTTPS_PORT};
    struct health_settings look = {.dns = d->dns,
                                   .trust = set->trust,
                                   .hostname = set->hostname,
                                   .bind4 = set->bind4,
                                   .bind6 = set->bind6,
                                   .port = set->port,
                                   .ns_port = NS_PORT,
                                   .https_port = HTTPS_PORT,
                                   .connect = true,
                                   .mark_roots = set->mark_roots,
                                   .blocklists = set->blocklists,
                                   .n_blocklists = set->n_blocklists,
                                   .sources = set->sources,
                                   .n_sources = set->n_sources,
                                   .decide = health_route_decide,
                                   .decide_ctx = &route,
                                   .now_s = clock_real_s(),
                                   .stop = &d->stop};
    struct health h;
    enum rc rc = health_own(d->store, r->domain, a, &look);
    look.public_only = route.public_only = !look.ours && !set->is_lab;
    if (rc == RC_OK)
        rc = health_look(&look, r->domain, deadline_in(HEALTH_DESK_LOOK_MS), a, &h);
    for (enum lang lang = LANG_EN; lang < LANG_N && rc == RC_OK; lang++)
        rc = dump(health_json(&h, lang), a, &r->text[lang]);
    for (int mark = HEALTH_GOOD; rc == RC_OK && mark <= HEALTH_UNKNOWN; mark++)
        r->n[mark] = h.n[mark];
    return rc;
}

static enum rc compare(struct health_desk *d, struct arena *a, struct health_result *r)
{
    json_t *j;
    enum rc rc = health_records_answer(d->dns, r->question, clock_real_s(), deadline_in(RECORDS_MS), a, &j);
    if (rc == RC_OK)
        rc = dump(j, a, &r->text[LANG_EN]);
    r->text[LANG_FR] = r->text[LANG_EN]; /* no sentences in it */
    return rc;
}

static enum rc publish(struct health_desk *d, struct arena *a, struct health_result *r)
{
    json_t *j;
    enum rc rc = publish_domain(d->publish, r->domain, a, &j);
    if (rc == RC_OK)
        rc = dump(j, a, &r->text[LANG_EN]);
    r->text[LANG_FR] = r->text[LANG_EN];
    return rc;
}

/* A question that cannot be answered is answered all the same, by nothing: it must not come again at once. */
static void answer(struct health_desk *d, struct arena *a, struct health_result *r)
{
    struct desk_settings *set = hold_settings(d);
    enum rc rc = RC_NOTFOUND;
    dns_forget(d->dns);
    if (r->kind == HEALTH_ASK_DOCTOR)
        rc = look(d, set, a, r);
    else if (r->kind == HEALTH_ASK_RECORDS)
        rc = compare(d, a, r);
    else if (r->kind == HEALTH_ASK_PUBLISH)
        rc = publish(d, a, r);
    drop_settings(set);
    if (rc != RC_OK)
        r->text[LANG_EN] = r->text[LANG_FR] = VIEW("");
    if (d->stop)
        return; /* half an answer is none */
    r->made_s = clock_real_s();
    enum rc put = health_result_put(d->store, r);
    rc = rc == RC_OK ? put : rc;
    if (rc != RC_OK)
        log_warn("health.look.failed", F_VIEW("domain", r->domain), F_CSTR("reason", rc_name(rc)));
}

/* --- questions --- */

static void answer_all(void *arg)
{
    struct health_desk *d = arg;
    struct health_result r;
    struct arena a;
    arena_init(&a, MEMORY);
    for (int64_t until_ms = 0; worker_rest(&d->answering, until_ms, NULL); arena_reset(&a)) {
        until_ms = deadline_in(HEALTH_DESK_CHECK_MS);
        if (health_result_next(d->store, &a, &r) != RC_OK)
            continue;
        answer(d, &a, &r);
        until_ms = 0; /* there may be more */
    }
    arena_clear(&a);
}

/* One of our domains whose last look is a day old. False: none. */
static bool look_at_one(struct health_desk *d, struct arena *a)
{
    struct view *domains;
    size_t n;
    const int64_t now_s = clock_real_s();
    if (directory_domains(d->store, a, &domains, &n) != RC_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct health_result r, last;
        enum rc rc = health_result_get(d->store, HEALTH_ASK_DOCTOR, domains[i], a, &last);
        if (rc != RC_NOTFOUND && (rc != RC_OK || last.made_s > now_s - HEALTH_DESK_DAILY_S))
            continue;
        r = (struct health_result){.kind = HEALTH_ASK_DOCTOR, .domain = domains[i]};
        answer(d, a, &r);
        return true;
    }
    return false;
}

static void look_daily(void *arg)
{
    struct health_desk *d = arg;
    struct arena a;
    arena_init(&a, MEMORY);
    for (int64_t until_ms = deadline_in(HEALTH_DESK_FIRST_MS); worker_rest(&d->daily, until_ms, NULL); arena_reset(&a)) {
        bool more = look_at_one(d, &a);
        if (!more)
            health_result_forget(d->store, clock_real_s() - HEALTH_KEEP_S);
        until_ms = deadline_in(more ? DAILY_GAP_MS : HEALTH_DESK_CHECK_MS);
    }
    arena_clear(&a);
}

/* --- what others call --- */

enum rc health_desk_new(const struct health_desk_settings *set, struct health_desk **out)
{
    struct health_desk *d = calloc(1, sizeof *d);
    const char *why = "out of memory";
    *out = NULL;
    if (!d)
        return RC_TEMP;
    d->store = set->store;
    pthread_mutex_init(&d->lock, NULL);
    worker_init(&d->answering);
    worker_init(&d->daily);
    d->sts = set->sts;
    d->publish = set->publish;
    d->set = make_settings(set);
    enum rc rc = d->set ? RC_OK : RC_TEMP;
    if (rc == RC_OK)
        rc = resolver_open_fresh(set->config, HEALTH_DESK_KEEP_S, &d->dns, &why);
    if (rc == RC_OK) {
        why = "no thread";
        rc = worker_start(&d->answering, "health", answer_all, d);
    }
    if (rc == RC_OK)
        rc = worker_start(&d->daily, "health-daily", look_daily, d);
    if (rc == RC_OK) {
        *out = d;
    } else {
        log_error("health.failed", F_CSTR("reason", why));
        health_desk_free(d);
    }
    return rc;
}

enum rc health_desk_reload(struct health_desk *d, const struct health_desk_settings *from)
{
    struct desk_settings *set = make_settings(from), *old;
    if (!set)
        return RC_TEMP;
    pthread_mutex_lock(&d->lock);
    old = d->set;
    d->set = set;
    pthread_mutex_unlock(&d->lock);
    drop_settings(old);
    return RC_OK;
}

void health_desk_wake(struct health_desk *d)
{
    worker_call(&d->answering);
}

void health_desk_free(struct health_desk *d)
{
    if (!d)
        return;
    atomic_store(&d->stop, true);
    worker_clear(&d->answering);
    worker_clear(&d->daily);
    dns_free(d->dns);
    drop_settings(d->set);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
