#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes of `have` (2 to 4) collected sextets. */
static void emit(struct buf *out, const unsigned sextet[4], unsigned have)
{
    char bytes[3] = {
        (char)(sextet[0] << 2 | sextet[1] >> 4),
        (char)(sextet[1] << 4 | sextet[2] >> 2),
        (char)(sextet[2] << 6 | sextet[3]),
    };
    buf_add(out, view_of(bytes, have - 1));
}

enum rc base64_decode(struct view in, struct buf *out)
{
    if (in.n % 4 != 0)
        return RC_SYNTAX;
    while (in.n > 0) {
        unsigned sextet[4] = {0}, have = 4;
        if (in.n == 4 && in.p[3] == '=')
            have = in.p[2] == '=' ? 2 : 3;
        for (unsigned i = 0; i < have; i++) {
            int v = value_of((unsigned char)in.p[i]);
            if (v < 0)
                return RC_SYNTAX;
            sextet[i] = (unsigned)v;
        }
        emit(out, sextet, have);
        view_skip(&in, 4);
    }
    return buf_rc(out);
}

void base64_decode_mime(struct view in, struct buf *out)
{
    unsigned sextet[4] = {0}, have = 0;
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        int v = value_of((unsigned char)in.p[i]);
        if (v < 0)
            continue;
        sextet[have++] = (unsigned)v;
        if (have == 4) {
            emit(out, sextet, 4);
            have = 0;
            memset(sextet, 0, sizeof sextet);
        }
    }
    if (have >= 2)
        emit(out, sextet, have);
}

static void encode_group(struct view in, struct buf *out)
{
    unsigned a = (unsigned char)in.p[0];
    unsigned b = in.n > 1 ? (unsigned char)in.p[1] : 0;
    unsigned c = in.n > 2 ? (unsigned char)in.p[2] : 0;
    char text[4] = {
        alphabet[a >> 2],
        alphabet[(a & 3) << 4 | b >> 4],
        in.n > 1 ? alphabet[(b & 15) << 2 | c >> 6] : '=',
        in.n > 2 ? alphabet[c & 63] : '=',
    };
    buf_add(out, view_of(text, 4));
}

void base64_encode(struct view in, struct buf *out)
{
    for (; in.n > 0; view_skip(&in, 3))
        encode_group(view_slice(in, 0, 3), out);
}

void base64_encode_mime(struct view in, struct buf *out)
{
    for (; in.n > 0; view_skip(&in, 57)) {
        base64_encode(view_slice(in, 0, 57), out);
        buf_str(out, "\r\n");
    }
}
