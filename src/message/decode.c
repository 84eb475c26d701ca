#include "message/decode.h"

#include "base/utf8.h"
#include "message/charset.h"
#include "message/encoded.h"
#include "message/header.h"

#define FIELD_TEXT_MAX (4u * HEADER_MAX)

/* Capital letters and their small ones: those from first to last, every step-th of them, at a distance. */
static const struct {
    uint16_t first, last, step;
    int16_t distance;
} capitals[] = {
    {0x00c0, 0x00d6, 1, 32}, {0x00d8, 0x00de, 1, 32},   {0x0100, 0x012e, 2, 1},  {0x0130, 0x0130, 1, -199},
    {0x0132, 0x0136, 2, 1},  {0x0139, 0x0147, 2, 1},    {0x014a, 0x0176, 2, 1},  {0x0178, 0x0178, 1, -121},
    {0x0179, 0x017d, 2, 1},  {0x017f, 0x017f, 1, -268}, {0x01cd, 0x01db, 2, 1},  {0x01de, 0x01ee, 2, 1},
    {0x01f8, 0x021e, 2, 1},  {0x0222, 0x0232, 2, 1},    {0x0386, 0x0386, 1, 38}, {0x0388, 0x038a, 1, 37},
    {0x038c, 0x038c, 1, 64}, {0x038e, 0x038f, 1, 63},   {0x0391, 0x03a1, 1, 32}, {0x03a3, 0x03ab, 1, 32},
    {0x03c2, 0x03c2, 1, 1},  {0x0400, 0x040f, 1, 80},   {0x0410, 0x042f, 1, 32}, {0x0460, 0x0480, 2, 1},
    {0x048a, 0x04be, 2, 1},  {0x04c1, 0x04cd, 2, 1},    {0x04d0, 0x052e, 2, 1},  {0x0531, 0x0556, 1, 48},
    {0x1e00, 0x1e94, 2, 1},  {0x1ea0, 0x1efe, 2, 1},    {0x2160, 0x216f, 1, 16}, {0x24b6, 0x24cf, 1, 26},
    {0xff21, 0xff3a, 1, 32},
};

static uint32_t fold_code_point(uint32_t cp)
{
    if (cp < 0x80)
        return to_lower((unsigned char)cp);
    for (size_t i = 0; i < sizeof capitals / sizeof capitals[0] && cp >= capitals[i].first; i++)
        if (cp <= capitals[i].last)
            return (cp - capitals[i].first) % capitals[i].step == 0
                       ? (uint32_t)((int32_t)cp + capitals[i].distance)
                       : cp;
    return cp;
}

void decode_fold(struct view text, struct buf *out)
{
    while (text.n > 0 && buf_rc(out) == RC_OK) {
        uint32_t cp;
        if (utf8_next(&text, &cp) != RC_OK) {
            cp = 0xfffd;
            view_skip(&text, 1);
        }
        utf8_put(out, fold_code_point(cp));
    }
}

enum rc decode_needle_init(struct decode_needle *needle, struct view text)
{
    buf_init(&needle->folded, 2 * DECODE_NEEDLE_MAX); /* a folded letter may be a byte longer */
    needle->is_ascii = view_is_ascii(text);
    if (text.n > DECODE_NEEDLE_MAX)
        return RC_LIMIT;
    if (!utf8_is_valid(text))
        return RC_SYNTAX;
    decode_fold(text, &needle->folded);
    return buf_rc(&needle->folded);
}

void decode_needle_clear(struct decode_needle *needle)
{
    buf_clear(&needle->folded);
}

enum rc decode_text_contains(struct view text, const struct decode_needle *needle, bool *found)
{
    struct view folded_needle = buf_view(&needle->folded);
    if (needle->is_ascii) {
        *found = view_ifind(text, folded_needle) != VIEW_NONE;
        return RC_OK;
    }
    struct buf folded;
    buf_init(&folded, text.n > SIZE_MAX / 3 ? SIZE_MAX : text.n * 3); /* U+FFFD for each byte at worst */
    decode_fold(text, &folded);
    enum rc rc = buf_rc(&folded);
    *found = rc == RC_OK && view_find(buf_view(&folded), folded_needle) != VIEW_NONE;
    buf_clear(&folded);
    return rc;
}

/* ASCII stands as it is where nothing is encoded; only a fold may come in between, if the needle has a blank.
 */
static bool is_raw_searchable(struct view raw, const struct decode_needle *needle)
{
    struct view text = buf_view(&needle->folded);
    return needle->is_ascii && view_chr(text, ' ') == VIEW_NONE && view_chr(text, '\t') == VIEW_NONE &&
           view_chr(text, '\r') == VIEW_NONE && view_chr(text, '\n') == VIEW_NONE &&
           view_find(raw, VIEW("=?")) == VIEW_NONE;
}

enum rc decode_field_contains(struct view value, const struct decode_needle *needle, bool *found)
{
    struct buf text;
    if (is_raw_searchable(value, needle))
        return decode_text_contains(value, needle, found);
    buf_init(&text, FIELD_TEXT_MAX);
    encoded_decode(value, &text);
    enum rc rc = buf_rc(&text) == RC_TEMP ? RC_TEMP : RC_OK;
    *found = false;
    if (rc == RC_OK)
        rc = decode_text_contains(buf_view(&text), needle, found);
    buf_clear(&text);
    return rc;
}

enum rc decode_named_contains(struct view header, struct view name, const struct decode_needle *needle,
                              bool *found)
{
    struct header_field field;
    enum rc rc = RC_OK;
    *found = false;
    header = view_slice(header, 0, HEADER_MAX);
    for (int i = 0; rc == RC_OK && !*found && i < HEADER_FIELDS_MAX && header_next(&header, &field); i++)
        if (view_ieq(field.name, name))
            rc = decode_field_contains(field.value, needle, found);
    return rc;
}

enum rc decode_header_contains(struct view header, const struct decode_needle *needle, bool *found)
{
    struct header_field field;
    enum rc rc = RC_OK;
    header = header_of(view_slice(header, 0, HEADER_MAX));
    if (is_raw_searchable(header, needle))
        return decode_text_contains(header, needle, found);
    *found = needle->folded.n == 0;
    for (int i = 0; rc == RC_OK && !*found && i < HEADER_FIELDS_MAX && header_next(&header, &field); i++)
        rc = decode_field_contains(field.whole, needle, found);
    return rc;
}

static struct view part_header(struct view message, const struct mime_index_part *part)
{
    return view_slice(view_from(message, part->header_offset), 0, part->header_len);
}

static struct view part_body(struct view message, const struct mime_index_part *part)
{
    return view_slice(view_from(message, part->body_offset), 0, part->body_len);
}

/* The part's charset into out, empty where it names none. */
static void read_charset(struct view message, const struct mime_index_part *part, struct buf *out)
{
    struct content_type type;
    struct content_param param;
    content_type_parse(header_value(part_header(message, part), VIEW("content-type")), &type);
    if (content_param_find(type.params, VIEW("charset"), &param) == RC_OK)
        content_param_value(&param, out);
    if (buf_rc(out) != RC_OK)
        buf_reset(out); /* too long for a name */
}

/* Text of a part; where `raw` bytes will do, its charset is left alone. */
static enum rc decode_text(struct view message, const struct mime_index_part *part, bool raw_will_do,
                           struct buf *out)
{
    struct buf charset, decoded;
    struct view body = part_body(message, part), text = body;
    enum rc rc = RC_OK;
    buf_init(&charset, CHARSET_NAME_MAX);
    buf_init(&decoded, DECODE_TEXT_MAX);
    read_charset(message, part, &charset);
    bool is_raw = raw_will_do && charset_is_ascii_superset(buf_view(&charset));
    if (!content_encoding_is_identity(part->encoding)) {
        rc = content_decode(part->encoding, body, is_raw ? out : &decoded);
        text = buf_view(&decoded);
    } else if (is_raw) {
        buf_add(out, body);
    }
    if (rc != RC_TEMP && !is_raw)
        rc = charset_to_utf8(buf_view(&charset), text, out);
    if (rc == RC_NOTFOUND || rc == RC_OK)
        rc = buf_rc(out);
    buf_clear(&charset);
    buf_clear(&decoded);
    return rc;
}

static enum rc part_contains(struct view message, const struct mime_index_part *part,
                             const struct decode_needle *needle, bool *found)
{
    struct buf text;
    buf_init(&text, CHARSET_NAME_MAX);
    read_charset(message, part, &text);
    bool is_plain = content_encoding_is_identity(part->encoding) && needle->is_ascii &&
                    charset_is_ascii_superset(buf_view(&text));
    buf_clear(&text);
    if (is_plain) /* the common case: nothing is copied */
        return decode_text_contains(part_body(message, part), needle, found);
    buf_init(&text, DECODE_TEXT_MAX);
    enum rc rc = decode_text(message, part, needle->is_ascii, &text);
    if (rc == RC_LIMIT)
        rc = RC_OK;
    if (rc == RC_OK)
        rc = decode_text_contains(buf_view(&text), needle, found);
    buf_clear(&text);
    return rc;
}

enum rc decode_body_contains(struct view message, struct view index, const struct decode_needle *needle,
                             bool *found)
{
    unsigned n;
    enum rc rc = mime_index_count(index, message.n, &n);
    *found = needle->folded.n == 0;
    for (unsigned i = 0; rc == RC_OK && !*found && i < n; i++) {
        struct mime_index_part part;
        mime_index_get(index, i, &part);
        if (i > 0)
            rc = decode_header_contains(part_header(message, &part), needle, found);
        if (rc == RC_OK && !*found && part.kind == MIME_TEXT)
            rc = part_contains(message, &part, needle, found);
    }
    return rc;
}
