/* Any bytes as a line of the log: fields come back within the line, values are never longer than they stood there, and
 * their French grows by a bounded part. */
#include <stdint.h>
#include <stdlib.h>

#include "trail/line.h"
#include "trail/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trail_line l;
    struct view rest, name, raw, value;
    struct arena a;
    struct buf french;
    size_t sum = 0;

    if (trail_parse(view_of(data, size), &l) != RC_OK)
        return 0;
    arena_init(&a, 1 << 20);
    for (rest = l.fields; trail_next_field(&rest, &name, &raw);) {
        sum += name.n + 1 + raw.n;
        bug_if(sum > size);
        if (trail_value(raw, &a, &value) != RC_OK)
            continue;
        bug_if(value.n > raw.n);
        buf_init(&french, 16 * value.n + 4096);
        trail_say(value, LANG_FR, &french);
        bug_if(buf_rc(&french) != RC_OK);
        buf_clear(&french);
    }
    trail_id(&l, "sid");
    arena_clear(&a);
    return 0;
}
