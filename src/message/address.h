/* message/address: address lists of From, To, Cc, ... (RFC 5322 §3.4 and §4.4, groups in From and Sender by
 * RFC 6854, UTF-8 by RFC 6532). Never fails on garbage: every text gives a list, and what had to be guessed
 * is marked `bad`. Encoded words are left as they are (encoded_decode). Whether an address may be used is for
 * others to say. Pure: no I/O, no globals, any thread. Linear in the length of the text. */
#ifndef MESSAGE_ADDRESS_H
#define MESSAGE_ADDRESS_H

#include "base/arena.h"
#include "base/buf.h"

#define ADDRESS_LIST_MAX 10000      /* entries of one list; what follows is not read */
#define ADDRESS_TEXT_MAX (1u << 20) /* bytes of one list; what follows is not read */

enum address_kind {
    ADDRESS_MAILBOX,
    ADDRESS_GROUP,     /* only `name` is set; its members follow */
    ADDRESS_GROUP_END, /* nothing is set */
};

struct address {
    struct address *next;
    enum address_kind kind;
    bool bad; /* not what the grammar allows; the fields are a best effort */
    struct view
        name; /* display name without its quoting, or, where there is none, the last comment; may be empty */
    struct view route;  /* "@a,@b" of an obsolete source route, else empty */
    struct view local;  /* without its quoting; empty where the text has none */
    struct view domain; /* "[...]" for a literal; empty where the text has none */
};

/* All entries in order, in *out (NULL: none), with all their text in `a`. RC_TEMP: the arena is full. */
enum rc address_list_parse(struct view text, struct arena *a, struct address **out);

/* Appends local@domain with the local part quoted where it must be (RFC 5322 §3.4.1). CR, LF and NUL are
 * refused as RC_SYNTAX in out. */
void address_write_spec(struct view local, struct view domain, struct buf *out);
/* Appends `Name <local@domain>`, the name quoted where it must be and as encoded words (RFC 2047) where it is
 * not ASCII; without a name just the address. CR, LF and NUL in any of them are refused as RC_SYNTAX in out.
 */
void address_write(struct view name, struct view local, struct view domain, struct buf *out);

#endif
