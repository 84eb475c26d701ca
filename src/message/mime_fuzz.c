/* Any bytes as a message: its summary is made, keeps its limits, and can be read again; its text can be
 * searched. */
#include "message/decode.h"
#include "message/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_search(struct view message, struct view index)
{
    struct decode_needle needle;
    bool found;
    bug_if(decode_needle_init(&needle, VIEW("\xc3\xa9t\xc3\xa9")) != RC_OK);
    decode_body_contains(message, index, &needle, &found);
    decode_header_contains(message, &needle, &found);
    decode_needle_clear(&needle);
}

static void check_params(struct view message, const struct mime_index_part *part)
{
    struct content_type type;
    struct buf text;
    struct view header = view_slice(view_from(message, part->header_offset), 0, part->header_len);
    size_t at = view_ifind(header, VIEW("content-type:"));
    buf_init(&text, CONTENT_PARAM_MAX);
    if (at != VIEW_NONE) {
        content_type_parse(view_from(header, at + 13), &type);
        content_param_text(type.params, VIEW("name"), &text);
    }
    buf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view message = view_of(data, size);
    struct arena a;
    struct summary s;
    struct buf body;
    unsigned n;
    arena_init(&a, SUMMARY_ARENA_MAX);
    buf_init(&body, SUMMARY_STRUCTURE_MAX);
    bug_if(summary_make(message, &a, &s) != RC_OK);
    bug_if(summary_body_from_structure(s.bodystructure, &body) != RC_OK);
    bug_if(mime_index_count(s.index, size, &n) != RC_OK);
    for (unsigned i = 0; i < n; i++) {
        struct mime_index_part part;
        mime_index_get(s.index, i, &part);
        check_params(message, &part);
    }
    check_search(message, s.index);
    /* The same bytes as what a damaged store would give back. */
    buf_reset(&body);
    summary_body_from_structure(message, &body);
    if (mime_index_count(message, UINT32_MAX, &n) == RC_OK) {
        struct mime_index_part part;
        mime_index_find(message, VIEW("1.1"), &part);
    }
    buf_clear(&body);
    arena_clear(&a);
    return 0;
}
