#include "message/envelope.h"

#include "message/encoded.h"

/* NIL, quoted string or literal, unquoted. */
static bool take_string(struct view *in, struct buf *out)
{
    uint64_t n;

    if (view_take(in, VIEW("NIL")))
        return true;
    if (view_take_chr(in, '{')) {
        if (view_u64(in, in->n, &n) != RC_OK || !view_take(in, VIEW("}\r\n")) || n > in->n)
            return false;
        buf_add(out, view_slice(*in, 0, n));
        view_skip(in, n);
        return true;
    }
    if (!view_take_chr(in, '"'))
        return false;
    for (;;) {
        int c = view_next(in);
        if (c == '"')
            return true;
        if (c == '\\')
            c = view_next(in);
        if (c < 0)
            return false;
        buf_chr(out, (char)c);
    }
}

/* Decodes `raw` and appends as much as fits without cutting a character. */
static void show(struct view raw, struct buf *out)
{
    struct buf text;

    buf_init(&text, 4 * raw.n + 64);
    encoded_decode(raw, &text);
    size_t n = text.n < ENVELOPE_TEXT_MAX ? text.n : ENVELOPE_TEXT_MAX;
    while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    buf_add(out, view_slice(buf_view(&text), 0, n));
    buf_clear(&text);
}

/* "(name adl mailbox host)" */
static bool take_author(struct view *in, struct buf *out)
{
    struct buf parts[4];
    bool ok = view_take_chr(in, '(');

    for (int i = 0; i < 4; i++) {
        buf_init(&parts[i], in->n + 1);
        ok = ok && (i == 0 || view_take_chr(in, ' ')) && take_string(in, &parts[i]);
    }
    if (ok && parts[0].n > 0) {
        show(buf_view(&parts[0]), out);
        buf_str(out, " <");
    }
    if (ok && parts[2].n > 0) {
        show(buf_view(&parts[2]), out);
        buf_chr(out, '@');
        show(buf_view(&parts[3]), out);
    }
    if (ok && parts[0].n > 0)
        buf_chr(out, '>');
    for (int i = 0; i < 4; i++)
        buf_clear(&parts[i]);
    return ok;
}

enum rc envelope_read(struct view envelope, struct buf *subject, struct buf *from)
{
    struct view in = envelope;
    struct buf date, raw;
    bool ok;

    buf_init(&date, envelope.n + 1);
    buf_init(&raw, envelope.n + 1);
    ok = view_take_chr(&in, '(') && take_string(&in, &date) && view_take_chr(&in, ' ') && take_string(&in, &raw) &&
         view_take_chr(&in, ' ');
    if (ok)
        show(buf_view(&raw), subject);
    if (ok && !view_take(&in, VIEW("NIL")))
        ok = view_take_chr(&in, '(') && take_author(&in, from);
    buf_clear(&date);
    buf_clear(&raw);
    return ok ? RC_OK : RC_CORRUPT;
}
