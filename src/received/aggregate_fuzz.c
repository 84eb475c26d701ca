/* Aggregate reports of any bytes: what is told keeps to the contract, the second reading gives what the first one counted. */
#include "received/fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_count count = {0};
    const struct received_sink sink = FUZZ_SINK(&count);
    struct walk w = {.sink = &sink, .left = RECEIVED_PLAIN_MAX};
    const struct content c = {.kind = CONTENT_PLAIN, .data = view_of(data, size)};
    arena_init(&w.arena, RECEIVED_ARENA);
    bug_if(aggregate_read(&w, &c) != RC_OK || w.told < 1 || w.told > 2);
    arena_clear(&w.arena);
    return 0;
}
