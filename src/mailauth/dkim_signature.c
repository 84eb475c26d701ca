#include "mailauth/dkim_signature.h"

#include "crypto/pkey_cache.h"

#define TIME_MAX         999999999999 /* RFC 6376 §3.5: 12 digits */
#define LENGTH_DIGITS    76
#define QUERY_METHOD     "dns/txt"

struct dkim_keyring_entry {
    struct dkim_keyring_entry *next;
    struct view selector, domain;
    struct dkim_key_answer answer;
};

static enum rc bad(struct dkim_signature *s, const char *reason)
{
    dkim_signature_decide(s, DKIM_NEUTRAL, reason);
    return RC_SYNTAX;
}

/* RC_SYNTAX: decided; RC_TEMP: no memory. */
static enum rc read_algorithm(struct dkim_signature *s)
{
    static const enum dkim_algorithm known[] = {DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_RSA_SHA1};
    const struct dkim_tag *a = dkim_tags_find(&s->tags, "a");
    if (!a)
        return bad(s, "the signature has no a=");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (view_eq(a->value, view_str(dkim_algorithm_name(known[i]))))
            s->algorithm = known[i];
    if (s->algorithm == DKIM_UNKNOWN_ALGORITHM)
        return bad(s, "the signature's algorithm is unknown");
    return RC_OK;
}

static enum rc read_canon(struct dkim_signature *s)
{
    const struct dkim_tag *c = dkim_tags_find(&s->tags, "c");
    /* Departs from RFC 8617 §4.1.2, which takes DKIM's default: sealers and the public ARC suite mean relaxed/relaxed. */
    struct view body = s->kind == DKIM_ARC_MESSAGE ? VIEW("relaxed/relaxed") : VIEW("simple/simple"), header;
    if (c)
        body = c->value;
    bool has_body = view_split(&body, '/', &header);
    if (!view_eq(header, VIEW("relaxed")) && !view_eq(header, VIEW("simple")))
        return bad(s, "the signature's canonicalisation is unknown");
    if (has_body && !view_eq(body, VIEW("relaxed")) && !view_eq(body, VIEW("simple")))
        return bad(s, "the signature's canonicalisation is unknown");
    s->header_canon = view_eq(header, VIEW("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
    s->body_canon = has_body && view_eq(body, VIEW("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
    return RC_OK;
}

/* d= or s=; what is no domain name stays as written and is found by nobody. */
static enum rc read_name(struct dkim_signature *s, const char *tag, struct arena *a, struct view *out, const char *reason)
{
    const struct dkim_tag *t = dkim_tags_find(&s->tags, tag);
    if (!t || t->value.n == 0)
        return bad(s, reason);
    enum rc rc = dns_domain_ascii(t->value, a, out);
    if (rc == RC_TEMP)
        return rc;
    if (rc != RC_OK || view_starts(*out, VIEW("["))) {
        rc = dkim_squeeze(t->value, a, out);
        return rc == RC_OK ? bad(s, reason) : rc;
    }
    return RC_OK;
}

static enum rc read_base64(struct dkim_signature *s, const char *tag, struct arena *a, struct view *out, const char *reason)
{
    const struct dkim_tag *t = dkim_tags_find(&s->tags, tag);
    if (!t || t->value.n == 0)
        return bad(s, reason);
    enum rc rc = dkim_base64(t->value, a, out);
    return rc == RC_OK || rc == RC_TEMP ? rc : bad(s, reason);
}

static enum rc read_time(struct dkim_signature *s, const char *tag, int64_t *out, const char *reason)
{
    const struct dkim_tag *t = dkim_tags_find(&s->tags, tag);
    uint64_t n;
    if (!t)
        return RC_OK;
    if (!view_is_u64(t->value, TIME_MAX, &n))
        return bad(s, reason);
    *out = (int64_t)n;
    return RC_OK;
}

static enum rc read_length(struct dkim_signature *s)
{
    const struct dkim_tag *l = dkim_tags_find(&s->tags, "l");
    struct view digits;
    if (!l)
        return RC_OK;
    digits = l->value;
    view_take_while(&digits, is_digit);
    if (l->value.n == 0 || digits.n > 0 || l->value.n > LENGTH_DIGITS)
        return bad(s, "the signature's l= is no number");
    if (!view_is_u64(l->value, DKIM_WHOLE - 1, &s->length)) /* more than any body has */
        s->length = DKIM_WHOLE - 1;
    return RC_OK;
}

static enum rc read_header_list(struct dkim_signature *s)
{
    const struct dkim_tag *h = dkim_tags_find(&s->tags, "h");
    struct view names, name;
    bool more = true, has_from = false;
    if (s->kind == DKIM_ARC_SEAL) /* RFC 8617 §4.1.3 */
        return h ? bad(s, "the seal has h=") : RC_OK;
    if (!h)
        return bad(s, "the signature has no h=");
    names = s->h = h->value;
    while (dkim_list_next(&names, &more, &name)) {
        if (s->kind == DKIM_ARC_MESSAGE && view_ieq(name, VIEW("arc-seal"))) /* RFC 8617 §4.1.2 */
            return bad(s, "the signature covers seals");
        has_from |= view_ieq(name, VIEW("from"));
    }
    /* RFC 6376 §6.1.1. The public suite of ARC has a chain pass whose message signature names no field at all; who believes a sealer
     * looks whether From is covered (struct arc_set). */
    if (s->kind == DKIM_SIGNATURE && !has_from) {
        dkim_signature_decide(s, DKIM_PERMERROR, "From is not signed");
        return RC_SYNTAX;
    }
    return RC_OK;
}

static enum rc read_tags(struct dkim_signature *s, struct view value, struct arena *a)
{
    enum rc rc;
    if (value.n > DKIM_SIGNATURE_MAX)
        return bad(s, "the signature is too long");
    if (dkim_tags_parse(value, &s->tags) != RC_OK)
        return bad(s, "the signature is not a list of tags");
    const struct dkim_tag *v = dkim_tags_find(&s->tags, "v"), *q = dkim_tags_find(&s->tags, "q");
    /* The names first: they tell whose signature it is, whatever else is wrong. */
    if ((rc = read_name(s, "d", a, &s->domain, "the signature's d= is no domain")) != RC_OK ||
        (rc = read_name(s, "s", a, &s->selector, "the signature's s= is no selector")) != RC_OK)
        return rc;
    if (s->kind == DKIM_SIGNATURE && (!v || !view_eq(v->value, VIEW("1"))))
        return bad(s, v ? "the signature's version is unknown" : "the signature has no v=");
    if ((rc = read_algorithm(s)) != RC_OK || (rc = read_base64(s, "b", a, &s->b, "the signature's b= is not base64")) != RC_OK)
        return rc;
    s->b_at = dkim_tags_find(&s->tags, "b")->at;
    s->b_n = dkim_tags_find(&s->tags, "b")->n;
    if ((rc = read_time(s, "t", &s->signed_at_s, "the signature's t= is no time")) != RC_OK)
        return rc;
    if (s->kind != DKIM_ARC_SEAL) {
        if ((rc = read_base64(s, "bh", a, &s->bh, "the signature's bh= is not base64")) != RC_OK ||
            (rc = read_canon(s)) != RC_OK || (rc = read_length(s)) != RC_OK ||
            (rc = read_time(s, "x", &s->expires_s, "the signature's x= is no time")) != RC_OK)
            return rc;
        if (q && !dkim_list_has(q->value, QUERY_METHOD))
            return bad(s, "the signature's query method is unknown");
    }
    if ((rc = read_header_list(s)) != RC_OK)
        return rc;
    if (s->algorithm == DKIM_RSA_SHA1) /* RFC 8301 §3.1 */
        dkim_signature_decide(s, DKIM_FAIL, "rsa-sha1 is no longer accepted");
    else if (s->expires_s && s->expires_s <= s->signed_at_s)
        return bad(s, "the signature's x= is not after t=");
    return RC_OK;
}

static bool body_holds(struct dkim_signature *s, const struct dkim_body *body)
{
    uint8_t hash[SHA256_SIZE];
    if (!dkim_body_hash(body, s->slot, hash)) { /* RFC 6376 §3.5: l= MUST NOT be larger */
        dkim_signature_decide(s, DKIM_PERMERROR, "the body is shorter than l= says");
        return false;
    }
    bool holds = view_eq(view_of(hash, sizeof hash), s->bh);
    if (!holds)
        dkim_signature_decide(s, DKIM_FAIL, "the body is not what was signed");
    return holds;
}

static void check_signature(struct dkim_signature *s, const struct pkey *pkey, const uint8_t digest[SHA256_SIZE])
{
    switch (pkey_verify(pkey, view_of(digest, SHA256_SIZE), s->b)) {
    case RC_OK: dkim_signature_decide(s, DKIM_PASS, ""); break;
    case RC_TEMP: dkim_signature_decide(s, DKIM_TEMPERROR, "no memory to verify"); break;
    default: dkim_signature_decide(s, DKIM_FAIL, "the header is not what was signed, or the key is another");
    }
}

/* One key of those at the name. */
static void verify_with(struct dkim_signature *s, const struct dkim_key *key, const struct dkim_body *body,
                        const uint8_t digest[SHA256_SIZE])
{
    struct pkey *pkey = NULL;
    const bool is_rsa = s->algorithm == DKIM_RSA_SHA256;

    s->is_testing = key->is_testing;
    s->is_strict = key->is_strict;
    if (key->kind != (is_rsa ? PKEY_RSA : PKEY_ED25519)) {
        dkim_signature_decide(s, DKIM_PERMERROR, "the key is of another kind than the signature");
        return;
    }
    if (!key->allows_sha256 || !key->is_for_mail) {
        dkim_signature_decide(s, DKIM_PERMERROR, key->is_for_mail ? "the key does not allow sha256" : "the key is not for mail");
        return;
    }
    enum rc rc = pkey_cache_public(key->kind, key->bytes, &pkey);
    if (rc != RC_OK) {
        if (rc == RC_TEMP)
            dkim_signature_decide(s, DKIM_TEMPERROR, "no memory for the key");
        else
            dkim_signature_decide(s, DKIM_PERMERROR, rc == RC_LIMIT ? "the key is too large" : "the key's p= is no key of its kind");
        return;
    }
    s->bits = pkey_bits(pkey);
    if (is_rsa && s->bits < DKIM_RSA_BITS_MIN)
        dkim_signature_decide(s, DKIM_PERMERROR, "the key has less than 1024 bits");
    else if (is_rsa && s->bits > DKIM_RSA_BITS_MAX)
        dkim_signature_decide(s, DKIM_PERMERROR, "the key has more than 4096 bits");
    else if (s->kind == DKIM_ARC_SEAL || body_holds(s, body))
        check_signature(s, pkey, digest);
    pkey_free(pkey);
}

void dkim_signature_decide(struct dkim_signature *s, enum dkim_result result, const char *reason)
{
    s->result = result;
    s->reason = reason;
}

enum rc dkim_signature_read(enum dkim_signature_kind kind, const struct dkim_fields *f, size_t index, struct arena *a,
                            struct dkim_signature *out)
{
    *out = (struct dkim_signature){.kind = kind, .field = index, .reason = "", .length = DKIM_WHOLE};
    return read_tags(out, f->field[index].value, a) == RC_TEMP ? RC_TEMP : RC_OK;
}

enum rc dkim_signature_want(struct dkim_signature *s, struct dkim_body *body)
{
    enum rc rc = dkim_body_want(body, s->body_canon, s->length, &s->slot);
    if (rc == RC_LIMIT) {
        dkim_signature_decide(s, DKIM_NEUTRAL, "too many different l=");
        return RC_OK;
    }
    return rc;
}

enum rc dkim_signature_digest(const struct dkim_signature *s, struct dkim_fields *f, uint8_t out[SHA256_SIZE])
{
    struct view names = s->h, name;
    struct buf text;
    bool more = true;

    buf_init(&text, DKIM_CANON_MAX);
    dkim_fields_start(f);
    while (dkim_list_next(&names, &more, &name)) {
        size_t chosen = dkim_fields_choose(f, name, s->field);
        if (chosen != DKIM_NO_FIELD)
            dkim_field_write(s->header_canon, &f->field[chosen], &text);
    }
    dkim_field_write_signature(s->header_canon, &f->field[s->field], s->b_at, s->b_n, &text);
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = sha256(buf_view(&text), out);
    buf_clear(&text);
    return rc;
}

const struct dkim_key_answer *dkim_keyring_get(struct dkim_keyring *ring, struct view selector, struct view domain)
{
    struct dkim_keyring_entry *e;
    for (e = ring->first; e; e = e->next)
        if (view_eq(e->selector, selector) && view_eq(e->domain, domain))
            return &e->answer;
    if (!(e = arena_new(ring->arena, struct dkim_keyring_entry)))
        return NULL;
    e->selector = selector;
    e->domain = domain;
    dkim_key_fetch(ring->dns, selector, domain, ring->deadline_ms, ring->arena, &e->answer);
    e->next = ring->first;
    ring->first = e;
    return &e->answer;
}

void dkim_signature_verify(struct dkim_signature *s, struct dkim_keyring *ring, const struct dkim_body *body,
                           const uint8_t digest[SHA256_SIZE])
{
    const struct dkim_key_answer *answer = dkim_keyring_get(ring, s->selector, s->domain);
    if (!answer) {
        dkim_signature_decide(s, DKIM_TEMPERROR, "no memory for the key");
        return;
    }
    s->key_secure = answer->secure;
    if (answer->result != DKIM_PASS)
        dkim_signature_decide(s, answer->result, answer->reason);
    for (size_t i = 0; i < answer->n && s->result != DKIM_PASS; i++)
        verify_with(s, &answer->keys[i], body, digest);
}
