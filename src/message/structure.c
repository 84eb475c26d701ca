#include "message/structure.h"

#include "message/address.h"
#include "message/header.h"
#include "message/summary.h"

#define SCRATCH_MAX                                                                                          \
    (8u << 20) /* address_list_parse on ADDRESS_TEXT_MAX bytes with ADDRESS_LIST_MAX entries */

struct writer {
    struct view message;
    struct buf *out;
    struct buf line; /* one value unfolded */
    struct arena scratch;
    bool lean;
};

static struct view *field_place(struct structure_header *h, struct view name)
{
    switch (name.n) {
    case 2:
        if (view_ieq(name, VIEW("to")))
            return &h->to;
        return view_ieq(name, VIEW("cc")) ? &h->cc : NULL;
    case 3: return view_ieq(name, VIEW("bcc")) ? &h->bcc : NULL;
    case 4:
        if (view_ieq(name, VIEW("from")))
            return &h->from;
        return view_ieq(name, VIEW("date")) ? &h->date : NULL;
    case 6: return view_ieq(name, VIEW("sender")) ? &h->sender : NULL;
    case 7: return view_ieq(name, VIEW("subject")) ? &h->subject : NULL;
    case 8: return view_ieq(name, VIEW("reply-to")) ? &h->reply_to : NULL;
    case 10:
        if (view_ieq(name, VIEW("message-id")))
            return &h->message_id;
        return view_ieq(name, VIEW("references")) ? &h->references : NULL;
    case 11: return view_ieq(name, VIEW("in-reply-to")) ? &h->in_reply_to : NULL;
    default: return NULL;
    }
}

void structure_header_read(struct view header, struct structure_header *out)
{
    struct header_field field;
    *out = (struct structure_header){0};
    header = view_slice(header, 0, HEADER_MAX);
    for (int i = 0; i < HEADER_FIELDS_MAX && header_next(&header, &field); i++) {
        struct view *place = field_place(out, field.name);
        if (place && !place->p)
            *place = field.value;
    }
}

static bool is_quotable(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || (unsigned char)v.p[i] > 0x7e)
            return false;
    return true;
}

static void write_literal(struct view v, struct buf *out)
{
    buf_printf(out, "{%zu}\r\n", v.n);
    while (v.n > 0) {
        size_t at = view_chr(v, '\0');
        buf_add(out, view_slice(v, 0, at));
        view_skip(&v, at);
        if (v.n > 0) {
            buf_chr(out, ' ');
            view_skip(&v, 1);
        }
    }
}

void summary_write_string(struct view v, struct buf *out)
{
    if (!is_quotable(v)) {
        write_literal(v, out);
        return;
    }
    buf_chr(out, '"');
    for (size_t n = 0; v.n > 0; view_skip(&v, n)) {
        for (n = 0; n < v.n && v.p[n] != '"' && v.p[n] != '\\'; n++)
            ;
        buf_add(out, view_slice(v, 0, n));
        if (n < v.n) {
            buf_chr(out, '\\');
            buf_chr(out, v.p[n++]);
        }
    }
    buf_chr(out, '"');
}

static void write_string(struct writer *w, struct view v)
{
    summary_write_string(w->lean ? view_slice(v, 0, STRUCTURE_LEAN_STRING) : v, w->out);
}

/* A field's value on one line. */
static void write_text(struct writer *w, struct view value)
{
    value = view_trim(value);
    if (!is_quotable(value)) {
        buf_reset(&w->line);
        header_unfold(value, &w->line);
        if (buf_rc(&w->line) == RC_OK)
            value = buf_view(&w->line);
    }
    write_string(w, value);
}

/* A body field: NIL where it is missing or says nothing. */
static void write_optional(struct writer *w, struct view value)
{
    if (w->lean || view_trim(value).n == 0)
        buf_str(w->out, "NIL");
    else
        write_text(w, value);
}

/* An envelope's text: NIL where it is missing, "" where it is empty (RFC 3501 §7.4.2). */
static void write_envelope_text(struct writer *w, struct view value)
{
    if (!value.p)
        buf_str(w->out, "NIL");
    else
        write_text(w, value);
}

static void write_address(struct writer *w, const struct address *a)
{
    struct buf *out = w->out;
    buf_chr(out, '(');
    switch (a->kind) {
    case ADDRESS_GROUP:
        buf_str(out, "NIL NIL ");
        write_text(w, a->name);
        buf_str(out, " NIL");
        break;
    case ADDRESS_GROUP_END: buf_str(out, "NIL NIL NIL NIL"); break;
    default:
        write_optional(w, a->name);
        buf_chr(out, ' ');
        write_optional(w, a->route);
        buf_chr(out, ' ');
        /* Never NIL here: that would say group (RFC 3501 §7.4.2). */
        write_text(w, a->local);
        buf_chr(out, ' ');
        write_text(w, a->domain);
    }
    buf_chr(out, ')');
}

static void write_addresses(struct writer *w, struct view value)
{
    struct address *list = NULL;
    if (!w->lean && buf_rc(w->out) == RC_OK && value.n > 0 &&
        address_list_parse(value, &w->scratch, &list) != RC_OK)
        w->out->fail = RC_TEMP;
    if (!list) {
        buf_str(w->out, "NIL");
    } else {
        buf_chr(w->out, '(');
        for (const struct address *a = list; a && buf_rc(w->out) == RC_OK; a = a->next)
            write_address(w, a);
        buf_chr(w->out, ')');
    }
    arena_reset(&w->scratch);
}

static void write_envelope(struct writer *w, const struct structure_header *h)
{
    /* RFC 3501 §7.4.2: where Sender or Reply-To is missing or empty the server puts From there. */
    struct view sender = view_trim(h->sender).n > 0 ? h->sender : h->from;
    struct view reply_to = view_trim(h->reply_to).n > 0 ? h->reply_to : h->from;
    struct view lists[] = {h->from, sender, reply_to, h->to, h->cc, h->bcc};
    buf_chr(w->out, '(');
    write_envelope_text(w, h->date);
    buf_chr(w->out, ' ');
    write_envelope_text(w, h->subject);
    buf_chr(w->out, ' ');
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        write_addresses(w, lists[i]);
        buf_chr(w->out, ' ');
    }
    write_envelope_text(w, h->in_reply_to);
    buf_chr(w->out, ' ');
    write_envelope_text(w, h->message_id);
    buf_chr(w->out, ')');
}

static void write_params(struct writer *w, struct view params, bool is_text)
{
    struct content_param param;
    bool has_any = false, has_charset = false;
    for (int i = 0; !w->lean && i < CONTENT_PARAMS_MAX && content_param_next(&params, &param); i++) {
        buf_chr(w->out, has_any ? ' ' : '(');
        write_string(w, param.name);
        buf_chr(w->out, ' ');
        buf_reset(&w->line);
        content_param_value(&param, &w->line);
        write_string(w, buf_view(&w->line));
        has_any = true;
        has_charset |= view_ieq(param.name, VIEW("charset"));
    }
    if (is_text && !has_charset) { /* RFC 2045 §5.2 */
        buf_str(w->out, has_any ? " \"charset\" \"us-ascii\"" : "(\"charset\" \"us-ascii\"");
        has_any = true;
    }
    buf_str(w->out, has_any ? ")" : "NIL");
}

static void write_disposition(struct writer *w, struct view value)
{
    struct view params, token = content_token(value, &params);
    if (w->lean || token.n == 0) {
        buf_str(w->out, "NIL");
        return;
    }
    buf_chr(w->out, '(');
    write_string(w, token);
    buf_chr(w->out, ' ');
    write_params(w, params, false);
    buf_chr(w->out, ')');
}

static void write_language(struct writer *w, struct view value)
{
    struct view tag;
    bool has_any = false;
    for (int i = 0; !w->lean && value.n > 0 && i < CONTENT_PARAMS_MAX; i++) {
        view_split(&value, ',', &tag);
        tag = content_token(tag, &(struct view){0});
        if (tag.n == 0)
            continue;
        buf_chr(w->out, has_any ? ' ' : '(');
        write_string(w, tag);
        has_any = true;
    }
    buf_str(w->out, has_any ? ")" : "NIL");
}

/* The three that a multipart and a single part end with. */
static void write_tail(struct writer *w, const struct mime_part *part)
{
    buf_chr(w->out, ' ');
    write_disposition(w, part->disposition);
    buf_chr(w->out, ' ');
    write_language(w, part->language);
    buf_chr(w->out, ' ');
    write_optional(w, part->location);
}

static void write_part(struct writer *w, const struct mime_part *part);

static void write_multipart(struct writer *w, const struct mime_part *part)
{
    for (const struct mime_part *child = part->child; child; child = child->next)
        write_part(w, child);
    buf_chr(w->out, ' ');
    write_string(w, part->type.subtype);
    buf_chr(w->out, ' ');
    write_params(w, part->type.params, false);
    write_tail(w, part);
}

static void write_single(struct writer *w, const struct mime_part *part)
{
    struct view rest, encoding = content_token(part->transfer_encoding, &rest);
    write_string(w, part->type.type);
    buf_chr(w->out, ' ');
    write_string(w, part->type.subtype);
    buf_chr(w->out, ' ');
    write_params(w, part->type.params, part->kind == MIME_TEXT);
    buf_chr(w->out, ' ');
    write_optional(w, part->id);
    buf_chr(w->out, ' ');
    write_optional(w, part->description);
    buf_chr(w->out, ' ');
    write_string(w, encoding.n > 0 ? encoding : VIEW("7bit"));
    buf_printf(w->out, " %u", part->body_len);
    if (part->kind == MIME_MESSAGE) {
        struct structure_header h;
        structure_header_read(view_slice(w->message, part->child->header_offset, part->child->header_len),
                              &h);
        buf_chr(w->out, ' ');
        write_envelope(w, &h);
        buf_chr(w->out, ' ');
        write_part(w, part->child);
    }
    if (part->kind == MIME_MESSAGE || part->kind == MIME_TEXT)
        buf_printf(w->out, " %u", part->lines);
    buf_chr(w->out, ' ');
    write_optional(w, part->md5);
    write_tail(w, part);
}

static void write_part(struct writer *w, const struct mime_part *part)
{
    if (buf_rc(w->out) != RC_OK)
        return;
    buf_chr(w->out, '(');
    if (part->kind == MIME_MULTIPART)
        write_multipart(w, part);
    else
        write_single(w, part);
    buf_chr(w->out, ')');
}

static void writer_init(struct writer *w, bool lean, struct buf *out)
{
    *w = (struct writer){.out = out, .lean = lean};
    arena_init(&w->scratch, SCRATCH_MAX);
    buf_init(&w->line, HEADER_MAX);
}

static void writer_clear(struct writer *w)
{
    arena_clear(&w->scratch);
    buf_clear(&w->line);
}

void structure_write_envelope(const struct structure_header *h, bool lean, struct buf *out)
{
    struct writer w;
    writer_init(&w, lean, out);
    write_envelope(&w, h);
    writer_clear(&w);
}

void structure_write_body(struct view message, const struct mime_part *part, bool lean, struct buf *out)
{
    struct writer w;
    writer_init(&w, lean, out);
    w.message = message;
    write_part(&w, part);
    writer_clear(&w);
}
