/* base/clock: time in the two forms that we use. Any thread.
 * Deadlines are absolute milliseconds of the monotonic clock, so a jump of the wall clock moves none;
 * dates (received, retry times in the queue) are seconds or milliseconds since 1970. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NO_DEADLINE INT64_MAX

int64_t clock_mono_ms(void);
int64_t clock_real_ms(void);
static inline int64_t clock_real_s(void)
{
    return clock_real_ms() / 1000;
}
static inline int64_t deadline_in(int64_t ms)
{
    return clock_mono_ms() + ms;
}
/* Milliseconds left, 0 when passed, cut to INT_MAX/2; -1 for NO_DEADLINE: as poll(2) takes it. */
int deadline_poll(int64_t deadline_ms);

#endif
