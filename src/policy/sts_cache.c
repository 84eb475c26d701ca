#include "policy/sts_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "fetch/fetch.h"
#include "store/sts.h"
#include "sys/thread.h"

#define STS_ARENA    (2u << 20)
#define STS_LOOK_MS  3600000 /* the refreshing thread looks at least so often */
#define STS_DNS_MS   20000
#define STS_NAME_MAX 256

/* A fetch that failed a short while ago. */
struct failure {
    char domain[STS_NAME_MAX], id[MTA_STS_ID_MAX + 1];
    int64_t until_ms; /* monotonic */
    enum tlsrpt_result fault;
    char why[FETCH_WHY_MAX];
};
/* A fetch under way. */
struct flight {
    struct flight *next;
    struct view domain;
};
struct sts_cache {
    struct sts_settings set;
    atomic_bool stop;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct tls_client *trust;
    struct flight *flights;
    struct failure failures[STS_FAILURES_MAX];
    size_t next_failure;
    bool look; /* there is a new policy: the time of the next refresh may have changed */
    int64_t real_s, mono_ms; /* what the clocks said when they were last believed */
    int64_t leapt_ms;        /* monotonic time at which the clock was first seen to have leapt; 0: it has not */
};

/* --- time --- */

static int64_t system_real_s(void)
{
    return clock_real_s();
}

/* Seconds since 1970, but for a clock that leapt ahead a short while ago. */
static int64_t believed_s(struct sts_cache *c)
{
    const int64_t real_s = c->set.real_s(), mono_ms = clock_mono_ms();
    pthread_mutex_lock(&c->lock);
    int64_t now_s = c->real_s + (mono_ms - c->mono_ms) / 1000;
    const bool leapt = real_s > now_s + STS_CLOCK_SLACK_S;
    if (leapt && !c->leapt_ms) {
        log_warn("sts.clock.leapt", F_INT("ahead_s", real_s - now_s));
        c->leapt_ms = mono_ms;
    } else if (!leapt) {
        c->leapt_ms = 0;
    }
    if (!leapt || mono_ms - c->leapt_ms >= STS_LEAP_MS) {
        c->real_s = now_s = real_s;
        c->mono_ms = mono_ms;
        c->leapt_ms = 0;
    }
    pthread_mutex_unlock(&c->lock);
    return now_s;
}

/* --- failures --- */

static bool find_failure(struct sts_cache *c, struct view domain, struct view id, struct arena *a, struct sts_answer *out)
{
    bool found = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < STS_FAILURES_MAX && !found; i++) {
        const struct failure *f = &c->failures[i];
        if (f->until_ms <= clock_mono_ms() || !view_eq(view_str(f->domain), domain) || !view_eq(view_str(f->id), id))
            continue;
        out->fault = f->fault;
        out->why = arena_cstr(a, view_str(f->why));
        found = true;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static void note_failure(struct sts_cache *c, struct view domain, struct view id, enum tlsrpt_result fault, const char *why)
{
    pthread_mutex_lock(&c->lock);
    struct failure *f = &c->failures[c->next_failure++ % STS_FAILURES_MAX];
    *f = (struct failure){.until_ms = deadline_in(STS_RETRY_MS), .fault = fault};
    if (view_cstr(domain, f->domain, sizeof f->domain) != RC_OK || view_cstr(id, f->id, sizeof f->id) != RC_OK ||
        view_cstr(view_str(why), f->why, sizeof f->why) != RC_OK)
        f->until_ms = 0;
    pthread_mutex_unlock(&c->lock);
    log_warn("sts.fetch.failed", F_VIEW("domain", domain), F_VIEW("id", id), F_CSTR("result", tlsrpt_result_name(fault)),
             F_CSTR("reason", why));
}

/* --- one fetch --- */

static struct tls_client *take_trust(struct sts_cache *c)
{
    pthread_mutex_lock(&c->lock);
    struct tls_client *trust = tls_client_ref(c->trust);
    pthread_mutex_unlock(&c->lock);
    return trust;
}

static enum tlsrpt_result result_of(enum fetch_fault fault)
{
    return fault == FETCH_OK ? TLSRPT_SUCCESS : fault == FETCH_UNTRUSTED ? TLSRPT_STS_WEBPKI_INVALID : TLSRPT_STS_POLICY_FETCH_ERROR;
}

static enum tlsrpt_result get_file(struct sts_cache *c, struct view domain, int64_t deadline_ms, struct arena *a, struct buf *file,
                                   char why[FETCH_WHY_MAX])
{
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    char *host = arena_printf(a, "mta-sts.%.*s", VIEW_FMT(domain));
    if (host && dns_addrs(c->set.dns, view_str(host), c->set.port, deadline_ms, a, &answer, &addrs, &n) == DNS_OK) {
        struct tls_client *trust = take_trust(c);
        const struct fetch_request r = {.host = host, .port = c->set.port, .path = "/.well-known/mta-sts.txt", .type = "text/plain",
                                        .addrs = addrs, .n_addrs = n, .trust = trust, .deadline_ms = deadline_ms, .stop = &c->stop};
        enum fetch_fault fault = fetch_get(&r, file, why);
        tls_client_free(trust);
        return result_of(fault);
    }
    view_cstr(VIEW("the policy host's address cannot be looked up"), why, FETCH_WHY_MAX);
    return TLSRPT_STS_POLICY_FETCH_ERROR;
}

static int64_t refresh_time(const struct sts_cache *c, int64_t now_s, int64_t max_age_s)
{
    int64_t wait = max_age_s / 2;
    if (wait > STS_REFRESH_MAX_S)
        wait = STS_REFRESH_MAX_S;
    return now_s + (wait < c->set.refresh_min_s ? c->set.refresh_min_s : wait);
}

/* TLSRPT_SUCCESS: the store has it. Else that was noted. */
static enum rc fetch_policy(struct sts_cache *c, struct view domain, struct view id, int64_t used_s, int64_t deadline_ms, struct arena *a)
{
    struct buf file;
    struct mta_sts_policy policy;
    char why[FETCH_WHY_MAX] = "";
    int64_t own_deadline = deadline_in(STS_FETCH_MS), now_s = believed_s(c);
    buf_init(&file, MTA_STS_POLICY_MAX);
    enum tlsrpt_result fault = get_file(c, domain, own_deadline < deadline_ms ? own_deadline : deadline_ms, a, &file, why);
    enum rc rc = RC_OK;
    if (fault == TLSRPT_SUCCESS && mta_sts_policy_parse(buf_view(&file), a, &policy) != RC_OK) {
        fault = TLSRPT_STS_POLICY_INVALID;
        view_cstr(VIEW("the policy file is not what RFC 8461 asks for"), why, sizeof why);
    }
    if (fault == TLSRPT_SUCCESS) {
        const struct sts_row row = {.domain = domain, .id = id, .policy = buf_view(&file), .fetched_s = now_s,
                                    .expires_s = now_s + policy.max_age_s, .refresh_s = refresh_time(c, now_s, policy.max_age_s),
                                    .used_s = used_s};
        rc = sts_put(c->set.store, &row);
        log_info("sts.fetched", F_VIEW("domain", domain), F_VIEW("id", id), F_CSTR("mode", mta_sts_mode_name(policy.mode)),
                 F_INT("max_age", policy.max_age_s));
        pthread_mutex_lock(&c->lock);
        c->look = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
    } else if (!atomic_load(&c->stop)) {
        note_failure(c, domain, id, fault, why);
    }
    buf_clear(&file);
    return rc;
}

/* One fetch a domain at a time: true: ours now. False: somebody else's has ended, or the deadline has come. */
static bool board(struct sts_cache *c, struct flight *mine, int64_t deadline_ms)
{
    bool waited = false;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct flight *f = c->flights;
        while (f && !view_eq(f->domain, mine->domain))
            f = f->next;
        if (!f)
            break;
        waited = true;
        if (!thread_cond_wait(&c->changed, &c->lock, deadline_ms))
            break;
    }
    if (!waited) {
        mine->next = c->flights;
        c->flights = mine;
    }
    pthread_mutex_unlock(&c->lock);
    return !waited;
}

static void land(struct sts_cache *c, struct flight *mine)
{
    pthread_mutex_lock(&c->lock);
    struct flight **at = &c->flights;
    while (*at != mine)
        at = &(*at)->next;
    *at = mine->next;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* --- DNS --- */

/* The id that is published. False: there is no record, or none that counts (RFC 8461 §3.1), or DNS does not tell. */
static bool find_id(struct sts_cache *c, struct view domain, int64_t deadline_ms, struct arena *a, struct view *id)
{
    struct dns_answer answer;
    struct view *texts, record = {0};
    size_t n, records = 0;
    int64_t own_deadline = deadline_in(STS_DNS_MS);
    const char *name = arena_printf(a, "_mta-sts.%.*s", VIEW_FMT(domain));
    if (!name || dns_txt(c->set.dns, view_str(name), own_deadline < deadline_ms ? own_deadline : deadline_ms, a, &answer, &texts, &n) != DNS_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!mta_sts_is_record(texts[i]))
            continue;
        record = texts[i];
        records++;
    }
    return records == 1 && mta_sts_record_parse(record, id) == RC_OK;
}

/* --- looking up --- */

/* Kept, of this record, and fetched in the past as far as our clock tells: nothing newer is to be had. Where the clock was ahead and was
 * set right, the policy stays in force, but its times mean nothing until it has been fetched again. */
static bool is_current(struct sts_cache *c, const struct sts_answer *out, const struct sts_row *row, struct view id)
{
    return out->found && view_eq(id, row->id) && row->fetched_s <= believed_s(c) + STS_CLOCK_SLACK_S;
}

/* The one that is kept, where it still holds. */
static enum rc read_kept(struct sts_cache *c, struct view domain, struct arena *a, struct sts_row *row, struct sts_answer *out)
{
    enum rc rc = sts_get(c->set.store, domain, a, row);
    *out = (struct sts_answer){.why = ""};
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    out->found = row->expires_s > believed_s(c) && mta_sts_policy_parse(row->policy, a, &out->policy) == RC_OK;
    out->text = row->policy;
    return RC_OK;
}

static void note_use(struct sts_cache *c, const struct sts_row *row)
{
    int64_t now_s = believed_s(c);
    if (now_s - row->used_s >= STS_REFRESH_MAX_S)
        sts_set_used(c->set.store, row->domain, now_s); /* a failure costs a refresh at most */
}

enum rc sts_look_up(struct sts_cache *c, struct view domain, int64_t deadline_ms, struct arena *a, struct sts_answer *out)
{
    struct sts_row row = {0};
    struct view id;
    enum rc rc = read_kept(c, domain, a, &row, out);
    if (rc != RC_OK)
        return rc;
    if (find_id(c, domain, deadline_ms, a, &id) && !is_current(c, out, &row, id) && !find_failure(c, domain, id, a, out)) {
        struct flight mine = {.domain = domain};
        if (board(c, &mine, deadline_ms)) {
            rc = fetch_policy(c, domain, id, believed_s(c), deadline_ms, a);
            land(c, &mine);
        }
        if (rc == RC_OK)
            rc = read_kept(c, domain, a, &row, out);
        if (rc == RC_OK && !is_current(c, out, &row, id))
            find_failure(c, domain, id, a, out);
    }
    if (rc == RC_OK && out->found)
        note_use(c, &row);
    return rc;
}

/* --- refreshing --- */

/* The id is asked for again, and the policy fetched even where it is the same: its time begins anew (RFC 8461 §3.3). */
static void refresh(struct sts_cache *c, const struct sts_row *row, struct arena *a)
{
    struct flight mine = {.domain = row->domain};
    struct view id;
    int64_t now_s = believed_s(c), left = row->expires_s - now_s;
    if (left <= 0 || now_s - row->used_s > STS_UNUSED_S) {
        if (left <= 0)
            sts_remove(c->set.store, row->domain);
        else
            sts_set_refresh(c->set.store, row->domain, row->expires_s);
        return;
    }
    /* What fails is tried again, and again, while there is time. */
    int64_t again = left / 4 < c->set.refresh_min_s ? c->set.refresh_min_s : left / 4 < STS_REFRESH_MAX_S / 24 ? left / 4 : STS_REFRESH_MAX_S / 24;
    sts_set_refresh(c->set.store, row->domain, now_s + again);
    if (!find_id(c, row->domain, NO_DEADLINE, a, &id)) {
        log_warn("sts.refresh.failed", F_VIEW("domain", row->domain), F_INT("left_s", left),
                 F_CSTR("reason", "its TXT record has gone; the policy that was fetched goes on"));
        return;
    }
    if (board(c, &mine, deadline_in(STS_FETCH_MS))) {
        fetch_policy(c, row->domain, id, row->used_s, NO_DEADLINE, a);
        land(c, &mine);
    }
}

static void run(void *arg)
{
    struct sts_cache *c = arg;
    struct arena a;
    arena_init(&a, STS_ARENA);
    while (!atomic_load(&c->stop)) {
        struct sts_row row;
        int64_t wait_ms = STS_LOOK_MS;
        arena_reset(&a);
        if (sts_next(c->set.store, &a, &row) == RC_OK) {
            int64_t due_ms = (row.refresh_s - believed_s(c)) * 1000;
            if (due_ms <= 0)
                refresh(c, &row, &a);
            wait_ms = due_ms <= 0 ? 100 : due_ms < STS_LOOK_MS ? due_ms : STS_LOOK_MS;
        }
        int64_t until = deadline_in(wait_ms);
        pthread_mutex_lock(&c->lock);
        while (!c->look && !atomic_load(&c->stop) && thread_cond_wait(&c->changed, &c->lock, until))
            continue;
        c->look = false;
        pthread_mutex_unlock(&c->lock);
    }
    arena_clear(&a);
}

/* --- life --- */

enum rc sts_cache_new(const struct sts_settings *set, struct sts_cache **out)
{
    struct sts_cache *c = calloc(1, sizeof *c);
    if (!c)
        return RC_TEMP;
    c->set = *set;
    if (!c->set.real_s)
        c->set.real_s = system_real_s;
    c->real_s = c->set.real_s();
    c->mono_ms = clock_mono_ms();
    if (c->set.port == 0)
        c->set.port = 443;
    if (c->set.refresh_min_s == 0)
        c->set.refresh_min_s = STS_REFRESH_MIN_S;
    c->trust = tls_client_ref(set->trust);
    atomic_init(&c->stop, false);
    pthread_mutex_init(&c->lock, NULL);
    thread_cond_init(&c->changed);
    c->has_thread = !set->only_asked && thread_start("sts", run, c, &c->thread) == RC_OK;
    if (!c->has_thread && !set->only_asked) {
        sts_cache_free(c);
        return RC_TEMP;
    }
    *out = c;
    return RC_OK;
}

void sts_cache_trust(struct sts_cache *c, struct tls_client *trust)
{
    pthread_mutex_lock(&c->lock);
    struct tls_client *old = c->trust;
    c->trust = tls_client_ref(trust);
    pthread_mutex_unlock(&c->lock);
    tls_client_free(old);
}

void sts_cache_stop(struct sts_cache *c)
{
    atomic_store(&c->stop, true);
    pthread_mutex_lock(&c->lock);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void sts_cache_free(struct sts_cache *c)
{
    if (!c)
        return;
    sts_cache_stop(c);
    if (c->has_thread)
        pthread_join(c->thread, NULL);
    tls_client_free(c->trust);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
