#include "pop3/body.h"

/* Where TOP ends: after the header, its empty line, and n lines of the body. */
static struct view cut_lines(struct view message, uint32_t n)
{
    struct view rest = message;
    bool in_body = false;
    while (rest.n > 0 && !(in_body && n == 0)) {
        size_t end = view_find(rest, VIEW("\r\n"));
        if (end == VIEW_NONE)
            return message;
        if (in_body)
            n--;
        else if (end == 0)
            in_body = true;
        view_skip(&rest, end + 2);
    }
    return view_slice(message, 0, message.n - rest.n);
}

void pop3_body_emit(struct view message, uint32_t body_lines, pop3_emit_fn emit, void *ctx)
{
    struct view rest = body_lines == POP3_ALL_LINES ? message : cut_lines(message, body_lines);
    bool ends_line = view_ends(rest, VIEW("\r\n"));

    if (view_starts(rest, VIEW(".")))
        emit(ctx, VIEW("."));
    for (size_t at; (at = view_find(rest, VIEW("\r\n."))) != VIEW_NONE; view_skip(&rest, at + 2)) {
        emit(ctx, view_slice(rest, 0, at + 2));
        emit(ctx, VIEW(".")); /* the line's own dot follows with the next piece */
    }
    emit(ctx, rest);
    emit(ctx, ends_line ? VIEW(".\r\n") : VIEW("\r\n.\r\n"));
}
