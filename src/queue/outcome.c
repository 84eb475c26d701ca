#include "queue/outcome.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "message/header.h"
#include "policy/forward.h"
#include "queue/dsn.h"
#include "store/blob.h"
#include "store/directory.h"
#include "sys/board.h"

#define OUTCOME_ARENA  (4u << 20)
#define TROUBLE_WAIT_MS 300000 /* a notification that cannot be queued now: its rows come again after this */

struct settlement {
    const struct queue_settings *set;
    struct store *store;
    const struct mailq_message *m;
    struct arena arena;
    int64_t now_ms, expire_ms;
    struct mailq_result *results; /* as many as outcomes, in their order */
    struct dsn_rcpt *tell;        /* those of whom the sender is told */
    size_t *tell_of;              /* their outcomes */
    size_t n_tell;
    const struct outcome_story *story; /* it goes with the first row that stays */
    bool is_told;                      /* it has gone */
};

int64_t outcome_retry_ms(const struct queue_settings *set, unsigned attempts)
{
    size_t last = set->n_retry - 1;
    return set->retry_ms[attempts < last ? attempts : last];
}

/* --- what becomes of one row --- */

static struct view status_of(const struct outcome *o, enum outcome_kind kind)
{
    if (o->status.n > 0)
        return o->status;
    return kind == OUTCOME_FAILED ? VIEW("5.0.0") : kind == OUTCOME_DEFERRED ? VIEW("4.0.0") : VIEW("2.0.0");
}

/* RFC 3461 §4.1: without NOTIFY failures are told, and delays may be. */
static bool is_wanted(const struct mailq_message *m, const struct mailq_rcpt *r, enum dsn_action action)
{
    if (action == DSN_RELAYED && m->deliver_by_trace) /* RFC 2852 §4.1.4 */
        return r->notify != NOTIFY_NEVER;
    switch (action) {
    case DSN_FAILED:  return r->notify == NOTIFY_DEFAULT || (r->notify & NOTIFY_FAILURE);
    case DSN_DELAYED: return r->notify == NOTIFY_DEFAULT || (r->notify & NOTIFY_DELAY);
    default:          return (r->notify & NOTIFY_SUCCESS) != 0;
    }
}

static void tell_sender(struct settlement *st, const struct outcome *o, size_t i, enum dsn_action action, struct view status)
{
    const struct mailq_rcpt *r = o->rcpt;
    if (st->m->sender.n == 0 || !is_wanted(st->m, r, action)) /* RFC 5321 §6.1: never a bounce of a bounce */
        return;
    st->tell_of[st->n_tell] = i;
    st->tell[st->n_tell++] = (struct dsn_rcpt){
        .action = action,
        /* Where an alias led is its owner's affair: the sender sees what he wrote (RFC 3461 §5.2.7.3). */
        .address = r->forwarded && r->original.n > 0 ? r->original : r->address,
        .orcpt = r->orcpt,
        .status = status,
        .reply = o->reply,
        .why = o->why,
        .mx = o->mx,
        .last_attempt_ms = st->now_ms,
        .retry_until_ms = st->expire_ms,
    };
}

static bool notice_is_due(const struct settlement *st, const struct mailq_rcpt *r)
{
    const struct mailq_message *m = st->m;
    if (r->delay_told)
        return false;
    if (m->deliver_by_ms > 0 && st->now_ms >= m->deliver_by_ms) /* RFC 2852 §4.1.1 by-mode N */
        return true;
    return st->set->delay_notice_ms >= 0 && st->now_ms - m->created_ms >= st->set->delay_notice_ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The next attempt: by the schedule, but at the end of its time at the latest, so that the sender hears then. */
static int64_t next_attempt(const struct settlement *st, const struct outcome *o)
{
    int64_t due = st->now_ms + outcome_retry_ms(st->set, o->rcpt->attempts);
    if (o->not_before_ms > 0)
        due = o->count ? (due > o->not_before_ms ? due : o->not_before_ms) : o->not_before_ms;
    due = earlier(due, st->expire_ms);
    if (st->m->deliver_by_ms > st->now_ms)
        due = earlier(due, st->m->deliver_by_ms);
    return due;
}

static void log_outcome(const struct settlement *st, const char *event, const struct outcome *o, struct view status)
{
    board_count(BOARD_DELIVERIES, event + strlen("queue."));
    log_info(event, F_ID("id", st->m->id), F_VIEW("from", st->m->sender), F_VIEW("to", o->rcpt->address), F_VIEW("mx", o->mx),
             F_VIEW("status", status), F_VIEW("reply", o->reply), F_VIEW("reason", o->why),
             F_INT("attempts", o->rcpt->attempts + (o->count ? 1 : 0)), F_INT("ms", st->now_ms - st->m->created_ms), F_VIEW("as", o->rcpt->sender),
             F_VIEW("address", o->address), F_VIEW("tls", o->tls), F_VIEW("policy", o->policy));
}

/* What is kept of this attempt: the story for all, once; and what became of this recipient where somebody spoke of it. */
static void tell_story(struct settlement *st, const struct outcome *o, struct mailq_result *r)
{
    const size_t n_shared = st->is_told ? 0 : st->story->n;
    const bool own = o->mx.n > 0 || st->story->n == 0;
    struct mailq_attempt *list = arena_new_array(&st->arena, n_shared + 1, struct mailq_attempt);
    if (!list) /* less is told; the attempt counts all the same */
        return;
    if (n_shared > 0)
        memcpy(list, st->story->tries, n_shared * sizeof *list);
    st->is_told = true;
    if (own)
        list[n_shared] = (struct mailq_attempt){.rcpt = o->rcpt->id, .at_ms = st->now_ms, .mx = o->mx, .address = o->address,
                                                .tls = o->tls, .policy = o->policy, .reply = r->reply, .result = VIEW("deferred")};
    r->message = st->m->id;
    r->route = st->story->route;
    r->attempts = list;
    r->n_attempts = n_shared + own;
}

static void settle_one(struct settlement *st, const struct outcome *o, size_t i, struct outcome_counts *counts)
{
    enum outcome_kind kind = o->kind;
    struct mailq_result *r = &st->results[i];
    struct view status = status_of(o, kind);
    *r = (struct mailq_result){.rcpt = o->rcpt->id, .kind = RESULT_DONE, .count = o->count, .mx = o->mx,
                               .reply = o->reply.n > 0 ? o->reply : o->why};
    if (kind == OUTCOME_DEFERRED && st->now_ms >= st->expire_ms) {
        kind = OUTCOME_FAILED;
        status = VIEW("5.4.7"); /* RFC 3463 §3.5: delivery time expired */
    }
    switch (kind) {
    case OUTCOME_DELIVERED:
        tell_sender(st, o, i, DSN_DELIVERED, status);
        return; /* logged by queue/local */
    case OUTCOME_RELAYED:
    case OUTCOME_PASSED:
        counts->relayed++;
        log_outcome(st, "queue.sent", o, status);
        if (kind == OUTCOME_RELAYED || st->m->deliver_by_trace)
            tell_sender(st, o, i, DSN_RELAYED, status);
        return;
    case OUTCOME_DEFERRED:
        counts->deferred++;
        log_outcome(st, "queue.deferred", o, status);
        r->kind = RESULT_RETRY;
        r->due_ms = next_attempt(st, o);
        r->delay_told = o->rcpt->delay_told;
        tell_story(st, o, r);
        if (notice_is_due(st, o->rcpt)) {
            r->delay_told = true;
            tell_sender(st, o, i, DSN_DELAYED, status);
        }
        return;
    case OUTCOME_FAILED:
        counts->bounced++;
        log_outcome(st, st->m->sender.n > 0 && is_wanted(st->m, o->rcpt, DSN_FAILED) ? "queue.bounced" : "queue.dropped", o, status);
        if (st->m->lane == LANE_REPORTS && st->set->report_failed)
            st->set->report_failed(st->set->report_ctx, o->rcpt->address, o->reply.n > 0 ? o->reply : o->why);
        tell_sender(st, o, i, DSN_FAILED, status);
        return;
    }
}

/* --- the notification --- */

/* RFC 6533 is for those who can take it: senders of SMTPUTF8 messages with something to show in UTF-8. */
static bool needs_utf8(const struct settlement *st, struct view original)
{
    if (!st->m->smtputf8)
        return false;
    if (!view_is_ascii(st->m->sender) || !view_is_ascii(header_of(original)))
        return true;
    for (size_t i = 0; i < st->n_tell; i++)
        if (!view_is_ascii(st->tell[i].address))
            return true;
    return false;
}

static bool has_failure(const struct settlement *st)
{
    for (size_t i = 0; i < st->n_tell; i++)
        if (st->tell[i].action == DSN_FAILED)
            return true;
    return false;
}

static enum rc is_ours(struct settlement *st, struct view address, struct view *domain, bool *out)
{
    size_t at = view_rchr(address, '@');
    *out = false;
    if (at == VIEW_NONE)
        return RC_OK;
    enum rc rc = dns_domain_ascii(view_from(address, at + 1), &st->arena, domain);
    if (rc == RC_OK)
        rc = directory_has_domain(st->store, *domain, out);
    return rc == RC_SYNTAX ? RC_OK : rc;
}

/* In whose name we speak: a domain of ours that signs, since nobody believes a notification that is not signed. The
 * sender's, or that of a recipient; else the host's name. */
static enum rc choose_author(struct settlement *st, struct view *out)
{
    bool ours;
    enum rc rc = is_ours(st, st->m->sender, out, &ours);
    for (size_t i = 0; rc == RC_OK && !ours && i < st->n_tell; i++)
        rc = is_ours(st, st->tell[i].address, out, &ours);
    if (rc == RC_OK && !ours)
        *out = VIEW("");
    return rc;
}

/* The notification behind Return-Path and its signatures. RC_TEMP: it cannot be signed now. */
static enum rc write_signed(struct settlement *st, const struct dsn *d, const char *return_path, struct buf *out)
{
    struct buf message;

    buf_init(&message, out->max);
    enum rc rc = dsn_write(d, &message);
    buf_str(out, return_path);
    if (rc == RC_OK && st->set->signer)
        rc = signer_sign_message(st->set->signer, buf_view(&message), out);
    if (rc == RC_NOTFOUND) /* the author has no keys */
        rc = RC_OK;
    buf_add(out, buf_view(&message));
    buf_clear(&message);
    return rc == RC_OK ? buf_rc(out) : rc;
}

/* Writes it into a blob. *out becomes the message to be queued, without recipients. */
static enum rc write_blob(struct settlement *st, struct mailq_message *out)
{
    const struct mailq_message *m = st->m;
    struct blob original = {0};
    struct blob_writer *w = NULL;
    struct buf text;
    static const char return_path[] = "Return-Path: <>\r\n";
    /* A blob that is gone or damaged must not keep the news from the sender. */
    enum rc rc = blob_open(st->store, m->blob, false, &original);
    struct view bytes = rc == RC_OK ? view_from(original.bytes, m->skip) : VIEW("");
    struct dsn d = {
        .hostname = view_str(st->set->hostname),
        .to = m->sender,
        .envid = m->envid,
        .queue_id = m->id,
        .arrival_ms = m->created_ms,
        .now_ms = st->now_ms,
        .utf8 = needs_utf8(st, bytes),
        .original = bytes,
        .rcpts = st->tell,
        .n_rcpts = st->n_tell,
    };
    rc = choose_author(st, &d.domain);
    random_bytes(d.unique, sizeof d.unique);
    /* RFC 3461 §4.3: RET=FULL speaks of failures only. By default the header says enough. */
    d.full = m->ret == RET_FULL && !m->require_tls /* RFC 8689 §5 */ && has_failure(st) && m->body != BODY_BINARY && bytes.n <= st->set->bounce_size_max;
    buf_init(&text, bytes.n + DSN_HEADERS_MAX * 2 + (st->n_tell + 1) * 16384);
    if (rc == RC_OK)
        rc = write_signed(st, &d, return_path, &text);
    if (rc == RC_OK)
        rc = blob_begin(st->store, 0, &w);
    if (rc == RC_OK) {
        rc = blob_append(w, buf_view(&text));
        *out = (struct mailq_message){.skip = sizeof return_path - 1, .size = text.n - (sizeof return_path - 1),
                                      .body = view_is_ascii(buf_view(&text)) ? BODY_7BIT : BODY_8BIT, .smtputf8 = d.utf8,
                                      .require_tls = m->require_tls, .created_ms = st->now_ms, .peer = VIEW("local")};
        if (rc == RC_OK)
            rc = blob_finish(w, &out->blob);
        else
            blob_abort(w);
    }
    buf_clear(&text);
    blob_close(&original);
    return rc;
}

/* Where the sender is. RC_NOTFOUND: nowhere that can be written to. */
static enum rc route_sender(struct settlement *st, struct mailq_rcpt **out, size_t *n)
{
    struct directory_target *targets = NULL;
    size_t n_targets = 0, at = view_rchr(st->m->sender, '@');
    struct view sender = st->m->sender, back;
    enum rc rc = directory_route(st->store, sender, &st->arena, &targets, &n_targets);
    if ((rc == RC_NOTFOUND || (rc == RC_OK && targets[0].by_catch_all)) && srs_is_form(sender)) {
        rc = forward_back(st->store, sender, st->now_ms / 1000, &st->arena, &back);
        if (rc == RC_OK) { /* it passed here before, and came round by others */
            sender = back;
            rc = directory_route(st->store, sender, &st->arena, &targets, &n_targets);
        } else if (rc == RC_DENIED || rc == RC_TIMEOUT) {
            return RC_NOTFOUND;
        }
    }
    if (rc == RC_LIMIT || rc == RC_SYNTAX)
        return RC_NOTFOUND;
    if (rc == RC_DENIED) { /* not ours */
        n_targets = 1;
        targets = arena_new(&st->arena, struct directory_target);
        if (!targets)
            return RC_TEMP;
        targets->address = sender;
    } else if (rc != RC_OK) {
        return rc;
    }
    struct mailq_rcpt *r = arena_new_array(&st->arena, n_targets, struct mailq_rcpt);
    if (!r || n_targets == 0)
        return r ? RC_NOTFOUND : RC_TEMP;
    for (size_t i = 0; i < n_targets; i++) {
        const struct directory_target *t = &targets[i];
        r[i] = (struct mailq_rcpt){.account = t->account, .address = t->address, .detail = t->detail, .original = st->m->sender,
                                   .notify = NOTIFY_NEVER, .forwarded = t->account == 0 && t->via_alias, .due_ms = st->now_ms};
        at = view_rchr(t->address, '@');
        if (t->account == 0) {
            if (at == VIEW_NONE)
                return RC_NOTFOUND;
            rc = dns_domain_ascii(view_from(t->address, at + 1), &st->arena, &r[i].route);
            if (rc != RC_OK)
                return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
        }
    }
    *out = r;
    *n = n_targets;
    return RC_OK;
}

static enum rc submit(struct settlement *st, size_t n_results)
{
    struct mailq_message dsn;
    struct mailq_rcpt *rcpts = NULL;
    size_t n = 0;
    if (st->n_tell == 0)
        return mailq_results(st->store, st->results, n_results);
    enum rc rc = route_sender(st, &rcpts, &n);
    if (rc == RC_NOTFOUND) {
        log_warn("queue.notice.undeliverable", F_ID("id", st->m->id), F_VIEW("to", st->m->sender));
        return mailq_results(st->store, st->results, n_results);
    }
    if (rc == RC_OK)
        rc = write_blob(st, &dsn);
    if (rc == RC_OK)
        rc = mailq_submit_and_results(st->store, &dsn, rcpts, n, st->results, n_results);
    if (rc == RC_OK)
        log_info("queue.notice", F_ID("id", dsn.id), F_ID("about", st->m->id), F_VIEW("to", st->m->sender),
                 F_CSTR("kind", has_failure(st) ? "failure" : st->tell[0].action == DSN_DELAYED ? "delay" : "success"));
    return rc;
}

/* Deliveries here are told by queue/local. */
static enum rc prepare_event(struct settlement *st, const struct outcome *o, struct mailq_result *r)
{
    struct queue_fate f = {.message = st->m->id, .account = st->m->account, .sender = st->m->sender, .mx = o->mx,
                           .recipient = o->rcpt->forwarded && o->rcpt->original.n > 0 ? o->rcpt->original : o->rcpt->address,
                           .reply = o->reply.n > 0 ? o->reply : o->why};
    r->event = (struct mailq_event){0};
    if (!st->set->fate || st->m->lane == LANE_REPORTS || o->kind == OUTCOME_DELIVERED)
        return RC_OK;
    f.kind = r->kind == RESULT_RETRY ? FATE_DEFERRED : o->kind == OUTCOME_RELAYED || o->kind == OUTCOME_PASSED ? FATE_DELIVERED : FATE_BOUNCED;
    f.status = status_of(o, f.kind == FATE_BOUNCED ? OUTCOME_FAILED : o->kind);
    return st->set->fate(st->set->fate_ctx, &f, &st->arena, &r->event);
}

static void tell_fates(struct settlement *st, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (st->results[i].event.account)
            st->set->fate_told(st->set->fate_ctx, &st->results[i].event);
}

static enum rc settle_some(const struct queue_settings *set, struct store *s, const struct mailq_message *m,
                           const struct outcome_story *story, const struct outcome *o, size_t n, struct outcome_counts *counts, int64_t *next_ms)
{
    struct settlement st = {.set = set, .store = s, .m = m, .now_ms = clock_real_ms(), .story = story};
    struct outcome_counts mine = {0};
    arena_init(&st.arena, OUTCOME_ARENA);
    st.expire_ms = m->created_ms + set->expire_ms;
    if (m->release_ms > m->created_ms)
        st.expire_ms += m->release_ms - m->created_ms; /* RFC 4865: its time begins at the release */
    if (m->deliver_by_ms > 0 && m->deliver_by_return)
        st.expire_ms = earlier(st.expire_ms, m->deliver_by_ms); /* RFC 2852 §4.1.1 by-mode R */
    st.results = arena_new_array(&st.arena, n, struct mailq_result);
    st.tell = arena_new_array(&st.arena, n, struct dsn_rcpt);
    st.tell_of = arena_new_array(&st.arena, n, size_t);
    enum rc rc = st.results && st.tell && st.tell_of ? RC_OK : RC_TEMP;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        settle_one(&st, &o[i], i, &mine);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = prepare_event(&st, &o[i], &st.results[i]);
    if (rc == RC_OK) {
        rc = submit(&st, n);
        if (rc != RC_OK && st.n_tell > 0) {
            /* Failures of whom nobody could be told wait; the others' results are true all the same. */
            for (size_t i = 0; i < st.n_tell; i++) {
                struct mailq_result *r = &st.results[st.tell_of[i]];
                if (st.tell[i].action > DSN_DELAYED)
                    continue;
                *r = (struct mailq_result){.rcpt = r->rcpt, .kind = RESULT_RETRY, .due_ms = st.now_ms + TROUBLE_WAIT_MS,
                                           .delay_told = o[st.tell_of[i]].rcpt->delay_told, .reply = r->reply, .mx = r->mx};
            }
            log_warn("queue.notice.failed", F_ID("id", m->id), F_CSTR("reason", rc_name(rc)));
            rc = RC_OK;
            for (size_t i = 0; i < n && rc == RC_OK; i++)
                rc = prepare_event(&st, &o[i], &st.results[i]);
            if (rc == RC_OK)
                rc = mailq_results(s, st.results, n);
        }
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        if (st.results[i].kind == RESULT_RETRY)
            *next_ms = earlier(*next_ms, st.results[i].due_ms);
    if (rc == RC_OK) {
        tell_fates(&st, n);
        counts->relayed += mine.relayed;
        counts->deferred += mine.deferred;
        counts->bounced += mine.bounced;
    }
    arena_clear(&st.arena);
    return rc;
}

enum rc outcome_settle(const struct queue_settings *set, struct store *s, const struct mailq_message *m,
                       const struct outcome_story *story, const struct outcome *o, size_t n, struct outcome_counts *counts, int64_t *next_ms)
{
    enum rc rc = RC_OK;
    *next_ms = INT64_MAX;
    for (size_t i = 0; i < n && rc == RC_OK; i += DSN_RCPTS_MAX)
        rc = settle_some(set, s, m, story, &o[i], n - i < DSN_RCPTS_MAX ? n - i : DSN_RCPTS_MAX, counts, next_ms);
    return rc;
}
