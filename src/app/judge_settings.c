#include "app/judge_settings.h"

struct judge_settings judge_settings_of(const struct config *f, const struct psl_list *psl)
{
    return (struct judge_settings){.authserv_id = f->hostname,
                                   .time_ms = f->authentication.time_limit,
                                   .method = f->authentication.organizational_domain,
                                   .psl = psl,
                                   .enforce = f->authentication.enforce,
                                   .arc = f->authentication.arc,
                                   .sealers = f->authentication.trusted_sealers.v,
                                   .n_sealers = f->authentication.trusted_sealers.n,
                                   .forwarders = f->authentication.trusted_forwarders.v,
                                   .n_forwarders = f->authentication.trusted_forwarders.n};
}
