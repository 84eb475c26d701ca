/* What aliases send on to other hosts, and bounces that go back, once it is judged (docs/forwarding.md): it is sealed
 * (RFC 8617), so that whoever believes us learns what we found at the door; and our name is not lent to those who write in it
 * without proof. */
#include "smtp/session.h"

#include "base/log.h"
#include "mailauth/authres.h"
#include "policy/forward.h"

#define RESULTS_MAX 4096 /* of our findings in a seal */
#define SEAL_MAX    65536

static const struct mailq_rcpt *first_forwarded(const struct smtp_tx *tx)
{
    for (size_t i = 0; i < tx->n; i++)
        if (tx->rcpts[i].forwarded)
            return &tx->rcpts[i];
    return NULL;
}

void smtp_forwarding_begin(struct smtp_session *s)
{
    struct smtp_forwarding *f = &s->tx.forwarding;
    const struct smtp_judging *j = &s->tx.judging;

    if (j->judge && j->set.arc && s->set->signer && first_forwarded(&s->tx))
        f->sealing = judge_seal_slot(j->judge, &f->slot) == RC_OK;
}

/* --- in whose name --- */

static struct view domain_of(struct view address)
{
    size_t at = view_rchr(address, '@');
    return at == VIEW_NONE ? VIEW("") : view_from(address, at + 1);
}

static bool is_under(struct view name, struct view domain)
{
    if (domain.n == 0 || !view_iends(name, domain))
        return false;
    return name.n == domain.n || name.p[name.n - domain.n - 1] == '.';
}

/* A pass for `domain` would speak for the author too (RFC 9989 §4.4, relaxed). */
static bool is_aligned(const struct dmarc_verdict *v, struct view domain)
{
    if (v->organization.n > 0)
        return is_under(domain, v->organization);
    return is_under(domain, v->author) || is_under(v->author, domain);
}

static bool is_proven(const struct judgement *v, struct view sender)
{
    if (v->dmarc.result == DMARC_PASS || (v->spf.result == SPF_PASS && is_aligned(&v->dmarc, domain_of(sender))))
        return true;
    for (size_t i = 0; i < v->dkim.n; i++) {
        const struct dkim_verdict *one = &v->dkim.verdicts[i];
        if (one->result == DKIM_PASS && !one->is_partial && is_aligned(&v->dmarc, one->domain))
            return true;
    }
    return false;
}

/* What leaves here passes SPF for our domains. A message that bears one of them in From and has proven nothing must not come
 * out with that proof: a stranger's return address then stays as it is, and where ours stands there the message is refused. */
static void guard_name(struct smtp_session *s)
{
    struct smtp_tx *tx = &s->tx;
    const struct judgement *v = &tx->judging.found;
    struct view host = view_str(s->set->hostname);

    if (v->dmarc.author.n == 0 || is_proven(v, tx->sender))
        return;
    for (size_t i = 0; i < tx->n; i++) {
        struct mailq_rcpt *r = &tx->rcpts[i];
        struct view sender = r->sender.n > 0 ? r->sender : tx->sender;
        if (!r->forwarded || !is_aligned(&v->dmarc, sender.n > 0 ? domain_of(sender) : host)) /* null: SPF looks at our HELO */
            continue;
        if (r->sender.n > 0) {
            log_info("smtp.forward.unproven", F_ID("sid", conn_id(s->c)), F_VIEW("from", v->dmarc.author),
                     F_VIEW("sender", tx->sender), F_VIEW("to", r->address));
            r->sender = VIEW("");
        } else if (sender.n > 0 && v->spf.result == SPF_TEMPERROR) {
            smtp_intake_refuse(s, 451, "4.7.24", "The sender cannot be checked now, please try again later");
        } else if (sender.n == 0 || v->spf.result != SPF_NONE) {
            smtp_intake_refuse(s, 550, "5.7.1", "Mail in our own name from elsewhere is not passed on without SPF or DKIM");
        }
    }
}

/* --- the seal --- */

static enum rc write_seal(struct smtp_session *s, struct view domain, struct buf *out)
{
    struct smtp_tx *tx = &s->tx;
    const struct smtp_judging *j = &tx->judging;
    struct view host = view_str(s->set->hostname);
    struct buf field, results;

    buf_init(&field, 2 * RESULTS_MAX);
    buf_init(&results, 2 * RESULTS_MAX);
    enum rc rc = judge_results(&j->set, &j->found, RESULTS_MAX, &field);
    if (rc == RC_OK)
        rc = authres_collect(buf_view(&field), host, &tx->mem, &results);
    if (rc == RC_OK)
        rc = signer_seal(s->set->signer, domain, host, buf_view(&tx->in.header), judge_body_hashes(j->judge), tx->forwarding.slot,
                         buf_view(&results), &j->found.arc, out);
    buf_clear(&field);
    buf_clear(&results);
    return rc;
}

/* Where aliases of several domains send it on, the first one's speaks for all: there is one set a hop (RFC 8617 §4.2.1). */
static void seal(struct smtp_session *s)
{
    struct smtp_tx *tx = &s->tx;
    struct view domain = VIEW("");
    struct buf b;

    if (tx->judging.found.arc.is_temporary) /* cv=fail would be said of a chain that may be sound */
        return;
    buf_init(&b, SEAL_MAX);
    enum rc rc = forward_domain(s->srv->store, first_forwarded(tx)->original, &tx->mem, &domain);
    if (rc == RC_OK)
        rc = write_seal(s, domain, &b);
    if (rc == RC_OK)
        rc = view_dup(&tx->mem, buf_view(&b), &tx->forwarding.seal);
    buf_clear(&b);
    if (rc == RC_TEMP || rc == RC_CORRUPT)
        smtp_intake_refuse(s, 451, "4.3.0", "The message cannot be sealed now, please try again later");
    else if (rc != RC_OK) /* no key; or RFC 8617 §5.1: nothing may be added to this chain */
        log_info("smtp.forward.unsealed", F_ID("sid", conn_id(s->c)), F_VIEW("domain", domain),
                 F_CSTR("reason", rc == RC_NOTFOUND ? "the domain has no key" : "nothing can be added to its chain"));
}

void smtp_forwarding_finish(struct smtp_session *s)
{
    if (!s->tx.judging.done || s->tx.in.refusal.code || !first_forwarded(&s->tx))
        return;
    guard_name(s);
    if (!s->tx.in.refusal.code && s->tx.forwarding.sealing)
        seal(s);
}
