/* Rows and report addresses of any bytes: read, written and read again they are the same, and XML of them never fails. */
#include <stdlib.h>

#include "report/aggregate.h"
#include "report/destination.h"
#include "report/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report_row row, again;
    struct arena a;
    struct buf out;
    struct view address, domain;
    if (size > ROW_MAX)
        return 0;
    struct view in = view_of(data, size);
    buf_init(&out, ROW_MAX * 8);
    arena_init(&a, 1u << 20);
    if (row_parse(in, &row) == RC_OK) {
        row_write(&row, &out);
        bug_if(row_parse(buf_view(&out), &again) != RC_OK || again.n_signatures != row.n_signatures ||
               !view_eq(again.spf_human, row.spf_human));
    }
    if (destination_read(in, &a, &address, &domain) == RC_OK) {
        struct view local = view_slice(address, 0, view_rchr(address, '@'));
        bug_if(view_has_ctl(address) || view_chr(local, '@') != VIEW_NONE || view_chr(address, ' ') != VIEW_NONE ||
               view_chr(address, '<') != VIEW_NONE || view_chr(address, ',') != VIEW_NONE);
    }
    buf_reset(&out);
    xml_text(&out, in);
    bug_if(buf_rc(&out) != RC_OK || view_chr(buf_view(&out), '<') != VIEW_NONE);
    buf_clear(&out);
    arena_clear(&a);
    return 0;
}
