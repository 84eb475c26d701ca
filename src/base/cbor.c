#include "base/cbor.h"

/* The argument of a head (RFC 8949 §3), which must be as short as it can be (§4.2.1). */
static bool take_argument(struct view *in, unsigned low, uint64_t *out)
{
    const size_t n = low == 24 ? 1 : low == 25 ? 2 : low == 26 ? 4 : low == 27 ? 8 : 0;

    if (low < 24) {
        *out = low;
        return true;
    }
    if (n == 0 || in->n < n)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out << 8 | (unsigned char)in->p[i];
    view_skip(in, n);
    return *out >= (n == 1 ? 24 : n == 2 ? 1u << 8 : n == 4 ? 1u << 16 : 1ull << 32);
}

enum rc cbor_next(struct view *in, struct cbor *out)
{
    static const enum cbor_kind kinds[] = {CBOR_UINT, CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP};
    struct view rest = *in;
    const int head = view_next(&rest);
    const unsigned major = (unsigned)head >> 5, low = (unsigned)head & 31;

    *out = (struct cbor){0};
    if (head < 0 || major == 6)
        return RC_SYNTAX;
    if (major == 7) { /* false, true, null, undefined */
        if (low < 20 || low > 23)
            return RC_SYNTAX;
        *out = (struct cbor){.kind = CBOR_SIMPLE, .n = low};
        *in = rest;
        return RC_OK;
    }
    out->kind = kinds[major];
    if (!take_argument(&rest, low, &out->n))
        return RC_SYNTAX;
    if (out->kind >= CBOR_BYTES && out->n > rest.n) /* each element has a byte at least */
        return RC_SYNTAX;
    if (out->kind == CBOR_BYTES || out->kind == CBOR_TEXT) {
        out->bytes = view_slice(rest, 0, (size_t)out->n);
        view_skip(&rest, (size_t)out->n);
    }
    *in = rest;
    return RC_OK;
}

static enum rc skip(struct view *in, unsigned depth)
{
    struct cbor item;
    enum rc rc = depth > CBOR_DEPTH_MAX ? RC_LIMIT : cbor_next(in, &item);
    const uint64_t n = rc != RC_OK ? 0 : item.kind == CBOR_ARRAY ? item.n : item.kind == CBOR_MAP ? 2 * item.n : 0;

    for (uint64_t i = 0; i < n && rc == RC_OK; i++) /* ends with the input, however large n is */
        rc = skip(in, depth + 1);
    return rc;
}

enum rc cbor_skip(struct view *in)
{
    struct view rest = *in;
    enum rc rc = skip(&rest, 1);
    if (rc == RC_OK)
        *in = rest;
    return rc;
}

enum rc cbor_find_text(struct view in, uint64_t n, struct view key, struct view *value)
{
    for (uint64_t i = 0; i < n; i++) {
        struct view at = in;
        struct cbor k;
        enum rc rc = cbor_skip(&in);
        if (rc == RC_OK && cbor_next(&at, &k) == RC_OK && k.kind == CBOR_TEXT && view_eq(k.bytes, key)) {
            *value = at;
            return RC_OK;
        }
        if (rc == RC_OK)
            rc = cbor_skip(&in);
        if (rc != RC_OK)
            return rc;
    }
    return RC_NOTFOUND;
}

enum rc cbor_find_number(struct view in, uint64_t n, int64_t key, struct view *value)
{
    for (uint64_t i = 0; i < n; i++) {
        struct view at = in;
        int64_t k;
        enum rc rc = cbor_skip(&in);
        if (rc == RC_OK && cbor_take_number(&at, &k) && k == key) {
            *value = at;
            return RC_OK;
        }
        if (rc == RC_OK)
            rc = cbor_skip(&in);
        if (rc != RC_OK)
            return rc;
    }
    return RC_NOTFOUND;
}

bool cbor_take_number(struct view *in, int64_t *out)
{
    struct view rest = *in;
    struct cbor item;
    if (cbor_next(&rest, &item) != RC_OK || (item.kind != CBOR_UINT && item.kind != CBOR_NEGATIVE) || item.n > INT64_MAX)
        return false;
    *out = item.kind == CBOR_UINT ? (int64_t)item.n : -1 - (int64_t)item.n;
    *in = rest;
    return true;
}

bool cbor_take_bytes(struct view *in, struct view *out)
{
    struct view rest = *in;
    struct cbor item;
    if (cbor_next(&rest, &item) != RC_OK || item.kind != CBOR_BYTES)
        return false;
    *out = item.bytes;
    *in = rest;
    return true;
}
