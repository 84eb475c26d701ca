/* mailauth/dkim_fields: the fields of a header section as signatures choose and write them (RFC 6376 §3.4.1, §3.4.2, §5.4.2).
 * An index by name makes each choice cost the same however many fields there are. Pure: no I/O, any thread. Views
 * borrow the header; memory is the arena's. */
#ifndef MAILAUTH_DKIM_FIELDS_H
#define MAILAUTH_DKIM_FIELDS_H

#include "base/arena.h"
#include "mailauth/dkim_body.h"
#include "message/header.h"

#define DKIM_CANON_MAX (4u << 20) /* bytes of canonical header that one signature may cover */
#define DKIM_NO_FIELD  SIZE_MAX

struct dkim_fields {
    struct header_field *field; /* in the order of the message */
    size_t n;
    struct dkim_field_name *names; /* n, by name without case; of one name the lowest field first */
};

/* RC_LIMIT: more than HEADER_MAX bytes or HEADER_FIELDS_MAX fields. RC_TEMP. */
enum rc dkim_fields_new(struct view header, struct arena *a, struct dkim_fields *out);
/* The lowest field with this name, or DKIM_NO_FIELD. */
size_t dkim_fields_last(const struct dkim_fields *f, struct view name);
/* Choosing from the bottom up, each field once: start, then choose any number of names. `except` is never chosen. */
void dkim_fields_start(struct dkim_fields *f);
size_t dkim_fields_choose(struct dkim_fields *f, struct view name, size_t except);

/* Appends the canonical form with its CRLF. */
void dkim_field_write(enum dkim_canon canon, const struct header_field *field, struct buf *out);
/* The same for a signature field itself: without the bytes [at, at + n) of its value (b=), and without CRLF. */
void dkim_field_write_signature(enum dkim_canon canon, const struct header_field *field, size_t at, size_t n, struct buf *out);

#endif
