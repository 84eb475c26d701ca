/* Reports in mails: what counts is what a part holds, whatever it is called; mails in mails are walked, but the message that a feedback report
 * is about is not. */
#include "received/received_impl.h"

#include "message/address.h"
#include "message/encoded.h"
#include "message/header.h"

struct mail {
    struct walk *w;
    struct view bytes;
    unsigned depth;
};

static enum rc name_origin(struct walk *w, struct view header)
{
    struct received_origin *o = &w->origin;
    struct address *list = NULL;
    struct buf b;
    o->is_mail = true;
    o->header = header;
    buf_init(&b, HEADER_MAX);
    encoded_decode(header_value(header, VIEW("Subject")), &b);
    enum rc rc = text_clean(&w->arena, buf_view(&b), RECEIVED_TEXT_MAX, &o->subject);
    buf_reset(&b);
    struct arena a;
    arena_init(&a, RECEIVED_ARENA);
    if (rc == RC_OK)
        rc = address_list_parse(view_slice(header_value(header, VIEW("From")), 0, RECEIVED_HEADERS_MAX), &a, &list);
    while (list && (list->kind != ADDRESS_MAILBOX || list->domain.n == 0))
        list = list->next;
    if (rc == RC_OK && list) {
        address_write_spec(list->local, list->domain, &b);
        rc = text_clean(&w->arena, buf_view(&b), RECEIVED_TEXT_MAX, &o->from);
        if (rc == RC_OK)
            rc = text_domain(&w->arena, list->domain, &o->from_domain);
    }
    arena_clear(&a);
    buf_clear(&b);
    return rc;
}

static struct view body_of(const struct mail *m, const struct mime_part *p)
{
    return view_slice(m->bytes, p->body_offset, p->body_len);
}

static bool is_type(const struct mime_part *p, struct view type, struct view subtype)
{
    return view_ieq(p->type.type, type) && view_ieq(p->type.subtype, subtype);
}

/* The next part of the same message: what is within a message in it is passed over. */
static const struct mime_part *next_of(const struct mime_part *p, const struct mime_part *root)
{
    if (p->child && p->kind != MIME_MESSAGE)
        return p->child;
    while (p != root && !p->next)
        p = p->parent;
    return p == root ? NULL : p->next;
}

/* Its first bytes, decoded. */
static void peek(const struct mail *m, const struct mime_part *p, struct buf *out)
{
    buf_reset(out);
    content_decode(p->encoding, view_slice(body_of(m, p), 0, RECEIVED_HEAD), out);
}

static bool is_feedback(const struct mail *m, const struct mime_part *p, struct buf *head)
{
    struct header_field f;
    if (p->kind == MIME_MULTIPART)
        return false;
    if (is_type(p, VIEW("message"), VIEW("feedback-report")))
        return true;
    if (p->kind == MIME_MESSAGE)
        return false;
    peek(m, p, head);
    const struct view v = view_trim(buf_view(head));
    return view_istarts(v, VIEW("Feedback-Type:")) ||
           (view_istarts(v, VIEW("User-Agent:")) && header_find(v, VIEW("Feedback-Type"), 0, &f) == RC_OK);
}

static const struct mime_part *find_feedback(const struct mail *m, const struct mime_part *root)
{
    struct buf head;
    const struct mime_part *p = root;
    buf_init(&head, RECEIVED_HEAD);
    while (p && !is_feedback(m, p, &head))
        p = next_of(p, root);
    buf_clear(&head);
    return p;
}

/* The reported message or its header: a part after the feedback's, called so, or looking so. */
static const struct mime_part *find_sample(const struct mail *m, const struct mime_part *feedback, const struct mime_part *root)
{
    struct header_field f;
    struct buf head;
    const struct mime_part *found = NULL;
    buf_init(&head, RECEIVED_HEAD);
    for (const struct mime_part *p = next_of(feedback, root); p && !found; p = next_of(p, root)) {
        if (p->kind == MIME_MULTIPART)
            continue;
        peek(m, p, &head);
        if (view_ieq(p->type.type, VIEW("message")) || view_istarts(p->type.subtype, VIEW("rfc822")) ||
            header_find(buf_view(&head), VIEW("From"), 0, &f) == RC_OK)
            found = p;
    }
    buf_clear(&head);
    return found;
}

static enum rc read_feedback(struct mail *m, const struct mime_part *feedback, const struct mime_part *root)
{
    const struct mime_part *sample = find_sample(m, feedback, root);
    struct buf fields, header;
    buf_init(&fields, HEADER_MAX);
    buf_init(&header, HEADER_MAX);
    content_decode(feedback->encoding, view_slice(body_of(m, feedback), 0, HEADER_MAX), &fields);
    if (sample)
        content_decode(sample->encoding, view_slice(body_of(m, sample), 0, HEADER_MAX), &header);
    struct view v = buf_view(&header);
    while (v.n > 0 && (view_peek(v) == '\n' || view_peek(v) == '\r'))
        view_next(&v);
    enum rc rc = buf_rc(&fields) == RC_TEMP || buf_rc(&header) == RC_TEMP ? RC_TEMP
                                                                           : failure_read(m->w, buf_view(&fields), header_of(v));
    buf_clear(&header);
    buf_clear(&fields);
    return rc;
}

/* Of a part: the file name that its sender gave. */
static enum rc name_part(struct walk *w, const struct mime_part *p)
{
    struct buf name;
    struct view params;
    buf_init(&name, RECEIVED_TEXT_MAX);
    content_token(p->disposition, &params);
    if (content_param_text(params, VIEW("filename"), &name) != RC_OK || name.n == 0) {
        buf_reset(&name);
        content_param_text(p->type.params, VIEW("name"), &name);
    }
    enum rc rc = text_clean(&w->arena, buf_view(&name), RECEIVED_TEXT_MAX, &w->origin.name);
    buf_clear(&name);
    return rc;
}

static enum rc look(struct mail *m, struct view bytes)
{
    const struct content c = {.kind = CONTENT_PLAIN, .data = bytes};
    return content_look(m->w, &c, m->depth, true);
}

static enum rc read_part(struct mail *m, const struct mime_part *p)
{
    const struct view raw = body_of(m, p);
    const unsigned before = m->w->told;
    struct buf plain;
    buf_init(&plain, RECEIVED_INNER_MAX);
    if (!content_encoding_is_identity(p->encoding))
        content_decode(p->encoding, raw, &plain);
    const struct view v = content_encoding_is_identity(p->encoding) ? raw : buf_view(&plain);
    enum rc rc = buf_rc(&plain) == RC_TEMP ? RC_TEMP : buf_rc(&plain) == RC_LIMIT ? walk_refuse(m->w, "a part of the mail is too large") : look(m, v);
    if (rc == RC_OK && m->w->told == before && p->encoding == ENCODING_BASE64 && container_kind(view_slice(raw, 0, RECEIVED_HEAD)) == KIND_FEEDBACK)
        rc = look(m, raw); /* it says base64 and is not */
    if (rc == RC_OK && m->w->told == before && failure_is_prose(v))
        rc = failure_read_prose(m->w, v);
    buf_clear(&plain);
    return rc;
}

static enum rc read_message(struct mail *m, const struct mime_part *root)
{
    const struct mime_part *feedback = find_feedback(m, root);
    enum rc rc = RC_OK;
    if (feedback)
        return read_feedback(m, feedback, root);
    for (const struct mime_part *p = root; p && rc == RC_OK && m->w->members < RECEIVED_MEMBERS_MAX; p = next_of(p, root)) {
        const struct view outer = m->w->origin.name;
        if (p->kind == MIME_MULTIPART)
            continue;
        rc = name_part(m->w, p);
        if (rc == RC_OK)
            rc = p->kind == MIME_MESSAGE && p->child && content_encoding_is_identity(p->encoding) ? read_message(m, p->child) : read_part(m, p);
        m->w->origin.name = outer;
    }
    return rc;
}

enum rc mail_read(struct walk *w, struct view mail, unsigned depth)
{
    struct mail m = {.w = w, .depth = depth};
    struct mime mime;
    struct arena a;
    struct view line;
    view_take(&mail, VIEW("\xef\xbb\xbf"));
    if (view_starts(mail, VIEW("From ")))
        header_line(&mail, &line);
    m.bytes = mail;
    arena_init(&a, RECEIVED_MIME_ARENA);
    enum rc rc = w->origin.is_mail ? RC_OK : name_origin(w, header_of(mail));
    if (rc == RC_OK)
        rc = mime_parse(mail, &a, &mime);
    if (rc == RC_LIMIT)
        rc = walk_refuse(w, "the mail is too large");
    else if (rc == RC_OK)
        rc = read_message(&m, mime.root);
    arena_clear(&a);
    return rc;
}
