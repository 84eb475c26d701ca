#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "desk/advice.h"
#include "desk/senders.h"
#include "desk/verdict.h"

static void the_table_that_is_built_in_is_whole(void **state)
{
    struct senders *s = NULL;
    const struct sender *one;
    size_t line, n;
    (void)state;
    assert_int_equal(senders_new(senders_shipped(), NULL, 0, &s, &line), RC_OK);
    senders_all(s, &n);
    assert_true(n >= 80);
    assert_non_null(one = senders_find(s, SENDER_BY_HOST, VIEW("a8-12.smtp-out.amazonses.com")));
    assert_true(view_eq(one->name, VIEW("Amazon SES")) && view_eq(one->key, VIEW("amazon-ses")));
    assert_non_null(one = senders_find(s, SENDER_BY_HOST, VIEW("mx.groups.google.com"))); /* the longer one */
    assert_true(view_eq(one->kind, VIEW("list")));
    assert_null(senders_find(s, SENDER_BY_HOST, VIEW("notamazonses.com")));
    assert_null(senders_find(s, SENDER_BY_HOST, VIEW("com")));
    assert_null(senders_find(s, SENDER_BY_HOST, VIEW("")));
    senders_free(s);
}

static void people_change_the_table(void **state)
{
    static const struct ledger_sender changes[] = {
        {VIEW_INIT("Amazon SES"), VIEW_INIT("forwarder"), VIEW_INIT("ses.example"), VIEW_INIT(""), VIEW_INIT("")},
        {VIEW_INIT("Ours"), VIEW_INIT("service"), VIEW_INIT("a.example b.example"), VIEW_INIT(""), VIEW_INIT("")},
        {VIEW_INIT("Bad"), VIEW_INIT("enemy"), VIEW_INIT("c.example"), VIEW_INIT(""), VIEW_INIT("")},
    };
    struct senders *s = NULL;
    size_t line;
    (void)state;
    assert_int_equal(senders_new(VIEW("Amazon SES\tservice\tamazonses.com\t-\t-\nGoogle\tservice\tgoogle.com\t-\t-\n"), changes, 3, &s, &line), RC_OK);
    assert_null(senders_find(s, SENDER_BY_HOST, VIEW("x.amazonses.com")));
    assert_non_null(senders_find(s, SENDER_BY_HOST, VIEW("x.ses.example")));
    assert_non_null(senders_find(s, SENDER_BY_HOST, VIEW("x.google.com")));
    assert_non_null(senders_find(s, SENDER_BY_HOST, VIEW("b.example")));
    assert_null(senders_find(s, SENDER_BY_HOST, VIEW("c.example")));
    senders_free(s);
}

static void bad_tables_are_refused(void **state)
{
    static const char *const tables[] = {"Google\n", "Google\tservice\t.google.com\t-\t-\n", "Google\tservice\tgoogle\t-\t-\n", "\tservice\ta.b\t-\t-\n",
                                         "A\tservice\ta.b\t-\t-\nA\tlist\ta.c\t-\t-\n", "A\tservice\ta.b  c.d\t-\t-\n", "A\tours\ta.b\t-\t-\n"};
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct senders *s = NULL;
        size_t line;
        assert_int_equal(senders_new(view_str(tables[i]), NULL, 0, &s, &line), RC_SYNTAX);
        assert_true(line > 0);
    }
}

static void only_our_own_word_counts(void **state)
{
    static const struct {
        const char *header, *from;
        bool counted;
        const char *why, *by;
    } cases[] = {
        {"Authentication-Results: mx.ici.test;\r\n\tdmarc=pass (p=reject) header.from=a.test; spf=pass smtp.mailfrom=x@a.test\r\n", "a.test", true, "dmarc.pass", "a.test"},
        {"Authentication-Results: mx.evil.test; dmarc=pass header.from=a.test\r\n", "a.test", false, "no-verdict", ""},
        {"From: x@a.test\r\n", "a.test", false, "no-verdict", ""},
        {"Authentication-Results: mx.ici.test; dmarc=fail header.from=a.test; spf=pass smtp.mailfrom=x@b.test\r\n", "a.test", false, "unauthenticated", ""},
        {"Authentication-Results: mx.ici.test; dmarc=none header.from=a.test; spf=pass smtp.mailfrom=x@a.test\r\n", "a.test", true, "aligned.pass", "a.test"},
        {"Authentication-Results: mx.ici.test; dmarc=none header.from=a.test; dkim=pass header.d=a.test; spf=fail smtp.mailfrom=x@b.test\r\n", "a.test", true, "aligned.pass", "a.test"},
        {"Authentication-Results: mx.ici.test; dmarc=none header.from=a.test; dkim=fail header.d=a.test; spf=pass smtp.mailfrom=x@b.test\r\n", "a.test", false, "unauthenticated", ""},
        {"Authentication-Results: mx.ici.test; dmarc=temperror header.from=a.test; spf=pass smtp.mailfrom=x@a.test\r\n", "a.test", false, "unauthenticated", ""},
        {"Authentication-Results: mx.ici.test; none\r\nAuthentication-Results: mx.ici.test; dmarc=pass header.from=a.test\r\n", "a.test", false, "unauthenticated", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct verdict v;
        struct arena a;
        arena_init(&a, 65536);
        assert_int_equal(verdict_read(view_str(cases[i].header), VIEW("mx.ici.test"), view_str(cases[i].from), NULL, &a, &v), RC_OK);
        assert_int_equal(v.counted, cases[i].counted);
        assert_string_equal(v.why, cases[i].why);
        assert_true(view_eq(v.by, view_str(cases[i].by)));
        arena_clear(&a);
    }
}

static void kinds_go_by_their_rules(void **state)
{
    static const struct {
        struct ledger_source s;
        const char *kind, *advice;
    } cases[] = {
        {{.key = VIEW_INIT("ours"), .kind = VIEW_INIT("ours"), .sum = {100, 100, 100, 100}}, "ours", "ours.good"},
        {{.key = VIEW_INIT("ours"), .kind = VIEW_INIT("ours"), .sum = {100, 100, 100, 50}}, "ours", "ours.unsigned"},
        {{.key = VIEW_INIT("google"), .kind = VIEW_INIT("service"), .sum = {100, 100, 100, 0}}, "service", "service.unsigned"},
        {{.key = VIEW_INIT("google"), .kind = VIEW_INIT("service"), .sum = {100, 0, 0, 0, 100, 100}}, "service", "service.unaligned"},
        {{.key = VIEW_INIT("google"), .kind = VIEW_INIT("service"), .sum = {100, 60, 0, 60}}, "service", "service.partly"},
        {{.key = VIEW_INIT("google"), .kind = VIEW_INIT("service"), .said_kind = VIEW_INIT("threat"), .sum = {100, 0}}, "threat", "threat.open"},
        {{.key = VIEW_INIT("net:192.0.2.0/24"), .sum = {100, 0, 0, 0, 100, 0}}, "threat", "threat.open"},
        {{.key = VIEW_INIT("net:192.0.2.0/24"), .sum = {.messages = 100, .reject = 100}}, "threat", "threat.stopped"},
        {{.key = VIEW_INIT("host:a.test"), .sum = {100, 0, 0, 0, 100, 0}}, "unknown", "unknown.failing"},
        {{.key = VIEW_INIT("host:a.test"), .sum = {100, 100, 100, 0}}, "ours", "ours.unsigned"},
        {{.key = VIEW_INIT("host:a.test"), .sum = {100, 95, 0, 95}}, "forwarder", "forwarder.good"},
        {{.key = VIEW_INIT("host:a.test"), .sum = {.messages = 100, .listed = 60}}, "list", "list.broken"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *kind = advice_kind(&cases[i].s);
        assert_string_equal(kind, cases[i].kind);
        assert_string_equal(advice_code(&cases[i].s, kind), cases[i].advice);
    }
}

static void a_stricter_policy_waits_for_what_is_wanted(void **state)
{
    const struct ledger_source sources[] = {{.key = VIEW("ours"), .kind = VIEW("ours"), .sum = {990, 980, 980, 980}},
                                            {.key = VIEW("net:192.0.2.0/24"), .sum = {.messages = 5000}}};
    struct ledger_summary sum = {.sum = {.messages = 5990}, .n_days = 7};
    struct advice_path path;
    (void)state;
    advice_path(VIEW("none"), &sum, sources, 2, &path);
    assert_true(path.ready && path.would_break == 10 && strcmp(path.next, "quarantine") == 0);
    sum.n_days = 6;
    advice_path(VIEW("quarantine"), &sum, sources, 2, &path);
    assert_true(!path.ready && strcmp(path.why, "path.few") == 0 && strcmp(path.next, "reject") == 0);
    advice_path(VIEW("reject"), &sum, sources, 2, &path);
    assert_true(!path.ready && !path.next && strcmp(path.why, "path.done") == 0);
    assert_true(advice_enforce(STS_TESTING, &(struct ledger_tls_summary){.sessions = 1000, .failures = 1, .n_days = 7}).ready);
    assert_string_equal(advice_enforce(STS_TESTING, &(struct ledger_tls_summary){.sessions = 1000, .failures = 2, .n_days = 7}).why, "enforce.failing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_that_is_built_in_is_whole), cmocka_unit_test(people_change_the_table),
        cmocka_unit_test(bad_tables_are_refused), cmocka_unit_test(only_our_own_word_counts),
        cmocka_unit_test(kinds_go_by_their_rules), cmocka_unit_test(a_stricter_policy_waits_for_what_is_wanted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
