#include "mailauth/authres.h"

#include "dns/dns.h"

#define FIELD         "Authentication-Results"
#define COMMENT_DEPTH 32 /* of nested parentheses; deeper ones are not read */

/* --- reading: RFC 8601 §2.2 with CFWS (RFC 5322 §3.2.2) --- */

static bool is_token(unsigned char c) /* RFC 2045 §5.1; UTF-8 by RFC 8601 §2.2 */
{
    return c > 0x20 && c != 0x7f && view_chr(VIEW("()<>@,;:\\\"/[]?="), (char)c) == VIEW_NONE;
}

static bool is_space(unsigned char c)
{
    return is_wsp(c) || c == '\r' || c == '\n';
}

/* Moves past white space and comments. False: a comment has no end. */
static bool skip_cfws(struct view *in)
{
    unsigned depth = 0;
    for (;;) {
        int c = view_peek(*in);
        if (depth == 0 && c != '(') {
            if (c < 0 || !is_space((unsigned char)c))
                return true;
        } else if (c < 0 || (c == '(' && ++depth > COMMENT_DEPTH)) {
            return false;
        } else if (c == ')') {
            depth--;
        } else if (c == '\\') {
            view_skip(in, 1);
        }
        view_skip(in, 1);
    }
}

/* A token or quoted string at the cursor, without its quoting. */
static enum rc take_value(struct view *in, struct arena *a, struct view *out)
{
    if (view_peek(*in) != '"') {
        *out = view_take_while(in, is_token);
        return out->n > 0 ? RC_OK : RC_SYNTAX;
    }
    char *p = arena_alloc(a, in->n);
    size_t n = 0;
    if (!p)
        return RC_TEMP;
    view_skip(in, 1);
    for (int c; (c = view_next(in)) != '"'; p[n++] = (char)c)
        if (c < 0 || (c == '\\' && (c = view_next(in)) < 0))
            return RC_SYNTAX;
    *out = view_of(p, n);
    return RC_OK;
}

/* "@" domain at the cursor, after a local part; "@" domain alone has none. */
static enum rc take_address(struct view *in, struct view local, struct arena *a, struct view *out)
{
    struct view domain;
    view_take_chr(in, '@');
    domain = view_take_while(in, is_token);
    char *text = arena_printf(a, "%.*s@%.*s", VIEW_FMT(local), VIEW_FMT(domain));
    *out = view_str(text);
    return text ? RC_OK : RC_TEMP;
}

/* The results up to the next ";" outside of quotes and comments; moves past it. */
static struct view take_result(struct view *in)
{
    struct view start = *in;
    while (in->n > 0) {
        int c = view_peek(*in);
        if (c == ';')
            break;
        if (c == '(') {
            if (!skip_cfws(in))
                break;
            continue;
        }
        view_skip(in, 1);
        if (c != '"')
            continue;
        while (in->n > 0 && (c = view_next(in)) != '"')
            if (c == '\\')
                view_skip(in, 1);
    }
    struct view result = view_slice(start, 0, start.n - in->n);
    view_take_chr(in, ';');
    return result;
}

static bool ids_are_equal(struct view a, struct view b, struct arena *arena)
{
    struct view x, y;
    if (view_ieq(a, b))
        return true;
    return dns_domain_ascii(a, arena, &x) == RC_OK && dns_domain_ascii(b, arena, &y) == RC_OK && view_eq(x, y);
}

/* --- writing --- */

/* Words of strangers into a place where some bytes are not allowed. */
static void put_safe(struct buf *out, struct view text, const char *not_allowed)
{
    text = view_slice(text, 0, AUTHRES_REASON_MAX);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool is_bad = c < 0x20 || c >= 0x7f || view_chr(view_str(not_allowed), (char)c) != VIEW_NONE;
        /* some readers split at each ";" and know no quotes; "?" around a term of SPF would read as its qualifier */
        buf_chr(out, c == '"' ? '\'' : is_bad ? '?' : c == ';' ? ',' : (char)c);
    }
}

static bool is_all(struct view v, bool (*is)(unsigned char))
{
    view_take_while(&v, is);
    return v.n == 0;
}

static bool is_ascii_token(unsigned char c)
{
    return c < 0x7f && is_token(c);
}

/* RFC 8601 §2.2 pvalue: a token, or [local-part] "@" domain. */
static bool needs_no_quotes(struct view v)
{
    size_t at = view_rchr(v, '@');
    if (at == VIEW_NONE)
        return is_all(v, is_ascii_token);
    return at + 1 < v.n && is_all(view_slice(v, 0, at), is_ascii_token) && is_all(view_from(v, at + 1), is_ascii_token);
}

void authres_begin(struct authres *r, struct view authserv_id)
{
    *r = (struct authres){0};
    buf_init(&r->line, AUTHRES_FIELD_MAX);
    if (authserv_id.n == 0 || !is_all(authserv_id, is_ascii_token))
        r->line.fail = RC_SYNTAX;
    buf_add(&r->line, authserv_id);
}

void authres_add(struct authres *r, const char *method, const char *result, struct view comment, struct view reason)
{
    r->n++;
    buf_str(&r->line, "; ");
    buf_str(&r->line, method);
    buf_chr(&r->line, '=');
    buf_str(&r->line, result);
    if (comment.n > 0) {
        buf_str(&r->line, " (");
        put_safe(&r->line, comment, "()\\");
        buf_chr(&r->line, ')');
    }
    if (reason.n > 0) {
        buf_str(&r->line, " reason=\"");
        put_safe(&r->line, reason, "\"\\");
        buf_chr(&r->line, '"');
    }
}

void authres_property(struct authres *r, const char *ptype, const char *property, struct view value)
{
    value = view_slice(value, 0, AUTHRES_REASON_MAX);
    if (value.n == 0)
        return;
    buf_chr(&r->line, ' ');
    buf_str(&r->line, ptype);
    buf_chr(&r->line, '.');
    buf_str(&r->line, property);
    buf_chr(&r->line, '=');
    if (needs_no_quotes(value)) {
        buf_add(&r->line, value);
        return;
    }
    buf_chr(&r->line, '"');
    put_safe(&r->line, value, "\"\\");
    buf_chr(&r->line, '"');
}

enum rc authres_end(struct authres *r, struct buf *out)
{
    if (r->n == 0)
        buf_str(&r->line, "; none");
    enum rc rc = buf_rc(&r->line);
    if (rc == RC_OK) {
        const size_t before = out->n;
        header_write(out, VIEW(FIELD), buf_view(&r->line));
        rc = buf_rc(out);
        if (rc != RC_OK)
            out->n = before;
    }
    buf_clear(&r->line);
    return rc;
}

enum rc authres_id(struct view *value, struct arena *a, struct view *id)
{
    struct view in = view_slice(*value, 0, AUTHRES_FIELD_MAX), version;
    if (!skip_cfws(&in))
        return RC_SYNTAX;
    enum rc rc = take_value(&in, a, id);
    if (rc != RC_OK || !skip_cfws(&in))
        return rc == RC_TEMP ? rc : RC_SYNTAX;
    version = view_take_while(&in, is_digit);
    if (!skip_cfws(&in) || (in.n > 0 && !view_take_chr(&in, ';')))
        return RC_SYNTAX;
    (void)version; /* there is only one (RFC 8601 §2.2) */
    in = view_trim(in);
    struct view rest = in;
    view_itake(&rest, VIEW("none"));
    if (rest.n < in.n && skip_cfws(&rest) && (rest.n == 0 || view_eq(rest, VIEW(";"))))
        in = rest = view_from(in, in.n);
    *value = in;
    return RC_OK;
}

/* What stands before the first ";" without all that a careless reader may take for nothing: comments, white space, quoting, bytes
 * beyond ASCII. */
static struct view squeeze(struct view value, struct arena *a)
{
    struct view in = view_slice(value, 0, AUTHRES_FIELD_MAX);
    char *p = arena_alloc(a, in.n + 1);
    size_t n = 0;
    for (int c; p && skip_cfws(&in) && (c = view_next(&in)) >= 0 && c != ';';)
        if (c > ' ' && c < 0x7f && c != '"' && c != '\\')
            p[n++] = (char)c;
    return view_of(p, n);
}

bool authres_is_ours(struct view value, struct view authserv_id)
{
    struct view rest = value, id;
    struct arena a;
    arena_init(&a, 4 * AUTHRES_FIELD_MAX);
    bool is_ours;
    if (authres_id(&rest, &a, &id) == RC_OK)
        is_ours = ids_are_equal(id, authserv_id, &a) || view_ieq(squeeze(id, &a), authserv_id);
    else
        is_ours = view_ifind(value, authserv_id) != VIEW_NONE || view_ifind(squeeze(value, &a), authserv_id) != VIEW_NONE;
    arena_clear(&a);
    return is_ours;
}

enum rc authres_forged(struct view message, struct view authserv_id, struct header_cut *cuts, size_t max_cuts, size_t *n_cuts)
{
    struct view in = message;
    struct header_field field;
    *n_cuts = 0;
    for (size_t offset = 0; header_next(&in, &field); offset = message.n - in.n) {
        const bool is_logo = view_ieq(field.name, VIEW("BIMI-Location")) || view_ieq(field.name, VIEW("BIMI-Indicator"));
        if (!is_logo && (!view_ieq(field.name, VIEW(FIELD)) || !authres_is_ours(field.value, authserv_id)))
            continue;
        if (*n_cuts == max_cuts)
            return RC_LIMIT;
        cuts[(*n_cuts)++] = (struct header_cut){offset, field.whole.n};
    }
    return RC_OK;
}

enum rc authres_collect(struct view header, struct view authserv_id, struct arena *a, struct buf *out)
{
    struct view in = header;
    struct header_field field;
    bool has_some = false;
    while (header_next(&in, &field)) {
        struct view results = field.value, id;
        if (!view_ieq(field.name, VIEW(FIELD)))
            continue;
        enum rc rc = authres_id(&results, a, &id);
        if (rc == RC_TEMP)
            return rc;
        if (rc != RC_OK || results.n == 0 || !ids_are_equal(id, authserv_id, a))
            continue;
        if (has_some)
            buf_str(out, "; ");
        while (view_ends(results, VIEW(";")))
            results = view_trim(view_slice(results, 0, results.n - 1));
        header_unfold(results, out);
        has_some = true;
    }
    return buf_rc(out);
}

static enum rc dup_lower(struct view v, struct arena *a, struct view *out)
{
    char *p = arena_alloc(a, v.n + 1);
    if (!p)
        return RC_TEMP;
    for (size_t i = 0; i < v.n; i++)
        p[i] = (char)to_lower((unsigned char)v.p[i]);
    *out = view_of(p, v.n);
    return RC_OK;
}

/* method [ "/" version ] "=" result */
static bool take_head(struct view *in, struct view *method, struct view *result)
{
    if (!skip_cfws(in))
        return false;
    *method = view_take_while(in, is_token);
    if (method->n == 0 || !skip_cfws(in))
        return false;
    if (view_take_chr(in, '/') && (!skip_cfws(in) || view_take_while(in, is_digit).n == 0 || !skip_cfws(in)))
        return false;
    if (!view_take_chr(in, '=') || !skip_cfws(in))
        return false;
    *result = view_take_while(in, is_token);
    return result->n > 0;
}

enum rc authres_next(struct view *results, struct arena *a, struct authres_item *out)
{
    struct view method, result;
    while (results->n > 0) {
        struct view in = take_result(results);
        if (!take_head(&in, &method, &result))
            continue;
        out->rest = in;
        enum rc rc = dup_lower(method, a, &out->method);
        return rc == RC_OK ? dup_lower(result, a, &out->result) : rc;
    }
    return RC_NOTFOUND;
}

enum rc authres_property_of(const struct authres_item *r, const char *name, struct arena *a, struct view *out)
{
    struct view in = r->rest, value;
    *out = (struct view){0};
    while (skip_cfws(&in) && in.n > 0) {
        struct view word = view_take_while(&in, is_token);
        if (!skip_cfws(&in) || !view_take_chr(&in, '=')) {
            if (word.n == 0)
                return RC_OK; /* no property, and nothing to go on from */
            continue;
        }
        enum rc rc = skip_cfws(&in) ? RC_OK : RC_SYNTAX;
        value = view_slice(in, 0, 0);
        if (rc == RC_OK && view_peek(in) != '@')
            rc = take_value(&in, a, &value);
        if (rc == RC_OK && view_peek(in) == '@') /* RFC 8601 §2.2 pvalue: [[local-part] "@"] domain */
            rc = take_address(&in, value, a, &value);
        if (rc != RC_OK)
            return rc == RC_TEMP ? rc : RC_OK;
        if (view_ieq(word, view_str(name))) {
            *out = value;
            return RC_OK;
        }
    }
    return RC_OK;
}

enum rc authres_result(struct view results, const char *method, struct arena *a, struct view *out)
{
    struct authres_item one;
    enum rc rc;
    while ((rc = authres_next(&results, a, &one)) == RC_OK)
        if (view_ieq(one.method, view_str(method))) {
            *out = one.result;
            return RC_OK;
        }
    return rc;
}
