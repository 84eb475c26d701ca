/* The judge over scripted answers: what each verdict makes the door do, who may override it, and what is written. */
#include "policy/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"
#include "crypto/pkey.h"
#include "mailauth/authres.h"

#define NOW 1700000000

static struct {
    struct pkey *key;
    struct dns *dns;
} world;

static const char zone[] = "2.0.0.127.in-addr.arpa PTR mx.bank.test\n"
                           "mx.bank.test A 127.0.0.2\n"
                           "3.0.0.127.in-addr.arpa PTR liar.test\n"
                           "liar.test A 127.0.0.99\n"
                           "4.0.0.127.in-addr.arpa PTR !temp\n"
                           "bank.test TXT \"v=spf1 ip4:127.0.0.2 -all\"\n"
                           "_dmarc.bank.test TXT \"v=DMARC1; p=reject\"\n"
                           "soft.test TXT \"v=spf1 ip4:127.0.0.2 ~all\"\n"
                           "_dmarc.soft.test TXT \"v=DMARC1; p=quarantine\"\n"
                           "_dmarc.testing.test TXT \"v=DMARC1; p=quarantine; t=y\"\n"
                           "_dmarc.lost.test TXT !temp\n"
                           "other.test TXT \"v=spf1 +all\"\n"
                           "mail.other.test A 127.0.0.9\n";

static int set_up(void **state)
{
    static const char *const signers[] = {"bank.test", "list.test", "relay.test", "stranger.test", "sub.list.test"};
    struct buf bytes, text;
    (void)state;
    buf_init(&bytes, 4096);
    buf_init(&text, 16384);
    assert_int_equal(pkey_generate(PKEY_ED25519, 0, &world.key), RC_OK);
    assert_int_equal(pkey_public_write(world.key, &bytes), RC_OK);
    buf_str(&text, zone);
    for (size_t i = 0; i < sizeof signers / sizeof *signers; i++) {
        buf_printf(&text, "s._domainkey.%s TXT \"v=DKIM1; k=ed25519; p=", signers[i]);
        base64_encode(buf_view(&bytes), &text);
        buf_str(&text, "\"\n");
    }
    buf_chr(&text, 0);
    assert_int_equal(dns_new_scripted(text.p, &world.dns), RC_OK);
    buf_clear(&bytes);
    buf_clear(&text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pkey_free(world.key);
    dns_free(world.dns);
    return 0;
}

/* --- one message before the judge --- */

struct box {
    struct judge_settings set;
    struct judge_facts facts;
    struct arena a;
    struct judgement v;
};

static void open_box(struct box *b, const char *ip, const char *helo, const char *mail_from)
{
    *b = (struct box){.set = {.authserv_id = "mx.ici.test", .enforce = true, .arc = true},
                      .facts = {.helo = view_str(helo), .mail_from = view_str(mail_from), .now_s = NOW}};
    if (ip)
        assert_int_equal(addr_parse_ip(view_str(ip), 0, &b->facts.ip), RC_OK);
    arena_init(&b->a, JUDGE_MEMORY);
}

static void close_box(struct box *b)
{
    arena_clear(&b->a);
}

static char *heap_copy(struct view v)
{
    char *copy = malloc(v.n ? v.n : 1);
    assert_non_null(copy);
    if (v.n > 0)
        memcpy(copy, v.p, v.n);
    return copy;
}

static void judge_it(struct box *b, struct dns *dns, struct view message)
{
    struct judge *j;
    struct view header = header_of(message), body = header_body(message);
    char *header_copy = heap_copy(header);
    arena_clear(&b->a);
    assert_int_equal(judge_new(&b->set, dns, &b->facts, &b->a, &j), RC_OK);
    assert_int_equal(judge_header(j, view_of(header_copy, header.n)), RC_OK);
    for (size_t i = 0; i < body.n; i += 1000) {
        char *piece = heap_copy(view_slice(body, i, 1000));
        judge_body(j, view_of(piece, view_slice(body, i, 1000).n));
        free(piece);
    }
    assert_int_equal(judge_finish(j, &b->v), RC_OK);
    judge_free(j);
    free(header_copy); /* the judgement needs it no more */
}

static void judge_text(struct box *b, const char *message)
{
    judge_it(b, world.dns, view_str(message));
}

static bool has(struct view text, const char *part)
{
    return view_find(text, view_str(part)) != VIEW_NONE;
}

/* --- decisions --- */

static void test_policies(void **state)
{
    static const struct {
        const char *ip, *mail_from, *header;
        enum dmarc_result result;
        enum judge_action action;
        const char *status;
        const char *text; /* a part of it */
    } cases[] = {
        {"127.0.0.2", "a@bank.test", "From: a@bank.test\r\n", DMARC_PASS, JUDGE_ACCEPT, "", ""},
        {"127.0.0.9", "a@bank.test", "From: a@bank.test\r\n", DMARC_FAIL, JUDGE_REJECT, "5.7.26", "SPF fail for bank.test"},
        {"127.0.0.9", "a@other.test", "From: a@bank.test\r\n", DMARC_FAIL, JUDGE_REJECT, "5.7.26", "p=reject at _dmarc.bank.test"},
        {"127.0.0.9", "a@other.test", "From: a@soft.test\r\n", DMARC_FAIL, JUDGE_JUNK, "", "p=quarantine"},
        {"127.0.0.9", "a@other.test", "From: a@testing.test\r\n", DMARC_FAIL, JUDGE_ACCEPT, "", ""},
        {"127.0.0.9", "a@other.test", "From: a@nobody.test\r\n", DMARC_NONE, JUDGE_ACCEPT, "", ""},
        {"127.0.0.9", "a@other.test", "From: a@lost.test\r\n", DMARC_TEMPERROR, JUDGE_ACCEPT, "", ""},
        {"127.0.0.9", "", "From: a@bank.test\r\n", DMARC_FAIL, JUDGE_REJECT, "5.7.26", "no DKIM signature"},
        /* a From that names not one author */
        {"127.0.0.2", "a@bank.test", "Subject: none\r\n", DMARC_PERMERROR, JUDGE_ACCEPT, "", ""},
        {"127.0.0.2", "a@bank.test", "From: a@bank.test\r\nFrom: a@bank.test\r\n", DMARC_PERMERROR, JUDGE_REJECT, "5.6.0", "several From"},
        {"127.0.0.2", "a@other.test", "From: a@other.test\r\nFrom: a@bank.test\r\n", DMARC_PERMERROR, JUDGE_REJECT, "5.7.26", "bank.test"},
        {"127.0.0.2", "a@other.test", "From: a@other.test, b@bank.test\r\n", DMARC_PERMERROR, JUDGE_REJECT, "5.7.26", "bank.test"},
        {"127.0.0.2", "a@other.test", "From: a@other.test, b@nobody.test\r\n", DMARC_PERMERROR, JUDGE_ACCEPT, "", ""},
        {"127.0.0.2", "a@other.test", "From: \"a@nobody.test\r\n", DMARC_PERMERROR, JUDGE_JUNK, "", "several ways"},
        {"127.0.0.2", "a@other.test", "From: \"a@bank.test\r\n", DMARC_PERMERROR, JUDGE_REJECT, "5.7.26", "bank.test"},
        {"127.0.0.2", "a@other.test", "From: Nobody\r\n", DMARC_PERMERROR, JUDGE_JUNK, "", ""},
        {"127.0.0.2", "a@other.test", "", DMARC_PERMERROR, JUDGE_ACCEPT, "", ""},
    };
    struct box b;
    char text[500];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_box(&b, cases[i].ip, "mail.other.test", cases[i].mail_from);
        snprintf(text, sizeof text, "%s\r\nbody\r\n", cases[i].header);
        judge_text(&b, text);
        if (b.v.dmarc.result != cases[i].result || b.v.action != cases[i].action || strcmp(b.v.status, cases[i].status) != 0 ||
            !has(b.v.text, cases[i].text) || (b.v.text.n > 0) != (b.v.action != JUDGE_ACCEPT))
            fail_msg("case %zu: dmarc %s action %d status %s text %.*s", i, dmarc_result_name(b.v.dmarc.result), b.v.action,
                     b.v.status, VIEW_FMT(b.v.text));
        b.set.enforce = false; /* told and not acted on */
        judge_text(&b, text);
        assert_int_equal(b.v.action, JUDGE_ACCEPT);
        assert_int_equal(b.v.dmarc.result, cases[i].result);
        if (cases[i].result == DMARC_FAIL)
            assert_int_equal(b.v.dmarc.override, strstr(text, "testing") ? DMARC_POLICY_TEST_MODE : DMARC_LOCAL_POLICY);
        close_box(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
