/* The first bytes of a connection that wants TLS, from anybody. */
#include "net/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char room[HELLO_MAX];
    struct hello hello;
    struct view one;
    if (hello_read(view_of(data, size), room, &hello) != RC_OK)
        return 0;
    while (hello_protocol(&hello.protocols, &one))
        bug_if(one.n == 0 || one.n > 255);
    return 0;
}
