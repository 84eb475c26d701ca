#include "policy/dane.h"

bool dane_is_usable(const struct tls_record *r)
{
    static const size_t sizes[] = {0, 32, 64}; /* of SHA-256 and SHA-512 (RFC 6698 §2.1.3) */
    if ((r->usage != 2 && r->usage != 3) || r->selector > 1 || r->matching > 2 || r->data.n == 0)
        return false;
    return r->matching == 0 ? tls_record_is_readable(r) : r->data.n == sizes[r->matching]; /* RFC 6698 §4.1 */
}

static enum rc write_record(const struct dns_tlsa *t, struct arena *a, struct view *out)
{
    struct buf b;
    buf_init(&b, 65536 * 2 + 16);
    buf_printf(&b, "%u %u %u ", t->usage, t->selector, t->matching);
    for (struct view data = t->data; data.n > 0;)
        buf_printf(&b, "%02X", (unsigned)view_next(&data));
    enum rc rc = buf_rc(&b) == RC_OK ? view_dup(a, buf_view(&b), out) : RC_TEMP;
    buf_clear(&b);
    return rc;
}

static enum rc take_records(const struct dns_tlsa *tlsa, size_t n, struct arena *a, struct dane *out)
{
    out->records = arena_new_array(a, n, struct tls_record);
    out->texts = arena_new_array(a, n, struct view);
    if (!out->records || !out->texts)
        return RC_TEMP;
    for (size_t i = 0; i < n; i++) {
        struct tls_record r = {tlsa[i].usage, tlsa[i].selector, tlsa[i].matching, tlsa[i].data};
        if (write_record(&tlsa[i], a, &out->texts[out->n_texts]) != RC_OK)
            return RC_TEMP;
        out->n_texts++;
        if (dane_is_usable(&r))
            out->records[out->n++] = r;
    }
    out->verdict = out->n > 0 ? DANE_USABLE : DANE_UNUSABLE;
    return RC_OK;
}

static void cannot_tell(struct dane *out, const struct dns_answer *answer, struct arena *a)
{
    const char *why = arena_printf(a, "%s: %s",
                                   answer->status == DNS_BOGUS ? "DNSSEC of its TLSA records is broken" : "its TLSA records cannot be looked up",
                                   answer->why ? answer->why : "");
    out->verdict = DANE_TEMP;
    out->bogus = answer->status == DNS_BOGUS;
    out->why = why ? why : "";
}

/* One candidate for the base domain (RFC 7672 §2.2.3). DANE_NONE stays where it has no secure records. */
static enum rc try_base(struct dns *dns, struct view base, unsigned port, int64_t deadline_ms, struct arena *a, struct dane *out)
{
    struct dns_answer answer;
    struct dns_tlsa *tlsa;
    size_t n;
    const char *name = arena_printf(a, "_%u._tcp.%.*s", port, VIEW_FMT(base));
    if (!name)
        return RC_TEMP;
    switch (dns_tlsa(dns, view_str(name), deadline_ms, a, &answer, &tlsa, &n)) {
    case DNS_OK:
        if (!answer.secure)
            return RC_OK;
        out->base = base;
        return take_records(tlsa, n, a, out);
    case DNS_NODATA:
    case DNS_NXDOMAIN: return RC_OK;
    case DNS_TEMP:
    case DNS_BOGUS: break;
    }
    cannot_tell(out, &answer, a);
    return RC_OK;
}

/* An alias into a zone without DNSSEC may itself be proven, and then so may be TLSA records beside it (RFC 7672 §2.2.2). */
static bool is_alias_secure(struct dns *dns, struct view name, int64_t deadline_ms, struct arena *a, struct dane *out)
{
    struct dns_answer answer;
    switch (dns_query(dns, name, DNS_CNAME, deadline_ms, a, &answer)) {
    case DNS_TEMP:
    case DNS_BOGUS: cannot_tell(out, &answer, a); return false;
    default:        return answer.secure;
    }
}

enum rc dane_look_up(struct dns *dns, struct view name, unsigned port, const struct dns_answer *addrs, int64_t deadline_ms,
                     struct arena *a, struct dane *out)
{
    bool is_alias = addrs->canonical.n > 0;
    *out = (struct dane){.base = name, .why = ""};
    if (!addrs->secure && (!is_alias || !is_alias_secure(dns, name, deadline_ms, a, out)))
        return RC_OK;
    if (addrs->secure && is_alias) {
        enum rc rc = try_base(dns, addrs->canonical, port, deadline_ms, a, out);
        if (rc != RC_OK || out->verdict != DANE_NONE)
            return rc;
    }
    return try_base(dns, name, port, deadline_ms, a, out);
}
