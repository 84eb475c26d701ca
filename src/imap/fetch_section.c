#include "imap/fetch.h"
#include "message/header.h"
#include "message/mime.h"

static struct view header_bytes(struct view message, const struct mime_index_part *p)
{
    return view_slice(message, p->header_offset, p->header_len);
}

static struct view body_bytes(struct view message, const struct mime_index_part *p)
{
    return view_slice(message, p->body_offset, p->body_len);
}

static bool is_listed(const struct fetch_item *item, struct view name)
{
    for (size_t i = 0; i < item->n_fields; i++) {
        if (view_ieq(item->fields[i], name))
            return true;
    }
    return false;
}

/* The fields asked for, and always the empty line (RFC 3501 §6.4.5). */
static enum rc filter_fields(const struct fetch_item *item, struct view section, struct buf *scratch, struct view *out)
{
    struct header_field f;
    bool listed = item->what == WHAT_FIELDS;

    while (header_next(&section, &f)) {
        if (is_listed(item, f.name) == listed)
            buf_add(scratch, f.whole);
    }
    buf_str(scratch, "\r\n");
    *out = buf_view(scratch);
    return buf_rc(scratch);
}

static enum rc decode_part(struct view message, const struct mime_index_part *part, struct buf *scratch, struct view *out)
{
    *out = body_bytes(message, part);
    if (part->kind == MIME_MULTIPART || part->kind == MIME_MESSAGE || content_encoding_is_identity(part->encoding))
        return RC_OK;
    if (part->encoding == ENCODING_UNKNOWN) /* RFC 3516 §4.3: UNKNOWN-CTE */
        return RC_DENIED;
    enum rc rc = content_decode(part->encoding, *out, scratch);
    *out = buf_view(scratch);
    return rc;
}

/* Bytes of the whole section. */
static enum rc whole_section(const struct fetch_item *item, struct view message, struct view index, struct buf *scratch,
                             struct view *out)
{
    struct mime_index_part part, inner;
    unsigned n;
    enum rc rc;

    if (item->part.n == 0 && item->what == WHAT_ALL) {
        *out = message;
        return RC_OK;
    }
    if (mime_index_count(index, message.n, &n) != RC_OK)
        return RC_CORRUPT;
    rc = mime_index_find(index, item->part, &part);
    if (rc != RC_OK)
        return RC_NOTFOUND;
    if (item->kind != FETCH_SECTION)
        return decode_part(message, &part, scratch, out);
    if (item->what == WHAT_MIME) {
        *out = header_bytes(message, &part);
        return RC_OK;
    }
    if (item->what == WHAT_ALL) {
        *out = body_bytes(message, &part);
        return RC_OK;
    }
    inner = part;
    if (item->part.n > 0 && mime_index_message(index, &part, &inner) != RC_OK) /* no message within has no HEADER */
        return RC_NOTFOUND;
    if (item->what == WHAT_TEXT)
        *out = body_bytes(message, &inner);
    else if (item->what == WHAT_HEADER)
        *out = header_bytes(message, &inner);
    else
        return filter_fields(item, header_bytes(message, &inner), scratch, out);
    return RC_OK;
}

enum rc imap_section_get(const struct fetch_item *item, struct view message, struct view index, struct buf *scratch,
                         struct view *out)
{
    enum rc rc = whole_section(item, message, index, scratch, out);

    if (rc == RC_OK && item->is_partial)
        *out = view_slice(*out, item->from, item->count);
    return rc;
}
