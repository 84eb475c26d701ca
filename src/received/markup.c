/* Bytes of any charset as clean UTF-8 for the XML parser, from the report's root element on. What stands before it (a declaration that may
 * be wrong, stray text, a document type, a wrapper) never gets to the parser, so that it has no entities to expand. */
#include "received/received_impl.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "message/charset.h"

#define TAG_MAX 4096 /* bytes of a tag: the parser compares each attribute with all others */

/* "<feedback" or "<prefix:feedback" */
size_t markup_root(struct view text)
{
    size_t at = 0;
    for (;;) {
        const size_t n = view_chr(view_from(text, at), '<');
        if (n == VIEW_NONE)
            return VIEW_NONE;
        at += n;
        struct view v = view_slice(text, at + 1, 100), before = v;
        const size_t colon = view_chr(v, ':');
        if (!view_istarts(v, VIEW("feedback")) && colon != VIEW_NONE) {
            view_skip(&v, colon + 1);
            before = view_slice(before, 0, colon);
            for (size_t i = 0; i < before.n; i++)
                if (!is_alnum((unsigned char)before.p[i]) && before.p[i] != '-' && before.p[i] != '_')
                    v.n = 0;
        }
        if (view_itake(&v, VIEW("feedback")) && v.n > 0 && (view_peek(v) <= ' ' || view_peek(v) == '>' || view_peek(v) == '/'))
            return at;
        at++;
    }
}

bool markup_is_xml(struct view head)
{
    return view_starts(head, VIEW("<?xml"));
}

/* RFC 3023 §8, by byte order mark or by the zeros of "<?" */
static void tell_form(struct markup *m, struct view head)
{
    const unsigned char *p = (const unsigned char *)head.p;
    m->form = MARKUP_UTF8;
    if (head.n < 4)
        return;
    if ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == '<' && p[1] == 0 && p[2] != 0 && p[3] == 0))
        m->form = MARKUP_UTF16LE;
    else if ((p[0] == 0xfe && p[1] == 0xff) || (p[0] == 0 && p[1] == '<' && p[2] == 0 && p[3] != 0))
        m->form = MARKUP_UTF16BE;
    if (m->form != MARKUP_UTF8)
        return;
    head = view_slice(head, 0, 1000);
    const size_t at = view_find(head, VIEW("<?xml"));
    if (at == VIEW_NONE)
        return;
    struct view v = view_from(head, at), value;
    v = view_slice(v, 0, view_chr(v, '>'));
    const size_t name = view_find(v, VIEW("encoding"));
    if (name == VIEW_NONE)
        return;
    view_skip(&v, name + 8);
    v = view_trim(v);
    if (!view_take_chr(&v, '='))
        return;
    v = view_trim(v);
    const char quote = view_peek(v) == '\'' ? '\'' : '"';
    if (!view_take_chr(&v, quote) || !view_split(&v, quote, &value) || view_istarts(value, VIEW("utf")) || value.n == 0 ||
        view_cstr(value, m->charset, sizeof m->charset) != RC_OK)
        return; /* what says UTF-16 and is not, is UTF-8 */
    m->form = MARKUP_NAMED;
}

/* XML 1.0 §2.2 leaves no room for controls. */
static void put_clean(struct view v, struct buf *out)
{
    while (v.n > 0 && buf_rc(out) == RC_OK) {
        size_t n = 0;
        while (n < v.n && (unsigned char)v.p[n] < 0x80 && ((unsigned char)v.p[n] >= ' ' || v.p[n] == '\n' || v.p[n] == '\t'))
            n++;
        buf_add(out, view_slice(v, 0, n));
        view_skip(&v, n);
        uint32_t c;
        if (v.n == 0)
            break;
        if (utf8_next(&v, &c) != RC_OK) {
            view_next(&v);
            c = 0xfffd;
        }
        if (c == '\r' || c == '\n' || c == '\t')
            buf_chr(out, (char)c);
        else
            utf8_put(out, c < ' ' || (c & 0xfffe) == 0xfffe ? 0xfffd : c);
    }
}

/* What can be converted now, of what has come; all of it at the end. */
static size_t whole_part(const struct markup *m)
{
    const struct view v = buf_view(&m->in);
    size_t n = v.n;
    if (m->ended || n == 0)
        return n;
    switch (m->form) {
    case MARKUP_UTF16LE:
    case MARKUP_UTF16BE:
        n &= ~(size_t)1;
        if (n >= 2 && ((unsigned char)v.p[m->form == MARKUP_UTF16LE ? n - 1 : n - 2] & 0xfc) == 0xd8) /* half of a pair */
            n -= 2;
        return n;
    case MARKUP_NAMED: /* no charset has ">" as a later byte of a character */
        n = view_rchr(v, '>');
        return n == VIEW_NONE ? v.n : n + 1;
    default: /* a last character that has not come whole */
        for (size_t back = 1; back <= 3 && back < n; back++) {
            const unsigned char c = (unsigned char)v.p[n - back];
            if ((c & 0xc0) != 0x80)
                return c >= 0xc0 ? n - back : n;
        }
        return n;
    }
}

static void put_utf16(struct view v, bool big, struct buf *out)
{
    uint32_t high = 0;
    for (size_t i = 0; i + 1 < v.n; i += 2) {
        const uint32_t a = (unsigned char)v.p[i], b = (unsigned char)v.p[i + 1];
        uint32_t c = big ? a << 8 | b : b << 8 | a;
        if (c >= 0xd800 && c < 0xdc00) {
            high = c;
            continue;
        }
        if (c >= 0xdc00 && c < 0xe000)
            c = high ? 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00) : 0xfffd;
        high = 0;
        if (c != 0xfeff)
            utf8_put(out, c);
    }
}

/* Follows tags, which hold no "<"; in comments it may see some that are none, and they end at the next one. */
static bool tags_are_short(struct markup *m, struct view v)
{
    while (v.n > 0) {
        if (m->tag == 0) {
            const size_t at = view_chr(v, '<');
            if (at == VIEW_NONE)
                return true;
            view_skip(&v, at + 1);
            m->tag = 1;
            m->quote = '\0';
            continue;
        }
        const char c = (char)view_next(&v);
        if (c == '<' || (m->tag == 1 && (c == '!' || c == '?')))
            m->tag = c == '<' ? 1 : 0, m->quote = '\0';
        else if (m->quote)
            m->quote = c == m->quote ? '\0' : m->quote, m->tag++;
        else if (c == '>')
            m->tag = 0;
        else
            m->quote = c == '"' || c == '\'' ? c : '\0', m->tag++;
        if (m->tag > TAG_MAX)
            return false;
    }
    return true;
}

static enum rc convert(struct markup *m)
{
    const size_t n = whole_part(m);
    struct view v = view_slice(buf_view(&m->in), 0, n);
    struct buf plain;
    buf_init(&plain, RECEIVED_CHUNK * 8);
    if (m->form == MARKUP_UTF8) {
        put_clean(v, &m->out);
    } else {
        if (m->form == MARKUP_NAMED)
            charset_to_utf8(view_str(m->charset), v, &plain);
        else
            put_utf16(v, m->form == MARKUP_UTF16BE, &plain);
        put_clean(buf_view(&plain), &m->out);
    }
    enum rc rc = buf_rc(&plain) == RC_OK ? buf_rc(&m->out) : buf_rc(&plain);
    buf_clear(&plain);
    if (n < m->in.n)
        memmove(m->in.p, m->in.p + n, m->in.n - n);
    m->in.n -= n;
    return rc == RC_LIMIT ? RC_TEMP : rc;
}

void markup_peek(struct view head, struct buf *out)
{
    struct markup m = {0};
    head = view_slice(head, 0, RECEIVED_HEAD);
    tell_form(&m, head);
    buf_init(&m.in, RECEIVED_CHUNK * 2);
    buf_init(&m.out, RECEIVED_CHUNK * 8);
    buf_add(&m.in, head);
    m.ended = true;
    struct view v = convert(&m) == RC_OK ? buf_view(&m.out) : VIEW("");
    view_take(&v, VIEW("\xef\xbb\xbf"));
    buf_add(out, v);
    markup_close(&m);
}

enum rc markup_open(struct markup *m, struct reader *r)
{
    *m = (struct markup){.reader = r};
    buf_init(&m->in, RECEIVED_CHUNK * 2);
    buf_init(&m->out, RECEIVED_CHUNK * 16);
    return RC_OK;
}

/* More of it into m->out. */
static enum rc fill(struct markup *m)
{
    size_t got = 0;
    const bool first = !m->found && m->out.n == 0 && m->in.n == 0;
    char *room = buf_room(&m->in, RECEIVED_CHUNK);
    if (!room)
        return RC_TEMP;
    m->rc = reader_read(m->reader, room, RECEIVED_CHUNK, &got);
    if (m->rc != RC_OK)
        return m->rc;
    buf_grew(&m->in, got);
    m->ended = got == 0;
    if (first)
        tell_form(m, buf_view(&m->in));
    return convert(m);
}

/* Up to the root; it stood in the head by which the kind was told. */
static enum rc find_root(struct markup *m)
{
    size_t at = VIEW_NONE;
    while (at == VIEW_NONE && !m->ended && m->out.n <= RECEIVED_HEAD * 4) {
        enum rc rc = fill(m);
        if (rc != RC_OK)
            return rc;
        at = markup_root(buf_view(&m->out));
    }
    if (at == VIEW_NONE)
        m->why = "it has no <feedback> element near its beginning";
    else if (view_find(view_slice(buf_view(&m->out), 0, at), VIEW("<!ENTITY")) != VIEW_NONE)
        m->why = "it declares entities, which no report needs";
    if (m->why)
        return RC_SYNTAX;
    for (struct view before = view_slice(buf_view(&m->out), 0, at); before.n > 0; view_next(&before))
        m->lines += view_peek(before) == '\n';
    m->taken = at;
    m->found = true;
    return RC_OK;
}

enum rc markup_read(struct markup *m, char *buf, size_t size, size_t *got)
{
    enum rc rc = RC_OK;
    *got = 0;
    if (!m->found)
        rc = find_root(m);
    while (rc == RC_OK && m->taken == m->out.n && !m->ended) {
        buf_reset(&m->out);
        m->taken = 0;
        rc = fill(m);
    }
    if (rc != RC_OK)
        return rc;
    const struct view v = view_slice(buf_view(&m->out), m->taken, size);
    if (!tags_are_short(m, v)) {
        m->why = "it has a longer tag than any report needs";
        return RC_SYNTAX;
    }
    if (v.n > 0)
        memcpy(buf, v.p, v.n);
    m->taken += v.n;
    *got = v.n;
    return RC_OK;
}

void markup_close(struct markup *m)
{
    buf_clear(&m->in);
    buf_clear(&m->out);
}
