#include "smtp/path.h"

#include "base/utf8.h"
#include "net/addr.h"

/* RFC 5322 §3.2.3 atext; bytes above 127 by RFC 6531 §3.3, their form is checked once for the whole path. */
static bool is_atext(unsigned char c)
{
    return is_alnum(c) || c >= 0x80 || view_chr(VIEW("!#$%&'*+-/=?^_`{|}~"), (char)c) != VIEW_NONE;
}

/* Departs from RFC 5321 §4.1.2: '_' is met in host names of senders, and harms nobody. */
static bool is_label_chr(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '_' || c >= 0x80;
}

static struct view taken(struct view before, struct view after)
{
    return view_slice(before, 0, before.n - after.n);
}

static enum rc parse_dot_string(struct view *in)
{
    struct view at = *in;
    do {
        if (view_take_while(&at, is_atext).n == 0)
            return RC_SYNTAX;
    } while (view_take_chr(&at, '.'));
    *in = at;
    return RC_OK;
}

static enum rc parse_quoted(struct view *in)
{
    struct view at = *in;
    if (!view_take_chr(&at, '"'))
        return RC_SYNTAX;
    while (!view_take_chr(&at, '"')) {
        int c = view_next(&at);
        if (c == '\\') {
            c = view_next(&at);
            if (c >= 0x80) /* quoted-pairSMTP is ASCII, also in RFC 6531 */
                return RC_SYNTAX;
        }
        if (c < 0x20 || c == 0x7f) /* and -1: it was never closed */
            return RC_SYNTAX;
    }
    *in = at;
    return RC_OK;
}

enum rc smtp_local_parse(struct view *in, struct view *out)
{
    struct view at = *in;
    enum rc rc = view_peek(at) == '"' ? parse_quoted(&at) : parse_dot_string(&at);
    if (rc != RC_OK)
        return rc;
    struct view local = taken(*in, at);
    if (local.n > SMTP_LOCAL_MAX)
        return RC_LIMIT;
    *out = local;
    *in = at;
    return RC_OK;
}

/* RFC 5321 §4.1.3. General-address-literal has no member yet, so only IPv4 and IPv6 are known. */
static enum rc parse_literal(struct view *in)
{
    struct view at = *in, text;
    struct addr ip;
    if (!view_take_chr(&at, '[') || !view_split(&at, ']', &text))
        return RC_SYNTAX;
    bool tagged = view_itake(&text, VIEW("IPv6:"));
    if (text.n >= ADDR_TEXT_MAX || addr_parse_ip(text, 0, &ip) != RC_OK ||
        (view_chr(text, ':') != VIEW_NONE) != tagged)
        return RC_SYNTAX;
    *in = at;
    return RC_OK;
}

static enum rc parse_labels(struct view *in)
{
    struct view at = *in;
    do {
        struct view label = view_take_while(&at, is_label_chr);
        if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return RC_SYNTAX;
        if (label.n > SMTP_LABEL_MAX && view_is_ascii(label))
            return RC_LIMIT;
    } while (view_take_chr(&at, '.'));
    *in = at;
    return RC_OK;
}

enum rc smtp_domain_parse(struct view *in, struct view *out)
{
    struct view at = *in;
    enum rc rc = view_peek(at) == '[' ? parse_literal(&at) : parse_labels(&at);
    if (rc != RC_OK)
        return rc;
    struct view domain = taken(*in, at);
    if (domain.n > SMTP_DOMAIN_MAX)
        return RC_LIMIT;
    *out = domain;
    *in = at;
    return RC_OK;
}

/* "@a,@b:" of RFC 5321 §4.1.2 A-d-l. */
static enum rc skip_source_route(struct view *in)
{
    struct view at = *in, domain;
    do {
        if (!view_take_chr(&at, '@') || smtp_domain_parse(&at, &domain) != RC_OK)
            return RC_SYNTAX;
    } while (view_take_chr(&at, ','));
    if (!view_take_chr(&at, ':'))
        return RC_SYNTAX;
    *in = at;
    return RC_OK;
}

static enum rc parse_mailbox(struct view *in, struct smtp_path *p)
{
    enum rc rc = smtp_local_parse(in, &p->local);
    if (rc != RC_OK)
        return rc;
    if (view_take_chr(in, '@'))
        return smtp_domain_parse(in, &p->domain);
    return view_ieq(p->local, VIEW("postmaster")) ? RC_OK : RC_SYNTAX; /* RFC 5321 §4.1.1.3 */
}

enum rc smtp_path_parse(struct view *in, struct smtp_path *out)
{
    struct view at = *in;
    struct smtp_path p = {0};
    enum rc rc;

    if (!view_take_chr(&at, '<'))
        return RC_SYNTAX;
    if (view_peek(at) == '@' && (rc = skip_source_route(&at)) != RC_OK)
        return rc;
    if (view_peek(at) != '>' || taken(*in, at).n > 1) { /* "<@a:>" is no null path */
        rc = parse_mailbox(&at, &p);
        if (rc != RC_OK)
            return rc;
    }
    if (!view_take_chr(&at, '>'))
        return RC_SYNTAX;
    struct view whole = taken(*in, at);
    if (whole.n > SMTP_PATH_MAX)
        return RC_LIMIT;
    p.is_utf8 = !view_is_ascii(whole);
    if (p.is_utf8 && !utf8_is_valid(whole))
        return RC_SYNTAX;
    *out = p;
    *in = at;
    return RC_OK;
}

bool smtp_path_is_literal(const struct smtp_path *p)
{
    return view_peek(p->domain) == '[';
}

/* The quoted string's content without quoted-pairs. */
static void write_unquoted(struct view local, struct buf *out)
{
    struct view in = view_slice(local, 1, local.n - 2);
    while (in.n > 0) {
        view_take_chr(&in, '\\');
        buf_add(out, view_slice(in, 0, 1));
        view_skip(&in, 1);
    }
}

static void write_local(struct view local, struct buf *out)
{
    if (view_peek(local) != '"') {
        buf_add(out, local);
        return;
    }
    size_t before = out->n;
    write_unquoted(local, out);
    if (buf_rc(out) != RC_OK)
        return;
    struct view plain = view_from(buf_view(out), before), rest = plain;
    if (parse_dot_string(&rest) == RC_OK && rest.n == 0)
        return;
    /* It needs its quotes; pairs only where they must be. */
    char copy[SMTP_LOCAL_MAX];
    bug_if(plain.n > sizeof copy);
    if (plain.n > 0)
        memcpy(copy, plain.p, plain.n);
    struct view again = view_of(copy, plain.n);
    out->n = before;
    buf_chr(out, '"');
    while (again.n > 0) {
        if (again.p[0] == '"' || again.p[0] == '\\')
            buf_chr(out, '\\');
        buf_chr(out, (char)view_next(&again));
    }
    buf_chr(out, '"');
}

void smtp_path_write(const struct smtp_path *p, struct buf *out)
{
    write_local(p->local, out);
    if (p->domain.n > 0) {
        buf_chr(out, '@');
        buf_add(out, p->domain);
    }
}
