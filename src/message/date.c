#include "message/date.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* RFC 5322 §4.3, and some that are met often. Military letters but Z mean "unknown", as does any other. */
static const struct {
    struct view name;
    int minutes;
} zones[] = {
    {VIEW_INIT("EST"), -300}, {VIEW_INIT("EDT"), -240}, {VIEW_INIT("CST"), -360}, {VIEW_INIT("CDT"), -300},
    {VIEW_INIT("MST"), -420}, {VIEW_INIT("MDT"), -360}, {VIEW_INIT("PST"), -480}, {VIEW_INIT("PDT"), -420},
    {VIEW_INIT("CET"), 60},   {VIEW_INIT("CEST"), 120}, {VIEW_INIT("MET"), 60},   {VIEW_INIT("MEST"), 120},
    {VIEW_INIT("BST"), 60},   {VIEW_INIT("EET"), 120},  {VIEW_INIT("EEST"), 180}, {VIEW_INIT("MSK"), 180},
    {VIEW_INIT("IST"), 330},  {VIEW_INIT("JST"), 540},  {VIEW_INIT("KST"), 540},
};

struct civil {
    int year, month, day; /* month 1 to 12; -1 where not known yet */
    int hour, minute, second;
    int zone_minutes;
};

/* The two below: days are counted in eras of 400 years that begin on 1 March. */
int64_t date_days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, struct civil *c)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c->year = (int)(yoe + era * 400 + (c->month <= 2));
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static enum rc civil_to_date(const struct civil *c, struct date *out)
{
    if (c->year < DATE_YEAR_MIN || c->year > DATE_YEAR_MAX || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > days_in_month(c->year, c->month))
        return RC_SYNTAX;
    if (c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 60)
        return RC_SYNTAX;
    out->zone_minutes = c->zone_minutes;
    out->utc = date_days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 +
               (c->second == 60 ? 59 : c->second) - (int64_t)c->zone_minutes * 60;
    return RC_OK;
}

/* 1 to 12 by the first three letters, or -1. */
static int month_of(struct view word)
{
    for (int i = 0; i < 12; i++)
        if (view_istarts(word, view_of(months[i], 3)))
            return i + 1;
    return -1;
}

static bool is_weekday(struct view word)
{
    for (int i = 0; i < 7; i++)
        if (view_istarts(word, view_of(weekdays[i], 3)))
            return true;
    return false;
}

/* "+hhmm", "+hh:mm" or "+h" after its sign. */
static enum rc parse_zone_digits(struct view *in, int sign, int *out)
{
    struct view digits = view_take_while(in, is_digit);
    uint64_t n, more = 0;
    if (digits.n == 0 || digits.n > 4 || !view_is_u64(digits, 9999, &n))
        return RC_SYNTAX;
    if (digits.n <= 2) {
        if (view_take_chr(in, ':') && view_u64(in, 59, &more) != RC_OK)
            return RC_SYNTAX;
        n = n * 100 + more;
    }
    int minutes = (int)(n / 100 * 60 + n % 100);
    /* A zone that no clock has is one that nobody knows. */
    *out = n % 100 > 59 || minutes > 24 * 60 ? 0 : sign * minutes;
    return RC_OK;
}

static void skip_blanks_and_comments(struct view *in)
{
    unsigned depth = 0;
    while (in->n > 0) {
        char c = in->p[0];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0)
            view_skip(in, 1);
        else if (depth == 0 && !is_wsp((unsigned char)c) && c != '\r' && c != '\n' && c != ',')
            return;
        view_skip(in, 1);
    }
}

static void set_year(struct civil *c, struct view digits, int value)
{
    if (digits.n <= 2) /* RFC 5322 §4.3 */
        value += value < 50 ? 2000 : 1900;
    else if (digits.n == 3)
        value += 1900;
    c->year = value;
}

/* hh:mm[:ss[.fraction]] whose hour was read already; dots serve some writers as colons. */
static enum rc parse_time(struct view *in, char colon, int hour, struct civil *c)
{
    uint32_t n;
    c->hour = hour;
    view_skip(in, 1);
    if (view_u32(in, 59, &n) != RC_OK)
        return RC_SYNTAX;
    c->minute = (int)n;
    c->second = 0;
    if (view_take_chr(in, colon)) {
        if (view_u32(in, 60, &n) != RC_OK)
            return RC_SYNTAX;
        c->second = (int)n;
        if (view_take_chr(in, '.'))
            view_take_while(in, is_digit);
    }
    return RC_OK;
}

static bool is_time_next(struct view in, bool has_month)
{
    if (in.n < 2 || !is_digit((unsigned char)in.p[1]))
        return false;
    return in.p[0] == ':' || (in.p[0] == '.' && has_month);
}

/* A number: part of the time, or the next of day, month (where it is a number) and year; ISO order too. */
static enum rc parse_number(struct view *in, struct civil *c)
{
    struct view digits = view_take_while(in, is_digit);
    uint64_t n;
    if (digits.n > 4 || !view_is_u64(digits, 9999, &n))
        return RC_SYNTAX;
    int value = (int)n;
    if (c->hour < 0 && digits.n <= 2 && is_time_next(*in, c->month > 0))
        return parse_time(in, in->p[0], value, c);
    if (c->year < 0 && c->day < 0 && digits.n == 4)
        c->year = value;
    else if (c->day < 0 && c->year > 0 && c->month < 0)
        c->month = value;
    else if (c->day < 0)
        c->day = value;
    else if (c->month < 0)
        c->month = value;
    else if (c->year < 0)
        set_year(c, digits, value);
    else
        return RC_SYNTAX;
    return RC_OK;
}

static void parse_word(struct view word, struct civil *c)
{
    if (c->month < 0 && month_of(word) > 0) {
        c->month = month_of(word);
    } else if (c->hour >= 0 && c->hour <= 12 && view_ieq(word, VIEW("PM"))) {
        c->hour = c->hour % 12 + 12;
    } else if (c->hour == 12 && view_ieq(word, VIEW("AM"))) {
        c->hour = 0;
    } else if (c->hour >= 0) {
        for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
            if (view_ieq(word, zones[i].name))
                c->zone_minutes = zones[i].minutes;
    }
}

enum rc date_parse(struct view text, struct date *out)
{
    struct civil c = {.year = -1, .month = -1, .day = -1, .hour = -1};
    if (text.n > DATE_TEXT_MAX)
        return RC_SYNTAX;
    skip_blanks_and_comments(&text);
    for (int i = 0; i < DATE_TOKENS_MAX && text.n > 0; i++) {
        unsigned char byte = (unsigned char)text.p[0];
        if (is_digit(byte)) {
            if (c.year > 0 && c.month > 0 && c.day > 0 && c.hour >= 0)
                break; /* whatever follows a whole date */
            if (parse_number(&text, &c) != RC_OK)
                return RC_SYNTAX;
        } else if (is_alpha(byte)) {
            struct view word = view_take_while(&text, is_alpha);
            if (!is_weekday(word) || c.day > 0)
                parse_word(word, &c);
        } else if ((byte == '+' || byte == '-') && c.hour >= 0) {
            view_skip(&text, 1);
            if (parse_zone_digits(&text, byte == '-' ? -1 : 1, &c.zone_minutes) != RC_OK)
                return RC_SYNTAX;
        } else {
            view_skip(&text, 1);
        }
        skip_blanks_and_comments(&text);
    }
    if (c.hour < 0) /* a day alone is still a date */
        c.hour = 0;
    return civil_to_date(&c, out);
}

static void break_down(struct date d, struct civil *c)
{
    const int64_t first = date_days_from_civil(DATE_YEAR_MIN, 1, 1) * 86400;
    const int64_t last = date_days_from_civil(DATE_YEAR_MAX, 12, 31) * 86400 + 86399;
    int64_t local = d.utc + (int64_t)d.zone_minutes * 60;
    if (d.utc < first || local < first)
        local = first;
    if (d.utc > last || local > last)
        local = last;
    int64_t days = local / 86400, rest = local % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil_from_days(days, c);
    c->hour = (int)(rest / 3600);
    c->minute = (int)(rest / 60 % 60);
    c->second = (int)(rest % 60);
    c->zone_minutes = d.zone_minutes;
}

static void write_zone(int minutes, struct buf *out)
{
    int size = minutes < 0 ? -minutes : minutes;
    buf_printf(out, " %c%02d%02d", minutes < 0 ? '-' : '+', size / 60 % 100, size % 60);
}

void date_write(struct date d, struct buf *out)
{
    struct civil c;
    break_down(d, &c);
    int64_t days = date_days_from_civil(c.year, c.month, c.day);
    buf_printf(out, "%s, %d %s %04d %02d:%02d:%02d", weekdays[((days + 4) % 7 + 7) % 7], c.day,
               months[c.month - 1], c.year, c.hour, c.minute, c.second);
    write_zone(d.zone_minutes, out);
}

static bool take_two_digits(struct view *in, int *out)
{
    if (in->n < 2 || !is_digit((unsigned char)in->p[0]) || !is_digit((unsigned char)in->p[1]))
        return false;
    *out = (in->p[0] - '0') * 10 + in->p[1] - '0';
    view_skip(in, 2);
    return true;
}

/* dd-Mon-yyyy, one digit allowed for the day. */
static enum rc parse_day(struct view *in, struct civil *c)
{
    uint32_t day, year;
    struct view digits = view_take_while(in, is_digit);
    if (digits.n == 0 || digits.n > 2 || view_u32(&digits, 31, &day) != RC_OK || !view_take_chr(in, '-'))
        return RC_SYNTAX;
    c->day = (int)day;
    c->month = month_of(view_slice(*in, 0, 3));
    view_skip(in, 3);
    if (c->month < 0 || !view_take_chr(in, '-'))
        return RC_SYNTAX;
    digits = view_take_while(in, is_digit);
    if (digits.n != 4 || view_u32(&digits, DATE_YEAR_MAX, &year) != RC_OK)
        return RC_SYNTAX;
    c->year = (int)year;
    return RC_OK;
}

enum rc date_parse_internal(struct view text, struct date *out)
{
    struct civil c = {0};
    int zone_hours, zone_rest;
    view_take_chr(&text, ' ');
    if (parse_day(&text, &c) != RC_OK || !view_take_chr(&text, ' ') || !take_two_digits(&text, &c.hour) ||
        !view_take_chr(&text, ':') || !take_two_digits(&text, &c.minute) || !view_take_chr(&text, ':') ||
        !take_two_digits(&text, &c.second) || !view_take_chr(&text, ' '))
        return RC_SYNTAX;
    int sign = view_next(&text);
    if ((sign != '+' && sign != '-') || !take_two_digits(&text, &zone_hours) ||
        !take_two_digits(&text, &zone_rest) || text.n > 0 || zone_hours > 24 || zone_rest > 59)
        return RC_SYNTAX;
    c.zone_minutes = (zone_hours * 60 + zone_rest) * (sign == '-' ? -1 : 1);
    return civil_to_date(&c, out);
}

void date_write_internal(struct date d, struct buf *out)
{
    struct civil c;
    break_down(d, &c);
    buf_printf(out, "%02d-%s-%04d %02d:%02d:%02d", c.day, months[c.month - 1], c.year, c.hour, c.minute,
               c.second);
    write_zone(d.zone_minutes, out);
}

enum rc date_parse_day(struct view text, int64_t *out)
{
    struct civil c = {0};
    struct date d;
    if (parse_day(&text, &c) != RC_OK || text.n > 0 || civil_to_date(&c, &d) != RC_OK)
        return RC_SYNTAX;
    *out = date_day(d);
    return RC_OK;
}

int64_t date_day(struct date d)
{
    int64_t local = d.utc + (int64_t)d.zone_minutes * 60;
    return (local >= 0 ? local : local - 86399) / 86400;
}
