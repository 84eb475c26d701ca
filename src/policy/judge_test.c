/* The judge over scripted answers: what each verdict makes the door do, who may override it, and what is written. */
#include "policy/judge_impl.h"

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
                           "mail.other.test A 127.0.0.9\n"
                           "mail.lost.test A !temp\n";

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

/* --- exceptions --- */

static void test_trusted_forwarders(void **state)
{
    struct addr_net net;
    struct box b;
    (void)state;
    assert_int_equal(addr_net_parse(VIEW("127.0.0.8/30"), &net), RC_OK);
    open_box(&b, "127.0.0.9", "mail.other.test", "a@other.test");
    b.set.forwarders = &net;
    b.set.n_forwarders = 1;
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(b.v.action, JUDGE_ACCEPT);
    assert_int_equal(b.v.dmarc.result, DMARC_FAIL);
    assert_int_equal(b.v.dmarc.policy, DMARC_POLICY_REJECT);
    assert_int_equal(b.v.dmarc.override, DMARC_TRUSTED_FORWARDER);
    judge_text(&b, "From: a@bank.test\r\nFrom: b@bank.test\r\n\r\nbody\r\n"); /* forwarding breaks no From */
    assert_int_equal(b.v.action, JUDGE_REJECT);
    assert_int_equal(addr_parse_ip(VIEW("::ffff:127.0.0.9"), 0, &b.facts.ip), RC_OK);
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(b.v.action, JUDGE_ACCEPT);
    assert_int_equal(addr_parse_ip(VIEW("127.0.0.12"), 0, &b.facts.ip), RC_OK);
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    assert_int_equal(b.v.action, JUDGE_REJECT);
    close_box(&b);
}

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    (void)ctx, (void)domain, (void)selector, (void)algorithm;
    return pkey_sign(world.key, digest, signature);
}

/* One more set on top, made by whoever `domain` is, who adds a line to the body before. */
static void seal(struct buf *text, const char *domain, const char *results, const struct view *headers, size_t n_headers)
{
    struct arc_seal_settings set = {view_str(domain), VIEW("s"), DKIM_ED25519_SHA256, view_str(domain), NOW, headers, n_headers};
    struct dkim_body *body = dkim_body_new();
    struct arc_verdict found;
    struct arena a;
    struct buf out;
    size_t slot;
    arena_init(&a, 1u << 24);
    buf_init(&out, 1u << 20);
    assert_int_equal(arc_verify_message(buf_view(text), world.dns, NO_DEADLINE, &a, &found), RC_OK);
    buf_printf(text, "-- %s\r\n", domain);
    assert_int_equal(dkim_sign_want(body, &slot), RC_OK);
    dkim_body_add(body, header_body(buf_view(text)));
    assert_int_equal(dkim_body_end(body), RC_OK);
    assert_int_equal(arc_seal(&set, header_of(buf_view(text)), body, slot, view_str(results), &found, sign, NULL, &out), RC_OK);
    buf_add(&out, buf_view(text));
    buf_clear(text);
    *text = out;
    dkim_body_free(body);
    arena_clear(&a);
}

/* Trusted are list.test and relay.test. */
static void test_arc_of_trusted_sealers(void **state)
{
    static const char good[] = "spf=pass smtp.mailfrom=a@bank.test; dmarc=pass (p=reject) header.from=bank.test";
    static const struct {
        const char *domain[3], *results[3];
        bool overrides;
    } cases[] = {
        {{"list.test"}, {good}, true},
        {{"LIST.test"}, {good}, true},
        {{"stranger.test"}, {good}, false},
        {{"sub.list.test"}, {good}, false}, /* trust is of one domain */
        {{"list.test"}, {"dmarc=fail header.from=bank.test"}, false},
        {{"list.test"}, {"dmarc=pass header.from=stranger.test"}, false},
        {{"list.test"}, {"dmarc=pass"}, true},
        {{"list.test"}, {"dmarc=pass header.from=BANK.test."}, true},
        {{"list.test"}, {"dmarc=pass header.from=bank.test; dmarc=fail header.from=bank.test"}, false},
        {{"list.test"}, {"dmarc=pass header.from=stranger.test; dmarc=pass header.from=bank.test"}, false},
        {{"list.test"}, {"spf=pass (dmarc=pass; dmarc=pass header.from=bank.test) smtp.helo=\"; dmarc=pass header.from=bank.test\""}, false},
        {{"list.test"}, {"none"}, false},
        {{"list.test"}, {"dkim=pass header.d=bank.test; spf=fail smtp.mailfrom=x.test"}, true}, /* says nothing of DMARC */
        {{"list.test"}, {"dkim=pass header.i=@bank.test"}, true},
        {{"list.test"}, {"spf=pass smtp.mfrom=a@bank.test"}, true},
        {{"list.test"}, {"spf=pass smtp.helo=bank.test"}, false},
        {{"list.test"}, {"dkim=pass header.d=mail.bank.test"}, false},
        {{"list.test"}, {"dkim=fail header.d=bank.test; spf=softfail smtp.mailfrom=bank.test"}, false},
        {{"list.test"}, {"dkim=pass header.d=bank.test; dmarc=fail header.from=bank.test"}, false},
        /* several sealers */
        {{"list.test", "relay.test"}, {good, "arc=pass; dmarc=fail header.from=bank.test"}, true},
        {{"list.test", "stranger.test"}, {good, "arc=pass; dmarc=fail header.from=bank.test"}, false},
        {{"stranger.test", "list.test"}, {good, "arc=pass; dmarc=fail header.from=bank.test"}, false}, /* what a stranger says */
        {{"stranger.test", "list.test"}, {"none", good}, true},                                        /* what list.test saw */
        {{"list.test", "stranger.test", "relay.test"}, {good, "arc=pass", "arc=pass; dmarc=fail header.from=bank.test"}, false},
        {{"stranger.test", "list.test", "relay.test"}, {"none", good, "arc=pass"}, true},
    };
    static const struct view trusted[] = {VIEW_INIT("relay.test"), VIEW_INIT("list.test")};
    struct box b;
    struct buf text;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_box(&b, "127.0.0.9", "mail.other.test", "a@other.test");
        b.set.sealers = trusted;
        b.set.n_sealers = 2;
        buf_init(&text, 1u << 20);
        buf_str(&text, "From: a@bank.test\r\nSubject: s\r\n\r\nbody\r\n");
        for (size_t k = 0; k < 3 && cases[i].domain[k]; k++)
            seal(&text, cases[i].domain[k], cases[i].results[k], NULL, 0);
        judge_it(&b, world.dns, buf_view(&text));
        assert_int_equal(b.v.arc.result, ARC_PASS);
        assert_int_equal(b.v.dmarc.result, DMARC_FAIL);
        if ((b.v.action == JUDGE_ACCEPT) != cases[i].overrides)
            fail_msg("case %zu: action %d", i, b.v.action);
        if (cases[i].overrides) {
            assert_int_equal(b.v.dmarc.override, DMARC_LOCAL_POLICY);
            assert_true(has(b.v.dmarc.override_comment, "arc=pass as["));
        }
        buf_str(&text, "one more line\r\n"); /* by whoever comes after */
        judge_it(&b, world.dns, buf_view(&text));
        assert_int_equal(b.v.action, JUDGE_REJECT);
        b.set.arc = false;
        judge_it(&b, world.dns, buf_view(&text));
        assert_int_equal(b.v.arc.result, ARC_NONE);
        assert_int_equal(b.v.action, JUDGE_REJECT);
        buf_clear(&text);
        close_box(&b);
    }
}

/* Between two trusted sealers, too, nobody may have changed the author or added text. */
static void test_arc_gaps(void **state)
{
    static const struct view trusted[] = {VIEW_INIT("list.test"), VIEW_INIT("relay.test")}, subject[] = {VIEW_INIT("Subject")};
    struct arc_set sets[2] = {{.instance = 1, .seal_domain = VIEW_INIT("list.test"), .signs_from = true,
                               .results = VIEW_INIT("list.test; dmarc=pass header.from=bank.test")},
                              {.instance = 2, .seal_domain = VIEW_INIT("relay.test"), .signs_from = true,
                               .results = VIEW_INIT("relay.test; arc=pass")}};
    const struct dmarc_authors authors = {.kind = DMARC_FROM_OK};
    struct box b;
    struct buf text;
    (void)state;
    open_box(&b, "127.0.0.9", "mail.other.test", "a@other.test");
    b.set.sealers = trusted;
    b.set.n_sealers = 2;
    for (size_t i = 0; i < 5; i++) {
        struct judgement v = {.dmarc = {.result = DMARC_FAIL, .author = VIEW("bank.test"), .policy = DMARC_POLICY_REJECT,
                                        .disposition = DMARC_POLICY_REJECT},
                              .arc = {.result = ARC_PASS, .sets = sets, .n_sets = 2}};
        sets[0].is_partial = i == 1;
        sets[1].is_partial = i == 2;
        sets[0].signs_from = i != 3;
        sets[1].signs_from = i != 4;
        assert_int_equal(judge_decide(&b.set, &authors, &b.a, &v), RC_OK);
        assert_int_equal(v.action, i == 0 ? JUDGE_ACCEPT : JUDGE_REJECT);
    }
    buf_init(&text, 1u << 20); /* a sealer that does not sign From: its chain says nothing of the author */
    buf_str(&text, "From: a@bank.test\r\nSubject: s\r\n\r\nbody\r\n");
    seal(&text, "list.test", "dmarc=pass header.from=bank.test", subject, 1);
    judge_it(&b, world.dns, buf_view(&text));
    assert_int_equal(b.v.arc.result, ARC_PASS);
    assert_int_equal(b.v.action, JUDGE_REJECT);
    buf_clear(&text);
    close_box(&b);
}

/* --- the client --- */

static void test_iprev_and_helo(void **state)
{
    static const struct {
        const char *ip, *helo, *iprev, *name, *note;
    } cases[] = {
        {"127.0.0.2", "mx.bank.test", "pass", "mx.bank.test", ""},
        {"::ffff:127.0.0.2", "MX.bank.test.", "pass", "mx.bank.test", ""},
        {"127.0.0.3", "liar.test", "fail", "liar.test", "other addresses"},
        {"127.0.0.4", "mail.lost.test", "temperror", "", ""},
        {"127.0.0.5", "gone.test", "permerror", "", "does not exist"},
        {"2001:db8::1", "mx.bank.test", "permerror", "", "no address"},
        {"127.0.0.9", "mx.ici.test", "permerror", "", "ours"},
        {"127.0.0.9", "[127.0.0.9]", "permerror", "", ""},
        {"127.0.0.9", "[127.0.0.2]", "permerror", "", "another address"},
        {"127.0.0.9", "[IPv6:::1]", "permerror", "", "another address"},
        {"2001:db8::1", "[IPv6:2001:db8::1]", "permerror", "", ""},
        {"2001:db8::1", "[2001:db8::1]", "permerror", "", "cannot be read"},
        {"127.0.0.9", "[127.0.0.9", "permerror", "", "not a host name"},
        {"127.0.0.9", "127.0.0.9", "permerror", "", "without brackets"},
        {"127.0.0.9", "localhost", "permerror", "", "fully qualified"},
        {"127.0.0.9", "a b", "permerror", "", "not a host name"},
        {"127.0.0.9", "x; dmarc=pass", "permerror", "", "not a host name"},
        {"127.0.0.9", "", "permerror", "", ""},
        {NULL, "mx.bank.test", "none", "", ""},
    };
    struct box b;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_box(&b, cases[i].ip, cases[i].helo, "a@other.test");
        judge_text(&b, "From: a@nobody.test\r\n\r\nbody\r\n");
        if (strcmp(b.v.iprev.result, cases[i].iprev) != 0 || !view_eq(b.v.iprev.name, view_str(cases[i].name)) ||
            (cases[i].note[0] == 0) != (b.v.helo_note[0] == 0) || !strstr(b.v.helo_note, cases[i].note))
            fail_msg("case %zu: iprev %s %.*s, HELO \"%s\"", i, b.v.iprev.result, VIEW_FMT(b.v.iprev.name), b.v.helo_note);
        assert_int_equal(b.v.action, JUDGE_ACCEPT);
        close_box(&b);
    }
}

/* --- what is written --- */

static void check_field(struct box *b, size_t max, struct buf *line)
{
    struct buf out;
    struct header_field field;
    buf_init(&out, 1u << 16);
    buf_reset(line);
    assert_int_equal(judge_results(&b->set, &b->v, max, &out), RC_OK);
    assert_true(out.n <= max);
    struct view in = buf_view(&out);
    assert_true(header_next(&in, &field));
    assert_int_equal(in.n, 0);
    assert_true(view_is_ascii(field.value));
    header_unfold(field.value, line);
    buf_clear(&out);
}

static void test_results(void **state)
{
    struct box b;
    struct buf line;
    (void)state;
    buf_init(&line, 1u << 16);
    open_box(&b, "127.0.0.2", "mx.bank.test", "a@bank.test");
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    check_field(&b, AUTHRES_FIELD_MAX, &line);
    struct view text = buf_view(&line);
    assert_true(view_starts(text, VIEW("mx.ici.test; dmarc=pass (p=reject dis=none)")));
    assert_true(has(text, "header.from=bank.test policy.dmarc=reject"));
    assert_true(has(text, "spf=pass") && has(text, "smtp.mailfrom=a@bank.test"));
    assert_true(has(text, "dkim=none") && !has(text, "; arc="));
    assert_true(has(text, "iprev=pass (mx.bank.test)") && has(text, "policy.iprev=127.0.0.2"));
    close_box(&b);

    open_box(&b, "127.0.0.9", "mx.bank.test", ""); /* one SPF result where both identities are one */
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    check_field(&b, AUTHRES_FIELD_MAX, &line);
    text = buf_view(&line);
    assert_true(has(text, "smtp.helo=mx.bank.test") && !has(text, "smtp.mailfrom"));
    close_box(&b);
    buf_clear(&line);
}

/* Whatever strangers name themselves: one field, and each method that we did not pass never reads as a pass. */
static void test_hostile_results(void **state)
{
    static const char *const names[] = {
        "x; dmarc=pass header.from=bank.test", "\"; dmarc=pass", "a\r\nAuthentication-Results: mx.ici.test; dmarc=pass", "(", ")",
        "\\", "\xc3\xa9.test", "\xff\xfe", "a b", "a=b", "mx.bank.test\r\n\r\nbody", "\t", ";", "; dkim=pass",
    };
    struct box b;
    struct buf line, message;
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 20);
    buf_init(&line, 1u << 16);
    buf_init(&message, 1u << 16);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char sender[200];
        snprintf(sender, sizeof sender, "%s@%s", names[i], i % 2 ? "other.test" : names[i]);
        open_box(&b, "127.0.0.9", names[i], sender);
        buf_reset(&message);
        buf_printf(&message, "DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=%s; i=%s; h=from; bh=AAAA; b=%s\r\nFrom: <a@bank.test>\r\n\r\nbody\r\n",
                   names[i], names[i], names[i], names[i]);
        judge_it(&b, world.dns, buf_view(&message));
        check_field(&b, AUTHRES_FIELD_MAX, &line);
        struct view results = buf_view(&line), id;
        struct authres_item one;
        unsigned n_dmarc = 0;
        assert_int_equal(authres_id(&results, &a, &id), RC_OK);
        while (authres_next(&results, &a, &one) == RC_OK) {
            n_dmarc += view_eq(one.method, VIEW("dmarc"));
            assert_false(view_eq(one.result, VIEW("pass")) && !view_eq(one.method, VIEW("spf")));
        }
        assert_int_equal(n_dmarc, 1);
        for (struct view in = buf_view(&line), part; view_split(&in, ';', &part);) /* a reader who does not know quotes */
            assert_false(view_starts(view_trim(in), VIEW("dmarc=pass")) || view_starts(view_trim(in), VIEW("dkim=pass")));
        arena_reset(&a);
        close_box(&b);
    }
    buf_clear(&line);
    buf_clear(&message);
    arena_clear(&a);
}

/* Comments go first, then signatures that did not pass. */
static void test_results_are_bounded(void **state)
{
    struct dkim_verdict v[DKIM_SIGNATURES_MAX];
    struct box b;
    struct buf line, whole;
    (void)state;
    buf_init(&line, 1u << 16);
    buf_init(&whole, 1u << 16);
    open_box(&b, "127.0.0.2", "mx.bank.test", "a@bank.test");
    judge_text(&b, "From: a@bank.test\r\n\r\nbody\r\n");
    static char names[DKIM_SIGNATURES_MAX][201];
    for (size_t i = 0; i < DKIM_SIGNATURES_MAX; i++) {
        memset(names[i], 'a' + (int)i, 200);
        v[i] = (struct dkim_verdict){.result = i == 7 ? DKIM_PASS : DKIM_FAIL, .reason = "the body is not what was signed",
                                     .domain = view_str(names[i]), .selector = view_str(names[i]), .identity = view_str(names[i])};
    }
    b.v.dkim = (struct dkim_list){v, DKIM_SIGNATURES_MAX, 0};
    check_field(&b, AUTHRES_FIELD_MAX, &whole);
    assert_true(has(buf_view(&whole), "the body is not") && has(buf_view(&whole), names[9]));
    check_field(&b, whole.n, &line);
    assert_true(!has(buf_view(&line), "the body is not") && has(buf_view(&line), names[9]));
    check_field(&b, 2000, &line);
    assert_true(has(buf_view(&line), names[7]) && !has(buf_view(&line), names[9]));
    check_field(&b, 300, &line);
    assert_true(!has(buf_view(&line), names[7]) && has(buf_view(&line), "dmarc=pass") && has(buf_view(&line), "spf=pass"));
    for (size_t i = 1; i < DKIM_SIGNATURES_MAX; i++)
        v[i] = v[0];
    check_field(&b, AUTHRES_FIELD_MAX, &line); /* the same signature again is told once */
    struct view first = buf_view(&line);
    size_t at = view_find(first, VIEW("dkim=fail"));
    assert_true(at != VIEW_NONE && view_find(view_from(first, at + 1), VIEW("dkim=fail")) == VIEW_NONE);
    buf_clear(&line);
    buf_clear(&whole);
    close_box(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_trusted_forwarders),
        cmocka_unit_test(test_arc_of_trusted_sealers),
        cmocka_unit_test(test_arc_gaps),
        cmocka_unit_test(test_iprev_and_helo),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_hostile_results),
        cmocka_unit_test(test_results_are_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
