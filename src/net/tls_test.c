#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "net/conn_impl.h"
#include "net/testcert.h"
#include "net/tls_impl.h"
#include "sys/thread.h"

/* RSA and ECDSA for mx.test, ECDSA for other.test; the trust of the client is in all of them. */
static struct testcert rsa, ec, other;
static struct testcert *certs[] = {&rsa, &ec, &other, NULL};
static struct tls_server *server;
static struct tls_client *client, *stranger; /* the stranger trusts none of them */

static int set_up(void **state)
{
    char trust[16384];
    const char *why;
    (void)state;
    testcert_init(&rsa, true, "DNS:mx.test,DNS:alias.test");
    testcert_init(&ec, false, "DNS:mx.test,DNS:alias.test");
    testcert_init(&other, false, "DNS:*.other.test,IP:127.0.0.1");
    const char *chains[] = {rsa.pem, ec.pem, other.pem, NULL};
    struct tls_server_settings set = {
        .chain_pem = chains, .sign = testcert_sign, .sign_ctx = certs};
    snprintf(trust, sizeof trust, "%s%s%s", rsa.pem, ec.pem, other.pem);
    return tls_server_new(&set, &server, &why) == RC_OK && tls_client_new(trust, &client, &why) == RC_OK &&
                   tls_client_new(NULL, &stranger, &why) == RC_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tls_server_free(server);
    tls_client_free(client);
    tls_client_free(stranger);
    for (size_t i = 0; certs[i]; i++)
        testcert_clear(certs[i]);
    return 0;
}

/* A server that says "ready", speaks TLS, and sends back one line. */
struct side {
    struct conn *c;
    enum rc rc;
    struct tls_info info;
    struct buf exporter, end_point, unique;
};

static void run_server(void *arg)
{
    struct side *s = arg;
    struct view line;
    conn_write(s->c, VIEW("ready\r\n"));
    s->rc = conn_start_tls(s->c, server);
    if (s->rc != RC_OK)
        return;
    conn_tls(s->c, &s->info);
    conn_channel_binding(s->c, VIEW("tls-exporter"), &s->exporter);
    conn_channel_binding(s->c, VIEW("tls-server-end-point"), &s->end_point);
    conn_channel_binding(s->c, VIEW("tls-unique"), &s->unique);
    s->rc = conn_line(s->c, 100, &line);
    if (s->rc != RC_OK)
        return;
    conn_write(s->c, line);
    conn_write(s->c, VIEW("\r\n"));
    s->rc = conn_flush(s->c);
}

static void init_side(struct side *s, int fd)
{
    *s = (struct side){0};
    assert_int_equal(conn_new(fd, &s->c), RC_OK);
    conn_deadline(s->c, deadline_in(10000));
    buf_init(&s->exporter, 100);
    buf_init(&s->end_point, 100);
    buf_init(&s->unique, 100);
}

static void clear_side(struct side *s)
{
    conn_free(s->c);
    buf_clear(&s->exporter);
    buf_clear(&s->end_point);
    buf_clear(&s->unique);
}

/* Both sides of a connection; the client has read "ready". */
static pthread_t begin(struct side *s, struct side *c)
{
    int fds[2];
    struct view line;
    pthread_t id;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_side(s, fds[0]);
    init_side(c, fds[1]);
    assert_int_equal(thread_start("server", run_server, s, &id), RC_OK);
    assert_int_equal(conn_line(c->c, 100, &line), RC_OK);
    assert_true(view_eq(line, VIEW("ready")));
    return id;
}

static void finish(struct side *s, struct side *c, pthread_t id)
{
    conn_free(c->c);
    c->c = NULL;
    if (id)
        pthread_join(id, NULL);
    clear_side(s);
    clear_side(c);
}

/* What the client offers from now on. */
static void offer(int min_version, int max_version, const char *ciphers12, const char *sigalgs)
{
    SSL_CTX_set_min_proto_version(client->ctx, min_version);
    SSL_CTX_set_max_proto_version(client->ctx, max_version);
    SSL_CTX_set_cipher_list(client->ctx, ciphers12);
    SSL_CTX_set1_sigalgs_list(client->ctx, sigalgs);
}

static void offer_all(void)
{
    offer(TLS1_2_VERSION, 0, "DEFAULT", "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256");
}

static void test_signatures(void **state)
{
    static const struct {
        int version;
        const char *ciphers12, *sigalgs, *want;
        struct testcert *by;
    } cases[] = {
        {TLS1_3_VERSION, "DEFAULT", "RSA-PSS+SHA256", "TLSv1.3", &rsa},
        {TLS1_3_VERSION, "DEFAULT", "ECDSA+SHA256", "TLSv1.3", &ec},
        {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", "RSA+SHA256:ECDSA+SHA256", "TLSv1.2", &rsa},
        {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", "RSA-PSS+SHA384:ECDSA+SHA256", "TLSv1.2", &rsa},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA+SHA256", "TLSv1.2", &ec},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA", "ECDSA+SHA256", "TLSv1.2", &ec},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct side s, c;
        struct view line;
        pthread_t id = begin(&s, &c);
        unsigned before = cases[i].by->signatures;
        struct conn_tls_options o = {.server_name = "mx.test", .verify = true};
        offer(cases[i].version, cases[i].version, cases[i].ciphers12, cases[i].sigalgs);
        assert_int_equal(conn_start_tls_client(c.c, client, &o), RC_OK);
        assert_true(conn_tls(c.c, &c.info));
        assert_string_equal(c.info.version, cases[i].want);
        assert_true(c.info.peer_verified);
        assert_string_equal(c.info.peer_error, "");
        assert_int_equal(cases[i].by->signatures, before + 1);
        conn_write(c.c, VIEW("over TLS\r\n"));
        assert_int_equal(conn_line(c.c, 100, &line), RC_OK);
        assert_true(view_eq(line, VIEW("over TLS")));
        pthread_join(id, NULL);

        bool tls13 = cases[i].version == TLS1_3_VERSION;
        assert_int_equal(conn_channel_binding(c.c, VIEW("tls-exporter"), &c.exporter),
                         tls13 ? RC_OK : RC_NOTFOUND);
        assert_int_equal(conn_channel_binding(c.c, VIEW("tls-unique"), &c.unique),
                         tls13 ? RC_NOTFOUND : RC_OK);
        assert_int_equal(conn_channel_binding(c.c, VIEW("tls-server-end-point"), &c.end_point), RC_OK);
        assert_int_equal(conn_channel_binding(c.c, VIEW("tls-nonsense"), &c.unique), RC_NOTFOUND);
        assert_true(view_eq(buf_view(&c.exporter), buf_view(&s.exporter)));
        assert_true(view_eq(buf_view(&c.unique), buf_view(&s.unique)));
        assert_true(view_eq(buf_view(&c.end_point), buf_view(&s.end_point)));
        assert_int_equal(c.end_point.n, 32);
        assert_string_equal(s.info.server_name, "mx.test");
        assert_int_equal(s.rc, RC_OK);
        finish(&s, &c, 0);
    }
    offer_all();
}

/* A raw client over this socket, with a session from before or NULL; gives the session that came. */
static SSL_SESSION *visit(struct tls_server *at, SSL_SESSION *before, bool *resumed)
{
    struct tls_server *usual = server;
    struct side s;
    int fds[2];
    pthread_t id;
    char text[64];
    server = at;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_side(&s, fds[0]);
    assert_int_equal(thread_start("server", run_server, &s, &id), RC_OK);
    assert_int_equal(read(fds[1], text, 7), 7); /* "ready" */
    SSL *ssl = SSL_new(client->ctx);
    SSL_set_fd(ssl, fds[1]);
    SSL_set_tlsext_host_name(ssl, "mx.test");
    if (before)
        SSL_set_session(ssl, before);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(SSL_write(ssl, "x\r\n", 3), 3);
    assert_int_equal(SSL_read(ssl, text, sizeof text), 3); /* and the ticket with it */
    *resumed = SSL_session_reused(ssl) == 1;
    SSL_SESSION *session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fds[1]);
    pthread_join(id, NULL);
    clear_side(&s);
    server = usual;
    return session;
}

/* Tickets save the signature, and end with the context that gave them. */
static void test_resumption(void **state)
{
    const char *chains[] = {rsa.pem, ec.pem, NULL}, *why;
    struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign, .sign_ctx = certs};
    struct tls_server *reloaded;
    bool resumed;
    (void)state;
    offer_all();
    assert_int_equal(tls_server_new(&set, &reloaded, &why), RC_OK);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(client->ctx, version);
        SSL_SESSION *first = visit(server, NULL, &resumed);
        assert_false(resumed);
        unsigned before = ec.signatures + rsa.signatures;
        SSL_SESSION *again = visit(server, first, &resumed);
        assert_true(resumed);
        assert_int_equal(ec.signatures + rsa.signatures, before);
        SSL_SESSION_free(again);
        again = visit(reloaded, first, &resumed);
        assert_false(resumed);
        SSL_SESSION_free(again);
        SSL_SESSION_free(first);
    }
    offer_all();
    tls_server_free(reloaded);
}

static void test_old_versions_refused(void **state)
{
    struct side s, c;
    pthread_t id = begin(&s, &c);
    struct conn_tls_options o = {.server_name = "mx.test"};
    (void)state;
    offer(TLS1_1_VERSION, TLS1_1_VERSION, "ALL:@SECLEVEL=0", "RSA+SHA1");
    assert_int_not_equal(conn_start_tls_client(c.c, client, &o), RC_OK);
    assert_string_not_equal(o.why, "");
    offer_all();
    finish(&s, &c, id);
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool trusted, ok;
        struct testcert *by; /* NULL: either of mx.test */
    } cases[] = {
        {"mx.test", true, true, NULL},        {"alias.test.", true, true, NULL},
        {"a.other.test", true, true, &other}, {"a.b.other.test", true, false, NULL},
        {"127.0.0.1", true, false, NULL},     {"unknown.test", true, false, NULL},
        {"mx.test", false, false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int verify = 0; verify < 2; verify++) {
            struct side s, c;
            pthread_t id = begin(&s, &c);
            unsigned before = other.signatures;
            struct conn_tls_options o = {.server_name = cases[i].name, .verify = verify};
            enum rc rc = conn_start_tls_client(c.c, cases[i].trusted ? client : stranger, &o);
            assert_int_equal(rc, verify && !cases[i].ok ? RC_DENIED : RC_OK);
            assert_int_equal(other.signatures - before, cases[i].by == &other ? 1 : 0);
            if (rc == RC_OK) {
                assert_true(conn_tls(c.c, &c.info));
                assert_int_equal(c.info.peer_verified, cases[i].ok);
                assert_int_equal(*c.info.peer_error == '\0', cases[i].ok);
            } else {
                assert_string_not_equal(o.why, "");
            }
            finish(&s, &c, id);
        }
    struct side s, c;
    pthread_t id = begin(&s, &c);
    struct conn_tls_options o = {.verify = true};
    assert_int_equal(conn_start_tls_client(c.c, client, &o), RC_DENIED);
    finish(&s, &c, id);
}

/* SHA-256 of the certificate or of its key, or the certificate itself, as a TLSA record has them. */
static struct view record_data(const struct testcert *t, int selector, int matching, unsigned char *out, size_t size)
{
    BIO *bio = BIO_new_mem_buf(t->pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int n = selector == 0 ? i2d_X509(cert, &der) : i2d_PUBKEY(X509_get0_pubkey(cert), &der);
    unsigned hash_n;
    assert_in_range(n, 1, size);
    memcpy(out, der, (size_t)n);
    if (matching != 0) {
        assert_int_equal(EVP_Digest(der, (size_t)n, out, &hash_n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL), 1);
        n = (int)hash_n;
    }
    OPENSSL_free(der);
    X509_free(cert);
    BIO_free(bio);
    return view_of(out, (size_t)n);
}

/* RFC 6698 §2.1, RFC 7671 §5, RFC 7672 §3: records decide, whoever the authorities are. The certificates of these tests
 * signed themselves, so each is an authority too. */
static void test_records(void **state)
{
    static const struct {
        uint8_t usage, selector, matching;
        const struct testcert *of;
        bool ok;
        enum tls_fault fault;
    } cases[] = {
        {3, 1, 1, &other, true, TLS_FAULT_NONE},
        {3, 0, 1, &other, true, TLS_FAULT_NONE},
        {3, 0, 0, &other, true, TLS_FAULT_NONE},
        {3, 1, 0, &other, true, TLS_FAULT_NONE},
        {3, 1, 2, &other, true, TLS_FAULT_NONE},
        {3, 0, 2, &other, true, TLS_FAULT_NONE},
        {3, 1, 1, &rsa, false, TLS_FAULT_RECORD},
        {3, 0, 2, &rsa, false, TLS_FAULT_RECORD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int trusted = 0; trusted < 2; trusted++) {
            struct side s, c;
            unsigned char data[4096];
            pthread_t id = begin(&s, &c);
            struct tls_record r = {cases[i].usage, cases[i].selector, cases[i].matching,
                                   record_data(cases[i].of, cases[i].selector, cases[i].matching, data, sizeof data)};
            struct conn_tls_options o = {.server_name = "a.other.test", .records = &r, .n_records = 1, .verify = true};
            enum rc rc = conn_start_tls_client(c.c, trusted ? client : stranger, &o);
            if ((rc == RC_OK) != cases[i].ok)
                print_error("%zu: %s\n", i, o.why);
            assert_int_equal(rc, cases[i].ok ? RC_OK : RC_DENIED);
            assert_int_equal(o.fault, cases[i].fault);
            finish(&s, &c, id);
        }
}

/* RFC 7671 §5.2, RFC 7672 §3.1.1, §3.2.2: usage 2 means who stands above, and asks for one of several names; usage 3 for none. */
static void test_names_of_records(void **state)
{
    struct testcert authority, leaf, *chain[] = {&leaf, NULL};
    const struct {
        uint8_t usage, selector, matching;
        const struct testcert *of;
        const char *name, *further;
        enum tls_fault fault;
    } cases[] = {
        {3, 1, 1, &leaf, "mx.test", NULL, TLS_FAULT_NONE},
        {3, 1, 1, &leaf, "wrong.test", NULL, TLS_FAULT_NONE},
        {3, 1, 1, &authority, "mx.test", NULL, TLS_FAULT_RECORD},
        {2, 0, 1, &authority, "mx.test", NULL, TLS_FAULT_NONE},
        {2, 1, 2, &authority, "mx.test", NULL, TLS_FAULT_NONE},
        {2, 0, 0, &authority, "mx.test", NULL, TLS_FAULT_NONE},
        {2, 1, 0, &authority, "mx.test", NULL, TLS_FAULT_NONE},
        {2, 1, 1, &authority, "wrong.test", NULL, TLS_FAULT_NAME},
        {2, 1, 1, &authority, "wrong.test", "mx.test", TLS_FAULT_NONE},
        {2, 1, 1, &authority, "wrong.test", "mx.mx.test", TLS_FAULT_NAME},
        {2, 1, 1, &leaf, "mx.test", NULL, TLS_FAULT_RECORD},
        {2, 1, 1, &other, "mx.test", NULL, TLS_FAULT_RECORD},
    };
    struct tls_server *usual = server;
    const char *why;
    (void)state;
    testcert_init_by(&authority, false, NULL, NULL);
    testcert_init_by(&leaf, false, "DNS:mx.test", &authority);
    const char *chains[] = {leaf.pem, NULL};
    struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign, .sign_ctx = chain};
    assert_int_equal(tls_server_new(&set, &server, &why), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct side s, c;
        unsigned char data[4096];
        pthread_t id = begin(&s, &c);
        struct tls_record r = {cases[i].usage, cases[i].selector, cases[i].matching,
                               record_data(cases[i].of, cases[i].selector, cases[i].matching, data, sizeof data)};
        struct conn_tls_options o = {.server_name = cases[i].name, .names = &cases[i].further, .n_names = cases[i].further ? 1 : 0,
                                     .records = &r, .n_records = 1, .verify = true};
        enum rc rc = conn_start_tls_client(c.c, stranger, &o);
        if (o.fault != cases[i].fault)
            print_error("%zu: %s\n", i, o.why);
        assert_int_equal(o.fault, cases[i].fault);
        assert_int_equal(rc, cases[i].fault == TLS_FAULT_NONE ? RC_OK : RC_DENIED);
        finish(&s, &c, id);
    }
    tls_server_free(server);
    server = usual;
    testcert_clear(&leaf);
    testcert_clear(&authority);
}

/* Several for a roll-over: one that fits is enough, those that nobody knows do not count. */
static void test_roll_over(void **state)
{
    unsigned char right[4096], wrong[4096];
    struct tls_record r[] = {{3, 1, 1, record_data(&rsa, 1, 1, wrong, sizeof wrong)},
                             {3, 1, 1, record_data(&other, 1, 1, right, sizeof right)},
                             {3, 1, 9, VIEW("what is this")}};
    (void)state;
    for (size_t first = 0; first < 3; first++) {
        struct side s, c;
        pthread_t id = begin(&s, &c);
        struct conn_tls_options o = {.server_name = "a.other.test", .records = &r[first], .n_records = 3 - first, .verify = true};
        assert_int_equal(conn_start_tls_client(c.c, stranger, &o), first < 2 ? RC_OK : RC_TEMP);
        finish(&s, &c, id);
    }
}

/* RFC 3207 §4.2: what came before the handshake must not be taken for what came in it. */
static void test_plaintext_behind_starttls(void **state)
{
    int fds[2];
    struct conn *c;
    struct view line;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_new(fds[0], &c), RC_OK);
    assert_int_equal(write(fds[1], "STARTTLS\r\nRSET\r\n", 16), 16);
    assert_int_equal(conn_line(c, 100, &line), RC_OK);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(conn_start_tls(c, server), RC_CLOSED); /* no handshake came, only its end */
    assert_int_equal(conn_line(c, 100, &line), RC_CLOSED);  /* and RSET is not there to be read */
    conn_free(c);
    close(fds[1]);
}

static void test_vault_away(void **state)
{
    struct side s, c;
    pthread_t id = begin(&s, &c);
    struct conn_tls_options o = {.server_name = "mx.test"};
    (void)state;
    rsa.broken = ec.broken = true;
    assert_int_equal(conn_start_tls_client(c.c, client, &o), RC_CLOSED);
    conn_free(c.c);
    c.c = NULL;
    pthread_join(id, NULL);
    assert_int_equal(s.rc, RC_CLOSED);
    rsa.broken = ec.broken = false;
    clear_side(&s);
    clear_side(&c);
}

static void test_handshake_deadline(void **state)
{
    int fds[2];
    struct conn *c;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_new(fds[0], &c), RC_OK);
    conn_deadline(c, deadline_in(50));
    assert_int_equal(conn_start_tls(c, server), RC_TIMEOUT);
    conn_free(c);
    assert_int_equal(conn_new(fds[1], &c),
                     RC_OK); /* garbage instead of a hello: the rest of a pair that has gone */
    assert_int_equal(conn_start_tls(c, server), RC_CLOSED);
    conn_free(c);
}

static void test_bad_settings(void **state)
{
    static const char *const bad[] = {"", "nonsense",
                                      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    struct tls_server *t;
    struct tls_client *k;
    const char *why;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *chains[] = {bad[i], NULL};
        struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign};
        assert_int_equal(tls_server_new(&set, &t, &why), RC_SYNTAX);
        assert_null(t);
        assert_string_not_equal(why, "");
        assert_int_equal(tls_chain_check(bad[i], &why), RC_SYNTAX);
        assert_int_equal(tls_client_new(bad[i], &k, &why), RC_SYNTAX);
        assert_null(k);
    }
    const char *none[] = {NULL};
    assert_int_equal(tls_server_new(&(struct tls_server_settings){.chain_pem = none}, &t, &why), RC_SYNTAX);
    tls_server_free(NULL);
    tls_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_old_versions_refused),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_names_of_records),
        cmocka_unit_test(test_roll_over),
        cmocka_unit_test(test_plaintext_behind_starttls),
        cmocka_unit_test(test_vault_away),
        cmocka_unit_test(test_handshake_deadline),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
