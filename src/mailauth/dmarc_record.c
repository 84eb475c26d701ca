/* The policy record (RFC 9989 §4.7, §4.8). */
#include "mailauth/dmarc.h"

#define TAGS_MAX 100 /* of one record; more are not one */

const char *dmarc_policy_name(enum dmarc_policy policy)
{
    static const char *const names[] = {"none", "quarantine", "reject"};
    return names[policy];
}

static struct view trim_wsp(struct view v)
{
    while (v.n > 0 && is_wsp((unsigned char)v.p[v.n - 1]))
        v.n--;
    view_take_wsp(&v);
    return v;
}

/* "v" equals "DMARC1", then the end or ";". */
bool dmarc_is_record(struct view txt)
{
    struct view tag, name;
    view_split(&txt, ';', &tag);
    return view_split(&tag, '=', &name) && name.n > 0 && !is_wsp((unsigned char)name.p[0]) &&
           view_ieq(trim_wsp(name), VIEW("v")) && view_eq(trim_wsp(tag), VIEW("DMARC1"));
}

static void add_note(struct buf *notes, struct view tag, const char *what)
{
    if (notes->n > 0)
        buf_str(notes, "; ");
    buf_add(notes, view_slice(tag, 0, 20));
    buf_chr(notes, ' ');
    buf_str(notes, what);
}

static bool read_policy(struct view v, enum dmarc_policy *out)
{
    for (enum dmarc_policy p = DMARC_POLICY_NONE; p <= DMARC_POLICY_REJECT; p++)
        if (view_ieq(v, view_str(dmarc_policy_name(p)))) {
            *out = p;
            return true;
        }
    return false;
}

/* dmarc-fo: each at most once, "0" and "1" not together. */
static bool read_fo(struct view v, unsigned *out)
{
    static const char letters[] = "01ds"; /* in the order of enum dmarc_fo's bits */
    unsigned found = 0;
    for (bool more = true; more;) {
        struct view one;
        more = view_split(&v, ':', &one);
        one = trim_wsp(one);
        size_t i = one.n == 1 ? view_chr(VIEW("01ds"), (char)to_lower((unsigned char)one.p[0])) : VIEW_NONE;
        if (i == VIEW_NONE || i >= sizeof letters - 1 || found & 1u << i)
            return false;
        found |= 1u << i;
    }
    if ((found & DMARC_FO_ALL && found & DMARC_FO_ANY) || found == 0)
        return false;
    *out = found;
    return true;
}

static bool is_scheme_byte(unsigned char c)
{
    return is_alnum(c) || c == '+' || c == '-' || c == '.';
}

/* obs-dmarc-report-size: digits and a unit. */
static bool read_size(struct view v, uint64_t *out)
{
    static const struct view units = VIEW_INIT("kmgt");
    if (view_u64(&v, 1u << 30, out) != RC_OK)
        return false;
    if (v.n == 0)
        return true;
    size_t unit = v.n == 1 ? view_chr(units, (char)to_lower((unsigned char)v.p[0])) : VIEW_NONE;
    if (unit == VIEW_NONE)
        return false;
    unsigned shift = 10 * ((unsigned)unit + 1);
    *out = *out >> (64 - shift) ? UINT64_MAX : *out << shift;
    return true;
}

/* A URI by its scheme and its bytes (RFC 3986 §2); a "mailto:" needs an address. */
static bool read_uri(struct view v, struct dmarc_uri *out)
{
    struct view rest;
    size_t bang = view_chr(v, '!');
    *out = (struct dmarc_uri){.uri = view_slice(v, 0, bang == VIEW_NONE ? v.n : bang)};
    if (bang != VIEW_NONE && !read_size(view_from(v, bang + 1), &out->max_size))
        return false;
    rest = out->uri;
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] <= ' ' || rest.p[i] >= 0x7f || view_chr(VIEW("\"<>\\^`{|}"), rest.p[i]) != VIEW_NONE)
            return false;
    struct view scheme = view_take_while(&rest, is_scheme_byte);
    if (scheme.n == 0 || !is_alpha((unsigned char)scheme.p[0]) || !view_take_chr(&rest, ':') || rest.n == 0)
        return false;
    if (!view_ieq(scheme, VIEW("mailto")))
        return true;
    view_split(&rest, '?', &out->address);
    size_t at = view_rchr(out->address, '@');
    return at != VIEW_NONE && at > 0 && at + 1 < out->address.n;
}

/* False: one of them is no URI; the others count. */
static enum rc read_uris(struct view list, struct arena *a, struct dmarc_uri **out, size_t *n, bool *all_good)
{
    *n = 0;
    *all_good = true;
    *out = arena_new_array(a, DMARC_URIS_MAX, struct dmarc_uri);
    if (!*out)
        return RC_TEMP;
    for (bool more = true; more && *n < DMARC_URIS_MAX;) {
        struct view one;
        more = view_split(&list, ',', &one);
        if (read_uri(trim_wsp(one), &(*out)[*n]))
            ++*n;
        else
            *all_good = false;
    }
    return RC_OK;
}

static bool read_letter(struct view v, const char *allowed, char *out)
{
    size_t i = v.n == 1 ? view_chr(view_str(allowed), (char)to_lower((unsigned char)v.p[0])) : VIEW_NONE;
    if (i == VIEW_NONE)
        return false;
    *out = allowed[i];
    return true;
}

static enum rc read_tag(struct view name, struct view value, struct arena *a, struct dmarc_record *out, struct buf *notes)
{
    char letter = 0;
    bool good = true;
    enum rc rc = RC_OK;
    uint64_t number;
    if (view_ieq(name, VIEW("p"))) {
        good = out->has_p = read_policy(value, &out->p);
    } else if (view_ieq(name, VIEW("sp"))) {
        good = out->has_sp = read_policy(value, &out->sp);
        out->broken_policy |= !good;
    } else if (view_ieq(name, VIEW("np"))) {
        good = out->has_np = read_policy(value, &out->np);
        out->broken_policy |= !good;
    } else if (view_ieq(name, VIEW("psd"))) {
        good = read_letter(value, "ynu", &out->psd);
    } else if (view_ieq(name, VIEW("t"))) {
        good = read_letter(value, "yn", &letter);
        out->test = letter == 'y';
    } else if (view_ieq(name, VIEW("adkim"))) {
        good = read_letter(value, "rs", &letter);
        out->adkim_strict = letter == 's';
    } else if (view_ieq(name, VIEW("aspf"))) {
        good = read_letter(value, "rs", &letter);
        out->aspf_strict = letter == 's';
    } else if (view_ieq(name, VIEW("fo"))) {
        good = read_fo(value, &out->fo);
    } else if (view_ieq(name, VIEW("rua"))) {
        rc = read_uris(value, a, &out->rua, &out->n_rua, &good);
    } else if (view_ieq(name, VIEW("ruf"))) {
        rc = read_uris(value, a, &out->ruf, &out->n_ruf, &good);
    } else if (view_ieq(name, VIEW("pct"))) {
        add_note(notes, name, "is of RFC 7489 and ignored");
        if (view_is_u64(value, 100, &number))
            out->pct = (unsigned)number;
    } else if (view_ieq(name, VIEW("rf")) || view_ieq(name, VIEW("ri"))) {
        add_note(notes, name, "is of RFC 7489 and ignored");
    } else {
        add_note(notes, name, "is unknown and ignored");
    }
    if (!good)
        add_note(notes, name, "has a value that is not allowed");
    return rc;
}

static bool is_visible(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < ' ' || v.p[i] >= 0x7f)
            return false;
    return true;
}

enum rc dmarc_record_parse(struct view txt, struct arena *a, struct dmarc_record *out)
{
    struct view seen[TAGS_MAX], rest, tag;
    struct buf notes;
    size_t n = 0;
    enum rc rc = RC_OK;
    *out = (struct dmarc_record){.psd = 'u', .fo = DMARC_FO_ALL, .pct = 100};
    if (!dmarc_is_record(txt))
        return RC_SYNTAX;
    if (txt.n > DMARC_RECORD_MAX)
        return RC_LIMIT;
    if (view_dup(a, txt, &out->text) != RC_OK)
        return RC_TEMP;
    rest = out->text;
    buf_init(&notes, 1024);
    view_split(&rest, ';', &tag);
    seen[n++] = VIEW("v");
    while (rest.n > 0 && rc == RC_OK) {
        struct view name;
        view_split(&rest, ';', &tag);
        tag = trim_wsp(tag);
        if (tag.n == 0)
            continue; /* the end, or ";;" */
        if (!is_visible(tag) || !view_split(&tag, '=', &name) || n == TAGS_MAX) {
            add_note(&notes, VIEW("something"), "is not \"tag=value\" and ignored");
            continue;
        }
        name = trim_wsp(name);
        for (size_t i = 0; i < n; i++)
            if (view_ieq(seen[i], name))
                rc = RC_SYNTAX;
        seen[n++] = name;
        if (rc == RC_OK)
            rc = read_tag(name, trim_wsp(tag), a, out, &notes);
    }
    if (!out->has_p)
        out->broken_policy = true;
    if (out->broken_policy) { /* §4.10.1 */
        out->p = out->sp = out->np = DMARC_POLICY_NONE;
        out->has_sp = out->has_np = false;
    }
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&notes), &out->notes);
    buf_clear(&notes);
    return rc;
}
