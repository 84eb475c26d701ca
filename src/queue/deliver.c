#include "queue/deliver.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "message/header.h"
#include "queue/route.h"
#include "queue/tls_note.h"
#include "store/blob.h"
#include "sys/board.h"

#define DELIVER_ARENA    (16u << 20)
#define ROUTE_DEADLINE_MS 60000
#define TRIES_MAX        16 /* of one attempt, for its story */
#define TRANSACTIONS_MAX 50 /* of one message to one host, where each takes few recipients */

/* One delivery. */
struct delivery_run {
    const struct deliver_env *env;
    struct deliver_job *job;
    struct arena arena;
    struct mailq_message m;
    struct mailq_rcpt *rcpts; /* those that are still there and not held */
    struct outcome *outcomes; /* as many */
    size_t n;
    enum route_wish wish;
    struct mailq_attempt tries[TRIES_MAX];
    size_t n_tries;
};

/* --- rows --- */

static bool is_wanted(const struct deliver_job *job, uint64_t id)
{
    for (size_t i = 0; i < job->n; i++)
        if (job->rcpts[i] == id)
            return true;
    return false;
}

/* Rows may have gone or been held since they were scheduled: those are left out. */
static enum rc load_rows(struct delivery_run *d)
{
    const struct deliver_job *job = d->job;
    struct mailq_rcpt *all = NULL;
    size_t n = 0;
    enum rc rc = mailq_message(d->env->store, job->message, &d->arena, &d->m);
    if (rc == RC_OK && job->n == 1) {
        uint64_t message;
        all = arena_new(&d->arena, struct mailq_rcpt);
        rc = all ? mailq_rcpt(d->env->store, job->rcpts[0], &d->arena, &message, all) : RC_TEMP;
        n = 1;
    } else if (rc == RC_OK) {
        rc = mailq_rcpts(d->env->store, job->message, &d->arena, &all, &n);
    }
    if (rc != RC_OK)
        return rc;
    d->rcpts = arena_new_array(&d->arena, job->n, struct mailq_rcpt);
    d->outcomes = arena_new_array(&d->arena, job->n, struct outcome);
    if (!d->rcpts || !d->outcomes)
        return RC_TEMP;
    for (size_t i = 0; i < n && d->n < job->n; i++) {
        if (all[i].held || !is_wanted(job, all[i].id))
            continue;
        d->rcpts[d->n] = all[i];
        d->outcomes[d->n] = (struct outcome){.rcpt = &d->rcpts[d->n], .kind = OUTCOME_DEFERRED, .status = VIEW("4.3.0")};
        d->n++;
    }
    return RC_OK;
}

static void all_outcomes(struct delivery_run *d, enum outcome_kind kind, const char *status, const char *why, int64_t not_before_ms)
{
    for (size_t i = 0; i < d->n; i++) {
        struct outcome *o = &d->outcomes[i];
        o->kind = kind;
        o->count = true;
        o->status = view_str(status);
        o->why = view_str(why);
        o->not_before_ms = not_before_ms;
    }
}

/* --- the story --- */

/* What happened with one host (or why none was asked), for people. Without memory less is told. */
static void note_try(struct delivery_run *d, struct view mx, const struct addr *addr, const char *policy, const char *reply, const char *result)
{
    char ip[ADDR_TEXT_MAX] = "";
    if (d->n_tries == TRIES_MAX)
        return;
    if (addr)
        addr_write_ip(addr, ip);
    struct mailq_attempt *t = &d->tries[d->n_tries++];
    *t = (struct mailq_attempt){.at_ms = clock_real_ms(), .mx = mx, .result = view_str(result)};
    if (view_dup(&d->arena, view_str(ip), &t->address) != RC_OK || view_dup(&d->arena, view_str(policy), &t->policy) != RC_OK ||
        view_dup(&d->arena, view_str(reply), &t->reply) != RC_OK)
        d->n_tries--;
}

/* --- a connection --- */

static void drop_client(struct delivery_run *d, bool polite)
{
    struct deliver_job *job = d->job;
    job->on_conn(job->ctx, NULL);
    smtp_client_close(job->client, polite);
    job->client = NULL;
}

/* Two messages share a connection only where both ask the same of it, under the same settings. */
static unsigned grade_of(const struct delivery_run *d)
{
    return d->env->generation << 2 | (unsigned)d->wish;
}

static enum rc open_one(struct delivery_run *d, const struct route *route, const struct route_host *host, const struct addr *addr,
                        struct smtp_client_tls_report *report, struct smtp_client_reply *why)
{
    const struct queue_settings *set = d->env->set;
    struct smtp_client_settings client_set = {.hostname = set->hostname};
    const struct addr *bind = addr_is_ipv6(addr) ? &set->bind6 : &set->bind4;
    struct smtp_client_target to = {.addr = addr, .bind = bind->len > 0 ? bind : NULL, .level = host->level, .proof = host->proof,
                                    .require_tls = d->wish == ROUTE_TLS_REQUIRED, .grade = grade_of(d), .policy = host->why, .report = report,
                                    .tls = d->env->tls, .on_conn = d->job->on_conn, .ctx = d->job->ctx};
    if (route->login) {
        client_set.username = set->relay_username;
        client_set.password = set->relay_password;
    }
    to.host = arena_cstr(&d->arena, host->name);
    if (!to.host)
        return RC_TEMP;
    enum rc rc = smtp_client_open(&client_set, &to, &d->job->client, why);
    tls_note_session(d->env, d->job->route, route, host, report);
    if (rc == RC_DENIED) { /* RFC 7435: opportunistic means that mail goes in clear rather than not at all */
        log_info("queue.tls.failed", F_CSTR("mx", to.host), F_CSTR("reason", why->text), F_ID("id", d->m.id));
        note_try(d, host->name, addr, host->why, why->text, "tls");
        to.level = SMTP_TLS_NONE;
        to.report = NULL;
        rc = smtp_client_open(&client_set, &to, &d->job->client, why);
    }
    return rc;
}

/* Why no host would do, as far as we have come. */
struct search {
    struct route route;
    struct smtp_client_reply why; /* of the last host, or of the last that policy kept us from */
    struct view host;             /* that one; empty: there was none */
    const char *policy;           /* why TLS had to be better there, or NULL */
    unsigned tries;
    bool has_refused;             /* a host can surely not do what REQUIRETLS asks */
    bool is_unclear;              /* of another one this is not known */
};

static void take_bar(struct search *s, const struct route_host *host)
{
    s->host = host->name;
    s->policy = NULL;
    s->why = (struct smtp_client_reply){0};
    snprintf(s->why.status, sizeof s->why.status, "%s", host->barred_status);
    snprintf(s->why.text, sizeof s->why.text, "%s", host->barred);
    if (host->barred_result == TLSRPT_DNSSEC_INVALID)
        s->is_unclear = true;
    else
        s->has_refused = true;
}

static bool is_lost(const struct smtp_client_reply *r)
{
    struct view status = view_str(r->status);
    return r->code == 0 && (view_starts(status, VIEW("4.4.")) || view_starts(status, VIEW("4.5.")));
}

static bool is_by_policy(const struct route_host *host, const struct smtp_client_tls_report *report)
{
    return host->level >= SMTP_TLS_ENCRYPTED && report->stage != SMTP_TLS_UNKNOWN && report->stage != SMTP_TLS_DONE;
}

static void take_failure(struct search *s, const struct route_host *host, const struct smtp_client_tls_report *report,
                         const struct smtp_client_reply *why)
{
    bool by_policy = is_by_policy(host, report);
    bool refused = by_policy || view_eq(view_str(why->status), VIEW("5.7.30"));
    s->has_refused |= refused;
    s->is_unclear |= !refused;
    if (s->policy && !by_policy)
        return; /* what policy says is the better explanation */
    s->host = host->name;
    s->why = *why;
    s->policy = by_policy ? host->why : NULL;
}

/* RC_OK: job->client is ready. */
static enum rc try_host(struct delivery_run *d, struct search *s, const struct route_host *host)
{
    const int64_t first_retry_ms = outcome_retry_ms(d->env->set, 0);
    if (host->barred)
        tls_note_barred(d->env, d->job->route, &s->route, host);
    if (host->barred && !host->only_told) {
        take_bar(s, host);
        note_try(d, host->name, NULL, host->why ? host->why : "", host->barred, "barred");
        return RC_DENIED;
    }
    for (size_t k = 0; k < host->n_addrs && s->tries < DELIVER_CONNECTS; k++) {
        struct smtp_client_tls_report report = {0};
        struct smtp_client_reply why;
        char ip[ADDR_TEXT_MAX];
        if (hosts_is_dead(d->env->hosts, &host->addrs[k])) {
            s->is_unclear = true;
            note_try(d, host->name, &host->addrs[k], host->why, "it could not be reached a moment ago", "resting");
            continue;
        }
        s->tries++;
        addr_write_ip(&host->addrs[k], ip);
        if (open_one(d, &s->route, host, &host->addrs[k], &report, &why) == RC_OK) {
            const char *version = smtp_client_tls_version(d->job->client);
            board_count(BOARD_TLS_OUT, *version ? version : "none");
            log_info("queue.mx.connected", F_VIEW("route", d->job->route), F_VIEW("mx", host->name),
                     F_CSTR("tls", smtp_client_tls_version(d->job->client)), F_CSTR("policy", tlsrpt_type_name(host->policy.type)),
                     F_CSTR("reason", host->why), F_ID("id", d->m.id), F_CSTR("address", ip));
            return RC_OK;
        }
        take_failure(s, host, &report, &why);
        log_info("queue.mx.failed", F_VIEW("route", d->job->route), F_VIEW("mx", host->name), F_CSTR("reason", why.text),
                 F_ID("id", d->m.id), F_CSTR("address", ip));
        note_try(d, host->name, &host->addrs[k], host->why, why.text, is_by_policy(host, &report) ? "tls" : "unreachable");
        if (is_lost(&why))
            hosts_failed(d->env->hosts, &host->addrs[k], first_retry_ms < HOSTS_REST_MS ? first_retry_ms : HOSTS_REST_MS);
    }
    return RC_TEMP;
}

/* None of the hosts would do. */
static void give_up(struct delivery_run *d, struct search *s)
{
    struct deliver_job *job = d->job;
    /* RFC 8689 §4.2.1: what can never be sent safely comes back at once. */
    bool fail = d->wish == ROUTE_TLS_REQUIRED && s->has_refused && !s->is_unclear;
    if (fail && !view_eq(view_str(s->why.status), VIEW("5.7.30")))
        snprintf(s->why.status, sizeof s->why.status, "5.7.10");
    /* Even a 5yz greeting speaks of this host now, not of the recipient (RFC 5321 §4.2.1; every MTA waits). */
    if (!fail && s->why.status[0] == '5')
        s->why.status[0] = '4';
    char *status = arena_cstr(&d->arena, view_str(s->why.status));
    char *text = arena_printf(&d->arena, "%.*s%s%s%s%s", VIEW_FMT(s->host), s->host.n > 0 ? ": " : "", s->why.text,
                              s->policy ? "; " : "", s->policy ? s->policy : "");
    all_outcomes(d, fail ? OUTCOME_FAILED : OUTCOME_DEFERRED, status ? status : "4.4.1", text ? text : "", 0);
    if (d->n_tries == 0)
        note_try(d, s->host, NULL, "", s->why.text, "unreachable");
    /* What this message alone asks for is no reason to let the destination rest. */
    job->verdict = d->wish == ROUTE_AS_PUBLISHED || is_lost(&s->why) ? DELIVER_UNREACHABLE : DELIVER_OK;
    snprintf(job->why, sizeof job->why, "%s", text ? text : "");
    snprintf(job->status, sizeof job->status, "%s", status ? status : "4.4.1");
}

/* Tries the hosts in turn. RC_OK: job->client is ready. Else *verdict and outcomes say what to do. */
static enum rc open_client(struct delivery_run *d)
{
    struct deliver_job *job = d->job;
    const struct route_ask ask = {.dns = d->env->dns, .set = d->env->set, .hop = job->route, .wish = d->wish,
                                  .deadline_ms = deadline_in(ROUTE_DEADLINE_MS)};
    struct search s = {.why = {.status = "4.4.1", .text = "none of its mail servers could be reached just now"}};
    enum rc rc = route_decide(&ask, &d->arena, &s.route);
    if (rc != RC_OK)
        return rc;
    /* RFC 8460 §3: else two servers could report on each other's reports for ever. */
    s.route.reported = s.route.reported && d->m.lane != LANE_REPORTS;
    tls_note_route(d->env, job->route, &s.route);
    if (s.route.verdict != ROUTE_OK) {
        all_outcomes(d, s.route.verdict == ROUTE_FAIL ? OUTCOME_FAILED : OUTCOME_DEFERRED, s.route.status, s.route.why, 0);
        note_try(d, VIEW(""), NULL, "", s.route.why, "routing");
        job->verdict = s.route.verdict == ROUTE_FAIL ? DELIVER_OK : DELIVER_UNREACHABLE;
        snprintf(job->why, sizeof job->why, "%s", s.route.why);
        snprintf(job->status, sizeof job->status, "%s", s.route.status);
        return RC_NOTFOUND;
    }
    for (size_t i = 0; i < s.route.n_hosts; i++)
        if (try_host(d, &s, &s.route.hosts[i]) == RC_OK)
            return RC_OK;
    give_up(d, &s);
    return RC_NOTFOUND;
}

/* --- transactions --- */

/* Whom we speak to; the bytes outlive the connection. */
struct spoken {
    struct view mx, address, tls, policy;
    bool has_dsn;
};

static enum rc find_spoken(struct delivery_run *d, struct spoken *out)
{
    struct smtp_client *c = d->job->client;
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(conn_peer(smtp_client_conn(c)), ip);
    out->has_dsn = smtp_client_has_dsn(c);
    enum rc rc = view_dup(&d->arena, view_str(smtp_client_host(c)), &out->mx);
    if (rc == RC_OK)
        rc = view_dup(&d->arena, view_str(ip), &out->address);
    if (rc == RC_OK)
        rc = view_dup(&d->arena, view_str(smtp_client_tls_version(c)), &out->tls);
    return rc == RC_OK ? view_dup(&d->arena, view_str(smtp_client_policy(c)), &out->policy) : rc;
}

static void take_results(struct delivery_run *d, const struct smtp_client_mail *mail, const size_t *of, const struct spoken *to)
{
    for (size_t i = 0; i < mail->n_rcpts; i++) {
        const struct smtp_client_rcpt *r = &mail->rcpts[i];
        struct outcome *o = &d->outcomes[of[i]];
        if (r->result == SMTP_RCPT_UNTRIED)
            continue;
        o->count = true;
        o->kind = r->result == SMTP_RCPT_ACCEPTED  ? (to->has_dsn ? OUTCOME_PASSED : OUTCOME_RELAYED)
                  : r->result == SMTP_RCPT_REFUSED ? OUTCOME_FAILED
                                                   : OUTCOME_DEFERRED;
        o->status = r->reply ? view_str(r->reply->status) : VIEW("");
        if (r->reply && r->reply->code > 0)
            o->reply = view_str(r->reply->text);
        else if (r->reply)
            o->why = view_str(r->reply->text);
        o->mx = to->mx;
        o->address = to->address;
        o->tls = to->tls;
        o->policy = to->policy;
    }
}

static struct smtp_client_mail mail_of(const struct mailq_message *m, struct view bytes)
{
    struct smtp_client_mail mail = {
        .sender = m->sender,
        .envid = m->envid,
        .ret_full = m->ret == RET_FULL,
        .ret_hdrs = m->ret == RET_HDRS,
        .body = m->body == BODY_BINARY ? SMTP_BODY_BINARY : m->body == BODY_8BIT ? SMTP_BODY_8BIT : SMTP_BODY_7BIT,
        .smtputf8 = m->smtputf8,
        .require_tls = m->require_tls,
        .priority = m->priority,
        .bytes = bytes,
    };
    if (m->deliver_by_ms > 0) {
        mail.has_deliver_by = true;
        mail.deliver_by_return = m->deliver_by_return;
        mail.deliver_by_trace = m->deliver_by_trace;
        mail.deliver_by_s = (m->deliver_by_ms - clock_real_ms()) / 1000;
    }
    return mail;
}

/* Those that may share a transaction: one sender, and the same bytes. */
static bool is_alike(const struct mailq_rcpt *a, const struct mailq_rcpt *b)
{
    return a->forwarded == b->forwarded && view_eq(a->sender, b->sender);
}

/* All recipients that have no result yet, in as many transactions as the host and their senders want. */
static enum rc send_all(struct delivery_run *d, struct view bytes)
{
    struct smtp_client_mail mail = mail_of(&d->m, bytes);
    size_t *of = arena_new_array(&d->arena, d->n, size_t);
    bool *settled = arena_new_array(&d->arena, d->n, bool);
    mail.rcpts = arena_new_array(&d->arena, d->n, struct smtp_client_rcpt);
    if (!mail.rcpts || !of || !settled)
        return RC_TEMP;
    for (unsigned round = 0; round < TRANSACTIONS_MAX; round++) {
        struct spoken to;
        size_t progress = 0;
        const struct mailq_rcpt *first = NULL;
        mail.n_rcpts = 0;
        for (size_t i = 0; i < d->n; i++) {
            const struct mailq_rcpt *r = &d->rcpts[i];
            if (settled[i] || (first && !is_alike(first, r)))
                continue;
            if (!first)
                first = r;
            of[mail.n_rcpts] = i;
            mail.rcpts[mail.n_rcpts++] = (struct smtp_client_rcpt){.address = r->address, .orcpt = r->orcpt, .notify = r->notify};
        }
        if (!first)
            return RC_OK;
        mail.sender = first->sender.n > 0 ? first->sender : d->m.sender;
        mail.front = first->forwarded ? d->m.seal : VIEW("");
        enum rc rc = find_spoken(d, &to);
        if (rc == RC_OK)
            rc = smtp_client_send(d->job->client, &mail, &d->arena);
        take_results(d, &mail, of, &to);
        for (size_t i = 0; i < mail.n_rcpts; i++) {
            if (mail.rcpts[i].result != SMTP_RCPT_UNTRIED) {
                settled[of[i]] = true;
                progress++;
            }
        }
        if (rc != RC_OK)
            return progress > 0 ? RC_TIMEOUT : rc;
        if (progress == 0 || smtp_client_is_spent(d->job->client))
            return RC_OK; /* the rest later */
    }
    return RC_OK;
}

static enum rc send_blob(struct delivery_run *d)
{
    struct blob blob = {0};
    enum rc rc = blob_open(d->env->store, d->m.blob, false, &blob);
    if (rc != RC_OK) {
        log_error("queue.blob.failed", F_ID("id", d->m.id), F_INT("blob", d->m.blob), F_CSTR("reason", rc_name(rc)));
        all_outcomes(d, OUTCOME_DEFERRED, "4.3.0", "the stored message cannot be read", 0);
        note_try(d, VIEW(""), NULL, "", "the stored message cannot be read", "store");
        return RC_OK;
    }
    rc = send_all(d, view_from(blob.bytes, d->m.skip));
    blob_close(&blob);
    return rc;
}

/* RFC 8689 §4.1: the parameter of MAIL before the header field. A bounce goes on where REQUIRETLS is not known (§5). */
static enum route_wish wish_of(const struct delivery_run *d)
{
    struct blob blob = {0};
    enum route_wish wish = ROUTE_AS_PUBLISHED;
    if (d->m.require_tls)
        return d->m.sender.n > 0 ? ROUTE_TLS_REQUIRED : ROUTE_AS_PUBLISHED;
    if (blob_open(d->env->store, d->m.blob, false, &blob) != RC_OK)
        return wish; /* whoever sends it will say so */
    if (view_ieq(header_value(header_of(view_from(blob.bytes, d->m.skip)), VIEW("TLS-Required")), VIEW("No")))
        wish = ROUTE_TLS_OPTIONAL;
    blob_close(&blob);
    return wish;
}

/* RC_CLOSED from a connection that was kept: it had ended meanwhile, and a new one is due. */
static void attempt(struct delivery_run *d)
{
    struct deliver_job *job = d->job;
    enum rc rc = RC_OK;
    if (job->client && smtp_client_grade(job->client) != grade_of(d))
        drop_client(d, true);
    for (int fresh = job->client ? 0 : 1; fresh < 2; fresh++) {
        if (!job->client)
            rc = open_client(d);
        if (!job->client)
            return;
        rc = send_blob(d);
        if (rc != RC_OK)
            drop_client(d, false);
        else if (smtp_client_is_spent(job->client) || smtp_client_sent(job->client) >= DELIVER_PER_CONN)
            drop_client(d, true);
        if (rc != RC_CLOSED)
            return;
    }
}

void deliver_run(const struct deliver_env *env, struct deliver_job *job)
{
    struct delivery_run d = {.env = env, .job = job};
    char why[DELIVER_WHY_MAX], status[sizeof job->status];
    arena_init(&d.arena, DELIVER_ARENA);
    job->verdict = DELIVER_OK;
    job->counts = (struct outcome_counts){0};
    job->next_ms = INT64_MAX;
    enum rc rc = load_rows(&d);
    if (rc == RC_OK && d.n > 0) {
        d.wish = wish_of(&d);
        /* A destination rests because of its policy, which this message asks not to mind. */
        bool minds = d.wish != ROUTE_TLS_OPTIONAL || !view_starts(view_str(job->status), VIEW("4.7."));
        if (job->resting_until_ms > 0 && minds) {
            memcpy(why, job->why, sizeof why);
            memcpy(status, job->status, sizeof status);
            all_outcomes(&d, OUTCOME_DEFERRED, status, why, job->resting_until_ms);
            note_try(&d, VIEW(""), NULL, "", why, "resting");
        } else {
            attempt(&d);
        }
        const struct outcome_story story = {.route = job->route, .tries = d.tries, .n = d.n_tries};
        rc = outcome_settle(env->set, env->store, &d.m, &story, d.outcomes, d.n, &job->counts, &job->next_ms);
    }
    if (rc != RC_OK && rc != RC_NOTFOUND) { /* NOTFOUND: removed meanwhile */
        log_warn("queue.trouble", F_ID("id", job->message), F_VIEW("route", job->route), F_CSTR("reason", rc_name(rc)));
        job->verdict = DELIVER_TROUBLE;
    }
    arena_clear(&d.arena);
}
