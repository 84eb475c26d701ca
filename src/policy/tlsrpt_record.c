#include "policy/tlsrpt_record.h"

#define FIELD_NAME_MAX 32

static bool is_name_rest(unsigned char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '.';
}

/* %x21-3A / %x3C / %x3E-7E */
static bool is_value_chr(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != ';' && c != '=';
}

/* RFC 3986 §2, without what RFC 8460 §3 wants encoded: comma, exclamation point, semicolon. */
static bool is_uri_chr(unsigned char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-._~:/?#[]@$&'()*+=%", c));
}

static bool is_scheme_chr(unsigned char c)
{
    return is_alnum(c) || c == '+' || c == '-' || c == '.';
}

static bool is_hex(int c)
{
    return c >= 0 && (is_digit((unsigned char)c) || (to_lower((unsigned char)c) >= 'a' && to_lower((unsigned char)c) <= 'f'));
}

/* A scheme, something after it, and two digits after each percent sign. */
static bool is_uri(struct view uri)
{
    if (uri.n == 0 || uri.n > TLSRPT_URI_MAX || !is_alpha((unsigned char)uri.p[0]))
        return false;
    view_take_while(&uri, is_scheme_chr);
    if (!view_take_chr(&uri, ':') || uri.n == 0)
        return false;
    while (uri.n > 0)
        if (view_next(&uri) == '%' && (!is_hex(view_next(&uri)) || !is_hex(view_next(&uri))))
            return false;
    return true;
}

static enum rc read_uris(struct view *in, struct tlsrpt_record *out)
{
    struct view after;
    do {
        view_take_wsp(in);
        struct view uri = view_take_while(in, is_uri_chr);
        if (!is_uri(uri))
            return RC_SYNTAX;
        if (out->n < TLSRPT_URIS_MAX)
            out->uris[out->n++] = uri;
        after = *in;
        view_take_wsp(&after);
        if (view_peek(after) == ',')
            *in = after;
    } while (view_take_chr(in, ','));
    return RC_OK;
}

/* "name=value" at the cursor. */
static enum rc read_field(struct view *in, struct tlsrpt_record *out)
{
    struct view name = view_take_while(in, is_name_rest);
    if (name.n == 0 || name.n > FIELD_NAME_MAX || !is_alnum((unsigned char)name.p[0]) || !view_take_chr(in, '='))
        return RC_SYNTAX;
    if (view_eq(name, VIEW("rua")))
        return read_uris(in, out);
    return view_take_while(in, is_value_chr).n > 0 ? RC_OK : RC_SYNTAX;
}

bool tlsrpt_is_record(struct view txt)
{
    if (!view_take(&txt, VIEW("v=TLSRPTv1")))
        return false;
    view_take_wsp(&txt); /* the grammar allows it before ";" */
    return view_peek(txt) == ';';
}

enum rc tlsrpt_record_parse(struct view txt, struct tlsrpt_record *out)
{
    *out = (struct tlsrpt_record){0};
    if (!tlsrpt_is_record(txt) || !view_take(&txt, VIEW("v=TLSRPTv1")))
        return RC_SYNTAX;
    for (;;) {
        view_take_wsp(&txt);
        if (txt.n == 0)
            break;
        if (!view_take_chr(&txt, ';'))
            return RC_SYNTAX;
        view_take_wsp(&txt);
        if (txt.n == 0)
            break;
        enum rc rc = read_field(&txt, out);
        if (rc != RC_OK)
            return rc;
    }
    return out->n > 0 ? RC_OK : RC_SYNTAX;
}

enum rc tlsrpt_record_choose(const struct view *texts, size_t n, struct tlsrpt_record *out)
{
    const struct view *found = NULL;
    *out = (struct tlsrpt_record){0};
    for (size_t i = 0; i < n; i++) {
        if (!tlsrpt_is_record(texts[i]))
            continue;
        if (found)
            return RC_NOTFOUND;
        found = &texts[i];
    }
    return found ? tlsrpt_record_parse(*found, out) : RC_NOTFOUND;
}
