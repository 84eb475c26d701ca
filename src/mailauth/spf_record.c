/* The syntax of a record (RFC 7208 §4.6.1, §5, §6, §12), read term by term without storing any. */
#include <arpa/inet.h>

#include "mailauth/spf_impl.h"

static bool is_name_byte(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '_' || c == '.';
}
static bool is_not_space(unsigned char c)
{
    return c != ' ';
}

bool spf_is_record(struct view txt)
{
    return view_itake(&txt, VIEW("v=spf1")) && (txt.n == 0 || txt.p[0] == ' ');
}

/* "0", or digits without a leading zero, up to max. */
static bool is_length(struct view digits, unsigned max, unsigned *out)
{
    uint64_t n;
    if ((digits.n > 1 && digits.p[0] == '0') || !view_is_u64(digits, max, &n))
        return false;
    *out = (unsigned)n;
    return true;
}

/* Takes "/N" off the end. False: there is none. */
static bool take_length(struct view *text, struct view *digits)
{
    size_t slash = view_rchr(*text, '/');
    if (slash == VIEW_NONE)
        return false;
    struct view d = view_from(*text, slash + 1);
    for (size_t i = 0; i < d.n; i++)
        if (!is_digit((unsigned char)d.p[i]))
            return false;
    *digits = d;
    text->n = slash;
    return true;
}

/* [ ip4-cidr-length ] [ "/" ip6-cidr-length ] at the end of *text, taken off. */
static bool take_dual_lengths(struct view *text, struct spf_term *t)
{
    struct view digits;
    t->bits4 = 32;
    t->bits6 = 128;
    if (!take_length(text, &digits))
        return true;
    if (view_ends(*text, VIEW("/"))) {
        text->n--;
        if (!is_length(digits, 128, &t->bits6))
            return false;
        if (!take_length(text, &digits))
            return true;
    }
    return is_length(digits, 32, &t->bits4);
}

/* `args` is what follows the name: "", ":...", "/...". */
static const char *read_domain_args(struct view args, bool lengths, bool required, struct spf_term *t)
{
    if (lengths && !take_dual_lengths(&args, t))
        return "its network length is wrong";
    if (args.n == 0)
        return required ? "it needs a domain" : NULL;
    if (!view_take_chr(&args, ':'))
        return "a colon and a domain can follow, nothing else";
    if (!spf_macro_is_domain_spec(args))
        return "its domain is not one (RFC 7208 section 7.1)";
    t->spec = args;
    return NULL;
}

static const char *read_network(struct view args, struct spf_term *t)
{
    bool six = t->kind == SPF_IP6;
    char text[INET6_ADDRSTRLEN];
    struct view net, length;
    if (!view_take_chr(&args, ':'))
        return "it needs an address";
    t->bits4 = 32;
    t->bits6 = 128;
    if (view_split(&args, '/', &net)) {
        length = args;
        if (!is_length(length, six ? 128 : 32, six ? &t->bits6 : &t->bits4))
            return "its network length is wrong";
    }
    if (view_cstr(net, text, sizeof text) != RC_OK || inet_pton(six ? AF_INET6 : AF_INET, text, t->net) != 1)
        return "its address is not one";
    return NULL;
}

static const char *read_mechanism(struct view name, struct view args, struct spf_term *t)
{
    static const struct {
        struct view name;
        enum spf_kind kind;
    } kinds[] = {{VIEW_INIT("all"), SPF_ALL}, {VIEW_INIT("include"), SPF_INCLUDE}, {VIEW_INIT("a"), SPF_A},
                 {VIEW_INIT("mx"), SPF_MX},   {VIEW_INIT("ptr"), SPF_PTR},         {VIEW_INIT("ip4"), SPF_IP4},
                 {VIEW_INIT("ip6"), SPF_IP6}, {VIEW_INIT("exists"), SPF_EXISTS}};
    size_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && !view_ieq(kinds[i].name, name))
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return "there is no such mechanism";
    t->kind = kinds[i].kind;
    switch (t->kind) {
    case SPF_ALL: return args.n > 0 ? "nothing may follow \"all\"" : NULL;
    case SPF_A:
    case SPF_MX: return read_domain_args(args, true, false, t);
    case SPF_PTR: return read_domain_args(args, false, false, t);
    case SPF_INCLUDE:
    case SPF_EXISTS: return read_domain_args(args, false, true, t);
    default: return read_network(args, t);
    }
}

static const char *read_modifier(struct view name, struct view value, struct spf_term *t)
{
    t->spec = value;
    t->kind = view_ieq(name, VIEW("redirect")) ? SPF_REDIRECT : view_ieq(name, VIEW("exp")) ? SPF_EXP : SPF_UNKNOWN_MODIFIER;
    if (t->kind == SPF_UNKNOWN_MODIFIER)
        return spf_macro_is_valid(value, false) ? NULL : "its value has a broken macro";
    return spf_macro_is_domain_spec(value) ? NULL : "its domain is not one (RFC 7208 section 7.1)";
}

enum rc spf_term_next(struct view *in, struct spf_term *out, const char **why)
{
    *out = (struct spf_term){.qualifier = SPF_PASS};
    while (view_take_chr(in, ' '))
        ;
    if (in->n == 0)
        return RC_NOTFOUND;
    struct view rest = out->text = view_take_while(in, is_not_space);
    struct view name = rest;
    bool has_qualifier = true;
    switch (view_peek(rest)) {
    case '+': out->qualifier = SPF_PASS; break;
    case '-': out->qualifier = SPF_FAIL; break;
    case '~': out->qualifier = SPF_SOFTFAIL; break;
    case '?': out->qualifier = SPF_NEUTRAL; break;
    default: has_qualifier = false;
    }
    if (has_qualifier)
        view_skip(&rest, 1);
    if (view_peek(rest) < 0 || !is_alpha((unsigned char)view_peek(rest)))
        *why = "a term begins with a letter";
    else {
        name = view_take_while(&rest, is_name_byte);
        if (!has_qualifier && view_take_chr(&rest, '='))
            *why = read_modifier(name, rest, out);
        else
            *why = read_mechanism(name, rest, out);
    }
    return *why ? RC_SYNTAX : RC_OK;
}

enum rc spf_record_parse(struct view txt, struct spf_record *out, const char **why, struct view *where)
{
    struct spf_term t;
    enum rc rc;
    view_itake(&txt, VIEW("v=spf1"));
    *out = (struct spf_record){.terms = txt};
    *why = NULL;
    while ((rc = spf_term_next(&txt, &t, why)) == RC_OK) {
        if ((t.kind == SPF_REDIRECT && out->has_redirect) || (t.kind == SPF_EXP && out->has_exp)) {
            *why = "it may stand once only"; /* §6 */
            rc = RC_SYNTAX;
            break;
        }
        if (t.kind == SPF_REDIRECT) {
            out->redirect = t.spec;
            out->has_redirect = true;
        } else if (t.kind == SPF_EXP) {
            out->exp = t.spec;
            out->has_exp = true;
        }
        out->has_all |= t.kind == SPF_ALL;
    }
    *where = t.text;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc spf_record_check(struct view txt, const char **why, struct view *where)
{
    struct spf_record r;
    *where = txt;
    *why = "it does not begin with \"v=spf1\" and a space";
    return spf_is_record(txt) ? spf_record_parse(txt, &r, why, where) : RC_SYNTAX;
}
