#include "base/view.h"

bool view_eq(struct view a, struct view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static int compare_fold(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int d = to_lower((unsigned char)a[i]) - to_lower((unsigned char)b[i]);
        if (d != 0)
            return d;
    }
    return 0;
}

bool view_ieq(struct view a, struct view b)
{
    return a.n == b.n && compare_fold(a.p, b.p, a.n) == 0;
}

static int order_lengths(int d, size_t a, size_t b)
{
    if (d != 0)
        return d;
    return a < b ? -1 : a > b;
}

int view_cmp(struct view a, struct view b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    return order_lengths(n ? memcmp(a.p, b.p, n) : 0, a.n, b.n);
}

int view_icmp(struct view a, struct view b)
{
    return order_lengths(compare_fold(a.p, b.p, a.n < b.n ? a.n : b.n), a.n, b.n);
}

bool view_starts(struct view v, struct view prefix)
{
    return v.n >= prefix.n && view_eq(view_slice(v, 0, prefix.n), prefix);
}

bool view_istarts(struct view v, struct view prefix)
{
    return v.n >= prefix.n && view_ieq(view_slice(v, 0, prefix.n), prefix);
}

bool view_ends(struct view v, struct view suffix)
{
    return v.n >= suffix.n && view_eq(view_from(v, v.n - suffix.n), suffix);
}

bool view_iends(struct view v, struct view suffix)
{
    return v.n >= suffix.n && view_ieq(view_from(v, v.n - suffix.n), suffix);
}

struct view view_slice(struct view v, size_t from, size_t len)
{
    v = view_from(v, from);
    if (v.n > len)
        v.n = len;
    return v;
}

struct view view_from(struct view v, size_t from)
{
    view_skip(&v, from);
    return v;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct view view_trim(struct view v)
{
    while (v.n > 0 && is_space((unsigned char)v.p[0]))
        view_skip(&v, 1);
    while (v.n > 0 && is_space((unsigned char)v.p[v.n - 1]))
        v.n--;
    return v;
}

size_t view_chr(struct view v, char c)
{
    const char *at = v.n ? memchr(v.p, c, v.n) : NULL;
    return at ? (size_t)(at - v.p) : VIEW_NONE;
}

size_t view_rchr(struct view v, char c)
{
    const char *at = v.n ? memrchr(v.p, c, v.n) : NULL;
    return at ? (size_t)(at - v.p) : VIEW_NONE;
}

size_t view_find(struct view v, struct view needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = v.n ? memmem(v.p, v.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - v.p) : VIEW_NONE;
}

/* Horspool: by the byte under the needle's last one it moves on, mostly by the needle's whole length. */
static size_t find_fold_skipping(struct view v, struct view needle)
{
    uint16_t skip[256];
    size_t last = needle.n - 1;

    for (size_t i = 0; i < 256; i++)
        skip[i] = (uint16_t)needle.n;
    for (size_t i = 0; i < last; i++) {
        skip[to_lower((unsigned char)needle.p[i])] = (uint16_t)(last - i);
        skip[to_upper((unsigned char)needle.p[i])] = (uint16_t)(last - i);
    }
    for (size_t at = 0; at + last < v.n; at += skip[(unsigned char)v.p[at + last]]) {
        if (to_lower((unsigned char)v.p[at + last]) == to_lower((unsigned char)needle.p[last]) &&
            compare_fold(v.p + at, needle.p, last) == 0)
            return at;
    }
    return VIEW_NONE;
}

size_t view_ifind(struct view v, struct view needle)
{
    if (needle.n == 0)
        return 0;
    if (v.n < needle.n)
        return VIEW_NONE;
    if (needle.n > 3 && needle.n <= UINT16_MAX && v.n >= 512)
        return find_fold_skipping(v, needle);
    unsigned char lo = to_lower((unsigned char)needle.p[0]), up = to_upper((unsigned char)needle.p[0]);
    size_t last = v.n - needle.n;
    /* The nearer of the two next candidates; memchr is far faster than folding each byte. */
    size_t at_lo = 0, at_up = 0;
    for (size_t at = 0; at <= last;) {
        if (at_lo != VIEW_NONE && at_lo <= at) {
            size_t d = view_chr(view_from(v, at), (char)lo);
            at_lo = d == VIEW_NONE ? VIEW_NONE : at + d;
        }
        if (at_up != VIEW_NONE && at_up <= at) {
            size_t d = lo == up ? VIEW_NONE : view_chr(view_from(v, at), (char)up);
            at_up = d == VIEW_NONE ? VIEW_NONE : at + d;
        }
        at = at_lo < at_up ? at_lo : at_up;
        if (at > last)
            return VIEW_NONE;
        if (compare_fold(v.p + at, needle.p, needle.n) == 0)
            return at;
        at++;
    }
    return VIEW_NONE;
}

bool view_has_ctl(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return true;
    return false;
}

bool view_is_ascii(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] & 0x80)
            return false;
    return true;
}

bool view_take_chr(struct view *in, char c)
{
    if (in->n == 0 || in->p[0] != c)
        return false;
    view_skip(in, 1);
    return true;
}

bool view_take(struct view *in, struct view lit)
{
    if (!view_starts(*in, lit))
        return false;
    view_skip(in, lit.n);
    return true;
}

bool view_itake(struct view *in, struct view lit)
{
    if (!view_istarts(*in, lit))
        return false;
    view_skip(in, lit.n);
    return true;
}

size_t view_take_wsp(struct view *in)
{
    size_t n = 0;
    while (n < in->n && is_wsp((unsigned char)in->p[n]))
        n++;
    view_skip(in, n);
    return n;
}

bool view_split(struct view *in, char sep, struct view *out)
{
    size_t at = view_chr(*in, sep);
    if (at == VIEW_NONE) {
        *out = *in;
        view_skip(in, in->n);
        return false;
    }
    *out = view_slice(*in, 0, at);
    view_skip(in, at + 1);
    return true;
}

struct view view_take_while(struct view *in, bool (*is)(unsigned char))
{
    size_t n = 0;
    while (n < in->n && is((unsigned char)in->p[n]))
        n++;
    struct view out = view_slice(*in, 0, n);
    view_skip(in, n);
    return out;
}

enum rc view_u64(struct view *in, uint64_t max, uint64_t *out)
{
    struct view at = *in;
    uint64_t value = 0;
    if (!is_digit((unsigned char)view_peek(at)) || at.n == 0)
        return RC_SYNTAX;
    while (at.n > 0 && is_digit((unsigned char)at.p[0])) {
        unsigned digit = (unsigned)view_next(&at) - '0';
        if (value > (UINT64_MAX - digit) / 10)
            return RC_LIMIT;
        value = value * 10 + digit;
    }
    if (value > max)
        return RC_LIMIT;
    *in = at;
    *out = value;
    return RC_OK;
}

enum rc view_u32(struct view *in, uint32_t max, uint32_t *out)
{
    uint64_t wide;
    enum rc rc = view_u64(in, max, &wide);
    if (rc == RC_OK)
        *out = (uint32_t)wide;
    return rc;
}

bool view_is_u64(struct view v, uint64_t max, uint64_t *out)
{
    return view_u64(&v, max, out) == RC_OK && v.n == 0;
}

bool view_is_hex(struct view v, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = to_lower((unsigned char)v.p[i]);
        int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || value > max >> 4 || (value = value << 4 | (unsigned)digit) > max)
            return false;
    }
    *out = value;
    return v.n > 0;
}

enum rc view_cstr(struct view v, char *dst, size_t size)
{
    if (view_chr(v, '\0') != VIEW_NONE)
        return RC_SYNTAX;
    if (v.n >= size)
        return RC_LIMIT;
    if (v.n > 0)
        memcpy(dst, v.p, v.n);
    dst[v.n] = '\0';
    return RC_OK;
}
