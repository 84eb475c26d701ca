#include "message/content.h"

#include <stdio.h>

#include "base/base64.h"
#include "message/charset.h"
#include "message/encoded.h"

#define FIELD_MAX (64u << 10) /* bytes of a field that are searched for sections of a value */

/* Past blanks, line ends and comments. */
static void skip_gap(struct view *in)
{
    unsigned depth = 0;
    while (in->n > 0) {
        char c = in->p[0];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0)
            view_skip(in, 1);
        else if (depth == 0 && !is_wsp((unsigned char)c) && c != '\r' && c != '\n')
            return;
        view_skip(in, 1);
    }
}

/* Narrower than RFC 2045 §5.1 forbids, since names with odd bytes are met and harm nobody. */
static bool is_token(unsigned char c)
{
    return c > ' ' && c != 0x7f && c != '/' && c != ';' && c != '=' && c != '(' && c != ')' && c != '"' &&
           c != ',' && c != '<' && c != '>' && c != '\\';
}

void content_type_parse(struct view value, struct content_type *out)
{
    struct view in = value;
    skip_gap(&in);
    out->type = view_take_while(&in, is_token);
    skip_gap(&in);
    bool has_slash = view_take_chr(&in, '/');
    skip_gap(&in);
    out->subtype = view_take_while(&in, is_token);
    out->params = in;
    out->is_default = out->type.n == 0 || out->subtype.n == 0 || !has_slash;
    if (out->is_default) {
        out->type = VIEW("text");
        out->subtype = VIEW("plain");
        out->params = view_slice(in, 0, 0);
    }
}

struct view content_token(struct view value, struct view *params)
{
    skip_gap(&value);
    struct view token = view_take_while(&value, is_token);
    *params = value;
    return token;
}

/* Whether "name=" stands here: some writers forget the ";" between two parameters. */
static bool is_param_next(struct view in)
{
    skip_gap(&in);
    return view_take_while(&in, is_token).n > 0 && view_take_chr(&in, '=');
}

/* An unquoted value: a token as it should be, or all up to the ";" as it is met (names with blanks). */
static struct view take_bare_value(struct view *in)
{
    size_t n = 0;
    for (; n < in->n && in->p[n] != ';' && in->p[n] != '\n'; n++) {
        if (!is_wsp((unsigned char)in->p[n]))
            continue;
        struct view rest = view_from(*in, n);
        view_take_wsp(&rest);
        if (view_peek(rest) == '(' || is_param_next(rest))
            break;
        n = in->n - rest.n - 1;
    }
    struct view value = view_trim(view_slice(*in, 0, n));
    view_skip(in, n);
    return value;
}

static struct view take_quoted_value(struct view *in)
{
    size_t n = 1;
    while (n < in->n && in->p[n] != '"')
        n += in->p[n] == '\\' ? 2 : 1;
    struct view value = view_slice(*in, 1, n - 1);
    view_skip(in, n + 1);
    return value;
}

bool content_param_next(struct view *params, struct content_param *out)
{
    while (params->n > 0) {
        skip_gap(params);
        out->name = view_take_while(params, is_token);
        skip_gap(params);
        if (out->name.n == 0 || !view_take_chr(params, '=')) {
            if (out->name.n == 0)
                view_skip(params, 1); /* a ";" or something stray */
            continue;
        }
        skip_gap(params);
        out->is_quoted = view_peek(*params) == '"';
        out->value = out->is_quoted ? take_quoted_value(params) : take_bare_value(params);
        return true;
    }
    return false;
}

void content_param_value(const struct content_param *param, struct buf *out)
{
    for (size_t i = 0; i < param->value.n; i++) {
        char c = param->value.p[i];
        if (param->is_quoted && c == '\\' && i + 1 < param->value.n)
            c = param->value.p[++i];
        if (c != '\r' && c != '\n')
            buf_chr(out, c);
    }
}

enum rc content_param_find(struct view params, struct view name, struct content_param *out)
{
    struct content_param p;
    for (int i = 0; i < CONTENT_PARAMS_MAX && content_param_next(&params, &p); i++) {
        if (view_ieq(p.name, name)) {
            *out = p;
            return RC_OK;
        }
    }
    return RC_NOTFOUND;
}

static int hex_value(unsigned char c)
{
    if (is_digit(c))
        return c - '0';
    c = to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode_percent(struct view v, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++) {
        int hi = v.p[i] == '%' && i + 2 < v.n ? hex_value((unsigned char)v.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_value((unsigned char)v.p[i + 2]) : -1;
        if (lo >= 0) {
            buf_chr(out, (char)(hi << 4 | lo));
            i += 2;
        } else {
            buf_chr(out, v.p[i]);
        }
    }
}

/* RFC 2231 §4: charset'language'text. Where the marks are missing all of it is text. */
static struct view take_charset(struct view *text)
{
    struct view rest = *text, charset, language;
    if (!view_split(&rest, '\'', &charset) || !view_split(&rest, '\'', &language))
        return VIEW("utf-8");
    *text = rest;
    return charset;
}

/* The parameter named name, then `section` ("*", "*0", "*0*"). */
static enum rc find_section(struct view params, struct view name, const char *section,
                            struct content_param *out)
{
    struct content_param p;
    for (int i = 0; i < CONTENT_PARAMS_MAX && content_param_next(&params, &p); i++) {
        if (view_istarts(p.name, name) && view_eq(view_from(p.name, name.n), view_str(section))) {
            *out = p;
            return RC_OK;
        }
    }
    return RC_NOTFOUND;
}

/* Joins name*0, name*1, ... into raw bytes; *charset is that of the first, if it has one. */
static unsigned join_sections(struct view params, struct view name, struct buf *raw, struct buf *charset)
{
    unsigned n = 0;
    for (; n < CONTENT_SECTIONS_MAX; n++) {
        struct content_param p;
        char mark[16];
        struct buf text;
        snprintf(mark, sizeof mark, "*%u*", n);
        if (find_section(params, name, mark, &p) == RC_OK) {
            buf_init(&text, CONTENT_PARAM_MAX);
            content_param_value(&p, &text);
            struct view v = buf_view(&text);
            if (n == 0)
                buf_add(charset, take_charset(&v));
            decode_percent(v, raw);
            buf_clear(&text);
            continue;
        }
        mark[strlen(mark) - 1] = '\0';
        if (find_section(params, name, mark, &p) != RC_OK)
            break;
        content_param_value(&p, raw);
    }
    return n;
}

enum rc content_param_text(struct view params, struct view name, struct buf *out)
{
    struct content_param p;
    struct buf raw, charset, text;
    enum rc rc = RC_NOTFOUND;
    params = view_slice(params, 0, FIELD_MAX);
    buf_init(&raw, CONTENT_PARAM_MAX);
    buf_init(&charset, CHARSET_NAME_MAX);
    buf_init(&text, CONTENT_PARAM_MAX);
    if (find_section(params, name, "*", &p) == RC_OK) {
        content_param_value(&p, &text);
        struct view v = buf_view(&text);
        buf_add(&charset, take_charset(&v));
        decode_percent(v, &raw);
        charset_to_utf8(buf_view(&charset), buf_view(&raw), out);
        rc = buf_rc(out);
    } else if (join_sections(params, name, &raw, &charset) > 0) {
        charset_to_utf8(buf_view(&charset), buf_view(&raw), out);
        rc = buf_rc(out);
    } else if (content_param_find(params, name, &p) == RC_OK) {
        content_param_value(&p, &raw);
        encoded_decode(buf_view(&raw), out);
        rc = buf_rc(out);
    }
    buf_clear(&raw);
    buf_clear(&charset);
    buf_clear(&text);
    return rc;
}

enum content_encoding content_encoding_parse(struct view value)
{
    struct view rest;
    struct view token = content_token(value, &rest);
    if (token.n == 0 || view_ieq(token, VIEW("7bit")))
        return ENCODING_7BIT;
    if (view_ieq(token, VIEW("base64")))
        return ENCODING_BASE64;
    if (view_ieq(token, VIEW("quoted-printable")))
        return ENCODING_QUOTED_PRINTABLE;
    if (view_ieq(token, VIEW("8bit")))
        return ENCODING_8BIT;
    if (view_ieq(token, VIEW("binary")))
        return ENCODING_BINARY;
    return ENCODING_UNKNOWN;
}

/* Blanks at the end of an encoded line were added on the way (RFC 2045 §6.7 rule 3). */
static struct view without_trailing_blanks(struct view line)
{
    while (line.n > 0 && is_wsp((unsigned char)line.p[line.n - 1]))
        line.n--;
    return line;
}

static void decode_qp_line(struct view line, struct buf *out)
{
    while (line.n > 0) {
        size_t at = view_chr(line, '=');
        if (at == VIEW_NONE) {
            buf_add(out, line);
            return;
        }
        buf_add(out, view_slice(line, 0, at));
        view_skip(&line, at);
        int hi = line.n > 2 ? hex_value((unsigned char)line.p[1]) : -1;
        int lo = hi >= 0 ? hex_value((unsigned char)line.p[2]) : -1;
        buf_chr(out, lo >= 0 ? (char)(hi << 4 | lo) : '=');
        view_skip(&line, lo >= 0 ? 3 : 1);
    }
}

void content_decode_qp(struct view body, struct buf *out)
{
    while (body.n > 0 && buf_rc(out) == RC_OK) {
        struct view line, end = VIEW("");
        size_t at = view_chr(body, '\n');
        if (at == VIEW_NONE) {
            line = body;
            view_skip(&body, body.n);
        } else {
            size_t n = at > 0 && body.p[at - 1] == '\r' ? at - 1 : at;
            line = view_slice(body, 0, n);
            end = view_slice(body, n, at + 1 - n);
            view_skip(&body, at + 1);
        }
        line = without_trailing_blanks(line);
        bool is_soft = line.n > 0 && line.p[line.n - 1] == '=';
        if (is_soft)
            line.n--;
        decode_qp_line(line, out);
        if (!is_soft)
            buf_add(out, end);
    }
}

enum rc content_decode(enum content_encoding e, struct view body, struct buf *out)
{
    if (e == ENCODING_BASE64) {
        base64_decode_mime(body, out);
    } else if (e == ENCODING_QUOTED_PRINTABLE) {
        content_decode_qp(body, out);
    } else {
        size_t room = out->max - out->n;
        buf_add(out, view_slice(body, 0, room));
        buf_add(out, view_from(body, room)); /* remembers RC_LIMIT where anything is left */
    }
    return buf_rc(out);
}
