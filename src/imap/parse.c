#include "imap/parse.h"

#include "imap/mutf7.h"
#include "message/date.h"
#include "store/mailbox.h"

#define NAME_MAX_UTF8 (FOLDER_DEPTH_MAX * (FOLDER_NAME_MAX + 1) * 2) /* longer names name nothing */

static const struct {
    struct view name;
    unsigned flag;
} system_flags[] = {
    {VIEW_INIT("\\Answered"), FLAG_ANSWERED}, {VIEW_INIT("\\Flagged"), FLAG_FLAGGED}, {VIEW_INIT("\\Deleted"), FLAG_DELETED},
    {VIEW_INIT("\\Seen"), FLAG_SEEN},         {VIEW_INIT("\\Draft"), FLAG_DRAFT},
};
#define N_SYSTEM_FLAGS (sizeof system_flags / sizeof system_flags[0])

bool imap_is_atom_char(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\' &&
           c != ']';
}

static bool is_astring_char(unsigned char c)
{
    return imap_is_atom_char(c) || c == ']';
}

static bool is_list_char(unsigned char c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

static bool is_tag_char(unsigned char c)
{
    return is_astring_char(c) && c != '+';
}

bool imap_take_sp(struct view *in)
{
    return view_take_chr(in, ' ');
}

static enum rc take_run(struct view *in, bool (*is)(unsigned char), struct view *out)
{
    *out = view_take_while(in, is);
    return out->n > 0 ? RC_OK : RC_SYNTAX;
}

enum rc imap_tag(struct view *in, struct view *out)
{
    struct view cur = *in;

    if (take_run(&cur, is_tag_char, out) != RC_OK)
        return RC_SYNTAX;
    if (out->n > IMAP_TAG_MAX)
        return RC_LIMIT;
    *in = cur;
    return RC_OK;
}

enum rc imap_atom(struct view *in, struct view *out)
{
    return take_run(in, imap_is_atom_char, out);
}

static bool is_quoted_plain(unsigned char c)
{
    return c != '"' && c != '\\' && c != '\r' && c != '\n' && c != 0;
}

static enum rc parse_quoted(struct view *in, struct arena *a, struct view *out)
{
    struct view cur = *in;
    struct buf text;
    enum rc rc = RC_SYNTAX;

    if (!view_take_chr(&cur, '"'))
        return RC_SYNTAX;
    *out = view_take_while(&cur, is_quoted_plain);
    if (view_take_chr(&cur, '"')) { /* nearly always: no escapes */
        *in = cur;
        return RC_OK;
    }
    buf_init(&text, in->n);
    buf_add(&text, *out);
    while (view_take_chr(&cur, '\\')) {
        int c = view_next(&cur);
        if (c != '"' && c != '\\')
            goto done;
        buf_chr(&text, (char)c);
        buf_add(&text, view_take_while(&cur, is_quoted_plain));
    }
    if (!view_take_chr(&cur, '"'))
        goto done;
    rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&text), out);
    if (rc == RC_OK)
        *in = cur;
done:
    buf_clear(&text);
    return rc;
}

static enum rc parse_literal(struct view *in, struct view *out)
{
    struct view cur = *in;
    uint64_t n;

    view_take_chr(&cur, '~');
    if (!view_take_chr(&cur, '{') || view_u64(&cur, IMAP_LITERAL_MAX, &n) != RC_OK)
        return RC_SYNTAX;
    view_take_chr(&cur, '+');
    if (!view_take(&cur, VIEW("}\r\n")) || cur.n < n)
        return RC_SYNTAX;
    *out = view_slice(cur, 0, n);
    if (view_chr(*out, 0) != VIEW_NONE) /* RFC 3501 §9: CHAR8 has no NUL */
        return RC_SYNTAX;
    view_skip(&cur, n);
    *in = cur;
    return RC_OK;
}

enum rc imap_string(struct view *in, struct arena *a, struct view *out)
{
    return view_peek(*in) == '"' ? parse_quoted(in, a, out) : parse_literal(in, out);
}

enum rc imap_astring(struct view *in, struct arena *a, struct view *out)
{
    int c = view_peek(*in);

    if (c == '"' || c == '{' || (c == '~' && in->n > 1 && in->p[1] == '{'))
        return imap_string(in, a, out);
    return take_run(in, is_astring_char, out);
}

static enum rc decode_name(struct view wire, struct arena *a, struct view *out)
{
    struct buf text;
    enum rc rc;

    if (view_ieq(wire, VIEW("INBOX"))) {
        *out = VIEW("INBOX");
        return RC_OK;
    }
    buf_init(&text, NAME_MAX_UTF8);
    rc = imap_mutf7_decode(wire, &text);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&text), out);
    buf_clear(&text);
    return rc == RC_SYNTAX || rc == RC_LIMIT ? RC_DENIED : rc;
}

enum rc imap_mailbox(struct view *in, struct arena *a, struct view *out)
{
    struct view wire;
    enum rc rc = imap_astring(in, a, &wire);

    return rc == RC_OK ? decode_name(wire, a, out) : rc;
}

enum rc imap_list_mailbox(struct view *in, struct arena *a, struct view *out)
{
    struct view wire;
    int c = view_peek(*in);
    enum rc rc = c == '"' || c == '{' ? imap_string(in, a, &wire) : take_run(in, is_list_char, &wire);

    return rc == RC_OK ? decode_name(wire, a, out) : rc;
}

/* One flag: adds to *flags, or to `words`. */
static enum rc parse_flag(struct view *in, unsigned *flags, struct buf *words)
{
    struct view cur = *in, name;

    if (view_take_chr(&cur, '\\')) {
        if (imap_atom(&cur, &name) != RC_OK)
            return RC_SYNTAX;
        name = view_slice(*in, 0, name.n + 1);
        for (size_t i = 0; i < N_SYSTEM_FLAGS; i++) {
            if (view_ieq(name, system_flags[i].name)) {
                *flags |= system_flags[i].flag;
                *in = cur;
                return RC_OK;
            }
        }
        return RC_SYNTAX; /* \Recent and flags that nobody defined */
    }
    if (imap_atom(&cur, &name) != RC_OK)
        return RC_SYNTAX;
    if (name.n > KEYWORD_MAX)
        return RC_LIMIT;
    if (words->n > 0)
        buf_chr(words, ' ');
    buf_add(words, name);
    *in = cur;
    return RC_OK;
}

static enum rc parse_flags(struct view *in, bool bracketed, struct arena *a, struct imap_flags *out)
{
    struct view cur = *in;
    struct buf words;
    enum rc rc = RC_SYNTAX;

    *out = (struct imap_flags){0};
    buf_init(&words, (KEYWORD_MAX + 1) * IMAP_FLAGS_MAX);
    if (bracketed && !view_take_chr(&cur, '('))
        goto done;
    if (bracketed && view_take_chr(&cur, ')')) {
        rc = RC_OK;
        goto done;
    }
    for (unsigned n = 0;; n++) {
        if (n == IMAP_FLAGS_MAX) {
            rc = RC_LIMIT;
            goto done;
        }
        rc = parse_flag(&cur, &out->flags, &words);
        if (rc != RC_OK)
            goto done;
        if (!imap_take_sp(&cur))
            break;
    }
    if (bracketed && !view_take_chr(&cur, ')')) {
        rc = RC_SYNTAX;
        goto done;
    }
    rc = buf_rc(&words);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&words), &out->keywords);
done:
    if (rc == RC_OK)
        *in = cur;
    buf_clear(&words);
    return rc;
}

enum rc imap_flag_list(struct view *in, struct arena *a, struct imap_flags *out)
{
    return parse_flags(in, true, a, out);
}

enum rc imap_store_flags(struct view *in, struct arena *a, struct imap_flags *out)
{
    return parse_flags(in, view_peek(*in) == '(', a, out);
}

enum rc imap_date_time(struct view *in, int64_t *out)
{
    struct view cur = *in, text;
    struct date date;

    if (!view_take_chr(&cur, '"') || !view_split(&cur, '"', &text) || date_parse_internal(text, &date) != RC_OK)
        return RC_SYNTAX;
    *out = date.utc;
    *in = cur;
    return RC_OK;
}

enum rc imap_literal_at_end(struct view line, struct imap_literal *out)
{
    struct view digits;
    size_t open;

    *out = (struct imap_literal){0};
    if (!view_ends(line, VIEW("}")) || (open = view_rchr(line, '{')) == VIEW_NONE)
        return RC_NOTFOUND;
    digits = view_slice(line, open + 1, line.n - open - 2);
    if (view_ends(digits, VIEW("+"))) {
        out->no_sync = true;
        digits.n--;
    }
    struct view cur = digits;
    enum rc rc = view_u64(&cur, IMAP_LITERAL_MAX, &out->size);
    if (rc == RC_LIMIT)
        return RC_LIMIT;
    if (rc != RC_OK || cur.n > 0)
        return RC_NOTFOUND;
    out->binary = open > 0 && line.p[open - 1] == '~';
    out->at = open - (out->binary ? 1 : 0);
    return RC_OK;
}

static bool is_quotable(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

void imap_write_string(struct view v, struct buf *out)
{
    struct view rest = v;

    view_take_while(&rest, is_quotable);
    if (rest.n > 0) {
        buf_printf(out, "{%zu}\r\n", v.n);
        buf_add(out, v);
        return;
    }
    buf_chr(out, '"');
    for (int c; (c = view_next(&v)) >= 0;) {
        if (c == '"' || c == '\\')
            buf_chr(out, '\\');
        buf_chr(out, (char)c);
    }
    buf_chr(out, '"');
}

void imap_write_mailbox(struct view path, struct buf *out)
{
    struct buf wire;

    buf_init(&wire, path.n * 4 + 16); /* three bytes of UTF-8 become three of BASE64 and two marks at most */
    if (imap_mutf7_encode(path, &wire) != RC_OK)
        out->fail = out->fail ? out->fail : buf_rc(&wire) ? buf_rc(&wire) : RC_SYNTAX;
    imap_write_string(buf_view(&wire), out);
    buf_clear(&wire);
}

void imap_write_flags(unsigned flags, struct view keywords, bool recent, struct buf *out)
{
    const char *gap = "";

    buf_chr(out, '(');
    for (size_t i = 0; i < N_SYSTEM_FLAGS; i++) {
        if (flags & system_flags[i].flag) {
            buf_str(out, gap);
            buf_add(out, system_flags[i].name);
            gap = " ";
        }
    }
    if (recent) {
        buf_str(out, gap);
        buf_str(out, "\\Recent");
        gap = " ";
    }
    if (keywords.n > 0) {
        buf_str(out, gap);
        buf_add(out, keywords);
    }
    buf_chr(out, ')');
}
