#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MAX (256u << 10)
#define ALIGN     _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t cap)
{
    *a = (struct arena){.cap = cap};
}

static void free_from(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_clear(struct arena *a)
{
    free_from(a->head);
    a->head = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *first = a->head; /* the oldest, which is the smallest */
    while (first && first->next) {
        struct arena_block *next = first->next;
        free(first);
        first = next;
    }
    if (first)
        first->used = 0;
    a->head = first;
    a->used = 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGN)
        return NULL;
    n = n == 0 ? ALIGN : (n + ALIGN - 1) / ALIGN * ALIGN;
    if (n > a->cap || a->used > a->cap - n)
        return NULL;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < n) {
        size_t size = b ? b->size * 2 : ARENA_BLOCK - sizeof *b;
        if (size > BLOCK_MAX)
            size = BLOCK_MAX;
        if (size < n)
            size = n;
        b = malloc(sizeof *b + size);
        if (!b)
            return NULL;
        b->next = a->head;
        b->size = size;
        b->used = 0;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += n;
    a->used += n;
    return memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, n * size);
}

void *arena_more(struct arena *a, void *list, size_t n, size_t size)
{
    if ((n & (n - 1)) != 0) /* not a power of two: there is room */
        return list;
    char *more = arena_array(a, n ? 2 * n : 1, size);
    if (more && n > 0)
        memcpy(more, list, n * size);
    return more;
}

enum rc view_dup(struct arena *a, struct view v, struct view *out)
{
    char *p = arena_alloc(a, v.n);
    if (!p)
        return RC_TEMP;
    if (v.n > 0)
        memcpy(p, v.p, v.n);
    *out = view_of(p, v.n);
    return RC_OK;
}

char *arena_cstr(struct arena *a, struct view v)
{
    char *p = v.n < SIZE_MAX ? arena_alloc(a, v.n + 1) : NULL;
    if (!p || view_cstr(v, p, v.n + 1) != RC_OK)
        return NULL;
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}
