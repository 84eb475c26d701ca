/* TLS reports of any bytes. */
#include "received/fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_count count = {0};
    const struct received_sink sink = FUZZ_SINK(&count);
    struct walk w = {.sink = &sink, .left = RECEIVED_PLAIN_MAX};
    arena_init(&w.arena, RECEIVED_ARENA);
    bug_if(tls_read(&w, view_of(data, size)) != RC_OK || w.told < 1);
    arena_clear(&w.arena);
    return 0;
}
