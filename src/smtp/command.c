#include "smtp/command.h"

#include <time.h>

#include "base/utf8.h"

/* One name=value of the list behind a path, given to the function that knows the name. */
struct param {
    const char *name;
    unsigned bit;
    bool has_value; /* must have one; else must not */
    enum rc (*read)(struct view value, struct arena *a, void *out);
};

static bool is_word_chr(unsigned char c)
{
    return !is_wsp(c);
}

struct view smtp_verb(struct view line, struct view *args)
{
    struct view verb = view_take_while(&line, is_word_chr);
    *args = view_trim(line);
    return verb;
}

bool smtp_is_http(struct view line)
{
    static const struct view methods[] = {
        VIEW_INIT("GET"),    VIEW_INIT("POST"),    VIEW_INIT("HEAD"),    VIEW_INIT("PUT"),
        VIEW_INIT("DELETE"), VIEW_INIT("CONNECT"), VIEW_INIT("OPTIONS"), VIEW_INIT("TRACE"),
        VIEW_INIT("PATCH"),  VIEW_INIT("PRI"),
    };
    struct view args, verb = smtp_verb(line, &args);
    if (args.n == 0)
        return false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (view_eq(verb, methods[i])) /* none of them is an SMTP verb, so no version is asked for */
            return true;
    return false;
}

/* --- xtext --- */

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_printable(int c)
{
    return c > ' ' && c < 0x7f;
}

static enum rc decode_plus(struct view *in, struct buf *out)
{
    int high = hex_value(view_next(in)), low = hex_value(view_next(in));
    if (high < 0 || low < 0)
        return RC_SYNTAX;
    int c = high << 4 | low;
    if (!is_printable(c) && c != ' ')
        return RC_SYNTAX;
    buf_chr(out, (char)c);
    return RC_OK;
}

/* "x{1F4E7}" of RFC 6533 §3, the backslash read already. */
static enum rc decode_unicode(struct view *in, struct buf *out)
{
    struct view digits;
    uint32_t cp = 0;
    if (!view_take(in, VIEW("x{")) || !view_split(in, '}', &digits) || digits.n < 2 || digits.n > 6)
        return RC_SYNTAX;
    while (digits.n > 0) {
        int d = hex_value(view_next(&digits));
        if (d < 0)
            return RC_SYNTAX;
        cp = cp << 4 | (uint32_t)d;
    }
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return RC_SYNTAX;
    utf8_put(out, cp);
    return RC_OK;
}

enum rc smtp_xtext_decode(struct view in, bool utf8, struct buf *out)
{
    while (in.n > 0) {
        enum rc rc = RC_OK;
        int c = view_next(&in);
        if (c == '+')
            rc = decode_plus(&in, out);
        else if (c == '\\' && utf8)
            rc = decode_unicode(&in, out);
        else if (c != '=' && (is_printable(c) || (utf8 && c >= 0x80)))
            buf_chr(out, (char)c);
        else
            rc = RC_SYNTAX;
        if (rc != RC_OK)
            return rc;
    }
    return buf_rc(out);
}

void smtp_xtext_encode(struct view v, struct buf *out)
{
    while (v.n > 0) {
        int c = view_next(&v);
        if (is_printable(c) && c != '+' && c != '=')
            buf_chr(out, (char)c);
        else
            buf_printf(out, "+%02X", (unsigned)c);
    }
}

static enum rc decode_into(struct view in, bool utf8, size_t max, struct arena *a, struct view *out)
{
    struct buf b;
    buf_init(&b, max);
    enum rc rc = smtp_xtext_decode(in, utf8, &b);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&b), out);
    buf_clear(&b);
    return rc;
}

/* --- values --- */

static enum rc read_size(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    (void)a;
    if (v.n > 20) /* RFC 1870 §3 */
        return RC_SYNTAX;
    enum rc rc = view_u64(&v, UINT64_MAX, &m->size);
    if (rc == RC_LIMIT) { /* twenty digits can say more than 64 bits hold; it is too large anyway */
        m->size = UINT64_MAX;
        return RC_OK;
    }
    return rc == RC_OK && v.n > 0 ? RC_SYNTAX : rc;
}

static enum rc read_body(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    (void)a;
    if (view_ieq(v, VIEW("7BIT")))
        m->body = SMTP_BODY_7BIT;
    else if (view_ieq(v, VIEW("8BITMIME")))
        m->body = SMTP_BODY_8BITMIME;
    else if (view_ieq(v, VIEW("BINARYMIME")))
        m->body = SMTP_BODY_BINARYMIME;
    else
        return RC_SYNTAX;
    return RC_OK;
}

static enum rc read_ret(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    (void)a;
    if (!view_ieq(v, VIEW("FULL")) && !view_ieq(v, VIEW("HDRS")))
        return RC_SYNTAX;
    m->ret = view_ieq(v, VIEW("FULL")) ? SMTP_RET_FULL : SMTP_RET_HDRS;
    return RC_OK;
}

static enum rc read_envid(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    return v.n > SMTP_ENVID_MAX ? RC_LIMIT : decode_into(v, false, SMTP_ENVID_MAX, a, &m->envid);
}

/* RFC 4954 §5: who submitted it, as a trusted client says. We trust none, so only the form counts. */
static enum rc read_auth(struct view v, struct arena *a, void *out)
{
    struct view ignored;
    (void)out;
    return v.n > SMTP_ORCPT_MAX ? RC_LIMIT : decode_into(v, true, SMTP_ORCPT_MAX, a, &ignored);
}

static enum rc read_seconds(struct view v, int64_t *out)
{
    uint64_t n;
    if (v.n > 9 || !view_is_u64(v, 999999999, &n))
        return RC_SYNTAX;
    *out = (int64_t)n;
    return RC_OK;
}

static enum rc read_hold_for(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    (void)a;
    enum rc rc = read_seconds(v, &m->hold_for_s);
    return rc == RC_OK && m->hold_for_s == 0 ? RC_SYNTAX : rc; /* a positive integer: RFC 4865 §3 */
}

static bool take_number(struct view *in, size_t digits, int *out)
{
    uint64_t n;
    if (!view_is_u64(view_slice(*in, 0, digits), 9999, &n) || in->n < digits)
        return false;
    view_skip(in, digits);
    *out = (int)n;
    return true;
}

/* Internet-style-date-time-UTC of RFC 4865 §3: "2026-11-22T00:40:00Z". */
static enum rc read_hold_until(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    struct tm tm = {0};
    (void)a;
    if (!take_number(&v, 4, &tm.tm_year) || !view_take_chr(&v, '-') || !take_number(&v, 2, &tm.tm_mon) ||
        !view_take_chr(&v, '-') || !take_number(&v, 2, &tm.tm_mday) || !view_itake(&v, VIEW("T")) ||
        !take_number(&v, 2, &tm.tm_hour) || !view_take_chr(&v, ':') || !take_number(&v, 2, &tm.tm_min) ||
        !view_take_chr(&v, ':') || !take_number(&v, 2, &tm.tm_sec))
        return RC_SYNTAX;
    if (view_take_chr(&v, '.') && view_take_while(&v, is_digit).n == 0)
        return RC_SYNTAX;
    if (!view_itake(&v, VIEW("Z")) || v.n > 0)
        return RC_SYNTAX;
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return RC_SYNTAX;
    if (tm.tm_sec == 60) /* a leap second: the clocks here have none */
        tm.tm_sec = 59;
    m->hold_until_s = timegm(&tm);
    return tm.tm_mday == day ? RC_OK : RC_SYNTAX; /* timegm moves 31 February on */
}

/* RFC 2852 §4. */
static enum rc read_by(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    struct view time;
    (void)a;
    if (!view_split(&v, ';', &time))
        return RC_SYNTAX;
    bool negative = view_take_chr(&time, '-');
    if (!negative)
        view_take_chr(&time, '+');
    if (read_seconds(time, &m->by_s) != RC_OK)
        return RC_SYNTAX;
    if (negative)
        m->by_s = -m->by_s;
    m->by_return = view_itake(&v, VIEW("R"));
    if (!m->by_return && !view_itake(&v, VIEW("N")))
        return RC_SYNTAX;
    m->by_trace = view_itake(&v, VIEW("T"));
    return v.n > 0 || (m->by_return && m->by_s <= 0) ? RC_SYNTAX : RC_OK;
}

/* RFC 6710 §3. */
static enum rc read_priority(struct view v, struct arena *a, void *out)
{
    struct smtp_mail *m = out;
    uint64_t n;
    (void)a;
    bool negative = view_take_chr(&v, '-');
    if (v.n != 1 || !view_is_u64(v, 9, &n) || (negative && n == 0))
        return RC_SYNTAX;
    m->priority = negative ? -(int)n : (int)n;
    return RC_OK;
}

/* RFC 3461 §4.1. */
static enum rc read_notify(struct view v, struct arena *a, void *out)
{
    struct smtp_rcpt *r = out;
    (void)a;
    if (view_ieq(v, VIEW("NEVER"))) {
        r->notify = SMTP_NOTIFY_NEVER;
        return RC_OK;
    }
    for (bool more = true; more;) {
        struct view word;
        more = view_split(&v, ',', &word);
        if (view_ieq(word, VIEW("SUCCESS")))
            r->notify |= SMTP_NOTIFY_SUCCESS;
        else if (view_ieq(word, VIEW("FAILURE")))
            r->notify |= SMTP_NOTIFY_FAILURE;
        else if (view_ieq(word, VIEW("DELAY")))
            r->notify |= SMTP_NOTIFY_DELAY;
        else
            return RC_SYNTAX;
    }
    return RC_OK;
}

static bool is_type_chr(unsigned char c)
{
    return is_alnum(c) || c == '-';
}

/* RFC 3461 §4.2 and RFC 6533 §3. */
static enum rc read_orcpt(struct view v, struct arena *a, void *out)
{
    struct smtp_rcpt *r = out;
    struct view address = v, type, decoded;
    if (v.n > SMTP_ORCPT_MAX)
        return RC_LIMIT;
    type = view_take_while(&address, is_type_chr);
    if (type.n == 0 || !view_take_chr(&address, ';') || address.n == 0)
        return RC_SYNTAX;
    enum rc rc = decode_into(address, view_ieq(type, VIEW("utf-8")), SMTP_ORCPT_MAX * 2, a, &decoded);
    if (rc != RC_OK)
        return rc;
    if (!utf8_is_valid(decoded))
        return RC_SYNTAX;
    r->orcpt = view_str(arena_printf(a, "%.*s;%.*s", VIEW_FMT(type), VIEW_FMT(decoded)));
    return r->orcpt.n > 0 ? RC_OK : RC_TEMP;
}

static const struct param mail_params[] = {
    {"SIZE", PARAM_SIZE, true, read_size},
    {"BODY", PARAM_BODY, true, read_body},
    {"SMTPUTF8", PARAM_SMTPUTF8, false, NULL},
    {"RET", PARAM_RET, true, read_ret},
    {"ENVID", PARAM_ENVID, true, read_envid},
    {"AUTH", PARAM_AUTH, true, read_auth},
    {"HOLDFOR", PARAM_HOLD, true, read_hold_for},
    {"HOLDUNTIL", PARAM_HOLD, true, read_hold_until},
    {"BY", PARAM_BY, true, read_by},
    {"MT-PRIORITY", PARAM_PRIORITY, true, read_priority},
    {"REQUIRETLS", PARAM_REQUIRETLS, false, NULL},
    {0},
};
static const struct param rcpt_params[] = {
    {"NOTIFY", PARAM_NOTIFY, true, read_notify},
    {"ORCPT", PARAM_ORCPT, true, read_orcpt},
    {0},
};

/* "NAME=value", "NAME": one word of the list. */
static enum rc read_param(const struct param *table, struct view word, struct arena *a, unsigned *seen,
                          void *out)
{
    struct view name;
    bool has_value = view_split(&word, '=', &name);
    const struct param *p = table;
    while (p->name && !view_ieq(name, view_str(p->name)))
        p++;
    if (!p->name)
        return RC_NOTFOUND;
    if (*seen & p->bit || has_value != p->has_value || (has_value && word.n == 0))
        return RC_SYNTAX;
    *seen |= p->bit;
    return p->read ? p->read(word, a, out) : RC_OK;
}

static enum rc read_params(const struct param *table, struct view in, struct arena *a, unsigned *seen,
                           void *out)
{
    enum rc worst = RC_OK;
    while (in.n > 0) {
        if (view_take_wsp(&in) == 0)
            return RC_SYNTAX; /* something sticks to the path */
        struct view word = view_take_while(&in, is_word_chr);
        if (word.n == 0)
            break;
        enum rc rc = read_param(table, word, a, seen, out);
        if (rc != RC_OK && rc != RC_NOTFOUND)
            return rc;
        if (rc != RC_OK)
            worst = rc; /* a syntax error further on is the better answer */
    }
    return worst;
}

static enum rc read_path(struct view *args, struct view keyword, struct smtp_path *path)
{
    if (!view_itake(args, keyword))
        return RC_SYNTAX;
    view_take_wsp(args); /* Departs from RFC 5321 §3.3: many clients put a blank here */
    return smtp_path_parse(args, path);
}

enum rc smtp_mail_parse(struct view args, struct arena *a, struct smtp_mail *out, bool *bad_path)
{
    *out = (struct smtp_mail){0};
    *bad_path = true;
    enum rc rc = read_path(&args, VIEW("FROM:"), &out->path);
    if (rc != RC_OK)
        return rc;
    *bad_path = false;
    return read_params(mail_params, args, a, &out->params, out);
}

enum rc smtp_rcpt_parse(struct view args, struct arena *a, struct smtp_rcpt *out, bool *bad_path)
{
    *out = (struct smtp_rcpt){0};
    *bad_path = true;
    enum rc rc = read_path(&args, VIEW("TO:"), &out->path);
    if (rc != RC_OK)
        return rc;
    *bad_path = false;
    return read_params(rcpt_params, args, a, &out->params, out);
}

enum rc smtp_bdat_parse(struct view args, uint64_t *size, bool *last)
{
    enum rc rc = view_u64(&args, INT64_MAX, size);
    if (rc != RC_OK)
        return rc;
    *last = false;
    if (args.n == 0)
        return RC_OK;
    if (view_take_wsp(&args) == 0 || !view_ieq(args, VIEW("LAST")))
        return RC_SYNTAX;
    *last = true;
    return RC_OK;
}
