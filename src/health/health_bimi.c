/* The domain's logo (BIMI): record, what DMARC has to say, the drawing and its certificate. */
#include <stdio.h>

#include "fetch/fetch.h"
#include "health/health_impl.h"
#include "mailauth/bimi.h"

#define FETCH_MS 10000

/* As bimi_url_split; also of http, whose port is another. */
static bool split_url(struct look *l, struct view url, bool *plain, struct view *host, unsigned *port, struct view *path)
{
    *plain = view_itake(&url, VIEW("http://"));
    if (!*plain)
        return bimi_url_split(url, host, port, path);
    const char *twin = arena_printf(l->a, "https://%.*s", VIEW_FMT(url));
    if (!twin || !bimi_url_split(view_str(twin), host, port, path))
        return false;
    if (url.n == host->n || url.p[host->n] != ':')
        *port = 80;
    return true;
}

/* What stands at an address, of any media type: what it is shows by itself. False: *why. */
static bool fetch_any(struct look *l, struct view url, bool may_be_plain, struct buf *out, char why[FETCH_WHY_MAX])
{
    struct dns_answer answer;
    struct view host, path;
    struct addr *addrs;
    struct fetch_reply reply;
    const struct fetch_upload get = {.method = "GET"};
    bool plain;
    unsigned port;
    size_t n = 0;
    enum fetch_fault fault = FETCH_UNREACHABLE;
    snprintf(why, FETCH_WHY_MAX, "%s", "it is not an https address");
    if (split_url(l, url, &plain, &host, &port, &path) && (may_be_plain || !plain)) {
        dns_addrs(l->set->dns, host, port, l->deadline_ms, l->a, &answer, &addrs, &n);
        snprintf(why, FETCH_WHY_MAX, "%s", "its host has no address");
    }
    for (size_t i = 0; i < n && l->set->public_only; i++)
        if (!addr_is_public(&addrs[i])) {
            snprintf(why, FETCH_WHY_MAX, "%s", "its host has a private or local address");
            n = 0;
        }
    if (n > 0) {
        const struct fetch_request r = {.host = arena_cstr(l->a, host),
                                        .port = port,
                                        .path = arena_cstr(l->a, path),
                                        .addrs = addrs,
                                        .n_addrs = n,
                                        .trust = l->set->trust,
                                        .plain = plain,
                                        .deadline_ms = health_deadline(l, FETCH_MS)};
        if (r.host && r.path)
            fault = fetch_exchange(&r, &get, &reply, out, why);
        if (fault == FETCH_OK && reply.status != 200) {
            snprintf(why, FETCH_WHY_MAX, "the host answers with HTTP status %u", reply.status);
            fault = FETCH_REFUSED;
        }
    }
    return fault == FETCH_OK;
}

static bool fetch(struct look *l, struct view url, struct buf *out)
{
    char why[FETCH_WHY_MAX];
    const bool ok = fetch_any(l, url, false, out, why);
    if (!ok)
        health_say(l, "bimi.fetch", HEALTH_WARN, url, "Serve the file itself at this address by HTTPS, with a certificate that holds.",
                   "It cannot be fetched: %s", why);
    return ok;
}

static void look_at_logo(struct look *l, struct health_bimi *b)
{
    struct buf file;
    buf_init(&file, 4 * BIMI_SVG_MAX);
    if (fetch(l, b->location, &file)) {
        struct view bytes;
        if (view_dup(l->a, buf_view(&file), &bytes) == RC_OK) {
            bimi_svg_check(bytes, l->a, &b->check);
            b->svg = b->check.text;
            if (b->check.fault != BIMI_SVG_OK)
                health_say(l, "bimi.logo", HEALTH_WARN, b->location,
                           "Save the drawing in the profile SVG Tiny PS (converters of the BIMI group do so), and look at it by `facteur bimi FILE`.", "%s",
                           bimi_svg_words(b->check.fault));
            else if (!b->check.has_version || !b->check.is_square)
                health_say(l, "bimi.logo", HEALTH_NOTE, b->location, "Add version=\"1.2\" to it, and make its viewBox as wide as high.",
                           "The logo can be shown, but is not quite as mailbox providers want it.");
            else
                health_say(l, "bimi.logo", HEALTH_GOOD, b->location, NULL, "The logo is in the profile SVG Tiny PS.");
        }
    }
    buf_clear(&file);
}

/* RFC 5280 §6.3, by the list that the certificate names. */
static void look_at_revocation(struct look *l, struct health_bimi *b, struct view pem)
{
    char fault[FETCH_WHY_MAX];
    const char *why = fault;
    struct buf crl;
    enum mark_revoked revoked = MARK_NOT_KNOWN;
    if (b->mark.crl.n == 0) {
        health_say(l, "bimi.revoked", HEALTH_NOTE, b->authority, "Ask the authority for a certificate that names one: mailbox providers look whether it was revoked.",
                   "The mark certificate names no list of revoked ones.");
        return;
    }
    buf_init(&crl, MARK_CRL_MAX);
    if (fetch_any(l, b->mark.crl, true, &crl, fault))
        revoked = mark_revocation(pem, l->set->mark_roots, buf_view(&crl), l->set->now_s, &why);
    if (revoked == MARK_REVOKED) {
        b->mark.valid = false;
        b->mark.why = "its authority has revoked it";
        health_say(l, "bimi.revoked", HEALTH_BAD, b->authority, "Get a new certificate from the authority, and serve it at a=.",
                   "The mark certificate was revoked by its authority: no logo is shown.");
    } else if (revoked == MARK_NOT_REVOKED) {
        health_say(l, "bimi.revoked", HEALTH_GOOD, b->authority, NULL, "The mark certificate was not revoked.");
    } else {
        health_say(l, "bimi.revoked", HEALTH_UNKNOWN, b->authority, "Try again later; if it stays so, tell the authority, whose list of revoked certificates it is.",
                   "Whether the mark certificate was revoked cannot be told: %s", why);
    }
    buf_clear(&crl);
}

static void look_at_mark(struct look *l, struct health_bimi *b, struct view domain)
{
    struct buf pem;
    struct bimi_svg inside;
    const char *names[] = {arena_cstr(l->a, domain), arena_cstr(l->a, b->name)};
    buf_init(&pem, MARK_PEM_MAX);
    if (names[0] && names[1] && fetch(l, b->authority, &pem)) {
        b->has_mark = mark_check(buf_view(&pem), l->set->mark_roots, names, 2, l->set->now_s, l->a, &b->mark) == RC_OK;
        if (b->has_mark && b->mark.logo.n > 0)
            bimi_svg_check(b->mark.logo, l->a, &inside);
        if (!b->has_mark || !b->mark.valid)
            health_say(l, "bimi.certificate", HEALTH_WARN, b->authority, "Have the authority issue the certificate anew, and serve it with its chain.",
                       "The mark certificate does not hold: %s.", b->mark.why);
        else if (b->svg.n > 0 && !view_eq(inside.text, b->svg))
            health_say(l, "bimi.certificate", HEALTH_WARN, b->authority, "Serve at l= exactly the drawing that the certificate was issued for.",
                       "The mark certificate is for another drawing than the one at l=.");
        else
            health_say(l, "bimi.certificate", HEALTH_GOOD, b->authority, NULL, "The mark certificate (%s, %.*s) holds, and is for this drawing.",
                       b->mark.kind, VIEW_FMT(b->mark.type));
        if (b->has_mark && b->mark.valid)
            look_at_revocation(l, b, buf_view(&pem));
    }
    buf_clear(&pem);
}

void health_bimi(struct look *l)
{
    struct health_bimi *b = &l->out->bimi;
    struct dmarc_verdict v = l->dmarc;
    const struct view domain = l->out->domain;
    struct bimi_found found;
    const char *why;
    if (l->no_mail)
        return;
    health_progress(l, "the logo of", domain);
    if (bimi_find(l->set->dns, domain, v.organization.n > 0 ? v.organization : v.policy_domain, VIEW(BIMI_SELECTOR), l->deadline_ms, l->a, &found) !=
        RC_OK) {
        l->rc = RC_TEMP;
        return;
    }
    switch (found.result) {
    case BIMI_TEMPERROR: return; /* the name servers' trouble is told elsewhere */
    case BIMI_NONE:
    case BIMI_SKIPPED:
        health_say(l, "bimi.record", HEALTH_NOTE, domain, "When DMARC is at quarantine or reject: publish default._bimi with \"v=BIMI1; l=https://...\".",
                   "There is no BIMI record: no logo is shown beside its mail.");
        return;
    case BIMI_DECLINED:
        health_say(l, "bimi.record", HEALTH_NOTE, domain, "Nothing must be done; name a logo in l= if you want one to be shown.",
                   "Its BIMI record says that no logo is to be shown.");
        return;
    case BIMI_FAIL:
        health_say(l, "bimi.record", HEALTH_WARN, domain, "Write one record: \"v=BIMI1; l=https://host/logo.svg; a=\".", "The BIMI record cannot be used: %s.",
                   found.why);
        return;
    case BIMI_PASS: break;
    }
    *b = (struct health_bimi){
        .found = true, .name = found.name, .record = found.record.text, .location = found.record.location, .authority = found.record.authority};
    health_say(l, "bimi.record", HEALTH_GOOD, domain, NULL, "%.*s: %.*s", VIEW_FMT(found.name), VIEW_FMT(found.record.text));
    v.result = DMARC_PASS; /* as its own mail should */
    if (!bimi_dmarc_allows(&v, &why))
        health_say(l, "bimi.dmarc", HEALTH_WARN, domain, "Go to p=quarantine or p=reject, for subdomains as well.",
                   "No logo is shown as long as DMARC is as it is: %s.", why);
    if (!l->set->connect || !l->set->trust)
        return;
    look_at_logo(l, b);
    if (found.record.authority.n > 0)
        look_at_mark(l, b, found.domain);
    else
        health_say(l, "bimi.certificate", HEALTH_NOTE, domain, "If your mailbox providers ask for one: a VMC for a registered mark, a CMC for one in use.",
                   "No mark certificate stands behind the logo; some providers show no logo without.");
}
