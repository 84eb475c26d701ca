#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* One more than a character's value; 0 where it has none. */
static const unsigned char values[256] = {
    ['A'] = 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['+'] = 63,
    ['/'] = 64,
};

static int value_of(char c)
{
    return values[(unsigned char)c] - 1;
}

/* The bytes of `have` (2 to 4) collected sextets; gives how many. */
static size_t write_group(const unsigned sextet[4], unsigned have, char out[3])
{
    out[0] = (char)(sextet[0] << 2 | sextet[1] >> 4);
    if (have > 2)
        out[1] = (char)(sextet[1] << 4 | sextet[2] >> 2);
    if (have > 3)
        out[2] = (char)(sextet[2] << 6 | sextet[3]);
    return have - 1;
}

enum rc base64_decode(struct view in, struct buf *out)
{
    if (in.n % 4 != 0)
        return RC_SYNTAX;
    const size_t padding = !view_ends(in, VIEW("=")) ? 0 : view_ends(in, VIEW("==")) ? 2 : 1;
    char *room = buf_room(out, in.n / 4 * 3 - padding);
    if (!room)
        return buf_rc(out);
    size_t n = 0;
    while (in.n > 0) {
        unsigned sextet[4] = {0}, have = 4;
        if (in.n == 4 && in.p[3] == '=')
            have = in.p[2] == '=' ? 2 : 3;
        for (unsigned i = 0; i < have; i++) {
            int v = value_of(in.p[i]);
            if (v < 0)
                return RC_SYNTAX;
            sextet[i] = (unsigned)v;
        }
        n += write_group(sextet, have, &room[n]);
        view_skip(&in, 4);
    }
    buf_grew(out, n);
    return buf_rc(out);
}

void base64_decode_mime(struct view in, struct buf *out)
{
    unsigned sextet[4] = {0}, have = 0;
    char bytes[3];
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        int v = value_of(in.p[i]);
        if (v < 0)
            continue;
        sextet[have++] = (unsigned)v;
        if (have == 4) {
            buf_add(out, view_of(bytes, write_group(sextet, 4, bytes)));
            have = 0;
        }
    }
    if (have >= 2)
        buf_add(out, view_of(bytes, write_group(sextet, have, bytes)));
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

void base64_encode_url(struct view in, struct buf *out)
{
    size_t from = out->n;
    base64_encode(in, out);
    if (buf_rc(out) != RC_OK)
        return;
    while (out->n > from && out->p[out->n - 1] == '=')
        out->n--;
    for (size_t i = from; i < out->n; i++)
        out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
}

enum rc base64_decode_url(struct view in, struct buf *out)
{
    struct buf plain;
    buf_init(&plain, in.n + 3);
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        buf_chr(&plain, c == '-' ? '+' : c == '_' ? '/' : c == '+' || c == '/' || c == '=' ? '!' : c);
    }
    for (size_t i = in.n; i % 4 != 0; i++)
        buf_chr(&plain, '=');
    enum rc rc = buf_rc(&plain) != RC_OK ? buf_rc(&plain) : in.n % 4 == 1 ? RC_SYNTAX : base64_decode(buf_view(&plain), out);
    buf_clear(&plain);
    return rc;
}
