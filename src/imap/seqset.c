#include "imap/seqset.h"

#include <stdlib.h>

static bool is_set_char(unsigned char c)
{
    return is_digit(c) || c == ':' || c == ',' || c == '*';
}

static enum rc parse_number(struct view *in, uint32_t *out)
{
    if (view_take_chr(in, '*')) {
        *out = IMAP_SEQSET_STAR;
        return RC_OK;
    }
    if (view_peek(*in) == '0') /* nz-number */
        return RC_SYNTAX;
    return view_u32(in, UINT32_MAX, out) == RC_OK ? RC_OK : RC_SYNTAX;
}

enum rc imap_seqset_parse(struct view *in, struct arena *a, struct imap_seqset *out)
{
    struct view cur = *in, count = *in;
    struct view text = view_take_while(&count, is_set_char);
    size_t n = 1;

    for (struct view rest = text, part; view_split(&rest, ',', &part);)
        n++;
    if (n > IMAP_SEQSET_RANGES_MAX)
        return RC_LIMIT;
    struct imap_range *ranges = arena_new_array(a, n, struct imap_range);
    if (!ranges)
        return RC_TEMP;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !view_take_chr(&cur, ','))
            return RC_SYNTAX;
        if (parse_number(&cur, &ranges[i].lo) != RC_OK)
            return RC_SYNTAX;
        ranges[i].hi = ranges[i].lo;
        if (view_take_chr(&cur, ':') && parse_number(&cur, &ranges[i].hi) != RC_OK)
            return RC_SYNTAX;
    }
    if (cur.n > 0 && is_set_char((unsigned char)view_peek(cur)))
        return RC_SYNTAX;
    out->ranges = ranges;
    out->n = n;
    *in = cur;
    return RC_OK;
}

uint32_t imap_seqset_highest(const struct imap_seqset *set)
{
    uint32_t top = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct imap_range *r = &set->ranges[i];
        if (r->lo == IMAP_SEQSET_STAR || r->hi == IMAP_SEQSET_STAR)
            continue;
        top = r->lo > top ? r->lo : top;
        top = r->hi > top ? r->hi : top;
    }
    return top;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct imap_range *x = a, *y = b;

    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void imap_seqset_resolve(struct imap_seqset *set, uint32_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        struct imap_range r = set->ranges[i];
        r.lo = r.lo == IMAP_SEQSET_STAR ? max : r.lo;
        r.hi = r.hi == IMAP_SEQSET_STAR ? max : r.hi;
        if (r.lo > r.hi)
            r = (struct imap_range){r.hi, r.lo};
        if (r.lo == 0)
            r.lo = 1;
        if (r.hi > max)
            r.hi = max;
        if (r.lo <= r.hi)
            set->ranges[n++] = r;
    }
    set->n = n;
    if (n < 2)
        return;
    qsort(set->ranges, n, sizeof *set->ranges, compare_ranges);
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        struct imap_range r = set->ranges[i], *l = &set->ranges[last];
        if (l->hi == UINT32_MAX || r.lo <= l->hi + 1)
            l->hi = r.hi > l->hi ? r.hi : l->hi;
        else
            set->ranges[++last] = r;
    }
    set->n = last + 1;
}

bool imap_seqset_has(const struct imap_seqset *set, uint32_t n)
{
    size_t lo = 0, hi = set->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (set->ranges[mid].hi < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < set->n && set->ranges[lo].lo <= n;
}

uint64_t imap_seqset_count(const struct imap_seqset *set)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < set->n; i++)
        sum += (uint64_t)set->ranges[i].hi - set->ranges[i].lo + 1;
    return sum;
}

void imap_seqset_write(struct buf *out, const uint32_t *numbers, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end + 1 < n && numbers[end] != UINT32_MAX && numbers[end + 1] == numbers[end] + 1)
            end++;
        if (i > 0)
            buf_chr(out, ',');
        buf_u64(out, numbers[i]);
        if (end > i) {
            buf_chr(out, ':');
            buf_u64(out, numbers[end]);
        }
        i = end + 1;
    }
}
