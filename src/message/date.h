/* message/date: RFC 5322 §3.3 and §4.3 dates as they are met, and the dates of IMAP (RFC 3501 §9 date-time,
 * date). Reading takes comments, obsolete zones, two-digit years, missing weekdays, seconds and zones,
 * asctime and ISO order; weekdays are ignored. Pure: no I/O, no globals, no locale, any thread. */
#ifndef MESSAGE_DATE_H
#define MESSAGE_DATE_H

#include "base/buf.h"

#define DATE_TEXT_MAX   1000 /* longer fields are not dates */
#define DATE_TOKENS_MAX 16
#define DATE_YEAR_MIN   1900
#define DATE_YEAR_MAX   9999

struct date {
    int64_t utc;      /* seconds since 1970 */
    int zone_minutes; /* east of UTC; 0 where the text names no zone or one that nobody knows */
};

/* RC_SYNTAX: no date can be read from it. */
enum rc date_parse(struct view text, struct date *out);
/* Appends "Sun, 22 Nov 2026 00:40:00 +0000", in that zone. Years outside the limits are cut to them. */
void date_write(struct date d, struct buf *out);

/* The inside of "22-Nov-2026 00:40:00 +0000" (day with blank or zero before one digit, or without). Strict:
 * RC_SYNTAX. */
enum rc date_parse_internal(struct view text, struct date *out);
/* Appends it, always 26 bytes, without quotes. */
void date_write_internal(struct date d, struct buf *out);
/* "1-Feb-1994", as SEARCH wants it: days since 1970. RC_SYNTAX. */
enum rc date_parse_day(struct view text, int64_t *out);

/* The day on the calendar of its own zone, in days since 1970: what SENTON and ON compare. */
int64_t date_day(struct date d);
/* Days since 1970 of a day of the Gregorian calendar; month 1 to 12. */
int64_t date_days_from_civil(int year, int month, int day);

#endif
