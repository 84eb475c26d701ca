/* What is kept of others' TLS: policies, hosts, and the day's sessions for TLS-RPT. */
#include "store/store_fixture.h"

#include "store/health_result.h"
#include "store/logo.h"
#include "store/sts.h"
#include "store/tlsrpt.h"

static void policies_are_kept(void **state)
{
    struct fixture *f = *state;
    struct sts_row row = {VIEW("labas.test"), VIEW("1"), VIEW("version: STSv1\n"), 100, 700, 400, 100}, back;
    assert_int_equal(sts_get(f->s, row.domain, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(sts_next(f->s, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(sts_put(f->s, &row), RC_OK);
    row.id = VIEW("2");
    assert_int_equal(sts_put(f->s, &row), RC_OK);
    struct sts_row other = {VIEW("other.test"), VIEW("x"), VIEW(""), 1, 2, 300, 4};
    assert_int_equal(sts_put(f->s, &other), RC_OK);
    fixture_reopen(f);
    assert_int_equal(sts_get(f->s, row.domain, &f->a, &back), RC_OK);
    assert_true(view_eq(back.id, VIEW("2")) && view_eq(back.policy, row.policy) && view_eq(back.domain, row.domain));
    assert_true(back.fetched_s == 100 && back.expires_s == 700 && back.refresh_s == 400 && back.used_s == 100);
    assert_int_equal(sts_next(f->s, &f->a, &back), RC_OK);
    assert_true(view_eq(back.domain, VIEW("other.test")));
    assert_int_equal(sts_set_refresh(f->s, back.domain, 500), RC_OK);
    assert_int_equal(sts_set_used(f->s, back.domain, 77), RC_OK);
    assert_int_equal(sts_get(f->s, back.domain, &f->a, &back), RC_OK);
    assert_int_equal(back.used_s, 77);
    assert_int_equal(sts_next(f->s, &f->a, &back), RC_OK);
    assert_true(view_eq(back.domain, row.domain));
    assert_int_equal(sts_remove(f->s, row.domain), RC_OK);
    assert_int_equal(sts_get(f->s, row.domain, &f->a, &back), RC_NOTFOUND);
}

static void hosts_with_tls_are_known_again(void **state)
{
    struct fixture *f = *state;
    int64_t seen;
    assert_int_equal(tls_host_get(f->s, VIEW("mx.labas.test"), &seen), RC_OK);
    assert_int_equal(seen, 0);
    assert_int_equal(tls_host_seen(f->s, VIEW("mx.labas.test"), 100000), RC_OK);
    assert_int_equal(tls_host_seen(f->s, VIEW("mx.labas.test"), 100001), RC_OK);
    assert_int_equal(tls_host_get(f->s, VIEW("mx.labas.test"), &seen), RC_OK);
    assert_int_equal(seen, 100000); /* once a day is enough */
    assert_int_equal(tls_host_seen(f->s, VIEW("mx.labas.test"), 200000), RC_OK);
    assert_int_equal(tls_host_forget(f->s, 200000), RC_OK);
    assert_int_equal(tls_host_get(f->s, VIEW("mx.labas.test"), &seen), RC_OK);
    assert_int_equal(seen, 200000);
    assert_int_equal(tls_host_forget(f->s, 200001), RC_OK);
    assert_int_equal(tls_host_get(f->s, VIEW("mx.labas.test"), &seen), RC_OK);
    assert_int_equal(seen, 0);
}

static void sessions_add_up(void **state)
{
    struct fixture *f = *state;
    const struct tlsrpt_outcome good = {.day = 20000, .domain = VIEW("labas.test"), .type = TLSRPT_STS, .policy = VIEW("version: STSv1\nmode: enforce"),
                                        .mx = VIEW("*.labas.test"), .sessions = 3};
    struct tlsrpt_outcome bad = good, plain = {.day = 20000, .domain = VIEW("labas.test"), .sessions = 1}, other = plain, *back;
    struct tlsrpt_open *open;
    struct seen_report *reports;
    size_t n;
    bad.result = TLSRPT_CERTIFICATE_EXPIRED;
    bad.host = VIEW("mx.labas.test");
    bad.sent_from = VIEW("192.0.2.1");
    bad.sent_to = VIEW("192.0.2.2");
    bad.reason = VIEW("certificate has expired");
    bad.sessions = 2;
    other.domain = VIEW("ailleurs.test");
    const struct tlsrpt_outcome all[] = {good, bad, plain, other};
    assert_int_equal(tlsrpt_add(f->s, all, 4), RC_OK);
    assert_int_equal(tlsrpt_add(f->s, all, 2), RC_OK);
    assert_int_equal(tlsrpt_add(f->s, NULL, 0), RC_OK);
    assert_int_equal(tlsrpt_open(f->s, 0, 19999, 10, &f->a, &open, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(tlsrpt_open(f->s, 0, 20000, 10, &f->a, &open, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(view_eq(open[0].domain, VIEW("ailleurs.test")));
    assert_int_equal(open[1].successes, 7);
    assert_int_equal(open[1].failures, 4);
    assert_int_equal(tlsrpt_read(f->s, 20000, VIEW("labas.test"), 0, &f->a, &back, &n), RC_OK);
    assert_int_equal(n, 3);
    assert_true(back[0].type == TLSRPT_NO_POLICY && back[0].result == TLSRPT_SUCCESS && back[0].sessions == 1);
    assert_true(back[1].type == TLSRPT_STS && back[1].result == TLSRPT_SUCCESS && back[1].sessions == 6);
    assert_true(view_eq(back[1].policy, good.policy) && view_eq(back[1].mx, good.mx));
    assert_true(back[2].result == TLSRPT_CERTIFICATE_EXPIRED && back[2].sessions == 4);
    assert_true(view_eq(back[2].host, bad.host) && view_eq(back[2].sent_to, bad.sent_to) && view_eq(back[2].reason, bad.reason));

    /* A report takes what there is; what comes later goes into a further one, and periods do not overlap. */
    const int64_t day_s = 20000 * (int64_t)SEEN_DAY_S;
    assert_int_equal(tlsrpt_seal(f->s, &open[1], day_s + 3600, day_s + 9999), RC_OK);
    assert_int_equal(tlsrpt_add(f->s, &bad, 1), RC_OK);
    assert_int_equal(tlsrpt_open(f->s, 20000, 20000, 10, &f->a, &open, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(open[1].failures, 2);
    assert_int_equal(tlsrpt_seal(f->s, &open[1], day_s + SEEN_DAY_S - 1, day_s + 9999), RC_OK);
    assert_int_equal(seen_due(f->s, SEEN_DMARC, day_s + 9999, 10, &f->a, &reports, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(seen_due(f->s, SEEN_TLS, day_s + 9999, 10, &f->a, &reports, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(reports[0].begin_s == day_s && reports[0].end_s == day_s + 3600 && reports[0].messages == 11 && reports[0].bad == 4);
    assert_true(reports[1].begin_s == day_s + 3601 && reports[1].end_s == day_s + SEEN_DAY_S - 1 && reports[1].bad == 2);
    struct seen_report second = reports[1];
    assert_int_equal(tlsrpt_read(f->s, 20000, VIEW("labas.test"), reports[0].id, &f->a, &back, &n), RC_OK);
    assert_int_equal(n, 3);
    assert_int_equal(tlsrpt_read(f->s, 20000, VIEW("labas.test"), second.id, &f->a, &back, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(back[0].sessions == 0 && back[1].sessions == 2);
    assert_int_equal(tlsrpt_add(f->s, &bad, 1), RC_OK); /* a clock that goes back after the day's last report */
    assert_int_equal(tlsrpt_open(f->s, 20000, 20000, 10, &f->a, &open, &n), RC_OK);
    assert_int_equal(tlsrpt_seal(f->s, &open[1], day_s + SEEN_DAY_S - 1, 0), RC_OK);
    assert_int_equal(tlsrpt_drop(f->s, &second), RC_OK);
    assert_int_equal(seen_due(f->s, SEEN_TLS, day_s + 9999, 10, &f->a, &reports, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(tlsrpt_read(f->s, 20000, VIEW("labas.test"), second.id, &f->a, &back, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(tlsrpt_forget(f->s, 20001), RC_OK);
    assert_int_equal(tlsrpt_open(f->s, 0, 30000, 10, &f->a, &open, &n), RC_OK);
    assert_int_equal(n, 0);
}

static void made_up_failures_end_somewhere(void **state)
{
    struct fixture *f = *state;
    struct tlsrpt_outcome *o = calloc(TLSRPT_FAILURES_MAX + 100, sizeof *o), *back;
    size_t n;
    for (size_t i = 0; i < TLSRPT_FAILURES_MAX + 100; i++)
        o[i] = (struct tlsrpt_outcome){.day = 1, .domain = VIEW("x.test"), .result = TLSRPT_VALIDATION_FAILURE, .sessions = 1,
                                       .reason = view_str(arena_printf(&f->a, "%zu", i))};
    assert_int_equal(tlsrpt_add(f->s, o, TLSRPT_FAILURES_MAX + 100), RC_OK);
    assert_int_equal(tlsrpt_read(f->s, 1, VIEW("x.test"), 0, &f->a, &back, &n), RC_OK);
    assert_int_equal(n, 1 + TLSRPT_FAILURES_MAX + 1);
    assert_int_equal(back[1].sessions, 100);
    free(o);
}

static void questions_are_bounded_and_answered(void **state)
{
    struct fixture *f = *state;
    struct health_result ask = {.kind = HEALTH_ASK_DOCTOR, .domain = VIEW("a.test"), .asker = 7}, back;
    assert_int_equal(health_result_next(f->s, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(health_result_get(f->s, HEALTH_ASK_DOCTOR, ask.domain, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(health_result_ask(f->s, &ask), RC_OK);
    assert_int_equal(health_result_ask(f->s, &ask), RC_OK); /* the same again is the same question */
    ask.kind = HEALTH_ASK_RECORDS;
    ask.question = VIEW("{}");
    assert_int_equal(health_result_ask(f->s, &ask), RC_OK);
    ask.domain = VIEW("b.test");
    assert_int_equal(health_result_ask(f->s, &ask), RC_LIMIT); /* of one account */
    for (unsigned i = 0; i < HEALTH_ASKS_MAX; i++) {
        ask.asker = 100 + i;
        ask.domain = view_str(arena_printf(&f->a, "d%u.test", i));
        assert_int_equal(health_result_ask(f->s, &ask), i < HEALTH_ASKS_MAX - 2 ? RC_OK : RC_LIMIT); /* in all */
    }
    assert_int_equal(health_result_next(f->s, &f->a, &back), RC_OK);
    assert_true(back.kind == HEALTH_ASK_DOCTOR && view_eq(back.domain, VIEW("a.test")) && back.asker == 7 && back.waiting);
    back.made_s = 1000;
    back.n[3] = 2;
    back.text[LANG_EN] = VIEW("{\"en\":1}");
    back.text[LANG_FR] = VIEW("{\"fr\":1}");
    assert_int_equal(health_result_put(f->s, &back), RC_OK);
    assert_int_equal(health_result_get(f->s, HEALTH_ASK_DOCTOR, VIEW("a.test"), &f->a, &back), RC_OK);
    assert_true(!back.waiting && back.made_s == 1000 && back.n[3] == 2 && view_eq(back.text[LANG_FR], VIEW("{\"fr\":1}")) && back.asker == 7);
    assert_int_equal(health_result_forget(f->s, 1001), RC_OK);
    assert_int_equal(health_result_get(f->s, HEALTH_ASK_DOCTOR, VIEW("a.test"), &f->a, &back), RC_NOTFOUND);
}

static void logos_are_kept(void **state)
{
    struct fixture *f = *state;
    struct logo_fetched l = {.location = VIEW("https://a.test/x.svg"), .authority = VIEW(""), .domain = VIEW("a.test"), .good = true,
                             .svg = VIEW("<svg/>"), .fetched_s = 1000}, back;
    struct view svg;
    assert_int_equal(logo_get(f->s, VIEW("ici.test"), &f->a, &svg), RC_NOTFOUND);
    assert_int_equal(logo_put(f->s, VIEW("ici.test"), VIEW("<svg>1")), RC_OK);
    assert_int_equal(logo_put(f->s, VIEW("ici.test"), VIEW("<svg>2")), RC_OK);
    assert_int_equal(logo_get(f->s, VIEW("ici.test"), &f->a, &svg), RC_OK);
    assert_true(view_eq(svg, VIEW("<svg>2")));
    assert_int_equal(logo_remove(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(logo_get(f->s, VIEW("ici.test"), &f->a, &svg), RC_NOTFOUND);
    assert_int_equal(logo_fetched_get(f->s, l.location, l.authority, l.domain, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(logo_fetched_put(f->s, &l), RC_OK);
    assert_int_equal(logo_fetched_get(f->s, l.location, l.authority, l.domain, &f->a, &back), RC_OK);
    assert_true(back.good && back.fetched_s == 1000 && view_eq(back.svg, l.svg));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {T(policies_are_kept), T(hosts_with_tls_are_known_again), T(sessions_add_up),
                                       T(made_up_failures_end_somewhere), T(questions_are_bounded_and_answered), T(logos_are_kept)};
    return cmocka_run_group_tests_name("store_sts", tests, NULL, NULL);
}
