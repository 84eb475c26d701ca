/* mailauth/arc_set: which field is which part of which ARC set (RFC 8617 §4). Inside of mailauth/ only. Pure. */
#ifndef MAILAUTH_ARC_SET_H
#define MAILAUTH_ARC_SET_H

#include "mailauth/arc.h"
#include "mailauth/dkim_signature.h"

struct arc_fields {
    size_t results, message, seal; /* indexes, or DKIM_NO_FIELD */
    struct view payload;           /* of ARC-Authentication-Results, after the instance */
    bool has_cv;
    enum arc_result cv;
};
struct arc_chain {
    struct arc_fields *sets; /* ARC_SETS_MAX; [0] is instance 1 */
    unsigned n;              /* the highest instance */
    bool is_broken;          /* a field without an instance, or one twice: the chain fails whatever else */
    bool last_failed;        /* the highest set's seal says cv=fail */
};
/* RC_TEMP: no memory. */
enum rc arc_chain_read(const struct dkim_fields *f, struct arena *a, struct arc_chain *out);

#endif
