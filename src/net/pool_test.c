#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "net/pool.h"
#include "net/testcert.h"

#define WAIT_MS 10000

/* A service that says what happens to it: "hi" at first, each line back, and why else it was called. */
struct echo {
    struct conn *c;
    struct echo *next;
};
static struct {
    pthread_mutex_t lock; /* guards the list, as a real service guards its registry */
    struct echo *all;
    atomic_uint opened, closed, held;
    atomic_bool hold; /* sessions wait in serve while this is so */
    atomic_int park_ms;
} echo = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *echo_open(void *ctx, struct conn *c)
{
    struct echo *e = calloc(1, sizeof *e);
    (void)ctx;
    e->c = c;
    pthread_mutex_lock(&echo.lock);
    e->next = echo.all;
    echo.all = e;
    pthread_mutex_unlock(&echo.lock);
    conn_printf(c, "hi %s\r\n", conn_peer_text(c));
    echo.opened++;
    return e;
}

static enum pool_next echo_serve(void *session, enum pool_why why)
{
    struct echo *e = session;
    struct view line;

    if (why == POOL_EVENT)
        conn_write(e->c, VIEW("event\r\n"));
    if (why == POOL_TIMEOUT)
        conn_write(e->c, VIEW("timeout\r\n"));
    if (why == POOL_DRAIN)
        conn_write(e->c, VIEW("bye\r\n"));
    if (why == POOL_INPUT)
        do {
            conn_deadline(e->c, deadline_in(WAIT_MS));
            if (conn_line(e->c, 1000, &line) != RC_OK)
                return POOL_CLOSE;
            if (view_eq(line, VIEW("more")) && conn_line(e->c, 1000, &line) != RC_OK)
                return POOL_CLOSE;
            for (echo.held++; echo.hold;)
                usleep(500);
            conn_write(e->c, line);
            conn_write(e->c, VIEW("\r\n"));
        } while (conn_has_input(e->c));
    if (echo.park_ms > 0)
        pool_park_until(e->c, deadline_in(echo.park_ms));
    return why == POOL_TIMEOUT || why == POOL_DRAIN ? POOL_CLOSE : POOL_PARK;
}

static void echo_close(void *session)
{
    struct echo *e = session, **at = &echo.all;
    pthread_mutex_lock(&echo.lock);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    pthread_mutex_unlock(&echo.lock);
    free(e);
    echo.closed++;
}

static struct pool_service service = {
    .name = "echo", .open = echo_open, .serve = echo_serve, .close = echo_close, .busy_reply = "busy\r\n"};

static void wake_all(void (*wake)(struct conn *))
{
    pthread_mutex_lock(&echo.lock);
    for (struct echo *e = echo.all; e; e = e->next)
        wake(e->c);
    pthread_mutex_unlock(&echo.lock);
}

/* --- the pool under test, and its clients --- */

static struct pool_settings settings(void)
{
    return (struct pool_settings){.max_workers = 64,
                                  .max_connections = 5000,
                                  .max_per_address = 5000,
                                  .handshake_ms = WAIT_MS,
                                  .idle_ms = 60000};
}

static struct pool *start(const struct pool_settings *set, bool implicit_tls, struct addr *at)
{
    struct pool *p;
    socklen_t len = sizeof at->ss;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(addr_parse(VIEW("127.0.0.1:0"), at), RC_OK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at->ss, at->len), 0);
    assert_int_equal(listen(fd, 4096), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at->ss, &len), 0);
    echo.opened = echo.closed = echo.held = 0;
    echo.hold = false;
    echo.park_ms = 0;
    assert_int_equal(pool_new(set, &p), RC_OK);
    assert_int_equal(pool_listen(p, &(struct pool_listener){fd, &service, implicit_tls}), RC_OK);
    return p;
}

static void stop(struct pool *p)
{
    struct pool_counts n;
    pool_drain(p, deadline_in(WAIT_MS));
    pool_count(p, &n);
    assert_int_equal(n.connections, 0);
    assert_int_equal(echo.opened, echo.closed);
    pool_free(p);
}

static struct conn *dial(const struct addr *at, const char *from)
{
    struct conn *c;
    struct addr bind_to = {0};
    const char *why;
    if (from)
        assert_int_equal(addr_parse_ip(view_str(from), 0, &bind_to), RC_OK);
    assert_int_equal(conn_dial(at, &bind_to, deadline_in(WAIT_MS), &c, &why), RC_OK);
    return c;
}

static void say(struct conn *c, struct view v)
{
    conn_write(c, v);
    assert_int_equal(conn_flush(c), RC_OK);
}

static void hear(struct conn *c, const char *want)
{
    struct view line;
    conn_deadline(c, deadline_in(WAIT_MS));
    assert_int_equal(conn_line(c, 1000, &line), RC_OK);
    assert_true(view_eq(line, view_str(want)));
}

static void hear_end(struct conn *c)
{
    struct view line;
    conn_deadline(c, deadline_in(WAIT_MS));
    assert_int_equal(conn_line(c, 1000, &line), RC_CLOSED);
}

/* Of n connections all are parked; without the first count, one that waits for a worker would be overlooked. */
static void wait_parked(struct pool *p, unsigned n)
{
    struct pool_counts now;
    int64_t end = deadline_in(WAIT_MS);
    do {
        pool_count(p, &now);
        if (now.connections == n && now.parked == n && now.busy == 0)
            return;
        usleep(500);
    } while (clock_mono_ms() < end);
    fail_msg("%u of %u parked, not %u", now.parked, now.connections, n);
}

/* A client that types on and on, but never a whole line, hears this all the same. */
static void hear_while_typing(const struct addr *at, const char *want)
{
    char heard[100];
    size_t n = 0;
    int64_t end = deadline_in(WAIT_MS);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s, (const struct sockaddr *)&at->ss, at->len), 0);
    while (clock_mono_ms() < end && !view_ends(view_of(heard, n), view_str(want))) {
        (void)!send(s, "x", 1, MSG_NOSIGNAL); /* it may be over already */
        ssize_t got = recv(s, heard + n, sizeof heard - n, MSG_DONTWAIT);
        if (got > 0)
            n += (size_t)got;
        else
            usleep(5000);
    }
    assert_true(view_ends(view_of(heard, n), view_str(want)));
    close(s);
}

/* --- tests --- */

static void test_echo(void **state)
{
    struct pool_settings set = settings();
    struct addr at;
    struct pool *p = start(&set, false, &at);
    struct conn *c = dial(&at, NULL);
    (void)state;
    hear(c, "hi 127.0.0.1");
    say(c, VIEW("one\r\ntwo\r\nth"));
    hear(c, "one");
    hear(c, "two");
    say(c, VIEW("ree\r\n"));
    hear(c, "three");
    wait_parked(p, 1);
    say(c, VIEW("four\r\n"));
    hear(c, "four");
    conn_free(c);
    stop(p);
}

static void test_many_parked_few_threads(void **state)
{
    enum { N = 1000 };
    static struct conn *c[N];
    struct pool_settings set = settings();
    struct pool_counts n;
    struct addr at;
    set.max_workers = 40;
    struct pool *p = start(&set, false, &at);
    (void)state;
    for (int i = 0; i < N; i++)
        c[i] = dial(&at, NULL);
    for (int i = 0; i < N; i++)
        hear(c[i], "hi 127.0.0.1");
    wait_parked(p, N);
    pool_count(p, &n);
    assert_int_equal(n.connections, N);
    assert_in_range(n.workers, 1, set.max_workers);

    wake_all(pool_wake);
    for (int i = 0; i < N; i++)
        hear(c[i], "event");
    for (int i = 0; i < N; i++)
        say(c[i], VIEW("x\r\n"));
    for (int i = 0; i < N; i++)
        hear(c[i], "x");
    for (int i = 0; i < N / 2; i++)
        conn_free(c[i]);
    wait_parked(p, N / 2);
    pool_drain(p, deadline_in(WAIT_MS));
    for (int i = N / 2; i < N; i++) {
        hear(c[i], "bye");
        hear_end(c[i]);
        conn_free(c[i]);
    }
    stop(p);
}

/* Half lines hold no workers, keep nobody from his timeout, and are not lost. */
static void test_half_lines(void **state)
{
    enum { N = 100 };
    static struct conn *c[N];
    struct pool_settings set = settings();
    struct pool_counts n;
    struct addr at;
    set.max_workers = 8;
    struct pool *p = start(&set, false, &at);
    (void)state;
    for (int i = 0; i < N; i++) {
        c[i] = dial(&at, NULL);
        hear(c[i], "hi 127.0.0.1");
        say(c[i], VIEW("ha"));
        say(c[i], VIEW("lf\r"));
    }
    struct conn *other = dial(&at, NULL);
    hear(other, "hi 127.0.0.1");
    say(other, VIEW("x\r\n"));
    hear(other, "x");
    wait_parked(p, N + 1);
    pool_count(p, &n);
    assert_int_equal(n.busy, 0);
    wake_all(pool_wake);
    for (int i = 0; i < N; i++) {
        hear(c[i], "event");
        say(c[i], VIEW("\nnext\r\nha"));
        hear(c[i], "half");
        hear(c[i], "next");
        conn_free(c[i]);
    }
    conn_free(other);
    set.idle_ms = 100;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    hear_while_typing(&at, "timeout\r\n");
    stop(p);
}

/* Sessions that wait do not keep others waiting: workers are added until all are at work. */
static void test_blocked_workers(void **state)
{
    enum { N = 40 };
    struct conn *c[N];
    struct pool_settings set = settings();
    struct addr at;
    struct pool *p = start(&set, false, &at);
    (void)state;
    for (int i = 0; i < N; i++) {
        c[i] = dial(&at, NULL);
        hear(c[i], "hi 127.0.0.1");
    }
    echo.hold = true;
    for (int i = 0; i < N; i++)
        say(c[i], VIEW("x\r\n"));
    int64_t end = deadline_in(WAIT_MS);
    while (echo.held < N && clock_mono_ms() < end)
        usleep(500);
    echo.hold = false;
    assert_int_equal(echo.held, N);
    for (int i = 0; i < N; i++)
        hear(c[i], "x");
    for (int i = 0; i < N; i++)
        conn_free(c[i]);
    stop(p);
}

static void test_timeouts(void **state)
{
    struct pool_settings set = settings();
    struct addr at;
    struct pool *p = start(&set, false, &at);
    struct conn *longer = dial(&at, NULL), *c;
    int64_t begin;
    (void)state;
    hear(longer, "hi 127.0.0.1");
    wait_parked(p, 1);
    set.idle_ms = 100;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    echo.park_ms = 300; /* longer than idle_ms, for this one park */
    begin = clock_mono_ms();
    say(longer, VIEW("x\r\n"));
    hear(longer, "x");
    hear(longer, "timeout");
    assert_true(clock_mono_ms() - begin >= 300);
    hear_end(longer);
    begin = clock_mono_ms();
    c = dial(&at, NULL);
    hear(c, "hi 127.0.0.1");
    hear(c, "timeout");
    assert_true(clock_mono_ms() - begin >= 100);
    hear_end(c);
    conn_free(c);
    conn_free(longer);
    stop(p);
}

static void test_limits(void **state)
{
    struct pool_settings set = settings();
    struct pool_counts n;
    struct addr at;
    set.max_per_address = 2;
    set.max_connections = 3;
    struct pool *p = start(&set, false, &at);
    (void)state;
    struct conn *a = dial(&at, "127.0.0.1"), *b = dial(&at, "127.0.0.1"), *c = dial(&at, "127.0.0.1");
    hear(a, "hi 127.0.0.1");
    hear(b, "hi 127.0.0.1");
    hear(c, "busy");
    hear_end(c);
    conn_free(c);
    c = dial(&at, "127.0.0.7"); /* others are not touched by that */
    hear(c, "hi 127.0.0.7");
    struct conn *d = dial(&at, "127.0.0.8");
    hear(d, "busy");
    conn_free(d);
    conn_free(a);
    wait_parked(p, 2);
    a = dial(&at, "127.0.0.1"); /* a place is free again */
    hear(a, "hi 127.0.0.1");
    set.max_connections = 10;
    set.max_per_address = 3;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    d = dial(&at, "127.0.0.1");
    hear(d, "hi 127.0.0.1");
    pool_count(p, &n);
    assert_int_equal(n.refused, 2);
    assert_int_equal(n.accepted, 7);
    conn_free(a);
    conn_free(b);
    conn_free(c);
    conn_free(d);
    stop(p);
}

/* A reverse proxy may have more connections than its clients, at services that know of proxies alone. */
static void test_shared_peers(void **state)
{
    struct addr_net shared[1];
    struct pool_settings set = settings();
    struct addr at;
    (void)state;
    assert_int_equal(addr_net_parse(VIEW("127.0.0.9/32"), &shared[0]), RC_OK);
    set.shared_from = shared;
    set.n_shared_from = 1;
    set.max_per_address = 1;
    for (int on = 1; on >= 0; on--) {
        service.shared = on;
        struct pool *p = start(&set, false, &at);
        struct conn *a = dial(&at, "127.0.0.9"), *b = dial(&at, "127.0.0.9"), *c = dial(&at, "127.0.0.8"), *d = dial(&at, "127.0.0.8");
        hear(a, "hi 127.0.0.9");
        hear(b, on ? "hi 127.0.0.9" : "busy");
        hear(c, "hi 127.0.0.8");
        hear(d, "busy");
        conn_free(a);
        conn_free(b);
        conn_free(c);
        conn_free(d);
        stop(p);
    }
}

static void test_kick(void **state)
{
    struct pool_settings set = settings();
    struct addr at;
    struct pool *p = start(&set, false, &at);
    struct conn *c = dial(&at, NULL);
    (void)state;
    hear(c, "hi 127.0.0.1");
    wake_all(pool_kick);
    hear(c, "bye");
    hear_end(c);
    conn_free(c);
    stop(p);
}

/* Those who share a listening socket end it by shutdown, and its place is free again. */
static void test_listeners_go(void **state)
{
    struct pool_settings set = settings();
    struct addr at, next;
    struct pool *p = start(&set, false, &at);
    (void)state;
    for (int i = 0; i < 100; i++) {
        socklen_t len = sizeof next.ss;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(addr_parse(VIEW("127.0.0.1:0"), &next), RC_OK);
        assert_int_equal(bind(fd, (struct sockaddr *)&next.ss, next.len), 0);
        assert_int_equal(listen(fd, 5), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&next.ss, &len), 0);
        int ours = dup(fd);
        assert_int_equal(pool_listen(p, &(struct pool_listener){fd, &service, false}), RC_OK);
        struct conn *c = dial(&next, NULL);
        hear(c, "hi 127.0.0.1");
        assert_int_equal(shutdown(ours, SHUT_RDWR), 0);
        int64_t end = deadline_in(WAIT_MS);
        while (fcntl(fd, F_GETFD) >= 0 && clock_mono_ms() < end) /* the pool closes it */
            usleep(100);
        say(c, VIEW("still here\r\n"));
        hear(c, "still here");
        conn_free(c);
        close(ours);
    }
    struct conn *c = dial(&at, NULL);
    hear(c, "hi 127.0.0.1");
    conn_free(c);
    stop(p);
}

/* A session that does not end in time is cut. */
static void test_drain_cuts(void **state)
{
    struct pool_settings set = settings();
    struct addr at;
    struct pool *p = start(&set, false, &at);
    struct conn *c = dial(&at, NULL);
    (void)state;
    hear(c, "hi 127.0.0.1");
    wait_parked(p, 1);
    say(c, VIEW("more\r\n")); /* then it waits WAIT_MS for the next line */
    struct pool_counts n;
    int64_t begin = clock_mono_ms();
    do {
        usleep(500);
        pool_count(p, &n);
    } while ((n.busy == 0 || n.parked > 0) && clock_mono_ms() - begin < WAIT_MS);
    begin = clock_mono_ms();
    pool_drain(p, deadline_in(100));
    assert_in_range(clock_mono_ms() - begin, 100, WAIT_MS / 2);
    conn_free(c);
    stop(p);
}

static void test_proxy(void **state)
{
    struct addr_net trusted[1];
    struct pool_settings set = settings();
    struct addr at;
    assert_int_equal(addr_net_parse(VIEW("127.0.0.9/32"), &trusted[0]), RC_OK);
    set.proxy_from = trusted;
    set.n_proxy_from = 1;
    set.max_per_address = 1;
    struct pool *p = start(&set, false, &at);
    (void)state;
    struct conn *a = dial(&at, "127.0.0.9"), *b = dial(&at, "127.0.0.9"), *c = dial(&at, "127.0.0.9");
    say(a, VIEW("PROXY TCP4 192.0.2.7 192.0.2.1 1000 25\r\nfirst\r\n"));
    hear(a, "hi 192.0.2.7");
    hear(a, "first");
    say(b, VIEW("PROXY TCP4 192.0.2.7 192.0.2.1 1001 25\r\n")); /* the limit counts whom it speaks for */
    hear(b, "busy");
    hear_end(b);
    say(c, VIEW("EHLO x\r\n")); /* required of trusted peers */
    hear_end(c);
    conn_free(b);
    conn_free(c);
    set.handshake_ms = 100;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    b = dial(&at, "127.0.0.9");
    say(b, VIEW("PROXY TCP4 192.0.2.8 192."));
    hear_end(b); /* and within the handshake's time */
    conn_free(b);
    set.handshake_ms = WAIT_MS;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    b = dial(&at, "127.0.0.9");
    say(b, VIEW("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")); /* LOCAL */
    hear(b, "hi 127.0.0.9");
    c = dial(&at, "127.0.0.10"); /* to others it means nothing */
    hear(c, "hi 127.0.0.10");
    say(c, VIEW("PROXY UNKNOWN\r\n"));
    hear(c, "PROXY UNKNOWN");
    conn_free(a);
    conn_free(b);
    conn_free(c);
    stop(p);
}

/* Behind the PROXY header, and with an idle and a dripping peer beside. */
static void test_implicit_tls(void **state)
{
    struct addr_net trusted[1];
    struct pool_settings set = settings();
    struct addr at;
    struct testcert cert, *certs[] = {&cert, NULL};
    struct tls_server *server;
    struct tls_client *client;
    const char *why;
    (void)state;
    testcert_init(&cert, false, "DNS:mx.test");
    assert_int_equal(tls_server_new(&(struct tls_server_settings){(const char *const[]){cert.pem, NULL},
                                                                  testcert_sign, certs, NULL},
                                    &server, &why),
                     RC_OK);
    assert_int_equal(tls_client_new(cert.pem, &client, &why), RC_OK);
    assert_int_equal(addr_net_parse(VIEW("127.0.0.9/32"), &trusted[0]), RC_OK);
    set.proxy_from = trusted;
    set.n_proxy_from = 1;
    struct pool *p = start(&set, true, &at);
    pool_set_tls(p, server);

    struct conn *quiet = dial(&at, NULL), *drip = dial(&at, NULL), *c = dial(&at, "127.0.0.9");
    say(drip, VIEW("\x16\x03"));
    conn_write(c, VIEW("PROXY TCP4 192.0.2.7 192.0.2.1 1000 25\r\n"));
    struct conn_tls_options o = {.server_name = "mx.test", .verify = true};
    assert_int_equal(conn_start_tls_client(c, client, &o), RC_OK);
    hear(c, "hi 192.0.2.7");
    wait_parked(p, 3); /* neither of the others holds a worker */
    for (int i = 0; i < 100; i++)
        conn_write(c, VIEW("pipelined\r\n"));
    assert_int_equal(conn_flush(c), RC_OK);
    for (int i = 0; i < 100; i++)
        hear(c, "pipelined");
    pool_set_tls(p, NULL);
    wake_all(pool_wake);
    hear(c, "event"); /* a reload does not touch those who are there */
    conn_free(quiet);
    conn_free(drip);
    pool_set_tls(p, server);
    set.handshake_ms = 100;
    assert_int_equal(pool_reload(p, &set), RC_OK);
    quiet = dial(&at, NULL);
    drip = dial(&at, NULL);
    conn_write(drip, VIEW("\x16\x03"));
    conn_flush(drip); /* it may be over already */
    hear_end(quiet);
    hear_end(drip);
    conn_free(quiet);
    conn_free(drip);
    conn_free(c);
    stop(p);
    tls_server_free(server);
    tls_client_free(client);
    testcert_clear(&cert);
}

/* Without descriptors accept waits, and goes on when there are some. */
static void test_no_descriptors(void **state)
{
    struct pool_settings set = settings();
    struct rlimit before, few;
    struct addr at;
    struct pool *p = start(&set, false, &at);
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct conn *c = dial(&at, NULL);
    hear(c, "hi 127.0.0.1");
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    few = before;
    few.rlim_cur = (rlim_t)s + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(connect(s, (struct sockaddr *)&at.ss, at.len), 0);
    struct timespec cpu0, cpu1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu0);
    struct pollfd pf = {.fd = s, .events = POLLIN};
    assert_int_equal(poll(&pf, 1, 100), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu1);
    assert_in_range((cpu1.tv_sec - cpu0.tv_sec) * 1000000 + (cpu1.tv_nsec - cpu0.tv_nsec) / 1000, 0, 50000);
    say(c, VIEW("still here\r\n"));
    hear(c, "still here");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(poll(&pf, 1, WAIT_MS), 1);
    close(s);
    conn_free(c);
    stop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),         cmocka_unit_test(test_many_parked_few_threads),
        cmocka_unit_test(test_half_lines),   cmocka_unit_test(test_blocked_workers),
        cmocka_unit_test(test_timeouts),     cmocka_unit_test(test_limits), cmocka_unit_test(test_shared_peers),
        cmocka_unit_test(test_kick),         cmocka_unit_test(test_drain_cuts),
        cmocka_unit_test(test_listeners_go), cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_implicit_tls), cmocka_unit_test(test_no_descriptors),
    };
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
