/* message/mime: the parts of a message with their byte offsets, found in one pass (RFC 2045, RFC 2046), and a
 * compact index of them to keep beside the message, from which a part is found without parsing again. Any
 * bytes give a structure, never an error: a multipart without a usable boundary is text/plain (RFC 2045
 * §5.2), a multipart in which no part begins gets one empty text/plain part, and past the limits below what
 * follows belongs to the last part. A boundary ends at the longest boundary that the line begins with (RFC
 * 2046 §5.1.1); the line end before it belongs to it. Time is linear in the length, whatever the bytes. Pure:
 * no I/O, no globals, any thread. */
#ifndef MESSAGE_MIME_H
#define MESSAGE_MIME_H

#include "base/arena.h"
#include "base/buf.h"
#include "message/content.h"

#define MIME_DEPTH_MAX    32                   /* parts within parts; deeper ones are not taken apart */
#define MIME_PARTS_MAX    1000                 /* of one message, nested ones counted */
#define MIME_BOUNDARY_MAX 200                  /* RFC 2046 §5.1.1 allows 70 */
#define MIME_MESSAGE_MAX  UINT32_MAX           /* bytes of one message: offsets are 32 bits wide */
#define MIME_SECTION_MAX  (MIME_DEPTH_MAX * 2) /* numbers in one section such as "1.2.3" */

enum mime_kind {
    MIME_BASIC,     /* anything that is none of the following */
    MIME_TEXT,      /* text/... */
    MIME_MESSAGE,   /* message/rfc822: its one child is the root of the message within */
    MIME_MULTIPART, /* has one or more children */
};

struct mime_part {
    struct mime_part *parent, *child, *last_child, *next; /* child: the first one; next: its sibling */
    enum mime_kind kind;
    uint16_t number;      /* 1 for the first of its siblings */
    uint16_t depth;       /* 0 for the root */
    bool is_message_root; /* the root, or the child of a MIME_MESSAGE: its header is a message's header */
    uint32_t header_offset, header_len; /* with the empty line */
    uint32_t body_offset, body_len;
    uint32_t lines; /* LF in the body */
    enum content_encoding encoding;
    struct content_type type;
    /* Field values as written, untrimmed; empty where the field is missing. */
    struct view disposition, transfer_encoding, id, description, md5, language, location;
};

struct mime {
    struct mime_part *root;
    unsigned n_parts; /* the root included */
};

/* Parses a whole message; parts live in `a` and borrow its bytes. RC_TEMP: the arena is full (it needs 256
 * KiB for MIME_PARTS_MAX parts). RC_LIMIT: longer than MIME_MESSAGE_MAX. */
enum rc mime_parse(struct view message, struct arena *a, struct mime *out);
/* The part after this one, parents before their children; NULL after the last. */
const struct mime_part *mime_next(const struct mime_part *part);

/* --- the index: 4 bytes, then MIME_INDEX_PART bytes a part in the order of mime_next --- */

#define MIME_INDEX_VERSION 1
#define MIME_INDEX_PART    26
#define MIME_INDEX_MAX     (4 + MIME_PARTS_MAX * MIME_INDEX_PART)

struct mime_index_part {
    uint16_t place, parent; /* order in the index, the root being 0; that of the root is its own parent */
    uint16_t number;
    enum mime_kind kind;
    enum content_encoding encoding;
    bool is_message_root, is_attachment; /* the latter by Content-Disposition */
    uint32_t header_offset, header_len, body_offset, body_len, lines;
};

/* Appends the index. */
void mime_index_write(const struct mime *mime, struct buf *out);
/* Number of parts. RC_CORRUPT: these bytes are no index of a message of `message_size` bytes. */
enum rc mime_index_count(struct view index, uint64_t message_size, unsigned *out);
/* The part at a place; index must have passed mime_index_count, and place be below its count. */
void mime_index_get(struct view index, unsigned place, struct mime_index_part *out);
/* The part of a section as FETCH numbers them ("1.2"; RFC 3501 §6.4.5). The empty section is the root.
 * RC_NOTFOUND: no such part. RC_SYNTAX: not numbers parted by dots. The index must have passed
 * mime_index_count. */
enum rc mime_index_find(struct view index, struct view section, struct mime_index_part *out);
/* The root of the message that a MIME_MESSAGE part holds: its header and body are what HEADER and TEXT ask
 * for. RC_NOTFOUND: the part holds none. */
enum rc mime_index_message(struct view index, const struct mime_index_part *part,
                           struct mime_index_part *out);

#endif
