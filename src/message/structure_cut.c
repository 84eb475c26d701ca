#include "message/summary.h"

/* The end of a quoted string, from its first quote; 0 where it has none. */
static size_t quoted_length(struct view in)
{
    for (size_t i = 1; i < in.n; i++) {
        if (in.p[i] == '\\')
            i++;
        else if (in.p[i] == '"')
            return i + 1;
    }
    return 0;
}

static size_t literal_length(struct view in)
{
    struct view at = in;
    uint64_t n;
    view_skip(&at, 1);
    if (view_u64(&at, in.n, &n) != RC_OK || !view_take(&at, VIEW("}\r\n")) || n > at.n)
        return 0;
    return in.n - at.n + (size_t)n;
}

static size_t atom_length(struct view in)
{
    size_t n = 0;
    while (n < in.n && in.p[n] != ' ' && in.p[n] != '(' && in.p[n] != ')' && in.p[n] != '"')
        n++;
    return n;
}

/* One value: a string, literal, atom, or a list with all in it. */
static enum rc take_value(struct view *in, struct view *out)
{
    struct view at = *in;
    size_t depth = 0;
    do {
        size_t n;
        int c = view_peek(at);
        if (c == '"')
            n = quoted_length(at);
        else if (c == '{')
            n = literal_length(at);
        else if (c == '(' || c == ')' || (c == ' ' && depth > 0))
            n = 1;
        else
            n = atom_length(at);
        if (n == 0 || (c == ')' && depth == 0))
            return RC_CORRUPT;
        depth += c == '(';
        depth -= c == ')';
        view_skip(&at, n);
    } while (depth > 0);
    *out = view_slice(*in, 0, in->n - at.n);
    *in = at;
    return RC_OK;
}

/* n values parted by blanks, copied with the blank in front of each but the first of a list. */
static enum rc copy_values(struct view *in, int n, bool is_first, struct buf *out)
{
    struct view value;
    for (int i = 0; i < n; i++) {
        if ((i > 0 || !is_first) && !view_take_chr(in, ' '))
            return RC_CORRUPT;
        enum rc rc = take_value(in, &value);
        if (rc != RC_OK)
            return rc;
        if (i > 0 || !is_first)
            buf_chr(out, ' ');
        buf_add(out, value);
    }
    return RC_OK;
}

/* The rest of a list is extension data: dropped, with its end. */
static enum rc drop_rest(struct view *in)
{
    struct view value;
    while (view_take_chr(in, ' ')) {
        enum rc rc = take_value(in, &value);
        if (rc != RC_OK)
            return rc;
    }
    return view_take_chr(in, ')') ? RC_OK : RC_CORRUPT;
}

static enum rc cut_body(struct view *in, int depth, struct buf *out)
{
    enum rc rc = RC_OK;
    struct view head, type, subtype;
    if (depth > 2 * MIME_DEPTH_MAX || !view_take_chr(in, '('))
        return RC_CORRUPT;
    buf_chr(out, '(');
    if (view_peek(*in) == '(') {
        while (rc == RC_OK && view_peek(*in) == '(')
            rc = cut_body(in, depth + 1, out);
        if (rc == RC_OK)
            rc = copy_values(in, 1, false, out);
    } else {
        head = *in;
        if (take_value(&head, &type) != RC_OK || !view_take_chr(&head, ' ') ||
            take_value(&head, &subtype) != RC_OK)
            return RC_CORRUPT;
        bool is_message = view_ieq(type, VIEW("\"message\"")) && view_ieq(subtype, VIEW("\"rfc822\""));
        rc = copy_values(in, 7, true, out);
        if (rc == RC_OK && is_message) {
            rc = copy_values(in, 1, false, out);
            if (rc == RC_OK && !view_take_chr(in, ' '))
                rc = RC_CORRUPT;
            buf_chr(out, ' ');
            if (rc == RC_OK)
                rc = cut_body(in, depth + 1, out);
        }
        if (rc == RC_OK && (is_message || view_ieq(type, VIEW("\"text\""))))
            rc = copy_values(in, 1, false, out);
    }
    if (rc == RC_OK)
        rc = drop_rest(in);
    buf_chr(out, ')');
    return rc == RC_OK ? buf_rc(out) : rc;
}

enum rc summary_body_from_structure(struct view structure, struct buf *out)
{
    enum rc rc = cut_body(&structure, 0, out);
    return rc == RC_OK && structure.n > 0 ? RC_CORRUPT : rc;
}
