/* The input is split at 0xff into addresses, replies and the original: whatever they hold, the notification is lines ended by
 * CRLF of at most 998 bytes, has our header fields only, and the parts of a multipart/report. */
#include "message/header.h"
#include "queue/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view next_part(struct view *in)
{
    struct view part;
    view_split(in, (char)0xff, &part);
    return part;
}

static void check_lines(struct view in)
{
    for (struct view line; in.n > 0;) {
        bug_if(!view_split(&in, '\n', &line));
        bug_if(!view_ends(line, VIEW("\r")));
        line.n--;
        bug_if(line.n > 998 || view_chr(line, '\r') != VIEW_NONE || view_chr(line, '\0') != VIEW_NONE);
    }
}

static void check_header(struct view message)
{
    static const char *const fields[] = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"};
    struct view section = header_of(message);
    struct header_field f;
    size_t n = 0;
    while (header_next(&section, &f)) {
        bug_if(n == sizeof fields / sizeof *fields || !view_eq(f.name, view_str(fields[n])));
        n++;
    }
    bug_if(n != sizeof fields / sizeof *fields);
}

/* Each separator line once, in order: our boundary is random, so only we can have written it. */
static void check_parts(struct view in)
{
    static const char boundary[] = "--=_00000000000000010000000000000002";
    unsigned parts = 0;
    bool closed = false;
    for (struct view line; header_line(&in, &line);) {
        if (!view_take(&line, view_str(boundary)))
            continue;
        bug_if(closed);
        if (view_eq(line, VIEW("--\r\n")))
            closed = true;
        else
            parts++;
    }
    bug_if(parts != 3 || !closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size);
    int flags = view_next(&in);
    struct dsn_rcpt rcpts[2] = {0};
    struct buf out;
    for (size_t i = 0; i < 2; i++) {
        struct view status = VIEW_INIT("5.1.1");
        rcpts[i].action = (enum dsn_action)((flags >> (3 * i) & 7) % 5);
        rcpts[i].address = next_part(&in);
        rcpts[i].orcpt = next_part(&in);
        rcpts[i].reply = next_part(&in);
        rcpts[i].mx = next_part(&in);
        rcpts[i].why = next_part(&in);
        rcpts[i].status = status;
    }
    struct dsn d = {.hostname = VIEW("mx.ici.test"), .to = next_part(&in), .envid = next_part(&in), .unique = {1, 2}, .rcpts = rcpts,
                    .n_rcpts = 2, .utf8 = (flags & 64) != 0, .full = (flags & 128) != 0};
    d.original = in;
    /* A writer of the original cannot know the boundary; the fuzzer could. */
    if (view_find(in, VIEW("=_0000000000000001")) != VIEW_NONE)
        return 0;
    buf_init(&out, 16u << 20);
    if (dsn_write(&d, &out) == RC_OK) {
        check_lines(buf_view(&out));
        check_header(buf_view(&out));
        check_parts(buf_view(&out));
    }
    buf_clear(&out);
    return 0;
}
