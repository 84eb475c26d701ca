/* The mta process: mail in by SMTP, submission, and the queue that carries it on. */
#include <stdio.h>
#include <stdlib.h>

#include "app/alerts.h"
#include "app/certificates.h"
#include "app/health_desk.h"
#include "app/judge_settings.h"
#include "app/process.h"
#include "app/publish.h"
#include "app/reading.h"
#include "app/reporting.h"
#include "app/resolver.h"
#include "app/signing.h"
#include "app/webhooks.h"
#include "base/clock.h"
#include "fetch/fetch.h"
#include "policy/logo.h"
#include "policy/sts_cache.h"
#include "policy/tls_outcomes.h"
#include "queue/queue.h"
#include "smtp/server.h"
#include "store/sts.h"
#include "store/store.h"
#include "store/tlsrpt.h"
#include "sys/confine.h"

#define QUEUE_SETTINGS_ARENA (8u << 20)
#define DAY_S              86400
#define TLS_HOST_KEEP_DAYS 365 /* so long is a host remembered that had TLS */

struct logo_setup {
    struct logo_setup *older;
    struct logo_settings set;
    char *roots;
};
struct mta {
    struct child child;
    struct smtp_server *smtp;
    struct pool_service services[3]; /* by enum smtp_kind */
    struct dns *dns;
    struct tls_client *trust;
    struct sts_cache *sts;
    struct tls_outcomes *outcomes;
    int64_t forgotten_s; /* when old things of TLS were last removed */
    struct queue *queue;
    struct signing *signing;
    struct report *report;
    struct reading reading; /* of what others report */
    struct certificates *certificates;
    struct webhooks *webhooks;
    struct health_desk *health;
    struct publish *publish;
    struct alerts *alerts;
    struct logo_setup *logo; /* the newest first; sessions may still use the others */
    struct psl_list *psl; /* NULL before it is wanted; then until the process ends */
};

/* NULL: logos are not looked for, or there is no memory. */
static struct logo_setup *set_up_logo(struct mta *m)
{
    const struct buf *roots = &m->child.side.mark_roots;
    struct logo_setup *l = m->child.config->bimi.check ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    l->roots = strdup(roots->n > 1 ? roots->p : "");
    l->set = (struct logo_settings){.store = m->child.store, .dns = m->dns, .trust = tls_client_ref(m->trust), .roots = l->roots,
                                    .any_address = health_desk_is_lab(m->child.config)};
    l->older = m->logo;
    m->logo = l;
    return l;
}

static void free_logos(struct mta *m)
{
    for (struct logo_setup *l = m->logo, *older; l; l = older) {
        older = l->older;
        tls_client_free(l->set.trust);
        free(l->roots);
        free(l);
    }
}

/* The lists live as long as the configuration; smtp/ copies. */
static struct judge_settings find_judge_settings(struct mta *m)
{
    const struct config *f = m->child.config;
    const bool wants_list = f->authentication.organizational_domain == DMARC_PSL;
    if (wants_list && !m->psl && psl_list_open(NULL, &m->psl) != RC_OK)
        log_error("dmarc.psl.failed", F_CSTR("reason", "there is no public suffix list")); /* the tree walk it is */
    struct judge_settings set = judge_settings_of(f, m->psl);
    struct logo_setup *logo = set_up_logo(m);
    if (logo) {
        set.logo = logo_look_up;
        set.logo_ctx = &logo->set;
    }
    return set;
}

static struct smtp_settings smtp_settings_of(const struct mta *m, const struct judge_settings *judge)
{
    const struct child *c = &m->child;
    const struct config *f = c->config;
    struct sasl_settings sasl = child_sasl(c);

    sasl.use = SASL_SEND;
    sasl.plain_without_tls = false; /* submission is for TLS alone (RFC 8314 §3.3) */
    return (struct smtp_settings){.hostname = f->hostname,
                                  .message_size = f->limits.message_size,
                                  .recipients = f->limits.recipients,
                                  .relay_from = f->relay_from.v,
                                  .n_relay_from = f->relay_from.n,
                                  .relay_any_sender = f->relay_any_sender,
                                  .judge = f->authentication.check ? judge : NULL,
                                  .dns = m->dns,
                                  .workers = f->limits.workers,
                                  .signer = signing_signer(m->signing),
                                  .seen = reporting_seen,
                                  .seen_ctx = m->report,
                                 .feedback = webhooks_feedback,
                                 .feedback_ctx = m->webhooks,
                                  .sasl = sasl};
}

/* Our own listeners on the port that MX hosts are asked at: an MX there is us. *own is from the arena. */
static size_t own_addresses(const struct config *f, struct arena *a, const struct addr **own)
{
    struct addr *list = arena_new_array(a, f->listen.n + 1, struct addr);
    size_t n = 0;
    for (size_t i = 0; list && i < f->listen.n; i++)
        if (f->listen.v[i].service == SERVICE_SMTP && addr_port(&f->listen.v[i].addr) == f->outbound.port)
            list[n++] = f->listen.v[i].addr;
    *own = list;
    return n;
}

/* Authorities and keys of its own in the form of TLSA records. One that cannot be read must not weaken the rest: nothing fits it. */
static void prove_destination(const struct config_destination *from, const struct buf *pem, struct arena *a, struct queue_destination *to)
{
    struct tls_record *authorities = NULL;
    size_t n = 0;
    if (from->trust && tls_records_of_pem(pem->p, a, &authorities, &n) != RC_OK) {
        log_error("tls.trust.failed", F_CSTR("file", from->trust), F_CSTR("reason", "it holds no certificate in PEM form"));
        n = 0;
    }
    struct tls_record *all = arena_new_array(a, n + from->n_keys + 1, struct tls_record);
    if (!all)
        return;
    for (size_t i = 0; i < n; i++)
        all[to->n_records++] = authorities[i];
    for (size_t i = 0; i < from->n_keys; i++)
        all[to->n_records++] = (struct tls_record){3, 1, 1, view_of(from->keys[i], sizeof from->keys[i])};
    if (from->trust && to->n_records == 0)
        all[to->n_records++] = (struct tls_record){3, 1, 1, view_of("\0", 1)};
    to->records = all;
}

static size_t destinations_of(const struct child *c, struct arena *a, const struct queue_destination **out)
{
    const struct config *f = c->config;
    struct queue_destination *list = arena_new_array(a, f->outbound.destinations.n, struct queue_destination);
    *out = list;
    for (size_t i = 0; list && i < f->outbound.destinations.n; i++) {
        const struct config_destination *from = &f->outbound.destinations.v[i];
        list[i].domain = from->domain;
        list[i].tls = from->tls;
        list[i].mx = from->mx;
        list[i].n_mx = from->n_mx;
        if (i < c->side.n_destinations)
            prove_destination(from, &c->side.destination_trust[i], a, &list[i]);
    }
    return list ? f->outbound.destinations.n : 0;
}

/* The pointers live as long as the configuration and the arena; queue/ copies. */
static struct queue_settings queue_settings_of(const struct mta *m, struct arena *a)
{
    const struct child *c = &m->child;
    const struct config *f = c->config;
    struct queue_settings set = {.hostname = f->hostname,
                                 .port = f->outbound.port,
                                 .relay_host = f->relay.host,
                                 .relay_port = f->relay.port,
                                 .relay_username = f->relay.username,
                                 .relay_password = f->relay.username ? c->side.relay_password.p : NULL,
                                 .workers = f->outbound.connections,
                                 .per_destination = f->outbound.per_destination,
                                 .sts = m->sts,
                                 .outcomes = m->outcomes,
                                 .delay_notice_ms = f->queue.delay_notice,
                                 .expire_ms = f->queue.expire,
                                 .signer = signing_signer(m->signing),
                                 .desk = reading_take,
                                 .desk_ctx = (void *)&m->reading,
                                 .report_failed = reporting_failed,
                                 .report_ctx = m->report,
                                 .fate = webhooks_fate,
                                 .fate_told = webhooks_told,
                                 .fate_ctx = m->webhooks};
    set.n_destinations = destinations_of(c, a, &set.destinations);
    set.n_own = own_addresses(f, a, &set.own);
    for (size_t i = 0; i < f->outbound.bind.n; i++) {
        const struct addr *b = &f->outbound.bind.v[i];
        *(addr_is_ipv6(b) ? &set.bind6 : &set.bind4) = *b;
    }
    for (; set.n_retry < f->queue.retry.n && set.n_retry < QUEUE_RETRY_MAX; set.n_retry++)
        set.retry_ms[set.n_retry] = f->queue.retry.v[set.n_retry];
    return set;
}

static enum rc sign_report(void *signer, struct view message, struct buf *out)
{
    return signer_sign_message(signer, message, out);
}

static struct report_settings report_settings_of(const struct mta *m, const struct judge_settings *judge)
{
    struct report_settings set = reporting_settings(m->child.config, judge->psl);
    set.dmarc.method = judge->method;
    set.sign = sign_report;
    set.sign_ctx = signing_signer(m->signing);
    set.trust = m->trust;
    set.outcomes = m->outcomes;
    return set;
}

static struct tls_client *load_trust(const struct child *c)
{
    struct tls_client *trust = NULL;
    const char *why = NULL;
    if (tls_client_new(c->side.trust.n > 1 ? c->side.trust.p : NULL, &trust, &why) != RC_OK)
        log_error("tls.trust.failed", F_CSTR("reason", why));
    return trust;
}

static struct dns *open_dns(const struct child *c)
{
    struct dns *dns = NULL;
    const char *why;
    if (resolver_open(c->config, &dns, &why) != RC_OK)
        log_error("dns.failed", F_CSTR("reason", why));
    return dns;
}

static const struct pool_service *service_of(void *ctx, enum config_service service)
{
    struct mta *m = ctx;
    switch (service) {
    case SERVICE_SMTP: return &m->services[SMTP_MTA];
    case SERVICE_SUBMISSION: return &m->services[SMTP_SUBMISSION];
    case SERVICE_SUBMISSIONS: return &m->services[SMTP_SUBMISSIONS];
    default: return NULL;
    }
}

/* Certificates are new: both processes that speak TLS take them. */
static void use_certificates(void *ctx)
{
    struct mta *m = ctx;
    const struct poke p = {.kind = POKE_TLS};
    child_load_tls(&m->child);
    poke_send(m->child.start->bus, &p);
    publish_wake(m->publish); /* TLSA records: the old key's goes, the next one's comes */
}

static struct certificates_settings certificates_settings_of(struct mta *m)
{
    const struct config *f = m->child.config;
    const struct buf *eab = &m->child.side.eab_key;
    struct certificates_settings set = {.directory = f->acme.directory,
                                        .contact = f->acme.contact,
                                        .eab_key_id = f->acme.eab_key_id,
                                        .eab_key = view_of(eab->p, eab->n > 0 ? eab->n - 1 : 0), /* without its NUL */
                                        .hostname = f->hostname,
                                        .vault = m->child.vault,
                                        .store = m->child.store,
                                        .dns = m->dns,
                                        .trust = m->trust,
                                        .changed = use_certificates,
                                        .ctx = m};
    for (size_t i = 0; i < f->listen.n; i++)
        set.https |= f->listen.v[i].service == SERVICE_HTTPS;
    for (size_t i = 0; i < f->listen.n; i++)
        set.http |= f->listen.v[i].service == SERVICE_HTTP;
    return set;
}

/* On the thread of publish. */
static void has_published(void *ctx)
{
    const struct mta *m = ctx;
    signing_wake(m->signing, true);
}

static struct publish_settings publish_settings_of(struct mta *m)
{
    const struct buf *key = &m->child.side.update_key;
    return (struct publish_settings){.store = m->child.store,
                                     .vault = m->child.vault,
                                     .dns = m->dns,
                                     .config = m->child.config,
                                     .secret = view_of(key->p, key->n > 0 ? key->n - 1 : 0), /* without its NUL */
                                     .changed = has_published,
                                     .ctx = m};
}

static struct health_desk_settings health_settings_of(const struct mta *m)
{
    return (struct health_desk_settings){.store = m->child.store, .config = m->child.config, .trust = m->trust, .sts = m->sts,
                                         .publish = m->publish,
                                         .mark_roots = m->child.side.mark_roots.n > 1 ? m->child.side.mark_roots.p : NULL};
}

static struct webhooks_settings webhooks_settings_of(const struct mta *m)
{
    return (struct webhooks_settings){.store = m->child.store, .dns = m->dns, .trust = m->trust,
                                      .allow_private = m->child.config->web.webhooks_private};
}

static struct alerts_settings alerts_settings_of(const struct mta *m)
{
    return (struct alerts_settings){.store = m->child.store, .config = m->child.config, .trust = m->trust, .sign = sign_report,
                                    .sign_ctx = signing_signer(m->signing)};
}

static enum rc reload(void *ctx, struct child *c)
{
    struct mta *m = ctx;
    struct arena a;
    const struct judge_settings judge = find_judge_settings(m);
    const struct smtp_settings smtp = smtp_settings_of(m, &judge);
    struct report_settings report = report_settings_of(m, &judge);
    struct tls_client *trust = load_trust(c);

    arena_init(&a, QUEUE_SETTINGS_ARENA);
    const struct queue_settings queue = queue_settings_of(m, &a);
    signing_set_keep(m->signing, c->config->queue.expire);
    enum rc rc = smtp_server_reload(m->smtp, &smtp);
    if (rc == RC_OK)
        rc = queue_reload(m->queue, &queue, trust ? trust : m->trust);
    report.trust = trust ? trust : m->trust;
    if (rc == RC_OK)
        rc = report_reload(m->report, &report);
    arena_clear(&a);
    struct tls_client *old = trust ? m->trust : NULL;
    if (trust) {
        sts_cache_trust(m->sts, trust);
        m->trust = trust;
    }
    const struct webhooks_settings webhooks = webhooks_settings_of(m);
    webhooks_reload(m->webhooks, &webhooks);
    const struct certificates_settings certificates = certificates_settings_of(m);
    enum rc kept = certificates_reload(m->certificates, &certificates);
    const struct publish_settings publish = publish_settings_of(m);
    if (kept == RC_OK)
        kept = publish_reload(m->publish, &publish);
    const struct health_desk_settings health = health_settings_of(m);
    if (kept == RC_OK)
        kept = reading_reload(m->reading.desk, c->config, c->store);
    if (kept == RC_OK)
        kept = health_desk_reload(m->health, &health);
    const struct alerts_settings alerts = alerts_settings_of(m);
    if (kept == RC_OK)
        kept = alerts_reload(m->alerts, &alerts);
    tls_client_free(old);
    return rc == RC_OK ? kept : rc;
}

static void poked(void *ctx, const struct poke *p)
{
    struct mta *m = ctx;
    if (p->kind == POKE_QUEUE)
        queue_wake(m->queue);
    if (p->kind == POKE_KEYS)
        signing_wake(m->signing, p->account != 0);
    if (p->kind == POKE_KEYS || p->kind == POKE_HEALTH)
        publish_wake(m->publish);
    if (p->kind == POKE_HEALTH)
        health_desk_wake(m->health);
    if (p->kind == POKE_DESK)
        reading_wake(&m->reading);
    if (p->kind == POKE_ALERTS)
        alerts_wake(m->alerts);
    if (p->kind == POKE_REPORTS)
        report_wake(m->report);
}

static void tick(void *ctx)
{
    struct mta *m = ctx;
    const int64_t now_s = clock_real_s();
    const struct logfile_settings log = process_logfile(m->child.config, m->child.start->users);
    logfile_turn(&log);
    store_maintain(m->child.store, true);
    tls_outcomes_flush(m->outcomes);
    reading_tick(&m->reading, now_s, now_s - m->forgotten_s >= DAY_S);
    if (now_s - m->forgotten_s < DAY_S)
        return;
    m->forgotten_s = now_s;
    tlsrpt_forget(m->child.store, now_s / DAY_S - TLSRPT_KEEP_DAYS);
    tls_host_forget(m->child.store, now_s - TLS_HOST_KEEP_DAYS * DAY_S);
}

static void drain(void *ctx, int64_t deadline_ms)
{
    struct mta *m = ctx;
    sts_cache_stop(m->sts);
    report_drain(m->report);
    desk_stop(m->reading.desk);
    queue_drain(m->queue, deadline_ms);
    tls_outcomes_flush(m->outcomes);
}

static bool begin(struct mta *m)
{
    struct arena a;

    if (!(m->dns = open_dns(&m->child)) || !(m->trust = load_trust(&m->child)) ||
        signing_new(m->child.vault, m->child.store, m->dns, m->child.config->queue.expire, &m->signing) != RC_OK ||
        tls_outcomes_new(m->child.store, &m->outcomes) != RC_OK)
        return false;
    const struct judge_settings judge = find_judge_settings(m);
    const struct report_settings report = report_settings_of(m, &judge);
    if (report_new(&report, m->child.store, m->dns, &m->report) != RC_OK) {
        log_error("queue.failed", F_CSTR("reason", "no memory or thread for reports"));
        return false;
    }
    const struct webhooks_settings webhooks = webhooks_settings_of(m);
    if (webhooks_new(&webhooks, &m->webhooks) != RC_OK)
        return false;
    const struct smtp_settings smtp = smtp_settings_of(m, &judge);
    if (smtp_server_new(&smtp, m->child.store, m->child.pool, &m->smtp) != RC_OK)
        return false;
    for (enum smtp_kind k = SMTP_MTA; k <= SMTP_SUBMISSIONS; k++)
        smtp_service(m->smtp, k, &m->services[k]);
    const struct sts_settings sts = {.store = m->child.store, .dns = m->dns, .trust = m->trust};
    if (sts_cache_new(&sts, &m->sts) != RC_OK)
        return false;
    if (!reading_begin(&m->reading, m->child.config, m->child.store, m->dns))
        return false;
    arena_init(&a, QUEUE_SETTINGS_ARENA);
    const struct queue_settings queue = queue_settings_of(m, &a);
    enum rc rc = queue_new(&queue, m->child.store, m->dns, m->trust, &m->queue);
    arena_clear(&a);
    if (rc != RC_OK)
        log_error("queue.failed", F_CSTR("reason", rc_name(rc)));
    const struct publish_settings publish = publish_settings_of(m);
    if (rc != RC_OK || publish_new(&publish, &m->publish) != RC_OK)
        return false;
    const struct certificates_settings certificates = certificates_settings_of(m);
    if (certificates_new(&certificates, &m->certificates) != RC_OK)
        return false;
    const struct health_desk_settings health = health_settings_of(m);
    const struct alerts_settings alerts = alerts_settings_of(m);
    return health_desk_new(&health, &m->health) == RC_OK && alerts_new(&alerts, &m->alerts) == RC_OK;
}

int mta_process(struct start *start)
{
    static const struct child_ops ops = {service_of, NULL, reload, poked, tick, drain};
    struct mta *m = calloc(1, sizeof *m);
    int status = 1;

    fetch_init(); /* reads files that are out of reach later */
    if (m)
        reading_open_files(&m->reading, start->config);
    if (m && child_begin(&m->child, start, POKE_MTA_SOCKET, CONFINE_NET_SERVER | CONFINE_NET_CLIENT | CONFINE_FILES) && begin(m)) {
        status = child_run(&m->child, &ops, m);
        alerts_free(m->alerts);
        health_desk_free(m->health);
        certificates_free(m->certificates);
        publish_free(m->publish);
        queue_free(m->queue);
        webhooks_free(m->webhooks);
        child_close_pool(&m->child);
        smtp_server_free(m->smtp);
        report_free(m->report);
        free_logos(m);
        reading_end(&m->reading);
        psl_list_free(m->psl);
        signing_free(m->signing);
        tls_outcomes_free(m->outcomes);
        sts_cache_free(m->sts);
        dns_free(m->dns);
        tls_client_free(m->trust);
        child_end(&m->child);
    }
    free(m);
    return status; /* after a failure the process ends at once: nothing is under way */
}
