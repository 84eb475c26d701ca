#include <stdlib.h>

#include "smtp/session.h"

#include "base/log.h"
#include "dns/dns.h"
#include "policy/forward.h"
#include "store/directory.h"
#include "store/quota.h"
#include "sys/board.h"

_Static_assert((int)SMTP_NOTIFY_NEVER == (int)NOTIFY_NEVER &&
                   (int)SMTP_NOTIFY_SUCCESS == (int)NOTIFY_SUCCESS &&
                   (int)SMTP_NOTIFY_FAILURE == (int)NOTIFY_FAILURE &&
                   (int)SMTP_NOTIFY_DELAY == (int)NOTIFY_DELAY,
               "wire and queue agree");

void smtp_tx_reset(struct smtp_tx *tx)
{
    smtp_judging_clear(&tx->judging);
    smtp_intake_clear(&tx->in);
    arena_clear(&tx->mem);
    free(tx->rcpts);
    *tx = (struct smtp_tx){0};
    arena_init(&tx->mem, SMTP_ENVELOPE_MAX);
}

/* "local@domain" in the transaction's memory. */
static enum rc write_path(struct smtp_tx *tx, const struct smtp_path *p, struct view *out)
{
    struct buf b;
    buf_init(&b, 2 * SMTP_PATH_MAX);
    smtp_path_write(p, &b);
    enum rc rc = buf_rc(&b);
    if (rc == RC_OK)
        rc = view_dup(&tx->mem, buf_view(&b), out);
    buf_clear(&b);
    return rc;
}

/* --- MAIL --- */

static enum rc refuse_parse(struct smtp_session *s, enum rc rc, bool bad_path, bool is_mail)
{
    if (rc == RC_NOTFOUND) /* RFC 5321 §4.1.1.11 */
        return smtp_reply(s, 555, "5.5.4", "Unknown parameter");
    if (rc == RC_TEMP)
        return smtp_reply(s, 451, "4.3.0", "Please try again later");
    if (!bad_path)
        return smtp_reply(s, 501, "5.5.4", "A parameter is not as its RFC has it");
    if (rc == RC_LIMIT)
        return smtp_reply(s, 501, is_mail ? "5.1.7" : "5.1.3", "Address too long");
    return is_mail ? smtp_reply(s, 501, "5.1.7", "Syntax: MAIL FROM:<address> [parameters]")
                   : smtp_reply(s, 501, "5.1.3", "Syntax: RCPT TO:<address> [parameters]");
}

/* Parameters that this service has not offered. */
static bool has_unoffered(const struct smtp_session *s, unsigned params)
{
    unsigned submission_only = PARAM_AUTH | PARAM_HOLD | PARAM_BY | PARAM_PRIORITY;
    struct tls_info tls;
    if (params & PARAM_REQUIRETLS && !conn_tls(s->c, &tls))
        return true;
    return params && (!s->esmtp || (!smtp_is_submission(s) && params & submission_only));
}

/* RFC 4865 §4.2 and §5.2.2. */
static bool is_hold_wrong(const struct smtp_mail *m)
{
    int64_t wait_s = m->hold_until_s ? m->hold_until_s - clock_real_s() : m->hold_for_s;
    return m->params & PARAM_HOLD && (wait_s > SMTP_HOLD_MAX_S || (m->params & PARAM_BY && wait_s > m->by_s));
}

static enum rc refuse_sender(struct smtp_session *s, struct view sender, int code, const char *status,
                             const char *text)
{
    board_count(BOARD_REFUSED, "sender");
    log_info("smtp.mail.rejected", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
             F_CSTR("login", s->login), F_VIEW("sender", sender), F_INT("code", code),
             F_CSTR("reason", text));
    smtp_tx_reset(&s->tx);
    return smtp_reply(s, code, status, text);
}

/* Whose address it is. Submission: it must be the account's. Elsewhere it only matters to relay-from. */
static enum rc check_sender(struct smtp_session *s)
{
    struct smtp_tx *tx = &s->tx;
    if (smtp_path_is_null(&tx->mail.path))
        return RC_OK;
    if (s->account)
        return directory_may_send(s->srv->store, s->account, tx->sender);
    if (s->trusted && tx->mail.path.domain.n > 0 && !smtp_path_is_literal(&tx->mail.path)) {
        enum rc rc = directory_has_domain(s->srv->store, tx->mail.path.domain, &tx->sender_is_ours);
        return rc == RC_SYNTAX ? RC_OK : rc; /* then it is not ours */
    }
    return RC_OK;
}

static enum rc keep_mail(struct smtp_tx *tx)
{
    enum rc rc = write_path(tx, &tx->mail.path, &tx->sender);
    if (rc == RC_OK)
        rc = view_dup(&tx->mem, tx->mail.path.local, &tx->mail.path.local);
    if (rc == RC_OK)
        rc = view_dup(&tx->mem, tx->mail.path.domain, &tx->mail.path.domain);
    return rc;
}

enum rc smtp_cmd_mail(struct smtp_session *s, struct view args)
{
    struct smtp_tx *tx = &s->tx;
    struct smtp_mail *m = &tx->mail;
    bool bad_path;

    if (tx->open)
        return smtp_reply(s, 503, "5.5.1", "MAIL was given already");
    if (smtp_is_submission(s) && !s->account)
        return smtp_reply(s, 530, "5.7.0", "Authentication required");
    if (s->n_mail >= SMTP_MAILS_MAX) {
        smtp_reply(s, 421, "4.7.0", "Too many messages on one connection");
        return smtp_end(s, "mails");
    }
    enum rc rc = smtp_mail_parse(args, &tx->mem, m, &bad_path);
    if (rc != RC_OK)
        return refuse_parse(s, rc, bad_path, true);
    if (has_unoffered(s, m->params))
        return smtp_reply(s, 555, "5.5.4", "This parameter is not offered here");
    if (m->path.is_utf8 && !(m->params & PARAM_SMTPUTF8)) /* RFC 6531 §3.5 */
        return smtp_reply(s, 553, "5.6.7", "Such an address needs SMTPUTF8");
    if (m->size > s->set->message_size)
        return smtp_reply(s, 552, "5.3.4", "Message too large");
    if (is_hold_wrong(m))
        return smtp_reply(s, 501, "5.5.4", "Cannot hold a message for so long");
    if (keep_mail(tx) != RC_OK)
        return refuse_sender(s, VIEW(""), 451, "4.3.0", "Please try again later");
    switch (check_sender(s)) {
    case RC_OK: break;
    case RC_DENIED:
    case RC_SYNTAX: return refuse_sender(s, tx->sender, 553, "5.7.1", "Not an address of this account");
    default: return refuse_sender(s, tx->sender, 451, "4.3.0", "Please try again later");
    }
    tx->open = true;
    s->n_mail++;
    return smtp_reply(s, 250, "2.1.0", "Sender accepted");
}

/* --- RCPT --- */

static bool has_target(const struct smtp_tx *tx, const struct mailq_rcpt *r)
{
    for (size_t i = 0; i < tx->n; i++) {
        const struct mailq_rcpt *have = &tx->rcpts[i];
        if (have->account == r->account && view_eq(have->detail, r->detail) &&
            (r->account || view_ieq(have->address, r->address)))
            return true;
    }
    return false;
}

/* RC_LIMIT: more than SMTP_TARGETS_MAX. */
static enum rc add_target(struct smtp_tx *tx, const struct mailq_rcpt *r)
{
    if (has_target(tx, r))
        return RC_OK;
    if (tx->n >= SMTP_TARGETS_MAX)
        return RC_LIMIT;
    if (tx->n == tx->size) {
        size_t size = tx->size ? tx->size * 2 : 4;
        struct mailq_rcpt *p = realloc(tx->rcpts, size * sizeof *p);
        if (!p)
            return RC_TEMP;
        tx->rcpts = p;
        tx->size = size;
    }
    tx->rcpts[tx->n++] = *r;
    return RC_OK;
}

static enum rc add_remote(struct smtp_session *s, struct mailq_rcpt *r, struct view address)
{
    size_t at = view_rchr(address, '@');
    enum rc rc =
        at == VIEW_NONE ? RC_SYNTAX : dns_domain_ascii(view_from(address, at + 1), &s->tx.mem, &r->route);
    r->account = 0;
    r->address = address;
    r->detail = VIEW("");
    return rc == RC_OK ? add_target(&s->tx, r) : rc;
}

/* "user+detail@domain" of an account and the detail that was used. */
static enum rc detailed_address(struct smtp_tx *tx, const struct directory_target *t, struct view *out)
{
    size_t at = view_rchr(t->address, '@');
    *out = t->address;
    if (t->detail.n == 0 || at == VIEW_NONE)
        return RC_OK;
    const char *text = arena_printf(&tx->mem, "%.*s+%.*s%.*s", VIEW_FMT(view_slice(t->address, 0, at)),
                                    VIEW_FMT(t->detail), VIEW_FMT(view_from(t->address, at)));
    *out = view_str(text);
    return text ? RC_OK : RC_TEMP;
}

/* Mail that an alias sends on leaves in the name of the alias's domain (docs/forwarding.md). */
static enum rc add_forwarded(struct smtp_session *s, struct mailq_rcpt *proto, struct view target)
{
    enum rc rc = RC_OK;
    if (!proto->forwarded) /* once for all its targets */
        rc = forward_sender(s->srv->store, s->tx.sender, proto->original, clock_real_s(), &s->tx.mem, &proto->sender);
    proto->forwarded = rc == RC_OK;
    struct mailq_rcpt r = *proto;
    return rc == RC_OK ? add_remote(s, &r, target) : rc;
}

/* All that one address leads to, or nothing of it. */
static enum rc add_routed(struct smtp_session *s, const struct mailq_rcpt *proto,
                          const struct directory_target *t, size_t n)
{
    struct smtp_tx *tx = &s->tx;
    struct mailq_rcpt forwarded = *proto;
    size_t before = tx->n;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct mailq_rcpt r = *proto;
        if (t[i].account == 0) {
            rc = add_forwarded(s, &forwarded, t[i].address);
            continue;
        }
        r.account = t[i].account;
        r.detail = t[i].detail;
        rc = detailed_address(tx, &t[i], &r.address);
        if (rc == RC_OK)
            rc = add_target(tx, &r);
    }
    if (rc != RC_OK)
        tx->n = before;
    return rc;
}

/* "postmaster" must always work (RFC 5321 §4.5.1): alone, at our host name and at our address, where no
 * domain of ours is named, it is that of the first domain. */
static enum rc route_postmaster(struct smtp_session *s, struct directory_target **t, size_t *n)
{
    struct view *domains;
    size_t n_domains;
    struct arena *a = &s->tx.mem;
    enum rc rc = directory_domains(s->srv->store, a, &domains, &n_domains);
    if (rc != RC_OK)
        return rc;
    if (n_domains == 0)
        return RC_NOTFOUND;
    const char *address = arena_printf(a, "postmaster@%.*s", VIEW_FMT(domains[0]));
    return address ? directory_route(s->srv->store, view_str(address), a, t, n) : RC_TEMP;
}

static bool is_own_literal(const struct smtp_session *s, struct view domain)
{
    struct addr ip;
    struct view text = view_slice(domain, 1, domain.n - 2);
    view_itake(&text, VIEW("IPv6:"));
    if (addr_parse_ip(text, 0, &ip) != RC_OK)
        return false;
    addr_unmap(&ip);
    return addr_eq_ip(&ip, conn_local(s->c));
}

/* "user%elsewhere", "elsewhere!user" and "\"user@elsewhere\"" once asked a host to relay. They are a local
 * part like any other (RFC 5321 §2.3.11), but where a catch-all takes them it looks as if we relayed: only an
 * account so named gets them. */
static bool asks_to_relay(struct view local)
{
    return view_chr(local, '%') != VIEW_NONE || view_chr(local, '!') != VIEW_NONE ||
           view_chr(local, '@') != VIEW_NONE;
}

/* RC_OK: *t has what it leads to; *foreign: it is not ours, *t unset. RC_NOTFOUND, RC_TEMP, RC_LIMIT as the
 * directory says. */
static enum rc look_up(struct smtp_session *s, const struct smtp_path *path, struct view address,
                       struct directory_target **t, size_t *n, bool *foreign)
{
    struct arena *a = &s->tx.mem;
    bool postmaster = view_ieq(path->local, VIEW("postmaster"));
    bool is_us = path->domain.n == 0 || view_ieq(path->domain, view_str(s->set->hostname));
    enum rc rc;

    *foreign = false;
    if (smtp_path_is_literal(path)) {
        is_us = is_own_literal(s, path->domain);
        *foreign = !is_us;
        if (!is_us || !postmaster)
            return is_us ? RC_NOTFOUND : RC_OK;
    }
    rc = path->domain.n > 0 && !smtp_path_is_literal(path) ? directory_route(s->srv->store, address, a, t, n)
                                                           : RC_DENIED;
    if (rc == RC_OK && !s->account && asks_to_relay(path->local)) {
        struct directory_account unused;
        return directory_account(s->srv->store, address, a, &unused);
    }
    if (rc != RC_DENIED)
        return rc;
    if (is_us && postmaster)
        return route_postmaster(s, t, n);
    *foreign = true;
    return RC_OK;
}

static bool may_relay(const struct smtp_session *s)
{
    return s->account || (s->trusted && (s->set->relay_any_sender || s->tx.sender_is_ours));
}

static enum rc reject_rcpt(struct smtp_session *s, struct view rcpt, int code, const char *status,
                           const char *text)
{
    board_count(BOARD_REFUSED, "recipient");
    log_info("smtp.rcpt.rejected", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
             F_VIEW("sender", s->tx.sender), F_VIEW("rcpt", rcpt), F_INT("code", code),
             F_CSTR("reason", text), F_INT("n", s->n_mail));
    return smtp_reply(s, code, status, text);
}

/* What every row of this RCPT has. */
static enum rc begin_rcpt(struct smtp_session *s, const struct smtp_rcpt *r, struct mailq_rcpt *out)
{
    *out = (struct mailq_rcpt){.notify = r->notify, .orcpt = r->orcpt};
    return write_path(&s->tx, &r->path, &out->original);
}

/* A bounce on its way back to somebody whose mail we passed on. Nothing else is taken: whoever has seen such an address could
 * write to where it leads in our name. */
static enum rc add_returned(struct smtp_session *s, struct mailq_rcpt *row, const char **why)
{
    struct directory_target *t = NULL;
    struct view address;
    size_t n = 0;

    if (s->tx.sender.n > 0) {
        *why = "This return address takes bounces alone";
        return RC_DENIED;
    }
    enum rc rc = forward_back(s->srv->store, row->original, clock_real_s(), &s->tx.mem, &address);
    if (rc == RC_TIMEOUT || rc == RC_DENIED || rc == RC_NOTFOUND || rc == RC_LIMIT) {
        *why = rc == RC_TIMEOUT ? "This return address has expired" : "This return address is not from here";
        return RC_NOTFOUND;
    }
    if (rc != RC_OK)
        return rc;
    rc = directory_route(s->srv->store, address, &s->tx.mem, &t, &n);
    row->forwarded = rc == RC_DENIED;
    rc = rc == RC_DENIED ? add_remote(s, row, address) : rc == RC_OK ? add_routed(s, row, t, n) : rc;
    if (rc == RC_OK)
        log_info("smtp.rcpt.returned", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
                 F_VIEW("rcpt", row->original), F_VIEW("to", address));
    return rc;
}

/* A full mailbox takes no more: better said at the door than by a bounce later (RFC 3463 §3.3, X.2.2). Those of an alias come
 * to know by the queue. */
static bool is_full(struct smtp_session *s, const struct directory_target *t, size_t n)
{
    uint64_t room;
    return n == 1 && t[0].account != 0 && quota_room(s->srv->store, t[0].account, &room) == RC_OK && (room == 0 || s->tx.mail.size > room);
}

static enum rc add_rcpt(struct smtp_session *s, const struct smtp_rcpt *r, struct mailq_rcpt *row, const char **why)
{
    struct directory_target *t = NULL;
    size_t n = 0;
    bool foreign;
    enum rc rc = look_up(s, &r->path, row->original, &t, &n, &foreign);
    bool named = rc == RC_OK && (foreign || !t[0].by_catch_all); /* else a catch-all took it */
    if (!named && (rc == RC_OK || rc == RC_NOTFOUND) && srs_is_form(row->original))
        return add_returned(s, row, why);
    if (rc != RC_OK)
        return rc;
    if (!foreign && is_full(s, t, n))
        return RC_FULL;
    if (!foreign)
        return add_routed(s, row, t, n);
    return may_relay(s) ? add_remote(s, row, row->original) : RC_DENIED;
}

enum rc smtp_cmd_rcpt(struct smtp_session *s, struct view args)
{
    struct smtp_tx *tx = &s->tx;
    struct smtp_rcpt r;
    struct mailq_rcpt row;
    const char *why = NULL;
    bool bad_path;

    if (!tx->open || tx->bdat)
        return smtp_reply(s, 503, "5.5.1", tx->open ? "Too late for recipients" : "Send MAIL first");
    if (tx->n_rcpt >= s->set->recipients) /* RFC 5321 §4.5.3.1.10 */
        return smtp_reply(s, 452, "4.5.3", "Too many recipients");
    enum rc rc = smtp_rcpt_parse(args, &tx->mem, &r, &bad_path);
    if (rc == RC_OK && smtp_path_is_null(&r.path)) {
        rc = RC_SYNTAX;
        bad_path = true;
    }
    if (rc != RC_OK)
        return refuse_parse(s, rc, bad_path, false);
    if (has_unoffered(s, r.params))
        return smtp_reply(s, 555, "5.5.4", "This parameter is not offered here");
    if (r.path.is_utf8 && !(tx->mail.params & PARAM_SMTPUTF8))
        return smtp_reply(s, 553, "5.6.7", "Such an address needs SMTPUTF8");
    rc = begin_rcpt(s, &r, &row);
    if (rc == RC_OK)
        rc = add_rcpt(s, &r, &row, &why);
    switch (rc) {
    case RC_OK: break;
    case RC_SYNTAX: return reject_rcpt(s, row.original, 550, "5.1.2", "No such domain can exist");
    case RC_NOTFOUND: return reject_rcpt(s, row.original, 550, "5.1.1", why ? why : "No such mailbox");
    case RC_DENIED: return reject_rcpt(s, row.original, 550, "5.7.1", why ? why : "Relaying not permitted");
    case RC_FULL: return reject_rcpt(s, row.original, 452, "4.2.2", "The mailbox is full");
    case RC_LIMIT:
        return reject_rcpt(s, row.original, 452, "4.5.3", "Its aliases lead to too many or to themselves");
    default: return reject_rcpt(s, row.original, 451, "4.3.0", "Please try again later");
    }
    if (tx->n_rcpt++ == 0) {
        tx->first_rcpt = row.original;
        smtp_judging_begin(s); /* not before: whoever guesses addresses asks no DNS */
    }
    return smtp_reply(s, 250, "2.1.5", "Recipient accepted");
}
