#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_clear(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->fail = RC_OK;
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->size);
    buf_reset(b);
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->fail != RC_OK)
        return NULL;
    if (n > b->max - b->n) {
        b->fail = RC_LIMIT;
        return NULL;
    }
    if (b->size - b->n < n || !b->p) {
        size_t size = b->size ? b->size : 64;
        while (size < b->n + n)
            size = size > b->max / 2 ? b->max : size * 2;
        char *p = realloc(b->p, size ? size : 1);
        if (!p) {
            b->fail = RC_TEMP;
            return NULL;
        }
        b->p = p;
        b->size = size;
    }
    return b->p + b->n;
}

void buf_grew(struct buf *b, size_t n)
{
    bug_if(n > b->size - b->n);
    b->n += n;
}

void buf_add(struct buf *b, struct view v)
{
    if (v.n == 0)
        return;
    char *p = buf_room(b, v.n);
    if (!p)
        return;
    memcpy(p, v.p, v.n);
    b->n += v.n;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, view_str(s));
}

void buf_chr(struct buf *b, char c)
{
    char *p = b->n < b->size && b->n < b->max && b->fail == RC_OK ? b->p + b->n : buf_room(b, 1);
    if (p) {
        *p = c;
        b->n++;
    }
}

void buf_u64(struct buf *b, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    buf_add(b, view_of(digits + at, sizeof digits - at));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

void buf_line_part(struct buf *b, struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == '\0') {
            if (b->fail == RC_OK)
                b->fail = RC_SYNTAX;
            return;
        }
    buf_add(b, v);
}
