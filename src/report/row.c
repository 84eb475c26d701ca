#include "report/row.h"

#include "message/header.h"

static bool is_number(struct view v)
{
    return view_take_while(&v, is_digit).n > 0 && v.n == 0;
}

bool row_domain_is_plain(struct view d)
{
    if (d.n == 0 || d.n > 253 || view_chr(d, '.') == VIEW_NONE || view_find(d, VIEW("..")) != VIEW_NONE || d.p[0] == '.' ||
        d.p[0] == '-' || d.p[d.n - 1] == '.')
        return false;
    for (size_t i = 0; i < d.n; i++)
        if (!is_alnum((unsigned char)d.p[i]) && d.p[i] != '-' && d.p[i] != '_' && d.p[i] != '.')
            return false;
    return !is_number(view_from(d, view_rchr(d, '.') + 1));
}

/* --- from a verdict --- */

static bool has_mailto(const struct dmarc_record *r)
{
    for (size_t i = 0; i < r->n_rua; i++)
        if (r->rua[i].address.n > 0)
            return true;
    return false;
}

/* Reports themselves that are authentic: two servers would else report on each other's reports for ever. A forged one
 * counts like any message. */
static bool is_report(struct view header)
{
    struct view subject = view_trim(header_value(header, VIEW("Subject")));
    return view_istarts(subject, VIEW("Report")) && view_ifind(subject, VIEW("Domain:")) != VIEW_NONE && view_ifind(subject, VIEW("Submitter:")) != VIEW_NONE;
}

static struct view cut(struct view v, size_t max)
{
    return view_slice(v, 0, max);
}

/* What was done about DMARC's verdict: never more than it asked for, whatever else was found. */
static enum dmarc_policy done_about(const struct judgement *j)
{
    enum dmarc_policy done = j->action == JUDGE_REJECT ? DMARC_POLICY_REJECT
                             : j->action == JUDGE_JUNK ? DMARC_POLICY_QUARANTINE
                                                       : DMARC_POLICY_NONE;
    return done < j->dmarc.disposition ? done : j->dmarc.disposition;
}

static void set_policy(const struct judgement *j, struct report_row *out)
{
    const struct dmarc_verdict *v = &j->dmarc;
    if (v->result == DMARC_PASS) {
        out->disposition = v->policy == DMARC_POLICY_NONE ? VIEW("none") : VIEW("pass");
        return;
    }
    enum dmarc_policy done = done_about(j);
    out->disposition = view_str(dmarc_policy_name(done));
    if (v->override != DMARC_NO_OVERRIDE) {
        out->reason = view_str(dmarc_override_name(v->override));
        out->comment = cut(v->override_comment, ROW_TEXT_MAX);
    } else if (done < v->policy) { /* a reason is required then */
        out->reason = VIEW("local_policy");
        out->comment = VIEW("policies of other domains are not enforced here");
    }
}

/* 0 first: passes and is the author's domain itself; 1: passes and is of its organisation; 2: passes; 3: does not. */
static int rank_of(const struct dkim_verdict *s, const struct dmarc_verdict *v)
{
    if (s->result != DKIM_PASS)
        return 3;
    if (view_eq(s->domain, v->author))
        return 0;
    struct view organization = v->organization.n > 0 ? v->organization : v->policy_domain;
    bool within = view_eq(s->domain, organization) ||
                  (s->domain.n > organization.n && view_ends(s->domain, organization) && s->domain.p[s->domain.n - organization.n - 1] == '.');
    return within ? 1 : 2;
}

static void set_signatures(const struct judgement *j, struct report_row *out)
{
    for (int rank = 0; rank < 4; rank++) {
        for (size_t i = 0; i < j->dkim.n && out->n_signatures < ROW_SIGNATURES_MAX; i++) {
            const struct dkim_verdict *s = &j->dkim.verdicts[i];
            if (s->domain.n == 0 || rank_of(s, &j->dmarc) != rank)
                continue;
            out->signatures[out->n_signatures++] = (struct row_signature){
                .domain = cut(s->domain, ROW_DOMAIN_MAX), .selector = cut(s->selector, ROW_DOMAIN_MAX),
                .result = view_str(dkim_result_name(s->result)), .human = cut(view_str(s->reason), ROW_TEXT_MAX)};
        }
    }
}

/* The term that decided, as its domain wrote it: unlike our own sentence it can hold nothing of the sender's local part. */
static enum rc set_spf(const struct judgement *j, struct arena *a, struct report_row *out)
{
    const struct spf_verdict *v = &j->spf;
    out->spf_domain = cut(v->domain, ROW_DOMAIN_MAX);
    out->spf_result = view_str(spf_result_name(v->result));
    if (v->mechanism.n == 0 || v->result == SPF_PASS)
        return RC_OK;
    char *text = arena_printf(a, "%.*s%s%.*s", VIEW_FMT(cut(v->mechanism, 80)), v->source.n > 0 ? " of " : "", VIEW_FMT(cut(v->source, 100)));
    out->spf_human = view_str(text);
    return text ? RC_OK : RC_TEMP;
}

enum rc row_of(const struct judgement *j, const struct report_facts *facts, struct arena *a, struct report_row *out)
{
    const struct dmarc_verdict *v = &j->dmarc;
    *out = (struct report_row){0};
    if ((v->result != DMARC_PASS && v->result != DMARC_FAIL) || !row_domain_is_plain(v->policy_domain) || v->author.n == 0 ||
        !has_mailto(&v->record) || j->facts.ip.len == 0)
        return RC_NOTFOUND;
    if (v->result == DMARC_PASS && is_report(facts->header))
        return RC_NOTFOUND;
    char *ip = arena_alloc(a, ADDR_TEXT_MAX);
    if (!ip)
        return RC_TEMP;
    addr_write_ip(&j->facts.ip, ip); /* the judge has unmapped it */
    out->source_ip = view_str(ip);
    out->dkim = v->dkim_aligned;
    out->spf = v->spf_aligned;
    set_policy(j, out);
    out->header_from = cut(v->author, ROW_DOMAIN_MAX);
    size_t at = view_rchr(j->facts.mail_from, '@');
    if (at != VIEW_NONE)
        out->envelope_from = cut(view_from(j->facts.mail_from, at + 1), ROW_DOMAIN_MAX);
    out->envelope_to = cut(facts->envelope_to, ROW_DOMAIN_MAX);
    set_signatures(j, out);
    return set_spf(j, a, out);
}

/* --- as bytes: each text as its length, a colon and itself --- */

static void put(struct buf *out, struct view v)
{
    buf_u64(out, v.n);
    buf_chr(out, ':');
    buf_add(out, v);
}

static bool take(struct view *in, struct view *out)
{
    uint64_t n;
    if (view_u64(in, ROW_MAX, &n) != RC_OK || !view_take_chr(in, ':') || n > in->n)
        return false;
    *out = view_slice(*in, 0, (size_t)n);
    view_skip(in, (size_t)n);
    return true;
}

static struct view yes_or_no(bool yes)
{
    return yes ? VIEW("y") : VIEW("n");
}

void row_write(const struct report_row *r, struct buf *out)
{
    const struct view texts[] = {r->source_ip, r->disposition, yes_or_no(r->dkim), yes_or_no(r->spf), r->reason, r->comment, r->header_from,
                                 r->envelope_from, r->envelope_to, r->spf_domain, r->spf_result, r->spf_human};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put(out, texts[i]);
    for (size_t i = 0; i < r->n_signatures; i++) {
        put(out, r->signatures[i].domain);
        put(out, r->signatures[i].selector);
        put(out, r->signatures[i].result);
        put(out, r->signatures[i].human);
    }
}

enum rc row_parse(struct view in, struct report_row *out)
{
    struct view dkim, spf;
    *out = (struct report_row){0};
    struct view *const texts[] = {&out->source_ip, &out->disposition, &dkim, &spf, &out->reason, &out->comment, &out->header_from,
                                  &out->envelope_from, &out->envelope_to, &out->spf_domain, &out->spf_result, &out->spf_human};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!take(&in, texts[i]))
            return RC_SYNTAX;
    out->dkim = view_eq(dkim, VIEW("y"));
    out->spf = view_eq(spf, VIEW("y"));
    while (in.n > 0) {
        struct row_signature *s = &out->signatures[out->n_signatures];
        if (out->n_signatures == ROW_SIGNATURES_MAX || !take(&in, &s->domain) || !take(&in, &s->selector) || !take(&in, &s->result) ||
            !take(&in, &s->human))
            return RC_SYNTAX;
        out->n_signatures++;
    }
    return RC_OK;
}
