#include "report/report.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "report/bounce.h"
#include "report/collect.h"
#include "report/failing.h"
#include "report/tls.h"
#include "store/directory.h"
#include "sys/worker.h"

#define NOTE_ARENA   (256u << 10)
#define RETURNED_MAX 32 /* bounces that wait for the thread; further ones are not looked at */
#define RETURNED_PAGE 500
#define FORGET_MS    3600000
#define SETTINGS_MAX (1u << 20)

/* Settings with all that they point to. */
struct snapshot {
    unsigned refs; /* under report.lock */
    struct report_settings set;
    struct arena arena;
};
struct report {
    struct store *store;
    struct dns *dns;
    struct collect *collect;
    struct failing *failing;
    uint8_t bounce_key[BOUNCE_KEY_SIZE];
    struct worker worker;
    pthread_mutex_t lock; /* guards all below */
    struct snapshot *now;
    char returned[RETURNED_MAX][BOUNCE_TAG + 1]; /* tags of bounces */
    size_t n_returned;
};

/* --- settings --- */

static enum rc make_snapshot(const struct report *r, const struct report_settings *set, struct snapshot **out)
{
    struct snapshot *n = calloc(1, sizeof *n);
    *out = NULL;
    if (!n)
        return RC_TEMP;
    n->refs = 1;
    n->set = *set;
    n->set.bounce_key = r->bounce_key;
    arena_init(&n->arena, SETTINGS_MAX);
    struct view *never = arena_new_array(&n->arena, set->n_never + 1, struct view);
    enum rc rc = never ? RC_OK : RC_TEMP;
    for (size_t i = 0; rc == RC_OK && i < set->n_never; i++)
        rc = view_dup(&n->arena, set->never[i], &never[i]);
    n->set.never = never;
    const char **const texts[] = {&n->set.hostname, &n->set.from, &n->set.organization, &n->set.contact};
    for (size_t i = 0; rc == RC_OK && i < 4; i++) {
        if (!*texts[i])
            continue;
        *texts[i] = arena_cstr(&n->arena, view_str(*texts[i]));
        rc = *texts[i] ? RC_OK : RC_TEMP;
    }
    if (rc == RC_OK) {
        n->set.trust = set->trust ? tls_client_ref(set->trust) : NULL;
        *out = n;
        return RC_OK;
    }
    arena_clear(&n->arena);
    free(n);
    return rc;
}

static void free_snapshot(struct snapshot *n)
{
    tls_client_free(n->set.trust);
    arena_clear(&n->arena);
    free(n);
}

static struct snapshot *take_snapshot(struct report *r)
{
    pthread_mutex_lock(&r->lock);
    struct snapshot *n = r->now;
    n->refs++;
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void drop_snapshot(struct report *r, struct snapshot *n)
{
    pthread_mutex_lock(&r->lock);
    bool last = --n->refs == 0;
    pthread_mutex_unlock(&r->lock);
    if (last)
        free_snapshot(n);
}

enum rc report_reload(struct report *r, const struct report_settings *set)
{
    struct snapshot *fresh;
    enum rc rc = make_snapshot(r, set, &fresh);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&r->lock);
    struct snapshot *old = r->now;
    r->now = fresh;
    pthread_mutex_unlock(&r->lock);
    drop_snapshot(r, old);
    return RC_OK;
}

/* --- gathering --- */

static void note_row(struct report *r, const struct judgement *j, const struct report_facts *facts, const struct report_row *row)
{
    struct buf bytes, policy;
    uint8_t digest[SHA256_SIZE];
    buf_init(&bytes, ROW_MAX);
    buf_init(&policy, DMARC_RECORD_MAX + 64);
    row_write(row, &bytes);
    plan_policy_write(j->dmarc.method, &j->dmarc.record, &policy);
    if (buf_rc(&bytes) == RC_OK && buf_rc(&policy) == RC_OK && sha256(buf_view(&bytes), digest) == RC_OK) {
        struct seen_add add = {.domain = j->dmarc.policy_domain, .policy = buf_view(&policy), .row = buf_view(&bytes), .n = 1,
                               .n_bad = facts->is_bad, .time_s = j->facts.now_s,
                               .due_s = plan_due(VIEW(""), j->dmarc.policy_domain, j->facts.now_s)};
        memcpy(add.key, digest, sizeof add.key);
        collect_add(r->collect, &add); /* what is lost is counted there */
    }
    buf_clear(&bytes);
    buf_clear(&policy);
}

void report_note(struct report *r, const struct judgement *j, const struct report_facts *facts)
{
    struct arena a;
    struct report_row row;
    struct snapshot *snap = take_snapshot(r);
    arena_init(&a, NOTE_ARENA);
    if (snap->set.aggregate && row_of(j, facts, &a, &row) == RC_OK)
        note_row(r, j, facts, &row);
    arena_clear(&a);
    if (snap->set.failure)
        failing_note(r->failing, &snap->set, j, facts);
    drop_snapshot(r, snap);
}

void report_bounced(struct report *r, struct view address, struct view why)
{
    int64_t until;
    const int64_t now_s = clock_real_s();
    if (seen_bounced(r->store, address, now_s, REPORT_PAUSE_FIRST_S, REPORT_PAUSE_MAX_S, view_slice(why, 0, 500), &until) == RC_OK)
        log_info("report.paused", F_VIEW("to", address), F_INT("seconds", until - now_s), F_VIEW("reason", why));
}

void report_returned(struct report *r, struct view header, struct view rcpt)
{
    struct view tag;
    if (!bounce_is(header, rcpt, &tag))
        return;
    pthread_mutex_lock(&r->lock);
    if (r->n_returned < RETURNED_MAX) {
        char *to = r->returned[r->n_returned++];
        for (size_t i = 0; i < BOUNCE_TAG; i++)
            to[i] = (char)to_lower((unsigned char)tag.p[i]);
    }
    pthread_mutex_unlock(&r->lock);
}

/* --- the thread --- */

static bool is_tag_of(const struct report *r, struct view address, const char *tag)
{
    char own[BOUNCE_TAG + 1];
    return bounce_tag(r->bounce_key, address, own) == RC_OK && memcmp(own, tag, BOUNCE_TAG) == 0;
}

/* Whose tags they are: one walk over all that got mail lately. */
static void pause_returned(struct report *r)
{
    char tags[RETURNED_MAX][BOUNCE_TAG + 1];
    struct arena a;
    struct view after = VIEW(""), *list;
    pthread_mutex_lock(&r->lock);
    size_t n_tags = r->n_returned, n = RETURNED_PAGE;
    memcpy(tags, r->returned, sizeof tags);
    r->n_returned = 0;
    pthread_mutex_unlock(&r->lock);
    if (n_tags == 0)
        return;
    arena_init(&a, 16u << 20);
    while (n == RETURNED_PAGE && seen_mailed(r->store, after, RETURNED_PAGE, &a, &list, &n) == RC_OK) {
        for (size_t i = 0; i < n; i++) {
            for (size_t t = 0; t < n_tags; t++)
                if (is_tag_of(r, list[i], tags[t]))
                    report_bounced(r, list[i], VIEW("a bounce came back"));
            after = list[i];
        }
    }
    arena_clear(&a);
}

static bool sends(const struct report_settings *set, enum seen_kind kind)
{
    return kind == SEEN_TLS ? set->tls : set->aggregate;
}

/* What an operator asked for: that day's reports, as far as it goes. */
static void answer(struct report *r, const struct report_settings *set)
{
    uint64_t asked, answered, sealed;
    int64_t day_s, now_s = clock_real_s();
    size_t n;
    if (seen_asked(r->store, &asked, &day_s, &answered) != RC_OK || asked == answered)
        return;
    collect_flush(r->collect, r->store); /* everything that was noted before the question */
    enum rc rc = seen_seal(r->store, day_s, now_s, &sealed);
    if (rc == RC_OK && set->tls) {
        if (set->outcomes)
            tls_outcomes_flush(set->outcomes);
        rc = tls_seal(r->store, set, day_s, now_s);
    }
    for (enum seen_kind kind = SEEN_DMARC; kind <= SEEN_TLS; kind++) {
        n = sends(set, kind) ? REPORT_SEND_MAX : 0;
        for (int rounds = 0; rc == RC_OK && n == REPORT_SEND_MAX && rounds < REPORT_DAY_MAX / REPORT_SEND_MAX; rounds++)
            rc = report_round(r->store, r->dns, set, kind, now_s, &r->worker.stop, &n);
    }
    if (seen_answer(r->store, asked) != RC_OK)
        log_warn("report.failed", F_VIEW("domain", VIEW("")), F_CSTR("reason", "an operator waits for an answer"));
}

/* Said once for each set of settings; that it goes on all the same is the operator's choice. */
static void check_from(struct report *r, const struct report_settings *set)
{
    struct arena a;
    struct directory_target *targets;
    size_t n;
    if (!set->from || (!set->aggregate && !set->failure))
        return;
    arena_init(&a, NOTE_ARENA);
    enum rc rc = directory_route(r->store, view_str(set->from), &a, &targets, &n);
    if (rc == RC_DENIED || rc == RC_NOTFOUND)
        log_warn("report.from.unusable", F_CSTR("address", set->from),
                 F_CSTR("reason", rc == RC_DENIED ? "its domain is not hosted here: reports go unsigned, and bounces elsewhere"
                                                  : "there is no such mailbox: bounces and questions cannot come back"));
    arena_clear(&a);
}

static void run(void *arg)
{
    struct report *r = arg;
    const struct snapshot *checked = NULL;
    int64_t look_at = 0, forget_at = deadline_in(FORGET_MS / 60);
    bool asked;
    for (int64_t until_ms = 0; worker_rest(&r->worker, until_ms, &asked); until_ms = deadline_in(REPORT_FLUSH_MS)) {
        struct snapshot *snap = take_snapshot(r);
        if (checked != snap)
            check_from(r, &snap->set);
        checked = snap;
        collect_flush(r->collect, r->store);
        pause_returned(r);
        failing_send(r->failing, r->store, r->dns, &snap->set, &r->worker.stop);
        if (asked || clock_mono_ms() >= look_at) {
            size_t more = 0;
            answer(r, &snap->set);
            for (enum seen_kind kind = SEEN_DMARC; kind <= SEEN_TLS; kind++) {
                size_t n = 0;
                if (sends(&snap->set, kind))
                    (void)report_round(r->store, r->dns, &snap->set, kind, clock_real_s(), &r->worker.stop, &n); /* has logged */
                more += n == REPORT_SEND_MAX;
            }
            look_at = deadline_in(more > 0 ? 0 : REPORT_LOOK_MS);
        }
        if (clock_mono_ms() >= forget_at) {
            if (seen_forget(r->store, clock_real_s() - REPORT_KEPT_S) != RC_OK)
                log_warn("report.failed", F_VIEW("domain", VIEW("")), F_CSTR("reason", "old rows could not be removed"));
            forget_at = deadline_in(FORGET_MS);
        }
        drop_snapshot(r, snap);
    }
}

void report_wake(struct report *r)
{
    worker_call(&r->worker);
}

enum rc report_new(const struct report_settings *set, struct store *s, struct dns *dns, struct report **out)
{
    struct report *r = calloc(1, sizeof *r);
    enum rc rc = RC_TEMP;
    *out = NULL;
    if (!r)
        return RC_TEMP;
    r->store = s;
    r->dns = dns;
    pthread_mutex_init(&r->lock, NULL);
    worker_init(&r->worker);
    rc = collect_new(&r->collect);
    if (rc == RC_OK)
        rc = failing_new(s, &r->failing);
    if (rc == RC_OK)
        rc = seen_secret(s, "report bounces", r->bounce_key);
    if (rc == RC_OK)
        rc = make_snapshot(r, set, &r->now);
    if (rc == RC_OK)
        rc = worker_start(&r->worker, "reports", run, r);
    if (rc != RC_OK)
        report_free(r);
    else
        *out = r;
    return rc;
}

void report_drain(struct report *r)
{
    worker_end(&r->worker);
}

void report_free(struct report *r)
{
    if (!r)
        return;
    worker_clear(&r->worker);
    if (r->collect)
        collect_flush(r->collect, r->store);
    collect_free(r->collect);
    failing_free(r->failing);
    if (r->now)
        free_snapshot(r->now);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
