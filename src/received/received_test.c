#include "received/received.h"

#include <zlib.h>

#include "base/test_util.h"

/* What a reading told, one line each. */
static enum rc tell_begin(void *ctx, const struct received_origin *o, const struct received_aggregate *r)
{
    buf_printf(ctx, "dmarc %.*s %.*s %.*s %lld-%lld p=%.*s rows=%llu/%llu messages=%llu%s%s%.*s\n", VIEW_FMT(r->org), VIEW_FMT(r->report_id),
               VIEW_FMT(r->domain), (long long)r->begin_s, (long long)r->end_s, VIEW_FMT(r->p), (unsigned long long)r->rows,
               (unsigned long long)r->rows_left_out, (unsigned long long)r->messages, r->is_rfc9990 ? " 9990" : "", o->is_mail ? " by " : "",
               VIEW_FMT(o->from));
    return RC_OK;
}

static enum rc tell_row(void *ctx, const struct received_row *r)
{
    buf_printf(ctx, "%.*s %llu %.*s %s %s %.*s", VIEW_FMT(r->source_ip), (unsigned long long)r->count, VIEW_FMT(r->disposition), r->dkim ? "pass" : "fail",
               r->spf ? "pass" : "fail", VIEW_FMT(r->header_from));
    for (size_t i = 0; i < r->n_dkim; i++)
        buf_printf(ctx, " dkim=%.*s/%.*s/%.*s", VIEW_FMT(r->dkim_results[i].domain), VIEW_FMT(r->dkim_results[i].selector), VIEW_FMT(r->dkim_results[i].result));
    for (size_t i = 0; i < r->n_spf; i++)
        buf_printf(ctx, " spf=%.*s/%.*s", VIEW_FMT(r->spf_results[i].domain), VIEW_FMT(r->spf_results[i].result));
    for (size_t i = 0; i < r->n_reasons; i++)
        buf_printf(ctx, " because=%.*s", VIEW_FMT(r->reasons[i].type));
    buf_chr(ctx, '\n');
    return RC_OK;
}

static enum rc tell_end(void *ctx)
{
    buf_str(ctx, "end\n");
    return RC_OK;
}

static enum rc tell_failure(void *ctx, const struct received_origin *o, const struct received_failure *f)
{
    (void)o;
    buf_printf(ctx, "failure %.*s/%.*s %.*s %.*s->%.*s \"%.*s\" %lld\n", VIEW_FMT(f->type), VIEW_FMT(f->auth_failure), VIEW_FMT(f->source_ip),
               VIEW_FMT(f->original_from), VIEW_FMT(f->original_to), VIEW_FMT(f->subject), (long long)f->arrival_s);
    return RC_OK;
}

static enum rc tell_tls(void *ctx, const struct received_origin *o, const struct received_tls *t)
{
    (void)o;
    buf_printf(ctx, "tls %.*s %.*s %lld-%lld\n", VIEW_FMT(t->org), VIEW_FMT(t->report_id), (long long)t->begin_s, (long long)t->end_s);
    for (size_t i = 0; i < t->n_policies; i++)
        buf_printf(ctx, "%.*s %.*s %llu/%llu %zu\n", VIEW_FMT(t->policies[i].type), VIEW_FMT(t->policies[i].domain),
                   (unsigned long long)t->policies[i].success, (unsigned long long)t->policies[i].failure, t->policies[i].n_failures);
    return RC_OK;
}

static enum rc tell_refused(void *ctx, const struct received_origin *o, struct view reason)
{
    (void)o;
    buf_printf(ctx, "refused: %.*s\n", VIEW_FMT(reason));
    return RC_OK;
}

static void expect(struct view file, const char *want)
{
    struct buf told;
    buf_init(&told, 1u << 20);
    const struct received_sink sink = {&told, tell_begin, tell_row, tell_end, tell_failure, tell_tls, tell_refused};
    struct view copy = exact(file);
    assert_int_equal(received_read(copy, &sink), RC_OK);
    expect_text(buf_view(&told), want);
    release(copy);
    buf_clear(&told);
}

#define HEAD "<report_metadata><org_name>Org</org_name><email>a@org.test</email><report_id>7</report_id><date_range><begin>1700000000</begin>" \
    "<end>1700086399</end></date_range></report_metadata><policy_published><domain>Ours.test</domain><p>none</p></policy_published>"
#define ROW(ip, count, more) "<record><row><source_ip>" ip "</source_ip><count>" count "</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim>" \
    "<spf>fail</spf>" more "</policy_evaluated></row><identifiers><header_from>ours.test</header_from></identifiers><auth_results><dkim><domain>ours.test</domain>" \
    "<selector>S1</selector><result>pass</result></dkim><spf><domain>b.test</domain><result>softfail</result></spf></auth_results></record>"
#define TOLD_ROW " none pass fail ours.test dkim=ours.test/S1/pass spf=b.test/softfail"

static void rows_are_told(void **state)
{
    (void)state;
    expect(VIEW("<feedback>" HEAD ROW("192.0.2.1", "2", "") ROW("2001:DB8:0::1", "3", "<reason><type>forwarded</type></reason>") "</feedback>"),
           "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=2/0 messages=5\n192.0.2.1 2" TOLD_ROW "\n2001:db8::1 3" TOLD_ROW
           " because=forwarded\nend\n");
    expect(VIEW("<feedback>" HEAD ROW("192.0.2.1", "-2", "") ROW("here", "3", "") ROW("192.0.2.1", "1000000000001", "") ROW("192.0.2.3", "1000000000000", "") "</feedback>"),
           "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=1/3 messages=1000000000000\n192.0.2.3 1000000000000" TOLD_ROW "\nend\n");
    expect(VIEW("<feedback>" HEAD ROW("192.0.2.1", "2", "") "</feedbac>"), "refused: it is not well-formed XML: Opening and ending tag mismatch: feedback, in line 1\n");
}

static void senders_bend_the_format(void **state)
{
    (void)state;
    static const struct {
        struct view before, after;
    } cases[] = {
        {VIEW_INIT("\xef\xbb\xbf<?xml version='1.0'?>\n<feedback>"), VIEW_INIT("</feedback>")},
        {VIEW_INIT("see this:\n<feedback xmlns='urn:wrong'>"), VIEW_INIT("</feedback> -- \n<&\0\0")},
        {VIEW_INIT("<?xml version='1.0' encoding='UTF-16'?><feedback>"), VIEW_INIT("</feedback>")},
        {VIEW_INIT("<x:wrapper><!-- a & b --><feedback><unknown a='>'><row/></unknown>"), VIEW_INIT("<x:record><row/></x:record></feedback></x:wrapper>")},
        {VIEW_INIT("<FEEDBACK>"), VIEW_INIT("</FEEDBACK>")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        buf_init(&b, 65536);
        buf_add(&b, cases[i].before);
        buf_str(&b, HEAD ROW(" 192.0.2.1", " 2.0 ", "<reason/>"));
        buf_add(&b, cases[i].after);
        expect(buf_view(&b), "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=1/0 messages=2\n192.0.2.1 2" TOLD_ROW "\nend\n");
        buf_clear(&b);
    }
    expect(VIEW("<feedback>" HEAD ROW("192.0.2.1", "2", "") "</feedback>\n<feedback>" HEAD "</feedback>"),
           "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=1/0 messages=2\n192.0.2.1 2" TOLD_ROW
           "\nend\nrefused: more than one <feedback> stands in it; the first alone was read\n");
    expect(VIEW("<!DOCTYPE feedback [<!ENTITY a 'b'>]><feedback>" HEAD "</feedback>"), "refused: it declares entities, which no report needs\n");
    expect(VIEW("<feedback/>"), "refused: there is nothing of a report in its <feedback>\n");
}

static void addresses_and_counts_are_believed_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *ip, *count, *told; /* NULL: left out */
    } cases[] = {
        {"2001:DB8:0:0:0:0:0:1", "2", "2001:db8::1 2"}, {"[2001:db8::1]", "2", "2001:db8::1 2"}, {"IPv6:2001:db8::1", "2", "2001:db8::1 2"},
        {"::ffff:c000:0201", "2", "192.0.2.1 2"},       {"2001:db8::1/128", "2", "2001:db8::1 2"}, {"fe80::1%eth0", "2", "fe80::1 2"},
        {"192.0.2.1/32", "2", "192.0.2.1 2"},           {"192.0.2.1:25", "2", "192.0.2.1 2"},     {"192.0.2.0/24", "2", NULL},
        {"2001:db8::/64", "2", NULL},                   {"192.0.2.1, 192.0.2.2", "2", NULL},      {"192.000.002.001", "2", NULL},
        {"3221225985", "2", NULL},                      {"mail.x.test", "2", NULL},               {"192.0.2", "2", NULL},
        {"192.0.2.1", "0", "192.0.2.1 0"},              {"192.0.2.1", "007", "192.0.2.1 7"},      {"192.0.2.1", "<![CDATA[ 2 ]]>", "192.0.2.1 2"},
        {"192.0.2.1", "<!-- x -->2", "192.0.2.1 2"},    {"192.0.2.1", "&#49;2", "192.0.2.1 12"},  {"192.0.2.1", "+3", NULL},
        {"192.0.2.1", "1.5", NULL},                     {"192.0.2.1", "1e3", NULL},               {"192.0.2.1", "1,234", NULL},
        {"192.0.2.1", "-1", NULL},                      {"192.0.2.1", "18446744073709551617", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf in, out;
        buf_init(&in, 65536);
        buf_init(&out, 65536);
        buf_printf(&in, "<feedback>" HEAD ROW("%s", "%s", "") "</feedback>", cases[i].ip, cases[i].count);
        const char *count = cases[i].told ? strchr(cases[i].told, ' ') + 1 : "0";
        buf_printf(&out, "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=%s messages=%s\n%s%send\n", cases[i].told ? "1/0" : "0/1", count,
                   cases[i].told ? cases[i].told : "", cases[i].told ? TOLD_ROW "\n" : "");
        buf_chr(&out, '\0');
        expect(buf_view(&in), out.p);
        buf_clear(&in);
        buf_clear(&out);
    }
}

static void periods_are_understood_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *end, *told; /* refused: why */
    } cases[] = {
        {"1700000000.0", " 1700086399\n", "1700000000-1700086399"},
        {"1700000000123", "1700086399123", "1700000000-1700086399"},
        {"1700000000123456", "1700086399123456", "1700000000-1700086399"},
        {"1700000000123456789", "1700086399123456789", "1700000000-1700086399"},
        {"2023-11-14T22:13:20Z", "2023-11-16T00:13:19.5+02:00", "1700000000-1700086399"},
        {"Tue, 14 Nov 2023 22:13:20 +0000", "2023-11-15 22:13:19", "1700000000-1700086399"},
        {"20231114", "20231115", "1699920000-1700006400"},
        {"1700086399", "1700000000", "1700000000-1700086399"},
        {"0", "1700086399", "1700000000-1700086399"},
        {"1700000000", "", "1700000000-1700086399"},
        {"", "", "it does not say which period it is about"},
        {"0", "0", "it does not say which period it is about: \"0\" is no time"},
        {"11/14/2023", "11/15/2023", "it does not say which period it is about: \"11/14/2023\" is no time"},
        {"-1700000000", "99999999999999999999", "it does not say which period it is about: \"-1700000000\" is no time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf in, out;
        buf_init(&in, 65536);
        buf_init(&out, 65536);
        buf_printf(&in, "<feedback><report_metadata><date_range><begin>%s</begin><end>%s</end></date_range></report_metadata><policy_published>"
                        "<domain>ours.test</domain></policy_published></feedback>", cases[i].begin, cases[i].end);
        if (is_digit((unsigned char)cases[i].told[0]))
            buf_printf(&out, "dmarc   ours.test %s p= rows=0/0 messages=0\nend\n", cases[i].told);
        else
            buf_printf(&out, "refused: %s\n", cases[i].told);
        buf_chr(&out, '\0');
        expect(buf_view(&in), out.p);
        buf_clear(&in);
        buf_clear(&out);
    }
}

static void texts_are_clean(void **state)
{
    (void)state;
    expect(VIEW("<feedback xmlns='urn:ietf:params:xml:ns:dmarc-2.0'><report_metadata><org_name> A\xe2\x80\xae\n\x1b[1m \xff B&amp;C&#x85;</org_name><report_id>&#x202e;1</report_id>"
                "<date_range><end>1700086399.0</end></date_range></report_metadata><policy_published><domain>x.test</domain></policy_published></feedback>"),
           "dmarc A \xef\xbf\xbd[1m \xef\xbf\xbd B&C 1 x.test 1700000000-1700086399 p= rows=0/0 messages=0 9990\nend\n");
}

/* The input as one gzip member. */
static void squeeze(struct view v, struct buf *out)
{
    z_stream z = {0};
    static char room[1u << 17];
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)v.p;
    z.avail_in = (uInt)v.n;
    z.next_out = (Bytef *)room;
    z.avail_out = sizeof room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buf_add(out, view_of(room, sizeof room - z.avail_out));
    deflateEnd(&z);
}

static void containers_are_opened(void **state)
{
    (void)state;
    const struct view plain = VIEW("<feedback>" HEAD ROW("192.0.2.1", "2", "") "</feedback>");
    const char *told = "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=1/0 messages=2\n192.0.2.1 2" TOLD_ROW "\nend\n";
    struct buf once, twice;
    buf_init(&once, 65536);
    buf_init(&twice, 65536);
    squeeze(plain, &once);
    expect(buf_view(&once), told);
    squeeze(buf_view(&once), &twice);
    expect(buf_view(&twice), told);
    for (size_t n = 3; n < once.n - 12; n++) { /* cut anywhere: refused, with one reason */
        struct buf reasons;
        struct view cut = exact(view_slice(buf_view(&once), 0, n));
        buf_init(&reasons, 65536);
        const struct received_sink sink = {&reasons, tell_begin, tell_row, tell_end, tell_failure, tell_tls, tell_refused};
        assert_int_equal(received_read(cut, &sink), RC_OK);
        assert_true(view_starts(buf_view(&reasons), VIEW("refused: ")) || view_eq(buf_view(&reasons), view_str(told)));
        buf_clear(&reasons);
        release(cut);
    }
    expect(VIEW("From: r@org.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\n\r\n"
                "<feedback>" HEAD "</feedback>\r\n--b--\r\n"),
           "dmarc Org 7 ours.test 1700000000-1700086399 p=none rows=0/0 messages=0 by r@org.test\nend\n");
    expect(VIEW("From: r@org.test\r\n\r\nhello\r\n"), "refused: the mail holds no report\n");
    expect(VIEW(""), "refused: it is empty\n");
    expect(VIEW("PK\3\4"), "refused: the zip archive is damaged: Truncated ZIP file header\n");
    buf_clear(&once);
    buf_clear(&twice);
}

static void bombs_are_left(void **state)
{
    (void)state;
    const size_t n = (64u << 20) + (8u << 20);
    char *spaces = malloc(n);
    struct buf once, twice, told;
    assert_non_null(spaces);
    memset(spaces, ' ', n);
    memcpy(spaces, "<feedback>", 10);
    buf_init(&once, 1u << 20);
    buf_init(&twice, 65536);
    buf_init(&told, 65536);
    squeeze(view_of(spaces, n), &once);
    free(spaces);
    squeeze(buf_view(&once), &twice); /* a few hundred bytes: what counts is what came */
    expect(buf_view(&twice), "refused: it is too large when decompressed\n");
    const struct received_sink sink = {&told, tell_begin, tell_row, tell_end, tell_failure, tell_tls, tell_refused};
    assert_int_equal(received_read_within(buf_view(&once), 1u << 20, &sink), RC_OK);
    expect_text(buf_view(&told), "refused: it is too large when decompressed\n");
    buf_clear(&once);
    buf_clear(&twice);
    buf_clear(&told);
}

static void failures_are_told(void **state)
{
    (void)state;
#define ARF(fields, sample) "From: r@org.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n" fields \
    "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" sample "\r\n--b--\r\n"
    expect(VIEW(ARF("Feedback-Type: auth-failure\r\nAuth-Failure: DMARC\r\nSource-IP: 192.0.2.1\r\nOriginal-Mail-From: <a@b.test>\r\nOriginal-Rcpt-To: c@ours.test\r\n"
                    "Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\n", "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody")),
           "failure auth-failure/dmarc 192.0.2.1 a@b.test->c@ours.test \"caf\xc3\xa9\" 1110304800\n");
    expect(VIEW(ARF("Feedback-Type: abuse\r\nFeedback-Type: fraud\r\nSource-IP: x\r\nArrival-Date: y\r\n", "")), "failure abuse/  -> \"\" 0\n");
}

static void tls_is_told(void **state)
{
    (void)state;
    expect(VIEW("{\"organization-name\": \"O\", \"report-id\": \"1\", \"date-range\": {\"start-datetime\": \"2016-04-01T02:00:00+02:00\", \"end-datetime\": \"2016-04-01T23:59:59.5Z\"},"
                "\"policies\": [{\"policy\": {\"policy-type\": \"sts\", \"policy-domain\": \"Y.example\"}, \"summary\": {\"total-successful-session-count\": 5326,"
                "\"total-failure-session-count\": 303}, \"failure-details\": [{\"failed-session-count\": 303}]}]}"),
           "tls O 1 1459468800-1459555199\nsts y.example 5326/303 1\n");
    expect(VIEW("{\"policies\": null}"), "tls   0-0\n");
    expect(VIEW("{\"policies\": [{\"summary\": {\"total-failure-session-count\": -1}}]}"), "refused: a session count is not to be believed\n");
    expect(VIEW("{\"a\": 1}"), "refused: it is JSON, but no TLS report\n");
#define COUNTS "\"total-successful-session-count\": \"7\", \"total-failure-session-count\": 1"
    expect(VIEW("{\"report-id\": 12, \"policies\": [{\"policy-type\": \"sts\", \"policy-domain\": \"y.example\", " COUNTS "}]}"), /* on one level */
           "tls  12 0-0\nsts y.example 7/1 0\n");
    expect(VIEW("{\"policies\": [{\"policy\": {\"policy-type\": \"sts\", \"summary\": {" COUNTS "}}}]}"), "tls   0-0\nsts  7/1 0\n");
    expect(VIEW("{\"Report_ID\": \"a\", \"date_range\": {\"start_datetime\": 1700000000, \"end_datetime\": \"2023-11-15T22:13:19Z\"}, \"policies\":"
                " [{\"failure_details\": [{\"failed_session_count\": 2}, {\"result_type\": \"x\"}]}]}"),
           "tls  a 1700000000-1700086399\n  0/2 2\n");
    expect(VIEW("{\"policies\": [], \"date-range\": {\"end-datetime\": 1700086399}}"), "tls   1700000000-1700086399\n");
    expect(VIEW("[{\"report-id\": \"a\"}, {\"report-id\": \"b\"}]"), "tls  a 0-0\ntls  b 0-0\n");
    expect(VIEW("{\"report-id\": \"a\"}\n{\"report-id\": \"b\"}\n-- \nfooter"), "tls  a 0-0\ntls  b 0-0\n");
    expect(VIEW("[{}]"), "refused: it is JSON, but no TLS report\n");
    expect(VIEW("[{\"report-id\": \"a\"}, 3]"), "tls  a 0-0\nrefused: it is JSON, but no TLS report\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_told),         cmocka_unit_test(senders_bend_the_format), cmocka_unit_test(texts_are_clean),
        cmocka_unit_test(addresses_and_counts_are_believed_or_not), cmocka_unit_test(periods_are_understood_or_refused),
        cmocka_unit_test(containers_are_opened), cmocka_unit_test(bombs_are_left),          cmocka_unit_test(failures_are_told),
        cmocka_unit_test(tls_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
