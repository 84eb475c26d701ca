#include "store/blob_format.h"

#include <xxhash.h>

#define SEGMENT_MAGIC   "FacteurB"
#define SEGMENT_VERSION 1
#define RECORD_MAGIC    0x31424346u /* "FCB1" */

struct head_on_disk {
    char magic[8];
    uint32_t version, number;
    uint64_t salt;
    int64_t created_s;
    uint64_t complete;
    uint64_t spare[2];
    uint64_t sum;
};
struct record_on_disk {
    uint32_t magic, flags;
    uint64_t salt, size, owner;
    int64_t time_s;
    uint64_t spare, body_sum;
    uint64_t head_sum; /* of all above, seeded with the offset: a head that lies elsewhere is no head */
};
_Static_assert(sizeof(struct head_on_disk) == SEGMENT_HEAD, "segment head");
_Static_assert(sizeof(struct record_on_disk) == RECORD_HEAD, "record head");

void segment_head_write(const struct segment_head *h, char out[SEGMENT_HEAD])
{
    struct head_on_disk d = {.version = SEGMENT_VERSION, .number = h->number, .salt = h->salt, .created_s = h->created_s,
                             .complete = h->complete};

    memcpy(d.magic, SEGMENT_MAGIC, sizeof d.magic);
    d.sum = XXH3_64bits(&d, offsetof(struct head_on_disk, sum));
    memcpy(out, &d, sizeof d);
}

enum rc segment_head_parse(struct view in, struct segment_head *out)
{
    struct head_on_disk d;

    if (in.n < sizeof d)
        return RC_CORRUPT;
    memcpy(&d, in.p, sizeof d);
    if (memcmp(d.magic, SEGMENT_MAGIC, sizeof d.magic) != 0 || d.version != SEGMENT_VERSION ||
        d.sum != XXH3_64bits(&d, offsetof(struct head_on_disk, sum)))
        return RC_CORRUPT;
    *out = (struct segment_head){.number = d.number, .salt = d.salt, .created_s = d.created_s, .complete = d.complete};
    return RC_OK;
}

uint64_t record_body_sum(struct view body)
{
    return XXH3_64bits(body.p, body.n);
}

void record_head_write(const struct record *r, uint64_t salt, char out[RECORD_HEAD])
{
    struct record_on_disk d = {.magic = RECORD_MAGIC, .salt = salt, .size = r->size, .owner = r->owner, .time_s = r->time_s,
                               .body_sum = r->body_sum};

    d.head_sum = XXH3_64bits_withSeed(&d, offsetof(struct record_on_disk, head_sum), r->offset);
    memcpy(out, &d, sizeof d);
}

static bool parse_head(struct view in, uint64_t offset, struct record_on_disk *d)
{
    if (in.n < sizeof *d)
        return false;
    memcpy(d, in.p, sizeof *d);
    return d->magic == RECORD_MAGIC && d->flags == 0 && d->size <= OFFSET_MAX &&
           d->head_sum == XXH3_64bits_withSeed(d, offsetof(struct record_on_disk, head_sum), offset);
}

enum rc record_head_parse(struct view in, uint64_t salt, uint64_t offset, struct record *out)
{
    struct record_on_disk d;

    if (!parse_head(in, offset, &d) || d.salt != salt)
        return RC_CORRUPT;
    *out = (struct record){.offset = offset, .size = d.size, .owner = d.owner, .time_s = d.time_s, .body_sum = d.body_sum};
    return RC_OK;
}

static bool is_zero(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != 0)
            return false;
    return true;
}

enum rc record_next(struct view segment, uint64_t salt, uint64_t *offset, struct record *out, uint64_t *gap)
{
    uint64_t at = (*offset + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
    bool gap_is_zero = true;
    uint64_t stepped = 0;

    for (; at + RECORD_HEAD <= segment.n; at += RECORD_ALIGN) {
        if (record_head_parse(view_slice(segment, at, RECORD_HEAD), salt, at, out) == RC_OK &&
            out->size <= segment.n - at - RECORD_HEAD)
            break;
        if (gap_is_zero && !is_zero(view_slice(segment, at, RECORD_ALIGN)))
            gap_is_zero = false;
        stepped += RECORD_ALIGN;
    }
    if (gap && !gap_is_zero)
        *gap += stepped;
    if (at + RECORD_HEAD > segment.n) {
        *offset = segment.n;
        return RC_NOTFOUND;
    }
    *offset = at + record_span(out->size);
    return RC_OK;
}

enum rc segment_guess_salt(struct view segment, uint64_t *salt)
{
    struct record_on_disk d;
    uint64_t seen = 0;
    bool have = false;

    for (uint64_t at = SEGMENT_HEAD; at + RECORD_HEAD <= segment.n;) {
        if (!parse_head(view_slice(segment, at, RECORD_HEAD), at, &d)) {
            at += RECORD_ALIGN;
            continue;
        }
        if (have && d.salt == seen)
            break;
        have = true; /* a lone record is believed; a forged one in a damaged body is outvoted by its true neighbours */
        seen = d.salt;
        at += record_span(d.size);
    }
    *salt = seen;
    return have ? RC_OK : RC_NOTFOUND;
}
