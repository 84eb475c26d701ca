/* Unit tests of smtp/forwarding: what is sealed, and in whose name it goes on. */
#include "store/store_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "crypto/pkey.h"
#include "smtp/session.h"
#include "store/directory_dkim.h"

/* The client is 127.0.0.1. */
static const char zone[] = "labas.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n"
                           "ici.test TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.ici.test TXT \"v=DMARC1; p=none\"\n"
                           "elsewhere.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\nslow.test TXT !temp\n";

struct door {
    struct fixture *f;
    struct pkey *key;
    enum rc trouble; /* of the vault */
    struct signer *signer;
    struct dns *dns;
    struct judge_settings judge;
    struct smtp_settings set;
    struct smtp_server *srv;
};

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    struct door *d = ctx;
    (void)domain, (void)selector, (void)algorithm;
    return d->trouble != RC_OK ? d->trouble : pkey_sign(d->key, digest, signature);
}

static void add_alias(struct door *d, const char *domain)
{
    struct view target = VIEW("x@far.test");
    const char *alias = arena_printf(&d->f->a, "away@%s", domain);
    assert_int_equal(directory_domain_add(d->f->s, view_str(domain)), RC_OK);
    assert_int_equal(directory_alias_set(d->f->s, view_str(alias), &target, 1), RC_OK);
}

static int open_door(void **state)
{
    static const char *const domains[] = {"ici.test", "elsewhere.test", "bare.test", "slow.test"};
    struct door *d = calloc(1, sizeof *d);
    struct buf key = {.max = 1000};
    void *f = NULL;

    assert_int_equal(fixture_setup(&f), 0);
    d->f = f;
    for (size_t i = 0; i < 4; i++)
        add_alias(d, domains[i]);
    assert_int_equal(pkey_generate(PKEY_RSA, 1024, &d->key), RC_OK);
    assert_int_equal(pkey_public_write(d->key, &key), RC_OK);
    const struct directory_dkim_key own = {.domain = VIEW("ici.test"), .selector = VIEW("r1"), .algorithm = PKEY_RSA,
                                           .public_key = buf_view(&key), .state = DKIM_KEY_ACTIVE};
    assert_int_equal(directory_dkim_add(d->f->s, &own, 1), RC_OK);
    buf_clear(&key);
    assert_int_equal(signer_new(d->f->s, sign, d, &d->signer), RC_OK);
    assert_int_equal(dns_new_scripted(zone, &d->dns), RC_OK);
    d->judge = (struct judge_settings){.authserv_id = "mx.ici.test", .enforce = true, .arc = true};
    d->set = (struct smtp_settings){.hostname = "mx.ici.test", .message_size = 100000, .recipients = 5, .line_ms = 5000,
                                    .data_ms = 5000, .judge = &d->judge, .dns = d->dns, .signer = d->signer};
    assert_int_equal(smtp_server_new(&d->set, d->f->s, NULL, &d->srv), RC_OK);
    *state = d;
    return 0;
}

static int close_door(void **state)
{
    struct door *d = *state;
    void *f = d->f;
    smtp_server_free(d->srv);
    signer_free(d->signer);
    dns_free(d->dns);
    pkey_free(d->key);
    fixture_teardown(&f);
    free(d);
    return 0;
}

/* All of a session at once; gives the replies. */
static void talk(struct door *d, struct view script, struct buf *replies)
{
    struct pool_service service;
    struct addr a;
    socklen_t len = sizeof a.ss;
    struct conn *c;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(addr_parse(VIEW("127.0.0.1:0"), &a), RC_OK);
    assert_int_equal(bind(l, (struct sockaddr *)&a.ss, a.len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a.ss, &len), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&a.ss, len), 0);
    int server = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    close(l);
    assert_int_equal(send(client, script.p, script.n, MSG_NOSIGNAL), (ssize_t)script.n);
    shutdown(client, SHUT_WR);
    assert_int_equal(conn_new(server, &c), RC_OK);
    smtp_service(d->srv, SMTP_MTA, &service);
    struct smtp_session *s = service.open(service.ctx, c);
    assert_non_null(s);
    while (service.serve(s, POOL_INPUT) == POOL_PARK)
        continue;
    service.close(s);
    conn_free(c);
    for (ssize_t n = 1; n > 0;) {
        char *p = buf_room(replies, 1000);
        assert_non_null(p);
        n = recv(client, p, 1000, 0);
        if (n > 0)
            buf_grew(replies, (size_t)n);
    }
    close(client);
}

/* A message from `sender` with such a From to such an alias. The reply's code after DATA; *m and *r are of the queue. */
static int hand_in(struct door *d, const char *sender, const char *from, const char *alias, const char *fields,
                   struct mailq_message *m, struct mailq_rcpt **r)
{
    struct buf replies = {.max = 10000};
    uint64_t *ids;
    size_t n;
    const char *script = arena_printf(&d->f->a, "EHLO mx.labas.test\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n%sFrom: %s\r\n\r\nHello\r\n.\r\n",
                                      sender, alias, fields, from);
    talk(d, view_str(script), &replies);
    size_t at = view_find(buf_view(&replies), VIEW("\r\n354 "));
    assert_int_not_equal(at, VIEW_NONE);
    struct view reply = view_from(buf_view(&replies), at + 2);
    view_skip(&reply, view_find(reply, VIEW("\r\n")) + 2);
    uint32_t code = 0;
    assert_int_equal(view_u32(&reply, 999, &code), RC_OK);
    buf_clear(&replies);
    if (code == 250) {
        assert_int_equal(mailq_list(d->f->s, 0, 1000, &d->f->a, &ids, &n), RC_OK);
        assert_true(n > 0);
        assert_int_equal(mailq_message(d->f->s, ids[n - 1], &d->f->a, m), RC_OK);
        assert_int_equal(mailq_rcpts(d->f->s, m->id, &d->f->a, r, &n), RC_OK);
        assert_int_equal(n, 1);
        assert_true((*r)->forwarded);
    }
    return (int)code;
}

static void our_name_is_not_lent(void **state)
{
    static const struct {
        const char *sender, *from, *alias;
        int code;
        bool ours; /* goes on with our return address */
    } cases[] = {
        {"x@labas.test", "x@labas.test", "away@ici.test", 250, true},
        {"x@labas.test", "x@far.test", "away@ici.test", 250, true},
        {"x@labas.test", "anne@ici.test", "away@ici.test", 250, false},
        {"x@labas.test", "anne@news.ici.test", "away@ici.test", 250, false},
        {"x@labas.test", "anne@notici.test", "away@ici.test", 250, true},
        {"x@labas.test", "anne@ici.test", "away@bare.test", 250, true}, /* SPF of bare.test says nothing of ici.test */
        {"", "x@labas.test", "away@ici.test", 250, false},
        {"", "mailer-daemon@ici.test", "away@ici.test", 550, false},
        {"anne@ici.test", "anne@ici.test", "away@ici.test", 550, false},
        {"anne@ici.test", "x@labas.test", "away@ici.test", 250, false},
        {"anne@bare.test", "anne@bare.test", "away@ici.test", 250, false},           /* it has no SPF record to pass */
        {"anne@elsewhere.test", "anne@elsewhere.test", "away@ici.test", 250, false}, /* it lets the client send */
        {"anne@slow.test", "anne@slow.test", "away@ici.test", 451, false},
    };
    struct door *d = *state;
    struct mailq_message m;
    struct mailq_rcpt *r;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = hand_in(d, cases[i].sender, cases[i].from, cases[i].alias, "", &m, &r);
        if (code != cases[i].code)
            fail_msg("<%s>, From %s: %d", cases[i].sender, cases[i].from, code);
        if (code == 250 && (r->sender.n > 0) != cases[i].ours)
            fail_msg("<%s>, From %s: as <%.*s>", cases[i].sender, cases[i].from, VIEW_FMT(r->sender));
    }
}

#define SET(cv)                                                                                                                   \
    "ARC-Seal: i=1; a=rsa-sha256; cv=" cv "; d=labas.test; s=no; t=1; b=aGVsbG8=\r\n"                                             \
    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=labas.test; s=no; h=From; bh=aGVsbG8=; b=aGVsbG8=\r\n"        \
    "ARC-Authentication-Results: i=1; mx.labas.test; none\r\n"

static void what_is_sealed(void **state)
{
    static const struct {
        const char *alias, *fields, *seal; /* what the seal has; NULL: there is none */
    } cases[] = {
        {"away@ici.test", "", "i=1;"},
        {"away@bare.test", "", NULL}, /* it has no key */
        {"away@ici.test", SET("none"), "cv=fail;"},
        {"away@ici.test", SET("fail"), NULL}, /* RFC 8617 §5.1: nothing goes on top of that */
    };
    struct door *d = *state;
    struct mailq_message m;
    struct mailq_rcpt *r;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(hand_in(d, "x@labas.test", "x@labas.test", cases[i].alias, cases[i].fields, &m, &r), 250);
        if (!cases[i].seal) {
            assert_int_equal(m.seal.n, 0);
            continue;
        }
        assert_true(view_starts(m.seal, VIEW("ARC-Seal: ")) && view_ends(m.seal, VIEW("\r\n")));
        assert_int_not_equal(view_find(m.seal, view_str(cases[i].seal)), VIEW_NONE);
        assert_int_not_equal(view_find(m.seal, VIEW("\r\nARC-Message-Signature: ")), VIEW_NONE);
        assert_int_not_equal(view_find(m.seal, VIEW("\r\nARC-Authentication-Results: ")), VIEW_NONE);
        assert_int_not_equal(view_find(m.seal, VIEW("spf=pass")), VIEW_NONE);
    }
    /* Unsealed it might be refused: it comes again when the vault answers. */
    d->trouble = RC_TEMP;
    assert_int_equal(hand_in(d, "x@labas.test", "x@labas.test", "away@ici.test", "", &m, &r), 451);
    d->trouble = RC_OK;
    d->judge.arc = false;
    assert_int_equal(smtp_server_reload(d->srv, &d->set), RC_OK);
    assert_int_equal(hand_in(d, "x@labas.test", "x@labas.test", "away@ici.test", "", &m, &r), 250);
    assert_int_equal(m.seal.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(our_name_is_not_lent, open_door, close_door),
        cmocka_unit_test_setup_teardown(what_is_sealed, open_door, close_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
