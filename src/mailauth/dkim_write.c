#include "mailauth/dkim_write.h"

#include "base/base64.h"

static void fold(struct dkim_writer *w)
{
    buf_str(&w->text, "\r\n");
    w->line = w->text.n;
    buf_chr(&w->text, '\t');
}

static bool fits(const struct dkim_writer *w, size_t n)
{
    return w->text.n - w->line + n < DKIM_WRITE_FOLD; /* and a separator */
}

static void start_tag(struct dkim_writer *w, const char *tag, size_t n)
{
    if (w->n_tags++ > 0)
        buf_chr(&w->text, ';');
    if (w->ends_line || !fits(w, 1 + strlen(tag) + 1 + n))
        fold(w);
    else
        buf_chr(&w->text, ' ');
    w->ends_line = false;
    buf_str(&w->text, tag);
    buf_chr(&w->text, '=');
}

void dkim_write_begin(struct dkim_writer *w, const char *name)
{
    *w = (struct dkim_writer){0};
    buf_init(&w->text, DKIM_SIGNATURE_MAX);
    buf_str(&w->text, name);
    buf_chr(&w->text, ':');
}

void dkim_write_tag(struct dkim_writer *w, const char *tag, struct view value)
{
    start_tag(w, tag, value.n);
    buf_line_part(&w->text, value);
}

void dkim_write_number(struct dkim_writer *w, const char *tag, int64_t n)
{
    struct buf digits;
    buf_init(&digits, 20);
    buf_u64(&digits, n > 0 ? (uint64_t)n : 0);
    dkim_write_tag(w, tag, buf_view(&digits));
    buf_clear(&digits);
}

void dkim_write_base64(struct dkim_writer *w, const char *tag, struct view bytes)
{
    struct buf text;
    buf_init(&text, DKIM_SIGNATURE_MAX);
    base64_encode(bytes, &text);
    dkim_write_tag(w, tag, buf_view(&text));
    if (text.fail != RC_OK)
        w->text.fail = text.fail;
    buf_clear(&text);
}

void dkim_write_names(struct dkim_writer *w, const struct view *names, size_t n)
{
    start_tag(w, "h", n > 0 ? names[0].n : 0);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_chr(&w->text, ':');
        if (!fits(w, names[i].n))
            fold(w);
        buf_line_part(&w->text, names[i]);
    }
}

void dkim_write_b(struct dkim_writer *w)
{
    w->ends_line = true;
    start_tag(w, "b", 0);
    w->b_at = w->text.n;
    w->b_line = w->line;
    w->ends_line = true;
}

void dkim_write_canonical(const struct dkim_writer *w, struct buf *out)
{
    struct view in = buf_view(&w->text);
    struct header_field own;
    if (header_next(&in, &own))
        dkim_field_write_signature(DKIM_RELAXED, &own, own.value.n, 0, out);
    if (w->text.fail != RC_OK)
        out->fail = w->text.fail;
}

enum rc dkim_write_digest(const struct dkim_writer *w, struct dkim_fields *f, const struct view *names, size_t n,
                          uint8_t out[SHA256_SIZE])
{
    struct buf text;

    buf_init(&text, DKIM_CANON_MAX);
    dkim_fields_start(f);
    for (size_t i = 0; i < n; i++) {
        size_t chosen = dkim_fields_choose(f, names[i], DKIM_NO_FIELD);
        if (chosen != DKIM_NO_FIELD)
            dkim_field_write(DKIM_RELAXED, &f->field[chosen], &text);
    }
    dkim_write_canonical(w, &text);
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = sha256(buf_view(&text), out);
    buf_clear(&text);
    return rc;
}

enum rc dkim_write_end(struct dkim_writer *w, struct view signature, struct buf *out)
{
    struct buf text;
    size_t column = w->b_at - w->b_line;

    buf_init(&text, DKIM_SIGNATURE_MAX);
    base64_encode(signature, &text);
    buf_add(out, view_slice(buf_view(&w->text), 0, w->b_at));
    for (struct view in = buf_view(&text); in.n > 0; column = 1) {
        struct view part = view_slice(in, 0, w->is_b_one_line ? in.n : DKIM_WRITE_FOLD - column);
        buf_add(out, part);
        view_skip(&in, part.n);
        if (in.n > 0)
            buf_str(out, "\r\n\t");
    }
    buf_add(out, view_from(buf_view(&w->text), w->b_at));
    buf_str(out, "\r\n");
    enum rc rc = w->text.fail != RC_OK ? w->text.fail : text.fail != RC_OK ? text.fail : buf_rc(out);
    buf_clear(&text);
    return rc;
}

void dkim_write_clear(struct dkim_writer *w)
{
    buf_clear(&w->text);
}

bool dkim_write_is_domain(struct view v)
{
    bool is_ok = v.n > 0 && v.n < DNS_NAME_MAX;
    for (size_t i = 0; i < v.n; i++)
        is_ok &= is_alnum((unsigned char)v.p[i]) || v.p[i] == '-' || v.p[i] == '_' || v.p[i] == '.';
    return is_ok && v.p[0] != '.' && v.p[v.n - 1] != '.' && view_find(v, VIEW("..")) == VIEW_NONE;
}

enum rc dkim_write_sign(dkim_sign_fn sign, void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm,
                        const uint8_t digest[SHA256_SIZE], struct buf *signature)
{
    enum rc rc = sign(ctx, domain, selector, algorithm, view_of(digest, SHA256_SIZE), signature);
    if (rc != RC_OK)
        return rc;
    size_t least = algorithm == DKIM_RSA_SHA256 ? DKIM_RSA_BITS_MIN / 8 : 64;
    return buf_rc(signature) == RC_OK && signature->n >= least ? RC_OK : RC_TEMP;
}
