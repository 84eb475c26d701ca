/* Unit tests of http/: a real pool on loopback and a client of few words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"

struct lab {
    struct pool *pool;
    struct http_server *http;
    struct addr addr;
};

static void handle(void *ctx, const struct http_request *r, struct http_response *out)
{
    (void)ctx;
    out->content_type = "text/plain";
    if (view_eq(r->path, VIEW("/large"))) {
        for (int i = 0; i < 100000; i++)
            buf_str(&out->body, "0123456789");
    } else if (view_eq(r->path, VIEW("/split"))) {
        http_respond(out, "X-Bad", VIEW("a\r\nSet-Cookie: b"));
    } else if (view_eq(r->path, VIEW("/fail"))) {
        out->body.fail = RC_TEMP;
    } else if (view_eq(r->path, VIEW("/late"))) {
        out->delay_ms = 300;
    } else {
        buf_printf(&out->body, "%.*s %.*s host=%.*s q=%.*s body=%zu", VIEW_FMT(r->method), VIEW_FMT(r->path), VIEW_FMT(r->host),
                   VIEW_FMT(http_query(r, "q")), r->body.n);
    }
}

static size_t body_max(void *ctx, const struct http_request *r)
{
    (void)ctx;
    return view_eq(r->path, VIEW("/small")) ? 10 : HTTP_BODY_MAX;
}

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    const struct pool_settings pool = {.max_workers = 4, .max_connections = 100, .max_per_address = 100, .handshake_ms = 5000,
                                       .idle_ms = 60000};
    const struct http_settings http = {.name = "http", .connections = 100, .handle = handle, .body_max = body_max};
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    memcpy(&l->addr.ss, &sin, sizeof sin);
    l->addr.len = sizeof sin;
    assert_int_equal(pool_new(&pool, &l->pool), RC_OK);
    assert_int_equal(http_server_new(&http, &l->http), RC_OK);
    const struct pool_listener listener = {.fd = fd, .service = http_service(l->http)};
    assert_int_equal(pool_listen(l->pool, &listener), RC_OK);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *l = *state;
    pool_drain(l->pool, deadline_in(5000));
    pool_free(l->pool);
    http_server_free(l->http);
    free(l);
    return 0;
}

static struct conn *dial(struct lab *l)
{
    struct conn *c = NULL;
    const char *why = "";
    assert_int_equal(conn_dial(&l->addr, NULL, deadline_in(5000), &c, &why), RC_OK);
    conn_deadline(c, deadline_in(10000));
    return c;
}

/* The response's status; its body into `body` by Content-Length. */
static int answer(struct conn *c, struct buf *body)
{
    struct view line;
    uint64_t status = 0, n = 0;
    buf_reset(body);
    assert_int_equal(conn_line(c, 1000, &line), RC_OK);
    assert_true(view_itake(&line, VIEW("HTTP/1.1 ")));
    assert_true(view_u64(&line, 999, &status) == RC_OK);
    while (conn_line(c, 1000, &line) == RC_OK && line.n > 0) {
        assert_false(view_itake(&line, VIEW("Set-Cookie")));
        if (view_itake(&line, VIEW("Content-Length: ")))
            assert_true(view_u64(&line, 1 << 30, &n) == RC_OK);
    }
    while (body->n < n) {
        struct view v;
        assert_int_equal(conn_fill(c, &v), RC_OK);
        size_t take = v.n < n - body->n ? v.n : (size_t)(n - body->n);
        buf_add(body, view_slice(v, 0, take));
        conn_eat(c, take);
    }
    return (int)status;
}

static int ask(struct conn *c, const char *request, struct buf *body)
{
    conn_write(c, view_str(request));
    assert_int_equal(conn_flush(c), RC_OK);
    return answer(c, body);
}

static void requests_are_answered_on_one_connection(void **state)
{
    struct conn *c = dial(*state);
    struct buf body;
    buf_init(&body, 2 << 20);
    assert_int_equal(ask(c, "GET /a%20b?q=x%26y HTTP/1.1\r\nHost: MX.ici.test.:80\r\n\r\n", &body), 200);
    assert_true(view_eq(buf_view(&body), VIEW("GET /a b host=mx.ici.test q=x&y body=0")));
    assert_int_equal(ask(c, "POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\n\r\nhello", &body), 200);
    assert_true(view_eq(buf_view(&body), VIEW("POST / host=[::1] q= body=5")));
    assert_int_equal(ask(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
    assert_int_equal(body.n, 1000000);
    /* two at once */
    conn_write(c, VIEW("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(ask(c, "", &body), 200);
    assert_true(view_starts(buf_view(&body), VIEW("GET /1 ")));
    assert_int_equal(answer(c, &body), 200);
    assert_true(view_starts(buf_view(&body), VIEW("GET /2 ")));
    conn_free(c);
    buf_clear(&body);
}

static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET /split HTTP/1.1\r\nHost: x\r\n\r\n", 0}, /* nothing is better than a header of a stranger's */
        {"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n", 500},
        {"GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET / HTTP/1.1\r\n\r\n", 400},                                    /* RFC 9112 §3.2: no Host */
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: zz\r\n\r\n", 400},
    };
    struct buf body;
    buf_init(&body, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conn *c = dial(*state);
        struct view line;
        if (cases[i].status != 0) {
            assert_int_equal(ask(c, cases[i].request, &body), cases[i].status);
        } else {
            conn_write(c, view_str(cases[i].request));
            conn_flush(c);
            assert_int_not_equal(conn_line(c, 1000, &line), RC_OK);
        }
        if (cases[i].status == 200)
            assert_true(view_starts(buf_view(&body), VIEW("GET  host=")));
        conn_free(c);
    }
    buf_clear(&body);
}

static void too_much_is_refused(void **state)
{
    struct conn *c = dial(*state);
    struct buf body, large;
    buf_init(&body, 1 << 20);
    buf_init(&large, 1 << 20);
    buf_str(&large, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    for (int i = 0; i < 100000; i++)
        buf_chr(&large, 'x');
    buf_str(&large, "\r\n\r\n");
    buf_chr(&large, '\0');
    conn_write(c, view_of(large.p, large.n - 1));
    conn_flush(c); /* may be cut off in the middle */
    struct view line;
    enum rc rc = conn_line(c, 1000, &line);
    assert_true(rc != RC_OK || view_starts(line, VIEW("HTTP/1.1 431")) || view_starts(line, VIEW("HTTP/1.1 413")));
    conn_free(c);
    buf_clear(&large);
    /* bodies: those of /small may have ten bytes; more is read and thrown away */
    c = dial(*state);
    assert_int_equal(ask(c, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789", &body), 200);
    assert_int_equal(ask(c, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890", &body), 413);
    assert_int_equal(ask(c, "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n", &body), 413);
    assert_int_equal(ask(c, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", &body), 413);
    conn_free(c);
    buf_clear(&body);
}

static void held_back_answers_hold_nobody(void **state)
{
    struct conn *late[6], *c = dial(*state); /* more than there are threads */
    struct buf body;
    buf_init(&body, 1000);
    const int64_t begin = clock_mono_ms();
    for (int i = 0; i < 6; i++) {
        late[i] = dial(*state);
        conn_write(late[i], VIEW("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_int_equal(conn_flush(late[i]), RC_OK);
    }
    assert_int_equal(ask(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(answer(late[i], &body), 200);
        assert_true(clock_mono_ms() - begin >= 300);
        if (i % 2)
            assert_int_equal(ask(late[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
        conn_write(late[i], VIEW("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
        conn_flush(late[i]);
        conn_free(late[i]); /* nobody waits for that one; the end of the server does not either */
    }
    conn_free(c);
    buf_clear(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_answered_on_one_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_back_answers_hold_nobody, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
