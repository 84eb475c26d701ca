/* What decodes encodes to the same bytes; what encodes decodes again. */
#include "imap/mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size);
    struct buf there, back;

    buf_init(&there, 1u << 20);
    buf_init(&back, 1u << 20);
    if (imap_mutf7_decode(in, &there) == RC_OK)
        bug_if(imap_mutf7_encode(buf_view(&there), &back) != RC_OK || !view_eq(buf_view(&back), in));
    buf_reset(&there);
    buf_reset(&back);
    if (imap_mutf7_encode(in, &there) == RC_OK)
        bug_if(imap_mutf7_decode(buf_view(&there), &back) != RC_OK || !view_eq(buf_view(&back), in));
    buf_clear(&there);
    buf_clear(&back);
    return 0;
}
