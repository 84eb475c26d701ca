#include "mailauth/arc.h"

#include "mailauth/arc_set.h"

/* Everything that is wrong with the structure, found before the body comes. */
struct arc {
    struct dkim_fields fields;
    const struct dkim_body *body;
    struct arc_chain chain;
    struct dkim_signature *messages, *seals; /* [0] is instance 1; of a chain that is complete */
    bool is_too_large;
};

static void fail(struct arc_verdict *v, unsigned instance, const char *reason)
{
    v->result = ARC_FAIL;
    v->failed_at = instance;
    v->reason = reason;
}

/* RFC 8617 §5.2 step 3: what is wrong with the sets, or NULL. */
static const char *structure_fault(const struct arc_chain *chain, unsigned *at)
{
    *at = 0;
    if (chain->is_broken)
        return "an ARC field has no instance of its own between 1 and 50";
    for (unsigned i = 1; i <= chain->n; i++) {
        const struct arc_fields *set = &chain->sets[i - 1];
        *at = i;
        if (set->results == DKIM_NO_FIELD || set->message == DKIM_NO_FIELD || set->seal == DKIM_NO_FIELD)
            return "an ARC set is not complete";
    }
    for (unsigned i = 1; i <= chain->n; i++) {
        *at = i;
        if (chain->sets[i - 1].cv != (i == 1 ? ARC_NONE : ARC_PASS) || !chain->sets[i - 1].has_cv)
            return "a seal's cv= is not what its place asks for";
    }
    return NULL;
}

/* SHA-256 states before and after each set (RFC 8617 §5.1.1), so that each field is hashed once. */
static enum rc seal_digest(struct digest *running, const struct dkim_fields *f, const struct arc_fields *set,
                           const struct dkim_signature *seal, uint8_t out[SHA256_SIZE])
{
    struct digest *copy = NULL;
    struct buf text;
    enum rc rc = RC_TEMP;

    buf_init(&text, DKIM_CANON_MAX);
    dkim_field_write(DKIM_RELAXED, &f->field[set->results], &text);
    dkim_field_write(DKIM_RELAXED, &f->field[set->message], &text);
    digest_add(running, buf_view(&text));
    if (text.fail != RC_OK || !(copy = digest_copy(running)))
        goto done;
    buf_reset(&text);
    dkim_field_write_signature(DKIM_RELAXED, &f->field[set->seal], seal->b_at, seal->b_n, &text);
    digest_add(copy, buf_view(&text));
    if (text.fail != RC_OK || digest_end(copy, out) != RC_OK)
        goto done;
    buf_reset(&text);
    dkim_field_write(DKIM_RELAXED, &f->field[set->seal], &text);
    digest_add(running, buf_view(&text));
    rc = text.fail == RC_OK ? RC_OK : RC_TEMP;
done:
    digest_free(copy);
    buf_clear(&text);
    return rc;
}

static enum rc verify_message(struct arc *c, struct dkim_signature *s, struct dkim_keyring *ring)
{
    uint8_t digest[SHA256_SIZE];
    if (s->result != DKIM_NONE)
        return RC_OK;
    enum rc rc = dkim_signature_digest(s, &c->fields, digest);
    if (rc == RC_OK)
        dkim_signature_verify(s, ring, c->body, digest);
    else if (rc == RC_LIMIT)
        dkim_signature_decide(s, DKIM_NEUTRAL, "the header is too large");
    return rc == RC_TEMP ? rc : RC_OK;
}

/* Steps 4 and 6. Seals are judged from the newest down; their digests are made from the oldest up. */
static enum rc verify_chain(struct arc *c, struct dkim_keyring *ring, struct arena *a, struct arc_verdict *out)
{
    const unsigned n = c->chain.n;
    uint8_t(*digests)[SHA256_SIZE] = arena_array(a, n, SHA256_SIZE);
    struct digest *running = digest_new(DIGEST_SHA256);
    enum rc rc = digests && running ? RC_OK : RC_TEMP;

    if (rc == RC_OK)
        rc = verify_message(c, &c->messages[n - 1], ring);
    if (rc == RC_OK && c->messages[n - 1].result != DKIM_PASS) {
        out->is_temporary = c->messages[n - 1].result == DKIM_TEMPERROR;
        fail(out, n, c->messages[n - 1].reason);
        goto done;
    }
    for (unsigned i = 0; rc == RC_OK && i < n; i++)
        rc = seal_digest(running, &c->fields, &c->chain.sets[i], &c->seals[i], digests[i]);
    for (unsigned i = n; rc == RC_OK && i > 0; i--) {
        struct dkim_signature *seal = &c->seals[i - 1];
        if (seal->result == DKIM_NONE)
            dkim_signature_verify(seal, ring, c->body, digests[i - 1]);
        if (seal->result == DKIM_PASS)
            continue;
        out->is_temporary = seal->result == DKIM_TEMPERROR;
        fail(out, i, seal->reason);
        goto done;
    }
    if (rc == RC_OK)
        out->result = ARC_PASS;
done:
    digest_free(running);
    return rc;
}

/* Step 5: the lowest instance from which on all message signatures hold. */
static enum rc find_oldest_pass(struct arc *c, struct dkim_keyring *ring, struct arc_verdict *out)
{
    for (unsigned i = c->chain.n; i > 0; i--) {
        struct dkim_signature *s = &c->messages[i - 1];
        enum rc rc = verify_message(c, s, ring);
        if (rc != RC_OK)
            return rc;
        if (s->result != DKIM_PASS) {
            out->oldest_pass = i + 1;
            return RC_OK;
        }
        out->is_partial |= i == c->chain.n && s->length != DKIM_WHOLE;
    }
    return RC_OK;
}

static bool covers(const struct dkim_signature *s, struct view name)
{
    struct view names = s->h, one;
    bool more = true;
    while (dkim_list_next(&names, &more, &one))
        if (view_ieq(one, name))
            return true;
    return false;
}

static enum rc tell_sets(const struct arc *c, struct arena *a, struct arc_verdict *out)
{
    out->sets = arena_new_array(a, c->chain.n, struct arc_set);
    if (!out->sets)
        return RC_TEMP;
    for (unsigned i = 0; i < c->chain.n; i++) {
        struct arc_set *set = &out->sets[i];
        *set = (struct arc_set){
            .instance = i + 1,
            .seal_domain = c->seals[i].domain,
            .seal_selector = c->seals[i].selector,
            .message_domain = c->messages[i].domain,
            .message_selector = c->messages[i].selector,
            .results = c->chain.sets[i].payload,
            .cv = c->chain.sets[i].cv,
            .is_partial = c->messages[i].length != DKIM_WHOLE,
            .signs_from = covers(&c->messages[i], VIEW("from")),
        };
    }
    out->n_sets = c->chain.n;
    return RC_OK;
}

const char *arc_result_name(enum arc_result result)
{
    static const char *const names[] = {"none", "pass", "fail"};
    return names[result];
}

enum rc arc_new(struct view header, struct arena *a, struct dkim_body *body, struct arc **out)
{
    struct arc *c = arena_new(a, struct arc);
    unsigned at;

    *out = NULL;
    if (!c)
        return RC_TEMP;
    c->body = body;
    enum rc rc = dkim_fields_new(header, a, &c->fields);
    if (rc == RC_LIMIT) {
        c->is_too_large = true;
        *out = c;
        return RC_OK;
    }
    if (rc == RC_OK)
        rc = arc_chain_read(&c->fields, a, &c->chain);
    const unsigned n = c->chain.n;
    if (rc == RC_OK && n > 0 && !structure_fault(&c->chain, &at)) {
        c->messages = arena_new_array(a, n, struct dkim_signature);
        c->seals = arena_new_array(a, n, struct dkim_signature);
        if (!c->messages || !c->seals)
            return RC_TEMP;
        for (unsigned i = 0; rc == RC_OK && i < n; i++) {
            rc = dkim_signature_read(DKIM_ARC_MESSAGE, &c->fields, c->chain.sets[i].message, a, &c->messages[i]);
            if (rc == RC_OK)
                rc = dkim_signature_read(DKIM_ARC_SEAL, &c->fields, c->chain.sets[i].seal, a, &c->seals[i]);
            if (rc == RC_OK && c->messages[i].result == DKIM_NONE)
                rc = dkim_signature_want(&c->messages[i], body);
        }
    }
    if (rc == RC_OK)
        *out = c;
    return rc;
}

/* Each key once: a set's two signatures mostly share one, and one forwarder may have sealed often. */
void arc_prefetch(const struct arc *c, struct dns *dns)
{
    const struct dkim_signature *asked[ARC_PREFETCH_MAX];
    size_t n = 0;
    for (size_t i = c->messages ? 2 * (size_t)c->chain.n : 0; i > 0 && n < ARC_PREFETCH_MAX; i--) {
        const struct dkim_signature *s = i % 2 == 0 ? &c->seals[i / 2 - 1] : &c->messages[i / 2];
        bool skip = s->result != DKIM_NONE;
        for (size_t k = 0; k < n && !skip; k++)
            skip = view_eq(asked[k]->selector, s->selector) && view_eq(asked[k]->domain, s->domain);
        if (skip)
            continue;
        asked[n++] = s;
        dkim_key_prefetch(dns, s->selector, s->domain);
    }
}

enum rc arc_finish(struct arc *c, struct dns *dns, int64_t deadline_ms, struct arena *a, struct arc_verdict *out)
{
    struct dkim_keyring ring = {.dns = dns, .deadline_ms = deadline_ms, .arena = a};
    const char *fault;
    unsigned at;

    *out = (struct arc_verdict){.reason = "", .last_instance = c->chain.n, .last_failed = c->chain.last_failed};
    if (c->is_too_large) {
        fail(out, 0, "the header is too large");
        return RC_OK;
    }
    if (c->chain.n == 0 && !c->chain.is_broken)
        return RC_OK;
    if (c->chain.last_failed) { /* RFC 8617 §5.2 step 2 */
        fail(out, c->chain.n, "the newest seal says that the chain had failed");
        return RC_OK;
    }
    if ((fault = structure_fault(&c->chain, &at))) {
        fail(out, at, fault);
        return RC_OK;
    }
    enum rc rc = verify_chain(c, &ring, a, out);
    if (rc == RC_OK && out->result == ARC_PASS)
        rc = find_oldest_pass(c, &ring, out);
    if (rc == RC_OK && out->result == ARC_PASS)
        rc = tell_sets(c, a, out);
    return rc;
}

enum rc arc_verify_message(struct view message, struct dns *dns, int64_t deadline_ms, struct arena *a,
                           struct arc_verdict *out)
{
    struct dkim_body *body = dkim_body_new();
    struct arc *c;

    *out = (struct arc_verdict){.reason = ""};
    enum rc rc = body ? arc_new(header_of(message), a, body, &c) : RC_TEMP;
    if (rc == RC_OK) {
        dkim_body_add(body, header_body(message));
        rc = dkim_body_end(body);
    }
    if (rc == RC_OK)
        rc = arc_finish(c, dns, deadline_ms, a, out);
    dkim_body_free(body);
    return rc;
}
