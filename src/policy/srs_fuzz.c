/* The input is an address: what is written for it can be read again, in lower case too, and not with another secret. */
#include "policy/srs.h"

#define NOW_S 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fold_case(struct buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->p[i] = (char)to_lower((unsigned char)b->p[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char secret[SRS_SECRET_SIZE] = "0123456789abcdef0123456789abcde", other[SRS_SECRET_SIZE] = "x";
    struct view sender = view_of(data, size);
    struct buf out, back, again;
    buf_init(&out, 4096);
    buf_init(&back, 4096);
    buf_init(&again, 4096);
    enum rc rc = srs_read(view_of(secret, sizeof secret), sender, NOW_S, &back);
    bug_if(rc == RC_OK && !srs_is_form(sender));
    buf_reset(&back);
    if (srs_write(view_of(secret, sizeof secret), sender, VIEW("ici.test"), NOW_S, &out) == RC_OK) {
        bug_if(out.n > SRS_ADDRESS_MAX || view_has_ctl(buf_view(&out)) || !srs_is_form(buf_view(&out)));
        rc = srs_read(view_of(secret, sizeof secret), buf_view(&out), NOW_S, &back);
        bug_if(rc != RC_OK);
        bug_if(srs_read(view_of(other, sizeof other), buf_view(&out), NOW_S, &again) != RC_DENIED);
        fold_case(&out);
        fold_case(&back);
        bug_if(srs_read(view_of(secret, sizeof secret), buf_view(&out), NOW_S, &again) != RC_OK);
        fold_case(&again);
        bug_if(!view_eq(buf_view(&back), buf_view(&again)));
    }
    buf_clear(&out);
    buf_clear(&back);
    buf_clear(&again);
    return 0;
}
