#include "base/clock.h"

#include <limits.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_real_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

int deadline_poll(int64_t deadline_ms)
{
    if (deadline_ms == NO_DEADLINE)
        return -1;
    int64_t left = deadline_ms - clock_mono_ms();
    if (left < 0)
        return 0;
    return left > INT_MAX / 2 ? INT_MAX / 2 : (int)left;
}
