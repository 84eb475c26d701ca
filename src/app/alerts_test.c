/* Alerts of a store as it is told to be: each opens once, closes, comes again. */
#include "app/alerts_watch.h"

#include "base/clock.h"
#include "store/health_result.h"
#include "store/ledger.h"
#include "store/store_fixture.h"

static struct alert_settings settings;
static const struct records_settings no_records = {.hostname = "mx.ici.test"};

static struct alerts_watch watch_of(struct fixture *f, int64_t now_s)
{
    alert_settings_default(&settings);
    return (struct alerts_watch){.store = f->s, .set = &settings, .records = &no_records, .now_s = now_s};
}

/* "kind/domain/subject kind/..." of open ones, the oldest first. */
static void expect_open(struct fixture *f, const char *want)
{
    struct alert *list;
    struct buf b;
    size_t n;
    buf_init(&b, 4096);
    assert_int_equal(alert_list(f->s, VIEW(""), true, 100, &f->a, &list, &n), RC_OK);
    for (size_t i = n; i-- > 0;) {
        buf_printf(&b, "%s%.*s/%.*s/%.*s", b.n > 0 ? " " : "", VIEW_FMT(list[i].kind), VIEW_FMT(list[i].domain), VIEW_FMT(list[i].subject));
        assert_true(list[i].text[LANG_EN].n > 0 && list[i].text[LANG_FR].n > 0 && list[i].repair[LANG_FR].n > 0);
    }
    if (!view_eq(buf_view(&b), view_str(want)))
        fail_msg("got  [%.*s]\nwant [%s]", VIEW_FMT(buf_view(&b)), want);
    buf_clear(&b);
}

static void sentences_agree(void **state)
{
    (void)state;
    for (const struct lang_pair *p = alert_words; p->en; p++)
        assert_true(lang_pair_agrees(p));
}

static void alerts_open_once(void **state)
{
    struct fixture *f = *state;
    const struct alert one = {.kind = VIEW("queue.growing"), .domain = VIEW(""), .subject = VIEW("count"), .text = {VIEW("a"), VIEW("b")},
                              .repair = {VIEW("c"), VIEW("d")}};
    const struct alert_wanted mail = {.by_mail = true, .now_s = 2000}, hook = {.by_hook = true, .now_s = 2000};
    struct alert *list;
    size_t n;
    uint64_t count;
    bool is_new;
    assert_int_equal(alert_see(f->s, &one, 1000, &is_new), RC_OK);
    assert_true(is_new);
    assert_int_equal(alert_see(f->s, &one, 1500, &is_new), RC_OK);
    assert_false(is_new);
    assert_int_equal(alert_untold(f->s, &mail, 10, &f->a, &list, &n), RC_OK);
    assert_true(n == 1 && list[0].first_s == 1000 && list[0].last_s == 1500);
    const uint64_t id = list[0].id;
    assert_int_equal(alert_told(f->s, id, 2000), RC_OK);
    assert_int_equal(alert_untold(f->s, &mail, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(alert_untold(f->s, &hook, 10, &f->a, &list, &n), RC_OK);
    assert_true(n == 1 && list[0].hook_left == ALERT_HOOK_TRIES);
    assert_true(alert_count(f->s, VIEW(""), 2000, &count) == RC_OK && count == 1);
    assert_true(alert_count(f->s, VIEW("ici.test"), 2000, &count) == RC_OK && count == 0);
    assert_int_equal(alert_hooked(f->s, id, 0), RC_OK);
    assert_int_equal(alert_untold(f->s, &hook, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
    /* over; within a day it is the same again, and not told */
    assert_int_equal(alert_close(f->s, one.kind, one.domain, 1600, 3000), RC_OK);
    expect_open(f, "");
    assert_int_equal(alert_see(f->s, &one, 4000, &is_new), RC_OK);
    assert_int_equal(alert_untold(f->s, &mail, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
    /* later it is another one, which is silent */
    assert_int_equal(alert_close(f->s, one.kind, one.domain, 5000, 5000), RC_OK);
    assert_int_equal(alert_see(f->s, &one, 5001 + ALERT_AGAIN_S, &is_new), RC_OK);
    assert_true(is_new);
    const struct alert_wanted later = {.by_mail = true, .by_hook = true, .now_s = 5002 + ALERT_AGAIN_S};
    assert_int_equal(alert_untold(f->s, &later, 10, &f->a, &list, &n), RC_OK);
    assert_true(n == 1 && list[0].id != id);
    assert_int_equal(alert_silence(f->s, list[0].id, later.now_s + 1), RC_OK);
    assert_true(alert_count(f->s, VIEW(""), later.now_s, &count) == RC_OK && count == 0);
    assert_true(alert_count(f->s, VIEW(""), later.now_s + 1, &count) == RC_OK && count == 1);
    assert_int_equal(alert_untold(f->s, &later, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(alert_silence(f->s, 999, 1), RC_NOTFOUND);
}

static void add_report(struct fixture *f, const char *id, int64_t now_s, const char ip[4], const char *key, uint64_t messages, bool aligned)
{
    const struct ledger_report r = {.kind = LEDGER_DMARC, .domain = VIEW("ici.test"), .org = VIEW("Org"), .email = VIEW("a@org.test"),
                                    .report_id = view_str(id), .begin_s = now_s - 86400, .end_s = now_s - 1, .received_s = now_s, .counted = true,
                                    .why = VIEW("dmarc.pass"), .policy = VIEW("{}"), .p = VIEW("none")};
    const struct ledger_row row = {.ip = view_of(ip, 4), .messages = messages, .dkim_aligned = aligned, .header_from = VIEW("ici.test"),
                                   .detail = VIEW("{}"), .source = {view_str(key), view_str(key), VIEW(""), LEDGER_BY_NETWORK}};
    struct ledger_writer *w = NULL;
    uint64_t n;
    assert_int_equal(ledger_begin(f->s, &r, &w), RC_OK);
    assert_int_equal(ledger_add(w, &row), RC_OK);
    assert_int_equal(ledger_end(w, &n), RC_OK);
}

static void new_sources_are_told(void **state)
{
    struct fixture *f = *state;
    const int64_t now_s = clock_real_s();
    struct alerts_watch w = watch_of(f, now_s);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    alerts_watch_sources(&w);
    add_report(f, "1", now_s, "\1\2\3\4", "net:one", 100, true);
    alerts_watch_sources(&w); /* the domain's first: all of it is as it always was */
    expect_open(f, "");
    add_report(f, "2", now_s, "\5\2\3\4", "net:few", 9, true);
    add_report(f, "3", now_s, "\6\2\3\4", "net:two", 10, true);
    alerts_watch_sources(&w);
    alerts_watch_sources(&w);
    expect_open(f, "dmarc.source/ici.test/net:two");
    add_report(f, "4", now_s, "\5\2\3\4", "net:few", 1, true);
    alerts_watch_sources(&w);
    expect_open(f, "dmarc.source/ici.test/net:two dmarc.source/ici.test/net:few");
    settings.on[ALERT_DMARC_SOURCE] = false;
    add_report(f, "5", now_s, "\7\2\3\4", "net:off", 100, true);
    alerts_watch_sources(&w);
    expect_open(f, "dmarc.source/ici.test/net:two dmarc.source/ici.test/net:few");
}

static void put_doctor(struct fixture *f, int64_t made_s, const char *points)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"points\": [%s]}", points);
    const struct health_result r = {.kind = HEALTH_ASK_DOCTOR, .domain = VIEW("ici.test"), .made_s = made_s, .text = {view_str(text), view_str(text)}};
    assert_int_equal(health_result_put(f->s, &r), RC_OK);
}

#define POINT(id, mark, subject, text) "{\"id\": \"" id "\", \"mark\": \"" mark "\", \"subject\": \"" subject "\", \"text\": \"" text "\", \"repair\": \"r\"}"

#define CERTIFICATE(mark, subject, valid, days) "{\"id\": \"tls.certificate\", \"mark\": \"" mark "\", \"subject\": \"" subject "\", \"text\": \"t\", \"repair\": \"r\", " \
    "\"valid\": " valid ", \"days\": " days "}"

static void failures_and_the_doctor(void **state)
{
    struct fixture *f = *state;
    int64_t now_s = clock_real_s();
    struct alerts_watch w = watch_of(f, now_s);
    w.records = &no_records;
    int64_t far = now_s; /* records are looked at: not without a resolver */
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(alert_know(f->s, VIEW("ici.test"), VIEW("records"), VIEW(""), (int)(far & INT32_MAX), far), RC_OK);
    add_report(f, "1", now_s, "\1\2\3\4", "net:one", 90, true);
    add_report(f, "2", now_s, "\1\2\3\5", "net:one", 9, false);
    put_doctor(f, now_s, POINT("mx.host", "good", "mx", "t") "," POINT("spf.end", "bad", "", "t"));
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "");
    add_report(f, "3", now_s, "\1\2\3\5", "net:one", 1, false);
    put_doctor(f, now_s + 1, POINT("mx.host", "good", "mx", "t") "," POINT("mx.host", "bad", "mx", "t") "," POINT("spf.end", "bad", "", "t") ","
               CERTIFICATE("good", "mx", "true", "14") "," CERTIFICATE("warn", "mx2", "true", "13") ","
               CERTIFICATE("warn", "mx3", "false", "60") "," CERTIFICATE("warn", "mx4", "false", "-3") ","
               CERTIFICATE("good", "mx5", "true", "null") "," POINT("list.listed", "bad", "192.0.2.1", "t"));
    w.now_s = now_s + 2;
    alerts_watch_domain(&w, VIEW("ici.test"));
    alerts_watch_domain(&w, VIEW("ici.test")); /* nothing new: all stays open */
    expect_open(f, "dmarc.failures/ici.test/ doctor.bad/ici.test/mx.host mx certificate.expiring/ici.test/mx2 certificate.bad/ici.test/mx3 certificate.bad/ici.test/mx4"
                   " blocklist.listed/ici.test/192.0.2.1");
    put_doctor(f, now_s + 3, POINT("mx.host", "unknown", "mx", "t") "," CERTIFICATE("good", "mx2", "true", "89"));
    settings.threshold[ALERT_DMARC_FAILURES] = 11;
    w.now_s = now_s + 4;
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "doctor.bad/ici.test/mx.host mx");
    put_doctor(f, now_s + 5, POINT("mx.host", "good", "mx", "t"));
    w.now_s = now_s + 6;
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "");
}

static void put_published(struct fixture *f, int64_t made_s, const char *error)
{
    char text[400];
    snprintf(text, sizeof text, "{\"server\": \"192.0.2.53:53\", \"zone\": \"ici.test.\", \"error\": %s}", error);
    const struct health_result r = {.kind = HEALTH_ASK_PUBLISH, .domain = VIEW("ici.test"), .made_s = made_s, .text = {view_str(text), view_str(text)}};
    assert_int_equal(health_result_put(f->s, &r), RC_OK);
}

static void records_that_are_not_published(void **state)
{
    struct fixture *f = *state;
    int64_t now_s = clock_real_s();
    struct alerts_watch w = watch_of(f, now_s);
    w.records = &no_records;
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(alert_know(f->s, VIEW("ici.test"), VIEW("records"), VIEW(""), (int)(now_s & INT32_MAX), now_s), RC_OK);
    put_published(f, now_s, "null");
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "");
    put_published(f, now_s + 1, "\"the DNS server does not answer\"");
    w.now_s = now_s + 2;
    alerts_watch_domain(&w, VIEW("ici.test"));
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "dns.update/ici.test/ici.test.");
    put_published(f, now_s + 3, "null");
    w.now_s = now_s + 4;
    alerts_watch_domain(&w, VIEW("ici.test"));
    expect_open(f, "");
}

static void settings_are_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *json;
        const char *field; /* NULL: it is well */
    } cases[] = {
        {"{}", NULL},
        {"{\"mail\": [\"a@b.test\"], \"webhook\": \"https://h.test:8443/x\", \"kinds\": {\"queue.growing\": {\"on\": false, \"threshold\": 7}}}", NULL},
        {"{\"webhook\": null, \"mail\": []}", NULL},
        {"{\"mail\": \"a@b.test\"}", "mail"},
        {"{\"mail\": [\"a@b.test\\r\\nBcc: x\"]}", "mail"},
        {"{\"mail\": [7]}", "mail"},
        {"{\"webhook\": \"http://h.test/\"}", "webhook"},
        {"{\"webhook\": \"https://h.test/ x\"}", "webhook"},
        {"{\"kinds\": {\"queue.growing\": {\"threshold\": -1}}}", "queue.growing"},
        {"{\"kinds\": {\"queue.growing\": {\"on\": 1}}}", "queue.growing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct alert_settings set;
        const char *field = NULL;
        alert_settings_default(&set);
        json_t *j = json_loads(cases[i].json, 0, NULL);
        assert_non_null(j);
        enum rc rc = alert_settings_read(j, &f->a, &set, &field);
        assert_int_equal(rc, cases[i].field ? RC_SYNTAX : RC_OK);
        if (cases[i].field)
            assert_string_equal(field, cases[i].field);
        if (i == 1)
            assert_true(set.n_mail == 1 && set.threshold[ALERT_QUEUE] == 7 && !set.on[ALERT_QUEUE] && set.on[ALERT_DNS_GONE]);
        json_decref(j);
    }
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_agree),  WITH_STORE(alerts_open_once),  WITH_STORE(new_sources_are_told),
        WITH_STORE(failures_and_the_doctor), WITH_STORE(records_that_are_not_published), WITH_STORE(settings_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
