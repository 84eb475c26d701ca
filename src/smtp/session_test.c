/* Scripts of whole sessions. */
#include "smtp/session_fixture.h"

static void a_message_is_taken_as_it_is(void **state)
{
    struct box b = open_box(state, NULL);
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
    expect(&b,
           HELLO
           "MAIL FROM:<x@labas.test> SIZE=100 RET=HDRS ENVID=e+2B1 BODY=8BITMIME\r\n"
           "RCPT TO:<Marie+tag@ICI.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;m+2Bt@old.test\r\nDATA\r\n" BODY
           "QUIT\r\n",
           "220 250 250 250 354 250 221", 1);
    struct mailq_message m = last_message(&b, &r, &n, &blob);
    assert_same(m.sender, VIEW("x@labas.test"));
    assert_same(m.envid, VIEW("e+1"));
    assert_same(m.peer, VIEW("127.0.0.1"));
    assert_int_equal(m.ret, RET_HDRS);
    assert_int_equal(m.body, BODY_7BIT); /* whatever was announced */
    assert_int_equal(n, 1);
    assert_true(r[0].account == b.marie);
    assert_same(r[0].detail, VIEW("tag"));
    assert_same(r[0].original, VIEW("Marie+tag@ICI.test"));
    assert_same(r[0].orcpt, VIEW("rfc822;m+t@old.test"));
    assert_int_equal(r[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
    assert_same(view_slice(blob.bytes, 0, m.skip), VIEW("Return-Path: <x@labas.test>\r\n"));
    struct view rest = view_from(blob.bytes, m.skip), want = VIEW("Subject: x\r\n\r\n.dots\r\n");
    assert_true(view_starts(
        rest, VIEW("Received: from mx.labas.test ([127.0.0.1])\r\n\tby mx.ici.test with ESMTP id ")));
    assert_int_not_equal(view_find(rest, VIEW("for <Marie+tag@ICI.test>;\r\n")), VIEW_NONE);
    assert_true(view_ends(rest, want));
    assert_int_equal(m.size, rest.n);
    blob_close(&blob);
    close_box(&b);
}

static void commands_have_their_order(void **state)
{
    struct box b = open_box(state, NULL);
    expect(&b, "QUIT\r\n", "220 221", 0);
    expect(&b, MAIL "HELO\r\nHELO a b\r\nNOOP x\r\nQUIT\r\n", "220 503 501 501 250 221", 0);
    expect(&b, HELLO RCPT "DATA\r\nBDAT 4 LAST\r\nRSET" MAIL MAIL "DATA\r\nRSET\r\nDATA\r\n",
           "220 250 503 503 503 250 503 554 250 503", 0);
    expect(&b, HELLO MAIL RCPT HELLO "DATA\r\n", "220 250 250 250 250 503", 0);
    expect(&b, "HELO x\r\nMAIL FROM:<a@b> SIZE=1\r\nMAIL FROM:<a@b>\r\n", "220 250 555 250", 0);
    expect(&b,
           HELLO "VRFY marie\r\nVRFY\r\nEXPN all\r\nHELP\r\nTURN\r\nETRN x\r\nXYZZY\r\n\r\nSTARTTLS\r\nAUTH "
                 "PLAIN x\r\n",
           "220 250 252 501 502 214 500 500 500 500 502 502", 0);
    expect(&b, HELLO MAIL RCPT "DATA x\r\nDATA\r\n" BODY MAIL RCPT "DATA\r\n.\r\n",
           "220 250 250 250 501 354 250 250 250 354 250", 2);
    expect(&b,
           HELLO
           "MAIL FROM:<a@b\r\nMAIL FROM:<a@b> X=1\r\nMAIL FROM:<\xc3\xa9@b>\r\nMAIL FROM:<a@b> HOLDFOR=1\r\n"
           "MAIL FROM:<a@b> SIZE=10001\r\nMAIL FROM:<a@b> SIZE=x\r\n" MAIL "RCPT TO:<>\r\nRCPT TO:<marie>\r\n"
           "RCPT TO:<\xc3\xa9@ici.test>\r\nRCPT TO:<marie@ici.test> X=1\r\nRCPT TO:<nobody@ici.test>\r\n",
           "220 250 501 555 553 555 552 501 250 501 501 553 555 550", 0);
    close_box(&b);
}

/* Nobody gets anything carried to elsewhere without a login. */
static const char *const relays[] = {
    "<user@labas.test>",
    "<@ici.test:user@labas.test>",
    "<@ici.test,@mx.ici.test:user@labas.test>",
    "<@mx.ici.test:user@labas.test>",
    "<@[127.0.0.1]:user@labas.test>",
    "<@labas.test:user@labas.test>",
    "<user%labas.test@ici.test>",
    "<user%labas.test@mx.ici.test>",
    "<user%labas.test@[127.0.0.1]>",
    "<user%labas.test>",
    "<\"user@labas.test\"@ici.test>",
    "<\"user@labas.test\">",
    "<\"user\\@labas.test\"@ici.test>",
    "<\"user%labas.test\"@ici.test>",
    "<\"user@labas.test\"@[127.0.0.1]>",
    "<user@labas.test@ici.test>",
    "<user@labas.test@[127.0.0.1]>",
    "<labas.test!user@ici.test>",
    "<labas.test!user>",
    "<labas.test!user@[127.0.0.1]>",
    "<ici.test!labas.test!user>",
    "<@ici.test:labas.test!user>",
    "<user@[192.0.2.1]>",
    "<user@[IPv6:2001:db8::1]>",
    "<user@labas.test.>",
    "<user@ici.test.labas.test>",
    "<user@mx.ici.test>",
    "<user@.ici.test>",
    "<user@localhost>",
    "<user@LABAS.TEST>",
    "user@labas.test",
    "<<user@labas.test>>",
    "<user@labas.test,marie@ici.test>",
    "<marie@ici.test,user@labas.test>",
    "<user@labas.test\\@ici.test>",
    "<user@labas.test(ici.test)>",
    "<marie@ici.test> <user@labas.test>",
    "<\"marie@ici.test\"@labas.test>",
    "<SRS0=AAAAAAAA=AA=labas.test=user@ici.test>",
    "<SRS0=AAAA=AA=labas.test=user@labas.test>",
    "<SRS1=AAAAAAAA=labas.test==AAAA=AA=labas.test=user@ici.test>",
    "<SRS0+AAAAAAAA=AA=labas.test=user@ici.test>",
    "<>",
};

static void nobody_relays(void **state)
{
    struct box b = open_box(state, NULL);
    struct view all = VIEW("marie@ici.test");
    assert_int_equal(directory_alias_set(b.f->s, VIEW("@ici.test"), &all, 1),
                     RC_OK); /* a catch-all takes any local part */
    for (size_t i = 0; i < sizeof relays / sizeof *relays; i++) {
        static const char *const senders[] = {"<x@labas.test>", "<>", "<marie@ici.test>"};
        for (size_t j = 0; j < 3; j++) {
            char script[500];
            struct buf replies;
            snprintf(script, sizeof script, HELLO "MAIL FROM:%s\r\nRCPT TO:%s\r\nDATA\r\n", senders[j],
                     relays[i]);
            talk(&b, SMTP_MTA, 0, view_str(script), 0, &replies);
            struct view r = buf_view(&replies);
            if (view_find(r, VIEW("\r\n554 5.5.1 No valid recipients\r\n")) == VIEW_NONE ||
                view_find(r, VIEW("354")) != VIEW_NONE)
                fail_msg("%s: %.*s", relays[i], VIEW_FMT(r));
            buf_clear(&replies);
        }
    }
    assert_int_equal(queued(&b), 0);
    close_box(&b);
}

static void relay_from_hands_us_mail(void **state)
{
    struct smtp_settings set = defaults;
    struct addr_net net;
    assert_int_equal(addr_net_parse(VIEW("127.0.0.1/32"), &net), RC_OK);
    set.relay_from = &net;
    set.n_relay_from = 1;
    struct box b = open_box(state, &set);
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
    expect(&b,
           HELLO "MAIL FROM:<printer@ici.test>\r\nRCPT TO:<user@Labas.test>\r\nDATA\r\nFrom: p@x\r\nBcc: "
                 "y\r\n\r\nx\r\n.\r\n",
           "220 250 250 250 354 250", 1);
    struct mailq_message m = last_message(&b, &r, &n, &blob);
    assert_int_equal(n, 1);
    assert_true(r[0].account == 0 && !r[0].forwarded);
    assert_same(r[0].route, VIEW("labas.test"));
    assert_same(r[0].address, VIEW("user@Labas.test"));
    struct view body = view_from(blob.bytes, m.skip);
    assert_int_not_equal(view_find(body, VIEW("\r\nDate: ")), VIEW_NONE);
    assert_int_not_equal(view_find(body, VIEW("\r\nMessage-ID: <")), VIEW_NONE);
    assert_true(view_ends(body, VIEW("\r\nFrom: p@x\r\nBcc: y\r\n\r\nx\r\n")));
    blob_close(&blob);
    /* not for other senders, and not for none */
    expect(&b, HELLO MAIL "RCPT TO:<user@labas.test>\r\n" RCPT, "220 250 250 550 250", 0);
    expect(&b, HELLO "MAIL FROM:<>\r\nRCPT TO:<user@labas.test>\r\n", "220 250 250 550", 0);
    set.relay_any_sender = true;
    assert_int_equal(smtp_server_reload(b.srv, &set), RC_OK);
    expect(&b, HELLO MAIL "RCPT TO:<user@labas.test>\r\nDATA\r\n" BODY, "220 250 250 250 354 250", 1);
    m = last_message(&b, &r, &n, &blob);
    assert_same(r[0].route, VIEW("labas.test"));
    blob_close(&blob);
    close_box(&b);
}

static void recipients_are_expanded_once(void **state)
{
    struct box b = open_box(state, NULL);
    struct view team[] = {VIEW("marie@ici.test"), VIEW("paul@ici.test"),
                          VIEW("ext@b\xc3\xbc"
                               "cher.test")};
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
    assert_int_equal(directory_alias_set(b.f->s, VIEW("team@ici.test"), team, 3), RC_OK);
    expect(&b,
           HELLO MAIL "RCPT TO:<team@ici.test>\r\n" RCPT
                      "RCPT TO:<\"marie\"@ici.test>\r\nRCPT TO:<team@ici.test>\r\nDATA\r\n" BODY,
           "220 250 250 250 250 250 250 354 250", 1);
    last_message(&b, &r, &n, &blob);
    assert_int_equal(n, 3);
    assert_true(r[0].account == b.marie || r[0].account == b.paul || r[0].account == 0);
    for (size_t i = 0; i < n; i++)
        if (r[i].account == 0) {
            assert_true(r[i].forwarded);
            assert_true(view_starts(r[i].sender, VIEW("SRS0=")) && view_ends(r[i].sender, VIEW("=labas.test=x@ici.test")));
            assert_same(r[i].route, VIEW("xn--bcher-kva.test"));
            assert_same(r[i].original, VIEW("team@ici.test"));
        }
    assert_int_equal(view_find(blob.bytes, VIEW("for <")), VIEW_NONE); /* RFC 5321 §7.2 */
    blob_close(&blob);
    expect(&b, HELLO MAIL RCPT RCPT RCPT RCPT RCPT RCPT, "220 250 250 250 250 250 250 250 452", 0);
    expect(&b,
           HELLO MAIL
           "RCPT TO:<postmaster>\r\nRCPT TO:<POSTMASTER@ici.test>\r\nRCPT TO:<postmaster@[127.0.0.1]>\r\n"
           "RCPT TO:<postmaster@mx.ici.test>\r\nRCPT TO:<postmaster@labas.test>\r\nRCPT "
           "TO:<marie@[127.0.0.1]>\r\n",
           "220 250 250 250 250 250 250 550 550", 0);
    close_box(&b);
}

/* Mail that we passed on: its return address is ours, and takes bounces back to the sender, and nothing else. */
static void bounces_go_back(void **state)
{
    struct box b = open_box(state, NULL);
    struct view away = VIEW("marie@far.test"), all = VIEW("marie@ici.test");
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
    char script[1000], srs[300];
    assert_int_equal(directory_alias_set(b.f->s, VIEW("away@ici.test"), &away, 1), RC_OK);
    assert_int_equal(directory_alias_set(b.f->s, VIEW("@ici.test"), &all, 1), RC_OK); /* takes no forged ones either */
    expect(&b, HELLO MAIL "RCPT TO:<away@ici.test>\r\nDATA\r\n" BODY, "220 250 250 250 354 250", 1);
    last_message(&b, &r, &n, &blob);
    assert_int_equal(n, 1);
    snprintf(srs, sizeof srs, "%.*s", VIEW_FMT(r[0].sender));
    blob_close(&blob);

    snprintf(script, sizeof script, HELLO "MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n" BODY, srs);
    expect(&b, script, "220 250 250 250 354 250", 1);
    struct mailq_message m = last_message(&b, &r, &n, &blob);
    assert_int_equal(n, 1);
    assert_int_equal(m.sender.n, 0);
    assert_same(r[0].address, VIEW("x@labas.test"));
    assert_same(r[0].route, VIEW("labas.test"));
    assert_true(r[0].forwarded && r[0].sender.n == 0);
    blob_close(&blob);

    static const char *const senders[] = {"<x@labas.test>", "<marie@ici.test>", "<marie@far.test>"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(script, sizeof script, HELLO "MAIL FROM:%s\r\nRCPT TO:<%s>\r\n", senders[i], srs);
        expect(&b, script, "220 250 250 550", 0);
    }
    static const char *const forged[] = {"SRS0=AAAAAAAA=AA=labas.test=x@ici.test", "SRS1=AAAAAAAA=labas.test==a=b=labas.test=x@ici.test",
                                         "SRS0=@ici.test", "srs0+x@ici.test", "\"SRS0=AAAAAAAA=AA=labas.test=x y\"@ici.test"};
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        snprintf(script, sizeof script, HELLO "MAIL FROM:<>\r\nRCPT TO:<%s>\r\n", forged[i]);
        expect(&b, script, "220 250 250 550", 0);
    }
    char *digit = &srs[strlen("SRS0=")];
    *digit = *digit == 'A' ? 'B' : 'A';
    snprintf(script, sizeof script, HELLO "MAIL FROM:<>\r\nRCPT TO:<%s>\r\n", srs);
    expect(&b, script, "220 250 250 550", 0);
    /* An alias that is so named is an alias. */
    assert_int_equal(directory_alias_set(b.f->s, VIEW("srs0=x@ici.test"), &all, 1), RC_OK);
    expect(&b, HELLO MAIL "RCPT TO:<SRS0=x@ici.test>\r\n", "220 250 250 250", 0);
    close_box(&b);
}

/* What other servers took for the end of data, with a second message behind it. */
static const char *const smuggled[] = {"\n.\n",       "\r\n.\n", "\n.\r\n",    "\r.\r",
                                       "\r\n.\r",     "\r.\r\n", "\n\r.\r\n",  "\n\n.\r\n",
                                       "\r\n.\r\r\n", "\n.\n\n", "\r\n..\n.\n"};

static void nothing_is_smuggled(void **state)
{
    struct box b = open_box(state, NULL);
    for (size_t i = 0; i < sizeof smuggled / sizeof *smuggled; i++) {
        char script[500];
        struct buf replies;
        snprintf(script, sizeof script,
                 HELLO MAIL RCPT "DATA\r\nSubject: outer\r\n\r\nx%s" MAIL RCPT
                                 "DATA\r\nSubject: inner\r\n\r\ny\r\n.\r\nQUIT\r\n",
                 smuggled[i]);
        talk(&b, SMTP_MTA, 0, view_str(script), 0, &replies);
        expect_codes(buf_view(&replies), "220 250 250 250 354 550 221", script);
        assert_int_equal(queued(&b), 0);
        buf_clear(&replies);
    }
    close_box(&b);
}

static void add_repeated(struct buf *b, const char *what, unsigned n)
{
    while (n-- > 0)
        buf_str(b, what);
}

static void expect_built(struct box *b, struct buf *script, const char *want, unsigned messages)
{
    assert_int_equal(buf_rc(script), RC_OK);
    buf_chr(script, '\0');
    expect(b, script->p, want, messages);
    buf_clear(script);
}

static void limits_have_their_replies(void **state)
{
    struct box b = open_box(state, NULL);
    struct buf s;
    buf_init(&s, 1 << 20);
    /* message size, met while streaming; the session goes on */
    buf_str(&s, HELLO MAIL RCPT "DATA\r\n");
    add_repeated(&s, "0123456789012345678901234567890123456789\r\n", 240);
    buf_str(&s, ".\r\n" MAIL RCPT "DATA\r\n" BODY);
    expect_built(&b, &s, "220 250 250 250 354 552 250 250 354 250", 1);
    /* hops */
    buf_init(&s, 1 << 20);
    buf_str(&s, HELLO MAIL RCPT "DATA\r\n");
    add_repeated(&s, "Received: x\r\n", 51);
    buf_str(&s, "\r\n.\r\n" MAIL RCPT "DATA\r\n");
    add_repeated(&s, "Received: x\r\n", 50);
    buf_str(&s, "\r\nReceived: x\r\n.\r\n");
    expect_built(&b, &s, "220 250 250 250 354 554 250 250 354 250", 1);
    /* lines */
    buf_init(&s, 1 << 20);
    buf_str(&s, HELLO "NOOP ");
    add_repeated(&s, "0123456789", 205);
    buf_str(&s, "\r\nNOOP ");
    add_repeated(&s, "0123456789", 3000);
    buf_str(&s, "\r\nEHLO ");
    add_repeated(&s, "0123456789", 30);
    buf_str(&s, "\r\nNOOP\r\n");
    expect_built(&b, &s, "220 250 500 500 501 250", 0);
    /* errors */
    buf_init(&s, 1 << 20);
    add_repeated(&s, "XYZZY\r\n", 25);
    expect_built(
        &b, &s, "220 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 421", 0);
    close_box(&b);
}

static void chunks_are_taken(void **state)
{
    struct box b = open_box(state, NULL);
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
    expect(&b, HELLO MAIL RCPT "BDAT 6\r\nA: b\r\nBDAT 8 LAST\r\n\r\n.\r\nx\r\nQUIT\r\n",
           "220 250 250 250 250 250 221", 1);
    last_message(&b, &r, &n, &blob);
    assert_true(view_ends(blob.bytes, VIEW("\r\nA: b\r\n\r\n.\r\nx\r\n")));
    blob_close(&blob);
    expect(&b,
           HELLO "MAIL FROM:<> BODY=BINARYMIME\r\n" RCPT "DATA\r\nBDAT 14 LAST\r\nA: b\r\n\r\n\n.\n\r\r\r\n",
           "220 250 250 250 503 250", 1);
    assert_int_equal(last_message(&b, &r, &n, &blob).body, BODY_BINARY);
    blob_close(&blob);
    expect(&b, HELLO MAIL RCPT "DATA\r\nA: b\r\n\r\nsix bytes\r\n\xc3\xa9t\xc3\xa9\r\n.\r\n",
           "220 250 250 250 354 250", 1);
    assert_int_equal(last_message(&b, &r, &n, &blob).body, BODY_8BIT);
    blob_close(&blob);
    expect(&b, HELLO MAIL RCPT "BDAT 0\r\nBDAT 0 LAST\r\n", "220 250 250 250 250 250", 1);
    expect(&b, HELLO MAIL RCPT "BDAT 3\r\na\r\nDATA\r\nBDAT 0 LAST\r\n", "220 250 250 250 250 503 250", 1);
    /* hostile twins: chunks are never read as commands */
    expect(&b, HELLO MAIL RCPT "BDAT 3\r\na\n\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n",
           "220 250 250 250 550 503 250", 0);
    expect(&b, HELLO "MAIL FROM:<> BODY=BINARYMIME\r\n" RCPT "BDAT 17 LAST\r\nA: b\nFrom: c\n\r\n\r\n",
           "220 250 250 250 550", 0);
    expect(&b, HELLO MAIL RCPT "BDAT 2 LAST\r\na\r", "220 250 250 250 550", 0);
    expect(&b, HELLO MAIL "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 554 250", 0);
    expect(&b, HELLO "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 503 250", 0);
    expect(&b, HELLO MAIL RCPT "BDAT x LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 250 501", 0);
    expect(&b, HELLO MAIL RCPT "BDAT 10001 LAST\r\n", "220 250 250 250", 0);
    expect(&b, HELLO MAIL RCPT "BDAT 999999999999 LAST\r\n", "220 250 250 250 552", 0);
    expect(&b, HELLO MAIL RCPT "BDAT 10\r\nabc", "220 250 250 250", 0);
    close_box(&b);
}

static void submission_is_checked(void **state)
{
    struct box b = open_box(state, NULL);
    struct mailq_rcpt *r;
    struct blob blob;
    size_t n;
#define OURS "MAIL FROM:<Marie@ici.test>\r\nRCPT TO:<user@labas.test>\r\nDATA\r\n"
    expect_as(&b, SMTP_SUBMISSION, 0, HELLO OURS, "220 250 530 503 503", 0);
    expect_as(&b, SMTP_SUBMISSION, b.marie,
              HELLO OURS
              "Bcc: secret@x\r\nFrom: M <marie+x@ici.test>\r\nReturn-Path: <q@x>\r\n\r\nx\r\n.\r\n",
              "220 250 250 250 354 250", 1);
    struct mailq_message m = last_message(&b, &r, &n, &blob);
    struct view body = view_from(blob.bytes, m.skip);
    assert_true(m.account == b.marie);
    assert_true(r[0].account == 0);
    assert_int_equal(view_find(body, VIEW("Bcc")), VIEW_NONE);
    assert_int_equal(view_find(body, VIEW("Return-Path")), VIEW_NONE);
    assert_int_not_equal(view_find(body, VIEW(" with ESMTPA id ")), VIEW_NONE);
    assert_int_not_equal(view_find(body, VIEW("\r\nDate: ")), VIEW_NONE);
    assert_int_not_equal(view_find(body, VIEW("@mx.ici.test>\r\nFrom: M <marie+x@ici.test>\r\n\r\nx\r\n")),
                         VIEW_NONE);
    blob_close(&blob);
    expect_as(&b, SMTP_SUBMISSION, b.marie,
              HELLO "MAIL FROM:<paul@ici.test>\r\nMAIL FROM:<x@labas.test>\r\nMAIL FROM:<>\r\n",
              "220 250 553 553 250", 0);
    expect_as(&b, SMTP_SUBMISSION, b.marie, HELLO OURS "From: paul@ici.test\r\n\r\nx\r\n.\r\nNOOP\r\n",
              "220 250 250 250 354 550 250", 0);
    expect_as(&b, SMTP_SUBMISSION, b.marie, HELLO OURS "Subject: x\r\n\r\nx\r\n.\r\n",
              "220 250 250 250 354 550", 0);
    expect_as(&b, SMTP_SUBMISSION, b.marie, HELLO OURS ".\r\n", "220 250 250 250 354 550", 0);
    expect_as(
        &b, SMTP_SUBMISSION, b.marie,
        HELLO
        "MAIL FROM:<marie@ici.test> HOLDFOR=3000000\r\nMAIL FROM:<marie@ici.test> HOLDFOR=100 BY=50;R\r\n"
        "MAIL FROM:<marie@ici.test> HOLDFOR=100 BY=500;R MT-PRIORITY=3 AUTH=<>\r\n",
        "220 250 501 501 250", 0);
    expect_as(&b, SMTP_SUBMISSION, b.marie,
              HELLO "MAIL FROM:<marie@ici.test> HOLDFOR=100 BY=500;R MT-PRIORITY=3\r\n" RCPT
                    "BDAT 24 LAST\r\nFrom: marie@ici.test\r\n\r\n",
              "220 250 250 250 250", 1);
    m = last_message(&b, &r, &n, &blob);
    assert_int_equal(m.priority, 3);
    assert_true(m.deliver_by_return);
    assert_int_equal(m.deliver_by_ms - m.created_ms, 500000);
    assert_int_equal(m.release_ms - m.created_ms, 100000);
    assert_int_equal(r[0].due_ms, m.release_ms);
    blob_close(&blob);
    struct smtp_settings set = defaults;
    set.message_size = 1 << 20;
    assert_int_equal(smtp_server_reload(b.srv, &set), RC_OK);
    struct buf s;
    buf_init(&s, 1 << 20);
    buf_str(&s, HELLO OURS "From: marie@ici.test\r\n");
    add_repeated(&s, "X: 0123456789012345678901234567890123456789\r\n", 6000);
    buf_str(&s, "\r\n.\r\nNOOP\r\n");
    buf_chr(&s, '\0');
    struct buf replies;
    talk(&b, SMTP_SUBMISSION, b.marie, view_str(s.p), 50000, &replies);
    expect_codes(buf_view(&replies), "220 250 250 250 354 552 250", "header too large");
    buf_clear(&replies);
    buf_clear(&s);
    close_box(&b);
}

static void browsers_hear_nothing(void **state)
{
    struct box b = open_box(state, NULL);
    expect(&b, "POST / HTTP/1.1\r\nHost: x\r\n\r\n" HELLO MAIL RCPT, "220", 0);
    expect(&b, "EHLO x\nMAIL FROM:<>\r\nEHLO x\rX\r\n", "220 500 500", 0);
    close_box(&b);
}

static const char whole[] =
    HELLO "MAIL FROM:<x@labas.test>\r\nRCPT TO:<marie@ici.test>\r\nRCPT TO:<nobody@ici.test>\r\nDATA\r\n" BODY
          "MAIL FROM:<>\r\nRCPT TO:<paul@ici.test>\r\nBDAT 5\r\na\r\nb\rBDAT 1 LAST\r\n\nRSET\r\nQUIT\r\n";

static void pieces_make_no_difference(void **state)
{
    struct box b = open_box(state, NULL);
    for (size_t piece = 0; piece < 4; piece++) {
        struct buf replies;
        uint64_t before = queued(&b);
        talk(&b, SMTP_MTA, 0, view_str(whole), piece, &replies);
        expect_codes(buf_view(&replies), "220 250 250 250 550 354 250 250 250 250 250 250 221", whole);
        assert_int_equal(queued(&b) - before, 2);
        buf_clear(&replies);
    }
    close_box(&b);
}

/* A connection that is cut anywhere leaves a message only where its last byte had come. */
static void a_cut_loses_nothing_and_adds_nothing(void **state)
{
    struct box b = open_box(state, NULL);
    struct view script = view_str(whole);
    size_t first = view_find(script, VIEW("\r\n.\r\n")) + 5,
           second = view_find(script, VIEW("LAST\r\n\n")) + 7;
    for (size_t n = 0; n <= script.n; n++) {
        struct buf replies;
        uint64_t before = queued(&b);
        talk(&b, SMTP_MTA, 0, view_slice(script, 0, n), 0, &replies);
        unsigned want = (n >= first) + (n >= second);
        if (queued(&b) - before != want)
            fail_msg("cut after %zu: %llu messages", n, (unsigned long long)(queued(&b) - before));
        buf_clear(&replies);
    }
    close_box(&b);
}

static void ehlo_offers_what_there_is(void **state)
{
    struct box b = open_box(state, NULL);
    struct buf replies;
    talk(&b, SMTP_MTA, 0, VIEW(HELLO), 0, &replies);
    assert_same(
        buf_view(&replies),
        VIEW("220 mx.ici.test ESMTP Facteur\r\n250-mx.ici.test\r\n250-PIPELINING\r\n250-SIZE 10000\r\n"
             "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n"
             "250-ENHANCEDSTATUSCODES\r\n250-LIMITS RCPTMAX=5 MAILMAX=100000\r\n250 HELP\r\n"));
    buf_clear(&replies);
    talk(&b, SMTP_SUBMISSION, 0, VIEW(HELLO), 0, &replies);
    assert_int_not_equal(view_find(buf_view(&replies), VIEW("250-FUTURERELEASE 2592000 2")), VIEW_NONE);
    assert_int_not_equal(view_find(buf_view(&replies), VIEW("250-DELIVERBY\r\n250-MT-PRIORITY\r\n")),
                         VIEW_NONE);
    buf_clear(&replies);
    close_box(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_taken_as_it_is),
        TEST(commands_have_their_order),
        TEST(nobody_relays),
        TEST(relay_from_hands_us_mail),
        TEST(recipients_are_expanded_once),
        TEST(bounces_go_back),
        TEST(nothing_is_smuggled),
        TEST(limits_have_their_replies),
        TEST(chunks_are_taken),
        TEST(submission_is_checked),
        TEST(browsers_hear_nothing),
        TEST(pieces_make_no_difference),
        TEST(a_cut_loses_nothing_and_adds_nothing),
        TEST(ehlo_offers_what_there_is),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
