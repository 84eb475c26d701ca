/* Messages made to cost us much: each is judged, in bounded time, and never passes by accident. */
#include "policy/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "mailauth/authres.h"

#define MESSAGE_MAX (8u << 20)
#define CPU_MS_MAX  2000 /* of one message, on a slow machine, with sanitizers */

static const char zone[] = "other.test TXT \"v=spf1 +all\"\n"
                           "_dmarc.bank.test TXT \"v=DMARC1; p=reject\"\n";

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct outcome {
    enum rc rc;
    enum judge_action action;
    enum dmarc_result dmarc;
    struct dkim_list dkim;
    struct arc_verdict arc;
    int64_t ms;
};

/* Judges an exact copy; the field that tells of it must hold together. */
static struct outcome judge_it(struct dns *dns, const struct buf *text)
{
    const struct judge_settings set = {.authserv_id = "mx.ici.test", .enforce = true, .arc = true};
    struct judge_facts facts = {.helo = VIEW("mail.other.test"), .mail_from = VIEW("a@other.test"), .now_s = 1700000000};
    struct outcome out = {0};
    struct judgement v;
    struct judge *j;
    struct arena a;
    struct buf field;
    char *copy = malloc(text->n ? text->n : 1);

    assert_int_equal(buf_rc(text), RC_OK);
    assert_non_null(copy);
    memcpy(copy, text->p ? text->p : "", text->n);
    struct view message = view_of(copy, text->n);
    assert_int_equal(addr_parse_ip(VIEW("127.0.0.9"), 0, &facts.ip), RC_OK);
    arena_init(&a, JUDGE_MEMORY);
    buf_init(&field, 1u << 16);
    const int64_t start_ms = cpu_ms();
    assert_int_equal(judge_new(&set, dns, &facts, &a, &j), RC_OK);
    out.rc = judge_header(j, header_of(message));
    if (out.rc == RC_OK) {
        judge_body(j, header_body(message));
        out.rc = judge_finish(j, &v);
    }
    judge_free(j);
    if (out.rc == RC_OK) {
        assert_int_equal(judge_results(&set, &v, 8192, &field), RC_OK);
        out.action = v.action;
        out.dmarc = v.dmarc.result;
        out.dkim = v.dkim;
        out.arc = v.arc;
    }
    out.ms = cpu_ms() - start_ms;
    if (out.ms > CPU_MS_MAX)
        fail_msg("%lld ms", (long long)out.ms);
    buf_clear(&field);
    arena_clear(&a);
    free(copy);
    return out;
}

static struct dns *open_dns(const char *text)
{
    struct dns *dns;
    assert_int_equal(dns_new_scripted(text, &dns), RC_OK);
    return dns;
}

static void put_times(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_str(b, text);
}

/* head, n times what, tail */
static struct outcome judge_many(struct dns *dns, const char *head, const char *what, size_t n, const char *tail)
{
    struct buf b;
    buf_init(&b, MESSAGE_MAX);
    buf_str(&b, head);
    put_times(&b, what, n);
    buf_str(&b, tail);
    struct outcome out = judge_it(dns, &b);
    buf_clear(&b);
    return out;
}

static const char from[] = "From: a@bank.test\r\n", end[] = "\r\n\r\nbody\r\n";

static void test_many_signatures(void **state)
{
    static const char signature[] = "DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=s; h=from:to:subject; bh=AAAA; b=AAAA\r\n";
    struct dns *dns = open_dns(zone);
    (void)state;
    struct outcome v = judge_many(dns, "", signature, 1000, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(v.rc, RC_OK);
    assert_int_equal(v.action, JUDGE_REJECT);
    assert_int_equal(v.dkim.n, DKIM_SIGNATURES_MAX);
    assert_int_equal(v.dkim.n_skipped, 1000 - DKIM_SIGNATURES_MAX);
    v = judge_many(dns, "", "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=other.test; s=s; b=AAAA\r\n", 3000, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(v.action, JUDGE_REJECT);
    assert_int_equal(v.arc.result, ARC_FAIL);
    dns_free(dns);
}

/* One field more than are looked at, a header larger than is looked at: no signature counts, the author still does. */
static void test_large_headers(void **state)
{
    struct dns *dns = open_dns(zone);
    char line[1001];
    (void)state;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    struct outcome few = judge_many(dns, from, "X-A: b\r\n", 10, end);
    struct outcome many = judge_many(dns, from, "X-A: b\r\n", HEADER_FIELDS_MAX - 1, end);
    assert_int_equal(few.action, JUDGE_REJECT);
    assert_int_equal(many.action, JUDGE_REJECT);
    assert_true(many.ms <= 300 + 1000 * few.ms); /* a thousand times the fields */
    assert_int_equal(judge_many(dns, from, "X-A: b\r\n", HEADER_FIELDS_MAX, end).action, JUDGE_REJECT);
    assert_int_equal(judge_many(dns, "", "X-A: b\r\n", 50000, "From: a@bank.test\r\n\r\nbody\r\n").action, JUDGE_REJECT);
    assert_int_equal(judge_many(dns, "From: a@bank.test\r\nX: ", line, HEADER_MAX / 1000 + 1, end).action, JUDGE_REJECT);
    struct outcome v = judge_many(dns, "DKIM-Signature: v=1; a=rsa-sha256; d=bank.test; s=s; h=from; bh=AAAA; b=AAAA\r\nFrom: a@bank.test\r\nX: ",
                                  line, HEADER_MAX / 1000 + 1, end);
    assert_int_equal(v.dkim.n, 0);
    assert_int_equal(v.dkim.n_skipped, 1);
    assert_int_equal(v.action, JUDGE_REJECT);
    dns_free(dns);
}

/* A signature that covers 10,000 fields, and one whose h= has 10,000 names. */
static void test_large_signatures(void **state)
{
    struct dns *dns = open_dns(zone);
    struct buf b;
    (void)state;
    buf_init(&b, MESSAGE_MAX);
    for (int i = 0; i < DKIM_SIGNATURES_MAX; i++) {
        buf_str(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=s; bh=AAAA; b=AAAA; h=from");
        put_times(&b, ":x-a", 3900);
        buf_str(&b, "\r\n");
    }
    buf_str(&b, from);
    put_times(&b, "X-A: b\r\n", 9900);
    buf_str(&b, end);
    assert_int_equal(judge_it(dns, &b).action, JUDGE_REJECT);
    buf_clear(&b);
    dns_free(dns);
}

static void test_large_keys(void **state)
{
    struct buf script, b;
    (void)state;
    buf_init(&script, MESSAGE_MAX);
    buf_init(&b, MESSAGE_MAX);
    buf_str(&script, zone);
    for (int i = 0; i < 18; i++) { /* nine records of 60 KB for each of two names, in strings of 255 bytes */
        buf_printf(&script, "s%d._domainkey.other.test TXT", i % 2);
        for (int k = 0; k < 238; k++) {
            buf_str(&script, k == 0 ? " \"v=DKIM1; p=" : " \"");
            put_times(&script, "A", 242);
            buf_str(&script, "\"");
        }
        buf_str(&script, "\n");
    }
    buf_chr(&script, 0);
    assert_int_equal(buf_rc(&script), RC_OK);
    struct dns *dns = open_dns(script.p);
    for (int i = 0; i < DKIM_SIGNATURES_MAX; i++)
        buf_printf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=s%d; h=from; bh=AAAA; b=AAAA\r\n", i % 2);
    buf_str(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(judge_it(dns, &b).action, JUDGE_REJECT);
    dns_free(dns);
    buf_clear(&b);
    buf_clear(&script);
}

static void test_from_tricks(void **state)
{
    static const struct {
        const char *head, *what;
        size_t n;
        const char *tail;
        enum judge_action least; /* this or more */
    } cases[] = {
        {"From: ", "a@bank.test, ", 60000, "a@bank.test\r\n\r\n", JUDGE_REJECT},
        {"From: a@bank.test ", "(", 400000, "\r\n\r\n", JUDGE_REJECT},
        {"From: a@bank.test ", "\"", 400001, "\r\n\r\n", JUDGE_REJECT},
        {"From: ", "(", 400000, "a@bank.test\r\n\r\n", JUDGE_JUNK},
        {"From: ", "@(", 200000, "a@bank.test\r\n\r\n", JUDGE_JUNK},
        {"From: ", "<", 400000, "a@bank.test>\r\n\r\n", JUDGE_REJECT},
        {"From: ", "a:", 200000, "a@bank.test;\r\n\r\n", JUDGE_JUNK},
        {"From: ", "=?utf-8?q?", 40000, "a@bank.test\r\n\r\n", JUDGE_JUNK},
        {"From: ", "=?utf-8?q?a?= ", 40000, "<a@bank.test>\r\n\r\n", JUDGE_REJECT},
        {"From: a@bank.test\r\n", " \r\n", 200000, "\r\n", JUDGE_REJECT},
        {"From: a@", "a.", 200000, "bank.test\r\n\r\n", JUDGE_JUNK},
        {"From: a@", "bank.test,b@", 10, "other.test\r\n\r\n", JUDGE_REJECT},
        {"", "From: a@bank.test\r\n", 9000, "\r\n", JUDGE_REJECT},
        {"From: a@other.test\r\n", "From: b@other.test\r\n", 8, "From: a@bank.test\r\n\r\n", JUDGE_REJECT},
        {"From: ", "\\", 400000, "a@bank.test\r\n\r\n", JUDGE_JUNK},
        {"From: \"", "\\\"", 200000, "\" <a@bank.test>\r\n\r\n", JUDGE_REJECT},
    };
    struct dns *dns = open_dns(zone);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome v = judge_many(dns, cases[i].head, cases[i].what, cases[i].n, cases[i].tail);
        if (v.rc != RC_OK || v.action < cases[i].least)
            fail_msg("case %zu: rc %s action %d dmarc %s", i, rc_name(v.rc), v.action, dmarc_result_name(v.dmarc));
    }
    dns_free(dns);
}

static void test_no_message_at_all(void **state)
{
    static const struct view messages[] = {
        VIEW_INIT(""), VIEW_INIT("\r\n"), VIEW_INIT("\0\0\0"), VIEW_INIT("body without a header\r\n"),
        VIEW_INIT("\r\nFrom: a@other.test\r\n"), VIEW_INIT(": \r\n:\r\n\r\n"), VIEW_INIT("From\0: a@other.test\r\n\r\n"),
    };
    static const struct view nul[] = {
        VIEW_INIT("From: a@bank.test\0@other.test\r\n\r\n"), VIEW_INIT("From: a@other.test\0,b@bank.test\r\n\r\n"),
        VIEW_INIT("From: <a@bank.test>\0\r\n\r\n\0\0"), VIEW_INIT("From: a@other.test\r\nFrom: b\0@bank.test\r\n\r\n"),
    };
    struct dns *dns = open_dns(zone);
    struct buf b;
    (void)state;
    buf_init(&b, MESSAGE_MAX);
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        buf_reset(&b);
        buf_add(&b, messages[i]);
        struct outcome v = judge_it(dns, &b);
        assert_int_equal(v.rc, RC_OK);
        assert_int_equal(v.dmarc, DMARC_PERMERROR);
    }
    for (size_t i = 0; i < sizeof nul / sizeof *nul; i++) {
        buf_reset(&b);
        buf_add(&b, nul[i]);
        struct outcome v = judge_it(dns, &b);
        if (v.dmarc == DMARC_PASS || v.action == JUDGE_ACCEPT)
            fail_msg("case %zu: %s", i, dmarc_result_name(v.dmarc));
    }
    buf_clear(&b);
    dns_free(dns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_signatures), cmocka_unit_test(test_large_headers), cmocka_unit_test(test_large_signatures),
        cmocka_unit_test(test_large_keys),      cmocka_unit_test(test_from_tricks),   cmocka_unit_test(test_no_message_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
