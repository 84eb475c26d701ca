#include "desk/verdict.h"

#include "mailauth/authres.h"

static struct view organization(const struct psl_list *psl, struct view domain)
{
    return psl ? psl_list_organization(psl, domain) : domain;
}

static bool is_aligned(const struct psl_list *psl, struct view domain, struct view from_domain)
{
    return from_domain.n > 0 && domain.n > 0 && view_ieq(organization(psl, domain), organization(psl, from_domain));
}

/* The results of the first field of ours. RC_NOTFOUND: there is none. */
static enum rc find_results(struct view header, struct view hostname, struct arena *a, struct view *results)
{
    struct header_field field;
    while (header_next(&header, &field)) {
        struct view id;
        if (!view_ieq(field.name, VIEW("Authentication-Results")))
            continue;
        *results = field.value;
        enum rc rc = authres_id(results, a, &id);
        if (rc == RC_TEMP || (rc == RC_OK && view_ieq(id, hostname)))
            return rc;
    }
    return RC_NOTFOUND;
}

/* "domain" of "local@domain" or "domain". */
static struct view domain_of(struct view address)
{
    size_t at = view_rchr(address, '@');
    return at == VIEW_NONE ? address : view_from(address, at + 1);
}

/* A pass stands before all else, then what came first. */
static void note(struct view *have, struct view result)
{
    if (have->n == 0 || view_eq(result, VIEW("pass")))
        *have = result;
}

enum rc verdict_read(struct view header, struct view hostname, struct view from_domain, const struct psl_list *psl, struct arena *a,
                     struct verdict *out)
{
    struct view results, about;
    struct authres_item item;
    bool aligned = false;
    *out = (struct verdict){.why = "no-verdict"};
    enum rc rc = find_results(header, hostname, a, &results);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    out->why = "unauthenticated";
    while ((rc = authres_next(&results, a, &item)) == RC_OK) {
        const bool pass = view_eq(item.result, VIEW("pass"));
        const bool is_dmarc = view_eq(item.method, VIEW("dmarc")), is_spf = view_eq(item.method, VIEW("spf"));
        if (!is_dmarc && !is_spf && !view_eq(item.method, VIEW("dkim")))
            continue;
        rc = authres_property_of(&item, is_dmarc ? "header.from" : is_spf ? "smtp.mailfrom" : "header.d", a, &about);
        if (rc != RC_OK)
            return rc;
        if (is_dmarc && out->dmarc.n == 0) {
            out->dmarc = item.result;
            if (pass)
                *out = (struct verdict){out->spf, out->dkim, item.result, about, true, "dmarc.pass"};
        } else if (!is_dmarc) {
            note(is_spf ? &out->spf : &out->dkim, item.result);
            aligned |= pass && is_aligned(psl, domain_of(about), from_domain);
        }
    }
    if (rc != RC_NOTFOUND)
        return rc;
    if (!out->counted && aligned && view_eq(out->dmarc, VIEW("none"))) {
        out->counted = true;
        out->by = from_domain;
        out->why = "aligned.pass";
    }
    return RC_OK;
}
