/* imap/parse: the words of IMAP's grammar (RFC 3501 §9, RFC 7888 literals, RFC 3516 literal8), read from a whole
 * command whose literals stand in it as they came: "{5}" CRLF "hello". What commands are made of stands with each family.
 * Every function moves *in past what it read, and leaves it where it was on failure.
 * Pure: no I/O, no globals, any thread. Input is hostile and may hold any byte. */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include "base/arena.h"
#include "base/buf.h"

#define IMAP_TAG_MAX     64
#define IMAP_LITERAL_MAX UINT32_MAX /* announced size that is a number at all; the session has its own limits */
#define IMAP_FLAGS_MAX   100        /* of one list */

bool imap_is_atom_char(unsigned char c);

/* Exactly one space (RFC 3501 §9: SP). */
bool imap_take_sp(struct view *in);
/* RC_SYNTAX; RC_LIMIT: longer than IMAP_TAG_MAX. */
enum rc imap_tag(struct view *in, struct view *out);
enum rc imap_atom(struct view *in, struct view *out);
/* quoted, literal or literal8. Quoted strings with escapes are copied into `a`. RC_SYNTAX, RC_TEMP. */
enum rc imap_string(struct view *in, struct arena *a, struct view *out);
/* atom (with "]") or string. */
enum rc imap_astring(struct view *in, struct arena *a, struct view *out);
/* A mailbox name as UTF-8. INBOX in any case becomes "INBOX". RC_SYNTAX: no astring here; RC_DENIED: an astring, but no
 * mailbox name can be written so (*in has moved). */
enum rc imap_mailbox(struct view *in, struct arena *a, struct view *out);
/* list-mailbox: as a mailbox name, "%" and "*" left in. */
enum rc imap_list_mailbox(struct view *in, struct arena *a, struct view *out);

struct imap_flags {
    unsigned flags;       /* FLAG_* of store/mailbox.h */
    struct view keywords; /* parted by single spaces, in `a` */
};
/* "(" flags ")". \Recent is refused: no client may set it. RC_LIMIT: more than IMAP_FLAGS_MAX, or a keyword too long. */
enum rc imap_flag_list(struct view *in, struct arena *a, struct imap_flags *out);
/* A flag list, or flags without brackets to the end (STORE). */
enum rc imap_store_flags(struct view *in, struct arena *a, struct imap_flags *out);
/* Quoted date-time of APPEND; seconds since 1970. */
enum rc imap_date_time(struct view *in, int64_t *out);

struct imap_literal {
    uint64_t size;
    bool no_sync; /* "{n+}": comes without being asked for (RFC 7888) */
    bool binary;  /* "~{n}" */
    size_t at;    /* where in the line its announcement begins */
};
/* Does the line (without CRLF) end in the announcement of a literal? RC_NOTFOUND: it does not. RC_LIMIT: a number too
 * big for any literal. */
enum rc imap_literal_at_end(struct view line, struct imap_literal *out);

/* Appends "quoted"; a literal where v holds bytes that a quoted string must not. */
void imap_write_string(struct view v, struct buf *out);
/* A mailbox path in modified UTF-7, quoted. */
void imap_write_mailbox(struct view path, struct buf *out);
/* "(\Seen $Label)" */
void imap_write_flags(unsigned flags, struct view keywords, bool recent, struct buf *out);

#endif
