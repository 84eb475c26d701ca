#include "app/webhooks.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/complaints.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "store/suppression.h"
#include "sys/board.h"
#include "sys/worker.h"

#define CALLS_ARENA (8u << 20)
#define EVENT_ID    16 /* bytes */

struct webhooks {
    struct worker worker;
    pthread_mutex_t lock; /* guards all below */
    struct webhooks_settings set;
    uint64_t feedback[WEBHOOKS_FEEDBACK]; /* blobs */
    size_t n_feedback;
};

/* --- what is told --- */

static const char *event_name(enum webhook_event e)
{
    return e == WEBHOOK_DELIVERED ? "delivered" : e == WEBHOOK_DEFERRED ? "deferred" : e == WEBHOOK_BOUNCED ? "bounced" : "complained";
}

/* The same for the same event, however often it is told: of a deferral there are many, of an end there is one. */
static enum rc event_id(enum webhook_event event, const struct queue_fate *f, int64_t now_s, char out[2 * EVENT_ID + 1])
{
    uint8_t digest[SHA256_SIZE];
    struct buf b;
    buf_init(&b, 4096);
    buf_printf(&b, "%llx %s %lld %.*s", (unsigned long long)f->message, event_name(event),
               event == WEBHOOK_DELIVERED || event == WEBHOOK_BOUNCED ? 0LL : (long long)now_s, VIEW_FMT(f->recipient));
    enum rc rc = buf_rc(&b) == RC_OK ? sha256(buf_view(&b), digest) : RC_TEMP;
    for (size_t i = 0; rc == RC_OK && i < EVENT_ID; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    buf_clear(&b);
    return rc;
}

static json_t *event_json(enum webhook_event event, const struct queue_fate *f, int64_t now_s)
{
    char id[24], at[32] = "", event_key[2 * EVENT_ID + 1];
    time_t now = (time_t)now_s;
    struct tm tm;
    if (event_id(event, f, now_s, event_key) != RC_OK)
        return NULL;
    snprintf(id, sizeof id, "%llx", (unsigned long long)f->message);
    if (gmtime_r(&now, &tm))
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "event", event_name(event), "event_id", event_key, "at", at, "id", id, "sender",
                     json_text(f->sender), "recipient", json_text(f->recipient), "status", json_text(f->status), "reply", json_text(f->reply), "mx", json_text(f->mx));
}

static enum rc make_event(enum webhook_event event, const struct queue_fate *f, struct arena *a, struct mailq_event *out)
{
    json_t *j = event_json(event, f, clock_real_s());
    char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
    *out = (struct mailq_event){.account = f->account, .event = event};
    enum rc rc = body ? view_dup(a, view_str(body), &out->body) : RC_TEMP;
    free(body);
    json_decref(j);
    return rc;
}

static void log_suppressed(uint64_t account, struct view address, enum suppression_kind kind, struct view reason)
{
    log_info("suppression.added", F_INT("account", account), F_VIEW("address", address),
             F_CSTR("kind", kind == SUPPRESSED_BOUNCE ? "bounce" : "complaint"), F_VIEW("reason", reason));
}

/* RFC 3463 §3.2: the address itself is what is wrong. Where the sender's is (5.1.7, 5.1.8) the recipient can do nothing for it. */
static bool is_dead_address(struct view status)
{
    return view_starts(status, VIEW("5.1.")) && !view_eq(status, VIEW("5.1.7")) && !view_eq(status, VIEW("5.1.8"));
}

enum rc webhooks_fate(void *webhooks, const struct queue_fate *f, struct arena *a, struct mailq_event *out)
{
    (void)webhooks;
    *out = (struct mailq_event){0};
    if (f->account == 0) /* from outside: its sender is told by mail */
        return RC_OK;
    enum rc rc = make_event(f->kind == FATE_DELIVERED ? WEBHOOK_DELIVERED : f->kind == FATE_DEFERRED ? WEBHOOK_DEFERRED : WEBHOOK_BOUNCED, f, a, out);
    if (f->kind == FATE_BOUNCED && is_dead_address(f->status)) {
        out->dead = f->recipient;
        out->reason = f->reply;
    }
    return rc;
}

void webhooks_told(void *webhooks, const struct mailq_event *e)
{
    struct webhooks *w = webhooks;
    if (e->dead.n > 0)
        log_suppressed(e->account, e->dead, SUPPRESSED_BOUNCE, e->reason);
    worker_call(&w->worker);
}

/* --- complaints --- */

void webhooks_feedback(void *webhooks, uint64_t blob)
{
    struct webhooks *w = webhooks;
    pthread_mutex_lock(&w->lock);
    if (w->n_feedback < WEBHOOKS_FEEDBACK)
        w->feedback[w->n_feedback++] = blob;
    pthread_mutex_unlock(&w->lock);
    worker_call(&w->worker);
}

static void complained(void *ctx, const struct complaint *c)
{
    struct webhooks *w = ctx;
    const struct suppression x = {.address = c->recipient, .kind = SUPPRESSED_COMPLAINT, .reason = c->type, .since_s = clock_real_s()};
    const struct queue_fate f = {.account = c->account, .sender = c->sender, .recipient = c->recipient, .reply = c->type};
    struct mailq_event event;
    struct arena a;
    enum rc rc = suppression_add(w->set.store, c->account, &x);
    if (rc == RC_OK)
        log_suppressed(c->account, x.address, x.kind, x.reason);
    else
        log_warn("suppression.failed", F_INT("account", c->account), F_VIEW("address", x.address), F_CSTR("reason", rc_name(rc)));
    arena_init(&a, 65536);
    rc = make_event(WEBHOOK_COMPLAINED, &f, &a, &event);
    if (rc == RC_OK)
        rc = mailq_tell(w->set.store, &event);
    if (rc != RC_OK)
        log_warn("webhook.lost", F_INT("account", c->account), F_CSTR("event", "complained"), F_CSTR("reason", rc_name(rc)));
    arena_clear(&a);
}

static void read_feedback(struct webhooks *w, const uint64_t *blobs, size_t n)
{
    for (size_t i = 0; i < n && !atomic_load(&w->worker.stop); i++) {
        enum rc rc = complaints_read(w->set.store, blobs[i], complained, w);
        if (rc != RC_OK && rc != RC_NOTFOUND)
            log_warn("complaint.failed", F_INT("blob", blobs[i]), F_CSTR("reason", rc_name(rc)));
    }
}

/* --- the calls --- */

static int64_t wait_s(unsigned tries)
{
    int64_t wait = WEBHOOKS_FIRST_S;
    for (unsigned i = 0; i < tries && wait < WEBHOOKS_LONGEST_S; i++)
        wait *= 3;
    return wait < WEBHOOKS_LONGEST_S ? wait : WEBHOOKS_LONGEST_S;
}

/* False: the hook does not answer now, and its other calls wait as long. */
static bool make_call(struct webhooks *w, const struct webhooks_settings *set, const struct webhook_call *c)
{
    char why[WEBHOOK_WHY_MAX] = "";
    const int64_t now_s = clock_real_s();
    const struct webhook_post p = {.dns = set->dns, .trust = set->trust, .allow_private = set->allow_private, .stop = &w->worker.stop, .url = c->url,
                                   .secret = c->secret, .body = c->body, .now_s = now_s};
    enum rc rc = webhook_post(&p, why);
    if (atomic_load(&w->worker.stop) && rc != RC_OK)
        return false; /* it was cut off: another time */
    const bool again = rc == RC_TEMP && c->tries + 1 < WEBHOOKS_TRIES && now_s - c->made_s < WEBHOOKS_KEEP_S;
    board_count(BOARD_WEBHOOKS, rc == RC_OK ? "ok" : again ? "failed" : "dropped");
    if (rc != RC_OK)
        log_info(again ? "webhook.failed" : "webhook.dropped", F_INT("hook", c->hook), F_VIEW("url", c->url), F_INT("tries", c->tries + 1),
                 F_CSTR("reason", why));
    if (webhook_called(set->store, c, view_str(why), now_s, again ? now_s + wait_s(c->tries) : 0) != RC_OK)
        log_warn("webhook.trouble", F_INT("hook", c->hook), F_CSTR("reason", "what came of it could not be kept: it is called again"));
    return rc == RC_OK;
}

static bool is_resting(const struct webhook_call *calls, const bool *failed, size_t n, uint64_t hook)
{
    for (size_t i = 0; i < n; i++)
        if (failed[i] && calls[i].hook == hook)
            return true;
    return false;
}

/* All that is due; gives when the next one is, in monotonic milliseconds. */
static int64_t make_calls(struct webhooks *w, const struct webhooks_settings *set)
{
    struct arena a;
    struct webhook_call *calls;
    size_t n = WEBHOOKS_BATCH;
    int64_t next_s = INT64_MAX;
    arena_init(&a, CALLS_ARENA);
    while (n == WEBHOOKS_BATCH && !atomic_load(&w->worker.stop)) {
        const int64_t now_s = clock_real_s();
        arena_reset(&a);
        if (webhook_due(set->store, now_s, WEBHOOKS_BATCH, &a, &calls, &n, &next_s) != RC_OK) {
            next_s = now_s + WEBHOOKS_FIRST_S;
            break;
        }
        bool failed[WEBHOOKS_BATCH] = {false};
        for (size_t i = 0; i < n && !atomic_load(&w->worker.stop); i++)
            failed[i] = !is_resting(calls, failed, i, calls[i].hook) && !make_call(w, set, &calls[i]);
        if (n > 0 && n < WEBHOOKS_BATCH) /* what failed has a new time */
            n = WEBHOOKS_BATCH;
    }
    arena_clear(&a);
    return next_s == INT64_MAX ? NO_DEADLINE : deadline_in((next_s - clock_real_s()) * 1000 + 500);
}

static void run(void *arg)
{
    struct webhooks *w = arg;
    for (int64_t next_ms = 0; worker_rest(&w->worker, next_ms, NULL);) {
        pthread_mutex_lock(&w->lock);
        uint64_t blobs[WEBHOOKS_FEEDBACK];
        const size_t n_blobs = w->n_feedback;
        memcpy(blobs, w->feedback, sizeof blobs);
        w->n_feedback = 0;
        struct webhooks_settings set = w->set;
        set.trust = tls_client_ref(w->set.trust);
        pthread_mutex_unlock(&w->lock);
        read_feedback(w, blobs, n_blobs);
        next_ms = make_calls(w, &set);
        tls_client_free(set.trust);
    }
}

/* --- life --- */

enum rc webhooks_new(const struct webhooks_settings *set, struct webhooks **out)
{
    struct webhooks *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return RC_TEMP;
    pthread_mutex_init(&w->lock, NULL);
    worker_init(&w->worker);
    w->set = *set;
    w->set.trust = tls_client_ref(set->trust);
    enum rc rc = worker_start(&w->worker, "webhooks", run, w);
    if (rc != RC_OK)
        webhooks_free(w);
    else
        *out = w;
    return rc;
}

void webhooks_reload(struct webhooks *w, const struct webhooks_settings *set)
{
    pthread_mutex_lock(&w->lock);
    struct tls_client *old = w->set.trust;
    w->set = *set;
    w->set.trust = tls_client_ref(set->trust);
    pthread_mutex_unlock(&w->lock);
    tls_client_free(old);
}

void webhooks_free(struct webhooks *w)
{
    if (!w)
        return;
    worker_clear(&w->worker);
    tls_client_free(w->set.trust);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
