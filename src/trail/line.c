#include "trail/line.h"

#include <time.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
#define N_LEVELS (sizeof level_names / sizeof *level_names)

const char *trail_level_name(enum log_level level)
{
    return (size_t)level < N_LEVELS ? level_names[level] : "";
}

enum rc trail_level_read(struct view name, enum log_level *out)
{
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (view_eq(name, view_str(level_names[i]))) {
            *out = (enum log_level)i;
            return RC_OK;
        }
    }
    return RC_SYNTAX;
}

/* `n` digits. */
static bool take_number(struct view *in, size_t n, int *out)
{
    *out = 0;
    if (in->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)view_next(in);
        if (!is_digit(c))
            return false;
        *out = *out * 10 + (c - '0');
    }
    return true;
}

/* Days since 1970 of a date of the Gregorian calendar; timegm would do, and be most of the work of reading a log. */
static int64_t days_of(int year, int month, int day)
{
    const int y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2026-11-22T01:30:00.123Z" */
static bool take_time(struct view *in, int64_t *at_ms)
{
    int year, month, day, hour, minute, second, ms;
    if (!take_number(in, 4, &year) || !view_take_chr(in, '-') || !take_number(in, 2, &month) || !view_take_chr(in, '-') ||
        !take_number(in, 2, &day) || !view_take_chr(in, 'T') || !take_number(in, 2, &hour) || !view_take_chr(in, ':') ||
        !take_number(in, 2, &minute) || !view_take_chr(in, ':') || !take_number(in, 2, &second) || !view_take_chr(in, '.') ||
        !take_number(in, 3, &ms) || !view_take_chr(in, 'Z'))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    *at_ms = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
    return true;
}

enum rc trail_parse_time(struct view line, int64_t *at_ms)
{
    return take_time(&line, at_ms) ? RC_OK : RC_SYNTAX;
}

enum rc trail_parse(struct view line, struct trail_line *out)
{
    struct view level;
    if (!take_time(&line, &out->at_ms) || !view_take_chr(&line, ' ') || !view_split(&line, ' ', &level) ||
        trail_level_read(level, &out->level) != RC_OK || !view_split(&line, ' ', &out->process))
        return RC_SYNTAX;
    view_split(&line, ' ', &out->event);
    out->fields = line;
    return out->event.n > 0 ? RC_OK : RC_SYNTAX;
}

/* Past the closing quote; a line that was cut has none. */
static size_t quoted_length(struct view v)
{
    size_t i = 1;
    while (i < v.n && v.p[i] != '"')
        i += v.p[i] == '\\' ? 2 : 1;
    return i < v.n ? i + 1 : v.n;
}

bool trail_next_field(struct view *fields, struct view *name, struct view *raw)
{
    if (!view_split(fields, '=', name))
        return false;
    *raw = view_slice(*fields, 0, view_peek(*fields) == '"' ? quoted_length(*fields) : view_chr(*fields, ' '));
    view_skip(fields, raw->n);
    view_take_chr(fields, ' ');
    return true;
}

static int hex_of(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static char take_escaped(struct view *in)
{
    int c = view_next(in);
    if (c != 'x')
        return (char)(c < 0 ? '\\' : c);
    int high = hex_of(view_peek(*in)), low = hex_of(view_peek(view_from(*in, 1)));
    if (high < 0 || low < 0)
        return 'x';
    view_skip(in, 2);
    return (char)(high << 4 | low);
}

enum rc trail_value(struct view raw, struct arena *a, struct view *out)
{
    *out = raw;
    if (!view_take_chr(&raw, '"'))
        return RC_OK;
    if (view_ends(raw, VIEW("\"")))
        raw.n--;
    *out = raw;
    if (view_chr(raw, '\\') == VIEW_NONE)
        return RC_OK;
    char *text = arena_alloc(a, raw.n);
    size_t n = 0;
    if (!text)
        return RC_TEMP;
    while (raw.n > 0) {
        char c = (char)view_next(&raw);
        text[n++] = c == '\\' ? take_escaped(&raw) : c;
    }
    *out = view_of(text, n);
    return RC_OK;
}

static bool find_raw(const struct trail_line *l, const char *name, struct view *raw)
{
    struct view rest = l->fields, found;
    while (trail_next_field(&rest, &found, raw))
        if (view_eq(found, view_str(name)))
            return true;
    return false;
}

struct view trail_field(const struct trail_line *l, const char *name, struct arena *a)
{
    struct view raw, value = {0};
    if (!find_raw(l, name, &raw) || trail_value(raw, a, &value) != RC_OK)
        return VIEW("");
    return value;
}

uint64_t trail_id(const struct trail_line *l, const char *name)
{
    struct view raw;
    uint64_t id = 0;
    return find_raw(l, name, &raw) && view_is_hex(raw, UINT64_MAX, &id) ? id : 0;
}
