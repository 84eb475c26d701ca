#include "mailauth/dkim_fields.h"

#include <stdlib.h>

struct dkim_field_name {
    struct view name;
    size_t field; /* index */
    size_t taken; /* of the first of its name: how many were chosen */
};

static int by_name(const void *a, const void *b)
{
    const struct dkim_field_name *x = a, *y = b;
    int order = view_icmp(x->name, y->name);
    return order ? order : x->field < y->field ? 1 : -1;
}

/* Where this name's fields begin in names, or would. */
static size_t find_name(const struct dkim_fields *f, struct view name)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (view_icmp(f->names[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t field_at(const struct dkim_fields *f, size_t at, struct view name)
{
    return at < f->n && view_ieq(f->names[at].name, name) ? f->names[at].field : DKIM_NO_FIELD;
}

static void put_lower(struct buf *out, struct view v)
{
    char *room = buf_room(out, v.n);
    if (!room)
        return;
    for (size_t i = 0; i < v.n; i++)
        room[i] = (char)to_lower((unsigned char)v.p[i]);
    buf_grew(out, v.n);
}

/* RFC 6376 §3.4.2: line ends go, runs of blanks become one, those at both ends go. A bare CR is an ordinary byte. */
static void put_relaxed(struct buf *out, struct view value)
{
    char *room = buf_room(out, value.n);
    size_t n = 0;
    bool has_blank = false;
    if (!room)
        return;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n' || (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n'))
            continue;
        if (is_wsp((unsigned char)c)) {
            has_blank = true;
            continue;
        }
        if (has_blank && n > 0)
            room[n++] = ' ';
        has_blank = false;
        room[n++] = c;
    }
    buf_grew(out, n);
}

/* As it is, every line end as CRLF. */
static void put_simple(struct buf *out, struct view text)
{
    struct view line;
    while (header_line(&text, &line)) {
        bool has_end = view_ends(line, VIEW("\n"));
        if (has_end)
            line.n--;
        if (has_end && view_ends(line, VIEW("\r")))
            line.n--;
        buf_add(out, line);
        if (has_end)
            buf_str(out, "\r\n");
    }
}

enum rc dkim_fields_new(struct view header, struct arena *a, struct dkim_fields *out)
{
    struct view in = header;
    struct header_field field;
    size_t n = 0;

    *out = (struct dkim_fields){0};
    if (header.n > HEADER_MAX)
        return RC_LIMIT;
    while (header_next(&in, &field))
        if (++n > HEADER_FIELDS_MAX)
            return RC_LIMIT;
    out->field = arena_new_array(a, n, struct header_field);
    out->names = arena_new_array(a, n, struct dkim_field_name);
    if (!out->field || !out->names)
        return RC_TEMP;
    for (in = header; out->n < n && header_next(&in, &out->field[out->n]); out->n++)
        out->names[out->n] = (struct dkim_field_name){.name = out->field[out->n].name, .field = out->n};
    if (n > 0)
        qsort(out->names, n, sizeof *out->names, by_name);
    return RC_OK;
}

size_t dkim_fields_last(const struct dkim_fields *f, struct view name)
{
    return field_at(f, find_name(f, name), name);
}

void dkim_fields_start(struct dkim_fields *f)
{
    for (size_t i = 0; i < f->n; i++)
        f->names[i].taken = 0;
}

size_t dkim_fields_choose(struct dkim_fields *f, struct view name, size_t except)
{
    size_t first = find_name(f, name);
    if (name.n == 0 || field_at(f, first, name) == DKIM_NO_FIELD)
        return DKIM_NO_FIELD;
    size_t *taken = &f->names[first].taken, chosen = field_at(f, first + *taken, name);
    if (chosen != DKIM_NO_FIELD && chosen == except)
        chosen = field_at(f, first + ++*taken, name);
    if (chosen != DKIM_NO_FIELD)
        ++*taken;
    return chosen;
}

void dkim_field_write(enum dkim_canon canon, const struct header_field *field, struct buf *out)
{
    if (canon == DKIM_SIMPLE) {
        put_simple(out, field->whole);
        if (!view_ends(field->whole, VIEW("\n"))) /* the message ends within its header */
            buf_str(out, "\r\n");
        return;
    }
    put_lower(out, field->name);
    buf_chr(out, ':');
    put_relaxed(out, field->value);
    buf_str(out, "\r\n");
}

void dkim_field_write_signature(enum dkim_canon canon, const struct header_field *field, size_t at, size_t n, struct buf *out)
{
    struct buf rest;
    buf_init(&rest, field->value.n);
    buf_add(&rest, view_slice(field->value, 0, at));
    buf_add(&rest, view_from(field->value, at + n));
    if (rest.fail != RC_OK) {
        out->fail = rest.fail;
    } else if (canon == DKIM_SIMPLE) {
        size_t colon = view_chr(field->whole, ':');
        buf_add(out, view_slice(field->whole, 0, colon + 1));
        put_simple(out, buf_view(&rest));
    } else {
        put_lower(out, field->name);
        buf_chr(out, ':');
        put_relaxed(out, buf_view(&rest));
    }
    buf_clear(&rest);
}
