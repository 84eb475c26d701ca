/* Any bytes as a TXT record and as a policy file: what is read keeps its promises. */
#include "policy/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size), id;
    struct mta_sts_policy p;
    struct arena a;
    if (mta_sts_record_parse(in, &id) == RC_OK)
        bug_if(!mta_sts_is_record(in) || id.n == 0 || id.n > MTA_STS_ID_MAX || view_has_ctl(id));
    arena_init(&a, 1u << 20);
    if (mta_sts_policy_parse(in, &a, &p) == RC_OK) {
        bug_if(p.max_age_s < 0 || p.max_age_s > MTA_STS_MAX_AGE_MAX || (p.n_mx == 0 && p.mode != MTA_STS_NONE));
        for (size_t i = 0; i < p.n_mx; i++) {
            bug_if(p.mx[i].n == 0 || !view_is_ascii(p.mx[i]) || view_has_ctl(p.mx[i]));
            bug_if(p.mx[i].p[0] != '*' && !mta_sts_policy_allows(&p, p.mx[i]));
        }
    }
    arena_clear(&a);
    return 0;
}
