#include "mailauth/arc_set.h"
#include "mailauth/dkim_write.h"

#define SIGNATURE_BYTES_MAX (DKIM_RSA_BITS_MAX / 8)

struct sealing {
    const struct arc_seal_settings *set;
    unsigned instance;
    enum arc_result cv;
    dkim_sign_fn sign;
    void *sign_ctx;
};

/* "i=1; lists.example.org; spf=pass ..." on lines of our own. */
static enum rc write_results(const struct sealing *s, struct view results, struct buf *out)
{
    struct buf value, line;
    buf_init(&line, DKIM_SIGNATURE_MAX);
    buf_init(&value, DKIM_SIGNATURE_MAX);
    header_unfold(results, &line);
    buf_printf(&value, "i=%u; ", s->instance);
    buf_line_part(&value, s->set->authserv_id);
    buf_str(&value, "; ");
    buf_line_part(&value, line.n > 0 ? buf_view(&line) : VIEW("none"));
    if (line.fail != RC_OK)
        value.fail = line.fail;
    if (value.fail == RC_OK)
        header_write(out, VIEW("ARC-Authentication-Results"), buf_view(&value));
    enum rc rc = value.fail != RC_OK ? value.fail : buf_rc(out);
    buf_clear(&value);
    buf_clear(&line);
    return rc;
}

static enum rc sign_and_end(const struct sealing *s, struct dkim_writer *w, const uint8_t digest[SHA256_SIZE], struct buf *out)
{
    struct buf signature;
    buf_init(&signature, SIGNATURE_BYTES_MAX);
    enum rc rc = dkim_write_sign(s->sign, s->sign_ctx, s->set->domain, s->set->selector, s->set->algorithm, digest, &signature);
    if (rc == RC_OK)
        rc = dkim_write_end(w, buf_view(&signature), out);
    buf_clear(&signature);
    return rc;
}

/* Tags in the order of the alphabet, as all sealers write them. */
static enum rc write_message_signature(const struct sealing *s, struct dkim_fields *f, const uint8_t body_hash[SHA256_SIZE],
                                       struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    struct dkim_names names;
    struct dkim_writer w;

    if (s->set->headers)
        dkim_names_given(s->set->headers, s->set->n_headers, &names);
    else
        dkim_names_choose(f, true, &names);
    dkim_write_begin(&w, "ARC-Message-Signature");
    w.is_b_one_line = true;
    dkim_write_tag(&w, "a", view_str(dkim_algorithm_name(s->set->algorithm)));
    dkim_write_b(&w);
    dkim_write_base64(&w, "bh", view_of(body_hash, SHA256_SIZE));
    dkim_write_tag(&w, "c", VIEW("relaxed/relaxed"));
    dkim_write_tag(&w, "d", s->set->domain);
    dkim_write_names(&w, names.name, names.n);
    dkim_write_number(&w, "i", s->instance);
    dkim_write_tag(&w, "s", s->set->selector);
    dkim_write_number(&w, "t", s->set->now_s);
    enum rc rc = dkim_write_digest(&w, f, names.name, names.n, digest);
    if (rc == RC_OK)
        rc = sign_and_end(s, &w, digest, out);
    dkim_write_clear(&w);
    return rc;
}

static void add_written(struct view field_text, struct buf *out)
{
    struct header_field field;
    if (header_next(&field_text, &field))
        dkim_field_write(DKIM_RELAXED, &field, out);
}

/* RFC 8617 §5.1.1: all sets, oldest first; after a failure only ours (§5.1.2). */
static enum rc write_seal(const struct sealing *s, const struct dkim_fields *f, const struct arc_chain *chain,
                          struct view own_results, struct view own_message, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    struct dkim_writer w;
    struct buf text;

    buf_init(&text, DKIM_CANON_MAX);
    for (unsigned i = 0; s->cv == ARC_PASS && i < chain->n; i++) {
        dkim_field_write(DKIM_RELAXED, &f->field[chain->sets[i].results], &text);
        dkim_field_write(DKIM_RELAXED, &f->field[chain->sets[i].message], &text);
        dkim_field_write(DKIM_RELAXED, &f->field[chain->sets[i].seal], &text);
    }
    add_written(own_results, &text);
    add_written(own_message, &text);
    dkim_write_begin(&w, "ARC-Seal");
    dkim_write_tag(&w, "a", view_str(dkim_algorithm_name(s->set->algorithm)));
    dkim_write_b(&w);
    dkim_write_tag(&w, "cv", view_str(arc_result_name(s->cv)));
    dkim_write_tag(&w, "d", s->set->domain);
    dkim_write_number(&w, "i", s->instance);
    dkim_write_tag(&w, "s", s->set->selector);
    dkim_write_number(&w, "t", s->set->now_s);
    dkim_write_canonical(&w, &text);
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = sha256(buf_view(&text), digest);
    if (rc == RC_OK)
        rc = sign_and_end(s, &w, digest, out);
    dkim_write_clear(&w);
    buf_clear(&text);
    return rc;
}

static bool can_be_written(const struct arc_seal_settings *set)
{
    return (set->algorithm == DKIM_RSA_SHA256 || set->algorithm == DKIM_ED25519_SHA256) &&
           dkim_write_is_domain(set->domain) && dkim_write_is_domain(set->selector) && dkim_write_is_domain(set->authserv_id);
}

enum rc arc_seal(const struct arc_seal_settings *set, struct view header, const struct dkim_body *body, size_t slot,
                 struct view results, const struct arc_verdict *found, dkim_sign_fn sign, void *sign_ctx, struct buf *out)
{
    struct sealing s = {.set = set, .instance = found->last_instance + 1, .cv = found->result, .sign = sign, .sign_ctx = sign_ctx};
    uint8_t body_hash[SHA256_SIZE];
    struct buf own_results, own_message, own_seal;
    struct dkim_fields f;
    struct arc_chain chain;
    struct arena a;

    if (found->last_failed)
        return RC_DENIED;
    if (s.instance > ARC_SETS_MAX)
        return RC_LIMIT;
    if (!can_be_written(set))
        return RC_SYNTAX;
    arena_init(&a, 4 * HEADER_MAX);
    buf_init(&own_results, 2 * DKIM_SIGNATURE_MAX);
    buf_init(&own_message, 2 * DKIM_SIGNATURE_MAX);
    buf_init(&own_seal, 2 * DKIM_SIGNATURE_MAX);
    enum rc rc = dkim_fields_new(header, &a, &f);
    if (rc == RC_OK)
        rc = arc_chain_read(&f, &a, &chain);
    /* A pass must be of this header: every set is there. */
    for (unsigned i = 0; rc == RC_OK && s.cv == ARC_PASS && i < chain.n; i++)
        if (chain.n != found->last_instance || chain.sets[i].results == DKIM_NO_FIELD ||
            chain.sets[i].message == DKIM_NO_FIELD || chain.sets[i].seal == DKIM_NO_FIELD)
            rc = RC_SYNTAX;
    if (rc == RC_OK && !dkim_body_hash(body, slot, body_hash))
        rc = RC_TEMP;
    if (rc == RC_OK)
        rc = write_results(&s, results, &own_results);
    if (rc == RC_OK)
        rc = write_message_signature(&s, &f, body_hash, &own_message);
    if (rc == RC_OK)
        rc = write_seal(&s, &f, &chain, buf_view(&own_results), buf_view(&own_message), &own_seal);
    if (rc == RC_OK) {
        const size_t before = out->n;
        buf_add(out, buf_view(&own_seal));
        buf_add(out, buf_view(&own_message));
        buf_add(out, buf_view(&own_results));
        rc = buf_rc(out);
        if (rc != RC_OK)
            out->n = before;
    }
    buf_clear(&own_results);
    buf_clear(&own_message);
    buf_clear(&own_seal);
    arena_clear(&a);
    return rc;
}
