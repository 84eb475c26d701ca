/* base/view: borrowed bytes, and the one cursor by which input from outside is read.
 * A view has no final NUL and may contain one. Parsers take `struct view *in` and move it past what they
 * read; on failure they leave it where it was. Pure; any thread. */
#ifndef BASE_VIEW_H
#define BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rc.h"

struct view {
    const char *p;
    size_t n;
};

/* A string literal as a view; also usable in static initialisers through VIEW_INIT. */
#define VIEW(lit)      ((struct view){("" lit), sizeof(lit) - 1})
#define VIEW_INIT(lit) {("" lit), sizeof(lit) - 1}
/* For printf's "%.*s". */
#define VIEW_FMT(v) (int)(v).n, (v).p ? (v).p : ""

static inline struct view view_of(const void *p, size_t n)
{
    return (struct view){p, n};
}
/* NULL gives the empty view. */
static inline struct view view_str(const char *s)
{
    return (struct view){s ? s : "", s ? strlen(s) : 0};
}
static inline bool view_is_empty(struct view v)
{
    return v.n == 0;
}
bool view_eq(struct view a, struct view b);
/* ASCII letters compare without case; other bytes exactly. */
bool view_ieq(struct view a, struct view b);
/* Order of bytes, for sorting. */
int view_cmp(struct view a, struct view b);
int view_icmp(struct view a, struct view b);
bool view_starts(struct view v, struct view prefix);
bool view_istarts(struct view v, struct view prefix);
bool view_ends(struct view v, struct view suffix);
bool view_iends(struct view v, struct view suffix);

/* [from, from+len), cut to what is there. */
struct view view_slice(struct view v, size_t from, size_t len);
/* All from `from` on. */
struct view view_from(struct view v, size_t from);
/* Without spaces, tabs, CR and LF at both ends. */
struct view view_trim(struct view v);

#define VIEW_NONE SIZE_MAX
/* Index of the first such byte / text, or VIEW_NONE. */
size_t view_chr(struct view v, char c);
size_t view_rchr(struct view v, char c);
size_t view_find(struct view v, struct view needle);
/* ASCII letters without case; linear for the needles that people type. */
size_t view_ifind(struct view v, struct view needle);
bool view_has_ctl(struct view v); /* any byte < 0x20 or 0x7f */
bool view_is_ascii(struct view v);

/* --- the cursor --- */

/* The next byte without moving, or -1 at the end. */
static inline int view_peek(struct view in)
{
    return in.n > 0 ? (unsigned char)in.p[0] : -1;
}
/* The next byte, moving past it, or -1. */
static inline int view_next(struct view *in)
{
    if (in->n == 0)
        return -1;
    in->n--;
    return (unsigned char)*in->p++;
}
/* Moves past n bytes (at most all of them). */
static inline void view_skip(struct view *in, size_t n)
{
    if (n > in->n)
        n = in->n;
    if (n == 0)
        return; /* a NULL may not be moved, not even by nothing */
    in->p += n;
    in->n -= n;
}
/* Past this byte / literal / literal without case, if it stands here. */
bool view_take_chr(struct view *in, char c);
bool view_take(struct view *in, struct view lit);
bool view_itake(struct view *in, struct view lit);
/* Past spaces and tabs; says how many. */
size_t view_take_wsp(struct view *in);
/* Bytes before `sep`; *in moves past sep. False (and *out = all, *in empty) where sep does not occur. */
bool view_split(struct view *in, char sep, struct view *out);
/* Longest run of bytes for which is(byte) holds. */
struct view view_take_while(struct view *in, bool (*is)(unsigned char));

/* A decimal number without sign at the cursor. RC_SYNTAX: no digit here. RC_LIMIT: above max. */
enum rc view_u64(struct view *in, uint64_t max, uint64_t *out);
enum rc view_u32(struct view *in, uint32_t max, uint32_t *out);
/* The whole view is such a number. */
bool view_is_u64(struct view v, uint64_t max, uint64_t *out);
/* The whole view is such a number in hexadecimal digits of either case. */
bool view_is_hex(struct view v, uint64_t max, uint64_t *out);

/* Copies into dst with a final NUL. RC_SYNTAX: contains NUL. RC_LIMIT: does not fit size. */
enum rc view_cstr(struct view v, char *dst, size_t size);

/* ASCII only, whatever the locale. */
static inline bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}
static inline bool is_alpha(unsigned char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}
static inline bool is_alnum(unsigned char c)
{
    return is_digit(c) || is_alpha(c);
}
static inline bool is_wsp(unsigned char c)
{
    return c == ' ' || c == '\t';
}
static inline unsigned char to_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}
static inline unsigned char to_upper(unsigned char c)
{
    return c >= 'a' && c <= 'z' ? c - 32 : c;
}

#endif
