#include "web/web.h"

static const char *mode_name(enum directory_sts mode)
{
    switch (mode) {
    case STS_TESTING: return "testing";
    case STS_ENFORCE: return "enforce";
    default: return "none";
    }
}

/* In mode none, which withdraws a policy, no MX is needed; naming it does no harm. */
void web_sts_policy(enum directory_sts mode, const char *mx, struct buf *out)
{
    buf_printf(out, "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", mode_name(mode), mx, WEB_STS_MAX_AGE_S);
}
