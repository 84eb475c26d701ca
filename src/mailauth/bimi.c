#include "mailauth/bimi.h"

#include "mailauth/dkim_tags.h"

const char *bimi_result_name(enum bimi_result result)
{
    static const char *const names[] = {"none", "pass", "fail", "temperror", "declined", "skipped"};
    return names[result];
}

bool bimi_is_record(struct view txt)
{
    struct view rest = txt;
    if (!view_itake(&rest, VIEW("v")))
        return false;
    view_take_wsp(&rest);
    if (!view_take_chr(&rest, '='))
        return false;
    view_take_wsp(&rest);
    if (!view_take(&rest, VIEW("BIMI1")))
        return false;
    view_take_wsp(&rest);
    return rest.n == 0 || rest.p[0] == ';';
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool bimi_url_split(struct view url, struct view *host, unsigned *port, struct view *path)
{
    uint32_t n = 443;
    if (url.n > BIMI_URL_MAX || !view_itake(&url, VIEW("https://")))
        return false;
    size_t at = 0;
    while (at < url.n && is_name_byte(url.p[at]))
        at++;
    *host = view_slice(url, 0, at);
    view_skip(&url, at);
    if (view_take_chr(&url, ':') && (view_u32(&url, 65535, &n) != RC_OK || n == 0))
        return false;
    *port = n;
    for (size_t i = 0; i < url.n; i++) /* no blanks, quotes, other hosts in disguise */
        if (url.p[i] <= ' ' || url.p[i] >= 0x7f || url.p[i] == '"' || url.p[i] == '<' || url.p[i] == '>' || url.p[i] == '\\')
            return false;
    size_t fragment = view_chr(url, '#');
    *path = view_slice(url, 0, fragment == VIEW_NONE ? url.n : fragment);
    return view_chr(*host, '.') != VIEW_NONE && view_starts(*path, VIEW("/"));
}

static bool is_url_or_empty(struct view url)
{
    struct view host, path;
    unsigned port;
    return url.n == 0 || bimi_url_split(url, &host, &port, &path);
}

enum rc bimi_record_parse(struct view txt, struct arena *a, struct bimi_record *out, const char **why)
{
    struct dkim_tags tags;
    *out = (struct bimi_record){.text = txt};
    *why = "it is longer than such records are";
    if (txt.n > BIMI_RECORD_MAX)
        return RC_SYNTAX;
    *why = "it is not a list of tags";
    if (!bimi_is_record(txt) || dkim_tags_parse(txt, &tags) != RC_OK)
        return RC_SYNTAX;
    const struct dkim_tag *location = dkim_tags_find(&tags, "l"), *authority = dkim_tags_find(&tags, "a");
    *why = "it has no l=, the place of the logo";
    if (!location)
        return RC_SYNTAX;
    if (dkim_squeeze(location->value, a, &out->location) != RC_OK ||
        (authority && dkim_squeeze(authority->value, a, &out->authority) != RC_OK))
        return RC_TEMP;
    if (view_ieq(out->authority, VIEW("self"))) /* of earlier drafts: no certificate */
        out->authority = VIEW("");
    *why = "l= is not an https address";
    if (!is_url_or_empty(out->location))
        return RC_SYNTAX;
    *why = "a= is not an https address";
    if (!is_url_or_empty(out->authority))
        return RC_SYNTAX;
    out->declined = out->location.n == 0 && out->authority.n == 0;
    *why = "l= is empty";
    return out->location.n == 0 && !out->declined ? RC_SYNTAX : RC_OK;
}

enum rc bimi_selector_parse(struct view value, struct arena *a, struct view *selector)
{
    struct dkim_tags tags;
    if (!bimi_is_record(value) || dkim_tags_parse(value, &tags) != RC_OK)
        return RC_SYNTAX;
    const struct dkim_tag *s = dkim_tags_find(&tags, "s");
    if (!s || s->value.n == 0 || s->value.n > BIMI_SELECTOR_MAX)
        return RC_SYNTAX;
    for (size_t i = 0; i < s->value.n; i++)
        if (!is_name_byte(s->value.p[i]))
            return RC_SYNTAX;
    return view_dup(a, s->value, selector);
}

/* BIMI_NONE: there is no record here. */
static enum rc look_at(struct dns *dns, struct view domain, struct view selector, int64_t deadline_ms, struct arena *a, struct bimi_found *out)
{
    struct dns_answer answer;
    struct view *texts, found = {0};
    size_t n, n_records = 0;
    const char *name = arena_printf(a, "%.*s._bimi.%.*s", VIEW_FMT(selector), VIEW_FMT(domain));
    if (!name)
        return RC_TEMP;
    *out = (struct bimi_found){.result = BIMI_NONE, .name = view_str(name), .domain = domain, .why = "there is no BIMI record"};
    dns_txt(dns, out->name, deadline_ms, a, &answer, &texts, &n);
    if (answer.status == DNS_TEMP || answer.status == DNS_BOGUS) {
        out->result = BIMI_TEMPERROR;
        out->why = "the BIMI record cannot be read now";
        return RC_OK;
    }
    for (size_t i = 0; answer.status == DNS_OK && i < n; i++)
        if (bimi_is_record(texts[i]) && n_records++ == 0)
            found = texts[i];
    if (n_records == 0)
        return RC_OK;
    out->result = BIMI_FAIL;
    out->why = "there are several BIMI records";
    if (n_records > 1)
        return RC_OK;
    enum rc rc = bimi_record_parse(found, a, &out->record, &out->why);
    if (rc == RC_OK) {
        out->result = out->record.declined ? BIMI_DECLINED : BIMI_PASS;
        out->why = out->record.declined ? "the domain wants no logo to be shown" : "";
    }
    return rc == RC_TEMP ? rc : RC_OK;
}

enum rc bimi_find(struct dns *dns, struct view author, struct view organization, struct view selector, int64_t deadline_ms, struct arena *a,
                  struct bimi_found *out)
{
    enum rc rc = look_at(dns, author, selector, deadline_ms, a, out);
    if (rc == RC_OK && out->result == BIMI_NONE && organization.n > 0 && !view_ieq(author, organization))
        rc = look_at(dns, organization, selector, deadline_ms, a, out);
    return rc;
}

bool bimi_dmarc_allows(const struct dmarc_verdict *v, const char **why)
{
    const struct dmarc_record *r = &v->record;
    *why = "the message does not pass DMARC";
    if (v->result != DMARC_PASS || v->policy_domain.n == 0)
        return false;
    *why = "its DMARC policy is none";
    if (v->policy == DMARC_POLICY_NONE || r->p == DMARC_POLICY_NONE)
        return false;
    *why = "its DMARC policy for subdomains is none";
    if (r->has_sp && r->sp == DMARC_POLICY_NONE)
        return false;
    *why = "its DMARC policy is a test, or for part of the mail only";
    if (r->test || (r->p == DMARC_POLICY_QUARANTINE && r->pct < 100))
        return false;
    *why = "";
    return true;
}
