#include "message/encoded.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "message/charset.h"
#include "message/content.h"
#include "message/header.h"

#define WORD_TEXT_MAX 1000 /* bytes inside one encoded word that is read */
#define WORD_RAW_MAX  39   /* bytes in one base64 word: "=?utf-8?B?" 52 characters "?=" */
#define PLAIN_RUN_MAX 800  /* bytes without a blank that fit on a line behind the field's name (RFC 5322 §2.1.1) */

struct word {
    struct view charset, text;
    char how; /* 'q' or 'b' */
    struct view whole;
};

static bool is_printable(unsigned char c)
{
    return c > ' ' && c != 0x7f;
}

/* "=?charset*language?B?text?=" at the front. */
static bool take_word(struct view *in, struct word *w)
{
    struct view at = *in;
    if (!view_take(&at, VIEW("=?")))
        return false;
    size_t n = view_chr(view_slice(at, 0, CHARSET_NAME_MAX), '?');
    if (n == VIEW_NONE || n == 0)
        return false;
    w->charset = view_slice(at, 0, n);
    view_skip(&at, n + 1);
    size_t star = view_chr(w->charset, '*');
    if (star != VIEW_NONE)
        w->charset.n = star;
    int how = view_next(&at);
    w->how = how < 0 ? 0 : (char)to_lower((unsigned char)how);
    if ((w->how != 'q' && w->how != 'b') || !view_take_chr(&at, '?'))
        return false;
    /* Blanks inside are forbidden and met; a line end is not part of any word. */
    for (n = 0; n < at.n && n < WORD_TEXT_MAX && at.p[n] != '\n'; n++) {
        if (at.p[n] != '?')
            continue;
        if (n + 1 < at.n && at.p[n + 1] == '=') {
            w->text = view_slice(at, 0, n);
            view_skip(&at, n + 2);
            w->whole = view_slice(*in, 0, in->n - at.n);
            *in = at;
            return true;
        }
        if (w->how == 'b')
            return false;
    }
    return false;
}

/* The Q encoding: "_" is a blank, the rest as in quoted-printable. */
static void decode_q(struct view text, struct buf *raw)
{
    while (text.n > 0) {
        size_t at = view_chr(text, '_');
        struct view piece = view_slice(text, 0, at);
        if (piece.n > 0 && piece.p[piece.n - 1] == '=') { /* not a soft line end here */
            content_decode_qp(view_slice(piece, 0, piece.n - 1), raw);
            buf_chr(raw, '=');
        } else {
            struct view core = piece;
            while (core.n > 0 && is_wsp((unsigned char)core.p[core.n - 1]))
                core.n--;
            content_decode_qp(core, raw);
            buf_add(raw, view_from(piece, core.n));
        }
        view_skip(&text, piece.n);
        if (view_take_chr(&text, '_'))
            buf_chr(raw, ' ');
    }
}

static void decode_word(const struct word *w, struct buf *raw)
{
    if (w->how == 'q')
        decode_q(w->text, raw);
    else
        base64_decode_mime(w->text, raw);
}

static size_t blank_length(struct view in)
{
    size_t n = 0;
    while (n < in.n && (is_wsp((unsigned char)in.p[n]) || in.p[n] == '\r' || in.p[n] == '\n'))
        n++;
    return n;
}

/* Encoded words that follow each other, in one charset: joined before conversion, since writers cut
 * characters. */
static void decode_run(struct view *in, struct word first, struct buf *out)
{
    struct buf raw;
    struct word w = first;
    buf_init(&raw, out->max > 0 ? out->max : 1);
    for (;;) {
        decode_word(&w, &raw);
        struct view next = *in;
        view_skip(&next, blank_length(next));
        if (!take_word(&next, &w))
            break;
        *in = next;
        if (!view_ieq(w.charset, first.charset)) {
            charset_to_utf8(first.charset, buf_view(&raw), out);
            buf_reset(&raw);
            first = w;
        }
    }
    charset_to_utf8(first.charset, buf_view(&raw), out);
    buf_clear(&raw);
}

void encoded_decode(struct view value, struct buf *out)
{
    struct view in = view_trim(value);
    size_t plain = 0;
    struct word w;
    while (plain < in.n) {
        size_t at = view_find(view_from(in, plain), VIEW("=?"));
        if (at == VIEW_NONE)
            break;
        struct view next = view_from(in, plain + at);
        if (!take_word(&next, &w)) {
            plain += at + 2;
            continue;
        }
        struct buf text;
        buf_init(&text, in.n + 1);
        header_unfold(view_slice(in, 0, plain + at), &text);
        if (text.n > 0) {
            charset_to_utf8(VIEW(""), buf_view(&text), out);
            if (is_wsp((unsigned char)in.p[plain + at - 1]) || in.p[plain + at - 1] == '\n')
                buf_chr(out, ' ');
        }
        buf_clear(&text);
        decode_run(&next, w, out);
        size_t gap = blank_length(next);
        if (gap > 0 && gap < next.n)
            buf_chr(out, ' ');
        view_skip(&next, gap);
        in = next;
        plain = 0;
    }
    struct buf text;
    buf_init(&text, in.n + 1);
    header_unfold(in, &text);
    charset_to_utf8(VIEW(""), buf_view(&text), out);
    buf_clear(&text);
}

void encoded_write(struct view text, struct buf *out)
{
    bool is_plain = view_find(text, VIEW("=?")) == VIEW_NONE;
    size_t run = 0;
    for (size_t i = 0; i < text.n && is_plain; i++) {
        const unsigned char c = (unsigned char)text.p[i];
        run = c == ' ' ? 0 : run + 1;
        is_plain = (is_printable(c) ? c < 0x80 : c == ' ') && run <= PLAIN_RUN_MAX;
    }
    if (is_plain) {
        buf_add(out, text);
        return;
    }
    struct buf clean;
    buf_init(&clean, out->max);
    utf8_clean(text, &clean);
    if (buf_rc(&clean) != RC_OK)
        out->fail = buf_rc(&clean);
    for (size_t i = 0; i < clean.n; i++)
        if ((unsigned char)clean.p[i] < ' ' || clean.p[i] == 0x7f)
            clean.p[i] = ' ';
    struct view rest = buf_view(&clean);
    for (bool first = true; rest.n > 0; first = false) {
        size_t n = rest.n < WORD_RAW_MAX ? rest.n : WORD_RAW_MAX;
        while (n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80)
            n--; /* RFC 2047 §5: no character is cut in two */
        buf_str(out, first ? "=?utf-8?B?" : " =?utf-8?B?");
        base64_encode(view_slice(rest, 0, n), out);
        buf_str(out, "?=");
        view_skip(&rest, n);
    }
    buf_clear(&clean);
}
