/* message/header: the header section of a message or MIME part (RFC 5322 §2.2), found and cut without
 * copying. Tolerant of any bytes. Lines end at LF, a CR before it belongs to the end; a bare CR is an
 * ordinary byte. The section ends at the first empty line, or where the bytes end. A line without a colon is
 * a field without a name: it stays where it is and matches nothing. What a field's value means is for
 * address, date, encoded and content. Pure: no I/O, no globals, any thread. All views borrow the bytes given.
 */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "base/buf.h"

#define HEADER_MAX        (1u << 20) /* bytes of one section that are looked at for fields */
#define HEADER_FIELDS_MAX 12000      /* fields that are looked at: 10,000 of one name beside what a message has anyhow */
#define HEADER_LINE_FOLD  78         /* RFC 5322 §2.1.1: where we fold what we write */

struct header_field {
    struct view name;  /* as written, without blanks before the colon; empty for a line that is no field */
    struct view value; /* all after the colon, folds and all, without the last line end */
    struct view whole; /* from the name to the last line end included */
};

/* The line at the cursor including its end; moves past it. False where nothing is left. */
bool header_line(struct view *in, struct view *line);
/* Whether a line as header_line gives it has nothing before its end. */
bool header_line_is_empty(struct view line);

/* Length of the section with its empty line: where the body begins. */
size_t header_length(struct view message);
/* The section with its empty line, and what follows. */
struct view header_of(struct view message);
struct view header_body(struct view message);

/* The next field, moving past it. False at the empty line, at the end, and never beyond. */
bool header_next(struct view *in, struct header_field *out);
/* The field so named (ASCII case does not matter), the first being nth 0; `section` may go on after its end.
 * RC_NOTFOUND: there are not so many. */
enum rc header_find(struct view section, struct view name, unsigned nth, struct header_field *out);
enum rc header_find_last(struct view section, struct view name, struct header_field *out);
unsigned header_count(struct view section, struct view name);
/* Trimmed value of the first field so named; the empty view where there is none. Folds are kept. */
struct view header_value(struct view section, struct view name);

/* Appends the value on one line: line ends before blanks removed, other CR, LF and NUL become blanks, ends
 * trimmed (RFC 5322 §2.2.3). */
void header_unfold(struct view value, struct buf *out);

/* Bytes to leave out of a message, ascending, so that a writer can copy what stands between. */
struct header_cut {
    size_t offset, n;
};
/* All fields with one of these names, as bytes of `message`. RC_LIMIT: more than max_cuts. */
enum rc header_cuts(struct view message, const struct view *names, size_t n_names, struct header_cut *cuts,
                    size_t max_cuts, size_t *n_cuts);

/* Appends "Name: value" CRLF, folded at blanks of the value so that lines stay within HEADER_LINE_FOLD where
 * it has blanks. A CR, LF or NUL in either is remembered in out as RC_SYNTAX. Encoded words are for
 * encoded_write. */
void header_write(struct buf *out, struct view name, struct view value);

#endif
