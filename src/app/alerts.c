#include "app/alerts.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "app/alerts_watch.h"
#include "app/own_records.h"
#include "app/reporting.h"
#include "app/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "message/encoded.h"
#include "report/tls.h"
#include "store/directory.h"
#include "sys/worker.h"

#define MEMORY       (32u << 20) /* of one round */
#define SETTINGS_MAX (1u << 20)
#define DNS_KEEP_S   5 /* somebody who has mended a record waits for it */
#define BODY_MAX     (1u << 20)
#define FORGET_S     86400

/* Never changed once made; whoever works with them holds a reference. */
struct lent {
    atomic_uint refs;
    struct arena mem;
    struct tls_client *trust;
    const char *hostname, *from; /* from NULL: postmaster */
    struct records_settings records;
};
struct alerts {
    struct store *store;
    struct dns *dns;
    mail_sign_fn sign;
    void *sign_ctx;
    struct worker worker;
    pthread_mutex_t lock; /* guards lent */
    struct lent *lent;
};

/* --- settings --- */

static void drop(struct lent *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    tls_client_free(l->trust);
    arena_clear(&l->mem);
    free(l);
}

/* NULL: no memory. */
static struct lent *lend(const struct alerts_settings *from)
{
    const struct config *c = from->config;
    struct records_settings records;
    struct lent *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    atomic_init(&l->refs, 1);
    arena_init(&l->mem, SETTINGS_MAX);
    l->trust = tls_client_ref(from->trust);
    l->hostname = arena_cstr(&l->mem, view_str(c->hostname));
    const struct report_settings report = reporting_settings(c, NULL);
    l->from = report.from ? arena_cstr(&l->mem, view_str(report.from)) : NULL;
    if (l->hostname && (l->from || !report.from) && own_records(c, &l->mem, &records) == RC_OK &&
        records_settings_dup(&l->mem, &records, &l->records) == RC_OK)
        return l;
    drop(l);
    return NULL;
}

static struct lent *hold(struct alerts *al)
{
    pthread_mutex_lock(&al->lock);
    struct lent *l = al->lent;
    atomic_fetch_add(&l->refs, 1);
    pthread_mutex_unlock(&al->lock);
    return l;
}

static void read_settings(struct alerts *al, struct arena *a, struct alert_settings *out)
{
    struct view text;
    const char *field;
    alert_settings_default(out);
    if (alert_settings_get(al->store, a, &text) != RC_OK)
        return;
    json_t *j = json_loadb(text.p, text.n, 0, NULL);
    if (!j || alert_settings_read(j, a, out, &field) != RC_OK)
        log_warn("alert.failed", F_CSTR("kind", "settings"), F_CSTR("reason", "they cannot be read"));
    json_decref(j);
}

/* --- by mail --- */

static enum rc find_recipients(struct alerts *al, struct alert_settings *set, struct arena *a)
{
    struct directory_account *accounts;
    size_t n;
    if (set->mail_set)
        return RC_OK;
    enum rc rc = directory_accounts(al->store, VIEW(""), a, &accounts, &n);
    for (size_t i = 0; rc == RC_OK && i < n && set->n_mail < ALERT_MAILS_MAX; i++)
        if (accounts[i].role == ROLE_OPERATOR && !accounts[i].disabled)
            set->mail[set->n_mail++] = accounts[i].address;
    return rc;
}

static enum lang language_of(struct alerts *al, struct view address, struct arena *a)
{
    struct directory_account account;
    enum lang lang = LANG_EN;
    if (directory_login(al->store, address, a, &account) == RC_OK)
        lang_read(account.language, &lang);
    return lang;
}

static void write_body(const struct lent *l, const struct alert *list, size_t n, enum lang lang, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        buf_add(out, list[i].text[lang]);
        buf_str(out, "\r\n");
        if (list[i].repair[lang].n > 0) {
            lang_printf(out, alert_words, lang, "What to do: %.*s", VIEW_FMT(list[i].repair[lang]));
            buf_str(out, "\r\n");
        }
        buf_str(out, "\r\n");
    }
    lang_printf(out, alert_words, lang, "Each is told once. See and silence them here: https://%s/admin/#/alerts", l->hostname);
    buf_str(out, "\r\n");
}

static enum rc mail_one(struct alerts *al, const struct lent *l, struct view from, struct view to, const struct alert *list, size_t n,
                        struct arena *a)
{
    const enum lang lang = language_of(al, to, a);
    const int64_t now_ms = clock_real_ms();
    struct buf body, title, subject, message;
    uint64_t id;
    buf_init(&body, BODY_MAX);
    buf_init(&title, 4096);
    buf_init(&subject, 16384);
    buf_init(&message, BODY_MAX * 2);
    write_body(l, list, n, lang, &body);
    if (n == 1)
        buf_add(&title, list[0].text[lang]);
    else
        lang_printf(&title, alert_words, lang, "%zu alerts", n);
    encoded_write(buf_view(&title), &subject);
    const char *message_id = arena_printf(a, "alert.%llu.%lld@%s", (unsigned long long)list[0].id, (long long)now_ms, l->hostname);
    const struct mail_part part = {.type = VIEW("text/plain; charset=utf-8"), .bytes = buf_view(&body), .base64 = true};
    const struct mail m = {.name = VIEW("Facteur"), .from = from, .to = to, .subject = buf_view(&subject), .message_id = view_str(message_id),
                           .fields = VIEW("Auto-Submitted: auto-generated\r\n"), .type = VIEW("multipart/mixed"), .parts = &part, .n_parts = 1,
                           .now_s = now_ms / 1000};
    enum rc rc = message_id ? mail_write(&m, &message) : RC_TEMP;
    if (rc == RC_OK)
        rc = mail_queue(al->store, al->sign, al->sign_ctx, buf_view(&message), from, to, now_ms, &id);
    if (rc == RC_OK)
        log_info("alert.sent", F_VIEW("to", to), F_INT("alerts", n), F_ID("id", id));
    else
        log_warn("alert.failed", F_VIEW("to", to), F_CSTR("reason", rc_name(rc)));
    buf_clear(&message);
    buf_clear(&subject);
    buf_clear(&title);
    buf_clear(&body);
    return rc;
}

/* All that are new in one mail each. Told where one went: an address that leads nowhere must not bring them back for ever. */
static void send_mail(struct alerts *al, const struct lent *l, struct alert_settings *set, int64_t now_s, struct arena *a)
{
    const struct alert_wanted wanted = {.by_mail = true, .now_s = now_s};
    const struct report_settings names = {.hostname = l->hostname, .from = l->from};
    struct alert *list;
    struct view from;
    size_t n;
    bool gone = false;
    if (find_recipients(al, set, a) != RC_OK || set->n_mail == 0 || alert_untold(al->store, &wanted, ALERTS_ONE_MAIL, a, &list, &n) != RC_OK || n == 0 ||
        report_from(al->store, &names, a, &from) != RC_OK)
        return;
    for (size_t i = 0; i < set->n_mail; i++) {
        enum rc rc = mail_one(al, l, from, set->mail[i], list, n, a);
        gone |= rc != RC_TEMP && rc != RC_FULL;
    }
    for (size_t i = 0; gone && i < n; i++)
        alert_told(al->store, list[i].id, now_s);
}

/* --- by webhook --- */

static json_t *text_json(struct view v)
{
    return json_stringn_nocheck(v.p ? v.p : "", v.n);
}

static json_t *hook_json(const struct lent *l, const struct alert *v)
{
    char first[32] = "";
    time_t t = (time_t)v->first_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(first, sizeof first, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:I, s:o, s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}, s:s, s:s}", "id", (json_int_t)v->id, "kind", text_json(v->kind), "domain",
                     text_json(v->domain), "subject", text_json(v->subject), "text", "en", text_json(v->text[LANG_EN]), "fr",
                     text_json(v->text[LANG_FR]), "repair", "en", text_json(v->repair[LANG_EN]), "fr", text_json(v->repair[LANG_FR]), "first", first,
                     "server", l->hostname);
}

static enum rc post(struct alerts *al, const struct lent *l, struct view url, struct view json, struct arena *a, const char **why)
{
    const int64_t deadline_ms = deadline_in(ALERTS_POST_MS);
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    struct tls_uri to;
    struct fetch_reply reply;
    struct buf body;
    char words[FETCH_WHY_MAX];
    *why = "its address cannot be read";
    if (tls_uri_read(url, a, &to) != RC_OK)
        return RC_SYNTAX;
    *why = "its host has no address just now";
    if (dns_addrs(al->dns, view_str(to.host), to.port, deadline_ms, a, &answer, &addrs, &n) != DNS_OK)
        return RC_TEMP;
    const struct fetch_request r = {.host = to.host, .port = to.port, .path = to.path, .type = "application/json", .addrs = addrs, .n_addrs = n,
                                    .trust = l->trust, .deadline_ms = deadline_ms, .stop = &al->worker.stop};
    const struct fetch_upload upload = {.method = "POST", .bytes = json, .type = "application/json"};
    buf_init(&body, 65536);
    enum fetch_fault fault = fetch_exchange(&r, &upload, &reply, &body, words);
    buf_clear(&body);
    if (fault == FETCH_OK && reply.status / 100 == 2)
        return RC_OK;
    *why = fault == FETCH_OK ? arena_printf(a, "its host answers with HTTP status %u", reply.status) : arena_cstr(a, view_str(words));
    return RC_TEMP;
}

static void call_hook(struct alerts *al, const struct lent *l, const struct alert_settings *set, int64_t now_s, struct arena *a)
{
    const struct alert_wanted wanted = {.by_hook = true, .now_s = now_s};
    struct alert *list;
    size_t n;
    if (set->webhook.n == 0 || alert_untold(al->store, &wanted, ALERTS_ONE_MAIL, a, &list, &n) != RC_OK)
        return;
    for (size_t i = 0; i < n && !al->worker.stop; i++) {
        const char *why = "no memory";
        json_t *j = hook_json(l, &list[i]);
        char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        enum rc rc = text ? post(al, l, set->webhook, view_str(text), a, &why) : RC_TEMP;
        free(text);
        json_decref(j);
        if (al->worker.stop)
            return;
        alert_hooked(al->store, list[i].id, rc == RC_OK ? 0 : list[i].hook_left - 1);
        if (rc == RC_OK)
            log_info("alert.posted", F_VIEW("kind", list[i].kind), F_VIEW("domain", list[i].domain));
        else
            log_warn("alert.failed", F_CSTR("to", "webhook"), F_CSTR("reason", why));
        if (rc != RC_OK)
            return; /* the others at the next round: it is likely down */
    }
}

/* --- rounds --- */

static void watch_domains(struct alerts *al, const struct alerts_watch *w, struct arena *a)
{
    struct view *domains;
    size_t n;
    if (directory_domains(al->store, a, &domains, &n) != RC_OK)
        return;
    for (size_t i = 0; i < n && !al->worker.stop; i++)
        alerts_watch_domain(w, domains[i]);
    if (!al->worker.stop)
        alerts_watch_sources(w);
}

static void watch(void *arg)
{
    struct alerts *al = arg;
    int64_t domains_s = 0, forgotten_s = 0;
    struct arena a;
    bool woken;
    arena_init(&a, MEMORY);
    for (int64_t until_ms = deadline_in(ALERTS_FIRST_MS); worker_rest(&al->worker, until_ms, &woken); arena_reset(&a)) {
        struct lent *l = hold(al);
        struct alert_settings set;
        read_settings(al, &a, &set);
        if (woken) /* somebody waits for it */
            dns_forget(al->dns);
        const struct alerts_watch w = {.store = al->store, .dns = al->dns, .set = &set, .records = &l->records, .now_s = clock_real_s(), .fresh = woken};
        alerts_watch_queue(&w);
        if (woken || w.now_s - domains_s >= ALERTS_DOMAINS_S || w.now_s < domains_s) {
            watch_domains(al, &w, &a);
            domains_s = w.now_s;
        }
        if (w.now_s - forgotten_s >= FORGET_S && alert_forget(al->store, w.now_s) == RC_OK)
            forgotten_s = w.now_s;
        if (!al->worker.stop)
            send_mail(al, l, &set, w.now_s, &a);
        if (!al->worker.stop)
            call_hook(al, l, &set, w.now_s, &a);
        drop(l);
        until_ms = deadline_in(ALERTS_CHECK_MS);
    }
    arena_clear(&a);
}

enum rc alerts_new(const struct alerts_settings *set, struct alerts **out)
{
    struct alerts *al = calloc(1, sizeof *al);
    const char *why = "out of memory";
    *out = NULL;
    if (!al)
        return RC_TEMP;
    al->store = set->store;
    al->sign = set->sign;
    al->sign_ctx = set->sign_ctx;
    pthread_mutex_init(&al->lock, NULL);
    worker_init(&al->worker);
    al->lent = lend(set);
    enum rc rc = al->lent ? RC_OK : RC_TEMP;
    if (rc == RC_OK)
        rc = resolver_open_fresh(set->config, DNS_KEEP_S, &al->dns, &why);
    if (rc == RC_OK) {
        why = "no thread";
        rc = worker_start(&al->worker, "alerts", watch, al);
    }
    if (rc == RC_OK) {
        *out = al;
    } else {
        log_error("alert.failed", F_CSTR("reason", why));
        alerts_free(al);
    }
    return rc;
}

enum rc alerts_reload(struct alerts *al, const struct alerts_settings *from)
{
    struct lent *l = lend(from), *old;
    if (!l)
        return RC_TEMP;
    pthread_mutex_lock(&al->lock);
    old = al->lent;
    al->lent = l;
    pthread_mutex_unlock(&al->lock);
    drop(old);
    return RC_OK;
}

void alerts_wake(struct alerts *al)
{
    worker_call(&al->worker);
}

void alerts_free(struct alerts *al)
{
    if (!al)
        return;
    worker_clear(&al->worker);
    dns_free(al->dns);
    drop(al->lent);
    pthread_mutex_destroy(&al->lock);
    free(al);
}
