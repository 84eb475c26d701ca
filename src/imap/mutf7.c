#include "imap/mutf7.h"

#include "base/utf8.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int sextet_of(int c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == ',' ? 63 : -1;
}

static bool is_direct(uint32_t cp)
{
    return cp >= 0x20 && cp <= 0x7e;
}

/* After "&", up to and with "-". */
static enum rc decode_shifted(struct view *in, struct buf *out)
{
    uint32_t bits = 0, high = 0;
    unsigned n_bits = 0;
    int c;

    while ((c = view_next(in)) != '-') {
        int six = sextet_of(c);
        if (six < 0)
            return RC_SYNTAX;
        bits = bits << 6 | (uint32_t)six;
        n_bits += 6;
        if (n_bits < 16)
            continue;
        n_bits -= 16;
        uint32_t unit = bits >> n_bits & 0xffff;
        bits &= (1u << n_bits) - 1;
        if (high) {
            if (unit < 0xdc00 || unit > 0xdfff)
                return RC_SYNTAX;
            utf8_put(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
        } else if (unit >= 0xd800 && unit <= 0xdbff) {
            high = unit;
        } else if ((unit >= 0xdc00 && unit <= 0xdfff) || is_direct(unit)) {
            return RC_SYNTAX;
        } else {
            utf8_put(out, unit);
        }
    }
    return high || n_bits >= 6 || bits ? RC_SYNTAX : RC_OK;
}

enum rc imap_mutf7_decode(struct view in, struct buf *out)
{
    bool shifted_before = false;

    while (in.n > 0) {
        int c = view_next(&in);
        if (!is_direct((uint32_t)c))
            return RC_SYNTAX;
        if (c != '&') {
            buf_chr(out, (char)c);
            shifted_before = false;
        } else if (view_take_chr(&in, '-')) {
            buf_chr(out, '&');
            shifted_before = false;
        } else if (shifted_before || decode_shifted(&in, out) != RC_OK) {
            return RC_SYNTAX;
        } else {
            shifted_before = true;
        }
    }
    return buf_rc(out);
}

struct shift {
    uint32_t bits;
    unsigned n_bits;
};

static void put_unit(struct buf *out, struct shift *s, uint32_t unit)
{
    s->bits = s->bits << 16 | unit;
    s->n_bits += 16;
    while (s->n_bits >= 6) {
        s->n_bits -= 6;
        buf_chr(out, ALPHABET[s->bits >> s->n_bits & 63]);
        s->bits &= (1u << s->n_bits) - 1;
    }
}

enum rc imap_mutf7_encode(struct view in, struct buf *out)
{
    uint32_t cp;

    while (in.n > 0) {
        if (utf8_next(&in, &cp) != RC_OK)
            return RC_SYNTAX;
        if (is_direct(cp)) {
            buf_chr(out, (char)cp);
            if (cp == '&')
                buf_chr(out, '-');
            continue;
        }
        struct shift s = {0};
        buf_chr(out, '&');
        for (;;) {
            if (cp >= 0x10000) {
                put_unit(out, &s, 0xd800 + ((cp - 0x10000) >> 10));
                put_unit(out, &s, 0xdc00 + ((cp - 0x10000) & 0x3ff));
            } else {
                put_unit(out, &s, cp);
            }
            struct view ahead = in;
            if (utf8_next(&ahead, &cp) != RC_OK || is_direct(cp))
                break;
            in = ahead;
        }
        if (s.n_bits > 0)
            buf_chr(out, ALPHABET[s.bits << (6 - s.n_bits) & 63]);
        buf_chr(out, '-');
    }
    return buf_rc(out);
}
