/* Unit tests of report/: addresses of reports, rows, the XML, who gets what and who does not. */
#include "report/report.h"

#include "store/store_fixture.h"

#include <zlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "message/header.h"
#include "report/aggregate.h"
#include "report/bounce.h"
#include "report/collect.h"
#include "report/failure.h"
#include "report/xml.h"
#include "store/mailq.h"

#define DAY 1763769600 /* a UTC midnight */

static struct view exact(struct arena *a, const char *text)
{
    struct view v = {0};
    assert_int_equal(view_dup(a, view_str(text), &v), RC_OK);
    return v;
}

/* --- addresses --- */

static void addresses_hold_one_mailbox(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"dmarc@example.test", "dmarc@example.test"},
        {"d%2Bx@Example.TEST", "d+x@example.test"},
        {"d%2bx%40@example.test", NULL},
        {"a%40b.test@example.test", NULL},
        {"a@b\xc3\xbc" "cher.test", "a@xn--bcher-kva.test"},
        {"a%0d%0aBcc:%20v@victim.test@example.test", NULL},
        {"a%0abcc@example.test", NULL},
        {"a%00b@example.test", NULL},
        {"a%20b@example.test", NULL},
        {"a@example.test%0d%0aX:y", NULL},
        {"a%2cb@example.test", NULL},
        {"a%3cb%3e@example.test", NULL},
        {"%22a%20b%22@example.test", NULL},
        {"a%2@example.test", NULL},
        {"a%@example.test", NULL},
        {"a%zz@example.test", NULL},
        {"a@[192.0.2.1]", NULL},
        {"a@localhost", NULL},
        {"a@-x.test", NULL},
        {"a..b@example.test", NULL},
        {".a@example.test", NULL},
        {"@example.test", NULL},
        {"example.test", NULL},
        {"", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.test", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct view address = {0}, domain = {0};
        char *copy = malloc(strlen(cases[i].in) + 1);
        memcpy(copy, cases[i].in, strlen(cases[i].in));
        arena_init(&a, 65536);
        enum rc rc = destination_read(view_of(copy, strlen(cases[i].in)), &a, &address, &domain);
        if ((rc == RC_OK) != (cases[i].out != NULL) || (rc == RC_OK && !view_eq(address, view_str(cases[i].out))))
            fail_msg("%s gives %s %.*s", cases[i].in, rc_name(rc), VIEW_FMT(address));
        arena_clear(&a);
        free(copy);
    }
}

static const char answers[] =
    "_dmarc.a.test TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.b.test TXT \"v=DMARC1; p=none\"\n"
    "a.test._report._dmarc.b.test TXT \"v=DMARC1\"\n"
    "a.test._report._dmarc.c.test TXT \"v=DMARC1; rua=mailto:other@c.test!1k; ruf=mailto:fail@c.test\"\n"
    "a.test._report._dmarc.evil.test TXT \"v=DMARC1; rua=mailto:victim@victim.test\"\n"
    "a.test._report._dmarc.text.test TXT \"not a record\"\n"
    "a.test._report._dmarc.many.test TXT \"something else\"\n"
    "a.test._report._dmarc.many.test TXT \"v=DMARC1;\"\n"
    "a.test._report._dmarc.slow.test TXT !temp\n";

/* What becomes of "rua=..." in a record of a.test: one letter a destination. */
static void look(const char *rua, bool failure, const char *states, const char *first)
{
    struct arena a;
    struct dns *dns = NULL;
    struct dmarc_record r;
    struct destination *d;
    const struct dmarc_settings set = {0};
    size_t n;
    arena_init(&a, 4u << 20);
    assert_int_equal(dns_new_scripted(answers, &dns), RC_OK);
    char *text = arena_printf(&a, "v=DMARC1; p=none; %s=%s", failure ? "ruf" : "rua", rua);
    assert_int_equal(dmarc_record_parse(view_str(text), &a, &r), RC_OK);
    assert_int_equal(destinations_find(dns, &set, VIEW("a.test"), failure ? r.ruf : r.rua, failure ? r.n_ruf : r.n_rua, failure,
                                       deadline_in(1000), &a, &d, &n), RC_OK);
    char got[32] = "";
    for (size_t i = 0; i < n; i++)
        got[i] = "+-!?"[d[i].state == DESTINATION_OK ? 0 : d[i].state == DESTINATION_BAD ? 1 : d[i].state == DESTINATION_REFUSED ? 2 : 3];
    if (strcmp(got, states) != 0 || (first && !view_eq(d[0].address, view_str(first))))
        fail_msg("%s: %s %.*s", rua, got, n > 0 ? (int)d[0].address.n : 0, n > 0 ? d[0].address.p : "");
    dns_free(dns);
    arena_clear(&a);
}

static void destinations_must_agree(void **state)
{
    (void)state;
    look("mailto:x@a.test", false, "+", "x@a.test");
    look("mailto:x@mail.a.test", false, "+", NULL); /* of the same organisation */
    look("mailto:x@b.test", false, "+", NULL);
    look("mailto:x@nobody.test", false, "!", NULL);
    look("mailto:x@text.test", false, "!", NULL);
    look("mailto:x@many.test", false, "+", NULL);
    look("mailto:x@slow.test", false, "?", NULL);
    look("mailto:x@c.test", false, "+", "other@c.test");
    look("mailto:x@c.test", true, "+", "fail@c.test");
    look("mailto:x@evil.test", false, "!", NULL); /* sends on to yet another host */
    look("https://a.test/x,mailto:x@a.test", false, "-+", NULL);
    look("mailto:x@a.test?subject=hello&to=victim@victim.test", false, "+", "x@a.test");
    look("mailto:x%2Cvictim@a.test,mailto:y@a.test,mailto:Y@A.test", false, "-+", NULL);
    look("mailto:a@a.test,mailto:b@a.test,mailto:c@a.test,mailto:d@a.test,mailto:e@a.test,mailto:f@a.test,mailto:g@a.test,"
         "mailto:h@a.test,mailto:i@a.test,mailto:j@a.test,mailto:k@a.test,mailto:l@a.test,mailto:m@a.test,mailto:n@a.test,"
         "mailto:o@a.test,mailto:p@a.test,mailto:q@a.test,mailto:r@a.test,mailto:s@a.test,mailto:t@a.test,mailto:u@a.test",
         false, "++++++++++++++++++++", NULL);
}

/* --- rows and XML --- */

/* A verdict as the judge gives one. */
static void verdict(struct judgement *j, struct arena *a, const char *domain, const char *record)
{
    *j = (struct judgement){.action = JUDGE_ACCEPT};
    assert_int_equal(addr_parse_ip(VIEW("192.0.2.1"), 0, &j->facts.ip), RC_OK);
    j->facts.mail_from = VIEW("someone@bounce.test");
    j->facts.now_s = DAY + 1000;
    j->dmarc.result = DMARC_FAIL;
    j->dmarc.author = j->dmarc.policy_domain = exact(a, domain);
    j->dmarc.organization = j->dmarc.policy_domain;
    assert_int_equal(dmarc_record_parse(exact(a, record), a, &j->dmarc.record), RC_OK);
    j->dmarc.policy = j->dmarc.disposition = j->dmarc.record.p;
    j->spf.result = SPF_FAIL;
    j->spf.domain = VIEW("bounce.test");
    j->spf.mechanism = VIEW("-all");
    j->spf.source = VIEW("bounce.test");
    j->spf.reason = VIEW("someone@bounce.test is not allowed");
}

static void dispositions_say_what_was_done(void **state)
{
    (void)state;
    struct arena a;
    struct judgement j;
    struct report_row r;
    const struct report_facts facts = {.header = VIEW("Subject: x\r\n\r\n")};
    arena_init(&a, 1u << 20);
    verdict(&j, &a, "a.test", "v=DMARC1; p=reject; rua=mailto:x@a.test");
    j.action = JUDGE_REJECT;
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    assert_true(view_eq(r.disposition, VIEW("reject")) && r.reason.n == 0);
    assert_true(view_eq(r.spf_human, VIEW("-all of bounce.test")));
    j.action = JUDGE_ACCEPT; /* not enforced here: a reason is required */
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    assert_true(view_eq(r.disposition, VIEW("none")) && view_eq(r.reason, VIEW("local_policy")));
    dmarc_override_set(&j.dmarc, DMARC_TRUSTED_FORWARDER, DMARC_POLICY_NONE, VIEW("by list"));
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    assert_true(view_eq(r.reason, VIEW("trusted_forwarder")) && view_eq(r.comment, VIEW("by list")));
    j.action = JUDGE_REJECT; /* for another reason than DMARC's */
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    assert_true(view_eq(r.disposition, VIEW("none")));
    j.dmarc.override = DMARC_NO_OVERRIDE;
    j.dmarc.result = DMARC_PASS;
    j.dmarc.disposition = DMARC_POLICY_NONE;
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    assert_true(view_eq(r.disposition, VIEW("pass")));
    const struct report_facts report = {.header = VIEW("Subject: Report Domain: b.test\r\n Submitter: a.test Report-ID: <1>\r\n\r\n")};
    assert_int_equal(row_of(&j, &report, &a, &r), RC_NOTFOUND); /* no reports on reports */
    j.dmarc.result = DMARC_FAIL;
    assert_int_equal(row_of(&j, &report, &a, &r), RC_OK); /* but on what claims to be one */
    j.dmarc.result = DMARC_TEMPERROR;
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_NOTFOUND);
    verdict(&j, &a, "a.test", "v=DMARC1; p=reject");
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_NOTFOUND);
    verdict(&j, &a, "a.test", "v=DMARC1; p=reject; rua=https://a.test/");
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_NOTFOUND);
    verdict(&j, &a, "a\"b.test", "v=DMARC1; p=reject; rua=mailto:x@a.test");
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_NOTFOUND);
    arena_clear(&a);
}

static void signatures_come_in_order(void **state)
{
    (void)state;
    struct arena a;
    struct judgement j;
    struct report_row r, again;
    struct buf b;
    struct dkim_verdict s[] = {
        {.result = DKIM_FAIL, .domain = VIEW("a.test"), .selector = VIEW("bad"), .reason = "the body was changed"},
        {.result = DKIM_PASS, .domain = VIEW("list.test"), .selector = VIEW("other"), .reason = ""},
        {.result = DKIM_PASS, .domain = VIEW("mail.a.test"), .selector = VIEW("relaxed"), .reason = ""},
        {.result = DKIM_PASS, .domain = VIEW("a.test"), .selector = VIEW("strict"), .reason = ""},
        {.result = DKIM_NEUTRAL, .domain = {0}, .selector = VIEW("none"), .reason = ""},
    };
    const struct report_facts facts = {.envelope_to = VIEW("ici.test")};
    arena_init(&a, 1u << 20);
    buf_init(&b, ROW_MAX);
    verdict(&j, &a, "a.test", "v=DMARC1; p=none; rua=mailto:x@a.test");
    j.dkim = (struct dkim_list){.verdicts = s, .n = 5};
    assert_int_equal(row_of(&j, &facts, &a, &r), RC_OK);
    row_write(&r, &b);
    assert_int_equal(row_parse(buf_view(&b), &again), RC_OK);
    static const char *const order[] = {"strict", "relaxed", "other", "bad"};
    assert_int_equal(again.n_signatures, 4);
    for (int i = 0; i < 4; i++)
        assert_true(view_eq(again.signatures[i].selector, view_str(order[i])));
    assert_true(view_eq(again.envelope_from, VIEW("bounce.test")) && view_eq(again.envelope_to, VIEW("ici.test")));
    for (size_t i = 0; i < b.n; i++) /* cut anywhere it is refused, or shorter by whole signatures */
        if (row_parse(view_slice(buf_view(&b), 0, i), &again) == RC_OK)
            assert_true(again.n_signatures < 4);
    buf_clear(&b);
    arena_clear(&a);
}

static void unzip(struct view gzip, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)gzip.p, .avail_in = (uInt)gzip.n};
    int status = Z_OK;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    while (status == Z_OK) {
        char *room = buf_room(out, 65536);
        assert_non_null(room);
        z.next_out = (Bytef *)room;
        z.avail_out = 65536;
        status = inflate(&z, Z_NO_FLUSH);
        buf_grew(out, 65536 - z.avail_out);
    }
    assert_int_equal(status, Z_STREAM_END);
    inflateEnd(&z);
}

static void markup_of_strangers_stays_text(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a.test", "a.test"},
        {"</domain><x y='\"'>&amp;", "&lt;/domain&gt;&lt;x y=&apos;&quot;&apos;&gt;&amp;amp;"},
        {"]]>", "]]&gt;"},
        {"\x01\x08\x0b\x1b\x7f", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xef\xbf\xbe", "\xef\xbf\xbd"}, /* U+FFFE */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"m\xc3\xbcnchen", "m\xc3\xbcnchen"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        buf_init(&b, 4096);
        char *copy = malloc(strlen(cases[i].in) + 1);
        memcpy(copy, cases[i].in, strlen(cases[i].in));
        xml_text(&b, view_of(copy, strlen(cases[i].in)));
        if (!view_eq(buf_view(&b), view_str(cases[i].out)))
            fail_msg("%s gives %.*s", cases[i].in, (int)b.n, b.p);
        buf_clear(&b);
        free(copy);
    }
}

static void documents_are_whole(void **state)
{
    (void)state;
    struct arena a;
    struct buf gzip, xml;
    struct aggregate *g;
    struct dmarc_record record;
    arena_init(&a, 1u << 20);
    buf_init(&gzip, AGGREGATE_MAX);
    buf_init(&xml, 64u << 20);
    assert_int_equal(dmarc_record_parse(VIEW("v=DMARC1; p=reject; sp=none; t=y; fo=1:d; adkim=s; x=y; rua=mailto:x@a.test"), &a, &record), RC_OK);
    struct aggregate_meta m = {.organization = VIEW("Ici & Co"), .email = VIEW("postmaster@ici.test"), .contact = VIEW("https://ici.test/"),
                               .report_id = VIEW("1.2.x@ici.test"), .generator = VIEW("Facteur"), .begin_s = DAY, .end_s = DAY + 86399,
                               .domain = VIEW("a.test"), .record = &record, .dropped = 7};
    assert_int_equal(aggregate_begin(&m, &g), RC_OK);
    assert_int_equal(aggregate_end(g, &gzip), RC_LIMIT); /* at least one record (XSD) */
    assert_int_equal(aggregate_begin(&m, &g), RC_OK);
    struct report_row r = {.source_ip = VIEW("2001:db8::1"), .disposition = VIEW("none"), .spf = true, .reason = VIEW("policy_test_mode"),
                           .comment = VIEW("t=y"), .header_from = VIEW("a.test"), .spf_domain = VIEW("a.test"), .spf_result = VIEW("pass")};
    for (int i = 0; i < 10000; i++)
        aggregate_row(g, &r, 3);
    assert_int_equal(aggregate_end(g, &gzip), RC_OK);
    unzip(buf_view(&gzip), &xml);
    static const char *const parts[] = {
        "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">", "<version>1.0</version>", "<org_name>Ici &amp; Co</org_name>",
        "<discovery_method>treewalk</discovery_method>", "<p>reject</p>", "<sp>none</sp>", "<np>none</np>", "<adkim>s</adkim>",
        "<fo>1:d</fo>", "<testing>y</testing>", "7 further messages", "<type>policy_test_mode</type>", "<scope>mfrom</scope>",
        "<envelope_from></envelope_from>", "</record>\n</feedback>\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (view_find(buf_view(&xml), view_str(parts[i])) == VIEW_NONE)
            fail_msg("no %s in %.3000s", parts[i], xml.p);
    buf_clear(&gzip);
    buf_clear(&xml);
    arena_clear(&a);
}

/* --- failure reports --- */

static void failure_reports_are_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *record, *header;
        bool fail, spf, dkim; /* aligned */
        bool broken, wanted;  /* broken: a signature does not verify */
    } cases[] = {
        {"p=none; ruf=mailto:x@a.test", "", true, false, false, false, true},
        {"p=none; ruf=mailto:x@a.test", "", false, true, false, true, false},
        {"p=none; fo=1; ruf=mailto:x@a.test", "", false, true, false, false, true},
        {"p=none; fo=1; ruf=mailto:x@a.test", "", false, true, true, false, false},
        {"p=none; fo=d; ruf=mailto:x@a.test", "", false, true, false, true, true},
        {"p=none; fo=d; ruf=mailto:x@a.test", "", true, false, false, false, false},
        {"p=none; fo=s; ruf=mailto:x@a.test", "", false, false, true, false, true},
        {"p=none; rua=mailto:x@a.test", "", true, false, false, false, false},
        {"p=none; psd=y; ruf=mailto:x@a.test", "", true, false, false, false, false},
        {"p=none; ruf=mailto:x@a.test", "Auto-Submitted: auto-generated\r\n", true, false, false, false, false},
        {"p=none; ruf=mailto:x@a.test", "Auto-Submitted: no\r\n", true, false, false, false, true},
        {"p=none; ruf=mailto:x@a.test", "Content-Type: multipart/report; report-type=feedback-report\r\n", true, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct judgement j;
        struct dkim_verdict s = {.result = DKIM_FAIL, .domain = VIEW("a.test"), .reason = "the body was changed"};
        arena_init(&a, 1u << 20);
        char *record = arena_printf(&a, "v=DMARC1; %s", cases[i].record);
        verdict(&j, &a, "a.test", record);
        j.dmarc.result = cases[i].fail ? DMARC_FAIL : DMARC_PASS;
        j.dmarc.spf_aligned = cases[i].spf;
        j.dmarc.dkim_aligned = cases[i].dkim;
        j.dkim = (struct dkim_list){.verdicts = &s, .n = cases[i].broken};
        const struct report_facts facts = {.header = view_str(cases[i].header)}, bad = {.header = facts.header, .is_bad = true};
        if (failure_is_wanted(&j, &facts) != cases[i].wanted)
            fail_msg("%s %s", cases[i].record, cases[i].header);
        assert_false(failure_is_wanted(&j, &bad));
        j.facts.mail_from = (struct view){0};
        assert_false(failure_is_wanted(&j, &facts)); /* a bounce */
        arena_clear(&a);
    }
}

static void nothing_of_persons_is_shown(void **state)
{
    (void)state;
    static const char header[] =
        "Received: from relay.test (helo.test [192.0.2.1]) (Authenticated sender: hidden)\r\n"
        "\tby mx.test (envelope-from <hidden@b.test>) with ESMTP id 12 for <hidden+tag=hidden@ici.test>; Sun, 22 Nov 2026 00:40:00 +0000\r\n"
        "DKIM-Signature: v=1; d=a.test; s=sel; i=hidden@a.test; b=abc=\r\n"
        "DKIM-Signature: v=1; d=a.test; z=From:hidden=40b.test; b=abc=\r\n"
        "Authentication-Results: mx.test; spf=pass smtp.mailfrom=list+hidden=c.test@a.test\r\n"
        "From: \"Hidden Person\" <hidden@a.test>\r\n"
        "Reply-To: Hidden: hidden@a.test, \"hidden one\"@b.test;\r\n"
        "To: =?utf-8?q?hidden?= <hidden@ici.test>, hidden@ici.test (hidden)\r\n"
        "Subject: hidden\r\n"
        "List-Unsubscribe: <https://a.test/?u=hidden>\r\n"
        "X-Hidden: hidden\r\n"
        "Message-ID: <hidden@a.test>\r\n"
        "Date: Sun, 22 Nov 2026 00:40:00 +0000\r\n"
        "\r\n"
        "hidden\r\n";
    static const uint8_t key[FAILURE_KEY_SIZE] = {1}, other[FAILURE_KEY_SIZE] = {2};
    struct arena a;
    struct buf out, again, keyed;
    arena_init(&a, 1u << 20);
    buf_init(&out, FAILURE_HEADER_MAX);
    buf_init(&again, FAILURE_HEADER_MAX);
    buf_init(&keyed, FAILURE_HEADER_MAX);
    struct view in = exact(&a, header);
    assert_int_equal(failure_redact(in, key, &a, &out), RC_OK);
    assert_int_equal(failure_redact(in, key, &a, &again), RC_OK);
    assert_int_equal(failure_redact(in, other, &a, &keyed), RC_OK);
    if (view_ifind(buf_view(&out), VIEW("hidden")) != VIEW_NONE)
        fail_msg("%.*s", (int)out.n, out.p);
    assert_true(view_eq(buf_view(&out), buf_view(&again)));
    assert_false(view_eq(buf_view(&out), buf_view(&keyed)));
    static const char *const kept[] = {"relay.test (helo.test [192.0.2.1])", "d=a.test; s=sel; i=", "smtp.mailfrom=", "\r\nFrom: <", "@a.test>\r\n", "Date: Sun"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (view_find(buf_view(&out), view_str(kept[i])) == VIEW_NONE)
            fail_msg("no %s in %.*s", kept[i], (int)out.n, out.p);
    buf_clear(&out);
    buf_clear(&again);
    buf_clear(&keyed);
    arena_clear(&a);
}

static void feedback_has_what_is_required(void **state)
{
    (void)state;
    static const uint8_t key[FAILURE_KEY_SIZE] = {1};
    struct arena a;
    struct judgement j;
    struct buf out;
    struct dkim_verdict s[] = {
        {.result = DKIM_FAIL, .domain = VIEW("other.test"), .selector = VIEW("o"), .identity = VIEW("@other.test"), .reason = "x"},
        {.result = DKIM_FAIL, .domain = VIEW("a.test"), .selector = VIEW("sel\x01\r\nX: y"), .identity = VIEW("someone@a.test"), .reason = "x"},
    };
    arena_init(&a, 1u << 20);
    buf_init(&out, 16384);
    verdict(&j, &a, "a.test", "v=DMARC1; p=none; ruf=mailto:x@a.test");
    j.dkim = (struct dkim_list){.verdicts = s, .n = 2};
    j.spf.domain = VIEW("a.test");
    assert_true(failure_wants_spf(&j));
    j.spf.domain = VIEW("bounce.test");
    assert_false(failure_wants_spf(&j));
    assert_int_equal(failure_feedback(&j, "mx.ici.test", key, &out), RC_OK);
    static const char *const fields[] = {"Feedback-Type: auth-failure\r\n", "Version: 1\r\n", "Auth-Failure: dmarc\r\n", "Authentication-Results: mx.ici.test;",
                                         "Identity-Alignment: dkim, spf\r\n", "Delivery-Result: delivered\r\n", "DKIM-Domain: a.test\r\n",
                                         "DKIM-Identity: @a.test\r\n", "DKIM-Selector: sel???X: y\r\n", "Source-IP: 192.0.2.1\r\n", "Reported-Domain: a.test\r\n"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (view_find(buf_view(&out), view_str(fields[i])) == VIEW_NONE)
            fail_msg("no %s in %.*s", fields[i], (int)out.n, out.p);
    assert_int_equal(view_find(buf_view(&out), VIEW("someone")), VIEW_NONE);
    assert_int_equal(view_find(buf_view(&out), VIEW("\r\nX: y")), VIEW_NONE);
    buf_clear(&out);
    arena_clear(&a);
}

/* --- gathering and sending --- */

static void note(struct fixture *f, struct collect *c, const char *domain, const char *record, const char *row, uint64_t n, uint64_t n_bad)
{
    struct seen_add add = {.domain = view_str(domain), .row = view_str(row), .n = n, .n_bad = n_bad, .time_s = DAY + 5, .due_s = DAY + 90000};
    add.policy = view_str(arena_printf(&f->a, "treewalk %s", record));
    for (size_t i = 0; i < strlen(row); i++)
        add.key[i % SEEN_KEY_SIZE] = (uint8_t)(add.key[i % SEEN_KEY_SIZE] * 31 + (uint8_t)row[i]);
    assert_int_equal(collect_add(c, &add), RC_OK);
}

static const char row_text[] = "9:192.0.2.14:none1:y1:n0:0:6:a.test6:b.test6:c.test6:b.test4:fail4:-all6:a.test2:s14:pass0:";

static enum rc fake_sign(void *ctx, struct view message, struct buf *out)
{
    ++*(int *)ctx;
    assert_true(view_starts(message, VIEW("From: ")));
    buf_str(out, "DKIM-Signature: fake\r\n");
    return RC_OK;
}

/* The queued mails: their recipients, sorted by arrival, joined by blanks. */
static void queued(struct fixture *f, char *out, size_t size, struct buf *last)
{
    uint64_t *ids;
    size_t n, n_rcpts;
    struct mailq_message m;
    struct mailq_rcpt *rcpts;
    *out = '\0';
    assert_int_equal(mailq_list(f->s, 0, 100, &f->a, &ids, &n), RC_OK);
    for (size_t i = 0; i < n; i++) {
        struct blob b;
        assert_int_equal(mailq_message(f->s, ids[i], &f->a, &m), RC_OK);
        assert_int_equal(m.lane, LANE_REPORTS);
        assert_true(view_eq(m.sender, VIEW("postmaster@ici.test")));
        assert_int_equal(mailq_rcpts(f->s, ids[i], &f->a, &rcpts, &n_rcpts), RC_OK);
        assert_int_equal(n_rcpts, 1);
        assert_int_equal(rcpts[0].notify, NOTIFY_NEVER);
        snprintf(out + strlen(out), size - strlen(out), "%s%.*s", *out ? " " : "", VIEW_FMT(rcpts[0].address));
        assert_int_equal(blob_open(f->s, m.blob, true, &b), RC_OK);
        buf_reset(last);
        buf_add(last, view_from(b.bytes, m.skip));
        blob_close(&b);
    }
}

static void reports_go_to_whom_they_may(void **state)
{
    struct fixture *f = *state;
    struct collect *c;
    struct dns *dns;
    struct buf mail, gzip, xml;
    struct seen_report *r;
    char to[512];
    size_t n;
    int signatures = 0;
    const struct view never[] = {VIEW("blocked.test"), VIEW("not@me.test")};
    const struct report_settings set = {.aggregate = true, .hostname = "mx.ici.test", .never = never, .n_never = 2, .per_day = 4,
                                        .sign = fake_sign, .sign_ctx = &signatures};
    buf_init(&mail, 1u << 20);
    buf_init(&gzip, 1u << 20);
    buf_init(&xml, 1u << 20);
    assert_int_equal(directory_domain_add(f->s, VIEW("autre.test")), RC_OK);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(dns_new_scripted(answers, &dns), RC_OK);
    assert_int_equal(collect_new(&c), RC_OK);
    note(f, c, "a.test", "v=DMARC1; p=none; rua=mailto:x@a.test,mailto:y@nobody.test,mailto:z@b.test,mailto:small@a.test!1", row_text, 3, 0);
    note(f, c, "a.test", "v=DMARC1; p=none; rua=mailto:x@a.test,mailto:y@nobody.test,mailto:z@b.test,mailto:small@a.test!1", row_text, 2, 0);
    note(f, c, "spam.test", "v=DMARC1; p=none; rua=mailto:x@spam.test", row_text, 5, 5);
    note(f, c, "sub.blocked.test", "v=DMARC1; p=none; rua=mailto:x@sub.blocked.test", row_text, 1, 0);
    note(f, c, "me.test", "v=DMARC1; p=none; rua=mailto:not@me.test", row_text, 1, 0);
    collect_flush(c, f->s);
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 80000, NULL, &n), RC_OK);
    assert_int_equal(n, 0); /* the day is not over */
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 90001, NULL, &n), RC_OK);
    assert_int_equal(n, 4);
    queued(f, to, sizeof to, &mail);
    assert_string_equal(to, "x@a.test z@b.test");
    assert_int_equal(signatures, 2);
    assert_int_equal(seen_reports(f->s, 0, 10, &f->a, &r, &n), RC_OK);
    for (size_t i = 0; i < n; i++) {
        bool sent = view_eq(r[i].domain, VIEW("a.test"));
        assert_true(view_starts(r[i].note, sent ? VIEW("sent to 2") : VIEW("not sent: ")));
        assert_int_equal(r[i].finished_s, DAY + 90001);
    }
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 90002, NULL, &n), RC_OK);
    assert_int_equal(n, 0);

    struct view m = buf_view(&mail), header = header_of(m);
    assert_true(view_starts(m, VIEW("DKIM-Signature: fake\r\nFrom: postmaster@ici.test\r\n")));
    assert_true(view_eq(header_value(header, VIEW("Auto-Submitted")), VIEW("auto-generated")));
    struct buf subject;
    buf_init(&subject, 1000);
    header_unfold(header_value(header, VIEW("Subject")), &subject);
    assert_true(view_starts(buf_view(&subject), VIEW("Report Domain: a.test Submitter: ici.test Report-ID: <1763769600.1763855999.")));
    buf_clear(&subject);
    char *name = arena_printf(&f->a, "filename=\"ici.test!a.test!%d!%d.xml.gz\"", DAY, DAY + 86399);
    size_t at = view_find(m, view_str(name));
    assert_true(at != VIEW_NONE);
    struct view body = view_from(m, at);
    body = view_from(body, view_find(body, VIEW("\r\n\r\n")) + 4);
    base64_decode_mime(view_slice(body, 0, view_find(body, VIEW("\r\n--"))), &gzip);
    unzip(buf_view(&gzip), &xml);
    assert_true(view_find(buf_view(&xml), VIEW("<count>5</count>")) != VIEW_NONE);
    collect_free(c);
    dns_free(dns);
    buf_clear(&mail);
    buf_clear(&gzip);
    buf_clear(&xml);
}

static void caps_and_pauses_hold(void **state)
{
    struct fixture *f = *state;
    struct collect *c;
    struct dns *dns;
    struct buf mail;
    char to[512];
    int64_t until;
    size_t n;
    const struct report_settings set = {.aggregate = true, .hostname = "mx.ici.test", .per_day = 3, .per_destination = 1};
    buf_init(&mail, 1u << 20);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(dns_new_scripted("one.a.test._report._dmarc.c.test TXT \"v=DMARC1\"\ntwo.a.test._report._dmarc.c.test TXT \"v=DMARC1\"\n"
                                      "slow.test._report._dmarc.d.test TXT !temp\n", &dns), RC_OK);
    assert_int_equal(collect_new(&c), RC_OK);
    assert_int_equal(seen_bounced(f->s, VIEW("gone@a.test"), clock_real_s(), 86400, 86400, VIEW("no such mailbox"), &until), RC_OK);
    note(f, c, "a.test", "v=DMARC1; p=none; rua=mailto:gone@a.test", row_text, 1, 0);
    note(f, c, "one.a.test", "v=DMARC1; p=none; rua=mailto:x@c.test", row_text, 1, 0);
    note(f, c, "two.a.test", "v=DMARC1; p=none; rua=mailto:x@c.test", row_text, 1, 0);
    note(f, c, "slow.test", "v=DMARC1; p=none; rua=mailto:x@d.test", row_text, 1, 0);
    collect_flush(c, f->s);
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 90001, NULL, &n), RC_OK);
    assert_int_equal(n, 4);
    queued(f, to, sizeof to, &mail);
    assert_string_equal(to, "x@c.test");
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 90001 + REPORT_RETRY_S, NULL, &n), RC_OK);
    assert_int_equal(n, 1); /* the one whose name servers were silent */
    assert_int_equal(report_round(f->s, dns, &set, SEEN_DMARC, DAY + 2 * 86400 + REPORT_START_S, NULL, &n), RC_OK);
    queued(f, to, sizeof to, &mail);
    assert_string_equal(to, "x@c.test x@c.test"); /* the next day */
    collect_free(c);
    dns_free(dns);
    buf_clear(&mail);
}

static void a_flood_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct collect *c;
    struct seen_report *r;
    size_t n, lost = 0;
    assert_int_equal(collect_new(&c), RC_OK);
    for (unsigned i = 0; i < 3 * COLLECT_ROWS_MAX; i++) {
        struct seen_add add = {.domain = VIEW("a.test"), .policy = VIEW("treewalk v=DMARC1"), .row = VIEW("x"), .n = 1, .time_s = DAY};
        memcpy(add.key, &i, sizeof i);
        lost += collect_add(c, &add) == RC_LIMIT;
        if (i == 2 * COLLECT_ROWS_MAX - 1)
            collect_flush(c, f->s);
    }
    collect_flush(c, f->s);
    assert_int_equal(lost, COLLECT_ROWS_MAX);
    assert_int_equal(seen_reports(f->s, 0, 10, &f->a, &r, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(r[0].rows, REPORT_ROWS_MAX);
    assert_int_equal(r[0].messages, 2 * COLLECT_ROWS_MAX);
    assert_int_equal(r[0].dropped, 2 * COLLECT_ROWS_MAX - REPORT_ROWS_MAX);
    collect_free(c);
}

static void the_thread_gathers_and_answers(void **state)
{
    struct fixture *f = *state;
    struct report *r;
    struct dns *dns;
    struct judgement j;
    struct seen_report *list;
    size_t n = 0;
    uint64_t number, asked, answered = 0;
    int64_t day_s, until = clock_mono_ms() + 20000;
    const struct report_settings set = {.aggregate = true, .hostname = "mx.ici.test"};
    const struct report_facts facts = {.envelope_to = VIEW("ici.test")};
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(dns_new_scripted(answers, &dns), RC_OK);
    assert_int_equal(report_new(&set, f->s, dns, &r), RC_OK);
    verdict(&j, &f->a, "a.test", "v=DMARC1; p=none; rua=mailto:x@a.test");
    j.facts.now_s = clock_real_s();
    for (int i = 0; i < 10; i++)
        report_note(r, &j, &facts);
    const int64_t today = clock_real_s() - clock_real_s() % SEEN_DAY_S;
    assert_int_equal(seen_ask(f->s, today, &number), RC_OK);
    report_wake(r);
    while (answered < number && clock_mono_ms() < until)
        assert_int_equal(seen_asked(f->s, &asked, &day_s, &answered), RC_OK);
    assert_int_equal(answered, number);
    assert_int_equal(seen_reports(f->s, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].messages, 10);
    assert_int_equal(list[0].rows, 1);
    assert_true(view_eq(list[0].note, VIEW("sent to 1")));
    report_note(r, &j, &facts);
    report_free(r); /* what was noted is written */
    assert_int_equal(seen_reports(f->s, 0, 10, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(list[1].messages, 1);
    assert_true(list[1].begin_s > list[0].end_s);
    dns_free(dns);
}

static void bounces_are_recognised(void **state)
{
    (void)state;
    static const uint8_t key[BOUNCE_KEY_SIZE] = {7};
    static const char dsn[] = "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n";
    struct arena a;
    struct view sender, tag;
    char own[BOUNCE_TAG + 1];
    arena_init(&a, 65536);
    assert_int_equal(bounce_sender(key, VIEW("dmarc@ici.test"), VIEW("x@a.test"), &a, &sender), RC_OK);
    assert_int_equal(bounce_tag(key, VIEW("x@a.test"), own), RC_OK);
    assert_true(bounce_is(view_str(dsn), sender, &tag));
    assert_true(view_eq(tag, view_str(own)));
    assert_false(bounce_is(VIEW("Content-Type: text/plain\r\n\r\n"), sender, &tag));
    static const char *const others[] = {"dmarc@ici.test", "+bounce-0123456789abcdef@ici.test", "a+bounce-0123456789abcde@ici.test",
                                         "a+bounce-0123456789abcdeg@ici.test", "a+bounce_0123456789abcdef@ici.test", "", "@"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(bounce_is(view_str(dsn), exact(&a, others[i]), &tag));
    char *longest = arena_printf(&a, "%.*s@ici.test", 50, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(bounce_sender(key, view_str(longest), VIEW("x@a.test"), &a, &sender), RC_OK);
    assert_true(view_eq(sender, view_str(longest)));
    arena_clear(&a);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_hold_one_mailbox),
        cmocka_unit_test(destinations_must_agree),
        cmocka_unit_test(dispositions_say_what_was_done),
        cmocka_unit_test(signatures_come_in_order),
        cmocka_unit_test(markup_of_strangers_stays_text),
        cmocka_unit_test(documents_are_whole),
        cmocka_unit_test(failure_reports_are_asked_for),
        cmocka_unit_test(nothing_of_persons_is_shown),
        cmocka_unit_test(bounces_are_recognised),
        cmocka_unit_test(feedback_has_what_is_required),
        WITH_STORE(reports_go_to_whom_they_may),
        WITH_STORE(caps_and_pauses_hold),
        WITH_STORE(a_flood_is_bounded),
        WITH_STORE(the_thread_gathers_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
