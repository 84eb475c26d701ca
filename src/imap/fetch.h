/* imap/fetch: what FETCH can ask for (RFC 3501 §6.4.5, RFC 3516, RFC 7162 §3.1.4), and the bytes of a section.
 * Pure: no I/O, no globals, any thread. Input is hostile. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "base/arena.h"
#include "base/buf.h"

#define FETCH_ITEMS_MAX  100 /* in one command */
#define FETCH_FIELDS_MAX 256 /* header names in one section */

enum fetch_kind {
    FETCH_UID, FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY, FETCH_BODYSTRUCTURE, FETCH_MODSEQ,
    FETCH_SECTION,     /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
    FETCH_BINARY,      /* BINARY[...] */
    FETCH_BINARY_SIZE, /* BINARY.SIZE[...] */
};
enum fetch_what { WHAT_ALL, WHAT_HEADER, WHAT_FIELDS, WHAT_FIELDS_NOT, WHAT_TEXT, WHAT_MIME };
struct fetch_item {
    enum fetch_kind kind;
    /* of sections: */
    struct view label; /* as the answer names it, "BODY[1.MIME]<0>" */
    struct view part;  /* "1.2", or empty */
    enum fetch_what what;
    struct view *fields;
    size_t n_fields;
    bool peek;
    bool is_partial;
    uint32_t from, count;
};
struct fetch {
    struct fetch_item *items;
    size_t n;
    bool has_changedsince;
    uint64_t changedsince;
};

/* All that follows the sequence set. RC_SYNTAX, RC_LIMIT, RC_TEMP. */
enum rc imap_fetch_parse(struct view in, struct arena *a, struct fetch *out);

/* The bytes asked for, of a message with its index (message/mime.h), partial or not: they borrow the message or `scratch`.
 * RC_NOTFOUND: no such part: NIL. RC_DENIED: BINARY of an encoding that nobody knows. RC_CORRUPT: the index is damaged. */
enum rc imap_section_get(const struct fetch_item *item, struct view message, struct view index, struct buf *scratch,
                         struct view *out);

#endif
