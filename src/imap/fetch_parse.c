#include "imap/fetch.h"
#include "imap/parse.h"
#include "message/mime.h"

static const struct {
    struct view name;
    enum fetch_kind kind;
} simple_items[] = {
    {VIEW_INIT("UID"), FETCH_UID},           {VIEW_INIT("FLAGS"), FETCH_FLAGS},
    {VIEW_INIT("ENVELOPE"), FETCH_ENVELOPE}, {VIEW_INIT("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE},
    {VIEW_INIT("BODY"), FETCH_BODY},         {VIEW_INIT("INTERNALDATE"), FETCH_INTERNALDATE},
    {VIEW_INIT("MODSEQ"), FETCH_MODSEQ},     {VIEW_INIT("RFC822.SIZE"), FETCH_SIZE},
};
static const struct {
    struct view name;
    enum fetch_what what;
    bool peek;
} old_sections[] = {
    {VIEW_INIT("RFC822"), WHAT_ALL, false},
    {VIEW_INIT("RFC822.HEADER"), WHAT_HEADER, true}, /* sets no \Seen */
    {VIEW_INIT("RFC822.TEXT"), WHAT_TEXT, false},
};
static const struct {
    struct view name;
    struct view items;
} macros[] = {
    {VIEW_INIT("ALL"), VIEW_INIT("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")},
    {VIEW_INIT("FAST"), VIEW_INIT("(FLAGS INTERNALDATE RFC822.SIZE)")},
    {VIEW_INIT("FULL"), VIEW_INIT("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)")},
};
static const struct {
    struct view name;
    enum fetch_kind kind;
    bool peek;
} sections[] = {
    {VIEW_INIT("BODY"), FETCH_SECTION, false},
    {VIEW_INIT("BODY.PEEK"), FETCH_SECTION, true},
    {VIEW_INIT("BINARY"), FETCH_BINARY, false},
    {VIEW_INIT("BINARY.PEEK"), FETCH_BINARY, true},
    {VIEW_INIT("BINARY.SIZE"), FETCH_BINARY_SIZE, true},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_item_char(unsigned char c)
{
    return is_alnum(c) || c == '.';
}

/* "1.2.3", leaving a "." before letters where it stands. */
static enum rc parse_part(struct view *in, struct view *out)
{
    struct view cur = *in, end = *in;
    uint32_t number;

    for (unsigned n = 0; is_digit((unsigned char)view_peek(cur)) && view_peek(cur) > 0; n++) {
        if (n == MIME_SECTION_MAX)
            return RC_LIMIT;
        if (view_peek(cur) == '0' || view_u32(&cur, UINT32_MAX, &number) != RC_OK)
            return RC_SYNTAX;
        end = cur;
        if (!view_take_chr(&cur, '.'))
            break;
    }
    *out = view_slice(*in, 0, in->n - end.n);
    *in = end;
    return RC_OK;
}

/* " (A B)" */
static enum rc parse_fields(struct view *in, struct arena *a, struct fetch_item *item)
{
    struct view names[FETCH_FIELDS_MAX];

    if (!view_take(in, VIEW(" (")))
        return RC_SYNTAX;
    do {
        if (item->n_fields == FETCH_FIELDS_MAX)
            return RC_LIMIT;
        if (imap_astring(in, a, &names[item->n_fields]) != RC_OK)
            return RC_SYNTAX;
        item->n_fields++;
    } while (imap_take_sp(in));
    if (!view_take_chr(in, ')'))
        return RC_SYNTAX;
    item->fields = arena_new_array(a, item->n_fields, struct view);
    if (!item->fields)
        return RC_TEMP;
    memcpy(item->fields, names, item->n_fields * sizeof names[0]);
    return RC_OK;
}

static enum rc parse_msgtext(struct view *in, struct arena *a, struct fetch_item *item)
{
    struct view word = view_take_while(in, is_item_char);

    if (view_ieq(word, VIEW("HEADER")))
        item->what = WHAT_HEADER;
    else if (view_ieq(word, VIEW("TEXT")))
        item->what = WHAT_TEXT;
    else if (view_ieq(word, VIEW("MIME")) && item->part.n > 0)
        item->what = WHAT_MIME;
    else if (view_ieq(word, VIEW("HEADER.FIELDS")))
        item->what = WHAT_FIELDS;
    else if (view_ieq(word, VIEW("HEADER.FIELDS.NOT")))
        item->what = WHAT_FIELDS_NOT;
    else
        return RC_SYNTAX;
    return item->what == WHAT_FIELDS || item->what == WHAT_FIELDS_NOT ? parse_fields(in, a, item) : RC_OK;
}

static void write_label(const struct fetch_item *item, struct buf *out)
{
    static const char *const words[] = {[WHAT_ALL] = "",
                                        [WHAT_HEADER] = "HEADER",
                                        [WHAT_FIELDS] = "HEADER.FIELDS",
                                        [WHAT_FIELDS_NOT] = "HEADER.FIELDS.NOT",
                                        [WHAT_TEXT] = "TEXT",
                                        [WHAT_MIME] = "MIME"};

    buf_str(out, item->kind == FETCH_SECTION ? "BODY[" : item->kind == FETCH_BINARY ? "BINARY[" : "BINARY.SIZE[");
    buf_add(out, item->part);
    if (item->part.n > 0 && item->what != WHAT_ALL)
        buf_chr(out, '.');
    buf_str(out, words[item->what]);
    for (size_t i = 0; i < item->n_fields; i++) {
        struct view rest = item->fields[i];
        buf_str(out, i == 0 ? " (" : " ");
        view_take_while(&rest, imap_is_atom_char);
        if (rest.n == 0 && item->fields[i].n > 0)
            buf_add(out, item->fields[i]);
        else
            imap_write_string(item->fields[i], out);
    }
    buf_str(out, item->n_fields > 0 ? ")]" : "]");
    if (item->is_partial)
        buf_printf(out, "<%u>", item->from);
}

/* After "BODY", "BINARY" ...: "[" section "]" ["<" from "." count ">"]. */
static enum rc parse_section(struct view *in, struct arena *a, struct fetch_item *item)
{
    struct buf label;
    enum rc rc;

    if (!view_take_chr(in, '['))
        return RC_SYNTAX;
    rc = parse_part(in, &item->part);
    if (rc == RC_OK && view_peek(*in) != ']') {
        if (item->kind != FETCH_SECTION || (item->part.n > 0 && !view_take_chr(in, '.')))
            return RC_SYNTAX;
        rc = parse_msgtext(in, a, item);
    }
    if (rc != RC_OK)
        return rc;
    if (!view_take_chr(in, ']'))
        return RC_SYNTAX;
    if (item->kind != FETCH_BINARY_SIZE && view_take_chr(in, '<')) {
        item->is_partial = true;
        if (view_u32(in, UINT32_MAX, &item->from) != RC_OK || !view_take_chr(in, '.') ||
            view_u32(in, UINT32_MAX, &item->count) != RC_OK || item->count == 0 || !view_take_chr(in, '>'))
            return RC_SYNTAX;
    }
    buf_init(&label, 1u << 20);
    write_label(item, &label);
    rc = buf_rc(&label);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&label), &item->label);
    buf_clear(&label);
    return rc;
}

static enum rc parse_item(struct view *in, struct arena *a, struct fetch_item *item)
{
    struct view name = view_take_while(in, is_item_char);

    *item = (struct fetch_item){0};
    if (view_peek(*in) == '[') {
        for (size_t i = 0; i < COUNT(sections); i++) {
            if (view_ieq(name, sections[i].name)) {
                item->kind = sections[i].kind;
                item->peek = sections[i].peek;
                return parse_section(in, a, item);
            }
        }
        return RC_SYNTAX;
    }
    for (size_t i = 0; i < COUNT(simple_items); i++) {
        if (view_ieq(name, simple_items[i].name)) {
            item->kind = simple_items[i].kind;
            return RC_OK;
        }
    }
    for (size_t i = 0; i < COUNT(old_sections); i++) {
        if (view_ieq(name, old_sections[i].name)) {
            item->kind = FETCH_SECTION;
            item->label = old_sections[i].name;
            item->what = old_sections[i].what;
            item->peek = old_sections[i].peek;
            return RC_OK;
        }
    }
    return RC_SYNTAX;
}

static enum rc parse_items(struct view *in, struct arena *a, struct fetch *out)
{
    bool is_list;
    enum rc rc;

    out->items = arena_new_array(a, FETCH_ITEMS_MAX, struct fetch_item);
    if (!out->items)
        return RC_TEMP;
    is_list = view_take_chr(in, '(');
    do {
        if (out->n == FETCH_ITEMS_MAX)
            return RC_LIMIT;
        rc = parse_item(in, a, &out->items[out->n]);
        if (rc != RC_OK)
            return rc;
        out->n++;
    } while (is_list && imap_take_sp(in));
    return !is_list || view_take_chr(in, ')') ? RC_OK : RC_SYNTAX;
}

/* " (CHANGEDSINCE 17)", RFC 7162 §3.1.4.1 */
static enum rc parse_modifiers(struct view *in, struct fetch *out)
{
    if (!view_take(in, VIEW(" (")))
        return RC_SYNTAX;
    do {
        if (view_itake(in, VIEW("CHANGEDSINCE "))) {
            if (out->has_changedsince || view_u64(in, INT64_MAX, &out->changedsince) != RC_OK)
                return RC_SYNTAX;
            out->has_changedsince = true;
        } else {
            return RC_SYNTAX;
        }
    } while (imap_take_sp(in));
    return view_take_chr(in, ')') ? RC_OK : RC_SYNTAX;
}

enum rc imap_fetch_parse(struct view in, struct arena *a, struct fetch *out)
{
    enum rc rc;
    struct view macro;

    *out = (struct fetch){0};
    macro = in;
    struct view name = view_take_while(&macro, is_item_char);
    for (size_t i = 0; i < COUNT(macros); i++) {
        if (view_ieq(name, macros[i].name)) {
            struct view items = macros[i].items;
            rc = parse_items(&items, a, out);
            in = macro;
            goto modifiers;
        }
    }
    rc = parse_items(&in, a, out);
modifiers:
    if (rc == RC_OK && in.n > 0)
        rc = parse_modifiers(&in, out);
    if (rc == RC_OK && in.n > 0)
        rc = RC_SYNTAX;
    return rc;
}
