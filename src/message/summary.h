/* message/summary: what is computed once at delivery and kept in the item's row, so that listing a mailbox
 * never opens a blob: IMAP's ENVELOPE and BODYSTRUCTURE as they go out (RFC 3501 §7.4.2), the part index of
 * mime.h, and what sorting and threading compare (RFC 5256 §2). Strings of IMAP are quoted where they are
 * printable ASCII, else literals "{n}" CRLF with the bytes as they are (NUL, which no literal may hold,
 * becomes a blank). Encoded words stay encoded. Pure: no I/O, no globals, any thread. */
#ifndef MESSAGE_SUMMARY_H
#define MESSAGE_SUMMARY_H

#include "base/arena.h"
#include "message/mime.h"

#define SUMMARY_ARENA_MAX      (4u << 20)   /* a cap with which no message fails */
#define SUMMARY_ENVELOPE_MAX   (256u << 10) /* past it the address lists, then the strings are left out */
#define SUMMARY_STRUCTURE_MAX  (512u << 10) /* past it parameters and envelopes within are left out */
#define SUMMARY_SUBJECT_MAX    1000         /* bytes of the base subject */
#define SUMMARY_ID_MAX         998          /* bytes of one message id; longer ones are not ids */
#define SUMMARY_REFERENCES_MAX 100          /* ids; of more the first and the last are kept */

struct summary {
    struct view envelope;      /* "(...)" */
    struct view bodystructure; /* "(...)", with extension data */
    struct view index;         /* for mime_index_find and its kin */
    int64_t sent_utc;          /* of Date, seconds since 1970; 0 where has_sent is false */
    int sent_zone_minutes;
    bool has_sent;
    bool is_reply;            /* the subject had a reply or forward mark (RFC 5256 §2.1) */
    bool has_attachment;      /* a part says so by its Content-Disposition */
    struct view subject_base; /* base subject, UTF-8, as written; RFC 5256 §2.1 */
    struct view message_id;   /* without brackets; empty where there is none */
    struct view *references;  /* References, else the first id of In-Reply-To (RFC 5256 §3), oldest first */
    size_t n_references;
};

/* All of it, in `a`. RC_TEMP: no memory. RC_LIMIT: longer than MIME_MESSAGE_MAX. */
enum rc summary_make(struct view message, struct arena *a, struct summary *out);

/* BODY from BODYSTRUCTURE: appends it without its extension data. RC_CORRUPT: these bytes are no such
 * structure. */
enum rc summary_body_from_structure(struct view structure, struct buf *out);

/* Appends the base subject of a raw Subject value; says whether it is that of a reply or forward. */
bool summary_subject_base(struct view subject, struct buf *out);
/* The next "<id>" of a value, without brackets, moving past it. False where there is none left. */
bool summary_next_id(struct view *in, struct view *out);

/* Appends a value as IMAP's nstring or string: quoted or literal, never NIL. */
void summary_write_string(struct view v, struct buf *out);

#endif
