#include "mailauth/dkim_tags.h"

#include "base/base64.h"

static bool is_name_byte(unsigned char c)
{
    return is_alnum(c) || c == '_';
}

/* tval and FWS; UTF-8 by RFC 8616 §3. A semicolon cannot be here. */
static bool is_value(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if ((c < 0x21 && !dkim_is_space(c)) || c == 0x7f)
            return false;
    }
    return true;
}

static enum rc parse_tag(struct view spec, size_t at, struct dkim_tags *out)
{
    struct view in = spec;
    view_take_while(&in, dkim_is_space);
    struct view name = view_take_while(&in, is_name_byte);
    view_take_while(&in, dkim_is_space);
    if (name.n == 0 || !is_alpha((unsigned char)name.p[0]) || !view_take_chr(&in, '=') || !is_value(in))
        return RC_SYNTAX;
    for (size_t i = 0; i < out->n; i++)
        if (view_eq(out->tag[i].name, name))
            return RC_SYNTAX; /* RFC 6376 §3.2: the whole list is invalid */
    if (out->n == DKIM_TAGS_MAX)
        return RC_LIMIT;
    out->tag[out->n++] = (struct dkim_tag){name, view_trim(in), at + spec.n - in.n, in.n};
    return RC_OK;
}

bool dkim_is_space(unsigned char c)
{
    return is_wsp(c) || c == '\r' || c == '\n';
}

enum rc dkim_tags_parse(struct view text, struct dkim_tags *out)
{
    struct view in = text, spec;
    enum rc rc;
    out->n = 0;
    do {
        size_t at = text.n - in.n;
        bool is_ended = view_split(&in, ';', &spec);
        if (!is_ended && out->n > 0 && view_trim(spec).n == 0)
            return RC_OK; /* the last tag had its semicolon */
        if ((rc = parse_tag(spec, at, out)) != RC_OK)
            return rc;
        if (!is_ended)
            return RC_OK;
    } while (true);
}

const struct dkim_tag *dkim_tags_find(const struct dkim_tags *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (view_eq(t->tag[i].name, view_str(name)))
            return &t->tag[i];
    return NULL;
}

bool dkim_list_next(struct view *in, bool *more, struct view *item)
{
    if (!*more)
        return false;
    *more = view_split(in, ':', item);
    *item = view_trim(*item);
    return true;
}

bool dkim_list_has(struct view list, const char *item)
{
    struct view found;
    bool more = true;
    while (dkim_list_next(&list, &more, &found))
        if (view_eq(found, view_str(item)))
            return true;
    return false;
}

enum rc dkim_squeeze(struct view text, struct arena *a, struct view *out)
{
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;
    if (!p)
        return RC_TEMP;
    for (size_t i = 0; i < text.n; i++)
        if (!dkim_is_space((unsigned char)text.p[i]))
            p[n++] = text.p[i];
    *out = view_of(p, n);
    return RC_OK;
}

enum rc dkim_base64(struct view text, struct arena *a, struct view *out)
{
    struct view packed;
    struct buf padded, bytes;
    enum rc rc = dkim_squeeze(text, a, &packed);
    if (rc != RC_OK)
        return rc;
    buf_init(&padded, packed.n + 3);
    buf_init(&bytes, packed.n + 3);
    buf_add(&padded, packed);
    while (padded.n % 4 != 0 && padded.fail == RC_OK)
        buf_chr(&padded, '=');
    rc = buf_rc(&padded);
    if (rc == RC_OK)
        rc = base64_decode(buf_view(&padded), &bytes);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&bytes), out);
    buf_clear(&padded);
    buf_clear(&bytes);
    return rc;
}
