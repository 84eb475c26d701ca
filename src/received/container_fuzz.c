/* Files of any bytes, archives and mails among them: something is told of each. */
#include "received/fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_count count = {0};
    const struct received_sink sink = FUZZ_SINK(&count);
    bug_if(received_read(view_of(data, size), &sink) != RC_OK || count.open);
    return 0;
}
