/* The header section of a message, once it is whole: a stranger's loses what is written in our name, one of our users'
 * is checked and mended (smtp/submission.h); what is left goes into the blob. */
#include "smtp/session.h"

#include "crypto/random.h"
#include "mailauth/authres.h"
#include "smtp/submission.h"
#include "store/directory.h"

#define FORGED_MAX 100 /* fields in our name, of one message */

static enum rc may_send(void *ctx, struct view address)
{
    struct smtp_session *s = ctx;
    enum rc rc = directory_may_send(s->srv->store, s->account, address);
    return rc == RC_SYNTAX || rc == RC_NOTFOUND ? RC_DENIED : rc;
}

static void take_submission(struct smtp_session *s)
{
    struct smtp_intake *in = &s->tx.in;
    const char *why = "";
    struct submission_rules rules = {
        .may_send = s->account ? may_send : NULL,
        .ctx = s,
        .hostname = s->set->hostname,
        .now_s = clock_real_s(),
        .unique = {random_u64(), random_u64()},
    };
    struct buf out;

    buf_init(&out, 2 * SUBMISSION_HEADER_MAX);
    switch (submission_fix(buf_view(&in->header), &rules, &out, &why)) {
    case RC_OK:
        buf_clear(&in->header);
        in->header = out;
        smtp_intake_append(s, buf_view(&in->header));
        smtp_signing_begin(s);
        return;
    case RC_DENIED: smtp_intake_refuse(s, 550, "5.7.1", why); break;
    case RC_SYNTAX: smtp_intake_refuse(s, 550, "5.6.0", why); break;
    default: smtp_intake_refuse(s, 451, "4.3.0", "Please try again later"); break;
    }
    buf_clear(&out);
}

/* RFC 8601 §5: what claims that we found something out, and came from outside, goes; after the judge has looked, since a
 * signature may cover it. */
static void take_foreign(struct smtp_session *s)
{
    struct view header = buf_view(&s->tx.in.header);
    struct header_cut cuts[FORGED_MAX];
    size_t n, at = 0;

    smtp_judging_header(s, header);
    smtp_forwarding_begin(s);
    if (authres_forged(header, view_str(s->set->hostname), cuts, FORGED_MAX, &n) != RC_OK) {
        smtp_intake_refuse(s, 550, "5.6.0", "Too many Authentication-Results fields in our name");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        smtp_intake_append(s, view_slice(header, at, cuts[i].offset - at));
        at = cuts[i].offset + cuts[i].n;
    }
    smtp_intake_append(s, view_from(header, at));
}

void smtp_header_take(struct smtp_session *s)
{
    s->tx.in.in_header = false;
    if (smtp_is_stranger(s))
        take_foreign(s);
    else
        take_submission(s);
}
