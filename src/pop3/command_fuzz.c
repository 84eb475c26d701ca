/* Fuzz target: a POP3 command line, and the same bytes as a message: stuffing undone must give them back. */
#include <stdlib.h>

#include "base/buf.h"
#include "pop3/body.h"
#include "pop3/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void collect(void *ctx, struct view piece)
{
    buf_add(ctx, piece);
}

/* What a client makes of a multi-line response: RFC 1939 §3. */
static void unstuff(struct view sent, struct buf *out)
{
    while (sent.n > 0) {
        size_t end = view_find(sent, VIEW("\r\n"));
        bug_if(end == VIEW_NONE);
        struct view line = view_slice(sent, 0, end + 2);
        view_skip(&sent, line.n);
        if (view_eq(line, VIEW(".\r\n"))) {
            bug_if(sent.n != 0);
            return;
        }
        view_take_chr(&line, '.');
        buf_add(out, line);
    }
    bug_if(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size);
    struct pop3_command cmd;
    struct buf sent, got;

    (void)pop3_command_parse(in, &cmd);
    buf_init(&sent, 1u << 24);
    buf_init(&got, 1u << 24);
    pop3_body_emit(in, POP3_ALL_LINES, collect, &sent);
    unstuff(buf_view(&sent), &got);
    bug_if(!view_starts(buf_view(&got), in) || got.n - in.n > 2);
    buf_reset(&sent);
    pop3_body_emit(in, size > 0 ? data[0] : 0, collect, &sent);
    buf_clear(&sent);
    buf_clear(&got);
    return 0;
}
