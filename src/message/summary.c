#include "message/summary.h"

#include "base/utf8.h"
#include "message/address.h"
#include "message/date.h"
#include "message/encoded.h"
#include "message/header.h"
#include "message/structure.h"

static bool is_subject_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 5256 §5 subj-blob: "[...]" and the blanks after it. */
static bool take_blob(struct view *in)
{
    struct view at = *in;
    if (!view_take_chr(&at, '['))
        return false;
    for (int c = view_next(&at); c >= 0 && c != '['; c = view_next(&at)) {
        if (c == ']') {
            view_take_wsp(&at);
            *in = at;
            return true;
        }
    }
    return false;
}

/* RFC 5256 §5 subj-refwd: "Re", "Fw" or "Fwd", perhaps a blob, and ":". */
static bool take_refwd(struct view *in)
{
    struct view at = *in;
    if (!view_itake(&at, VIEW("re")) && !view_itake(&at, VIEW("fwd")) && !view_itake(&at, VIEW("fw")))
        return false;
    view_take_wsp(&at);
    take_blob(&at);
    if (!view_take_chr(&at, ':'))
        return false;
    *in = at;
    return true;
}

/* RFC 5256 §2.1 steps 2 to 6. */
static struct view strip_subject(struct view in, bool *is_reply)
{
    for (;;) {
        in = view_trim(in);
        while (view_iends(in, VIEW("(fwd)"))) {
            in = view_trim(view_slice(in, 0, in.n - 5));
            *is_reply = true;
        }
        for (bool again = true; again;) {
            struct view rest = in;
            view_take_wsp(&rest);
            struct view ahead = rest;
            while (take_blob(&ahead)) /* blobs before the mark belong to it */
                ;
            if (take_refwd(&ahead)) {
                in = ahead;
                *is_reply = true;
                continue;
            }
            again = take_blob(&rest) && rest.n > 0;
            if (again)
                in = rest;
        }
        if (!view_istarts(in, VIEW("[fwd:")) || !view_ends(in, VIEW("]")))
            return view_trim(in);
        in = view_slice(in, 5, in.n - 6);
        *is_reply = true;
    }
}

bool summary_subject_base(struct view subject, struct buf *out)
{
    struct buf text, line;
    bool is_reply = false;
    buf_init(&text, 4 * SUMMARY_SUBJECT_MAX);
    buf_init(&line, 4 * SUMMARY_SUBJECT_MAX);
    encoded_decode(view_slice(subject, 0, 4 * SUMMARY_SUBJECT_MAX), &text);
    for (size_t i = 0; i < text.n; i++) { /* step 1: each run of blanks is one */
        bool is_blank = (unsigned char)text.p[i] < 0x20 || is_subject_blank((unsigned char)text.p[i]);
        if (!is_blank)
            buf_chr(&line, text.p[i]);
        else if (line.n > 0 && line.p[line.n - 1] != ' ')
            buf_chr(&line, ' ');
    }
    struct view base = strip_subject(buf_view(&line), &is_reply);
    if (base.n > SUMMARY_SUBJECT_MAX) {
        base.n = SUMMARY_SUBJECT_MAX;
        while (base.n > 0 && !utf8_is_valid(base))
            base.n--;
    }
    buf_add(out, base);
    buf_clear(&text);
    buf_clear(&line);
    return is_reply;
}

bool summary_next_id(struct view *in, struct view *out)
{
    for (;;) {
        size_t open = view_chr(*in, '<');
        if (open == VIEW_NONE)
            return false;
        view_skip(in, open + 1);
        struct view window = view_slice(*in, 0, SUMMARY_ID_MAX + 1);
        size_t n = 0;
        while (n < window.n && window.p[n] != '>' && window.p[n] != '<' && window.p[n] != '\n')
            n++;
        if (n == 0 || n == window.n || window.p[n] != '>')
            continue;
        *out = view_slice(*in, 0, n);
        view_skip(in, n + 1);
        return true;
    }
}

/* Ids in order; of too many the first, and the last ones before the end, are kept, for they tie the thread.
 */
static enum rc read_references(struct view value, struct arena *a, struct summary *out)
{
    struct view in = value, id;
    size_t total = 0;
    while (summary_next_id(&in, &id))
        total++;
    size_t n = total < SUMMARY_REFERENCES_MAX ? total : SUMMARY_REFERENCES_MAX;
    out->references = arena_new_array(a, n, struct view);
    if (!out->references)
        return RC_TEMP;
    in = value;
    for (size_t i = 0; summary_next_id(&in, &id); i++) {
        if (i > 0 && i <= total - n)
            continue;
        enum rc rc = view_dup(a, id, &out->references[out->n_references]);
        if (rc != RC_OK)
            return rc;
        out->n_references++;
    }
    return RC_OK;
}

static enum rc read_threading(const struct structure_header *h, struct arena *a, struct summary *out)
{
    struct view in = h->message_id, id;
    struct date date;
    enum rc rc = RC_OK;
    if (date_parse(h->date, &date) == RC_OK) {
        out->has_sent = true;
        out->sent_utc = date.utc;
        out->sent_zone_minutes = date.zone_minutes;
    }
    if (summary_next_id(&in, &id))
        rc = view_dup(a, id, &out->message_id);
    if (rc == RC_OK && h->references.n > 0)
        rc = read_references(h->references, a, out);
    in = h->in_reply_to;
    if (rc == RC_OK && out->n_references == 0 && summary_next_id(&in, &id))
        rc = read_references(view_slice(h->in_reply_to, 0, h->in_reply_to.n - in.n), a, out);
    if (rc == RC_OK) {
        struct buf base;
        buf_init(&base, SUMMARY_SUBJECT_MAX);
        out->is_reply = summary_subject_base(h->subject, &base);
        rc = view_dup(a, buf_view(&base), &out->subject_base);
        buf_clear(&base);
    }
    return rc;
}

static enum rc keep(struct buf *text, struct arena *a, struct view *out)
{
    enum rc rc = buf_rc(text);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(text), out);
    buf_reset(text);
    return rc;
}

enum rc summary_make(struct view message, struct arena *a, struct summary *out)
{
    struct mime mime;
    struct structure_header header;
    struct buf text;
    *out = (struct summary){0};
    buf_init(&text, SUMMARY_ENVELOPE_MAX);
    enum rc rc = mime_parse(message, a, &mime);
    if (rc != RC_OK)
        goto done;
    structure_header_read(view_slice(message, 0, mime.root->header_len), &header);
    text.max = SUMMARY_ENVELOPE_MAX;
    structure_write_envelope(&header, false, &text);
    if (buf_rc(&text) == RC_LIMIT) {
        buf_reset(&text);
        structure_write_envelope(&header, true, &text);
    }
    rc = keep(&text, a, &out->envelope);
    if (rc != RC_OK)
        goto done;
    text.max = SUMMARY_STRUCTURE_MAX;
    structure_write_body(message, mime.root, false, &text);
    if (buf_rc(&text) == RC_LIMIT) {
        buf_reset(&text);
        structure_write_body(message, mime.root, true, &text);
    }
    rc = keep(&text, a, &out->bodystructure);
    if (rc != RC_OK)
        goto done;
    mime_index_write(&mime, &text);
    rc = keep(&text, a, &out->index);
    if (rc != RC_OK)
        goto done;
    for (const struct mime_part *part = mime.root; part; part = mime_next(part)) {
        struct view params;
        out->has_attachment |= view_ieq(content_token(part->disposition, &params), VIEW("attachment"));
    }
    rc = read_threading(&header, a, out);
done:
    buf_clear(&text);
    return rc;
}
