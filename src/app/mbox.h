/* app/mbox: the mbox format, read and written so that nothing is lost (RFC 4155; quoting as "mboxrd").
 * A message begins at a line "From " that has a time of day in it or is an address alone, at the start or after an empty
 * line. ">From ", ">>From " and so on lose one ">" when read and gain one when written.
 * Status and X-Status (as mutt, Dovecot and c-client write them) and X-Keywords carry flags: one of each is added at
 * the end of the header when written, and the last of each there is taken off when read. Where none stands at the end,
 * Status and X-Status fields further up are read for their flags and stay.
 * Lines end in LF in the file; a message whose lines all end in CRLF is converted there and back, any other is
 * written as it is. Pure: no I/O, any thread. */
#ifndef APP_MBOX_H
#define APP_MBOX_H

#include "base/buf.h"

#define MBOX_LINE_MAX     1000         /* of a "From " line that is looked at */
#define MBOX_MESSAGE_MAX  (1u << 30)   /* a message to write */

struct mbox_message {
    struct view raw;      /* as in the file, between its From line and the next; without the empty line that ends it */
    int64_t date;         /* of the From line, seconds since 1970; 0: unreadable */
};
/* The next message of a file; *in moves past it. RC_NOTFOUND: none left. RC_SYNTAX: the file does not begin with "From ". */
enum rc mbox_next(struct view *in, struct mbox_message *out);
/* Appends the message with CRLF, unquoted, without its trailing status fields; those go to *flags (FLAG_ bits of
 * store/mailbox.h) and *keywords (appended, space separated). */
enum rc mbox_decode(struct view raw, struct buf *message, uint32_t *flags, struct buf *keywords);
/* Appends From line, message with status fields, and the empty line. `sender` may be empty. */
enum rc mbox_encode(struct view message, struct view sender, int64_t date, uint32_t flags, struct view keywords, struct buf *out);

/* Line ends to CRLF: every LF without CR before it gets one, unless the text has CRs (it is then left alone: what we
 * cannot undo we do not do). */
void mbox_to_crlf(struct view text, struct buf *out);
/* The way back: CRLF to LF where that can be undone (each CR and LF is part of a CRLF), else as it is. */
void mbox_to_lf(struct view text, struct buf *out);

#endif
