/* First flights of servers: our own by OpenSSL, ones written by hand, and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_look.h"
#include "net/tls_flight.h"
#include "net/testcert.h"
#include "sys/thread.h"

static struct testcert rsa;
static struct testcert *certs[] = {&rsa, NULL};
static struct tls_server *server;
static struct tls_client *client;

static int set_up(void **state)
{
    const char *why;
    (void)state;
    testcert_init(&rsa, true, "DNS:mx.test");
    const char *chains[] = {rsa.pem, NULL};
    const struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign, .sign_ctx = certs};
    return tls_server_new(&set, &server, &why) == RC_OK && tls_client_new(rsa.pem, &client, &why) == RC_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tls_server_free(server);
    tls_client_free(client);
    testcert_clear(&rsa);
    return 0;
}

static void serve(void *arg)
{
    struct conn *c = arg;
    struct view line;
    conn_deadline(c, deadline_in(5000));
    if (conn_start_tls(c, server) == RC_OK && conn_line(c, 100, &line) == RC_OK) {
        conn_write(c, VIEW("hello\r\n"));
        conn_flush(c);
        conn_line(c, 100, &line);
    }
    conn_free(c);
}

static struct conn *meet(pthread_t *thread)
{
    struct conn *ours, *theirs;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(conn_new(fd[0], &ours), RC_OK);
    assert_int_equal(conn_new(fd[1], &theirs), RC_OK);
    assert_int_equal(thread_start("server", serve, theirs, thread), RC_OK);
    conn_deadline(ours, deadline_in(5000));
    return ours;
}

static struct tls_flight_answer ask(const struct tls_flight *offer)
{
    struct buf out, in;
    struct tls_flight_answer answer = {0};
    struct view bytes;
    pthread_t thread;
    struct conn *c = meet(&thread);
    buf_init(&out, 4096);
    buf_init(&in, TLS_FLIGHT_FLIGHT_MAX);
    assert_int_equal(tls_flight_write(offer, &out), RC_OK);
    conn_write(c, buf_view(&out));
    assert_int_equal(conn_flush(c), RC_OK);
    enum rc rc = RC_TEMP;
    while (rc == RC_TEMP && conn_fill(c, &bytes) == RC_OK) {
        buf_add(&in, bytes);
        conn_eat(c, bytes.n);
        rc = tls_flight_read(buf_view(&in), &answer);
    }
    assert_true(rc == RC_OK || rc == RC_TEMP);
    /* the same from an exact-size block, and cut after every byte: never a byte too far */
    for (size_t n = 0; n <= in.n; n++) {
        struct tls_flight_answer cut;
        char *copy = malloc(n + 1);
        memcpy(copy + 1, in.p, n);
        tls_flight_read(view_of(copy + 1, n), &cut);
        free(copy);
    }
    conn_free(c);
    pthread_join(thread, NULL);
    buf_clear(&out);
    buf_clear(&in);
    return answer;
}

static void our_server_is_understood(void **state)
{
    static const uint16_t good[] = {0xc02f, 0xc030}, finite[] = {0x009e}, broken[] = {0x0005, 0x0001, 0x0000};
    struct tls_flight offer = {.version = TLS_FLIGHT_1_2, .suites = good, .n_suites = 2, .compression = true, .server_name = "mx.test"};
    (void)state;
    struct tls_flight_answer a = ask(&offer);
    assert_true(a.agreed && a.version == TLS_FLIGHT_1_2 && (a.suite == 0xc02f || a.suite == 0xc030));
    assert_true(!a.compression && a.renegotiation_info && a.extended_master && a.group != 0 && a.dh_bits == 0);
    assert_true(a.signature >> 8 >= 4); /* SHA-256 or newer */
    offer.suites = broken;
    offer.n_suites = 3;
    a = ask(&offer);
    assert_true(!a.agreed && a.alert != 0);
    offer.version = TLS_FLIGHT_1_0;
    offer.suites = good;
    offer.n_suites = 2;
    a = ask(&offer);
    assert_false(a.agreed);
    offer.version = TLS_FLIGHT_1_2;
    offer.suites = finite;
    offer.n_suites = 1;
    ask(&offer);
}

static void flights_by_hand(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum rc rc;
        bool agreed;
        unsigned alert, dh_bits, group;
    } cases[] = {
#define HELLO "\x02\x00\x00\x26\x03\x03" "01234567890123456789012345678901" "\x00\x00\x39\x00"
#define C(text) text, sizeof(text) - 1
        {C(""), RC_TEMP, false, 0, 0, 0},
        {C("220 hello\r\n"), RC_SYNTAX, false, 0, 0, 0},
        {C("\x15\x03\x01\x00\x02\x02\x28"), RC_OK, false, 0x28, 0, 0},
        {C("\x15\x03\x01\x00\x02\x01\x70\x15\x03\x01\x00\x02\x02\x28"), RC_OK, false, 0x28, 0, 0}, /* a warning first */
        {C("\x16\x03\x03\x00\x2a" HELLO), RC_TEMP, true, 0, 0, 0},
        {C("\x16\x03\x03\x00\x37" HELLO "\x0c\x00\x00\x09\x00\x02\x80\x01\x00\x01\x02\x00\x00"), RC_TEMP, true, 0, 16, 0},
        {C("\x16\x03\x03\x00\x37" HELLO "\x0c\x00\x00\x09\x00\x02\x00\x7f\x00\x01\x02\x00\x00"), RC_TEMP, true, 0, 7, 0},
        {C("\x16\x03\x03\x00\x33" HELLO "\x0c\x00\x00\x05\x03\x00\x1d\x01\x00"), RC_TEMP, true, 0, 0, 29},
        {C("\x16\x03\x03\x00\x2e" HELLO "\x0e\x00\x00\x00"), RC_OK, true, 0, 0, 0},
        {C("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"), RC_SYNTAX, false, 0, 0, 0}, /* an end without beginning */
        {C("\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03"), RC_SYNTAX, false, 0, 0, 0},
        {C("\x16\x02\x03\x00\x00"), RC_SYNTAX, false, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_flight_answer a;
        char *copy = malloc(cases[i].n + 1);
        memcpy(copy + 1, cases[i].bytes, cases[i].n);
        enum rc rc = tls_flight_read(view_of(copy + 1, cases[i].n), &a);
        if (rc != cases[i].rc || a.agreed != cases[i].agreed || a.dh_bits != cases[i].dh_bits)
            print_error("case %zu: %s agreed %d bits %u\n", i, rc_name(rc), a.agreed, a.dh_bits);
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(a.agreed, cases[i].agreed);
        assert_int_equal(a.alert, cases[i].alert);
        assert_int_equal(a.dh_bits, cases[i].dh_bits);
        assert_int_equal(a.group, cases[i].group);
        free(copy);
    }
}

static void a_finished_handshake_tells(void **state)
{
    struct conn_certificate chain[CONN_CHAIN_MAX];
    (void)state;
    for (int old = 0; old < 2; old++) {
        struct conn_tls_options o = {.server_name = "mx.test", .below_1_3 = old};
        struct tls_info info;
        struct view line;
        pthread_t thread;
        struct conn *c = meet(&thread);
        assert_int_equal(conn_start_tls_client(c, client, &o), RC_OK);
        assert_true(conn_tls(c, &info));
        assert_string_equal(info.version, old ? "TLSv1.2" : "TLSv1.3");
        conn_write(c, VIEW("hello\r\n"));
        assert_int_equal(conn_flush(c), RC_OK);
        assert_int_equal(conn_line(c, 100, &line), RC_OK);
        assert_int_equal(conn_look_chain(c, chain), 1);
        assert_string_equal(chain[0].key, "RSA");
        assert_int_equal(chain[0].bits, 2048);
        assert_string_equal(chain[0].signature, "SHA256");
        assert_true(conn_look_name(c, "mx.test") && !conn_look_name(c, "other.test"));
        assert_int_equal(conn_look_early_data(c), 0);
        assert_true(conn_look_group(c)[0] != '\0');
        assert_int_equal(conn_look_renegotiate(c), RC_DENIED);
        conn_free(c);
        pthread_join(thread, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(our_server_is_understood), cmocka_unit_test(flights_by_hand),
                                       cmocka_unit_test(a_finished_handshake_tells)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
