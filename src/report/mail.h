/* report/mail: a report as a mail (RFC 5322, RFC 2045), whatever is in it: composed, signed, queued in the lane of reports.
 * mail_write is pure; mail_queue does I/O on the store and asks the signer. Any thread. */
#ifndef REPORT_MAIL_H
#define REPORT_MAIL_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/mailq.h"

#define MAIL_MAX (32u << 20)

/* Appends DKIM-Signature fields for a message (signer_sign_message). RC_NOTFOUND: there is nothing to sign with. */
typedef enum rc (*mail_sign_fn)(void *ctx, struct view message, struct buf *out);

struct mail_part {
    struct view type;     /* "application/gzip"; with parameters where it has some */
    struct view filename; /* empty: shown in line */
    struct view bytes;
    bool base64;          /* else lines of ASCII, ended by CR LF */
};
struct mail {
    struct view name, from;    /* the display name may be empty */
    struct view to, subject;
    struct view message_id;    /* without <> */
    struct view fields;        /* further header fields, whole lines; may be empty */
    struct view type;          /* "multipart/mixed", "multipart/report; report-type=feedback-report" */
    const struct mail_part *parts;
    size_t n_parts;
    int64_t now_s;
};
/* Appends the message. RC_SYNTAX: a line end or NUL in a header field. RC_LIMIT, RC_TEMP. */
enum rc mail_write(const struct mail *m, struct buf *out);

/* Signs and queues it for one address, which may also be one of ours. Envelope sender: `sender`. Failures are not told to anybody:
 * queue/ calls queue_settings.report_failed. RC_NOTFOUND: the address leads nowhere. RC_TEMP, RC_FULL: later. *id: of the queue. */
enum rc mail_queue(struct store *s, mail_sign_fn sign, void *sign_ctx, struct view message, struct view sender, struct view to,
                   int64_t now_ms, uint64_t *id);

#endif
