/* Unit tests of vault/tls_keys: keys that are made here, and certificates that come for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "vault/tls_keys.h"

struct lab {
    char dir[32], db[64];
    struct tls_keys *keys;
};

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    const char *why;
    snprintf(l->dir, sizeof l->dir, "/tmp/tls_keys.XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->db, sizeof l->db, "%s/vault.db", l->dir);
    assert_int_equal(tls_keys_open(l->db, &l->keys, &why), RC_OK);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *l = *state;
    tls_keys_close(l->keys);
    unlink(l->db);
    rmdir(l->dir);
    free(l);
    return 0;
}

static EVP_PKEY *public_of(const struct buf *der)
{
    const unsigned char *p = (const unsigned char *)der->p;
    return d2i_PUBKEY(NULL, &p, (long)der->n);
}

static void assert_signed(const struct buf *public_key, struct view digest, const struct buf *signature)
{
    EVP_PKEY *pkey = public_of(public_key);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    assert_int_equal(EVP_PKEY_verify(ctx, (const unsigned char *)signature->p, signature->n, (const unsigned char *)digest.p, digest.n), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

/* A certificate of some authority for this public key, in PEM. */
static void issue(const struct buf *public_key, struct buf *pem)
{
    EVP_PKEY *ca = EVP_EC_gen("P-256"), *pkey = public_of(public_key);
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pkey);
    X509_sign(x, ca, EVP_sha256());
    PEM_write_bio_X509(bio, x);
    buf_reset(pem);
    long n = BIO_get_mem_data(bio, &text);
    buf_add(pem, view_of(text, (size_t)n));
    BIO_free(bio);
    X509_free(x);
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(ca);
}

static void keys_serve_once_they_have_a_certificate(void **state)
{
    struct lab *l = *state;
    struct buf first, second, pem, out;
    uint8_t id[SHA256_SIZE], digest[32] = {1, 2, 3};
    const char *why;
    struct view d = view_of(digest, sizeof digest), name = VIEW("cert mx.ici.test");
    buf_init(&first, 1000);
    buf_init(&second, 1000);
    buf_init(&pem, TLS_CHAIN_MAX);
    buf_init(&out, TLS_CHAIN_MAX);

    assert_int_equal(tls_keys_sign(l->keys, name, TLS_KEY_LATEST, d, &out), RC_NOTFOUND);
    assert_int_equal(tls_keys_public(l->keys, name, TLS_KEY_NEXT, &first), RC_OK);
    assert_int_equal(tls_keys_sign(l->keys, name, TLS_KEY_NEXT, d, &out), RC_OK);
    assert_signed(&first, d, &out);
    sha256(buf_view(&first), id);
    assert_int_equal(tls_keys_sign_tls(l->keys, id, d, &out), RC_NOTFOUND); /* nobody has vouched for it yet */
    assert_int_equal(tls_keys_count(l->keys), 0);
    issue(&first, &pem);
    assert_int_equal(tls_keys_install(l->keys, name, buf_view(&pem)), RC_OK);
    assert_int_equal(tls_keys_count(l->keys), 1);
    buf_reset(&out);
    assert_int_equal(tls_keys_sign_tls(l->keys, id, d, &out), RC_OK);
    assert_signed(&first, d, &out);

    /* The next key is made while this one serves; once it has its certificate, the old one goes. */
    assert_int_equal(tls_keys_public(l->keys, name, TLS_KEY_NEXT, &second), RC_OK);
    assert_false(view_eq(buf_view(&first), buf_view(&second)));
    buf_reset(&out);
    assert_int_equal(tls_keys_public(l->keys, name, TLS_KEY_NEXT, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), buf_view(&second))); /* made once */
    buf_reset(&out);
    assert_int_equal(tls_keys_public(l->keys, name, TLS_KEY_SERVING, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), buf_view(&first)));
    buf_reset(&out);
    assert_int_equal(tls_keys_sign(l->keys, name, TLS_KEY_SERVING, d, &out), RC_OK);
    assert_signed(&first, d, &out);
    issue(&first, &pem); /* renewed with the same key: the next one stays what it is */
    assert_int_equal(tls_keys_install(l->keys, name, buf_view(&pem)), RC_OK);
    buf_reset(&out);
    assert_int_equal(tls_keys_public(l->keys, name, TLS_KEY_NEXT, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), buf_view(&second)));
    buf_reset(&out);
    assert_int_equal(tls_keys_chain(l->keys, 0, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), buf_view(&pem)));
    issue(&second, &pem);
    assert_int_equal(tls_keys_install(l->keys, name, buf_view(&pem)), RC_OK);
    assert_int_equal(tls_keys_count(l->keys), 1);
    buf_reset(&out);
    assert_int_equal(tls_keys_sign_tls(l->keys, id, d, &out), RC_OK); /* handshakes that began with the old chain */
    tls_keys_close(l->keys);
    assert_int_equal(tls_keys_open(l->db, &l->keys, &why), RC_OK);
    assert_int_equal(tls_keys_sign_tls(l->keys, id, d, &out), RC_NOTFOUND);
    sha256(buf_view(&second), id);
    buf_reset(&out);
    assert_int_equal(tls_keys_sign_tls(l->keys, id, d, &out), RC_OK);
    assert_signed(&second, d, &out);
    buf_clear(&first);
    buf_clear(&second);
    buf_clear(&pem);
    buf_clear(&out);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct lab *l = *state;
    struct buf a, b, pem, out;
    char longest[TLS_KEY_NAME_MAX + 2];
    buf_init(&a, 1000);
    buf_init(&b, 1000);
    buf_init(&pem, TLS_CHAIN_MAX);
    buf_init(&out, TLS_CHAIN_MAX);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(tls_keys_public(l->keys, VIEW(""), TLS_KEY_NEXT, &a), RC_SYNTAX);
    assert_int_equal(tls_keys_public(l->keys, view_of(longest, sizeof longest), TLS_KEY_NEXT, &a), RC_SYNTAX);
    assert_int_equal(tls_keys_public(l->keys, VIEW("a\nb"), TLS_KEY_NEXT, &a), RC_SYNTAX);
    assert_int_equal(tls_keys_public(l->keys, VIEW("a"), TLS_KEY_LATEST, &a), RC_OK);
    assert_int_equal(tls_keys_public(l->keys, VIEW("a"), TLS_KEY_LATEST, &b), RC_OK);
    assert_true(view_eq(buf_view(&a), buf_view(&b))); /* the same again */
    buf_reset(&b);
    assert_int_equal(tls_keys_public(l->keys, VIEW("b"), TLS_KEY_NEXT, &b), RC_OK);
    issue(&b, &pem);
    assert_int_equal(tls_keys_install(l->keys, VIEW("a"), buf_view(&pem)), RC_SYNTAX); /* another's */
    assert_int_equal(tls_keys_install(l->keys, VIEW("c"), buf_view(&pem)), RC_NOTFOUND);
    assert_int_equal(tls_keys_install(l->keys, VIEW("b"), VIEW("nonsense")), RC_SYNTAX);
    assert_int_equal(tls_keys_sign(l->keys, VIEW("a"), TLS_KEY_LATEST, VIEW("short"), &out), RC_SYNTAX);
    assert_int_equal(tls_keys_public(l->keys, VIEW("a"), TLS_KEY_SERVING, &out), RC_NOTFOUND);
    assert_int_equal(tls_keys_sign(l->keys, VIEW("a"), TLS_KEY_SERVING, VIEW("12345678901234567890123456789012"), &out), RC_NOTFOUND);
    assert_int_equal(tls_keys_sign(l->keys, VIEW("a"), TLS_KEY_LATEST, VIEW("short"), &out), RC_SYNTAX);
    assert_int_equal(tls_keys_chain(l->keys, 0, &out), RC_NOTFOUND);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&pem);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_serve_once_they_have_a_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
