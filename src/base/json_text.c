#include "base/json_text.h"

#include "base/utf8.h"

json_t *json_text(struct view v)
{
    struct buf clean;
    if (utf8_is_valid(v))
        return json_stringn_nocheck(v.n > 0 ? v.p : "", v.n);
    buf_init(&clean, 3 * v.n + 1);
    utf8_clean(v, &clean);
    json_t *j = buf_rc(&clean) == RC_OK ? json_stringn(clean.n > 0 ? clean.p : "", clean.n) : NULL;
    buf_clear(&clean);
    return j;
}
