/* Any bytes as a date: what is written of it is read back as the same. */
#include "message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = view_of(data, size);
    struct date d, again;
    struct buf out;
    int64_t day;
    buf_init(&out, 100);
    if (date_parse(text, &d) == RC_OK) {
        date_write(d, &out);
        bug_if(date_parse(buf_view(&out), &again) != RC_OK || again.utc != d.utc ||
               again.zone_minutes != d.zone_minutes);
    }
    buf_reset(&out);
    if (date_parse_internal(text, &d) == RC_OK) {
        date_write_internal(d, &out);
        bug_if(out.n != 26 || date_parse_internal(buf_view(&out), &again) != RC_OK);
    }
    date_parse_day(text, &day);
    buf_clear(&out);
    return 0;
}
