#include "report/destination.h"

#include "report/row.h"

#define LOCAL_MAX 64 /* RFC 5321 §4.5.3.1.1 */

static int hex_digit(int c)
{
    return is_digit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 §2.1. False: a '%' without two digits. */
static bool undo_percent(struct view in, struct buf *out)
{
    while (in.n > 0) {
        int c = view_next(&in);
        if (c == '%') {
            int high = hex_digit(view_next(&in)), low = hex_digit(view_next(&in));
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
        }
        buf_chr(out, (char)c);
    }
    return buf_rc(out) == RC_OK;
}

/* RFC 5322 §3.2.3 */
static bool is_dot_atom(struct view v)
{
    if (v.n == 0 || v.n > LOCAL_MAX || v.p[0] == '.' || v.p[v.n - 1] == '.' || view_find(v, VIEW("..")) != VIEW_NONE)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (!is_alnum((unsigned char)v.p[i]) && (v.p[i] == 0 || !strchr(".!#$%&'*+-/=?^_`{|}~", v.p[i])))
            return false;
    return true;
}

enum rc destination_read(struct view address, struct arena *a, struct view *out, struct view *domain)
{
    struct buf b;
    struct view decoded;
    enum rc rc = RC_SYNTAX;
    buf_init(&b, 1024);
    if (!undo_percent(address, &b))
        goto done;
    decoded = buf_view(&b);
    size_t at = view_rchr(decoded, '@');
    if (at == VIEW_NONE || !is_dot_atom(view_slice(decoded, 0, at)))
        goto done;
    rc = dns_domain_ascii(view_from(decoded, at + 1), a, domain);
    if (rc == RC_OK && !row_domain_is_plain(*domain)) /* address literals among others */
        rc = RC_SYNTAX;
    if (rc != RC_OK)
        goto done;
    char *text = arena_printf(a, "%.*s@%.*s", (int)at, decoded.p, VIEW_FMT(*domain));
    rc = text ? RC_OK : RC_TEMP;
    *out = view_str(text);
    if (rc == RC_OK && out->n > DESTINATION_ADDRESS_MAX)
        rc = RC_SYNTAX;
done:
    buf_clear(&b);
    return rc;
}

/* --- asking the destination --- */

struct question {
    struct dns *dns;
    const struct dmarc_settings *set;
    struct view policy_domain;
    struct view organization; /* of the policy domain; empty until it is needed */
    bool failure;
    int64_t deadline_ms;
    struct arena *a;
};

static void fill(struct destination *d, enum destination_state state, const char *why)
{
    d->state = state;
    d->why = why;
}

/* RC_OK and *same. */
static enum rc is_same_organization(struct question *x, struct view domain, bool *same)
{
    struct view other;
    enum rc rc = RC_OK;
    *same = view_eq(domain, x->policy_domain);
    if (*same)
        return RC_OK;
    if (x->organization.n == 0)
        rc = dmarc_organization(x->dns, x->set, x->policy_domain, x->deadline_ms, x->a, &x->organization);
    if (rc == RC_OK)
        rc = dmarc_organization(x->dns, x->set, domain, x->deadline_ms, x->a, &other);
    *same = rc == RC_OK && view_eq(other, x->organization);
    return rc;
}

/* Step 9: an address of their own must be at the same host; elsewhere, and nobody gets a report. */
static void replace(struct question *x, struct destination *d, const struct dmarc_record *r)
{
    const struct dmarc_uri *uris = x->failure ? r->ruf : r->rua;
    size_t n = x->failure ? r->n_ruf : r->n_rua;
    struct view address, domain;
    for (size_t i = 0; i < n; i++) {
        if (uris[i].address.n == 0 || destination_read(uris[i].address, x->a, &address, &domain) != RC_OK)
            continue;
        if (!view_eq(domain, d->domain)) {
            fill(d, DESTINATION_REFUSED, "its record sends reports to yet another host");
            return;
        }
        if (!d->replaced) {
            d->address = address;
            d->max_size = uris[i].max_size;
            d->replaced = true;
        }
    }
}

/* RFC 9990, "Verifying External Destinations", steps 2 to 9. */
static enum rc ask(struct question *x, struct destination *d)
{
    struct dns_answer answer;
    struct view *texts = NULL;
    size_t n = 0;
    bool agreed = false;
    struct dmarc_record record;
    char *name = arena_printf(x->a, "%.*s._report._dmarc.%.*s", VIEW_FMT(x->policy_domain), VIEW_FMT(d->domain));
    if (!name)
        return RC_TEMP;
    if (strlen(name) > 253) { /* step 4 */
        fill(d, DESTINATION_REFUSED, "the name to ask for is too long");
        return RC_OK;
    }
    enum dns_status status = dns_txt(x->dns, view_str(name), x->deadline_ms, x->a, &answer, &texts, &n);
    if (status == DNS_TEMP || status == DNS_BOGUS) {
        fill(d, DESTINATION_UNKNOWN, "its name servers do not say whether it wants these reports");
        return RC_OK;
    }
    for (size_t i = 0; status == DNS_OK && i < n && d->state == DESTINATION_OK; i++) {
        enum rc rc = dmarc_record_parse(texts[i], x->a, &record);
        if (rc == RC_TEMP)
            return rc;
        if (rc != RC_OK)
            continue;
        agreed = true;
        replace(x, d, &record);
    }
    if (!agreed)
        fill(d, DESTINATION_REFUSED, arena_printf(x->a, "%s has no TXT record \"v=DMARC1\"", name));
    return RC_OK;
}

static enum rc look_at(struct question *x, const struct dmarc_uri *uri, struct destination *d)
{
    bool same;
    *d = (struct destination){.uri = uri->uri, .max_size = uri->max_size, .why = ""};
    if (uri->address.n == 0) {
        fill(d, DESTINATION_BAD, "only mailto: is known");
        return RC_OK;
    }
    enum rc rc = destination_read(uri->address, x->a, &d->address, &d->domain);
    if (rc == RC_SYNTAX) {
        fill(d, DESTINATION_BAD, "it is no address that can be written to");
        return RC_OK;
    }
    if (rc != RC_OK)
        return rc;
    rc = is_same_organization(x, d->domain, &same);
    if (rc == RC_TEMP) {
        fill(d, DESTINATION_UNKNOWN, "the DNS does not answer");
        return RC_OK;
    }
    d->external = !same;
    return d->external ? ask(x, d) : RC_OK;
}

static bool is_known(const struct destination *list, size_t n, struct view address)
{
    for (size_t i = 0; i < n; i++)
        if (view_ieq(list[i].address, address))
            return true;
    return false;
}

enum rc destinations_find(struct dns *dns, const struct dmarc_settings *set, struct view policy_domain, const struct dmarc_uri *uris,
                          size_t n_uris, bool failure, int64_t deadline_ms, struct arena *a, struct destination **out, size_t *n)
{
    struct question x = {.dns = dns, .set = set, .policy_domain = policy_domain, .failure = failure, .deadline_ms = deadline_ms, .a = a};
    *n = 0;
    *out = arena_new_array(a, n_uris + 1, struct destination);
    if (!*out)
        return RC_TEMP;
    for (size_t i = 0; i < n_uris; i++) {
        struct destination d;
        enum rc rc = look_at(&x, &uris[i], &d);
        if (rc != RC_OK)
            return rc;
        if (d.address.n == 0 || !is_known(*out, *n, d.address))
            (*out)[(*n)++] = d;
    }
    return RC_OK;
}
