/* policy/mta_sts: what a domain says by MTA-STS (RFC 8461): its TXT record, its policy file, and which hosts the file means.
 * Pure: no I/O, no globals, any thread. Input is hostile. Fetching and keeping is policy/sts_cache.h's.
 *
 * The grammar of RFC 8461 §3.1 and §3.2 is kept to the letter, so a file that others may read in two ways is no policy; fields
 * that nobody knows are passed over, and of a field that stands twice the first one counts. */
#ifndef POLICY_MTA_STS_H
#define POLICY_MTA_STS_H

#include "base/arena.h"

#define MTA_STS_ID_MAX      32       /* RFC 8461 §3.1 */
#define MTA_STS_POLICY_MAX  65536    /* bytes of a file; RFC 8461 §3.3 */
#define MTA_STS_MX_MAX      256      /* patterns of one policy */
#define MTA_STS_MAX_AGE_MAX 31557600 /* seconds; RFC 8461 §3.2. More is cut to this */

/* One text of the TXT records at _mta-sts.DOMAIN is meant as an MTA-STS record; others are passed over (RFC 8461 §3.1). */
bool mta_sts_is_record(struct view txt);
/* Its id, borrowed. RC_SYNTAX: not a record as the RFC has it. */
enum rc mta_sts_record_parse(struct view txt, struct view *id);

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };
struct mta_sts_policy {
    enum mta_sts_mode mode;
    int64_t max_age_s;
    struct view *mx; /* patterns as written: "mx.example.org", "*.example.net" */
    size_t n_mx;
};
/* Views borrow the file, lists are from the arena. RC_SYNTAX: not a policy. RC_LIMIT: MTA_STS_MX_MAX or
 * MTA_STS_POLICY_MAX. RC_TEMP: no memory. */
enum rc mta_sts_policy_parse(struct view file, struct arena *a, struct mta_sts_policy *out);
/* "none", "testing", "enforce". */
const char *mta_sts_mode_name(enum mta_sts_mode mode);

/* A pattern means this host (RFC 8461 §4.1): letters without case, "*." for exactly one label. `host` is in A-labels, as MX
 * records hold it. */
bool mta_sts_pattern_matches(struct view pattern, struct view host);
bool mta_sts_policy_allows(const struct mta_sts_policy *p, struct view host);

#endif
