#include "store/ledger.h"

#include "store/store_fixture.h"

#define DAY 20000 /* 2024-10-04 */
#define NOW ((int64_t)DAY * LEDGER_DAY_S + 100000)

static const struct ledger_span span = {VIEW_INIT("ici.test"), DAY - 10, DAY + 10};

static struct ledger_report report_of(const char *org, const char *id, bool counted)
{
    return (struct ledger_report){.kind = LEDGER_DMARC, .domain = VIEW("ici.test"), .org = view_str(org), .email = VIEW("reports@example.net"),
                                  .report_id = view_str(id), .begin_s = (int64_t)DAY * LEDGER_DAY_S, .end_s = (int64_t)DAY * LEDGER_DAY_S + 86399,
                                  .received_s = NOW, .counted = counted, .why = VIEW("dmarc.pass"), .policy = VIEW("{}"), .p = VIEW("none")};
}

static struct ledger_row row_of(const char ip[4], uint64_t messages, const char *key, bool spf, bool dkim)
{
    return (struct ledger_row){.ip = view_of(ip, 4), .messages = messages, .spf_aligned = spf, .dkim_aligned = dkim, .header_from = VIEW("ici.test"),
                               .detail = VIEW("{\"x\":1}"), .source = {view_str(key), view_str(key), VIEW(""), LEDGER_BY_NETWORK}};
}

static enum rc add_report(struct store *s, const struct ledger_report *r, const struct ledger_row *rows, size_t n)
{
    struct ledger_writer *w = NULL;
    uint64_t id;
    enum rc rc = ledger_begin(s, r, &w);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ledger_add(w, &rows[i]), RC_OK);
    return ledger_end(w, &id);
}

static uint64_t messages_of(struct fixture *f)
{
    struct ledger_summary sum;
    assert_int_equal(ledger_summary(f->s, &span, &f->a, &sum), RC_OK);
    return sum.sum.messages;
}

static void sums_of_days(void **state)
{
    struct fixture *f = *state;
    const struct ledger_report a = report_of("Example", "1", true), b = report_of("Other", "1", true);
    const struct ledger_row rows[] = {row_of("\1\2\3\4", 10, "net:one", true, true), row_of("\1\2\3\5", 5, "net:one", false, false),
                                      row_of("\1\2\3\4", 2, "net:one", true, false), row_of("\7\7\7\7", 1, "net:two", false, true)};
    struct ledger_source *sources;
    struct ledger_summary sum;
    size_t n;
    assert_int_equal(add_report(f->s, &a, rows, 4), RC_OK);
    assert_int_equal(add_report(f->s, &b, rows, 2), RC_OK);
    assert_int_equal(ledger_summary(f->s, &span, &f->a, &sum), RC_OK);
    assert_int_equal(sum.reports, 2);
    assert_int_equal(sum.sum.messages, 33);
    assert_int_equal(sum.sum.aligned, 23);
    assert_int_equal(sum.sum.spf, 22);
    assert_int_equal(sum.sum.dkim, 21);
    assert_int_equal(sum.n_days, 1);
    assert_int_equal(sum.days[0].day, DAY);
    assert_int_equal(ledger_sources(f->s, &span, &f->a, &sources, &n), RC_OK);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        bool one = view_eq(sources[i].key, VIEW("net:one"));
        assert_int_equal(sources[i].sum.messages, one ? 32 : 1);
        assert_int_equal(sources[i].addresses, one ? 2 : 1);
    }
}

static void the_same_report_counts_once(void **state)
{
    struct fixture *f = *state;
    const struct ledger_row row = row_of("\1\2\3\4", 10, "net:one", true, true);
    struct ledger_report unproven = report_of("Example", "1", false), proven = report_of("EXAMPLE", "1", true), other = report_of("Example", "2", true);
    struct ledger_report *list;
    size_t n;
    assert_int_equal(add_report(f->s, &unproven, &row, 1), RC_OK);
    assert_int_equal(messages_of(f), 0);
    assert_int_equal(add_report(f->s, &unproven, &row, 1), RC_EXISTS);
    assert_int_equal(add_report(f->s, &proven, &row, 1), RC_OK); /* takes its place */
    assert_int_equal(messages_of(f), 10);
    assert_int_equal(add_report(f->s, &proven, &row, 1), RC_EXISTS);
    assert_int_equal(add_report(f->s, &unproven, &row, 1), RC_EXISTS);
    assert_int_equal(add_report(f->s, &other, &row, 1), RC_OK);
    assert_int_equal(messages_of(f), 20);
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, 0, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(list[0].id > list[1].id);
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, list[0].received_s, list[0].id, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 1);
}

static void nothing_is_seen_before_the_end(void **state)
{
    struct fixture *f = *state;
    const struct ledger_report r = report_of("Example", "1", true);
    struct ledger_writer *w;
    struct ledger_report *list;
    uint64_t id;
    size_t n;
    assert_int_equal(ledger_begin(f->s, &r, &w), RC_OK);
    for (int i = 0; i < 3 * LEDGER_CHUNK; i++) {
        char ip[4] = {10, 0, (char)(i >> 8), (char)i};
        struct ledger_row row = row_of(ip, 1, "net:one", true, true);
        assert_int_equal(ledger_add(w, &row), RC_OK);
    }
    assert_int_equal(messages_of(f), 0);
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, 0, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
    struct ledger_writer *twin; /* after a crash it comes once more */
    struct ledger_row row = row_of("\1\1\1\1", 7, "net:two", false, false);
    assert_int_equal(ledger_begin(f->s, &r, &twin), RC_OK);
    assert_int_equal(ledger_add(twin, &row), RC_OK);
    assert_int_equal(ledger_end(twin, &id), RC_OK);
    assert_int_equal(messages_of(f), 7);
    assert_int_equal(ledger_end(w, &id), RC_EXISTS);
    assert_int_equal(messages_of(f), 7);
    struct ledger_kept *rows;
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, 0, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(ledger_rows(f->s, list[0].id, 0, 100, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_true(view_eq(rows[0].ip, VIEW("1.1.1.1")) && view_eq(rows[0].detail, VIEW("{\"x\":1}")));
}

static void an_address_moves_with_its_sums(void **state)
{
    struct fixture *f = *state;
    const struct ledger_report a = report_of("Example", "1", true), b = report_of("Other", "1", true);
    const struct ledger_row rows[] = {row_of("\1\2\3\4", 10, "net:one", true, true), row_of("\1\2\3\5", 5, "net:one", false, false)};
    const struct ledger_name host = {VIEW("host:example.net"), VIEW("example.net"), VIEW("service"), LEDGER_BY_REVERSE};
    struct ledger_source *sources;
    struct ledger_story story;
    struct view *unnamed;
    size_t n;
    assert_int_equal(add_report(f->s, &a, rows, 2), RC_OK);
    assert_int_equal(add_report(f->s, &b, rows, 2), RC_OK);
    assert_int_equal(ledger_unnamed(f->s, 10, &f->a, &unnamed, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ledger_named(f->s, view_of("\1\2\3\4", 4), VIEW("mx.example.net"), VIEW("FR"), &host, false), RC_OK);
    assert_int_equal(ledger_unnamed(f->s, 10, &f->a, &unnamed, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ledger_sources(f->s, &span, &f->a, &sources, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ledger_source(f->s, &span, VIEW("host:example.net"), 10, &f->a, &story), RC_OK);
    assert_int_equal(story.source.sum.messages, 20);
    assert_int_equal(story.source.addresses, 1);
    assert_int_equal(story.n_addresses, 1);
    assert_int_equal(story.n_reporters, 2);
    assert_true(view_eq(story.addresses[0].host, VIEW("mx.example.net")) && view_eq(story.source.country, VIEW("FR")));
    assert_int_equal(ledger_named(f->s, view_of("\1\2\3\5", 4), VIEW("mx.example.net"), VIEW("BE"), &host, false), RC_OK);
    assert_int_equal(ledger_source(f->s, &span, VIEW("host:example.net"), 10, &f->a, &story), RC_OK);
    assert_int_equal(story.source.sum.messages, 30);
    assert_int_equal(story.source.country.n, 0);
    assert_int_equal(ledger_source(f->s, &span, VIEW("net:one"), 10, &f->a, &story), RC_NOTFOUND); /* nothing is left of it */
    assert_int_equal(add_report(f->s, &(struct ledger_report){.kind = LEDGER_DMARC, .domain = VIEW("ici.test"), .org = VIEW("x"), .report_id = VIEW("3"),
                                                              .begin_s = a.begin_s, .end_s = a.end_s, .received_s = NOW, .counted = true},
                                rows, 2), RC_OK); /* still told by its network: known better */
    assert_int_equal(ledger_sources(f->s, &span, &f->a, &sources, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(sources[0].sum.messages, 45);
    assert_int_equal(ledger_say(f->s, VIEW("ici.test"), VIEW("host:example.net"), VIEW("Our shop"), VIEW("ours")), RC_OK);
    assert_int_equal(ledger_say(f->s, VIEW("ici.test"), VIEW("net:one"), VIEW("Our shop"), VIEW("ours")), RC_NOTFOUND);
    assert_int_equal(ledger_sources(f->s, &span, &f->a, &sources, &n), RC_OK);
    assert_true(view_eq(sources[0].said_name, VIEW("Our shop")) && view_eq(sources[0].said_kind, VIEW("ours")));
}

static void a_source_has_many_reporters(void **state)
{
    struct fixture *f = *state;
    struct ledger_story story;
    for (int i = 1; i <= 100; i++) { /* the first one reports most */
        char org[32];
        snprintf(org, sizeof org, "Reporter %d", i);
        const struct ledger_report r = report_of(org, "1", true);
        const struct ledger_row rows[] = {row_of("\1\2\3\4", 101 - i, "net:one", true, true), row_of("\1\2\3\5", 1, "net:one", false, true)};
        assert_int_equal(add_report(f->s, &r, rows, 2), RC_OK);
    }
    assert_int_equal(ledger_source(f->s, &span, VIEW("net:one"), 1000, &f->a, &story), RC_OK);
    assert_true(story.source.sum.messages == 5150 && story.n_addresses == 2 && story.rest_messages == 0);
    assert_true(story.n_reporters == 100 && story.rest_reporters == 0);
    for (size_t i = 0; i < story.n_reporters; i++)
        assert_int_equal(story.reporters[i].n, 101 - i);
    assert_true(view_eq(story.reporters[0].name, VIEW("Reporter 1")));
    assert_int_equal(ledger_source(f->s, &span, VIEW("net:one"), 1, &f->a, &story), RC_OK);
    assert_true(story.n_addresses == 1 && story.addresses[0].sum.messages == 5050 && story.rest_messages == 100);
    assert_true(story.n_reporters == 1 && story.rest_reporters == 5150 - 101);
}

static void tls_is_summed(void **state)
{
    struct fixture *f = *state;
    struct ledger_report r = report_of("Google Inc.", "t1", true);
    struct ledger_tls_summary sum;
    struct ledger_writer *w;
    uint64_t id;
    r.kind = LEDGER_TLS;
    assert_int_equal(ledger_begin(f->s, &r, &w), RC_OK);
    assert_int_equal(ledger_add_tls(w, &(struct ledger_tls){VIEW("sts"), VIEW("mx.ici.test"), 100, 3}), RC_OK);
    assert_int_equal(ledger_add_tls_failure(w, &(struct ledger_tls_failure){VIEW("certificate-expired"), VIEW("mx.ici.test"), 2}), RC_OK);
    assert_int_equal(ledger_add_tls_failure(w, &(struct ledger_tls_failure){VIEW("certificate-expired"), VIEW("mx.ici.test"), 1}), RC_OK);
    assert_int_equal(ledger_end(w, &id), RC_OK);
    assert_int_equal(ledger_tls_summary(f->s, &span, &f->a, &sum), RC_OK);
    assert_int_equal(sum.sessions, 103);
    assert_int_equal(sum.failures, 3);
    assert_int_equal(sum.n_results, 1);
    assert_int_equal(sum.results[0].failures, 3);
    assert_int_equal(sum.n_mx, 1);
    assert_int_equal(sum.mx[0].successes, 100);
    assert_int_equal(sum.n_organizations, 1);
}

static void time_takes_rows_first(void **state)
{
    struct fixture *f = *state;
    const struct ledger_report r = report_of("Example", "1", true);
    const struct ledger_row row = row_of("\1\2\3\4", 10, "net:one", true, true);
    struct ledger_report *list;
    struct ledger_kept *rows;
    struct ledger_failure failure = {.domain = VIEW("ici.test"), .received_s = NOW, .type = VIEW("auth-failure"), .digest = {1}}, *failures;
    struct ledger_story story;
    size_t n;
    assert_int_equal(add_report(f->s, &r, &row, 1), RC_OK);
    assert_int_equal(ledger_source(f->s, &span, VIEW("net:one"), 10, &f->a, &story), RC_OK);
    assert_true(story.n_addresses == 1 && story.rest_messages == 0 && story.rest_aligned == 0 && story.rest_reporters == 0);
    assert_int_equal(ledger_failure_add(f->s, &failure), RC_OK);
    assert_int_equal(ledger_failure_add(f->s, &failure), RC_EXISTS);
    assert_int_equal(ledger_forget(f->s, NOW + (LEDGER_ROWS_DAYS - 1) * LEDGER_DAY_S), RC_OK);
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, 0, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(ledger_rows(f->s, list[0].id, 0, 10, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ledger_failures(f->s, &(struct ledger_span){VIEW("ici.test"), DAY, DAY + 2}, 0, 10, &f->a, &failures, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ledger_forget(f->s, NOW + (LEDGER_ROWS_DAYS + 1) * LEDGER_DAY_S), RC_OK);
    assert_int_equal(ledger_rows(f->s, list[0].id, 0, 10, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ledger_failures(f->s, &(struct ledger_span){VIEW("ici.test"), DAY, DAY + 2}, 0, 10, &f->a, &failures, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(messages_of(f), 10);
    assert_int_equal(ledger_source(f->s, &span, VIEW("net:one"), 10, &f->a, &story), RC_OK);
    assert_int_equal(story.n_addresses, 0);
    assert_true(story.rest_messages == 10 && story.rest_aligned == 10 && story.rest_reporters == 10);
    assert_int_equal(ledger_forget(f->s, NOW + (LEDGER_DAYS + 1) * LEDGER_DAY_S), RC_OK);
    assert_int_equal(messages_of(f), 0);
    assert_int_equal(ledger_reports(f->s, &span, LEDGER_DMARC, 0, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(sums_of_days), T(the_same_report_counts_once), T(nothing_is_seen_before_the_end),
                                       T(an_address_moves_with_its_sums), T(a_source_has_many_reporters), T(tls_is_summed), T(time_takes_rows_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
