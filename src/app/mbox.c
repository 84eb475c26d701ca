#include "app/mbox.h"

#include <time.h>

#include "message/date.h"
#include "message/header.h"
#include "store/mailbox.h"

static bool has_time_of_day(struct view line)
{
    for (size_t i = 0; i + 2 < line.n; i++)
        if (is_digit((unsigned char)line.p[i]) && line.p[i + 1] == ':' && is_digit((unsigned char)line.p[i + 2]))
            return true;
    return false;
}

static bool is_from_line(struct view text)
{
    if (!view_starts(text, VIEW("From ")))
        return false;
    size_t end = view_chr(view_slice(text, 0, MBOX_LINE_MAX), '\n');
    struct view line = view_slice(text, 0, end == VIEW_NONE ? MBOX_LINE_MAX : end);
    if (has_time_of_day(line))
        return true;
    struct view sender = view_trim(view_from(line, 5)); /* as some exporters write it: an address and no date */
    return view_chr(sender, '@') != VIEW_NONE && view_chr(sender, ' ') == VIEW_NONE;
}

/* "From sender date": the date is what begins at the third word, or the fourth for senders with a blank. */
static int64_t from_line_date(struct view line)
{
    struct view word;
    struct date d;
    view_skip(&line, 5);
    line = view_trim(line);
    while (line.n > 0) {
        view_split(&line, ' ', &word);
        line = view_trim(line);
        if (date_parse(line, &d) == RC_OK)
            return d.utc;
    }
    return 0;
}

enum rc mbox_next(struct view *in, struct mbox_message *out)
{
    struct view line, rest = *in;

    while (rest.n > 0 && (rest.p[0] == '\n' || rest.p[0] == '\r'))
        view_skip(&rest, 1);
    if (rest.n == 0)
        return RC_NOTFOUND;
    if (!view_starts(rest, VIEW("From ")))
        return RC_SYNTAX;
    header_line(&rest, &line);
    out->date = from_line_date(line);
    struct view body = rest;
    bool after_empty = true; /* a message may be empty */
    size_t used = 0;
    while (rest.n > 0 && !(after_empty && is_from_line(rest))) {
        header_line(&rest, &line);
        after_empty = header_line_is_empty(line);
        used += line.n;
    }
    out->raw = view_slice(body, 0, used);
    if (view_ends(out->raw, VIEW("\r\n\r\n")))
        out->raw.n -= 2;
    else if (view_ends(out->raw, VIEW("\n\n")))
        out->raw.n -= 1;
    else if (view_eq(out->raw, VIEW("\n")) || view_eq(out->raw, VIEW("\r\n")))
        out->raw.n = 0;
    *in = rest;
    return RC_OK;
}

static const struct {
    char letter;
    bool x_status;
    uint32_t flag;
} letters[] = {
    {'R', false, FLAG_SEEN}, {'A', true, FLAG_ANSWERED}, {'F', true, FLAG_FLAGGED}, {'D', true, FLAG_DELETED}, {'T', true, FLAG_DRAFT},
};

static uint32_t flags_of(struct view value, bool x_status)
{
    uint32_t flags = 0;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].x_status == x_status && view_chr(value, letters[i].letter) != VIEW_NONE)
            flags |= letters[i].flag;
    return flags;
}

/* Takes Status, X-Status, X-Keywords off the end of the header fields, each at most once; gives the fields' length. */
static size_t take_status(struct view fields, uint32_t *flags, struct buf *keywords)
{
    static const struct view names[] = {VIEW_INIT("Status"), VIEW_INIT("X-Status"), VIEW_INIT("X-Keywords")};
    bool taken[3] = {false};

    for (;;) {
        struct header_field f, last = {0};
        struct view in = fields;
        while (header_next(&in, &f))
            last = f;
        size_t which = 3;
        for (size_t i = 0; i < 3; i++)
            if (last.name.n > 0 && view_ieq(last.name, names[i]) && !taken[i])
                which = i;
        if (which == 3)
            return fields.n;
        /* Written in this order, so read backwards: what stands before an earlier one is the message's own. */
        for (size_t i = which; i < 3; i++)
            taken[i] = true;
        if (which == 2)
            header_unfold(last.value, keywords);
        else
            *flags |= flags_of(last.value, which == 1);
        fields.n -= last.whole.n;
    }
}

/* Flags of Status and X-Status fields elsewhere in the header, where other programs write them. They stay where they are,
 * as the message's own; a value with other letters is somebody else's field. */
static uint32_t inner_flags(struct view fields)
{
    struct header_field f;
    uint32_t flags = 0;

    while (header_next(&fields, &f)) {
        bool x_status = view_ieq(f.name, VIEW("X-Status"));
        struct view value = view_trim(f.value), rest = value;
        if (!x_status && !view_ieq(f.name, VIEW("Status")))
            continue;
        while (rest.n > 0 && view_chr(VIEW("ROADFTNU"), rest.p[0]) != VIEW_NONE)
            view_skip(&rest, 1);
        if (rest.n == 0)
            flags |= flags_of(value, x_status);
    }
    return flags;
}

static size_t quote_depth(struct view line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] == '>')
        n++;
    return view_starts(view_from(line, n), VIEW("From ")) ? n : 0;
}

void mbox_to_crlf(struct view text, struct buf *out)
{
    struct view line;
    if (view_chr(text, '\r') != VIEW_NONE) {
        buf_add(out, text);
        return;
    }
    while (view_split(&text, '\n', &line)) {
        buf_add(out, line);
        buf_str(out, "\r\n");
    }
    buf_add(out, line);
}

static bool is_all_crlf(struct view text)
{
    while (text.n > 0) {
        size_t lf = view_chr(text, '\n'), cr = view_chr(text, '\r');
        if (lf == VIEW_NONE && cr == VIEW_NONE)
            return true;
        if (lf == VIEW_NONE || cr == VIEW_NONE || cr + 1 != lf)
            return false;
        view_skip(&text, lf + 1);
    }
    return true;
}

void mbox_to_lf(struct view text, struct buf *out)
{
    struct view line;
    if (!is_all_crlf(text)) {
        buf_add(out, text);
        return;
    }
    while (view_split(&text, '\n', &line)) {
        line.n--; /* the CR */
        buf_add(out, line);
        buf_chr(out, '\n');
    }
    buf_add(out, line);
}

enum rc mbox_decode(struct view raw, struct buf *message, uint32_t *flags, struct buf *keywords)
{
    struct view line, header = header_of(raw), body = header_body(raw), end = {0};
    struct buf plain;

    buf_init(&plain, MBOX_MESSAGE_MAX);
    *flags = 0;
    /* The empty line that ends the header stays where it is. */
    struct view fields = header;
    if (view_ends(fields, VIEW("\r\n\r\n")) || view_eq(fields, VIEW("\r\n")))
        end = view_from(fields, fields.n - 2);
    else if (view_ends(fields, VIEW("\n\n")) || view_eq(fields, VIEW("\n")))
        end = view_from(fields, fields.n - 1);
    fields.n -= end.n;
    size_t own = take_status(fields, flags, keywords);
    if (own == fields.n)
        *flags = inner_flags(fields);
    fields.n = own;
    buf_add(&plain, fields);
    buf_add(&plain, end);
    while (header_line(&body, &line)) {
        if (quote_depth(line) > 0)
            view_skip(&line, 1);
        buf_add(&plain, line);
    }
    if (buf_rc(&plain) == RC_OK)
        mbox_to_crlf(buf_view(&plain), message);
    enum rc rc = buf_rc(&plain) == RC_OK ? buf_rc(message) : buf_rc(&plain);
    buf_clear(&plain);
    return rc;
}

static void add_status(struct buf *out, uint32_t flags, struct view keywords, const char *eol)
{
    buf_printf(out, "Status: %sO%s", flags & FLAG_SEEN ? "R" : "", eol);
    if (flags & ~(uint32_t)FLAG_SEEN) {
        buf_str(out, "X-Status: ");
        for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
            if (letters[i].x_status && (flags & letters[i].flag))
                buf_chr(out, letters[i].letter);
        buf_str(out, eol);
    }
    if (keywords.n > 0) {
        buf_str(out, "X-Keywords: ");
        buf_line_part(out, keywords);
        buf_str(out, eol);
    }
}

enum rc mbox_encode(struct view message, struct view sender, int64_t date, uint32_t flags, struct view keywords, struct buf *out)
{
    struct buf text;
    struct tm tm;
    char when[32];
    time_t t = (time_t)date;

    buf_init(&text, MBOX_MESSAGE_MAX);
    mbox_to_lf(message, &text);
    struct view plain = buf_view(&text), line;
    const char *eol = view_chr(plain, '\r') == VIEW_NONE ? "\n" : "\r\n";
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
    buf_str(out, "From ");
    if (sender.n > 0 && view_chr(sender, ' ') == VIEW_NONE)
        buf_line_part(out, sender);
    else
        buf_str(out, "MAILER-DAEMON");
    buf_printf(out, " %s\n", when);

    struct view header = header_of(plain), body = header_body(plain);
    size_t empty = view_ends(header, VIEW("\r\n\r\n")) || view_eq(header, VIEW("\r\n")) ? 2 : view_ends(header, VIEW("\n\n")) || view_eq(header, VIEW("\n"));
    buf_add(out, view_slice(header, 0, header.n - empty));
    /* A header that ends without a line end has no room for fields: its flags are lost rather than its bytes. */
    if (empty > 0 || header.n == 0 || view_ends(header, VIEW("\n")))
        add_status(out, flags, keywords, eol);
    buf_add(out, view_from(header, header.n - empty));
    while (header_line(&body, &line)) {
        if (quote_depth(line) > 0 || view_starts(line, VIEW("From ")))
            buf_chr(out, '>');
        buf_add(out, line);
    }
    buf_str(out, "\n");
    if (!view_ends(plain, VIEW("\n")) && plain.n > 0)
        buf_str(out, "\n"); /* the reader gives one line end too many then: mbox cannot say it otherwise */
    enum rc rc = buf_rc(&text) == RC_OK ? buf_rc(out) : buf_rc(&text);
    buf_clear(&text);
    return rc;
}
