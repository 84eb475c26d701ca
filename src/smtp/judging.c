/* The judge at the door: what strangers hand us is judged (policy/judge.h) from the first recipient on, so that the DNS is at
 * work while the message arrives. What it decides is done here, and told to whoever wants to know (smtp_settings.seen). */
#include "smtp/session.h"

#include "base/log.h"

/* However slow the name servers that strangers make us ask, workers must be left for others: the more wait already, the
 * less patience the next one meets. With 20 s and 512 workers, 500 such messages a second pass before others notice. */
static int64_t patience_ms(const struct smtp_settings *set, unsigned waiting, bool *hurried)
{
    static const int shares[] = {1, 4, 16, 64}; /* of the time, by quarters of the workers that wait */
    int64_t full = set->judge->time_ms > 0 ? set->judge->time_ms : JUDGE_TIME_MS;
    unsigned quarters = waiting / ((set->workers + 3) / 4);
    *hurried = quarters > 0;
    return full / shares[quarters < 3 ? quarters : 3] + 1;
}

bool smtp_is_judged(const struct smtp_session *s)
{
    return smtp_is_stranger(s) && s->set->judge;
}

void smtp_judging_begin(struct smtp_session *s)
{
    struct smtp_judging *j = &s->tx.judging;
    const struct judge_facts facts = {
        .ip = *conn_peer(s->c), .helo = view_str(s->helo), .mail_from = s->tx.sender, .now_s = clock_real_s()};

    if (!smtp_is_judged(s))
        return;
    j->set = *s->set->judge;
    arena_init(&j->mem, JUDGE_MEMORY);
    if (judge_new(&j->set, s->set->dns, &facts, &j->mem, &j->judge) != RC_OK)
        j->judge = NULL; /* smtp_intake_begin says so */
}

void smtp_judging_clear(struct smtp_judging *j)
{
    judge_free(j->judge);
    arena_clear(&j->mem);
    *j = (struct smtp_judging){0};
}

static const char busy[] = "The message cannot be checked now, please try again later";

void smtp_judging_header(struct smtp_session *s, struct view header)
{
    if (s->tx.judging.judge && judge_header(s->tx.judging.judge, header) != RC_OK)
        smtp_intake_refuse(s, 451, "4.7.0", busy);
}

void smtp_judging_body(struct smtp_session *s, struct view bytes)
{
    if (s->tx.judging.judge)
        judge_body(s->tx.judging.judge, bytes);
}

static void reject(struct smtp_session *s)
{
    const struct judgement *v = &s->tx.judging.found;
    const char *text = arena_cstr(&s->tx.mem, v->text);
    smtp_intake_refuse(s, v->code, v->status, text ? text : "The author's domain does not vouch for this message");
}

void smtp_judging_finish(struct smtp_session *s)
{
    struct smtp_judging *j = &s->tx.judging;
    bool hurried;

    if (!j->judge)
        return;
    j->set.time_ms = patience_ms(s->set, atomic_fetch_add(&s->srv->waiting, 1), &hurried);
    enum rc rc = judge_finish(j->judge, &j->found);
    atomic_fetch_sub(&s->srv->waiting, 1);
    conn_deadline(s->c, deadline_in(s->set->line_ms)); /* for the reply: the client's own time was not running */
    j->done = rc == RC_OK;
    if (!j->done || (hurried && j->found.dmarc.result == DMARC_TEMPERROR)) /* haste lets nothing in */
        smtp_intake_refuse(s, 451, "4.7.0", busy);
    else if (j->found.action == JUDGE_REJECT)
        reject(s);
}

void smtp_judging_tell(struct smtp_session *s)
{
    const struct smtp_tx *tx = &s->tx;
    const struct smtp_judging *j = &tx->judging;
    const struct smtp_refusal *r = &tx->in.refusal;

    if (!j->done || !s->set->seen || (r->code && j->found.action != JUDGE_REJECT))
        return; /* refused for another reason: it may come again */
    const struct smtp_seen seen = {.found = &j->found,
                                   .settings = &j->set,
                                   .header = buf_view(&tx->in.header),
                                   .rcpts = tx->rcpts,
                                   .n_rcpts = tx->n,
                                   .accepted = !r->code};
    s->set->seen(s->set->seen_ctx, &seen);
}

/* "pass:ici.test,fail:labas.test" */
static void write_signatures(const struct dkim_list *list, struct buf *out)
{
    if (list->n == 0)
        buf_str(out, "none");
    for (size_t i = 0; i < list->n && i < SMTP_LOG_SIGNATURES; i++) {
        const struct dkim_verdict *v = &list->verdicts[i];
        buf_printf(out, "%s%s:%.*s", i > 0 ? "," : "", dkim_result_name(v->result), VIEW_FMT(v->domain));
    }
    if (list->n > SMTP_LOG_SIGNATURES)
        buf_str(out, ",...");
}

size_t smtp_judging_fields(const struct smtp_session *s, struct buf *text, struct log_field *f)
{
    static const char *const actions[] = {"accept", "junk", "reject"};
    const struct judgement *v = &s->tx.judging.found;
    size_t n = 0;

    if (!s->tx.judging.done)
        return 0;
    write_signatures(&v->dkim, text);
    f[n++] = F_CSTR("action", actions[v->action]);
    f[n++] = F_CSTR("dmarc", dmarc_result_name(v->dmarc.result));
    f[n++] = F_VIEW("from", v->dmarc.author);
    f[n++] = F_CSTR("policy", v->dmarc.policy_tag ? dmarc_policy_name(v->dmarc.policy) : "");
    f[n++] = F_CSTR("override", dmarc_override_name(v->dmarc.override));
    f[n++] = F_CSTR("spf", spf_result_name(v->spf.result));
    f[n++] = F_VIEW("dkim", buf_view(text));
    f[n++] = F_CSTR("arc", arc_result_name(v->arc.result));
    f[n++] = F_CSTR("iprev", v->iprev.result);
    f[n++] = F_INT("dns_ms", v->look_ups_ms);
    bug_if(n > SMTP_VERDICT_FIELDS);
    return n;
}
