#include "app/alerts_watch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "health/health_records.h"
#include "store/directory.h"
#include "store/health_result.h"
#include "store/ledger.h"
#include "store/mailq.h"

#define TEXT_MAX    8192
#define ARENA       (32u << 20)
#define SOURCES_MAX 1000
#define OLD_LOOKED  20  /* messages at the front of the queue */
#define VALUE_SHOWN 300 /* bytes of a record */
#define PUBLISH_OLD_S (2 * 86400) /* then nothing is published any more */

/* --- opening and closing --- */

static void open_alert(const struct alerts_watch *w, enum alert_kind kind, const struct alert *alert)
{
    struct alert copy = *alert;
    bool is_new = false;
    copy.kind = view_str(alert_kind_name(kind));
    if (!w->set->on[kind])
        return;
    enum rc rc = alert_see(w->store, &copy, w->now_s, &is_new);
    if (rc != RC_OK)
        log_warn("alert.failed", F_VIEW("kind", copy.kind), F_CSTR("reason", rc_name(rc)));
    else if (is_new)
        log_info("alert.opened", F_VIEW("kind", copy.kind), F_VIEW("domain", copy.domain), F_VIEW("subject", copy.subject));
}

/* In both languages; `repair` is a sentence without conversions. */
static void alert_say(const struct alerts_watch *w, enum alert_kind kind, struct view domain, struct view subject, const char *repair,
                      const char *fmt, ...) __attribute__((format(printf, 6, 7)));
static void alert_say(const struct alerts_watch *w, enum alert_kind kind, struct view domain, struct view subject, const char *repair,
                      const char *fmt, ...)
{
    struct alert alert = {.domain = domain, .subject = subject};
    struct buf text[LANG_N];
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++) {
        va_list args;
        buf_init(&text[lang], TEXT_MAX);
        va_start(args, fmt);
        lang_vprintf(&text[lang], alert_words, lang, fmt, args);
        va_end(args);
        alert.text[lang] = buf_view(&text[lang]);
        alert.repair[lang] = view_str(lang_of(alert_words, lang, repair));
    }
    open_alert(w, kind, &alert);
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++)
        buf_clear(&text[lang]);
}

static void close_rest(const struct alerts_watch *w, enum alert_kind kind, struct view domain, int64_t since_s)
{
    alert_close(w->store, view_str(alert_kind_name(kind)), domain, since_s, w->now_s);
}

/* Moves what is known of a thing on; gives how it was before, or `otherwise`. */
static int learn(const struct alerts_watch *w, struct view domain, struct view what, struct view subject, int mark)
{
    int before;
    enum rc rc = alert_known(w->store, domain, what, subject, &before);
    if (rc == RC_NOTFOUND || (rc == RC_OK && before != mark))
        alert_know(w->store, domain, what, subject, mark, w->now_s);
    return rc == RC_OK ? before : -1;
}

/* --- the queue --- */

static bool is_waiting(struct store *s, uint64_t id, struct arena *a)
{
    struct mailq_rcpt *rcpts;
    size_t n;
    if (mailq_rcpts(s, id, a, &rcpts, &n) != RC_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!rcpts[i].held)
            return true;
    return false;
}

static void watch_old(const struct alerts_watch *w, struct arena *a)
{
    struct mailq_message m;
    uint64_t *ids;
    size_t n;
    if (mailq_list(w->store, 0, OLD_LOOKED, a, &ids, &n) != RC_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        if (mailq_message(w->store, ids[i], a, &m) != RC_OK || m.lane != LANE_MAIL || m.release_ms > w->now_s * 1000 ||
            !is_waiting(w->store, ids[i], a))
            continue;
        const int64_t age_s = w->now_s - m.created_ms / 1000;
        if (age_s > ALERTS_OLD_S)
            alert_say(w, ALERT_QUEUE, VIEW(""), VIEW("age"), "Look in the queue why it waits: the peer's words stand there. Correct the address or remove it.",
                      "A message has been waiting for %lld hours.", (long long)(age_s / 3600));
        return;
    }
}

void alerts_watch_queue(const struct alerts_watch *w)
{
    struct mailq_counts counts;
    struct arena a;
    arena_init(&a, ARENA);
    if (mailq_count(w->store, &counts) == RC_OK && counts.messages > 0 && (double)counts.messages >= w->set->threshold[ALERT_QUEUE])
        alert_say(w, ALERT_QUEUE, VIEW(""), VIEW("count"),
                  "Look in the queue what they have in common: one destination that does not answer, or one account that sends too much.",
                  "%lld messages wait in the queue.", (long long)counts.messages);
    watch_old(w, &a);
    close_rest(w, ALERT_QUEUE, VIEW(""), w->now_s);
    arena_clear(&a);
}

/* --- reports --- */

/* Once a source: what is there when a domain's first report comes is no news. */
static void watch_source(const struct alerts_watch *w, const struct ledger_news *news, bool is_first, struct arena *a)
{
    const int64_t today = w->now_s / LEDGER_DAY_S;
    const struct ledger_span span = {news->domain, today - ALERTS_SOURCE_S / LEDGER_DAY_S, today};
    struct ledger_story story;
    int mark;
    if (alert_known(w->store, news->domain, VIEW("source"), news->key, &mark) != RC_NOTFOUND ||
        ledger_source(w->store, &span, news->key, 1, a, &story) != RC_OK)
        return;
    const struct view kind = story.source.said_kind.n > 0 ? story.source.said_kind : story.source.kind;
    const bool few = (double)story.source.sum.messages < w->set->threshold[ALERT_DMARC_SOURCE];
    if (few && !is_first)
        return; /* there may be more tomorrow */
    alert_know(w->store, news->domain, VIEW("source"), news->key, 1, w->now_s);
    if (is_first || view_eq(kind, VIEW("ours")))
        return;
    const struct view name = story.source.said_name.n > 0 ? story.source.said_name : story.source.name.n > 0 ? story.source.name : news->key;
    alert_say(w, ALERT_DMARC_SOURCE, news->domain, news->key,
              "If it is a service of yours, let it sign with your domain. If you do not know it, see in the reports whether its mail is refused.",
              "%.*s sends in the name of %.*s and did not before: %lld messages.", VIEW_FMT(name), VIEW_FMT(news->domain),
              (long long)story.source.sum.messages);
}

void alerts_watch_sources(const struct alerts_watch *w)
{
    struct ledger_news *news;
    struct view *domains;
    struct arena a;
    size_t n, n_domains;
    int mark;
    arena_init(&a, ARENA);
    if (directory_domains(w->store, &a, &domains, &n_domains) == RC_OK &&
        ledger_new_sources(w->store, w->now_s - ALERTS_SOURCE_S, SOURCES_MAX, &a, &news, &n) == RC_OK)
        for (size_t d = 0; d < n_domains; d++) {
            const bool is_first = alert_known(w->store, domains[d], VIEW("sources"), VIEW(""), &mark) == RC_NOTFOUND;
            bool any = false;
            for (size_t i = 0; i < n; i++)
                if (view_eq(news[i].domain, domains[d])) {
                    watch_source(w, &news[i], is_first, &a);
                    any = true;
                }
            if (is_first && any)
                alert_know(w->store, domains[d], VIEW("sources"), VIEW(""), 1, w->now_s);
            close_rest(w, ALERT_DMARC_SOURCE, domains[d], w->now_s - ALERTS_SOURCE_S);
        }
    arena_clear(&a);
}

static void watch_dmarc(const struct alerts_watch *w, const struct ledger_span *span, struct arena *a)
{
    struct ledger_summary sum;
    if (ledger_summary(w->store, span, a, &sum) != RC_OK)
        return;
    const uint64_t all = sum.sum.messages, failed = all - sum.sum.aligned;
    if (all >= ALERTS_MESSAGES && (double)failed * 100 >= w->set->threshold[ALERT_DMARC_FAILURES] * (double)all)
        alert_say(w, ALERT_DMARC_FAILURES, span->domain, VIEW(""),
                  "See in the reports which sources they come from: let those that are yours sign; the others are what DMARC is there for.",
                  "%lld of %lld messages in the name of %.*s were not proven in the last three days.", (long long)failed, (long long)all,
                  VIEW_FMT(span->domain));
    close_rest(w, ALERT_DMARC_FAILURES, span->domain, w->now_s);
}

static void watch_tls(const struct alerts_watch *w, const struct ledger_span *span, struct arena *a)
{
    struct ledger_tls_summary sum;
    if (ledger_tls_summary(w->store, span, a, &sum) != RC_OK)
        return;
    const struct view result = sum.n_results > 0 ? sum.results[0].name : VIEW("-");
    if (sum.sessions >= ALERTS_SESSIONS && sum.failures > 0 &&
        (double)sum.failures * 100 >= w->set->threshold[ALERT_TLS_FAILURES] * (double)sum.sessions)
        alert_say(w, ALERT_TLS_FAILURES, span->domain, VIEW(""),
                  "See in the TLS reports which host and which result it is; most often a certificate has expired or has another name.",
                  "%lld of %lld connections to %.*s had no good encryption in the last three days (%.*s).", (long long)sum.failures,
                  (long long)sum.sessions, VIEW_FMT(span->domain), VIEW_FMT(result));
    close_rest(w, ALERT_TLS_FAILURES, span->domain, w->now_s);
}

/* --- the doctor --- */

enum { WELL, BAD_ALWAYS, BAD_NOW }; /* what is known of a point: it was well when it was looked at first, or not */

static const char *text_of(const json_t *point, const char *name)
{
    const char *text = json_string_value(json_object_get(point, name));
    return text ? text : "";
}

static bool has_mark(const json_t *point, const char *mark)
{
    return strcmp(text_of(point, "mark"), mark) == 0;
}

/* Its sentences in both languages, as the doctor said them. */
static void say_point(const struct alerts_watch *w, enum alert_kind kind, struct view domain, struct view subject, const json_t *en, const json_t *fr)
{
    const char *about = text_of(en, "subject");
    const char *colon = about[0] ? ": " : "";
    struct buf text[LANG_N];
    const json_t *points[LANG_N] = {en, fr};
    struct alert alert = {.domain = domain, .subject = subject};
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++) {
        buf_init(&text[lang], TEXT_MAX);
        buf_printf(&text[lang], "%s%s%s", about, colon, text_of(points[lang], "text"));
        alert.text[lang] = buf_view(&text[lang]);
        alert.repair[lang] = view_str(text_of(points[lang], "repair"));
    }
    open_alert(w, kind, &alert);
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++)
        buf_clear(&text[lang]);
}

/* Of one host, or of one of its addresses where they have different ones. */
static void watch_certificate(const struct alerts_watch *w, struct view domain, const json_t *en, const json_t *fr)
{
    const struct view about = view_str(text_of(en, "subject"));
    const json_t *valid = json_object_get(en, "valid"), *days = json_object_get(en, "days");
    if (json_is_false(valid))
        say_point(w, ALERT_CERTIFICATE_BAD, domain, about, en, fr);
    else if (json_is_true(valid) && json_is_integer(days) &&
             (double)json_integer_value(days) < w->set->threshold[ALERT_CERTIFICATE_EXPIRING])
        say_point(w, ALERT_CERTIFICATE_EXPIRING, domain, about, en, fr);
}

static void watch_point(const struct alerts_watch *w, struct view domain, const json_t *en, const json_t *fr)
{
    const char *id = text_of(en, "id");
    const struct view about = view_str(text_of(en, "subject"));
    if (strcmp(id, "list.listed") == 0) {
        if (has_mark(en, "bad"))
            say_point(w, ALERT_BLOCKLIST, domain, about, en, fr);
        return;
    }
    if (strcmp(id, "tls.certificate") == 0) {
        watch_certificate(w, domain, en, fr);
        return;
    }
    struct buf key;
    int before;
    buf_init(&key, TEXT_MAX);
    buf_printf(&key, "%s %.*s", id, VIEW_FMT(about));
    enum rc rc = alert_known(w->store, domain, VIEW("point"), buf_view(&key), &before);
    const bool bad = has_mark(en, "bad") || (has_mark(en, "unknown") && rc == RC_OK && before == BAD_NOW);
    const int now = !bad ? WELL : rc == RC_NOTFOUND || before == BAD_ALWAYS ? BAD_ALWAYS : BAD_NOW;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        learn(w, domain, VIEW("point"), buf_view(&key), now);
    if (now == BAD_NOW)
        say_point(w, ALERT_DOCTOR, domain, buf_view(&key), en, fr);
    buf_clear(&key);
}

/* Whether another point of the same name and subject is bad: it stands for both. */
static bool is_outdone(const json_t *points, size_t i)
{
    const json_t *p = json_array_get(points, i);
    if (has_mark(p, "bad"))
        return false;
    for (size_t k = 0; k < json_array_size(points); k++) {
        const json_t *o = json_array_get(points, k);
        if (has_mark(o, "bad") && strcmp(text_of(o, "id"), text_of(p, "id")) == 0 && strcmp(text_of(o, "subject"), text_of(p, "subject")) == 0)
            return true;
    }
    return false;
}

static void watch_doctor(const struct alerts_watch *w, struct view domain, struct arena *a)
{
    struct health_result r;
    json_t *j[LANG_N] = {NULL, NULL};
    if (health_result_get(w->store, HEALTH_ASK_DOCTOR, domain, a, &r) != RC_OK || r.made_s == 0 || r.text[LANG_EN].n == 0)
        return;
    const int made = (int)(r.made_s & INT32_MAX);
    if (learn(w, domain, VIEW("doctor"), VIEW(""), made) == made && !w->fresh)
        return;
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++)
        j[lang] = json_loadb(r.text[lang].p, r.text[lang].n, 0, NULL);
    const json_t *en = json_object_get(j[LANG_EN], "points"), *fr = json_object_get(j[LANG_FR], "points");
    if (en) {
        for (size_t i = 0; i < json_array_size(en); i++)
            if (!is_outdone(en, i))
                watch_point(w, domain, json_array_get(en, i), json_array_get(fr, i));
        close_rest(w, ALERT_BLOCKLIST, domain, w->now_s);
        close_rest(w, ALERT_CERTIFICATE_EXPIRING, domain, w->now_s);
        close_rest(w, ALERT_CERTIFICATE_BAD, domain, w->now_s);
        close_rest(w, ALERT_DOCTOR, domain, w->now_s);
    }
    json_decref(j[LANG_EN]);
    json_decref(j[LANG_FR]);
}

/* --- records --- */

enum { SHOWN, NEVER_SHOWN, GONE, CHANGED };

static void watch_record(const struct alerts_watch *w, struct view domain, const struct health_record *r)
{
    struct buf key;
    int before;
    if (r->state == HEALTH_RECORD_UNKNOWN)
        return;
    buf_init(&key, TEXT_MAX);
    buf_printf(&key, "%.*s %.*s", VIEW_FMT(r->type), VIEW_FMT(r->name));
    enum rc rc = alert_known(w->store, domain, VIEW("record"), buf_view(&key), &before);
    int now = SHOWN;
    if (r->state != HEALTH_RECORD_PUBLISHED)
        now = rc == RC_NOTFOUND || before == NEVER_SHOWN ? NEVER_SHOWN : r->state == HEALTH_RECORD_MISSING ? GONE : CHANGED;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        learn(w, domain, VIEW("record"), buf_view(&key), now);
    if (now == GONE)
        alert_say(w, ALERT_DNS_GONE, domain, buf_view(&key), "Publish it again; the domain's page of records has it to copy.",
                  "The DNS no longer shows the record %.*s %.*s.", VIEW_FMT(r->name), VIEW_FMT(r->type));
    if (now == CHANGED)
        alert_say(w, ALERT_DNS_CHANGED, domain, buf_view(&key),
                  "If nobody changed it on purpose, find out who may change your zone. The domain's page of records has what should stand there.",
                  "The record %.*s %.*s is not what it was: the DNS shows %.*s.", VIEW_FMT(r->name), VIEW_FMT(r->type),
                  VIEW_FMT(view_slice(r->n_found > 0 ? r->found[0] : VIEW("-"), 0, VALUE_SHOWN)));
    buf_clear(&key);
}

/* Several of a name and type are one thing: the one that is worst off stands for all. */
static bool is_worst(const struct health_record *list, size_t n, size_t i)
{
    for (size_t k = 0; k < n; k++)
        if (k != i && view_eq(list[k].name, list[i].name) && view_eq(list[k].type, list[i].type) &&
            (list[k].state > list[i].state || (list[k].state == list[i].state && k < i)))
            return false;
    return true;
}

static void watch_records(const struct alerts_watch *w, struct view domain, struct arena *a)
{
    struct records r;
    int looked;
    bool told = true;
    enum rc rc = alert_known(w->store, domain, VIEW("records"), VIEW(""), &looked);
    if (rc == RC_OK && !w->fresh && (int)(w->now_s & INT32_MAX) - looked < ALERTS_RECORDS_S && (int)(w->now_s & INT32_MAX) >= looked)
        return;
    rc = records_make(w->records, NULL, w->store, domain, a, &r);
    struct health_record *list = rc == RC_OK ? arena_new_array(a, r.n, struct health_record) : NULL;
    for (size_t i = 0; list && i < r.n; i++)
        list[i] = (struct health_record){.name = view_str(r.rows[i].name), .type = view_str(r.rows[i].type), .value = view_str(r.rows[i].value)};
    if (list)
        rc = health_records_compare(w->dns, list, r.n, deadline_in(ALERTS_RECORDS_MS), a);
    if (!list || rc != RC_OK)
        return;
    for (size_t i = 0; i < r.n; i++) {
        told &= list[i].state != HEALTH_RECORD_UNKNOWN;
        if (is_worst(list, r.n, i))
            watch_record(w, domain, &list[i]);
    }
    learn(w, domain, VIEW("records"), VIEW(""), (int)(w->now_s & INT32_MAX));
    if (told) { /* else what could not be looked at goes on */
        close_rest(w, ALERT_DNS_GONE, domain, w->now_s);
        close_rest(w, ALERT_DNS_CHANGED, domain, w->now_s);
    }
}

/* What publish said last; it tries again at least each hour while it fails, and each day when all is well. */
static void watch_publishing(const struct alerts_watch *w, struct view domain, struct arena *a)
{
    struct health_result r;
    if (health_result_get(w->store, HEALTH_ASK_PUBLISH, domain, a, &r) == RC_OK && r.made_s > w->now_s - PUBLISH_OLD_S) {
        json_t *j = json_loadb(r.text[LANG_EN].p, r.text[LANG_EN].n, 0, NULL);
        const char *error = text_of(j, "error");
        if (error[0])
            alert_say(w, ALERT_DNS_UPDATE, domain, view_str(text_of(j, "zone")),
                      "See dns-update in the settings; until it works, publish by hand what the domain's page of records shows. No new key is used before the DNS shows it.",
                      "Our records could not be published at the DNS server %s: %s.", text_of(j, "server"), error);
        json_decref(j);
    }
    close_rest(w, ALERT_DNS_UPDATE, domain, w->now_s);
}

void alerts_watch_domain(const struct alerts_watch *w, struct view domain)
{
    const int64_t today = w->now_s / LEDGER_DAY_S;
    const struct ledger_span span = {domain, today - ALERTS_DAYS, today};
    struct arena a;
    arena_init(&a, ARENA);
    watch_dmarc(w, &span, &a);
    arena_reset(&a);
    watch_tls(w, &span, &a);
    arena_reset(&a);
    watch_doctor(w, domain, &a);
    arena_reset(&a);
    watch_publishing(w, domain, &a);
    arena_reset(&a);
    watch_records(w, domain, &a);
    arena_clear(&a);
}
