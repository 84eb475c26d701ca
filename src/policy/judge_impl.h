/* policy/judge_impl: the parts of the judge among themselves. Inside of policy/ only. */
#ifndef POLICY_JUDGE_IMPL_H
#define POLICY_JUDGE_IMPL_H

#include "policy/judge.h"

/* The reverse name of the client and the name that it gave itself. Scratch memory for answers is taken and freed. */
void judge_client_iprev(struct dns *dns, const struct addr *ip, int64_t deadline_ms, struct arena *a, struct judge_iprev *out);
/* Where the address's names are known by now, asks ahead for what they lead to. Waits for nothing. */
void judge_client_prefetch(struct dns *dns, const struct addr *ip);
/* Words, static; "" where nothing is odd. */
const char *judge_client_helo(struct dns *dns, struct view helo, const struct addr *ip, const char *our_name, int64_t deadline_ms);

/* Overrides and the decision, once all verdicts are there. RC_TEMP: no memory. */
enum rc judge_decide(const struct judge_settings *set, const struct dmarc_authors *authors, struct arena *a,
                     struct judgement *out);

#endif
