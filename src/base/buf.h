/* base/buf: owned bytes that grow up to a cap and remember their first failure, so that one check after
 * ten appends is enough. Not thread-safe. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/view.h"

struct buf {
    char *p;
    size_t n, size;
    size_t max;   /* never longer than this */
    enum rc fail; /* RC_OK, RC_LIMIT (past max) or RC_TEMP (no memory); appends after a failure do nothing */
};

/* Takes no memory yet. */
void buf_init(struct buf *b, size_t max);
/* Frees. The buffer can be used again with the same max. Accepts a zeroed struct. */
void buf_clear(struct buf *b);
/* Empty and without failure, memory kept. */
void buf_reset(struct buf *b);
/* Zeroes the bytes first: for secrets. */
void buf_wipe(struct buf *b);

void buf_add(struct buf *b, struct view v);
void buf_str(struct buf *b, const char *s);
void buf_chr(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As above, for one line of a protocol or one header: RC_SYNTAX is remembered where v has CR, LF or NUL. */
void buf_line_part(struct buf *b, struct view v);
/* Room for n more bytes at the end, not yet counted; NULL on failure. Then count them by buf_grew. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
/* RC_OK, or the first failure. */
static inline enum rc buf_rc(const struct buf *b)
{
    return b->fail;
}
static inline struct view buf_view(const struct buf *b)
{
    return view_of(b->p, b->n);
}

#endif
