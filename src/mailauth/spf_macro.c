/* Macros (RFC 7208 §7). */
#include <netinet/in.h>

#include "mailauth/spf_impl.h"

#define PARTS_ALL 1000000u /* no value has so many parts */

/* One piece of a macro-string: a literal byte or "%{...}". */
struct piece {
    char literal;   /* of "%%" and "%_" also */
    bool is_macro;  /* "%{...}" */
    bool is_expand; /* any of the forms that begin with "%" */
    bool url_space; /* "%-" */
    char letter;    /* lower case */
    bool escape;    /* the letter was upper case */
    bool reverse;
    unsigned parts; /* right-hand parts to keep */
    struct view delimiters;
};

static bool is_delimiter(unsigned char c)
{
    return c && view_chr(VIEW(".-+,/_="), (char)c) != VIEW_NONE;
}

static bool next_macro(struct view *in, bool explain, struct piece *out)
{
    int c = view_next(in);
    if (c < 0 || !is_alpha((unsigned char)c))
        return false;
    out->is_macro = true;
    out->escape = c < 'a';
    out->letter = (char)to_lower((unsigned char)c);
    if (view_chr(explain ? VIEW("slodiphcrtv") : VIEW("slodiphv"), out->letter) == VIEW_NONE)
        return false;
    out->parts = PARTS_ALL;
    if (view_peek(*in) >= 0 && is_digit((unsigned char)view_peek(*in))) {
        unsigned n = 0;
        while (view_peek(*in) >= 0 && is_digit((unsigned char)view_peek(*in))) {
            unsigned digit = (unsigned)(view_next(in) - '0');
            n = n >= PARTS_ALL ? PARTS_ALL : n * 10 + digit;
        }
        if (n == 0) /* §7.3 */
            return false;
        out->parts = n;
    }
    out->reverse = view_take_chr(in, 'r') || view_take_chr(in, 'R');
    out->delimiters = view_take_while(in, is_delimiter);
    return view_take_chr(in, '}');
}

/* False: broken. At the end nobody calls it. */
static bool next_piece(struct view *in, bool explain, struct piece *out)
{
    int c = view_next(in);
    *out = (struct piece){.literal = (char)c};
    if (c != '%')
        return (c > ' ' && c < 0x7f) || (explain && c == ' ');
    out->is_expand = true;
    switch (view_next(in)) {
    case '%': return true;
    case '_': out->literal = ' '; return true;
    case '-': out->url_space = true; return true;
    case '{': return next_macro(in, explain, out);
    default: return false;
    }
}

bool spf_macro_is_valid(struct view text, bool explain)
{
    struct piece p;
    while (text.n > 0)
        if (!next_piece(&text, explain, &p))
            return false;
    return true;
}

/* Letters, digits and inner hyphens, not digits alone. */
static bool is_toplabel(struct view label)
{
    bool only_digits = true;
    if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        unsigned char c = (unsigned char)label.p[i];
        if (!is_alnum(c) && c != '-')
            return false;
        only_digits &= is_digit(c);
    }
    return !only_digits;
}

bool spf_macro_is_domain_spec(struct view text)
{
    struct view rest = text, tail = text;
    struct piece p = {0};
    if (text.n == 0)
        return false;
    while (rest.n > 0) {
        if (!next_piece(&rest, false, &p))
            return false;
        if (p.is_expand)
            tail = rest; /* the literals after the last macro */
    }
    if (p.is_expand)
        return true;
    if (view_ends(tail, VIEW(".")))
        tail.n--;
    size_t dot = view_rchr(tail, '.');
    return dot != VIEW_NONE && is_toplabel(view_from(tail, dot + 1));
}

/* --- values --- */

/* §7.3: dotted quad, or 32 nibbles. */
static void write_dotted_ip(const struct addr *ip, struct buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[ADDR_TEXT_MAX];
    if (!addr_is_ipv6(ip)) {
        addr_write_ip(ip, text);
        buf_str(out, text);
        return;
    }
    struct sockaddr_in6 sin6;
    memcpy(&sin6, &ip->ss, sizeof sin6);
    for (int i = 0; i < 16; i++) {
        unsigned byte = sin6.sin6_addr.s6_addr[i];
        buf_printf(out, "%s%c.%c", i ? "." : "", hex[byte >> 4], hex[byte & 15]);
    }
}

static enum rc value_of(const struct spf_macros *m, char letter, struct view domain, struct buf *out)
{
    char text[ADDR_TEXT_MAX];
    struct view name;
    enum rc rc = RC_OK;
    switch (letter) {
    case 's':
        buf_add(out, m->local);
        buf_chr(out, '@');
        buf_add(out, m->sender_domain);
        break;
    case 'l': buf_add(out, m->local); break;
    case 'o': buf_add(out, m->sender_domain); break;
    case 'd': buf_add(out, domain); break;
    case 'i': write_dotted_ip(m->ip, out); break;
    case 'p':
        rc = m->name_of_client(m->ctx, domain, &name);
        if (rc == RC_OK)
            buf_add(out, name);
        break;
    case 'v': buf_str(out, addr_is_ipv6(m->ip) ? "ip6" : "in-addr"); break;
    case 'h': buf_add(out, m->helo); break;
    case 'c':
        addr_write_ip(m->ip, text);
        buf_str(out, text);
        break;
    case 'r': buf_add(out, m->receiver.n > 0 ? m->receiver : VIEW("unknown")); break;
    case 't': buf_u64(out, (uint64_t)m->now_s); break;
    }
    return rc;
}

static void write_escaped(struct view v, bool escape, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (!escape || is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') /* RFC 3986 §2.3 */
            buf_chr(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static bool is_one_of(char c, struct view set)
{
    return set.n > 0 ? view_chr(set, c) != VIEW_NONE : c == '.';
}

/* Splits, reverses, keeps the right-hand parts and joins them by dots (§7.3). */
static void write_parts(const struct piece *p, struct view value, struct buf *out)
{
    struct view parts[2 * SPF_VALUE_MAX + 2];
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= value.n && n < sizeof parts / sizeof *parts; i++) {
        if (i == value.n || is_one_of(value.p[i], p->delimiters)) {
            parts[n++] = view_slice(value, from, i - from);
            from = i + 1;
        }
    }
    size_t keep = n < p->parts ? n : p->parts;
    for (size_t i = n - keep; i < n; i++) {
        if (i > n - keep)
            buf_chr(out, '.');
        write_escaped(parts[p->reverse ? n - 1 - i : i], p->escape, out);
    }
}

enum rc spf_macro_expand(const struct spf_macros *m, struct view text, struct view domain, bool explain, struct buf *out)
{
    struct buf value;
    enum rc rc = RC_OK;
    buf_init(&value, 2 * SPF_VALUE_MAX + 1);
    while (text.n > 0 && rc == RC_OK && buf_rc(out) == RC_OK) {
        struct piece p;
        if (!next_piece(&text, explain, &p)) {
            rc = RC_SYNTAX;
        } else if (p.url_space) {
            buf_str(out, "%20");
        } else if (!p.is_macro) {
            buf_chr(out, p.literal);
        } else {
            buf_reset(&value);
            rc = value_of(m, p.letter, domain, &value);
            if (rc == RC_OK)
                rc = buf_rc(&value);
            if (rc == RC_OK)
                write_parts(&p, buf_view(&value), out);
        }
    }
    buf_clear(&value);
    return rc == RC_OK ? buf_rc(out) : rc;
}
