#include "policy/logo.h"

#include <stdio.h>

#include "base/log.h"
#include "crypto/mark.h"
#include "fetch/fetch.h"
#include "mailauth/bimi.h"
#include "mailauth/bimi_svg.h"
#include "message/header.h"
#include "store/logo.h"

/* The one that the message asks for (BIMI-Selector), as far as a signature that counts could have covered it. */
static struct view selector_of(struct view header, struct arena *a)
{
    struct header_field field;
    struct view selector, in = header;
    while (header_next(&in, &field))
        if (view_ieq(field.name, VIEW("BIMI-Selector")) && bimi_selector_parse(view_trim(field.value), a, &selector) == RC_OK)
            return selector;
    return VIEW(BIMI_SELECTOR);
}

static bool fetch(const struct logo_settings *set, struct view url, int64_t deadline_ms, struct arena *a, struct buf *out, const char **why)
{
    struct dns_answer answer;
    struct view host, path;
    struct addr *addrs;
    struct fetch_reply reply;
    const struct fetch_upload get = {.method = "GET"};
    char words[FETCH_WHY_MAX] = "";
    unsigned port;
    size_t n;
    *why = "its address is not one";
    if (!bimi_url_split(url, &host, &port, &path))
        return false;
    *why = "its host has no address that may be asked";
    dns_addrs(set->dns, host, port, deadline_ms, a, &answer, &addrs, &n);
    for (size_t i = 0; i < n; i++)
        if (!set->any_address && !addr_is_public(&addrs[i]))
            return false;
    if (n == 0)
        return false;
    const struct fetch_request r = {.host = arena_cstr(a, host), .port = port, .path = arena_cstr(a, path), .addrs = addrs, .n_addrs = n,
                                    .trust = set->trust, .deadline_ms = deadline_ms};
    if (!r.host || !r.path)
        return false;
    enum fetch_fault fault = fetch_exchange(&r, &get, &reply, out, words);
    if (fault == FETCH_OK && reply.status == 200)
        return true;
    *why = fault == FETCH_OK ? "its host does not have it" : arena_printf(a, "it cannot be fetched: %s", words);
    return false;
}

/* What stands behind a= must vouch for the drawing. */
static bool check_mark(const struct logo_settings *set, const struct bimi_found *f, struct view svg, int64_t deadline_ms, struct arena *a, const char **why)
{
    const char *names[] = {arena_cstr(a, f->domain), arena_cstr(a, f->name)};
    struct bimi_svg inside;
    struct mark mark;
    struct buf pem;
    bool ok = false;
    buf_init(&pem, MARK_PEM_MAX);
    if (names[0] && names[1] && fetch(set, f->record.authority, deadline_ms, a, &pem, why)) {
        ok = mark_check(buf_view(&pem), set->roots, names, 2, clock_real_s(), a, &mark) == RC_OK && mark.valid;
        *why = ok ? "" : arena_printf(a, "its mark certificate does not hold: %s", mark.why);
        if (ok) {
            bimi_svg_check(mark.logo, a, &inside);
            ok = view_eq(inside.text, svg);
            *why = "its mark certificate is for another drawing";
        }
    }
    buf_clear(&pem);
    return ok;
}

static void fetch_all(const struct logo_settings *set, const struct bimi_found *f, int64_t deadline_ms, struct arena *a, struct logo_fetched *out)
{
    struct bimi_svg svg = {0};
    struct view bytes;
    struct buf file;
    const char *why = "";
    buf_init(&file, 4 * BIMI_SVG_MAX);
    out->good = fetch(set, f->record.location, deadline_ms, a, &file, &why) && view_dup(a, buf_view(&file), &bytes) == RC_OK;
    buf_clear(&file);
    if (out->good) {
        bimi_svg_check(bytes, a, &svg);
        out->good = svg.fault == BIMI_SVG_OK;
        why = bimi_svg_code(svg.fault);
    }
    if (out->good && f->record.authority.n > 0)
        out->good = check_mark(set, f, svg.text, deadline_ms, a, &why);
    out->svg = out->good ? svg.text : VIEW("");
    out->why = view_str(out->good || !why ? "" : why);
    out->fetched_s = clock_real_s();
}

enum rc logo_look_up(void *ctx, const struct dmarc_verdict *dmarc, struct view header, int64_t deadline_ms, struct arena *a, struct judge_logo *out)
{
    const struct logo_settings *set = ctx;
    const int64_t now_s = clock_real_s();
    struct bimi_found f;
    struct logo_fetched l;
    const char *why;
    *out = (struct judge_logo){.result = bimi_result_name(BIMI_SKIPPED), .reason = VIEW("")};
    if (!bimi_dmarc_allows(dmarc, &why)) {
        out->reason = view_str(why);
        return RC_OK;
    }
    const struct view selector = selector_of(header, a);
    enum rc rc = bimi_find(set->dns, dmarc->author, dmarc->organization.n > 0 ? dmarc->organization : dmarc->policy_domain, selector, deadline_ms, a, &f);
    if (rc != RC_OK)
        return rc;
    out->result = bimi_result_name(f.result);
    out->reason = view_str(f.why);
    if (f.result != BIMI_PASS)
        return RC_OK;
    out->domain = f.domain;
    out->selector = selector;
    out->location = f.record.location;
    out->authority = f.record.authority;
    rc = logo_fetched_get(set->store, f.record.location, f.record.authority, f.domain, a, &l);
    if (rc != RC_OK || l.fetched_s > now_s || now_s - l.fetched_s > (l.good ? LOGO_GOOD_S : LOGO_BAD_S)) {
        const int64_t until = deadline_in(LOGO_FETCH_MS);
        l = (struct logo_fetched){.location = f.record.location, .authority = f.record.authority, .domain = f.domain};
        fetch_all(set, &f, until < deadline_ms ? until : deadline_ms, a, &l);
        if (!l.good)
            log_info("bimi.logo.refused", F_VIEW("domain", f.domain), F_VIEW("location", l.location), F_VIEW("reason", l.why));
        logo_fetched_put(set->store, &l); /* without it the next message asks again */
    }
    out->result = bimi_result_name(l.good ? BIMI_PASS : BIMI_FAIL);
    out->reason = l.why;
    out->svg = l.svg;
    return RC_OK;
}
