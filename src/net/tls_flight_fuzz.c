/* A server's first flight. */
#include "net/tls_flight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_flight_answer answer;
    tls_flight_read(view_of(data, size), &answer);
    return 0;
}
