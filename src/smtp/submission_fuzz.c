/* Fuzz target smtp_submission: a header section that is mended, twice: the second time nothing is left to do.
 */
#include <stdint.h>

#include "message/header.h"
#include "smtp/submission.h"

static enum rc any_address(void *ctx, struct view address)
{
    (void)ctx;
    return address.n % 7 == 0 ? RC_DENIED : RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct submission_rules rules = {.may_send = any_address, .hostname = "mx.ici.test", .now_s = 1795308000};
    struct buf first, second;
    const char *why = NULL;
    if (size > 16384)
        return 0;
    struct view header = header_of(view_of(data, size));
    buf_init(&first, size + 1024);
    buf_init(&second, size + 2048);
    enum rc rc = submission_fix(header, &rules, &first, &why);
    if (rc == RC_OK) {
        bug_if(header_count(buf_view(&first), VIEW("From")) != 1 ||
               header_count(buf_view(&first), VIEW("Bcc")) > 0);
        bug_if(submission_fix(buf_view(&first), &rules, &second, &why) != RC_OK);
        bug_if(!view_eq(buf_view(&first), buf_view(&second)));
    } else {
        bug_if(rc != RC_TEMP && rc != RC_LIMIT && !why);
    }
    buf_clear(&first);
    buf_clear(&second);
    return 0;
}
