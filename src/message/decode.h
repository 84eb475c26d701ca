/* message/decode: the text of a message as people read it: out of its transfer encoding and charset into
 * UTF-8, and whether it contains something, without regard to case (IMAP SEARCH, RFC 3501 §6.4.4). Case is
 * folded by code point over the alphabets that have it; text is not normalised otherwise. Parts that are not
 * text/... are not searched, headers of parts and of messages within are.
 * Pure but for what charset.h says; any thread. */
#ifndef MESSAGE_DECODE_H
#define MESSAGE_DECODE_H

#include "message/mime.h"

#define DECODE_TEXT_MAX   (16u << 20) /* decoded bytes of one part that are searched */
#define DECODE_NEEDLE_MAX 4096        /* bytes of a text searched for */

struct decode_needle {
    struct buf folded;
    bool is_ascii;
};
/* Takes UTF-8. Clear it in every case. RC_LIMIT: longer than DECODE_NEEDLE_MAX. RC_SYNTAX: not UTF-8. */
enum rc decode_needle_init(struct decode_needle *needle, struct view text);
void decode_needle_clear(struct decode_needle *needle);

/* Appends UTF-8 text with its case folded; bytes that are not UTF-8 become U+FFFD. */
void decode_fold(struct view text, struct buf *out);

/* Each gives its answer in *found; an empty needle is in everything. RC_TEMP: no memory, and it is not known.
 */
/* UTF-8 text. */
enum rc decode_text_contains(struct view text, const struct decode_needle *needle, bool *found);
/* A header field's raw value, encoded words decoded. */
enum rc decode_field_contains(struct view value, const struct decode_needle *needle, bool *found);
/* Any field so named (HEADER, SUBJECT, FROM, ...); with the empty needle, whether there is one. */
enum rc decode_named_contains(struct view header, struct view name, const struct decode_needle *needle,
                              bool *found);
/* Any field of a header section, with its name. */
enum rc decode_header_contains(struct view header, const struct decode_needle *needle, bool *found);
/* The body: all text parts, and headers but the message's own. RC_CORRUPT: the index is not of this message.
 */
enum rc decode_body_contains(struct view message, struct view index, const struct decode_needle *needle,
                             bool *found);

#endif
