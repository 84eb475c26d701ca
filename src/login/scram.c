#include "login/scram.h"

static bool is_printable(unsigned char c) /* RFC 5802 §7 printable, which has no comma */
{
    return c >= 0x21 && c <= 0x7e && c != ',';
}

static bool is_value(unsigned char c)
{
    return c != ',' && c != 0;
}

static bool is_base64(unsigned char c)
{
    return is_alnum(c) || c == '+' || c == '/' || c == '=';
}

static bool is_binding_name(unsigned char c)
{
    return is_alnum(c) || c == '.' || c == '-';
}

/* "X=" and a run of bytes; the cursor then stands at a comma or the end. */
static bool take_attribute(struct view *in, char name, bool (*is)(unsigned char), struct view *value)
{
    const char prefix[2] = {name, '='};
    if (!view_take(in, view_of(prefix, 2)))
        return false;
    *value = view_take_while(in, is);
    return value->n > 0 && (in->n == 0 || view_peek(*in) == ',');
}

/* ",x=..." that we need not understand (RFC 5802 §5.1), m aside. */
static enum rc skip_extensions(struct view *in, char until)
{
    while (view_peek(*in) == ',') {
        struct view rest = view_from(*in, 1), value;
        if (until && rest.n >= 2 && rest.p[0] == until && rest.p[1] == '=')
            return RC_OK;
        if (rest.n < 2 || !is_alpha((unsigned char)rest.p[0]) || rest.p[0] == 'm' || rest.p[1] != '=')
            return RC_SYNTAX;
        view_skip(&rest, 2);
        value = view_take_while(&rest, is_value);
        if (value.n == 0 || (rest.n > 0 && view_peek(rest) != ','))
            return RC_SYNTAX;
        *in = rest;
    }
    return in->n == 0 ? RC_OK : RC_SYNTAX;
}

enum rc scram_first_parse(struct view in, struct scram_first *out)
{
    const struct view all = in;

    *out = (struct scram_first){0};
    int flag = view_next(&in);
    if (flag != 'n' && flag != 'y' && flag != 'p')
        return RC_SYNTAX;
    out->flag = (char)flag;
    if (flag == 'p') {
        if (!view_take_chr(&in, '='))
            return RC_SYNTAX;
        out->binding = view_take_while(&in, is_binding_name);
        if (out->binding.n == 0)
            return RC_SYNTAX;
    }
    if (!view_take_chr(&in, ','))
        return RC_SYNTAX;
    if (view_peek(in) != ',' && !take_attribute(&in, 'a', is_value, &out->authzid))
        return RC_SYNTAX;
    if (!view_take_chr(&in, ','))
        return RC_SYNTAX;
    out->gs2 = view_slice(all, 0, all.n - in.n);
    out->bare = in;
    if (!take_attribute(&in, 'n', is_value, &out->name) || !view_take_chr(&in, ',') ||
        !take_attribute(&in, 'r', is_printable, &out->nonce))
        return RC_SYNTAX;
    if (out->name.n > SCRAM_NAME_MAX || out->authzid.n > SCRAM_NAME_MAX || out->nonce.n > SCRAM_NONCE_MAX)
        return RC_LIMIT;
    return skip_extensions(&in, 0);
}

enum rc scram_final_parse(struct view in, struct scram_final *out)
{
    const struct view all = in;

    *out = (struct scram_final){0};
    if (!take_attribute(&in, 'c', is_base64, &out->binding) || !view_take_chr(&in, ',') ||
        !take_attribute(&in, 'r', is_printable, &out->nonce))
        return RC_SYNTAX;
    if (out->nonce.n > 2 * SCRAM_NONCE_MAX)
        return RC_LIMIT;
    if (skip_extensions(&in, 'p') != RC_OK)
        return RC_SYNTAX;
    out->without_proof = view_slice(all, 0, all.n - in.n);
    if (!view_take_chr(&in, ',') || !take_attribute(&in, 'p', is_base64, &out->proof) || in.n > 0)
        return RC_SYNTAX;
    return RC_OK;
}

enum rc scram_name_decode(struct view in, struct buf *out)
{
    while (in.n > 0) {
        if (view_take(&in, VIEW("=2C")))
            buf_chr(out, ',');
        else if (view_take(&in, VIEW("=3D")))
            buf_chr(out, '=');
        else if (view_peek(in) == '=' || view_peek(in) == 0)
            return RC_SYNTAX;
        else
            buf_chr(out, (char)view_next(&in));
    }
    return buf_rc(out);
}
