/* smtp/data_reference: the rules of data.h said again, slowly and byte by byte, and a driver that feeds the
 * real machines in pieces: for the unit test and the fuzz target to compare. */
#ifndef SMTP_DATA_REFERENCE_H
#define SMTP_DATA_REFERENCE_H

#include "smtp/data.h"

#include "base/buf.h"

struct data_reference {
    bool ended;
    size_t used; /* with the final dot */
    struct buf content;
    bool bare_cr, bare_lf;
    size_t header_n;
};

static inline bool reference_has(struct view v, size_t at, const char *what)
{
    return at <= v.n && view_starts(view_from(v, at), view_str(what));
}

/* RFC 5321 §4.5.2: lines are ended by CR LF only. */
static inline void reference_read(struct view in, struct data_reference *r)
{
    bool at_line = true;
    size_t i = 0;
    *r = (struct data_reference){.content = {.max = in.n + 1}};
    while (i < in.n) {
        if (at_line && reference_has(in, i, ".\r\n")) {
            r->ended = true;
            i += 3;
            break;
        }
        if (at_line && in.p[i] == '.') {
            i++;
            at_line = false;
            continue;
        }
        buf_chr(&r->content, in.p[i]);
        at_line = in.p[i] == '\n' && i > 0 && in.p[i - 1] == '\r';
        i++;
    }
    r->used = i;
}

static inline void reference_judge(struct data_reference *r, bool binary)
{
    struct view v = buf_view(&r->content);
    bool in_header = true;
    size_t line = 0; /* begin of this one */
    r->header_n = v.n;
    for (size_t i = 0; i < v.n; i++) {
        bool lf = v.p[i] == '\n', after_cr = i > 0 && v.p[i - 1] == '\r';
        if (!in_header && binary)
            break;
        if (v.p[i] == '\r' && !reference_has(v, i, "\r\n"))
            r->bare_cr = true;
        if (lf && !after_cr)
            r->bare_lf = true;
        if (!lf || !after_cr)
            continue;
        if (in_header && i - 1 == line) {
            in_header = false;
            r->header_n = i + 1;
        }
        line = i + 1;
    }
}

/* The machines of data.c, given pieces of `piece` bytes, and what they did not tell again with what follows.
 */
static inline void machine_read(struct view in, size_t piece, bool binary, struct data_reference *r,
                                struct smtp_text *text)
{
    struct smtp_dots dots;
    size_t from = 0, to = 0;
    enum smtp_dots_step step = DOTS_MORE;
    smtp_dots_init(&dots);
    smtp_text_init(text, binary);
    *r = (struct data_reference){.content = {.max = in.n + 1}};
    while (step != DOTS_END && to < in.n) {
        to = in.n - to < piece ? in.n : to + piece;
        struct view window = view_slice(in, from, to - from), content;
        while ((step = smtp_dots_next(&dots, &window, &content)) == DOTS_CONTENT) {
            bug_if(content.n == 0);
            buf_add(&r->content, content);
            smtp_text_add(text, content);
        }
        bug_if(step == DOTS_MORE && window.n > 2);
        from = to - window.n;
    }
    if (step ==
        DOTS_MORE) { /* the peer has gone: the session drops the message, here the rest counts as content */
        struct view rest = view_from(in, from);
        if (dots.at_line)
            view_take_chr(&rest, '.');
        buf_add(&r->content, rest);
        smtp_text_add(text, rest);
        from = in.n;
    }
    smtp_text_end(text);
    r->ended = step == DOTS_END;
    r->used = from;
    r->bare_cr = text->bare_cr;
    r->bare_lf = text->bare_lf;
    r->header_n = (size_t)text->header_n;
}

/* The same of both? Which flag is set may differ once one is, since the machine looks no further then. */
static inline bool reference_agrees(const struct data_reference *a, const struct data_reference *b)
{
    bool bare_a = a->bare_cr || a->bare_lf, bare_b = b->bare_cr || b->bare_lf;
    return a->ended == b->ended && a->used == b->used &&
           view_eq(buf_view(&a->content), buf_view(&b->content)) && bare_a == bare_b &&
           a->header_n == b->header_n;
}

#endif
