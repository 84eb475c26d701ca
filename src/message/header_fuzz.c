/* Any bytes as a header: fields tile the section, and what header_write writes is read back as one field. */
#include "message/encoded.h"
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_write(struct view value)
{
    struct buf line, out, unfolded;
    buf_init(&line, 1 << 20);
    buf_init(&out, 4 << 20);
    buf_init(&unfolded, 4 << 20);
    header_unfold(value, &line);
    encoded_decode(value, &unfolded);
    buf_reset(&unfolded);
    header_write(&out, VIEW("X"), buf_view(&line));
    struct view in = buf_view(&out);
    struct header_field field;
    bug_if(buf_rc(&out) != RC_OK || !header_next(&in, &field) || in.n > 0);
    header_unfold(field.value, &unfolded);
    bug_if(!view_eq(buf_view(&unfolded), view_trim(buf_view(&line))));
    buf_reset(&out);
    buf_reset(&unfolded);
    encoded_write(buf_view(&line), &out);
    encoded_decode(buf_view(&out), &unfolded);
    buf_clear(&line);
    buf_clear(&out);
    buf_clear(&unfolded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view message = view_of(data, size), in = message;
    struct header_field field;
    struct header_cut cuts[4];
    static const struct view names[] = {VIEW_INIT("bcc")};
    size_t n, total = 0;
    while (header_next(&in, &field)) {
        total += field.whole.n;
        check_write(field.value);
    }
    bug_if(total > header_length(message) || header_length(message) - total > 2);
    header_cuts(message, names, 1, cuts, 4, &n);
    return 0;
}
