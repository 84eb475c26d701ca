#include "crypto/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/rc.h"

void random_bytes(void *out, size_t n)
{
    char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        bug_if(got < 0 && errno != EINTR);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

uint64_t random_below(uint64_t below)
{
    if (below == 0)
        return 0;
    /* Values under 2^64 mod below would make small results likelier: drawn again. */
    uint64_t skip = -below % below, v;
    do
        v = random_u64();
    while (v < skip);
    return v % below;
}
