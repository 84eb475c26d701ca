/* Any bytes as a TXT record at _smtp._tls: what is read keeps its promises. */
#include "policy/tlsrpt_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size);
    struct tlsrpt_record r;
    if (tlsrpt_record_parse(in, &r) != RC_OK)
        return 0;
    bug_if(!tlsrpt_is_record(in) || r.n == 0 || r.n > TLSRPT_URIS_MAX);
    for (size_t i = 0; i < r.n; i++)
        bug_if(r.uris[i].n > TLSRPT_URI_MAX || view_chr(r.uris[i], ':') == VIEW_NONE || view_has_ctl(r.uris[i]) ||
               !view_is_ascii(r.uris[i]) || view_chr(r.uris[i], ',') != VIEW_NONE || view_chr(r.uris[i], ' ') != VIEW_NONE);
    return 0;
}
