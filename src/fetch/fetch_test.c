/* A host that answers one request with what a row says. */
#include "fetch/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/testcert.h"
#include "sys/thread.h"

struct host {
    int listener;
    struct addr addr;
    struct tls_server *tls;
    const char *reply;
    size_t repeat; /* of the reply's last byte */
    bool mute;     /* never answers */
};

static struct testcert cert;
static struct testcert *certs[] = {&cert, NULL};
static struct host host;
static struct tls_client *trust, *stranger;

static int set_up(void **state)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sin;
    const char *why;
    (void)state;
    fetch_init();
    testcert_init(&cert, false, "DNS:mta-sts.ici.test");
    const char *chains[] = {cert.pem, NULL};
    struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign, .sign_ctx = certs};
    host.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(host.listener, (struct sockaddr *)&sin, sizeof sin) != 0 || listen(host.listener, 5) != 0 ||
        getsockname(host.listener, (struct sockaddr *)&sin, &n) != 0)
        return 1;
    memcpy(&host.addr.ss, &sin, sizeof sin);
    host.addr.len = sizeof sin;
    return tls_server_new(&set, &host.tls, &why) == RC_OK && tls_client_new(cert.pem, &trust, &why) == RC_OK &&
                   tls_client_new(NULL, &stranger, &why) == RC_OK
               ? 0
               : 1;
}

static int tear_down(void **state)
{
    (void)state;
    close(host.listener);
    tls_server_free(host.tls);
    tls_client_free(trust);
    tls_client_free(stranger);
    testcert_clear(&cert);
    return 0;
}

static void answer_one(void *arg)
{
    struct host *h = arg;
    struct conn *c;
    struct view line;
    int fd = accept(h->listener, NULL, NULL);
    if (fd < 0 || conn_new(fd, &c) != RC_OK)
        return;
    conn_deadline(c, deadline_in(5000));
    enum rc rc = conn_start_tls(c, h->tls);
    while (rc == RC_OK && (rc = conn_line(c, 1000, &line)) == RC_OK && line.n > 0)
        continue;
    if (rc == RC_OK && h->mute)
        conn_line(c, 1000, &line); /* until the other side gives up */
    if (rc == RC_OK && !h->mute) {
        struct view reply = view_str(h->reply);
        conn_write(c, reply);
        for (size_t i = 0; i < h->repeat && rc == RC_OK; i++) {
            conn_write(c, view_from(reply, reply.n - 1));
            rc = i % 4096 == 0 ? conn_flush(c) : RC_OK;
        }
        conn_flush(c);
    }
    conn_free(c);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

static void replies(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        size_t repeat;
        enum fetch_fault fault;
        const char *name;
        bool strange;
    } rows[] = {
        {HEAD "Content-Length: 2\r\n\r\nok", 0, FETCH_OK, NULL, false},
        {"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\n\r\nok", 0, FETCH_OK, NULL, false},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 0, FETCH_OK, NULL, false},
        {HEAD "Content-Length: 3\r\n\r\nok", 0, FETCH_UNREACHABLE, NULL, false},
        {HEAD "Content-Length: 70000\r\n\r\nx", 70000, FETCH_TOO_LONG, NULL, false},
        {HEAD "X: x", 300000, FETCH_UNREACHABLE, NULL, false},
        {"HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.ici.test/\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok", 0, FETCH_REFUSED, NULL, false},
        {"HTTP/1.1 404 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok", 0, FETCH_REFUSED, NULL, false},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok", 0, FETCH_TYPE, NULL, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, FETCH_TYPE, NULL, false},
        {"SSH-2.0-x\r\n", 0, FETCH_UNREACHABLE, NULL, false},
        {HEAD "Content-Length: 2\r\n\r\nok", 0, FETCH_UNTRUSTED, "mta-sts.labas.test", false},
        {HEAD "Content-Length: 2\r\n\r\nok", 0, FETCH_UNTRUSTED, NULL, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pthread_t id;
        struct buf body;
        char why[FETCH_WHY_MAX];
        struct fetch_request r = {.host = rows[i].name ? rows[i].name : "mta-sts.ici.test", .port = addr_port(&host.addr), .path = "/x",
                                  .type = "text/plain", .addrs = &host.addr, .n_addrs = 1,
                                  .trust = rows[i].strange ? stranger : trust, .deadline_ms = deadline_in(5000)};
        host.reply = rows[i].reply;
        host.repeat = rows[i].repeat;
        buf_init(&body, 65536);
        assert_int_equal(thread_start("host", answer_one, &host, &id), RC_OK);
        enum fetch_fault fault = fetch_get(&r, &body, why);
        if (fault != rows[i].fault)
            print_error("%zu: %d %s\n", i, fault, why);
        assert_int_equal(fault, rows[i].fault);
        assert_int_equal(*why == '\0', fault == FETCH_OK);
        if (fault == FETCH_OK)
            assert_true(view_eq(buf_view(&body), VIEW("ok")));
        buf_clear(&body);
        pthread_join(id, NULL);
    }
}

static void silence_ends(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        pthread_t id;
        struct buf body;
        char why[FETCH_WHY_MAX];
        atomic_bool stop = stopped;
        struct fetch_request r = {.host = "mta-sts.ici.test", .port = addr_port(&host.addr), .path = "/x", .type = "text/plain",
                                  .addrs = &host.addr, .n_addrs = 1, .trust = trust,
                                  .deadline_ms = deadline_in(stopped ? 60000 : 200), .stop = &stop};
        host.mute = true;
        buf_init(&body, 100);
        assert_int_equal(thread_start("host", answer_one, &host, &id), RC_OK);
        assert_int_equal(fetch_get(&r, &body, why), FETCH_UNREACHABLE);
        shutdown(host.listener, SHUT_RDWR); /* where nobody came */
        pthread_join(id, NULL);
        listen(host.listener, 5);
        buf_clear(&body);
    }
    host.mute = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replies), cmocka_unit_test(silence_ends)};
    return cmocka_run_group_tests_name("fetch", tests, set_up, tear_down);
}
