/* Feedback reports of any bytes: the part, then after an empty line the reported message; and as prose. */
#include "received/fuzz_sink.h"

#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_count count = {0};
    const struct received_sink sink = FUZZ_SINK(&count);
    struct walk w = {.sink = &sink, .left = RECEIVED_PLAIN_MAX};
    const struct view v = view_of(data, size);
    arena_init(&w.arena, RECEIVED_ARENA);
    bug_if(failure_read(&w, header_of(v), header_body(v)) != RC_OK);
    if (failure_is_prose(v))
        bug_if(failure_read_prose(&w, v) != RC_OK);
    arena_clear(&w.arena);
    return 0;
}
