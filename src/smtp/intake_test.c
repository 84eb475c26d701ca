/* What is done to a message on its way in: our own fields, the header section, the judge. */
#include "smtp/session_fixture.h"

static void put_times(struct buf *b, const char *text, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_str(b, text);
}

/* What we put in front comes last and stands first, whatever the length of the rest: also where its length must be a
 * multiple of 8. */
static void our_fields_stand_first(void **state)
{
    struct smtp_settings set = defaults;
    struct buf script, replies;
    set.message_size = 1 << 20;
    struct box b = open_box(state, &set);
    for (unsigned lines = 0; lines <= 8000; lines += 2000) {
        for (unsigned i = 0; i < 9; i++) {
            struct mailq_rcpt *r;
            struct blob blob;
            size_t n;
            buf_init(&script, 1 << 20);
            buf_printf(&script, "%sMAIL FROM:<%.*sx@labas.test>\r\n%sDATA\r\nSubject: x\r\n\r\n", HELLO, (int)i, "aaaaaaaaa",
                       RCPT);
            put_times(&script, "twenty bytes a line\r\n", lines);
            buf_str(&script, ".\r\nQUIT\r\n");
            talk(&b, SMTP_MTA, 0, buf_view(&script), 4096, &replies);
            expect_codes(buf_view(&replies), "220 250 250 250 354 250 221", "lines");
            struct mailq_message m = last_message(&b, &r, &n, &blob);
            struct view rest = view_from(blob.bytes, m.skip);
            assert_int_equal(m.skip, sizeof "Return-Path: <x@labas.test>\r\n" - 1 + i);
            assert_true(view_starts(rest, VIEW("Received: from mx.labas.test ([127.0.0.1])\r\n\tby mx.ici.test with ")));
            size_t at = view_find(rest, VIEW(" +0000\r\nSubject: x\r\n\r\n"));
            assert_int_not_equal(at, VIEW_NONE);
            assert_int_equal(rest.n - at, sizeof " +0000\r\nSubject: x\r\n\r\n" - 1 + lines * 21);
            assert_int_equal(m.size, rest.n);
            blob_close(&blob);
            buf_clear(&script);
            buf_clear(&replies);
        }
    }
    close_box(&b);
}

/* RFC 8601 §5. */
static void nobody_else_speaks_in_our_name(void **state)
{
    static const char script[] = HELLO MAIL RCPT
        "DATA\r\nAuthentication-Results: mx.ici.test; spf=pass\r\nX: 1\r\nauthentication-RESULTS :\r\n"
        "\t(c) MX.Ici.Test 1; dkim=pass\r\n (x)\r\nAuthentication-Results: mx.labas.test; spf=pass\r\n"
        "Authentication-Results: \"mx.ici.test\"; none\r\nX: 2\r\n\r\n"
        "Authentication-Results: mx.ici.test; spf=pass\r\n.\r\nQUIT\r\n";
    struct box b = open_box(state, NULL);
    struct buf replies, many;
    for (size_t piece = 0; piece < 40; piece += 13) {
        struct mailq_rcpt *r;
        struct blob blob;
        size_t n;
        talk(&b, SMTP_MTA, 0, view_str(script), piece, &replies);
        expect_codes(buf_view(&replies), "220 250 250 250 354 250 221", script);
        last_message(&b, &r, &n, &blob);
        size_t at = view_find(blob.bytes, VIEW("\r\nX: 1"));
        assert_int_not_equal(at, VIEW_NONE);
        assert_same(view_from(blob.bytes, at), VIEW("\r\nX: 1\r\nAuthentication-Results: mx.labas.test; spf=pass\r\n"
                                                    "X: 2\r\n\r\nAuthentication-Results: mx.ici.test; spf=pass\r\n"));
        blob_close(&blob);
        buf_clear(&replies);
    }
    buf_init(&many, 100000);
    buf_str(&many, HELLO MAIL RCPT "DATA\r\n");
    put_times(&many, "Authentication-Results: mx.ici.test; none\r\n", 101);
    buf_str(&many, ".\r\nQUIT\r\n");
    talk(&b, SMTP_MTA, 0, buf_view(&many), 0, &replies);
    expect_codes(buf_view(&replies), "220 250 250 250 354 550 221", "many");
    buf_clear(&replies);
    buf_clear(&many);
    close_box(&b);
}

static void a_header_has_an_end(void **state)
{
    struct smtp_settings set = defaults;
    struct buf script, replies;
    set.message_size = 4 << 20;
    struct box b = open_box(state, &set);
    for (unsigned lines = 50000; lines <= 53000; lines += 3000) {
        buf_init(&script, 4 << 20);
        buf_str(&script, HELLO MAIL RCPT "DATA\r\n");
        put_times(&script, "X: twenty bytes of\r\n", lines);
        buf_str(&script, ".\r\nQUIT\r\n");
        talk(&b, SMTP_MTA, 0, buf_view(&script), 65536, &replies);
        expect_codes(buf_view(&replies),
                     lines < 52000 ? "220 250 250 250 354 250 221" : "220 250 250 250 354 552 221", "long header");
        buf_clear(&script);
        buf_clear(&replies);
    }
    close_box(&b);
}

/* What was told of messages that were judged, in a line each: "action accepted author rcpt|". */
struct told {
    struct buf lines;
};

static void note_seen(void *ctx, const struct smtp_seen *seen)
{
    struct told *t = ctx;
    struct view author = seen->found->dmarc.author;
    assert_true(view_starts(seen->header, VIEW("From: ")));
    assert_true(view_eq(seen->found->facts.mail_from, VIEW("x@labas.test")));
    buf_printf(&t->lines, "%d %d %.*s %zu %.*s|", (int)seen->found->action, seen->accepted, VIEW_FMT(author), seen->n_rcpts,
               VIEW_FMT(seen->rcpts[0].original));
}

static void strangers_are_judged(void **state)
{
    static const char names[] = "_dmarc.reject.test TXT \"v=DMARC1; p=reject\"\n"
                                "_dmarc.quarantine.test TXT \"v=DMARC1; p=quarantine\"\n"
                                "_dmarc.late.test TXT !temp\n";
    static const char script[] = HELLO MAIL RCPT "DATA\r\nFrom: a@reject.test\r\n\r\nx\r\n.\r\n" /* refused */
        MAIL RCPT "RCPT TO:<paul@ici.test>\r\nDATA\r\nFrom: a@quarantine.test\r\n\r\nx\r\n.\r\n" /* Junk */
        MAIL RCPT "BDAT 30\r\nFrom: a@labas.test\r\n\r\nx\r\nyyyyyBDAT 2 LAST\r\n\r\n"
        MAIL RCPT "DATA\r\nFrom: a@late.test\r\n\r\nx\r\n.\r\n"
        MAIL RCPT "DATA\r\nFrom: a@labas.test\r\n\r\nbare\ncr\r\n.\r\n" /* refused for another reason */
        "QUIT\r\n";
    struct told told;
    struct judge_settings judge = {.enforce = true, .arc = true};
    struct smtp_settings set = defaults;
    struct buf replies;
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;

    buf_init(&told.lines, 10000);
    assert_int_equal(dns_new_scripted(names, &set.dns), RC_OK);
    set.judge = &judge;
    set.seen = note_seen;
    set.seen_ctx = &told;
    struct box b = open_box(state, &set);
    for (size_t piece = 0; piece < 3; piece += 2) {
        talk(&b, SMTP_MTA, 0, view_str(script), piece, &replies);
        expect_codes(buf_view(&replies), "220 250 250 250 354 550 250 250 250 354 250 250 250 250 250 250 250 354 250 250 250 354 550 221",
                     script);
        assert_int_not_equal(view_find(buf_view(&replies), VIEW("\r\n550 5.7.26 reject.test ")), VIEW_NONE);
        assert_same(buf_view(&told.lines), VIEW("2 0 reject.test 1 marie@ici.test|1 1 quarantine.test 2 marie@ici.test|"
                                                "0 1 labas.test 1 marie@ici.test|0 1 late.test 1 marie@ici.test|"));
        struct mailq_message m = last_message(&b, &r, &n, &blob);
        assert_false(m.junk);
        assert_true(view_starts(view_from(blob.bytes, m.skip), VIEW("Authentication-Results: mx.ici.test; dmarc=temperror")));
        blob_close(&blob);
        buf_clear(&replies);
        buf_reset(&told.lines);
    }
    uint64_t *ids;
    unsigned junk = 0;
    assert_int_equal(mailq_list(b.f->s, 0, 10000, &b.f->a, &ids, &n), RC_OK);
    for (size_t i = 0; i < n; i++) {
        struct mailq_message m;
        assert_int_equal(mailq_message(b.f->s, ids[i], &b.f->a, &m), RC_OK);
        junk += m.junk;
    }
    assert_int_equal(junk, 2);
    /* who is logged in is not judged */
    expect_as(&b, SMTP_SUBMISSION, b.marie,
              HELLO "MAIL FROM:<marie@ici.test>\r\n" RCPT "DATA\r\nFrom: marie@ici.test\r\n\r\nx\r\n.\r\n", "220 250 250 250 354 250", 1);
    assert_int_equal(told.lines.n, 0);
    /* so many wait for slow name servers that this one gets no full time: what cannot be told then is put off */
    atomic_store(&b.srv->waiting, 400);
    expect(&b, HELLO MAIL RCPT "DATA\r\nFrom: a@late.test\r\n\r\nx\r\n.\r\n", "220 250 250 250 354 451", 0);
    expect(&b, HELLO MAIL RCPT "DATA\r\nFrom: a@reject.test\r\n\r\nx\r\n.\r\n", "220 250 250 250 354 550", 0);
    assert_int_equal(atomic_load(&b.srv->waiting), 400);
    close_box(&b);
    dns_free(set.dns);
    buf_clear(&told.lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(our_fields_stand_first),
        TEST(nobody_else_speaks_in_our_name),
        TEST(a_header_has_an_end),
        TEST(strangers_are_judged),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
