/* message/content: Content-Type, Content-Disposition and their parameters (RFC 2045 §5, RFC 2183, RFC 2231),
 * and the transfer encodings (RFC 2045 §6). Tolerant: what is met is read, what cannot be read gives the
 * default. Pure: no I/O, no globals, any thread. Views borrow the header. */
#ifndef MESSAGE_CONTENT_H
#define MESSAGE_CONTENT_H

#include "base/buf.h"

#define CONTENT_PARAMS_MAX   100   /* of one field; what follows is not read */
#define CONTENT_PARAM_MAX    32768 /* bytes of one decoded value */
#define CONTENT_SECTIONS_MAX 100   /* RFC 2231 continuations of one value */

struct content_type {
    struct view type,
        subtype;        /* as written; "text" and "plain" where the field is missing or cannot be read */
    struct view params; /* what follows, for content_param_next */
    bool is_default;
};
struct content_param {
    struct view name; /* as written, with the "*" marks of RFC 2231 */
    struct view
        value; /* inside of the quotes where is_quoted: then content_param_value undoes escapes and folds */
    bool is_quoted;
};

void content_type_parse(struct view value, struct content_type *out);
/* The first token of a Content-Disposition or similar; what follows goes into *params. */
struct view content_token(struct view value, struct view *params);
/* The next parameter, moving past it. False where there is none left. */
bool content_param_next(struct view *params, struct content_param *out);
/* Appends its value without quoting and folds. */
void content_param_value(const struct content_param *param, struct buf *out);
/* The parameter so named, as written. RC_NOTFOUND. */
enum rc content_param_find(struct view params, struct view name, struct content_param *out);
/* Appends the value as UTF-8: continuations joined and charset undone (RFC 2231), encoded words decoded
 * although RFC 2047 §5 forbids them here, since many writers put them. RC_NOTFOUND; RC_LIMIT where out is
 * full. */
enum rc content_param_text(struct view params, struct view name, struct buf *out);

enum content_encoding {
    ENCODING_7BIT,
    ENCODING_8BIT,
    ENCODING_BINARY,
    ENCODING_QUOTED_PRINTABLE,
    ENCODING_BASE64,
    ENCODING_UNKNOWN, /* RFC 2045 §6.4: as application/octet-stream */
};
/* Of a Content-Transfer-Encoding value; 7bit where it is empty. */
enum content_encoding content_encoding_parse(struct view value);
static inline bool content_encoding_is_identity(enum content_encoding e)
{
    return e <= ENCODING_BINARY;
}
/* Appends the body decoded; unknown encodings are copied. Damage is passed over. RC_LIMIT: out is full and
 * holds what fitted. */
enum rc content_decode(enum content_encoding e, struct view body, struct buf *out);
/* RFC 2045 §6.7, never fails on input. */
void content_decode_qp(struct view body, struct buf *out);

#endif
