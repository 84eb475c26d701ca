/* Authentication-Results (RFC 8601) of what was found. The MAIL FROM identity stands before HELO, so that whoever takes the first
 * "spf" takes the one that counts (RFC 9989 §3.2.5). What strangers named stands in properties only, as a token, an address
 * or quoted. */
#include "policy/judge_impl.h"

#include "base/base64.h"
#include "mailauth/authres.h"

#define FOLD 72 /* bytes a line */

/* How much is left out to keep to the size. */
enum detail { ALL, NO_COMMENTS, PASSED_ONLY, ALIGNED_ONLY, DETAILS };

static struct view words(enum detail detail, struct view text)
{
    return detail == ALL ? text : (struct view){0};
}

static bool is_plain_name(struct view name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_alnum((unsigned char)name.p[i]) && view_chr(VIEW(".-_:[]"), name.p[i]) == VIEW_NONE)
            return false;
    return name.n > 0;
}

/* The whole address where it is plain; else the domain that was asked about. */
static struct view sender(const struct judgement *v)
{
    struct view local;
    struct view rest = v->facts.mail_from;
    if (!view_split(&rest, '@', &local) || local.n == 0 || !is_plain_name(rest))
        return v->spf.domain;
    for (size_t i = 0; i < local.n; i++)
        if (!is_alnum((unsigned char)local.p[i]) && view_chr(VIEW(".-_+=!#$%&'*/?^`{|}~"), local.p[i]) == VIEW_NONE)
            return v->spf.domain;
    return v->facts.mail_from;
}

static void add_spf(const struct judgement *v, enum detail detail, struct authres *r)
{
    if (v->spf.identity == SPF_MAILFROM) {
        authres_add(r, "spf", spf_result_name(v->spf.result), (struct view){0}, words(detail, v->spf.reason));
        authres_property(r, "smtp", "mailfrom", sender(v));
    }
    if (v->spf.identity == SPF_HELO || v->helo.result != SPF_NONE) {
        authres_add(r, "spf", spf_result_name(v->helo.result), words(detail, view_str(v->helo_note)), words(detail, v->helo.reason));
        authres_property(r, "smtp", "helo", v->helo.domain);
    }
}

static void add_iprev(const struct judgement *v, enum detail detail, struct authres *r)
{
    char ip[ADDR_TEXT_MAX];
    if (v->facts.ip.len == 0)
        return;
    addr_write_ip(&v->facts.ip, ip);
    authres_add(r, "iprev", v->iprev.result, words(detail, v->iprev.name), words(detail, view_str(v->iprev.reason)));
    authres_property(r, "policy", "iprev", view_str(ip));
}

/* Those that the detail leaves; one that stands twice in the message is told once. */
static bool is_told(const struct judgement *v, size_t i, enum detail detail)
{
    const struct dkim_verdict *one = &v->dkim.verdicts[i];
    bool passed = one->result == DKIM_PASS && !one->is_partial;
    for (size_t k = 0; k < i; k++) {
        const struct dkim_verdict *other = &v->dkim.verdicts[k];
        if (other->result == one->result && view_eq(other->domain, one->domain) && view_eq(other->selector, one->selector) &&
            view_eq(other->identity, one->identity) && view_eq(other->signature, one->signature))
            return false;
    }
    if (detail == ALIGNED_ONLY)
        return passed && v->dmarc.dkim_aligned && view_eq(one->domain, v->dmarc.dkim_domain);
    return detail < PASSED_ONLY || passed;
}

static void add_dkim(const struct judgement *v, enum detail detail, struct authres *r)
{
    if (v->dkim.n == 0)
        authres_dkim(r, &v->dkim); /* "none" */
    for (size_t i = 0; i < v->dkim.n; i++) {
        struct dkim_verdict copy = v->dkim.verdicts[i];
        const struct dkim_list one = {.verdicts = &copy, .n = 1};
        if (!is_told(v, i, detail))
            continue;
        if (detail != ALL) {
            copy.reason = "";
            copy.bits = 0;
        }
        authres_dkim(r, &one);
    }
}

static void add_arc(const struct judgement *v, struct authres *r)
{
    char ip[ADDR_TEXT_MAX];
    if (v->arc.result == ARC_NONE)
        return;
    authres_arc(r, &v->arc);
    if (v->facts.ip.len > 0) { /* RFC 8617 §6 */
        addr_write_ip(&v->facts.ip, ip);
        authres_property(r, "smtp", "remote-ip", view_str(ip));
    }
}

/* "p=reject, dis=none, trusted_forwarder: the client is ..." */
static void add_dmarc(const struct judgement *v, enum detail detail, struct authres *r)
{
    const struct dmarc_verdict *d = &v->dmarc;
    struct buf comment;
    buf_init(&comment, AUTHRES_REASON_MAX * 8);
    if (d->policy_tag)
        buf_printf(&comment, "%s=%s dis=%s", d->policy_tag, dmarc_policy_name(d->policy), dmarc_policy_name(d->disposition));
    if (d->override != DMARC_NO_OVERRIDE)
        buf_printf(&comment, " %s: %.*s", dmarc_override_name(d->override), VIEW_FMT(d->override_comment));
    authres_add(r, "dmarc", dmarc_result_name(d->result), buf_view(&comment), words(detail, d->reason));
    authres_property(r, "header", "from", d->author);
    if (d->policy_tag)
        authres_property(r, "policy", "dmarc", view_str(dmarc_policy_name(d->policy)));
    buf_clear(&comment);
}

static void add_logo(const struct judgement *v, enum detail detail, struct authres *r)
{
    if (!v->logo.result)
        return;
    authres_add(r, "bimi", v->logo.result, (struct view){0}, words(detail, v->logo.reason));
    authres_property(r, "header", "d", v->logo.domain);
    authres_property(r, "header", "selector", v->logo.selector);
    if (v->logo.svg.n > 0)
        authres_property(r, "policy", "authority", view_str(v->logo.authority.n > 0 ? "pass" : "none"));
}

static enum rc write_field(const struct judge_settings *set, const struct judgement *v, enum detail detail, struct buf *out)
{
    struct authres r;
    authres_begin(&r, view_str(set->authserv_id));
    add_dmarc(v, detail, &r);
    add_spf(v, detail, &r);
    add_dkim(v, detail, &r);
    add_arc(v, &r);
    add_iprev(v, detail, &r);
    add_logo(v, detail, &r);
    return authres_end(&r, out);
}

enum rc judge_results(const struct judge_settings *set, const struct judgement *v, size_t max, struct buf *out)
{
    const size_t before = out->n;
    enum rc rc = RC_LIMIT;
    for (enum detail detail = ALL; detail < DETAILS && rc == RC_LIMIT; detail++) {
        rc = write_field(set, v, detail, out);
        if (rc == RC_OK && out->n - before > max) {
            out->n = before;
            rc = RC_LIMIT;
        }
    }
    return rc;
}

/* Base64 in lines that headers may have (RFC 5322 §2.1.1). */
static void add_folded(struct view text, struct buf *out)
{
    for (; text.n > 0; view_skip(&text, text.n < FOLD ? text.n : FOLD)) {
        buf_str(out, "\r\n ");
        buf_add(out, view_slice(text, 0, FOLD));
    }
    buf_str(out, "\r\n");
}

void judge_logo_fields(const struct judgement *v, size_t max, struct buf *out)
{
    struct buf location, indicator, base64;
    if (v->logo.svg.n == 0)
        return;
    buf_init(&location, 4096);
    buf_init(&indicator, 65536);
    buf_init(&base64, 65536);
    buf_printf(&location, "BIMI-Location: v=BIMI1; l=%.*s", VIEW_FMT(v->logo.location));
    if (v->logo.authority.n > 0)
        buf_printf(&location, ";\r\n a=%.*s", VIEW_FMT(v->logo.authority));
    buf_str(&location, "\r\n");
    base64_encode(v->logo.svg, &base64);
    buf_str(&indicator, "BIMI-Indicator:");
    add_folded(buf_view(&base64), &indicator);
    if (buf_rc(&location) == RC_OK && location.n <= max)
        buf_add(out, buf_view(&location));
    if (buf_rc(&location) == RC_OK && buf_rc(&indicator) == RC_OK && buf_rc(&base64) == RC_OK && location.n + indicator.n <= max)
        buf_add(out, buf_view(&indicator));
    buf_clear(&location);
    buf_clear(&indicator);
    buf_clear(&base64);
}
