/* From verdicts to one decision: RFC 9989 §5.4 (what is done with a policy), §5.3.1 (a From that names not one author), and
 * the operator's exceptions.
 *
 * Who may override a domain's policy:
 * - A forwarder whose address the operator listed, for mail that fails (RFC 9990's trusted_forwarder).
 * - An ARC chain (RFC 8617 §7.2.1), where all of this holds:
 *   1. The chain passes.
 *   2. Going down from the newest set, the seals are of domains that the operator listed. At the first other seal the believed
 *      part ends: whoever sealed below it may have said anything, and whoever sealed last has had the message in hand since. So
 *      the newest seal must be a listed one, and a stranger's seal between hides all that is older.
 *   3. A set in the believed part says that DMARC passed for our author's domain when the message came to that
 *      sealer: "dmarc=pass" with header.from equal to it, or without header.from. Where that set says nothing of DMARC, a
 *      DKIM or SPF pass for exactly that domain serves. A set that says both pass and something else says nothing.
 *   4. From that set up to the newest, each message signature covers From and the whole body (no l=): else a stranger could
 *      have changed the author or added to the text between two sealers that we believe.
 *   Nothing of this makes the message authentic: DMARC's result stays fail, and only what is done changes.
 * A From that names not one author is never excused: forwarding does not break it. */
#include "policy/judge_impl.h"

#include <stdio.h>

#include "mailauth/authres.h"

#define SCRATCH_MAX    (2u << 20) /* reading what sealers say */
#define COMMENT_MAX    500        /* bytes of an override's comment */
#define NAMED_DKIM_MAX 3          /* signatures named in a rejection */

/* --- ARC --- */

static bool is_trusted(const struct judge_settings *set, struct view domain)
{
    for (size_t i = 0; i < set->n_sealers; i++)
        if (view_ieq(set->sealers[i], domain))
            return true;
    return false;
}

/* The part behind the last "@", or all of it. */
static struct view domain_part(struct view address)
{
    size_t at = view_rchr(address, '@');
    return at == VIEW_NONE ? address : view_from(address, at + 1);
}

static bool property_is(const struct authres_item *r, const char *name, struct view domain, struct arena *a)
{
    struct view value, ascii;
    if (authres_property_of(r, name, a, &value) != RC_OK || value.n == 0)
        return false;
    return dns_domain_ascii(domain_part(value), a, &ascii) == RC_OK && view_eq(ascii, domain);
}

static bool vouches_by_dmarc(const struct authres_item *r, struct view author, struct arena *a)
{
    struct view from;
    if (!view_eq(r->result, VIEW("pass")) || authres_property_of(r, "header.from", a, &from) != RC_OK)
        return false;
    return from.n == 0 || property_is(r, "header.from", author, a);
}

static bool vouches_by_identity(const struct authres_item *r, struct view author, struct arena *a)
{
    if (!view_eq(r->result, VIEW("pass")))
        return false;
    if (view_eq(r->method, VIEW("dkim")))
        return property_is(r, "header.d", author, a) || property_is(r, "header.i", author, a);
    return view_eq(r->method, VIEW("spf")) &&
           (property_is(r, "smtp.mailfrom", author, a) || property_is(r, "smtp.mfrom", author, a));
}

/* Whether a sealer says that the message came to it from its author (rule 3). */
static bool set_vouches(const struct arc_set *s, struct view author, struct arena *a)
{
    struct view results = s->results, id;
    struct authres_item one;
    bool by_dmarc = false, against = false, has_dmarc = false, by_identity = false;
    enum rc rc;
    if (authres_id(&results, a, &id) != RC_OK)
        return false;
    while ((rc = authres_next(&results, a, &one)) == RC_OK) {
        if (view_eq(one.method, VIEW("dmarc"))) {
            bool vouches = vouches_by_dmarc(&one, author, a);
            has_dmarc = true;
            by_dmarc |= vouches;
            against |= !vouches;
        } else {
            by_identity |= vouches_by_identity(&one, author, a);
        }
    }
    return rc == RC_NOTFOUND && !against && (has_dmarc ? by_dmarc : by_identity);
}

/* The set that is believed, or NULL. */
static const struct arc_set *find_voucher(const struct judge_settings *set, const struct arc_verdict *arc, struct view author)
{
    const struct arc_set *found = NULL;
    struct arena scratch;
    if (arc->result != ARC_PASS)
        return NULL;
    arena_init(&scratch, SCRATCH_MAX);
    for (size_t i = arc->n_sets; i > 0 && !found; i--) {
        const struct arc_set *s = &arc->sets[i - 1];
        if (!is_trusted(set, s->seal_domain) || s->is_partial || !s->signs_from)
            break;
        arena_reset(&scratch);
        if (set_vouches(s, author, &scratch))
            found = s;
    }
    arena_clear(&scratch);
    return found;
}

/* As RFC 8617 §7.2.2 asks, for the report: status, seals, and the address that the first set names. */
static struct view arc_comment(const struct arc_verdict *arc, struct arena *a)
{
    struct view results, id, comment = {0}, ip;
    struct authres_item one;
    struct arena scratch;
    struct buf text;
    arena_init(&scratch, SCRATCH_MAX);
    buf_init(&text, 2 * COMMENT_MAX);
    buf_str(&text, "arc=pass");
    for (size_t i = arc->n_sets; i > 0 && text.n < COMMENT_MAX; i--) {
        const struct arc_set *s = &arc->sets[i - 1];
        buf_printf(&text, " as[%u].d=%.*s as[%u].s=%.*s", s->instance, VIEW_FMT(s->seal_domain), s->instance, VIEW_FMT(s->seal_selector));
    }
    results = arc->sets[0].results;
    if (authres_id(&results, &scratch, &id) == RC_OK)
        while (authres_next(&results, &scratch, &one) == RC_OK)
            if (authres_property_of(&one, "smtp.remote-ip", &scratch, &ip) == RC_OK && ip.n > 0 && !view_has_ctl(ip)) {
                buf_printf(&text, " remote-ip[1]=%.*s", VIEW_FMT(view_slice(ip, 0, ADDR_TEXT_MAX)));
                break;
            }
    if (view_dup(a, buf_view(&text), &comment) != RC_OK)
        comment.n = 0;
    buf_clear(&text);
    arena_clear(&scratch);
    return comment;
}

/* --- exceptions --- */

static void apply_overrides(const struct judge_settings *set, struct arena *a, struct judgement *out)
{
    struct dmarc_verdict *d = &out->dmarc;
    if (d->disposition == DMARC_POLICY_NONE)
        return;
    bool excusable = d->result == DMARC_FAIL && d->author.n > 0;
    if (excusable && out->facts.ip.len > 0 && addr_in_nets(&out->facts.ip, set->forwarders, set->n_forwarders))
        dmarc_override_set(d, DMARC_TRUSTED_FORWARDER, DMARC_POLICY_NONE, VIEW("the client is a trusted forwarder"));
    else if (excusable && set->arc && find_voucher(set, &out->arc, d->author))
        dmarc_override_set(d, DMARC_LOCAL_POLICY, DMARC_POLICY_NONE, arc_comment(&out->arc, a));
    else if (!set->enforce)
        dmarc_override_set(d, DMARC_LOCAL_POLICY, DMARC_POLICY_NONE, VIEW("policies are told here and not acted on"));
}

/* --- words --- */

static void put_dkim(const struct dkim_list *list, struct buf *text)
{
    if (list->n == 0)
        buf_str(text, list->n_skipped > 0 ? "DKIM not checked (header too large)" : "no DKIM signature");
    for (size_t i = 0; i < list->n && i < NAMED_DKIM_MAX; i++) {
        const struct dkim_verdict *v = &list->verdicts[i];
        buf_printf(text, "%s %s for %.*s", i == 0 ? "DKIM" : ",", dkim_result_name(v->result), VIEW_FMT(view_slice(v->domain, 0, 64)));
        if (v->result == DKIM_PASS && v->is_partial)
            buf_str(text, " (part of the body)");
        else if (v->result != DKIM_PASS)
            buf_printf(text, " (%s)", v->reason);
    }
    if (list->n > NAMED_DKIM_MAX)
        buf_printf(text, " and %zu more", list->n - NAMED_DKIM_MAX);
}

static void put_spf(const struct spf_verdict *v, struct buf *text)
{
    buf_printf(text, "SPF %s", spf_result_name(v->result));
    if (v->domain.n > 0)
        buf_printf(text, " for %.*s", VIEW_FMT(view_slice(v->domain, 0, 100)));
}

/* One line of visible ASCII, cut at JUDGE_TEXT_MAX. */
static enum rc keep_line(struct buf *text, struct arena *a, struct view *out)
{
    enum rc rc = buf_rc(text);
    for (size_t i = 0; i < text->n; i++)
        if (text->p[i] < ' ' || text->p[i] > '~')
            text->p[i] = '?';
    if (rc == RC_OK)
        rc = view_dup(a, view_slice(buf_view(text), 0, JUDGE_TEXT_MAX), out);
    buf_clear(text);
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* What failed, by what, and who asks for this. */
static enum rc say_failed(const struct judgement *v, struct arena *a, struct view *out)
{
    const struct dmarc_verdict *d = &v->dmarc;
    struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, "%.*s does not vouch for this message (DMARC): ", VIEW_FMT(view_slice(d->author, 0, 100)));
    put_spf(&v->spf, &text);
    buf_str(&text, "; ");
    put_dkim(&v->dkim, &text);
    buf_printf(&text, "; none of it aligned; %s=%s at _dmarc.%.*s", d->policy_tag ? d->policy_tag : "p", dmarc_policy_name(d->policy),
               VIEW_FMT(view_slice(d->policy_domain, 0, 100)));
    return keep_line(&text, a, out);
}

static enum rc say(struct view words, struct arena *a, struct view *out)
{
    struct buf text;
    buf_init(&text, 4096);
    buf_add(&text, view_slice(words, 0, JUDGE_TEXT_MAX));
    return keep_line(&text, a, out);
}

/* --- the decision --- */

static void act(struct judgement *out, enum judge_action action, const char *status)
{
    out->action = action;
    out->code = action == JUDGE_REJECT ? 550 : 0;
    out->status = action == JUDGE_REJECT ? status : "";
}

/* What DMARC cannot judge (RFC 9989 §5.3.1, §11.5). Several From fields may not be (RFC 5322 §3.6), and each reader shows
 * another one: refused whoever they name. Where From is empty or ambiguous nobody can be asked: into Junk. A message without
 * the field shows no author at all and deceives nobody: alarms of devices and scripts are often so.
 * Several authors in one field are allowed (RFC 5322 §3.6.2): the strictest policy among them has spoken already. */
static enum judge_action action_for_from(enum dmarc_from kind)
{
    switch (kind) {
    case DMARC_FROM_SEVERAL: return JUDGE_REJECT;
    case DMARC_FROM_NOBODY:
    case DMARC_FROM_BAD:     return JUDGE_JUNK;
    case DMARC_FROM_MISSING:
    case DMARC_FROM_OK:
    case DMARC_FROM_DOMAINS: break;
    }
    return JUDGE_ACCEPT;
}

enum rc judge_decide(const struct judge_settings *set, const struct dmarc_authors *authors, struct arena *a, struct judgement *out)
{
    const struct dmarc_verdict *d = &out->dmarc;
    apply_overrides(set, a, out);
    act(out, d->disposition == DMARC_POLICY_REJECT ? JUDGE_REJECT : d->disposition == DMARC_POLICY_QUARANTINE ? JUDGE_JUNK : JUDGE_ACCEPT,
        "5.7.26");
    enum judge_action least = set->enforce ? action_for_from(authors->kind) : JUDGE_ACCEPT;
    if (least > out->action)
        act(out, least, "5.6.0");
    if (out->action == JUDGE_ACCEPT)
        return RC_OK;
    return d->result == DMARC_FAIL ? say_failed(out, a, &out->text) : say(d->reason, a, &out->text);
}
