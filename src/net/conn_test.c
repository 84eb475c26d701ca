#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "net/conn.h"
#include "sys/thread.h"

struct pair {
    struct conn *c; /* ours */
    int peer;
};

static struct pair make_pair(void)
{
    int fds[2];
    struct pair p;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_new(fds[0], &p.c), RC_OK);
    p.peer = fds[1];
    conn_deadline(p.c, deadline_in(5000));
    return p;
}

static void end_pair(struct pair p)
{
    conn_free(p.c);
    if (p.peer >= 0)
        close(p.peer);
}

static void feed(int fd, struct view v)
{
    assert_int_equal(write(fd, v.p, v.n), (ssize_t)v.n);
}

struct expect {
    enum rc rc;
    struct view line;
};

/* Each script is fed whole, and byte by byte. */
static const struct {
    struct view in;
    size_t max;
    struct expect want[6]; /* until RC_CLOSED */
} scripts[] = {
    {VIEW_INIT("one\r\ntwo\r\n\r\n"),
     100,
     {{RC_OK, VIEW_INIT("one")}, {RC_OK, VIEW_INIT("two")}, {RC_OK, VIEW_INIT("")}, {RC_CLOSED}}},
    {VIEW_INIT("bare\nlf\rand cr\r\r\nx\r\n"),
     100,
     {{RC_OK, VIEW_INIT("bare\nlf\rand cr\r")}, {RC_OK, VIEW_INIT("x")}, {RC_CLOSED}}},
    {VIEW_INIT("a\0b\r\nno end"), 100, {{RC_OK, VIEW_INIT("a\0b")}, {RC_CLOSED}}},
    {VIEW_INIT("12345\r\n123456\r\n12345\r\n"),
     5,
     {{RC_OK, VIEW_INIT("12345")}, {RC_LIMIT}, {RC_OK, VIEW_INIT("12345")}, {RC_CLOSED}}},
    {VIEW_INIT("123456789012345\r\r\r\nok\r\n"), 5, {{RC_LIMIT}, {RC_OK, VIEW_INIT("ok")}, {RC_CLOSED}}},
    {VIEW_INIT("\r\nx\r\n"), 0, {{RC_OK, VIEW_INIT("")}, {RC_LIMIT}, {RC_CLOSED}}},
    {VIEW_INIT("123456\r"), 5, {{RC_CLOSED}}},
    {VIEW_INIT(""), 5, {{RC_CLOSED}}},
};

struct feeder {
    int fd;
    struct view v;
    size_t step;
    int64_t pause_ms;
};

static void run_feeder(void *arg)
{
    struct feeder *f = arg;
    while (f->v.n > 0) {
        size_t n = f->step < f->v.n ? f->step : f->v.n;
        if (send(f->fd, f->v.p, n, MSG_NOSIGNAL) < 0)
            break;
        view_skip(&f->v, n);
        if (f->pause_ms > 0)
            usleep((useconds_t)f->pause_ms * 1000);
    }
    shutdown(f->fd, SHUT_WR);
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        for (size_t step = 1; step <= 1000; step += 999) {
            struct pair p = make_pair();
            struct feeder f = {.fd = p.peer, .v = scripts[i].in, .step = step};
            pthread_t id;
            assert_int_equal(thread_start("feeder", run_feeder, &f, &id), RC_OK);
            for (const struct expect *e = scripts[i].want;; e++) {
                struct view line;
                assert_int_equal(conn_line(p.c, scripts[i].max, &line), e->rc);
                if (e->rc == RC_OK)
                    assert_true(view_eq(line, e->line));
                if (e->rc == RC_CLOSED)
                    break;
            }
            pthread_join(id, NULL);
            end_pair(p);
        }
}

static void test_longest_line(void **state)
{
    static char big[3 * CONN_BUF];
    struct pair p = make_pair();
    struct view line;
    (void)state;
    memset(big, 'x', sizeof big);
    memcpy(big + CONN_BUF, "\r\n", 2);
    feed(p.peer, view_of(big, CONN_BUF + 2));
    assert_int_equal(conn_line(p.c, 1 << 20, &line), RC_OK);
    assert_int_equal(line.n, CONN_BUF);
    memset(big, 'x', sizeof big);
    memcpy(big + CONN_BUF + 1, "\r\nnext\r\n", 8);
    feed(p.peer, view_of(big, CONN_BUF + 9));
    assert_int_equal(conn_line(p.c, 1 << 20, &line), RC_LIMIT);
    assert_int_equal(conn_line(p.c, 1 << 20, &line), RC_OK);
    assert_true(view_eq(line, VIEW("next")));
    end_pair(p);
}

static void test_fill(void **state)
{
    struct pair p = make_pair();
    struct view v;
    (void)state;
    feed(p.peer, VIEW("abc"));
    assert_int_equal(conn_fill(p.c, &v), RC_OK);
    assert_true(view_eq(v, VIEW("abc")));
    assert_false(conn_has_input(p.c)); /* no whole line */
    feed(p.peer, VIEW("def\r\n"));
    assert_int_equal(conn_fill(p.c, &v), RC_OK); /* nothing eaten, nothing read */
    assert_true(view_eq(v, VIEW("abc")));
    assert_int_equal(conn_fill_more(p.c, &v), RC_OK);
    assert_true(view_eq(v, VIEW("abcdef\r\n")));
    assert_true(conn_has_input(p.c));
    conn_eat(p.c, 4);
    assert_int_equal(conn_line(p.c, 10, &v), RC_OK);
    assert_true(view_eq(v, VIEW("ef")));
    assert_false(conn_has_input(p.c));
    conn_deadline(p.c, deadline_in(20));
    assert_int_equal(conn_fill_more(p.c, &v), RC_TIMEOUT);
    end_pair(p);
}

static void test_fill_full(void **state)
{
    static char big[2 * CONN_BUF];
    struct pair p = make_pair();
    struct view v;
    enum rc rc;
    (void)state;
    feed(p.peer, view_of(big, sizeof big));
    do
        rc = conn_fill_more(p.c, &v);
    while (rc == RC_OK);
    assert_int_equal(rc, RC_LIMIT);
    size_t got = 0;
    while (got < sizeof big) {
        assert_int_equal(conn_fill(p.c, &v), RC_OK);
        got += v.n;
        conn_eat(p.c, v.n);
    }
    assert_int_equal(got, sizeof big);
    end_pair(p);
}

/* A byte now and then does not keep us past the deadline; neither does a fast endless line. */
static void test_trickle(void **state)
{
    static char bytes[10000]; /* ten seconds of them, but the end of the connection ends it */
    struct pair p = make_pair();
    struct feeder f = {.fd = p.peer, .v = view_of(bytes, sizeof bytes), .step = 1, .pause_ms = 1};
    struct view line;
    pthread_t id;
    int64_t start = clock_mono_ms();
    (void)state;
    assert_int_equal(thread_start("feeder", run_feeder, &f, &id), RC_OK);
    conn_deadline(p.c, deadline_in(60));
    assert_int_equal(conn_line(p.c, 1000, &line), RC_TIMEOUT);
    assert_in_range(clock_mono_ms() - start, 60, 8000);
    assert_int_equal(conn_line(p.c, 1000, &line), RC_TIMEOUT); /* remembered */
    end_pair((struct pair){p.c, -1});
    pthread_join(id, NULL);
    close(p.peer);
}

/* The same trickle is fast enough for a least rate. */
static void test_progress(void **state)
{
    static char bytes[200];
    struct pair p = make_pair();
    struct feeder f = {.fd = p.peer, .v = view_of(bytes, sizeof bytes), .step = 1, .pause_ms = 1};
    struct view v;
    size_t got = 0;
    enum rc rc;
    pthread_t id;
    (void)state;
    assert_int_equal(thread_start("feeder", run_feeder, &f, &id), RC_OK);
    conn_progress(p.c, 100, 100, 10000);
    while ((rc = conn_fill(p.c, &v)) == RC_OK) {
        got += v.n;
        conn_eat(p.c, v.n);
    }
    assert_int_equal(rc, RC_CLOSED);
    assert_int_equal(got, sizeof bytes);
    pthread_join(id, NULL);
    end_pair(p);
}

static void test_writes(void **state)
{
    struct pair p = make_pair();
    char got[8192];
    (void)state;
    conn_write(p.c, VIEW("a"));
    conn_printf(p.c, "%d %s\r\n", 7, "b");
    assert_int_equal(recv(p.peer, got, sizeof got, MSG_DONTWAIT), -1); /* nothing before the flush */
    assert_int_equal(conn_flush(p.c), RC_OK);
    assert_int_equal(recv(p.peer, got, sizeof got, MSG_DONTWAIT), 6); /* then at once */
    conn_printf(p.c, "%*s", 5000, "x");
    assert_int_equal(conn_flush(p.c), RC_OK);
    assert_int_equal(recv(p.peer, got, 5000, MSG_WAITALL), 5000);
    end_pair(p);
}

/* What was said goes out before we wait for the answer. */
static void test_flush_before_wait(void **state)
{
    struct pair p = make_pair();
    struct view line;
    char got[16];
    (void)state;
    conn_write(p.c, VIEW("who?\r\n"));
    conn_deadline(p.c, deadline_in(10));
    assert_int_equal(conn_line(p.c, 100, &line), RC_TIMEOUT);
    assert_int_equal(recv(p.peer, got, sizeof got, MSG_DONTWAIT), 6);
    end_pair(p);
}

static void test_writes_to_dead_peers(void **state)
{
    static char big[1 << 20];
    struct pair p = make_pair();
    (void)state;
    conn_deadline(p.c, deadline_in(50)); /* it does not read */
    conn_write(p.c, view_of(big, sizeof big));
    conn_write(p.c, VIEW("more"));
    assert_int_equal(conn_flush(p.c), RC_TIMEOUT);
    end_pair(p);

    p = make_pair();
    close(p.peer);
    p.peer = -1;
    conn_write(p.c, VIEW("hello"));
    assert_int_equal(conn_flush(p.c), RC_CLOSED); /* and no SIGPIPE */
    end_pair(p);
}

static void test_dial(void **state)
{
    struct addr a;
    socklen_t len = sizeof a.ss;
    struct conn *c;
    const char *why;
    (void)state;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(addr_parse(VIEW("127.0.0.1:0"), &a), RC_OK);
    assert_int_equal(bind(l, (struct sockaddr *)&a.ss, a.len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a.ss, &len), 0);
    struct addr from;
    assert_int_equal(addr_parse(VIEW("127.0.0.5:0"), &from), RC_OK);
    assert_int_equal(conn_dial(&a, &from, deadline_in(2000), &c, &why), RC_OK);
    char text[ADDR_TEXT_MAX];
    addr_write_ip(conn_local(c), text);
    assert_string_equal(text, "127.0.0.5");
    assert_string_equal(conn_peer_text(c), "127.0.0.1");
    assert_int_not_equal(conn_id(c), 0);
    conn_free(c);
    close(l);
    assert_int_equal(conn_dial(&a, NULL, deadline_in(2000), &c, &why), RC_TEMP);
    assert_string_equal(why, "Connection refused");
    assert_null(c);
    conn_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_fill_full),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_flush_before_wait),
        cmocka_unit_test(test_writes_to_dead_peers),
        cmocka_unit_test(test_dial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
