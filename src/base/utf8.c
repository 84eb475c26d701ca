#include "base/utf8.h"

enum rc utf8_next(struct view *in, uint32_t *cp)
{
    if (in->n == 0)
        return RC_NOTFOUND;
    unsigned char c = (unsigned char)in->p[0];
    unsigned more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
    if (more == 9 || in->n < more + 1)
        return RC_SYNTAX;
    uint32_t value = more == 0 ? c : c & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        unsigned char next = (unsigned char)in->p[i];
        if ((next & 0xc0) != 0x80)
            return RC_SYNTAX;
        value = value << 6 | (next & 0x3f);
    }
    if ((more == 2 && value < 0x800) || (more == 3 && value < 0x10000) || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000))
        return RC_SYNTAX;
    view_skip(in, more + 1);
    *cp = value;
    return RC_OK;
}

bool utf8_is_valid(struct view v)
{
    uint32_t cp;
    while (v.n > 0) {
        /* Plain ASCII, the common case, eight bytes at a time. */
        uint64_t word;
        if (v.n >= 8 && (memcpy(&word, v.p, 8), (word & UINT64_C(0x8080808080808080)) == 0)) {
            view_skip(&v, 8);
            continue;
        }
        if (utf8_next(&v, &cp) != RC_OK)
            return false;
    }
    return true;
}

void utf8_put(struct buf *b, uint32_t cp)
{
    char c[4];
    size_t n;
    if (cp < 0x80) {
        c[0] = (char)cp;
        n = 1;
    } else if (cp < 0x800) {
        c[0] = (char)(0xc0 | cp >> 6);
        c[1] = (char)(0x80 | (cp & 0x3f));
        n = 2;
    } else if (cp < 0x10000) {
        c[0] = (char)(0xe0 | cp >> 12);
        c[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        c[2] = (char)(0x80 | (cp & 0x3f));
        n = 3;
    } else {
        c[0] = (char)(0xf0 | cp >> 18);
        c[1] = (char)(0x80 | (cp >> 12 & 0x3f));
        c[2] = (char)(0x80 | (cp >> 6 & 0x3f));
        c[3] = (char)(0x80 | (cp & 0x3f));
        n = 4;
    }
    buf_add(b, view_of(c, n));
}

void utf8_clean(struct view v, struct buf *out)
{
    uint32_t cp;
    while (v.n > 0) {
        if (utf8_next(&v, &cp) == RC_OK) {
            utf8_put(out, cp);
        } else {
            utf8_put(out, 0xfffd);
            view_skip(&v, 1);
        }
    }
}
