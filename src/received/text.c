#include "received/received_impl.h"

#include <time.h>

#include "base/utf8.h"
#include "message/date.h"
#include "net/addr.h"

#define TIME_MAX INT64_C(253402300799) /* the year 9999 */
#define DAY_S    86400

/* What no reader sees, or what moves the text around it. */
static bool is_invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0x61c || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff) ||
           (c & 0xfffe) == 0xfffe;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x2028 || c == 0x2029;
}

static size_t utf8_size(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* Nothing to clean: printable ASCII, no two blanks in a row. */
static bool is_clean(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < ' ' || (unsigned char)v.p[i] >= 0x7f || (v.p[i] == ' ' && i > 0 && v.p[i - 1] == ' '))
            return false;
    return true;
}

enum rc text_clean(struct arena *a, struct view raw, size_t max, struct view *out)
{
    struct buf b;
    bool gap = false;
    raw = view_trim(raw);
    *out = VIEW("");
    if (raw.n == 0)
        return RC_OK;
    if (raw.n <= max && is_clean(raw))
        return view_dup(a, raw, out);
    buf_init(&b, max + 8);
    while (raw.n > 0 && b.n < max) {
        uint32_t c;
        if (utf8_next(&raw, &c) != RC_OK) {
            view_next(&raw);
            c = 0xfffd;
        }
        if (is_blank(c)) {
            gap = b.n > 0;
            continue;
        }
        if (is_invisible(c))
            continue;
        if (b.n + gap + utf8_size(c) > max)
            break;
        if (gap)
            buf_chr(&b, ' ');
        gap = false;
        utf8_put(&b, c);
    }
    enum rc rc = buf_rc(&b) == RC_OK ? RC_OK : RC_TEMP;
    if (rc == RC_OK && b.n > 0)
        rc = view_dup(a, buf_view(&b), out);
    buf_clear(&b);
    return rc;
}

enum rc text_word(struct arena *a, struct view raw, struct view *out)
{
    enum rc rc = text_clean(a, raw, RECEIVED_TEXT_MAX, out);
    for (size_t i = 0; rc == RC_OK && i < out->n; i++) {
        char *p = (char *)(uintptr_t)out->p; /* the copy just made */
        p[i] = (char)to_lower((unsigned char)p[i]);
    }
    return rc;
}

enum rc text_domain(struct arena *a, struct view raw, struct view *out)
{
    enum rc rc = text_word(a, raw, out);
    if (rc != RC_OK)
        return rc;
    size_t at = view_rchr(*out, '@');
    if (at != VIEW_NONE)
        *out = view_from(*out, at + 1);
    while (out->n > 0 && (out->p[out->n - 1] == '.' || out->p[out->n - 1] == '>'))
        out->n--;
    return RC_OK;
}

/* "192.0.2.1:25", "192.0.2.1/32", "2001:db8::1/128", "fe80::1%eth0": one host, and something that is not the address. */
static struct view host_alone(struct view v)
{
    const size_t colon = view_chr(v, ':'), zone = view_chr(v, '%');
    if (view_ends(v, VIEW("/32")) && colon == VIEW_NONE)
        return view_slice(v, 0, v.n - 3);
    if (view_ends(v, VIEW("/128")) && colon != VIEW_NONE)
        return view_slice(v, 0, v.n - 4);
    if (zone != VIEW_NONE)
        return view_slice(v, 0, zone);
    return colon != VIEW_NONE && colon == view_rchr(v, ':') ? view_slice(v, 0, colon) : v;
}

enum rc text_ip(struct arena *a, struct view raw, struct view *out)
{
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    raw = view_trim(raw);
    if (view_starts(raw, VIEW("[")) && view_ends(raw, VIEW("]")))
        raw = view_slice(raw, 1, raw.n - 2);
    view_itake(&raw, VIEW("IPv6:"));
    raw = host_alone(raw);
    if (addr_parse_ip(raw, 0, &addr) != RC_OK)
        return RC_SYNTAX;
    addr_unmap(&addr);
    addr_write_ip(&addr, text);
    return view_dup(a, view_str(text), out);
}

bool text_number(struct view raw, uint64_t max, uint64_t *out)
{
    raw = view_trim(raw);
    if (view_u64(&raw, max, out) != RC_OK)
        return false;
    if (view_take_chr(&raw, '.'))
        while (view_take_chr(&raw, '0')) {
        }
    return raw.n == 0;
}

/* RFC 3339 §5.6, also without zone, with a blank for the T, or the day alone. */
static bool read_rfc3339(struct view v, int64_t *out)
{
    uint32_t year, month, day, hour = 0, minute = 0, second = 0, zone_h = 0, zone_m = 0;
    int64_t zone = 0;
    if (view_u32(&v, 9999, &year) != RC_OK || !view_take_chr(&v, '-') || view_u32(&v, 12, &month) != RC_OK || !view_take_chr(&v, '-') ||
        view_u32(&v, 31, &day) != RC_OK || year < 1970 || month < 1 || day < 1)
        return false;
    if (view_itake(&v, VIEW("T")) || view_take_wsp(&v) > 0) {
        if (view_u32(&v, 24, &hour) != RC_OK || !view_take_chr(&v, ':') || view_u32(&v, 59, &minute) != RC_OK)
            return false;
        if (view_take_chr(&v, ':') && view_u32(&v, 60, &second) != RC_OK)
            return false;
        if (view_take_chr(&v, '.'))
            view_take_while(&v, is_digit);
        view_take_wsp(&v);
        const int sign = view_peek(v);
        if (sign == '+' || sign == '-') {
            view_next(&v);
            if (view_u32(&v, 9999, &zone_h) != RC_OK)
                return false;
            if (view_take_chr(&v, ':')) {
                if (view_u32(&v, 59, &zone_m) != RC_OK)
                    return false;
            } else if (zone_h > 24) { /* "+0530" */
                zone_m = zone_h % 100;
                zone_h /= 100;
            }
            zone = (zone_h * INT64_C(3600) + zone_m * INT64_C(60)) * (sign == '-' ? -1 : 1);
        } else {
            view_itake(&v, VIEW("Z"));
        }
    }
    *out = date_days_from_civil((int)year, (int)month, (int)day) * 86400 + hour * INT64_C(3600) + minute * INT64_C(60) + second - zone;
    return v.n == 0 && *out > 0;
}

/* "20231114": as seconds it were 1970, long before there were reports. */
static bool read_day(uint64_t n, int64_t *out)
{
    const unsigned year = (unsigned)(n / 10000), month = (unsigned)(n / 100 % 100), day = (unsigned)(n % 100);
    if (year < 2000 || year > 2999 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *out = date_days_from_civil((int)year, (int)month, (int)day) * 86400;
    return true;
}

bool text_time(struct view raw, int64_t *out)
{
    uint64_t n;
    struct date date;
    raw = view_trim(raw);
    struct view v = raw;
    if (view_u64(&v, INT64_MAX, &n) == RC_OK) {
        if (view_take_chr(&v, '.'))
            view_take_while(&v, is_digit);
        if (v.n == 0 && n > 0) {
            if (read_day(n, out))
                return true;
            while (n > 100000000000) /* milliseconds and smaller: as seconds it were the year 5138 */
                n /= 1000;
            *out = (int64_t)n;
            return true;
        }
    }
    if (read_rfc3339(raw, out))
        return true;
    if (raw.n == 0 || is_digit((unsigned char)raw.p[0]) || date_parse(raw, &date) != RC_OK || date.utc <= 0 || date.utc > TIME_MAX)
        return false;
    *out = date.utc;
    return true;
}

const char *text_period(int64_t *begin_s, int64_t *end_s)
{
    const int64_t begin = *begin_s, end = *end_s;
    if (begin == 0 && end == 0)
        return NULL;
    if (end == 0) {
        *end_s = begin + DAY_S - 1;
        return "it says only when its period begins; a day is taken";
    }
    if (begin == 0) {
        *begin_s = end > DAY_S ? end - DAY_S + 1 : 0;
        return "it says only when its period ends; a day is taken";
    }
    if (begin <= end)
        return NULL;
    *begin_s = end;
    *end_s = begin;
    return "its period ends before it begins; taken the other way round";
}
