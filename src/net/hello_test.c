#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/ssl.h>

#include "net/hello.h"

/* What OpenSSL says first, in records of at most `piece` bytes. */
static size_t write_hello(const char *host, const char *protocols, size_t piece, unsigned char out[HELLO_MAX])
{
    unsigned char raw[HELLO_MAX];
    size_t n = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *from = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, from);
    SSL_set_connect_state(ssl);
    if (host)
        SSL_set_tlsext_host_name(ssl, host);
    if (protocols)
        SSL_set_alpn_protos(ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    SSL_do_handshake(ssl);
    int got = BIO_read(from, raw, sizeof raw);
    assert_true(got > 5);
    for (size_t at = 5; at < (size_t)got; at += piece) {
        size_t size = (size_t)got - at < piece ? (size_t)got - at : piece;
        memcpy(&out[n], raw, 3);
        out[n + 3] = (unsigned char)(size >> 8);
        out[n + 4] = (unsigned char)size;
        memcpy(&out[n + 5], &raw[at], size);
        n += 5 + size;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return n;
}

/* In a block of its own size: reading past it is seen. */
static enum rc read_exactly(const unsigned char *p, size_t n, char room[HELLO_MAX], struct hello *out)
{
    unsigned char *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, p, n);
    enum rc rc = hello_read(view_of(copy, n), room, out);
    free(copy);
    return rc;
}

static void names_and_protocols(void **state)
{
    const size_t pieces[] = {16384, 100, 1};
    unsigned char bytes[HELLO_MAX];
    char room[HELLO_MAX];
    struct hello hello;
    struct view one;
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = write_hello("mx.ici.test", "\2h2\4smtp", pieces[i], bytes);
        assert_int_equal(read_exactly(bytes, n, room, &hello), RC_OK);
        assert_true(view_eq(hello.host, VIEW("mx.ici.test")));
        assert_true(hello_protocol(&hello.protocols, &one) && view_eq(one, VIEW("h2")));
        assert_true(hello_protocol(&hello.protocols, &one) && view_eq(one, VIEW("smtp")));
        assert_false(hello_protocol(&hello.protocols, &one));
        for (size_t k = 0; k < n; k++) /* never more than what is there, and no verdict before it is */
            assert_int_equal(read_exactly(bytes, k, room, &hello), RC_TEMP);
    }
    size_t n = write_hello(NULL, NULL, 16384, bytes);
    assert_int_equal(read_exactly(bytes, n, room, &hello), RC_OK);
    assert_int_equal(hello.host.n, 0);
    assert_false(hello_protocol(&hello.protocols, &one));
}

static void what_is_none(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum rc rc;
    } cases[] = {
        {"EHLO x\r\n", 8, RC_SYNTAX},
        {"\x80\x2e\x01\x03\x01", 5, RC_SYNTAX},                 /* SSLv2's form */
        {"\x17\x03\x03\x00\x01\x01", 6, RC_SYNTAX},             /* not a handshake */
        {"\x16\x03\x01\x00\x00", 5, RC_SYNTAX},                 /* records of nothing, for ever */
        {"\x16\x03\x01\x00\x04\x02\x00\x00\x01", 9, RC_SYNTAX}, /* ServerHello */
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, RC_LIMIT},
        {"\x16\x03\x01\xff\xff\x01", 6, RC_TEMP},
        {"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", 11, RC_SYNTAX}, /* whole, and too short */
    };
    char room[HELLO_MAX];
    struct hello hello;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_exactly((const unsigned char *)cases[i].bytes, cases[i].n, room, &hello), cases[i].rc);
    unsigned char large[HELLO_MAX] = {0x16, 3, 1, 0xff, 0xff, 1};
    assert_int_equal(read_exactly(large, sizeof large, room, &hello), RC_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_protocols), cmocka_unit_test(what_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
