#include "message/mime.h"

#include "message/header.h"

#define NESTING_PARTS_MAX (MIME_PARTS_MAX - 1) /* one is kept for the part that an empty multipart gets */

/* An open multipart: a line that begins with "--" and its boundary starts its next part or ends it. */
struct level {
    struct mime_part *part;
    struct view boundary;
};

struct parser {
    struct view message, rest; /* all; what is still to be read */
    struct arena *arena;
    struct mime *mime;
    struct mime_part *current; /* whose header or body is being read */
    struct level levels[MIME_DEPTH_MAX];
    unsigned n_levels;
    bool in_header;
    uint32_t lines; /* LF seen since the message began */
};

static uint32_t offset_now(const struct parser *p)
{
    return (uint32_t)(p->message.n - p->rest.n);
}

static enum rc add_part(struct parser *p, struct mime_part *parent)
{
    struct mime_part *part = arena_new(p->arena, struct mime_part);
    if (!part)
        return RC_TEMP;
    part->parent = parent;
    part->number = 1;
    part->header_offset = offset_now(p);
    part->is_message_root = !parent || parent->kind == MIME_MESSAGE;
    if (!parent) {
        p->mime->root = part;
    } else {
        part->depth = (uint16_t)(parent->depth + 1);
        if (parent->last_child) {
            part->number = (uint16_t)(parent->last_child->number + 1);
            parent->last_child->next = part;
        } else {
            parent->child = part;
        }
        parent->last_child = part;
    }
    p->mime->n_parts++;
    p->current = part;
    p->in_header = true;
    return RC_OK;
}

static void read_field(struct mime_part *part, const struct header_field *f, struct view *type)
{
    if (f->name.n < 10 || !view_istarts(f->name, VIEW("content-")))
        return;
    struct view name = view_from(f->name, 8), *to = NULL;
    if (view_ieq(name, VIEW("type")))
        to = type;
    else if (view_ieq(name, VIEW("transfer-encoding")))
        to = &part->transfer_encoding;
    else if (view_ieq(name, VIEW("disposition")))
        to = &part->disposition;
    else if (view_ieq(name, VIEW("id")))
        to = &part->id;
    else if (view_ieq(name, VIEW("description")))
        to = &part->description;
    else if (view_ieq(name, VIEW("md5")))
        to = &part->md5;
    else if (view_ieq(name, VIEW("language")))
        to = &part->language;
    else if (view_ieq(name, VIEW("location")))
        to = &part->location;
    if (to && to->n == 0) /* the first of its name counts */
        *to = f->value;
}

/* The boundary as its own bytes; false where the multipart has none that can be used. */
static enum rc find_boundary(struct parser *p, const struct mime_part *part, struct view *out)
{
    struct content_param param;
    struct buf text;
    enum rc rc = RC_OK;
    buf_init(&text, MIME_BOUNDARY_MAX);
    if (content_param_find(part->type.params, VIEW("boundary"), &param) == RC_OK)
        content_param_value(&param, &text);
    else /* "boundary*" (RFC 2231 §4), as careful writers of parameters have it */
        rc = content_param_text(part->type.params, VIEW("boundary"), &text);
    if (rc == RC_OK)
        rc = buf_rc(&text);
    struct view boundary = buf_view(&text);
    while (boundary.n > 0 && is_wsp((unsigned char)boundary.p[boundary.n - 1]))
        boundary.n--; /* RFC 2046 §5.1.1: it never ends in blanks, which are lost on the way */
    if (rc == RC_OK)
        rc = boundary.n == 0 ? RC_NOTFOUND : view_dup(p->arena, boundary, out);
    buf_clear(&text);
    return rc == RC_LIMIT ? RC_NOTFOUND : rc;
}

static void set_default_type(struct mime_part *part, struct view type, struct view subtype)
{
    part->type =
        (struct content_type){.type = type, .subtype = subtype, .params = VIEW(""), .is_default = true};
}

/* The header is complete: says what the part is, and opens what it contains. */
static enum rc begin_body(struct parser *p)
{
    struct mime_part *part = p->current;
    struct view header = view_slice(view_from(p->message, part->header_offset), 0, part->header_len);
    struct view type = VIEW(""), boundary;
    struct header_field field;
    header = view_slice(header, 0, HEADER_MAX);
    for (int i = 0; i < HEADER_FIELDS_MAX && header_next(&header, &field); i++)
        read_field(part, &field, &type);
    part->encoding = content_encoding_parse(part->transfer_encoding);
    content_type_parse(type, &part->type);
    /* RFC 2046 §5.1.5: without a field the parts of a digest are messages. */
    if (part->type.is_default && type.n == 0 && part->parent && part->parent->kind == MIME_MULTIPART &&
        view_ieq(part->parent->type.subtype, VIEW("digest")))
        set_default_type(part, VIEW("message"), VIEW("rfc822"));
    p->in_header = false;
    part->body_offset = offset_now(p);
    part->lines = p->lines;
    bool may_nest = part->depth + 1 < MIME_DEPTH_MAX && p->mime->n_parts < NESTING_PARTS_MAX;
    if (view_ieq(part->type.type, VIEW("text"))) {
        part->kind = MIME_TEXT;
    } else if (view_ieq(part->type.type, VIEW("multipart"))) {
        enum rc rc = find_boundary(p, part, &boundary);
        if (rc == RC_TEMP)
            return rc;
        part->kind = MIME_TEXT;
        if (rc == RC_OK && may_nest) {
            part->kind = MIME_MULTIPART;
            p->levels[p->n_levels++] = (struct level){part, boundary};
        } else if (rc == RC_OK) {
            part->kind = MIME_BASIC;
            set_default_type(part, VIEW("application"), VIEW("octet-stream"));
        } else {
            set_default_type(part, VIEW("text"), VIEW("plain"));
        }
    } else if (view_ieq(part->type.type, VIEW("message")) && view_ieq(part->type.subtype, VIEW("rfc822"))) {
        if (may_nest) {
            part->kind = MIME_MESSAGE;
            return add_part(p, part);
        }
        set_default_type(part, VIEW("application"), VIEW("octet-stream"));
    }
    return RC_OK;
}

/* Ends the current part, and its ancestors below `stop`, at `end`; `lines` have passed by then. */
static enum rc close_parts(struct parser *p, struct mime_part *stop, uint32_t end, uint32_t lines)
{
    if (p->in_header) { /* no empty line: all of it is header, its last line end included */
        p->current->header_len = offset_now(p) - p->current->header_offset;
        enum rc rc = begin_body(p);
        if (rc != RC_OK)
            return rc;
        if (p->in_header) { /* a message within, which is empty: it has the same end */
            rc = begin_body(p);
            if (rc != RC_OK)
                return rc;
        }
    }
    for (struct mime_part *part = p->current; part && part != stop; part = part->parent) {
        if (part->kind == MIME_MULTIPART && p->n_levels > 0 && p->levels[p->n_levels - 1].part == part)
            p->n_levels--;
        bool is_empty = end <= part->body_offset;
        part->body_len = is_empty ? 0 : end - part->body_offset;
        part->lines = is_empty ? 0 : lines - part->lines;
        if (part->kind == MIME_MULTIPART && !part->child) {
            /* RFC 3501 §7.4.2 has no way to say "multipart without parts". */
            struct mime_part *child = arena_new(p->arena, struct mime_part);
            if (!child)
                return RC_TEMP;
            child->parent = part;
            child->number = 1;
            child->depth = (uint16_t)(part->depth + 1);
            child->kind = MIME_TEXT;
            child->header_offset = child->body_offset = part->body_offset + part->body_len;
            set_default_type(child, VIEW("text"), VIEW("plain"));
            part->child = part->last_child = child;
            p->mime->n_parts++;
        }
    }
    p->current = stop;
    return RC_OK;
}

/* The open multipart whose boundary this line carries: the longest that fits, the innermost among equals. */
static int find_level(const struct parser *p, struct view line, bool *is_last)
{
    int found = -1;
    struct view rest = view_from(line, 2);
    for (unsigned i = 0; i < p->n_levels; i++) {
        struct view boundary = p->levels[i].boundary;
        if (view_starts(rest, boundary) && (found < 0 || boundary.n >= p->levels[found].boundary.n))
            found = (int)i;
    }
    if (found >= 0)
        *is_last = view_starts(view_from(rest, p->levels[found].boundary.n), VIEW("--"));
    return found;
}

/* A line with a boundary of levels[at] was read; it began at `line_at`, after so many lines. */
static enum rc cross_boundary(struct parser *p, unsigned at, bool is_last, uint32_t line_at, uint32_t lines)
{
    struct mime_part *multipart = p->levels[at].part;
    uint32_t end = line_at;
    struct view before = view_slice(p->message, 0, line_at);
    struct view now = p->rest;
    /* RFC 2046 §5.1.1: the line end in front belongs to the boundary. */
    if (view_ends(before, VIEW("\n"))) {
        end -= view_ends(before, VIEW("\r\n")) ? 2 : 1;
        lines--;
    }
    p->rest = view_from(p->message, line_at); /* a header cut short ends in front of the line */
    enum rc rc = p->current == multipart ? RC_OK : close_parts(p, multipart, end, lines);
    p->rest = now;
    p->n_levels = at + 1;
    p->current = multipart;
    if (rc != RC_OK)
        return rc;
    if (is_last)
        p->n_levels = at; /* what follows is epilogue */
    else
        rc = add_part(p, multipart);
    return rc;
}

static enum rc read_line(struct parser *p)
{
    struct view line;
    uint32_t line_at = offset_now(p), lines = p->lines;
    bool is_last = false;
    header_line(&p->rest, &line);
    p->lines += line.p[line.n - 1] == '\n';
    if (p->n_levels > 0 && line.n > 2 && line.p[0] == '-' && line.p[1] == '-') {
        int at = find_level(p, line, &is_last);
        if (at >= 0 && (is_last || p->mime->n_parts < NESTING_PARTS_MAX))
            return cross_boundary(p, (unsigned)at, is_last, line_at, lines);
    }
    if (p->in_header && header_line_is_empty(line)) {
        p->current->header_len = offset_now(p) - p->current->header_offset;
        return begin_body(p);
    }
    return RC_OK;
}

/* Where nothing is nested the rest is one body, of which only the lines are counted. */
static void count_rest(struct parser *p)
{
    for (;;) {
        size_t at = view_chr(p->rest, '\n');
        if (at == VIEW_NONE)
            break;
        p->lines++;
        view_skip(&p->rest, at + 1);
    }
    view_skip(&p->rest, p->rest.n);
}

enum rc mime_parse(struct view message, struct arena *a, struct mime *out)
{
    *out = (struct mime){0};
    if (message.n > MIME_MESSAGE_MAX)
        return RC_LIMIT;
    struct parser p = {.message = message, .rest = message, .arena = a, .mime = out};
    enum rc rc = add_part(&p, NULL);
    while (rc == RC_OK && p.rest.n > 0) {
        if (p.n_levels == 0 && !p.in_header)
            count_rest(&p);
        else
            rc = read_line(&p);
    }
    if (rc == RC_OK)
        rc = close_parts(&p, NULL, (uint32_t)message.n, p.lines);
    return rc;
}

const struct mime_part *mime_next(const struct mime_part *part)
{
    if (part->child)
        return part->child;
    while (part && !part->next)
        part = part->parent;
    return part ? part->next : NULL;
}
