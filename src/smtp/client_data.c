/* smtp/client: a message as DATA wants it. */
#include "smtp/client_impl.h"

/* Index of the first CR or LF, or the length. */
static size_t find_end(struct view v)
{
    const char *lf = v.n > 0 ? memchr(v.p, '\n', v.n) : NULL;
    size_t n = lf ? (size_t)(lf - v.p) : v.n;
    const char *cr = n > 0 ? memchr(v.p, '\r', n) : NULL;
    return cr ? (size_t)(cr - v.p) : n;
}

/* Runs of whole lines that need no change go out in one piece. */
static void write_lines(struct conn *c, struct view bytes)
{
    struct view run = bytes; /* from here on nothing is written yet */
    struct view in = bytes;
    bool ended = true;
    while (in.n > 0) {
        if (view_peek(in) == '.') { /* RFC 5321 §4.5.2 */
            conn_write(c, view_slice(run, 0, run.n - in.n));
            conn_write(c, VIEW("."));
            run = in;
        }
        view_skip(&in, find_end(in));
        ended = in.n > 0;
        if (view_take(&in, VIEW("\r\n")))
            continue;
        if (in.n > 0) { /* a bare one */
            conn_write(c, view_slice(run, 0, run.n - in.n));
            conn_write(c, VIEW("\r\n"));
            view_skip(&in, 1);
            run = in;
        }
    }
    conn_write(c, run);
    if (!ended)
        conn_write(c, VIEW("\r\n"));
}

void client_write_data(struct conn *c, struct view front, struct view bytes)
{
    write_lines(c, front);
    write_lines(c, bytes);
    conn_write(c, VIEW(".\r\n"));
}
