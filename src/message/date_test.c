/* Unit tests of message/date. */
#include "base/test_util.h"

#include "message/date.h"

static const struct {
    const char *text, *want; /* written back; NULL: no date */
} dates[] = {
    {"Tue, 1 Jul 2003 10:52:37 +0200", "Tue, 1 Jul 2003 10:52:37 +0200"},
    {" 1 Jul 2003 (comment about date) 10:52:37 +0200", "Tue, 1 Jul 2003 10:52:37 +0200"},
    {"Tue, 1 Jul 2003 ((tricky)\n comment) 10:52:37 +0200", "Tue, 1 Jul 2003 10:52:37 +0200"},
    {"20 11 (some \n 44 comments(more comments\n )) 79 05:34:27 -0300", "Tue, 20 Nov 1979 05:34:27 -0300"},
    {"Sun, 27 Oct 2002 23:57:07 EST", "Sun, 27 Oct 2002 23:57:07 -0500"},
    {"Thu, 10 Jul 1997 14:53:31 EST5EDT", "Thu, 10 Jul 1997 14:53:31 -0500"},
    {"Thu, 10 Jul 1997 14:53:31 A", "Thu, 10 Jul 1997 14:53:31 +0000"},
    {"Thu, 10 Jul 1997 14:53:31 ZZZZ", "Thu, 10 Jul 1997 14:53:31 +0000"},
    {"17 May 2026 22:15:15 +1345", "Sun, 17 May 2026 22:15:15 +1345"},
    {"Mon Sep 16 01:03:52 1973", "Sun, 16 Sep 1973 01:03:52 +0000"},
    {"Sat Jul 5 14:40:13 CEST 2003", "Sat, 5 Jul 2003 14:40:13 +0200"},
    {"21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"},
    {"1 Jan 49 0:0:0 UT", "Fri, 1 Jan 2049 00:00:00 +0000"},
    {"1 Jan 100 00:00 Z", "Sat, 1 Jan 2000 00:00:00 +0000"},
    {"Tue, 01-Jul-03 10:52:37 GMT", "Tue, 1 Jul 2003 10:52:37 +0000"},
    {"2003-07-01T10:52:37.5+02:00", "Tue, 1 Jul 2003 10:52:37 +0200"},
    {"Wed, 29 Feb 2012 10.52.37 +0100", "Wed, 29 Feb 2012 10:52:37 +0100"},
    {"1 Jul 2003 11:52:37 PM", "Tue, 1 Jul 2003 23:52:37 +0000"},
    {"Tue, 1 Jul 2003", "Tue, 1 Jul 2003 00:00:00 +0000"},
    {"Fri, 31 Dec 1999 23:59:60 +0000", "Fri, 31 Dec 1999 23:59:59 +0000"},
    {"1 Jul 2003 10:52:37 GMT+0100", "Tue, 1 Jul 2003 10:52:37 +0100"},
    {"1 Jul 2003 10:52:37 +9999", "Tue, 1 Jul 2003 10:52:37 +0000"},
    {" some numbers 0 1 2 but invalid ", NULL},
    {"Tue, 1 Jul 2003 ((never)\nclosed 10:52:37 +0200", "Tue, 1 Jul 2003 00:00:00 +0000"},
    {"13 zzz 2021 09:55:06 +0200", NULL},
    {"Tue, 7 All 2026 19:14:51 +0000", NULL},
    {"Tue, 7 00 2026 19:14:51 +0000", NULL},
    {"30 Feb 2021 09:55:06 +0200", NULL},
    {"29 Feb 2100 09:55:06 +0200", NULL},
    {"1 Jan 2021 24:00:00 +0000", NULL},
    {"1 Jan 2021 10:60:00 +0000", NULL},
    {"1 Jan 99999 10:00:00 +0000", NULL},
    {"99999999999999999999999 Jan 2021 10:00:00", NULL},
    {"", NULL},
    {"(", NULL},
    {"\\", NULL},
    {"1 Jan 2021 10:00:00 +", NULL},
};

static void dates_are_read_as_they_are_met(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        struct view v = exact(view_str(dates[i].text));
        struct date d;
        struct buf out;
        buf_init(&out, 100);
        enum rc rc = date_parse(v, &d);
        if (rc != (dates[i].want ? RC_OK : RC_SYNTAX))
            fail_msg("%s: %s", dates[i].text, rc_name(rc));
        if (rc == RC_OK) {
            date_write(d, &out);
            if (!view_eq(buf_view(&out), view_str(dates[i].want)))
                fail_msg("%s gave %.*s", dates[i].text, VIEW_FMT(buf_view(&out)));
        }
        buf_clear(&out);
        release(v);
    }
}

static void internal_dates_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc;
        enum rc rc;
    } table[] = {
        {"22-Nov-2026 00:40:00 +0000", 1795308000, RC_OK},
        {"22-nov-2026 02:40:00 +0200", 1795308000, RC_OK},
        {" 1-Jan-1970 00:00:00 +0000", 0, RC_OK},
        {"01-Jan-1970 00:00:00 -0100", 3600, RC_OK},
        {"1-Jan-1970 00:00:00 +0000", 0, RC_OK},
        {"1-Jan-70 00:00:00 +0000", 0, RC_SYNTAX},
        {"01-Jan-1970 0:00:00 +0000", 0, RC_SYNTAX},
        {"01-Jan-1970 00:00:00 0000", 0, RC_SYNTAX},
        {"01-Jan-1970 00:00:00 +00000", 0, RC_SYNTAX},
        {"31-Feb-1970 00:00:00 +0000", 0, RC_SYNTAX},
        {"01-Jan-1970 00:00:00", 0, RC_SYNTAX},
        {"", 0, RC_SYNTAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i].text));
        struct date d;
        assert_int_equal(date_parse_internal(v, &d), table[i].rc);
        if (table[i].rc == RC_OK)
            assert_int_equal(d.utc, table[i].utc);
        release(v);
    }
    struct buf out;
    buf_init(&out, 100);
    date_write_internal((struct date){1795308000, -90}, &out);
    expect_text(buf_view(&out), "21-Nov-2026 23:10:00 -0130");
    buf_reset(&out);
    date_write_internal((struct date){INT64_MAX, 0}, &out);
    expect_text(buf_view(&out), "31-Dec-9999 23:59:59 +0000");
    buf_reset(&out);
    date_write((struct date){INT64_MIN, 60}, &out);
    expect_text(buf_view(&out), "Mon, 1 Jan 1900 00:00:00 +0100");
    buf_clear(&out);
}

static void a_day_is_that_of_its_own_zone(void **state)
{
    (void)state;
    int64_t day;
    assert_int_equal(date_parse_day(VIEW("1-Feb-1994"), &day), RC_OK);
    assert_int_equal(day, date_days_from_civil(1994, 2, 1));
    assert_int_equal(date_parse_day(VIEW("1-Feb-1994 "), &day), RC_SYNTAX);
    assert_int_equal(date_parse_day(VIEW("32-Jan-1994"), &day), RC_SYNTAX);
    assert_int_equal(date_day((struct date){-1, 0}), -1);
    assert_int_equal(date_day((struct date){-1, 1}), 0);
    assert_int_equal(date_day((struct date){86399, 60}), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read_as_they_are_met),
        cmocka_unit_test(internal_dates_are_strict),
        cmocka_unit_test(a_day_is_that_of_its_own_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
