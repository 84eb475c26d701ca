/* smtp/submission: what a submission server checks and mends in a header section (RFC 6409 §6 and §8).
 * Pure but for the question may_send; any thread. The header section is hostile: it may hold any byte. */
#ifndef SMTP_SUBMISSION_H
#define SMTP_SUBMISSION_H

#include "base/arena.h"
#include "base/buf.h"

#define SUBMISSION_HEADER_MAX (256u << 10) /* longer header sections are refused */

struct submission_rules {
    /* May this user write from "local@domain"? RC_OK, RC_DENIED, RC_TEMP. NULL: a trusted device, of which
     * nothing is checked; it only gets what is missing. */
    enum rc (*may_send)(void *ctx, struct view address);
    void *ctx;
    const char *hostname; /* right side of a Message-ID; our name in Authentication-Results */
    int64_t now_s;
    uint64_t unique[2]; /* random: left side of a Message-ID */
};

/* `header` is the section with its empty line (which may be missing where there is no body). Appends it to
 * out with Date and Message-ID where missing, without Bcc, Resent-Bcc and Return-Path (a trusted device's are
 * kept) and without Authentication-Results in our name. Every address of From
 * and Sender is asked about. RC_DENIED: one of them is not theirs. RC_SYNTAX: no or several From fields, one
 * that cannot be read, a line that is no field. RC_TEMP, RC_LIMIT from out. *why: static words for RC_DENIED
 * and RC_SYNTAX. */
enum rc submission_fix(struct view header, const struct submission_rules *rules, struct buf *out,
                       const char **why);

#endif
