#include "smtp/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "smtp/client_impl.h"

/* A peer that plays a script: "S: text" is said, "C: text" is expected, "C~ text" as a prefix; then the
 * connection ends. What the client wrote that was not expected makes the test fail. */
struct peer {
    int fd;
    const char *script;
    char wrong[512];
    char got[65536]; /* all that came, lines ended by "\n" */
};

static bool read_line(struct peer *p, FILE *in, char *line, size_t size)
{
    if (!fgets(line, (int)size, in))
        return false;
    size_t n = strlen(line);
    if (n < 2 || line[n - 2] != '\r')
        snprintf(p->wrong, sizeof p->wrong, "a line without CRLF: %.300s", line);
    else
        line[n - 2] = '\0';
    size_t used = strlen(p->got);
    snprintf(p->got + used, sizeof p->got - used, "%s\n", line);
    return true;
}

static void *play(void *arg)
{
    struct peer *p = arg;
    FILE *in = fdopen(dup(p->fd), "r");
    char line[4096], out[16384];
    size_t n = 0;
    struct view script = view_str(p->script), step;
    while (script.n > 0 && !*p->wrong) {
        view_split(&script, '\n', &step);
        if (view_take(&step, VIEW("S: "))) {
            /* Replies in a row go out as one, so that nobody reads the first before the last is there. */
            n += (size_t)snprintf(out + n, sizeof out - n, "%.*s\r\n", VIEW_FMT(step));
            bug_if(n >= sizeof out);
            if (view_starts(script, VIEW("S: ")))
                continue;
            if (write(p->fd, out, n) < 0)
                break;
            n = 0;
            continue;
        }
        bool prefix = view_take(&step, VIEW("C~ "));
        if (!prefix && !view_take(&step, VIEW("C: ")))
            break;
        if (!read_line(p, in, line, sizeof line)) {
            snprintf(p->wrong, sizeof p->wrong, "closed instead of %.*s", VIEW_FMT(step));
            break;
        }
        if (prefix ? !view_starts(view_str(line), step) : !view_eq(view_str(line), step))
            snprintf(p->wrong, sizeof p->wrong, "%.200s instead of %.*s", line, VIEW_FMT(step));
    }
    fclose(in);
    shutdown(p->fd, SHUT_RDWR);
    close(p->fd);
    return NULL;
}

struct run {
    struct peer peer;
    pthread_t thread;
    struct arena arena;
    struct smtp_client *client;
    struct smtp_client_reply why;
    enum rc rc;
};

static const struct smtp_client_settings set = {.hostname = "mx.ici.test", .greeting_ms = 2000, .mail_ms = 2000, .rcpt_ms = 2000,
                                                .data_init_ms = 2000, .data_block_ms = 2000, .data_end_ms = 2000};

static struct run *begin(const char *script, enum smtp_client_tls level)
{
    struct run *r = calloc(1, sizeof *r);
    int fds[2];
    struct conn *c;
    struct smtp_client_target to = {.host = "mx.labas.test", .level = level};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    r->peer.fd = fds[1];
    r->peer.script = script;
    arena_init(&r->arena, 4u << 20);
    assert_int_equal(pthread_create(&r->thread, NULL, play, &r->peer), 0);
    assert_int_equal(conn_new(fds[0], &c), RC_OK);
    r->rc = smtp_client_start(&set, c, &to, &r->client, &r->why);
    return r;
}

static void end(struct run *r)
{
    smtp_client_close(r->client, false);
    pthread_join(r->thread, NULL);
    assert_string_equal(r->peer.wrong, "");
    arena_clear(&r->arena);
    free(r);
}

#define EHLO "S: 220 mx.labas.test ESMTP\nC: EHLO mx.ici.test\n"
#define ALL                                                                                                                \
    EHLO "S: 250-mx.labas.test\nS: 250-PIPELINING\nS: 250-SIZE 100000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250 ENHANCEDSTATUSCODES\n"
#define CHUNKS EHLO "S: 250-mx.labas.test\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250-LIMITS RCPTMAX=2\nS: 250 8BITMIME\n"
#define TEXT "Subject: x\r\n\r\n.dot\r\nend\r\n"

static struct smtp_client_mail mail(struct smtp_client_rcpt *rcpts, size_t n, const char *bytes)
{
    return (struct smtp_client_mail){.sender = VIEW("a@ici.test"), .bytes = view_str(bytes), .rcpts = rcpts, .n_rcpts = n};
}

static void pipelined_with_results_each(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C: MAIL FROM:<a@ici.test> SIZE=25 RET=HDRS ENVID=x+3Dy\n"
                              "C: RCPT TO:<b@labas.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@labas.test\n"
                              "C: RCPT TO:<gone@labas.test>\nC: RCPT TO:<full@labas.test>\nC: DATA\n"
                              "S: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 550-5.1.1 no such\nS: 550 5.1.1 user\nS: 452 4.2.2 full\nS: 354 go\n"
                              "C: Subject: x\nC: \nC: ..dot\nC: end\nC: .\nS: 250 2.0.0 queued as 7\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpts[] = {
        {.address = VIEW("b@labas.test"), .notify = 2 | 4, .orcpt = VIEW("rfc822;b+c@labas.test")},
        {.address = VIEW("gone@labas.test")},
        {.address = VIEW("full@labas.test")},
    };
    struct smtp_client_mail m = mail(rcpts, 3, TEXT);
    m.ret_hdrs = true;
    m.envid = VIEW("x=y");
    assert_int_equal(r->rc, RC_OK);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpts[0].result, SMTP_RCPT_ACCEPTED);
    assert_string_equal(rcpts[0].reply->text, "250 2.0.0 queued as 7");
    assert_int_equal(rcpts[1].result, SMTP_RCPT_REFUSED);
    assert_string_equal(rcpts[1].reply->text, "550 5.1.1 no such 5.1.1 user");
    assert_string_equal(rcpts[1].reply->status, "5.1.1");
    assert_int_equal(rcpts[2].result, SMTP_RCPT_DEFERRED);
    assert_true(smtp_client_has_dsn(r->client));
    end(r);
}

static void no_recipient_left_sends_no_message(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 554 no recipients\n"
                              "C~ MAIL\nC~ RCPT\nC: DATA\nS: 550 5.7.1 not you\nS: 503 what\nS: 503 what\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
    struct smtp_client_mail m = mail(&rcpt, 1, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpt.result, SMTP_RCPT_REFUSED);
    assert_string_equal(rcpt.reply->text, "550 no");
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_string_equal(rcpt.reply->status, "5.7.1");
    end(r);
}

static void one_by_one_without_extensions(void **state)
{
    (void)state;
    struct run *r = begin("S: 220 old\nC: EHLO mx.ici.test\nS: 502 what\nC: HELO mx.ici.test\nS: 250 old\n"
                          "C: MAIL FROM:<a@ici.test>\nS: 250 ok\nC: RCPT TO:<b@labas.test>\nS: 250 ok\nC: DATA\nS: 354 go\n"
                          "C: Subject: x\nC: \nC: ..dot\nC: end\nC: .\nS: 451 try later\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
    struct smtp_client_mail m = mail(&rcpt, 1, TEXT);
    assert_int_equal(r->rc, RC_OK);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpt.result, SMTP_RCPT_DEFERRED);
    assert_string_equal(rcpt.reply->status, "4.0.0");
    end(r);
}

static void chunks_and_limits(void **state)
{
    (void)state;
    struct run *r = begin(CHUNKS "C: MAIL FROM:<a@ici.test>\nC: RCPT TO:<1@labas.test>\nC: RCPT TO:<2@labas.test>\nS: 250 ok\nS: 250 ok\nS: 250 ok\n"
                     "C: BDAT 25 LAST\nC: Subject: x\nC: \nC: .dot\nC: end\nS: 250 ok\n"
                     "C: MAIL FROM:<a@ici.test>\nC: RCPT TO:<3@labas.test>\nS: 250 ok\nS: 250 ok\n"
                     "C: BDAT 25 LAST\nC: Subject: x\nC: \nC: .dot\nC: end\nS: 250 ok\n",
              SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpts[] = {{.address = VIEW("1@labas.test")}, {.address = VIEW("2@labas.test")}, {.address = VIEW("3@labas.test")}};
    struct smtp_client_mail m = mail(rcpts, 3, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpts[1].result, SMTP_RCPT_ACCEPTED);
    assert_int_equal(rcpts[2].result, SMTP_RCPT_UNTRIED);
    m = mail(&rcpts[2], 1, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpts[2].result, SMTP_RCPT_ACCEPTED);
    end(r);
}

/* Fields of our own before a stored message: in DATA and BDAT, and counted. */
static void fields_go_in_front(void **state)
{
    static const char *const scripts[] = {
        ALL "C: MAIL FROM:<a@ici.test> SIZE=40\nC: RCPT TO:<b@labas.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
            "C: ARC-Seal: i=1\nC: Subject: x\nC: \nC: ..dot\nC: end\nC: .\nS: 250 ok\n",
        CHUNKS "C: MAIL FROM:<a@ici.test>\nC: RCPT TO:<b@labas.test>\nS: 250 ok\nS: 250 ok\n"
               "C: BDAT 40 LAST\nC: ARC-Seal: i=1\nC: Subject: x\nC: \nC: .dot\nC: end\nS: 250 ok\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct run *r = begin(scripts[i], SMTP_TLS_OPPORTUNISTIC);
        struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
        struct smtp_client_mail m = mail(&rcpt, 1, TEXT);
        m.front = VIEW("ARC-Seal: i=1\r\n");
        assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
        assert_int_equal(rcpt.result, SMTP_RCPT_ACCEPTED);
        end(r);
    }
}

/* RFC 5321 §4.5.3.1.10 */
static void too_many_recipients_wait(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C~ MAIL\nC~ RCPT\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 452 4.5.3 too many\nS: 354 go\n"
                              "C~ Subject\nC: \nC: ..dot\nC: end\nC: .\nS: 250 ok\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpts[] = {{.address = VIEW("1@labas.test")}, {.address = VIEW("2@labas.test")}};
    struct smtp_client_mail m = mail(rcpts, 2, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpts[0].result, SMTP_RCPT_ACCEPTED);
    assert_int_equal(rcpts[1].result, SMTP_RCPT_UNTRIED);
    end(r);
}

static void what_the_host_cannot_take(void **state)
{
    (void)state;
    static const struct {
        const char *address, *text;
        bool smtputf8, binary;
        const char *status;
    } rows[] = {
        {"b@labas.test", "Subject: x\r\n\r\n\xc3\xa9\r\n", false, false, "5.6.3"},
        {"b@labas.test", "Subject: \xc3\xa9\r\n\r\nx\r\n", true, false, "5.6.3"},
        {"b@labas.test", "Subject: x\r\n\r\na\nb\r\n", false, true, "5.6.3"},
        {"\xc3\xa9@labas.test", TEXT, true, false, "5.6.7"},
        {"a\r\nRCPT TO:<x@y>@labas.test", TEXT, false, false, "5.1.3"},
        {"a> NOTIFY=NEVER <b@labas.test", TEXT, false, false, "5.1.3"},
        {"\"a@labas.test", TEXT, false, false, "5.1.3"},
        {"", TEXT, false, false, "5.1.3"},
    };
    struct run *r = begin(EHLO "S: 250-mx\nS: 250 PIPELINING\n", SMTP_TLS_OPPORTUNISTIC);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_client_rcpt rcpt = {.address = view_str(rows[i].address)};
        struct smtp_client_mail m = mail(&rcpt, 1, rows[i].text);
        m.smtputf8 = rows[i].smtputf8;
        m.body = rows[i].binary ? SMTP_BODY_BINARY : SMTP_BODY_8BIT;
        assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
        assert_int_equal(rcpt.result, SMTP_RCPT_REFUSED);
        assert_string_equal(rcpt.reply->status, rows[i].status);
    }
    end(r);
}

static void utf8_where_it_is_known(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C: MAIL FROM:<a@ici.test> SIZE=22 BODY=8BITMIME SMTPUTF8\nC: RCPT TO:<\xc3\xa9@labas.test>\nC: DATA\n"
                              "S: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: \xc3\xa9\nC: \nC: body\nC: x\nC: .\nS: 250 ok\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpt = {.address = VIEW("\xc3\xa9@labas.test")};
    struct smtp_client_mail m = mail(&rcpt, 1, "Subject: \xc3\xa9\r\n\r\nbody\r\nx");
    m.smtputf8 = true;
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpt.result, SMTP_RCPT_ACCEPTED);
    end(r);
    /* A domain alone can be written in A-labels for any host. */
    r = begin("S: 220 x\nC~ EHLO\nS: 250 x\nC: MAIL FROM:<a@ici.test>\nS: 250 ok\nC: RCPT TO:<b@xn--bcher-kva.test>\nS: 550 no\nC: RSET\nS: 250 ok\n",
              SMTP_TLS_OPPORTUNISTIC);
    rcpt = (struct smtp_client_rcpt){.address = VIEW("b@b\xc3\xbc" "cher.test")};
    m = mail(&rcpt, 1, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    end(r);
}

/* Line ends that other readers might take for an end of data do not leave us. */
static void bare_line_ends_become_crlf(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
                              "C: a\nC: ..\nC: b\nC: ..c\nC: d\nC: ..\nC: .\nS: 250 ok\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
    struct smtp_client_mail m = mail(&rcpt, 1, "a\n.\nb\r.c\r\nd\r\n.");
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(rcpt.result, SMTP_RCPT_ACCEPTED);
    end(r);
}

static void lost_connections(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        bool opened;
        enum smtp_rcpt_result result;
        const char *status;
    } rows[] = {
        {"S: 554 5.7.1 go away\nC: QUIT\n", false, 0, "5.7.1"},
        {"S: 421 4.3.2 busy\nC: QUIT\n", false, 0, "4.3.2"},
        {"S: SSH-2.0-x\n", false, 0, "4.5.0"},
        {"", false, 0, "4.4.2"},
        {ALL "C~ MAIL\n", true, SMTP_RCPT_DEFERRED, "4.4.2"},
        {ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 421 4.3.2 shutting down\n", true, SMTP_RCPT_DEFERRED, "4.3.2"},
        {ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC~ Subj\nC: \nC~ .\nC~ end\nC: .\n", true, SMTP_RCPT_DEFERRED, "4.4.2"},
        /* a reply too many: the next one would be taken for the message's */
        {CHUNKS "C~ MAIL\nC~ RCPT\nS: 250 ok\nS: 250 ok\nS: 250 ok\n", true, SMTP_RCPT_DEFERRED, "4.5.0"},
        /* 250 where 354 is due: nothing was sent, so nothing was taken */
        {ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\n", true, SMTP_RCPT_DEFERRED, "4.5.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run *r = begin(rows[i].script, SMTP_TLS_OPPORTUNISTIC);
        if (rows[i].opened) {
            struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
            struct smtp_client_mail m = mail(&rcpt, 1, TEXT);
            assert_int_equal(r->rc, RC_OK);
            assert_int_not_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
            assert_int_equal(rcpt.result, rows[i].result);
            assert_string_equal(rcpt.reply->status, rows[i].status);
        } else {
            assert_int_equal(r->rc, RC_TEMP);
            assert_string_equal(r->why.status, rows[i].status);
        }
        end(r);
    }
}

/* A kept connection that has ended meanwhile: nobody has a result, so a new one may be tried. */
static void stale_connection_is_told_apart(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C~ MAIL\nC~ RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC~ Subj\nC: \nC~ .\nC~ end\nC: .\nS: 250 ok\n",
                          SMTP_TLS_OPPORTUNISTIC);
    struct smtp_client_rcpt rcpt = {.address = VIEW("b@labas.test")};
    struct smtp_client_mail m = mail(&rcpt, 1, TEXT);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_OK);
    assert_int_equal(smtp_client_send(r->client, &m, &r->arena), RC_CLOSED);
    assert_int_equal(rcpt.result, SMTP_RCPT_UNTRIED);
    end(r);
}

static void verified_tls_is_not_waived(void **state)
{
    (void)state;
    struct run *r = begin(ALL "C: QUIT\n", SMTP_TLS_VERIFIED);
    assert_int_equal(r->rc, RC_TEMP);
    assert_string_equal(r->why.status, "4.7.4");
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_with_results_each),   cmocka_unit_test(no_recipient_left_sends_no_message),
        cmocka_unit_test(one_by_one_without_extensions), cmocka_unit_test(chunks_and_limits),
        cmocka_unit_test(fields_go_in_front),
        cmocka_unit_test(too_many_recipients_wait),      cmocka_unit_test(what_the_host_cannot_take),
        cmocka_unit_test(utf8_where_it_is_known),        cmocka_unit_test(bare_line_ends_become_crlf),
        cmocka_unit_test(lost_connections),              cmocka_unit_test(stale_connection_is_told_apart),
        cmocka_unit_test(verified_tls_is_not_waived),
    };
    return cmocka_run_group_tests_name("smtp_client", tests, NULL, NULL);
}
