/* Unit tests of TLS reports: the JSON of RFC 8460 §4.4, addresses, who gets what, and waits between tries. */
#include "report/tls.h"

#include "store/store_fixture.h"

#include <jansson.h>
#include <zlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "message/header.h"
#include "report/report.h"
#include "report/tls_json.h"
#include "store/mailq.h"

#define DAY 1763769600 /* a UTC midnight */

static const struct tlsrpt_outcome outcomes[] = { /* RFC 8460, Appendix B, and more */
    {.domain = VIEW_INIT("company-y.example"), .type = TLSRPT_STS, .policy = VIEW_INIT("version: STSv1\nmode: testing\nmx: *.mail.company-y.example\nmax_age: 86400"),
     .mx = VIEW_INIT("*.mail.company-y.example"), .sessions = 5326},
    {.domain = VIEW_INIT("company-y.example"), .type = TLSRPT_STS, .result = TLSRPT_CERTIFICATE_EXPIRED, .sent_from = VIEW_INIT("2001:db8:abcd:12::1"),
     .host = VIEW_INIT("mx1.mail.company-y.example"), .sessions = 100},
    {.domain = VIEW_INIT("company-y.example"), .type = TLSRPT_STS, .result = TLSRPT_VALIDATION_FAILURE, .sent_from = VIEW_INIT("198.51.100.62"),
     .sent_to = VIEW_INIT("203.0.113.58"), .host = VIEW_INIT("mx-backup.mail.company-y.example"), .sessions = 3,
     .reason = VIEW_INIT("X509\r\n\"\xff\x01_LENGTH")},
    {.domain = VIEW_INIT("company-y.example"), .type = TLSRPT_TLSA, .policy = VIEW_INIT("3 1 1 AA\n3 0 1 BB"), .mx = VIEW_INIT("mx1.mail.company-y.example"),
     .sessions = 7},
    {.domain = VIEW_INIT("company-y.example"), .sessions = 1},
};

static void unzip(struct view in, struct buf *out)
{
    unsigned char bytes[65536];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)in.p, .avail_in = (unsigned)in.n, .next_out = bytes, .avail_out = sizeof bytes};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    buf_add(out, view_of(bytes, sizeof bytes - z.avail_out));
    inflateEnd(&z);
}

static void documents_are_those_of_the_rfc(void **state)
{
    static const char wanted[] =
        "{\"organization-name\": \"Company-X\", \"date-range\": {\"start-datetime\": \"2025-11-22T00:00:00Z\", \"end-datetime\": \"2025-11-22T23:59:59Z\"},"
        " \"contact-info\": \"sts-reporting@company-x.example\", \"report-id\": \"5065427c@company-x.example\", \"policies\": ["
        "{\"policy\": {\"policy-type\": \"sts\", \"policy-string\": [\"version: STSv1\", \"mode: testing\", \"mx: *.mail.company-y.example\","
        " \"max_age: 86400\"], \"policy-domain\": \"company-y.example\", \"mx-host\": [\"*.mail.company-y.example\"]},"
        " \"summary\": {\"total-successful-session-count\": 5326, \"total-failure-session-count\": 103},"
        " \"failure-details\": [{\"result-type\": \"certificate-expired\", \"sending-mta-ip\": \"2001:db8:abcd:12::1\","
        " \"receiving-mx-hostname\": \"mx1.mail.company-y.example\", \"failed-session-count\": 100},"
        " {\"result-type\": \"validation-failure\", \"sending-mta-ip\": \"198.51.100.62\", \"receiving-mx-hostname\": \"mx-backup.mail.company-y.example\","
        " \"receiving-ip\": \"203.0.113.58\", \"failed-session-count\": 3, \"failure-reason-code\": \"X509\?\?\\\"\?\?_LENGTH\"}]},"
        " {\"policy\": {\"policy-type\": \"tlsa\", \"policy-string\": [\"3 1 1 AA\", \"3 0 1 BB\"], \"policy-domain\": \"mx1.mail.company-y.example\"},"
        " \"summary\": {\"total-successful-session-count\": 7, \"total-failure-session-count\": 0}},"
        " {\"policy\": {\"policy-type\": \"no-policy-found\", \"policy-domain\": \"company-y.example\"},"
        " \"summary\": {\"total-successful-session-count\": 1, \"total-failure-session-count\": 0}}]}";
    const struct tls_json_meta meta = {.organization = VIEW("Company-X"), .contact = VIEW("sts-reporting@company-x.example"),
                                       .report_id = VIEW("5065427c@company-x.example"), .begin_s = DAY, .end_s = DAY + 86399};
    struct buf json, gzip, back;
    (void)state;
    buf_init(&json, 65536);
    buf_init(&gzip, 65536);
    buf_init(&back, 65536);
    assert_int_equal(tls_json_write(&meta, outcomes, sizeof outcomes / sizeof *outcomes, &json), RC_OK);
    json_t *have = json_loadb(json.p, json.n, 0, NULL), *want = json_loads(wanted, 0, NULL);
    assert_non_null(have);
    assert_non_null(want);
    if (!json_equal(have, want))
        fail_msg("%.*s", (int)json.n, json.p);
    json_decref(have);
    json_decref(want);
    assert_int_equal(tls_json_gzip(buf_view(&json), &gzip), RC_OK);
    unzip(buf_view(&gzip), &back);
    assert_true(view_eq(buf_view(&back), buf_view(&json)));
    assert_int_equal(tls_json_write(&meta, outcomes, 0, &json), RC_LIMIT);
    buf_clear(&json);
    buf_clear(&gzip);
    buf_clear(&back);
}

static void web_addresses_name_a_host(void **state)
{
    static const struct {
        const char *uri, *host, *path; /* NULL: refused */
        unsigned port;
    } cases[] = {
        {"https://reports.example.test/v1/tlsrpt", "reports.example.test", "/v1/tlsrpt", 443},
        {"HTTPS://Reports.Example.TEST:8443/a?b=c%20d", "reports.example.test", "/a?b=c%20d", 8443},
        {"https://reports.example.test", "reports.example.test", "/", 443},
        {"https://reports.example.test?x", "reports.example.test", "/?x", 443},
        {"http://reports.example.test/", NULL, NULL, 0},
        {"https:reports.example.test/", NULL, NULL, 0},
        {"https:///x", NULL, NULL, 0},
        {"https://user@reports.example.test/", NULL, NULL, 0},
        {"https://user:pw@reports.example.test/", NULL, NULL, 0},
        {"https://reports.example.test:0/", NULL, NULL, 0},
        {"https://reports.example.test:70000/", NULL, NULL, 0},
        {"https://reports.example.test:/", NULL, NULL, 0},
        {"https://reports.example.test:8a/", NULL, NULL, 0},
        {"https://[::1]/", NULL, NULL, 0},
        {"https://127.0.0.1/x", NULL, NULL, 0},
        {"https://localhost/", NULL, NULL, 0},
        {"https://reports.example.test/#x", NULL, NULL, 0},
        {"https://reports.example.test/a b", NULL, NULL, 0},
        {"https://reports.example.test/a\r\nX: y", NULL, NULL, 0},
        {"", NULL, NULL, 0},
    };
    struct arena a;
    (void)state;
    arena_init(&a, 65536);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_uri u = {0};
        struct view in = {0};
        assert_int_equal(view_dup(&a, view_str(cases[i].uri), &in), RC_OK);
        enum rc rc = tls_uri_read(in, &a, &u);
        if (rc != (cases[i].host ? RC_OK : RC_SYNTAX))
            fail_msg("%s: %s", cases[i].uri, rc_name(rc));
        if (rc != RC_OK)
            continue;
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.path, cases[i].path);
        assert_int_equal(u.port, cases[i].port);
    }
    arena_clear(&a);
}

static void waits_end_within_a_day(void **state)
{
    int64_t sum = 0;
    (void)state;
    for (unsigned i = 0; i < TLS_TRIES_MAX; i++) {
        assert_true(i == 0 || tls_retry_s(i) >= tls_retry_s(i - 1));
        sum += tls_retry_s(i);
    }
    assert_int_equal(tls_retry_s(0), TLS_RETRY_S);
    assert_int_equal(tls_retry_s(1), 2 * TLS_RETRY_S);
    assert_true(sum <= 86400 && sum > 12 * 3600);
}

static const char answers[] =
    "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:x@a.test,mailto:X@a.test,ftp://x,mailto:n%6fbody@never.test\"\n"
    "_smtp._tls.two.test TXT \"v=TLSRPTv1; rua=mailto:x@two.test\"\n"
    "_smtp._tls.two.test TXT \"v=TLSRPTv1; rua=mailto:y@two.test\"\n"
    "_smtp._tls.bad.test TXT \"v=TLSRPTv1; rua=nobody\"\n"
    "_smtp._tls.slow.test TXT !temp\n"
    "_smtp._tls.web.test TXT \"v=TLSRPTv1; rua=https://nowhere.test/x,mailto:gone@a.test\"\n"
    "_smtp._tls.never.test TXT \"v=TLSRPTv1; rua=mailto:x@a.test\"\n"
    "_smtp._tls.ours.test TXT \"v=TLSRPTv1; rua=mailto:x@a.test\"\n";

static enum rc fake_sign(void *ctx, struct view message, struct buf *out)
{
    assert_true(view_starts(message, VIEW("From: ")));
    if (*(int *)ctx == 0)
        return RC_NOTFOUND;
    buf_str(out, "DKIM-Signature: fake\r\n");
    return RC_OK;
}

static void find_report(struct fixture *f, const char *domain, struct seen_report *out)
{
    struct seen_report *r;
    size_t n;
    *out = (struct seen_report){0};
    assert_int_equal(seen_reports(f->s, 0, 100, &f->a, &r, &n), RC_OK);
    for (size_t i = 0; i < n; i++)
        if (view_eq(r[i].domain, view_str(domain)))
            *out = r[i];
}

static void reports_go_where_the_record_says(void **state)
{
    static const char *const domains[] = {"a.test", "two.test", "bad.test", "slow.test", "web.test", "never.test", "none.test", "[192.0.2.1]"};
    struct fixture *f = *state;
    struct dns *dns;
    struct seen_report r;
    uint64_t *ids;
    size_t n, n_rcpts;
    int64_t until;
    int can_sign = 0;
    struct mailq_message m;
    struct mailq_rcpt *rcpts;
    const struct view never[] = {VIEW("never.test")};
    const struct report_settings set = {.tls = true, .hostname = "mx.ici.test", .never = never, .n_never = 1, .sign = fake_sign, .sign_ctx = &can_sign};
    const int64_t over = DAY + 86400 + REPORT_START_S, due = over + REPORT_SPREAD_S;
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(dns_new_scripted(answers, &dns), RC_OK);
    assert_int_equal(seen_bounced(f->s, VIEW("gone@a.test"), clock_real_s(), 86400, 86400, VIEW("no such mailbox"), &until), RC_OK);
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        const struct tlsrpt_outcome o = {.day = DAY / 86400, .domain = view_str(domains[i]), .result = TLSRPT_STARTTLS_NOT_SUPPORTED,
                                         .host = VIEW("mx.test"), .sessions = 2};
        assert_int_equal(tlsrpt_add(f->s, &o, 1), RC_OK);
    }
    assert_int_equal(report_round(f->s, dns, &set, SEEN_TLS, over - 1, NULL, &n), RC_OK);
    assert_int_equal(n, 0); /* nothing is closed before its time */
    find_report(f, "a.test", &r);
    assert_int_equal(r.id, 0);
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, due, NULL, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(report_round(f->s, dns, &set, SEEN_TLS, due, NULL, &n), RC_OK);
    assert_int_equal(n, sizeof domains / sizeof *domains);
    find_report(f, "a.test", &r); /* RFC 8460 §3: not without a signature */
    assert_true(r.finished_s == 0 && view_starts(r.note, VIEW("waits: it could not be signed")));
    assert_true(r.messages == 2 && r.bad == 2 && r.begin_s == DAY && r.end_s == DAY + 86399);
    can_sign = 1;
    assert_int_equal(report_round(f->s, dns, &set, SEEN_TLS, due + REPORT_RETRY_S, NULL, &n), RC_OK);
    find_report(f, "a.test", &r);
    assert_true(view_eq(r.note, VIEW("sent to 1")));
    static const char *const gone[] = {"two.test", "none.test", "[192.0.2.1]"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        find_report(f, gone[i], &r);
        assert_int_equal(r.id, 0);
    }
    find_report(f, "bad.test", &r);
    assert_true(view_eq(r.note, VIEW("not sent: its TLS-RPT record cannot be read")));
    find_report(f, "never.test", &r);
    assert_true(view_starts(r.note, VIEW("not sent: the setting `never`")));
    find_report(f, "slow.test", &r);
    assert_true(r.finished_s == 0 && view_starts(r.note, VIEW("waits: its name servers")));
    find_report(f, "web.test", &r);
    assert_true(r.finished_s == 0 && r.due_s > due && view_starts(r.note, VIEW("waits: its host has no address")));
    int64_t now_s = due;
    for (int i = 0; i < 20 && r.finished_s == 0; i++) {
        now_s = r.due_s;
        assert_int_equal(report_round(f->s, dns, &set, SEEN_TLS, now_s, NULL, &n), RC_OK);
        find_report(f, "web.test", &r);
    }
    assert_true(r.finished_s > 0 && r.finished_s - due <= 86400 + REPORT_RETRY_S && r.tries == TLS_TRIES_MAX);
    assert_true(view_starts(r.note, VIEW("not sent: its host has no address")));

    assert_int_equal(mailq_list(f->s, 0, 100, &f->a, &ids, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(mailq_message(f->s, ids[0], &f->a, &m), RC_OK);
    assert_int_equal(m.lane, LANE_REPORTS);
    assert_int_equal(mailq_rcpts(f->s, ids[0], &f->a, &rcpts, &n_rcpts), RC_OK);
    assert_true(n_rcpts == 1 && view_eq(rcpts[0].address, VIEW("x@a.test")));
    struct blob b;
    assert_int_equal(blob_open(f->s, m.blob, true, &b), RC_OK);
    struct view header = header_of(view_from(b.bytes, m.skip));
    assert_true(view_starts(header, VIEW("DKIM-Signature: fake\r\n")));
    assert_true(view_eq(header_value(header, VIEW("TLS-Report-Domain")), VIEW("a.test")));
    assert_true(view_eq(header_value(header, VIEW("TLS-Report-Submitter")), VIEW("ici.test")));
    assert_true(view_eq(header_value(header, VIEW("TLS-Required")), VIEW("No")));
    assert_true(view_starts(header_value(header, VIEW("Content-Type")), VIEW("multipart/report; report-type=\"tlsrpt\";")));
    char *name = arena_printf(&f->a, "Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
                                     "\tfilename=\"ici.test!a.test!%d!%d.json.gz\"", DAY, DAY + 86399);
    assert_true(view_find(b.bytes, view_str(name)) != VIEW_NONE);
    blob_close(&b);
    dns_free(dns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_those_of_the_rfc),
        cmocka_unit_test(web_addresses_name_a_host),
        cmocka_unit_test(waits_end_within_a_day),
        cmocka_unit_test_setup_teardown(reports_go_where_the_record_says, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
