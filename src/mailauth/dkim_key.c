#include "mailauth/dkim_key.h"

#include "base/base64.h"
#include "mailauth/dkim_tags.h"

#define TXT_STRING_MAX 255 /* RFC 1035 §3.3 */

static struct view value_or(const struct dkim_tags *tags, const char *name, struct view otherwise)
{
    const struct dkim_tag *tag = dkim_tags_find(tags, name);
    return tag ? tag->value : otherwise;
}

enum rc dkim_key_parse(struct view txt, struct arena *a, struct dkim_key *out, const char **why)
{
    struct dkim_tags tags;

    *out = (struct dkim_key){0};
    *why = "the key record is too long";
    if (txt.n > DKIM_KEY_RECORD_MAX)
        return RC_LIMIT;
    *why = "the key record is not a list of tags";
    if (dkim_tags_parse(txt, &tags) != RC_OK)
        return RC_SYNTAX;
    const struct dkim_tag *v = dkim_tags_find(&tags, "v"), *p = dkim_tags_find(&tags, "p");
    *why = "the key record has an unknown version";
    if (v && (v != &tags.tag[0] || !view_eq(v->value, VIEW("DKIM1")))) /* RFC 6376 §3.6.1 */
        return RC_SYNTAX;
    *why = "the key record has no p=";
    if (!p)
        return RC_SYNTAX;
    *why = "the key was revoked";
    if (p->value.n == 0)
        return RC_NOTFOUND;
    struct view kind = value_or(&tags, "k", VIEW("rsa"));
    *why = "the key record has an unknown key type";
    if (view_eq(kind, VIEW("rsa")))
        out->kind = PKEY_RSA;
    else if (view_eq(kind, VIEW("ed25519")))
        out->kind = PKEY_ED25519;
    else
        return RC_SYNTAX;
    *why = "the key record's p= is not base64";
    enum rc rc = dkim_base64(p->value, a, &out->bytes);
    if (rc != RC_OK)
        return rc;
    struct view hashes = value_or(&tags, "h", VIEW("sha256")), services = value_or(&tags, "s", VIEW("*"));
    struct view flags = value_or(&tags, "t", VIEW(""));
    out->allows_sha256 = dkim_list_has(hashes, "sha256");
    out->is_for_mail = dkim_list_has(services, "*") || dkim_list_has(services, "email");
    out->is_testing = dkim_list_has(flags, "y");
    out->is_strict = dkim_list_has(flags, "s");
    *why = "";
    return RC_OK;
}

static void answer(struct dkim_key_answer *out, enum dkim_result result, const char *reason)
{
    out->result = result;
    out->reason = reason;
}

void dkim_key_fetch(struct dns *dns, struct view selector, struct view domain, int64_t deadline_ms, struct arena *a,
                    struct dkim_key_answer *out)
{
    struct dns_answer dns_answer;
    struct view *texts;
    size_t n;
    const char *why;
    enum rc rc = RC_OK;

    *out = (struct dkim_key_answer){0};
    char *name = arena_printf(a, "%.*s._domainkey.%.*s", VIEW_FMT(selector), VIEW_FMT(domain));
    if (!name) {
        answer(out, DKIM_TEMPERROR, "no memory for the key");
        return;
    }
    enum dns_status status = dns_txt(dns, view_str(name), deadline_ms, a, &dns_answer, &texts, &n);
    out->secure = dns_answer.secure;
    switch (status) {
    case DNS_OK: break;
    case DNS_NODATA:
    case DNS_NXDOMAIN: answer(out, DKIM_PERMERROR, "there is no key in the DNS"); return;
    case DNS_BOGUS: answer(out, DKIM_TEMPERROR, "the key's DNSSEC signatures do not hold"); return;
    case DNS_TEMP: answer(out, DKIM_TEMPERROR, "the key could not be looked up"); return;
    }
    /* RFC 6376 §3.6.2.2: several records are undefined; each that is a key is tried, since other TXT may stand at a
     * wildcard. The first record's trouble is told when none is. */
    for (size_t i = 0; i < n && i < DKIM_KEY_RECORDS && rc != RC_TEMP; i++) {
        rc = dkim_key_parse(texts[i], a, &out->keys[out->n], &why);
        if (rc == RC_OK)
            out->n++;
        else if (!out->reason)
            answer(out, DKIM_PERMERROR, why);
    }
    if (rc == RC_TEMP)
        answer(out, DKIM_TEMPERROR, "no memory for the key");
    else if (out->n > 0)
        answer(out, DKIM_PASS, "");
    else if (!out->reason)
        answer(out, DKIM_PERMERROR, "there is no key in the DNS");
}

void dkim_key_prefetch(struct dns *dns, struct view selector, struct view domain)
{
    struct buf name;
    buf_init(&name, DNS_NAME_MAX);
    buf_printf(&name, "%.*s._domainkey.%.*s", VIEW_FMT(selector), VIEW_FMT(domain));
    if (name.fail == RC_OK) /* else no name at all */
        dns_prefetch(dns, buf_view(&name), DNS_TXT);
    buf_clear(&name);
}

void dkim_key_write(enum pkey_kind kind, struct view public_key, struct buf *out)
{
    buf_str(out, kind == PKEY_RSA ? "v=DKIM1; k=rsa; p=" : "v=DKIM1; k=ed25519; p=");
    base64_encode(public_key, out);
}

void dkim_key_write_zone(enum pkey_kind kind, struct view public_key, struct buf *out)
{
    struct buf text;
    buf_init(&text, DKIM_KEY_RECORD_MAX);
    dkim_key_write(kind, public_key, &text);
    if (text.fail != RC_OK)
        out->fail = text.fail;
    for (struct view in = buf_view(&text); in.n > 0; view_skip(&in, TXT_STRING_MAX)) {
        buf_str(out, in.n < text.n ? " \"" : "\"");
        buf_add(out, view_slice(in, 0, TXT_STRING_MAX));
        buf_chr(out, '"');
    }
    buf_clear(&text);
}
