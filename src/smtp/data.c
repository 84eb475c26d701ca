#include "smtp/data.h"

static void consume(struct smtp_dots *d, struct view *in, size_t n)
{
    const struct view v = view_slice(*in, 0, n);
    if (n == 0)
        return;
    bool lf = v.p[n - 1] == '\n';
    d->at_line = lf && (n > 1 ? v.p[n - 2] == '\r' : d->had_cr);
    d->had_cr = v.p[n - 1] == '\r';
    view_skip(in, n);
}

static bool begins_line(const struct smtp_dots *d, struct view in, size_t at)
{
    if (at >= 2)
        return in.p[at - 1] == '\n' && in.p[at - 2] == '\r';
    if (at == 1)
        return in.p[0] == '\n' && d->had_cr;
    return d->at_line;
}

/* Where the next dot at the begin of a line stands; in.n where there is none. Text has few dots, and those
 * that are met are mostly at no line's begin: far cheaper than to look at each line. */
static size_t find_line_dot(const struct smtp_dots *d, struct view in)
{
    size_t at = 0;
    for (;;) {
        size_t next = view_chr(view_from(in, at), '.');
        if (next == VIEW_NONE)
            return in.n;
        at += next;
        if (begins_line(d, in, at))
            return at;
        at++;
    }
}

enum smtp_dots_step smtp_dots_next(struct smtp_dots *d, struct view *in, struct view *out)
{
    if (in->n == 0)
        return DOTS_MORE;
    if (d->at_line && in->p[0] == '.') {
        if (in->n < 3 && (in->n < 2 || in->p[1] == '\r'))
            return DOTS_MORE;
        if (view_starts(*in, VIEW(".\r\n"))) {
            consume(d, in, 3);
            return DOTS_END;
        }
        consume(d, in, 1); /* the dot that the client put there */
    }
    size_t n = find_line_dot(d, *in);
    *out = view_slice(*in, 0, n);
    consume(d, in, n);
    return DOTS_CONTENT;
}

void smtp_text_init(struct smtp_text *t, bool binary)
{
    *t = (struct smtp_text){.in_header = true, .binary = binary};
}

/* A part of a header line, the line's end not included. */
static void watch_name(struct smtp_text *t, struct view part)
{
    static const struct view name = VIEW_INIT("received:");
    if (t->no_match || t->line_n >= name.n)
        return;
    struct view want = view_slice(view_from(name, t->line_n), 0, part.n);
    if (!view_istarts(part, want))
        t->no_match = true;
    else if (t->line_n + want.n == name.n)
        t->n_received++;
}

/* At CR LF of a header line whose text had line_n bytes. */
static void end_header_line(struct smtp_text *t, uint64_t at)
{
    if (t->line_n == 0) {
        t->in_header = false;
        t->header_n = at;
    }
    t->line_n = 0;
    t->no_match = false;
}

static bool is_8bit(struct view v)
{
    uint64_t eight;
    while (v.n >= sizeof eight) {
        memcpy(&eight, v.p, sizeof eight);
        if (eight & 0x8080808080808080)
            return true;
        view_skip(&v, sizeof eight);
    }
    return !view_is_ascii(v);
}

void smtp_text_add(struct smtp_text *t, struct view content)
{
    uint64_t at = t->n; /* of the byte that `content` begins with */
    t->n += content.n;
    t->has_8bit = t->has_8bit || is_8bit(content);
    while (content.n > 0) {
        if (!t->in_header && (t->binary || smtp_text_is_bare(t)))
            return;
        size_t lf = view_chr(content, '\n');
        bool has_end = lf != VIEW_NONE;
        struct view line = view_slice(content, 0, has_end ? lf : content.n);
        size_t cr = view_chr(line, '\r');

        if (t->had_cr && line.n > 0) {
            t->bare_cr = true;
            t->line_n++; /* it was no part of a line's end */
        }
        bool crlf = has_end && (line.n == 0 ? t->had_cr : line.p[line.n - 1] == '\r');
        if (has_end && !crlf)
            t->bare_lf = true;
        if (cr != VIEW_NONE && cr + 1 < line.n)
            t->bare_cr = true;
        t->had_cr = !has_end && cr != VIEW_NONE && line.p[line.n - 1] == '\r';
        size_t used = line.n + has_end;
        at += used;
        if (t->in_header) {
            bool ends_in_cr = line.n > 0 && line.p[line.n - 1] == '\r';
            struct view text = view_slice(line, 0, line.n - ends_in_cr);
            watch_name(t, text);
            t->line_n += text.n + (has_end && !crlf); /* a bare LF ends no line */
            if (crlf)
                end_header_line(t, at);
        }
        view_skip(&content, used);
    }
}

void smtp_text_end(struct smtp_text *t)
{
    if (t->had_cr && (t->in_header || !t->binary))
        t->bare_cr = true;
    if (t->in_header)
        t->header_n = t->n;
}
