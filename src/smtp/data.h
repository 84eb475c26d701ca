/* smtp/data: the bytes of a message on the wire. Two small machines, fed with whatever pieces the network
 * gives: smtp_dots  finds the end of DATA and undoes the dots (RFC 5321 §4.5.2). Only CR LF "." CR LF ends
 * data: every other spelling is content, so no second message can hide in a first one ("SMTP smuggling").
 *   smtp_text  watches content go by: bare CR, bare LF, bytes above 127, end of the header section, number of
 * Received fields. Pure: no I/O, no globals, any thread. Both cost a memchr or two a line. */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "base/view.h"

struct smtp_dots {
    bool at_line; /* what was consumed last ends a line; true at the start */
    bool had_cr;  /* what was consumed last is a CR */
};
enum smtp_dots_step {
    DOTS_CONTENT, /* *out is content */
    DOTS_MORE,    /* the bytes left in *in (at most two) cannot be told without what follows them */
    DOTS_END,     /* the final dot was consumed; *in begins behind it */
};
static inline void smtp_dots_init(struct smtp_dots *d)
{
    *d = (struct smtp_dots){.at_line = true};
}
/* Moves *in past what was told. The next call gets *in again, or, after DOTS_MORE, the same bytes with more
 * behind. */
enum smtp_dots_step smtp_dots_next(struct smtp_dots *d, struct view *in, struct view *out);

struct smtp_text {
    uint64_t n;          /* bytes seen */
    uint64_t header_n;   /* length of the header section with its empty line, once in_header is false */
    unsigned n_received; /* Received fields so far */
    bool in_header;
    bool bare_cr, bare_lf; /* met one; not looked for in the body where `binary` */
    bool has_8bit;         /* met a byte above 127 */
    bool binary;           /* BODY=BINARYMIME: only the header section has lines (RFC 3030 §3) */
    /* own state */
    bool had_cr;
    bool no_match; /* this line is no Received field */
    size_t line_n; /* bytes of this line so far */
};
void smtp_text_init(struct smtp_text *t, bool binary);
void smtp_text_add(struct smtp_text *t, struct view content);
/* After the last byte. */
void smtp_text_end(struct smtp_text *t);
static inline bool smtp_text_is_bare(const struct smtp_text *t)
{
    return t->bare_cr || t->bare_lf;
}

#endif
