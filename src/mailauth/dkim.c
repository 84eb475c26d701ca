#include "mailauth/dkim.h"

#include "mailauth/dkim_signature.h"

#define SIGNATURE_TEXT_MAX 8 /* characters of b= that a verdict carries */

struct dkim {
    struct dkim_fields fields;
    const struct dkim_body *body;
    struct dkim_signature *signatures[DKIM_SIGNATURES_MAX]; /* the first n */
    size_t n, n_skipped;
};

/* dkim-quoted-printable (RFC 6376 §2.11); white space goes, what is not hexadecimal stays. RC_TEMP: the arena is full. */
static enum rc decode_quoted(struct view text, struct arena *a, struct view *out)
{
    static const char digits[] = "0123456789ABCDEF";
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;
    if (!p)
        return RC_TEMP;
    while (text.n > 0) {
        char c = (char)view_next(&text);
        size_t high = VIEW_NONE, low = VIEW_NONE;
        if (c == '=' && text.n >= 2) {
            high = view_chr(view_of(digits, 16), text.p[0]);
            low = view_chr(view_of(digits, 16), text.p[1]);
        }
        if (high != VIEW_NONE && low != VIEW_NONE) {
            c = (char)(high << 4 | low);
            view_skip(&text, 2);
        } else if (dkim_is_space((unsigned char)c)) {
            continue;
        }
        p[n++] = c >= 0 && (c < 0x20 || c == 0x7f) ? '?' : c;
    }
    *out = view_of(p, n);
    return RC_OK;
}

/* i=: as written, decoded, or "@" and d=. */
static enum rc read_identity(const struct dkim_signature *s, struct arena *a, struct view *out)
{
    const struct dkim_tag *i = dkim_tags_find(&s->tags, "i");
    if (i)
        return decode_quoted(i->value, a, out);
    char *text = arena_printf(a, "@%.*s", VIEW_FMT(s->domain));
    *out = view_str(text);
    return text ? RC_OK : RC_TEMP;
}

/* RFC 6376 §3.5: i= is in d= or below; with t=s in the key it is in d= itself. */
static bool identity_is_in(struct view identity, struct view domain, bool strict, struct arena *a)
{
    struct view host;
    size_t at = view_rchr(identity, '@');
    if (at == VIEW_NONE || dns_domain_ascii(view_from(identity, at + 1), a, &host) != RC_OK)
        return false;
    if (view_eq(host, domain))
        return true;
    size_t below = host.n > domain.n ? host.n - domain.n - 1 : 0;
    return !strict && view_ends(host, domain) && host.n > domain.n + 1 && host.p[below] == '.';
}

static enum rc judge(struct dkim *d, struct dkim_signature *s, struct dkim_keyring *ring, int64_t now_s, struct arena *a,
                     struct view identity)
{
    uint8_t digest[SHA256_SIZE];

    if (!identity_is_in(identity, s->domain, false, a)) {
        dkim_signature_decide(s, DKIM_PERMERROR, "i= is not in the domain of d=");
        return RC_OK;
    }
    if (s->expires_s && now_s > s->expires_s) {
        dkim_signature_decide(s, DKIM_PERMERROR, "the signature has expired");
        return RC_OK;
    }
    enum rc rc = dkim_signature_digest(s, &d->fields, digest);
    if (rc == RC_LIMIT)
        dkim_signature_decide(s, DKIM_NEUTRAL, "the header is too large");
    if (rc != RC_OK)
        return rc == RC_TEMP ? rc : RC_OK;
    dkim_signature_verify(s, ring, d->body, digest);
    if (s->result == DKIM_PASS && s->is_strict && !identity_is_in(identity, s->domain, true, a))
        dkim_signature_decide(s, DKIM_PERMERROR, "i= is below d=, which the key forbids");
    return RC_OK;
}

/* Views in a verdict outlive the header and have no line ends. */
static enum rc keep(const struct dkim_signature *s, struct view identity, struct arena *a, struct dkim_verdict *v)
{
    const struct dkim_tag *b = dkim_tags_find(&s->tags, "b");
    *v = (struct dkim_verdict){
        .result = s->result,
        .reason = s->reason,
        .identity = identity,
        .algorithm = s->algorithm,
        .header_canon = s->header_canon,
        .body_canon = s->body_canon,
        .bits = s->bits,
        .signed_at_s = s->signed_at_s,
        .expires_s = s->expires_s,
        .is_partial = s->length != DKIM_WHOLE,
        .length = s->length != DKIM_WHOLE ? s->length : 0,
        .is_testing = s->is_testing,
        .is_strict = s->is_strict,
        .key_secure = s->key_secure,
    };
    if (b && dkim_squeeze(b->value, a, &v->signature) != RC_OK)
        return RC_TEMP;
    v->signature = view_slice(v->signature, 0, SIGNATURE_TEXT_MAX);
    if (view_dup(a, s->domain, &v->domain) != RC_OK || view_dup(a, s->selector, &v->selector) != RC_OK)
        return RC_TEMP;
    return RC_OK;
}

const char *dkim_result_name(enum dkim_result result)
{
    static const char *const names[] = {"none", "pass", "fail", "neutral", "temperror", "permerror"};
    return names[result];
}

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
    static const char *const names[] = {"unknown", "rsa-sha1", "rsa-sha256", "ed25519-sha256"};
    return names[algorithm];
}

enum rc dkim_new(struct view header, struct arena *a, struct dkim_body *body, struct dkim **out)
{
    struct dkim *d = arena_new(a, struct dkim);

    *out = NULL;
    if (!d)
        return RC_TEMP;
    d->body = body;
    enum rc rc = dkim_fields_new(header, a, &d->fields);
    if (rc == RC_LIMIT) { /* nobody can say what was signed */
        struct header_field field;
        for (struct view in = header; header_next(&in, &field);)
            d->n_skipped += view_ieq(field.name, VIEW("DKIM-Signature"));
        *out = d;
        return RC_OK;
    }
    for (size_t i = 0; rc == RC_OK && i < d->fields.n; i++) {
        if (!view_ieq(d->fields.field[i].name, VIEW("DKIM-Signature")))
            continue;
        if (d->n == DKIM_SIGNATURES_MAX) {
            d->n_skipped++;
            continue;
        }
        struct dkim_signature *s = d->signatures[d->n++] = arena_new(a, struct dkim_signature);
        if (!s)
            return RC_TEMP;
        rc = dkim_signature_read(DKIM_SIGNATURE, &d->fields, i, a, s);
        if (rc == RC_OK && s->result == DKIM_NONE)
            rc = dkim_signature_want(s, body);
    }
    if (rc == RC_OK)
        *out = d;
    return rc;
}

void dkim_prefetch(const struct dkim *d, struct dns *dns)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->signatures[i]->result == DKIM_NONE)
            dkim_key_prefetch(dns, d->signatures[i]->selector, d->signatures[i]->domain);
}

enum rc dkim_finish(struct dkim *d, struct dns *dns, int64_t now_s, int64_t deadline_ms, struct arena *a,
                    struct dkim_list *out)
{
    struct dkim_keyring ring = {.dns = dns, .deadline_ms = deadline_ms, .arena = a};

    *out = (struct dkim_list){0};
    struct dkim_verdict *verdicts = arena_new_array(a, d->n, struct dkim_verdict);
    if (!verdicts)
        return RC_TEMP;
    for (size_t i = 0; i < d->n; i++) {
        struct dkim_signature *s = d->signatures[i];
        struct view identity;
        if (read_identity(s, a, &identity) != RC_OK)
            return RC_TEMP;
        if (s->result == DKIM_NONE && judge(d, s, &ring, now_s, a, identity) != RC_OK)
            return RC_TEMP;
        if (keep(s, identity, a, &verdicts[i]) != RC_OK)
            return RC_TEMP;
        verdicts[i].is_expired = s->expires_s && now_s > s->expires_s;
    }
    *out = (struct dkim_list){verdicts, d->n, d->n_skipped};
    return RC_OK;
}

enum rc dkim_verify_message(struct view message, struct dns *dns, int64_t now_s, int64_t deadline_ms, struct arena *a,
                            struct dkim_list *out)
{
    struct dkim_body *body = dkim_body_new();
    struct dkim *d;

    *out = (struct dkim_list){0};
    enum rc rc = body ? dkim_new(header_of(message), a, body, &d) : RC_TEMP;
    if (rc == RC_OK) {
        dkim_body_add(body, header_body(message));
        rc = dkim_body_end(body);
    }
    if (rc == RC_OK)
        rc = dkim_finish(d, dns, now_s, deadline_ms, a, out);
    dkim_body_free(body);
    return rc;
}
