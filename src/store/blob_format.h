/* store/blob_format: how segment files look inside. Pure; any thread.
 *
 * A segment is a head of SEGMENT_HEAD bytes and then records, each on a multiple of 8: a head of RECORD_HEAD bytes, the
 * body, zeros up to the next multiple of 8. Between records there may be gaps (a write that a crash or a full disk cut
 * off; room for the front of a large one, which it did not need): readers of whole segments step over them to the next
 * head that checks out.
 *
 * Each segment has a random salt that stands in every head of its records: a message whose text looks like a record
 * cannot pass for one. Head and body have a checksum each, so that the length of a record can be trusted without
 * reading its body. All numbers are as the machine has them (little endian). Bodies lie there plain: zstd level 1 on
 * 10 KiB of text took 72 us to save half, a quarter of the time that the whole message may cost. `flags` has room. */
#ifndef STORE_BLOB_FORMAT_H
#define STORE_BLOB_FORMAT_H

#include "base/view.h"

#define SEGMENT_HEAD   64
#define RECORD_HEAD    64
#define RECORD_ALIGN   8
#define SEGMENT_BYTES  (64u << 20)          /* a new one is begun when this is full; one large blob may pass it */
#define OFFSET_BITS    36                   /* an id is segment << OFFSET_BITS | offset */
#define OFFSET_MAX     ((1ull << OFFSET_BITS) - 1)
#define SEGMENT_MAX    ((1u << 27) - 1)     /* so that an id is positive in 64 bits */

static inline uint32_t blob_segment(uint64_t id)
{
    return (uint32_t)(id >> OFFSET_BITS);
}
static inline uint64_t blob_offset(uint64_t id)
{
    return id & OFFSET_MAX;
}
static inline uint64_t blob_id(uint32_t segment, uint64_t offset)
{
    return (uint64_t)segment << OFFSET_BITS | offset;
}

struct segment_head {
    uint32_t number;
    uint64_t salt;
    int64_t created_s;
    uint64_t complete; /* hint: every record before this offset was complete and on the disk when it was written */
};
void segment_head_write(const struct segment_head *h, char out[SEGMENT_HEAD]);
/* RC_CORRUPT: no head of a segment. */
enum rc segment_head_parse(struct view in, struct segment_head *out);

struct record {
    uint64_t offset; /* where its head stands */
    uint64_t size;   /* of the body */
    uint64_t owner;  /* account it was written for, 0 unknown */
    int64_t time_s;
    uint64_t body_sum;
};
/* Bytes from its head to the next record's place. */
static inline uint64_t record_span(uint64_t size)
{
    return (RECORD_HEAD + size + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}
uint64_t record_body_sum(struct view body);
void record_head_write(const struct record *r, uint64_t salt, char out[RECORD_HEAD]);
/* The head that should stand at `offset` of a segment with this salt. RC_CORRUPT: it does not. */
enum rc record_head_parse(struct view in, uint64_t salt, uint64_t offset, struct record *out);
static inline struct view record_body(struct view segment, const struct record *r)
{
    return view_slice(segment, r->offset + RECORD_HEAD, r->size);
}

/* Walks the records of a segment that lies in memory (`segment` is the whole file as far as it goes).
 * *offset: where to look from (SEGMENT_HEAD at first); moves past the record found. *gap counts bytes stepped over that
 * belong to no record and are not all zero. Bodies are not checked. RC_NOTFOUND: no more. */
enum rc record_next(struct view segment, uint64_t salt, uint64_t *offset, struct record *out, uint64_t *gap);
/* The salt where the head of the segment is lost: taken from the first two heads of records that agree. RC_NOTFOUND. */
enum rc segment_guess_salt(struct view segment, uint64_t *salt);

#endif
