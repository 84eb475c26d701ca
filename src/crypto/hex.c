#include "crypto/hex.h"

static const char digits[] = "0123456789abcdef";

static int digit_value(unsigned char c)
{
    if (is_digit(c))
        return c - '0';
    c = to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void hex_encode(struct view in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        buf_add(out, view_of((char[2]){digits[c >> 4], digits[c & 15]}, 2));
    }
}

void hex_write(struct view in, char *out)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        out[2 * i] = digits[c >> 4];
        out[2 * i + 1] = digits[c & 15];
    }
    out[2 * in.n] = '\0';
}

enum rc hex_decode(struct view in, struct buf *out)
{
    if (in.n % 2 != 0)
        return RC_SYNTAX;
    while (in.n > 0) {
        int hi = digit_value((unsigned char)view_next(&in)), lo = digit_value((unsigned char)view_next(&in));
        if (hi < 0 || lo < 0)
            return RC_SYNTAX;
        buf_chr(out, (char)(hi << 4 | lo));
    }
    return buf_rc(out);
}
