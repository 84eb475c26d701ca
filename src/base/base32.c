#include "base/base32.h"

void base32_encode(struct view in, struct buf *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned n = 0;

    for (size_t i = 0; i < in.n; i++) {
        bits = bits << 8 | (unsigned char)in.p[i];
        for (n += 8; n >= 5; n -= 5)
            buf_chr(out, alphabet[bits >> (n - 5) & 31]);
    }
    if (n > 0)
        buf_chr(out, alphabet[bits << (5 - n) & 31]);
}
