/* Unit tests of store/seen: what is gathered, sealed, counted and forgotten. */
#include "store/seen.h"

#include "store/store_fixture.h"

#define DAY 1763769600 /* a UTC midnight */

static struct seen_add row(const char *domain, const char *text, uint64_t n)
{
    struct seen_add r = {.domain = view_str(domain), .policy = VIEW("treewalk v=DMARC1"), .row = view_str(text), .n = n,
                         .time_s = DAY + 100, .due_s = DAY + 90000};
    memcpy(r.key, "................", SEEN_KEY_SIZE);
    for (size_t i = 0; text[i]; i++)
        r.key[i % SEEN_KEY_SIZE] = (uint8_t)(r.key[i % SEEN_KEY_SIZE] * 31 + text[i]);
    return r;
}

static void add(struct fixture *f, struct seen_add r, uint64_t max_rows, uint64_t max_reports, uint64_t expect_lost)
{
    uint64_t lost;
    assert_int_equal(seen_add(f->s, SEEN_DMARC, &r, 1, max_rows, max_reports, &lost), RC_OK);
    assert_int_equal(lost, expect_lost);
}

static size_t reports(struct fixture *f, struct seen_report **out)
{
    size_t n;
    assert_int_equal(seen_reports(f->s, 0, 100, &f->a, out, &n), RC_OK);
    return n;
}

static void rows_are_summed_and_sealed(void **state)
{
    struct fixture *f = *state;
    struct seen_report *r;
    struct seen_row *rows;
    uint64_t sealed;
    size_t n;
    add(f, row("a.test", "one", 2), 10, 10, 0);
    add(f, row("a.test", "two", 1), 10, 10, 0);
    add(f, row("a.test", "one", 3), 10, 10, 0);
    assert_int_equal(reports(f, &r), 1);
    assert_int_equal(r[0].messages, 6);
    assert_int_equal(r[0].rows, 2);
    assert_int_equal(r[0].begin_s, DAY);
    assert_int_equal(r[0].end_s, 0);
    assert_int_equal(seen_rows(f->s, r[0].id, NULL, 1, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 1);
    uint64_t sum = rows[0].n;
    assert_int_equal(seen_rows(f->s, r[0].id, rows[0].key, 10, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(sum + rows[0].n, 6);
    /* Before the day is over nothing is due; after it, when its time has come. */
    assert_int_equal(seen_seal(f->s, 0, DAY + 86399, &sealed), RC_OK);
    assert_int_equal(sealed, 0);
    assert_int_equal(seen_seal(f->s, 0, DAY + 86400, &sealed), RC_OK);
    assert_int_equal(sealed, 1);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, DAY + 89999, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, DAY + 90000, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(r[0].end_s, DAY + 86399);
    assert_int_equal(seen_finish(f->s, r[0].id, DAY + 90000, DAY + 93600, VIEW("later")), RC_OK);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, DAY + 93599, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, DAY + 93600, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(r[0].tries, 1);
    assert_int_equal(seen_finish(f->s, r[0].id, DAY + 93600, 0, VIEW("sent")), RC_OK);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, DAY + 999999, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(seen_forget(f->s, DAY), RC_OK);
    assert_int_equal(reports(f, &r), 1);
    assert_int_equal(seen_forget(f->s, DAY + 1), RC_OK);
    assert_int_equal(reports(f, &r), 0);
}

static void periods_of_a_day_do_not_overlap(void **state)
{
    struct fixture *f = *state;
    struct seen_report *r;
    uint64_t sealed;
    add(f, row("a.test", "one", 2), 10, 10, 0);
    assert_int_equal(seen_seal(f->s, DAY, DAY + 500, &sealed), RC_OK);
    assert_int_equal(sealed, 1);
    add(f, row("a.test", "one", 1), 10, 10, 0);
    assert_int_equal(seen_seal(f->s, DAY, DAY + 500, &sealed), RC_OK); /* in the same second */
    add(f, row("a.test", "one", 1), 10, 10, 0);
    assert_int_equal(seen_seal(f->s, 0, DAY + 86400, &sealed), RC_OK);
    assert_int_equal(reports(f, &r), 3);
    for (int i = 0; i < 3; i++)
        assert_true(r[i].begin_s <= r[i].end_s && (i == 0 || r[i].begin_s > r[i - 1].end_s));
    assert_int_equal(r[0].due_s, DAY + 500);
    assert_int_equal(r[2].due_s, DAY + 90000);
}

static void limits_hold(void **state)
{
    struct fixture *f = *state;
    struct seen_report *r;
    char text[32];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "row %d", i);
        add(f, row("a.test", text, 1), 5, 2, 0);
    }
    assert_int_equal(reports(f, &r), 1);
    assert_int_equal(r[0].rows, 5);
    assert_int_equal(r[0].dropped, 15);
    assert_int_equal(r[0].messages, 20);
    add(f, row("b.test", "one", 1), 5, 2, 0);
    add(f, row("c.test", "one", 7), 5, 2, 7);
    add(f, row("b.test", "two", 1), 5, 2, 0);
    assert_int_equal(reports(f, &r), 2);
}

static void mails_are_capped_and_not_repeated(void **state)
{
    struct fixture *f = *state;
    const struct seen_cap caps[] = {{VIEW("all"), 3}, {VIEW("to x@a.test"), 2}};
    const struct seen_cap other[] = {{VIEW("all"), 3}, {VIEW("to y@a.test"), 2}};
    size_t which;
    assert_int_equal(seen_count_mail(f->s, 1, VIEW("x@a.test"), DAY, caps, 2, &which), RC_OK);
    assert_int_equal(seen_count_mail(f->s, 1, VIEW("x@a.test"), DAY, caps, 2, &which), RC_EXISTS);
    assert_int_equal(seen_count_mail(f->s, 2, VIEW("x@a.test"), DAY, caps, 2, &which), RC_OK);
    assert_int_equal(seen_count_mail(f->s, 3, VIEW("x@a.test"), DAY, caps, 2, &which), RC_LIMIT);
    assert_int_equal(which, 1);
    assert_int_equal(seen_uncount_mail(f->s, 2, VIEW("x@a.test"), DAY, caps, 2), RC_OK);
    assert_int_equal(seen_count_mail(f->s, 2, VIEW("x@a.test"), DAY, caps, 2, &which), RC_OK);
    assert_int_equal(seen_count_mail(f->s, 1, VIEW("y@a.test"), DAY, other, 2, &which), RC_OK);
    assert_int_equal(seen_count_mail(f->s, 2, VIEW("y@a.test"), DAY, other, 2, &which), RC_LIMIT);
    assert_int_equal(which, 0);
    assert_int_equal(seen_count_mail(f->s, 3, VIEW("x@a.test"), DAY + 86400, caps, 2, &which), RC_OK);
}

static void pauses_grow(void **state)
{
    struct fixture *f = *state;
    struct view why;
    int64_t until;
    assert_int_equal(seen_paused(f->s, VIEW("x@a.test"), &f->a, &until, &why), RC_OK);
    assert_int_equal(until, 0);
    for (int i = 0; i < 4; i++) {
        static const int64_t waits[] = {100, 200, 400, 500};
        assert_int_equal(seen_bounced(f->s, VIEW("x@a.test"), DAY, 100, 500, VIEW("no such mailbox"), &until), RC_OK);
        assert_int_equal(until, DAY + waits[i]);
    }
    assert_int_equal(seen_paused(f->s, VIEW("x@a.test"), &f->a, &until, &why), RC_OK);
    assert_int_equal(until, DAY + 500);
    assert_true(view_eq(why, VIEW("no such mailbox")));
}

static void secrets_and_questions_stay(void **state)
{
    struct fixture *f = *state;
    uint8_t one[SEEN_SECRET_SIZE], two[SEEN_SECRET_SIZE];
    uint64_t number, asked, answered;
    int64_t day;
    assert_int_equal(seen_secret(f->s, "x", one), RC_OK);
    fixture_reopen(f);
    assert_int_equal(seen_secret(f->s, "x", two), RC_OK);
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(seen_ask(f->s, DAY, &number), RC_OK);
    assert_int_equal(number, 1);
    assert_int_equal(seen_asked(f->s, &asked, &day, &answered), RC_OK);
    assert_int_equal(asked, 1);
    assert_int_equal(answered, 0);
    assert_int_equal(seen_answer(f->s, number), RC_OK);
    assert_int_equal(seen_asked(f->s, &asked, &day, &answered), RC_OK);
    assert_int_equal(answered, 1);
    assert_int_equal(day, DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_summed_and_sealed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(periods_of_a_day_do_not_overlap, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(limits_hold, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(mails_are_capped_and_not_repeated, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(pauses_grow, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(secrets_and_questions_stay, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
