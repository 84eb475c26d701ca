/* Unit tests of acme/'s forms. The conversation itself is tested against Pebble: test/test_acme.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "acme/certificate.h"
#include "acme/jose.h"

static EVP_PKEY *key;

static enum rc sign(void *ctx, struct view digest, struct buf *der)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    unsigned char out[128];
    size_t n = sizeof out;
    (void)ctx;
    EVP_PKEY_sign_init(c);
    int ok = EVP_PKEY_sign(c, out, &n, (const unsigned char *)digest.p, digest.n);
    EVP_PKEY_CTX_free(c);
    if (ok == 1)
        buf_add(der, view_of(out, n));
    return ok == 1 ? RC_OK : RC_TEMP;
}

/* The example of RFC 8037 has another curve; x and y here are those of RFC 7515 appendix A.3. */
static void keys_have_their_thumbprint(void **state)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                              "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                              "-----END PUBLIC KEY-----\n";
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *k = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    struct buf jwk, print;
    (void)state;
    int n = i2d_PUBKEY(k, &der);
    buf_init(&jwk, 1000);
    buf_init(&print, 1000);
    assert_int_equal(jose_jwk(view_of(der, (size_t)n), &jwk), RC_OK);
    assert_true(view_eq(buf_view(&jwk), VIEW("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                             "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}")));
    assert_int_equal(jose_thumbprint(buf_view(&jwk), &print), RC_OK);
    assert_true(view_eq(buf_view(&print), VIEW("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U")));
    assert_int_equal(jose_jwk(VIEW("nonsense"), &jwk), RC_SYNTAX);
    assert_int_equal(jose_jwk(view_of(der, (size_t)n - 1), &jwk), RC_SYNTAX);
    buf_clear(&jwk);
    buf_clear(&print);
    OPENSSL_free(der);
    EVP_PKEY_free(k);
    BIO_free(bio);
}

/* RFC 7515 appendix A.1 has this key; its header has blanks and line ends, which are kept. */
static void hmac_as_in_the_rfc(void **state)
{
    static const unsigned char k[] = {3,   35, 53,  75, 43,  15, 165, 188, 131, 126, 6,   101, 119, 123, 166, 143, 90,  179, 40,  230, 240, 84,
                                      201, 40, 169, 15, 132, 178, 210, 80,  46,  191, 211, 251, 90,  146, 210, 6,   71,  239, 150, 138, 180, 195,
                                      119, 98, 61,  34, 61,  46, 33,  114, 5,   46,  79,  8,   192, 205, 154, 245, 103, 208, 128, 163};
    struct buf out;
    (void)state;
    buf_init(&out, 2000);
    assert_int_equal(jose_hs256(VIEW("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"),
                                VIEW("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"), view_of(k, sizeof k), &out),
                     RC_OK);
    assert_true(view_find(buf_view(&out), VIEW("\"signature\":\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\"}")) != VIEW_NONE);
    buf_clear(&out);
}

static void signatures_are_64_bytes(void **state)
{
    static const unsigned char small[] = {0x30, 6, 2, 1, 1, 2, 1, 2}; /* r = 1, s = 2 */
    uint8_t raw[64];
    (void)state;
    assert_int_equal(jose_raw_signature(view_of(small, sizeof small), raw), RC_OK);
    assert_true(raw[31] == 1 && raw[63] == 2 && raw[0] == 0 && raw[32] == 0);
    assert_int_equal(jose_raw_signature(VIEW("x"), raw), RC_SYNTAX);
    assert_int_equal(jose_raw_signature(VIEW(""), raw), RC_SYNTAX);
}

static void requests_hold(void **state)
{
    const struct view names[] = {VIEW("mx.ici.test"), VIEW("mta-sts.ici.test")};
    unsigned char *spki = NULL;
    struct buf der;
    (void)state;
    int n = i2d_PUBKEY(key, &spki);
    buf_init(&der, 65536);
    assert_int_equal(acme_request_write(view_of(spki, (size_t)n), names, 2, sign, NULL, &der), RC_OK);
    const unsigned char *p = (const unsigned char *)der.p;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.n);
    assert_non_null(req);
    assert_int_equal(X509_REQ_verify(req, key), 1);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
    GENERAL_NAMES *found = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(found), 2);
    GENERAL_NAMES_free(found);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(req);
    buf_reset(&der);
    assert_int_equal(acme_request_write(view_of(spki, (size_t)n), names, 0, sign, NULL, &der), RC_SYNTAX);
    assert_int_equal(acme_request_write(VIEW("no key"), names, 2, sign, NULL, &der), RC_SYNTAX);
    buf_clear(&der);
    OPENSSL_free(spki);
}

/* The certificate of RFC 9773 appendix A. */
static void certificates_have_ids(void **state)
{
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
                              "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
                              "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
                              "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
                              "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
                              "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
                              "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
                              "-----END CERTIFICATE-----\n";
    struct buf out;
    struct acme_certificate facts;
    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(acme_certificate_id(view_str(pem), &out), RC_OK);
    assert_true(view_eq(buf_view(&out), VIEW("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")));
    assert_int_equal(acme_certificate_read(view_str(pem), &facts), RC_OK);
    assert_false(facts.self_signed);
    assert_false(acme_certificate_covers(view_str(pem), "example.com")); /* common names do not count */
    assert_int_equal(acme_certificate_read(VIEW("x"), &facts), RC_SYNTAX);
    assert_false(acme_certificate_covers(VIEW("x"), "example.com"));
    assert_int_equal(acme_certificate_id(VIEW("x"), &out), RC_SYNTAX);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_have_their_thumbprint), cmocka_unit_test(hmac_as_in_the_rfc),
                                       cmocka_unit_test(signatures_are_64_bytes), cmocka_unit_test(requests_hold),
                                       cmocka_unit_test(certificates_have_ids)};
    key = EVP_EC_gen("P-256");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    EVP_PKEY_free(key);
    return failed;
}
