#include "message/header.h"

bool header_line(struct view *in, struct view *line)
{
    if (in->n == 0)
        return false;
    size_t at = view_chr(*in, '\n');
    *line = at == VIEW_NONE ? *in : view_slice(*in, 0, at + 1);
    view_skip(in, line->n);
    return true;
}

bool header_line_is_empty(struct view line)
{
    return view_eq(line, VIEW("\r\n")) || view_eq(line, VIEW("\n"));
}

size_t header_length(struct view message)
{
    struct view in = message, line;
    while (header_line(&in, &line))
        if (header_line_is_empty(line))
            break;
    return message.n - in.n;
}

struct view header_of(struct view message)
{
    return view_slice(message, 0, header_length(message));
}

struct view header_body(struct view message)
{
    return view_from(message, header_length(message));
}

static struct view without_line_end(struct view v)
{
    if (v.n > 0 && v.p[v.n - 1] == '\n')
        v.n--;
    if (v.n > 0 && v.p[v.n - 1] == '\r')
        v.n--;
    return v;
}

bool header_next(struct view *in, struct header_field *out)
{
    struct view start = *in, rest = *in, line;
    if (!header_line(&rest, &line) || header_line_is_empty(line))
        return false;
    while (is_wsp((unsigned char)view_peek(rest)) && rest.n > 0) {
        struct view fold;
        header_line(&rest, &fold);
    }
    out->whole = view_slice(start, 0, start.n - rest.n);
    size_t colon = view_chr(line, ':');
    if (colon == VIEW_NONE || is_wsp((unsigned char)line.p[0])) {
        out->name = view_slice(start, 0, 0);
        out->value = without_line_end(out->whole);
    } else {
        out->name = view_slice(start, 0, colon);
        while (out->name.n > 0 && is_wsp((unsigned char)out->name.p[out->name.n - 1]))
            out->name.n--; /* RFC 5322 §4.5: obsolete blanks before the colon */
        out->value = without_line_end(view_from(out->whole, colon + 1));
    }
    *in = rest;
    return true;
}

enum rc header_find(struct view section, struct view name, unsigned nth, struct header_field *out)
{
    struct header_field field;
    struct view in = view_slice(section, 0, HEADER_MAX);
    for (unsigned i = 0; i < HEADER_FIELDS_MAX && header_next(&in, &field); i++) {
        if (view_ieq(field.name, name) && nth-- == 0) {
            *out = field;
            return RC_OK;
        }
    }
    return RC_NOTFOUND;
}

enum rc header_find_last(struct view section, struct view name, struct header_field *out)
{
    enum rc rc = RC_NOTFOUND;
    struct header_field field;
    struct view in = view_slice(section, 0, HEADER_MAX);
    for (unsigned i = 0; i < HEADER_FIELDS_MAX && header_next(&in, &field); i++) {
        if (view_ieq(field.name, name)) {
            *out = field;
            rc = RC_OK;
        }
    }
    return rc;
}

unsigned header_count(struct view section, struct view name)
{
    unsigned n = 0;
    struct header_field field;
    struct view in = view_slice(section, 0, HEADER_MAX);
    for (unsigned i = 0; i < HEADER_FIELDS_MAX && header_next(&in, &field); i++)
        n += view_ieq(field.name, name);
    return n;
}

struct view header_value(struct view section, struct view name)
{
    struct header_field field;
    if (header_find(section, name, 0, &field) != RC_OK)
        return view_slice(section, 0, 0);
    return view_trim(field.value);
}

void header_unfold(struct view value, struct buf *out)
{
    value = view_trim(value);
    while (value.n > 0) {
        size_t n = 0;
        while (n < value.n && value.p[n] != '\r' && value.p[n] != '\n' && value.p[n] != '\0')
            n++;
        buf_add(out, view_slice(value, 0, n));
        view_skip(&value, n);
        if (value.n == 0)
            break;
        size_t end = view_starts(value, VIEW("\r\n")) ? 2 : 1;
        bool is_fold = value.p[end - 1] == '\n' && value.n > end && is_wsp((unsigned char)value.p[end]);
        if (!is_fold)
            buf_chr(out, ' ');
        view_skip(&value, end);
    }
}

enum rc header_cuts(struct view message, const struct view *names, size_t n_names, struct header_cut *cuts,
                    size_t max_cuts, size_t *n_cuts)
{
    struct header_field field;
    struct view in = message;
    *n_cuts = 0;
    /* Without the limits of a search: what must not go out must not go out from behind them either. */
    for (size_t at = 0; header_next(&in, &field); at += field.whole.n) {
        bool is_named = false;
        for (size_t i = 0; i < n_names && !is_named; i++)
            is_named = view_ieq(field.name, names[i]);
        if (!is_named)
            continue;
        if (*n_cuts == max_cuts)
            return RC_LIMIT;
        cuts[(*n_cuts)++] = (struct header_cut){at, field.whole.n};
    }
    return RC_OK;
}

void header_write(struct buf *out, struct view name, struct view value)
{
    size_t column = name.n + 1;
    buf_line_part(out, name);
    buf_chr(out, ':');
    value = view_trim(value);
    while (value.n > 0) {
        /* One word with the blanks before it; the first gets one blank. */
        size_t blanks = 0, n;
        while (blanks < value.n && is_wsp((unsigned char)value.p[blanks]))
            blanks++;
        for (n = blanks; n < value.n && !is_wsp((unsigned char)value.p[n]);)
            n++;
        bool is_first = blanks == 0;
        if (!is_first && column + n > HEADER_LINE_FOLD) {
            buf_str(out, "\r\n");
            column = 0;
        }
        if (is_first)
            buf_chr(out, ' ');
        buf_line_part(out, view_slice(value, 0, n));
        column += n + is_first;
        view_skip(&value, n);
    }
    buf_str(out, "\r\n");
}
