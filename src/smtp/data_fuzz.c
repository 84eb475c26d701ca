/* Fuzz target smtp_data: the end of data, dots and bare line ends, compared with data_reference.h. The first
 * byte says into pieces of which size the rest is cut, and whether the body is binary. */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/data_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct data_reference want, got;
    struct smtp_text text;
    struct view in = view_of(data, size);
    int first = view_next(&in);
    if (first < 0)
        return 0;
    bool binary = first & 1;
    reference_read(in, &want);
    reference_judge(&want, binary);
    machine_read(in, (size_t)(first >> 1) + 1, binary, &got, &text);
    bug_if(!reference_agrees(&want, &got));
    buf_clear(&want.content);
    buf_clear(&got.content);
    return 0;
}
