/* message/compose: a message written from its parts: RFC 5322 header, RFC 2047 words, RFC 2045 body parts, RFC 2231 file names. What a
 * caller gives is text of people and programs: whatever it holds, no field and no part is made by it, lines end at CRLF and
 * none is longer than 998 bytes. Pure; any thread. */
#ifndef MESSAGE_COMPOSE_H
#define MESSAGE_COMPOSE_H

#include "base/arena.h"
#include "base/buf.h"

#define COMPOSE_FIELD_MAX     2000 /* bytes of one further field's value, or of the subject */
#define COMPOSE_FIELDS_MAX    50
#define COMPOSE_PARTS_MAX     100
#define COMPOSE_FILENAME_MAX  255  /* bytes */
#define COMPOSE_TYPE_MAX      100
#define COMPOSE_NAME_MAX      250  /* bytes of a mailbox's name; and of its address, whose parts RFC 5321 §4.5.3.1 bounds: */
#define COMPOSE_ADDRESS_MAX   320

struct compose_field {
    struct view name, value;
};
struct compose_part {
    struct view name;  /* of the file; empty: none */
    struct view type;  /* "application/pdf"; empty: application/octet-stream */
    struct view bytes;
};
/* One mailbox, as people write it: "Anne <anne@ici.test>". */
struct compose_mailbox {
    struct view name, local, domain;
    struct view address; /* local@domain, as an envelope has it */
};
struct compose {
    struct compose_mailbox from;
    const struct compose_mailbox *to, *cc, *reply_to;
    size_t n_to, n_cc, n_reply_to;
    struct view subject;
    struct view text, html;   /* UTF-8 with any line ends; both: an alternative. Neither: an empty text */
    const struct compose_field *fields;
    size_t n_fields;
    const struct compose_part *parts;
    size_t n_parts;
    struct view message_id;   /* without <> */
    uint64_t unique[2];       /* random: for boundaries */
    int64_t now_s;
};

/* All of it from the arena. RC_SYNTAX: not just one mailbox, a longer one than the limits, or one that SMTPUTF8 would be needed for. */
enum rc compose_mailbox_read(struct view text, struct arena *a, struct compose_mailbox *out);
/* May a caller set this field: "X-...", "List-...", "In-Reply-To" and others that tell of the message, none that we write. */
bool compose_may_set(struct view name);
/* Appends the message. RC_SYNTAX, RC_LIMIT: *why names what is wrong in plain words. */
enum rc compose_write(const struct compose *c, struct buf *out, const char **why);

#endif
