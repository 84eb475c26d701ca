#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h;
    size_t used, again;
    enum proxy_state state = proxy_parse(view_of(data, size), &h, &used);
    bug_if(state == PROXY_DONE && used > size);
    bug_if(state == PROXY_DONE && proxy_parse(view_of(data, used), &h, &again) != PROXY_DONE);
    bug_if(state == PROXY_MORE && size >= PROXY_MAX);
    bug_if(h.known && state == PROXY_DONE && (h.from.len == 0 || h.to.len == 0));
    return 0;
}
