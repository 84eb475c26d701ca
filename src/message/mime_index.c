#include "message/mime.h"

#define FLAG_MESSAGE_ROOT 0x80
#define FLAG_ATTACHMENT   0x40
#define ENCODING_BITS     0x0f
#define INDEX_HEAD        4

static void put_u16(struct buf *out, uint16_t n)
{
    char bytes[2] = {(char)(n & 0xff), (char)(n >> 8)};
    buf_add(out, view_of(bytes, sizeof bytes));
}

static void put_u32(struct buf *out, uint32_t n)
{
    put_u16(out, (uint16_t)(n & 0xffff));
    put_u16(out, (uint16_t)(n >> 16));
}

static uint16_t get_u16(struct view *in)
{
    unsigned low = (unsigned)view_next(in);
    return (uint16_t)(low | (unsigned)view_next(in) << 8);
}

static uint32_t get_u32(struct view *in)
{
    uint32_t low = get_u16(in);
    return low | (uint32_t)get_u16(in) << 16;
}

void mime_index_write(const struct mime *mime, struct buf *out)
{
    /* Where the parents stand in preorder: one open ancestor a depth. */
    uint16_t at_depth[MIME_DEPTH_MAX + 1] = {0}, place = 0;
    buf_chr(out, MIME_INDEX_VERSION);
    buf_chr(out, 0);
    put_u16(out, (uint16_t)mime->n_parts);
    for (const struct mime_part *part = mime->root; part; part = mime_next(part), place++) {
        struct view params;
        bool is_attachment = view_ieq(content_token(part->disposition, &params), VIEW("attachment"));
        at_depth[part->depth] = place;
        put_u16(out, part->depth == 0 ? 0 : at_depth[part->depth - 1]);
        put_u16(out, part->number);
        buf_chr(out, (char)part->kind);
        buf_chr(out, (char)(part->encoding | (part->is_message_root ? FLAG_MESSAGE_ROOT : 0) |
                            (is_attachment ? FLAG_ATTACHMENT : 0)));
        put_u32(out, part->header_offset);
        put_u32(out, part->header_len);
        put_u32(out, part->body_offset);
        put_u32(out, part->body_len);
        put_u32(out, part->lines);
    }
}

static void read_part(struct view record, uint16_t place, struct mime_index_part *out)
{
    out->place = place;
    out->parent = get_u16(&record);
    out->number = get_u16(&record);
    out->kind = (enum mime_kind)view_next(&record);
    int bits = view_next(&record);
    out->encoding = (enum content_encoding)(bits & ENCODING_BITS);
    out->is_message_root = (bits & FLAG_MESSAGE_ROOT) != 0;
    out->is_attachment = (bits & FLAG_ATTACHMENT) != 0;
    out->header_offset = get_u32(&record);
    out->header_len = get_u32(&record);
    out->body_offset = get_u32(&record);
    out->body_len = get_u32(&record);
    out->lines = get_u32(&record);
}

static unsigned count_of(struct view index)
{
    return index.n < INDEX_HEAD ? 0 : (unsigned)(index.n - INDEX_HEAD) / MIME_INDEX_PART;
}

enum rc mime_index_count(struct view index, uint64_t message_size, unsigned *out)
{
    struct view head = index;
    unsigned n = count_of(index);
    if (n == 0 || n > MIME_PARTS_MAX || (index.n - INDEX_HEAD) % MIME_INDEX_PART != 0 ||
        view_next(&head) != MIME_INDEX_VERSION)
        return RC_CORRUPT;
    view_skip(&head, 1);
    if (get_u16(&head) != n)
        return RC_CORRUPT;
    for (unsigned i = 0; i < n; i++) {
        struct mime_index_part p;
        mime_index_get(index, i, &p);
        if ((i == 0 ? p.parent != 0 : p.parent >= i) || p.kind > MIME_MULTIPART ||
            p.encoding > ENCODING_UNKNOWN || (uint64_t)p.header_offset + p.header_len > message_size ||
            (uint64_t)p.body_offset + p.body_len > message_size)
            return RC_CORRUPT;
    }
    *out = n;
    return RC_OK;
}

void mime_index_get(struct view index, unsigned place, struct mime_index_part *out)
{
    read_part(view_slice(index, INDEX_HEAD + (size_t)place * MIME_INDEX_PART, MIME_INDEX_PART),
              (uint16_t)place, out);
}

static enum rc find_child(struct view index, const struct mime_index_part *parent, uint32_t number,
                          struct mime_index_part *out)
{
    unsigned n = count_of(index);
    for (unsigned i = parent->place + 1u; i < n; i++) {
        struct mime_index_part p;
        mime_index_get(index, i, &p);
        if (p.parent == parent->place && p.number == number) {
            *out = p;
            return RC_OK;
        }
    }
    return RC_NOTFOUND;
}

enum rc mime_index_message(struct view index, const struct mime_index_part *part, struct mime_index_part *out)
{
    if (part->kind != MIME_MESSAGE)
        return RC_NOTFOUND;
    return find_child(index, part, 1, out);
}

enum rc mime_index_find(struct view index, struct view section, struct mime_index_part *out)
{
    struct mime_index_part at;
    bool as_message = true; /* `at` is a whole message: of one that is not multipart, part 1 is its body */
    if (count_of(index) == 0)
        return RC_NOTFOUND;
    mime_index_get(index, 0, &at);
    for (unsigned i = 0; section.n > 0; i++) {
        uint32_t number;
        enum rc rc;
        if (i == MIME_SECTION_MAX)
            return RC_NOTFOUND;
        if (view_u32(&section, UINT32_MAX, &number) != RC_OK || number == 0)
            return RC_SYNTAX;
        if (section.n > 0 && (!view_take_chr(&section, '.') || section.n == 0))
            return RC_SYNTAX;
        if (!as_message && at.kind == MIME_MESSAGE) {
            rc = mime_index_message(index, &at, &at);
            if (rc != RC_OK)
                return rc;
            as_message = true;
        }
        if (at.kind == MIME_MULTIPART)
            rc = find_child(index, &at, number, &at);
        else
            rc = as_message && number == 1 ? RC_OK : RC_NOTFOUND;
        if (rc != RC_OK)
            return rc;
        as_message = false;
    }
    *out = at;
    return RC_OK;
}
