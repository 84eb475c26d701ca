/* desk/verdict: whether a mail that brings a report is from who it says it is, by what our own door wrote about it (Authentication-Results,
 * RFC 8601; the door removes forged ones). Pure; any thread. */
#ifndef DESK_VERDICT_H
#define DESK_VERDICT_H

#include "base/arena.h"
#include "mailauth/psl.h"

struct verdict {
    struct view spf, dkim, dmarc; /* "pass", ...; empty: nothing is said */
    struct view by;               /* the domain that is proven; empty: none */
    bool counted;
    const char *why; /* "dmarc.pass", "aligned.pass" (by SPF or DKIM, where no DMARC policy is published), "unauthenticated", "no-verdict" */
};
/* header: of the message; from_domain: of its author, lower case; psl may be NULL: then domains must be equal to be aligned. RC_TEMP. */
enum rc verdict_read(struct view header, struct view hostname, struct view from_domain, const struct psl_list *psl, struct arena *a,
                     struct verdict *out);

#endif
