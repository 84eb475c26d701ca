/* base/cbor: reading CBOR (RFC 8949) as authenticators write it (CTAP2's canonical form): lengths are definite, no tags, no floats.
 * Pure: no I/O, any thread. Input is hostile. */
#ifndef BASE_CBOR_H
#define BASE_CBOR_H

#include "base/view.h"

#define CBOR_DEPTH_MAX 8 /* of what cbor_skip passes over */

enum cbor_kind { CBOR_UINT, CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_SIMPLE };
struct cbor {
    enum cbor_kind kind;
    uint64_t n;        /* the number (NEGATIVE: -1 - n), or how many bytes, elements or pairs follow */
    struct view bytes; /* of BYTES and TEXT */
};
/* The next item's head, with the bytes of a string; what an array or map holds follows. RC_SYNTAX: not in this form, or cut;
 * *in does not move then. */
enum rc cbor_next(struct view *in, struct cbor *out);
/* Past one whole item. RC_SYNTAX; RC_LIMIT: too deep. */
enum rc cbor_skip(struct view *in);
/* Finds the value of a key in a map whose head has been read (n pairs at `in`). RC_NOTFOUND. *value begins at the value. */
enum rc cbor_find_text(struct view in, uint64_t n, struct view key, struct view *value);
enum rc cbor_find_number(struct view in, uint64_t n, int64_t key, struct view *value);
/* The item as a number that fits; as a byte string. */
bool cbor_take_number(struct view *in, int64_t *out);
bool cbor_take_bytes(struct view *in, struct view *out);

#endif
