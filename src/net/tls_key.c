/* The methods by which OpenSSL 3 lets others do the private operation are marked as deprecated in favour of
 * providers, which take a thousand lines for the same. Keys with a method of their own keep OpenSSL on the
 * path that pads PSS itself and then asks us for the raw operation. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/tls_key.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdlib.h>

#include "crypto/digest.h"

#define SIGNATURE_MAX 2048 /* RSA of 16384 bits */

struct signer {
    tls_sign_fn sign;
    void *ctx;
    uint8_t key[SHA256_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static RSA_METHOD *rsa_method;
static EC_KEY_METHOD *ec_method;
static int rsa_index = -1, ec_index = -1; /* where a key keeps its signer */

static int ask(const struct signer *s, enum tls_sign_kind kind, const unsigned char *in, size_t n,
               unsigned char *out, size_t size)
{
    struct buf signature;
    int len = -1;
    if (!s || size > SIGNATURE_MAX)
        return -1;
    buf_init(&signature, size);
    if (s->sign(s->ctx, s->key, kind, view_of(in, n), &signature) == RC_OK && buf_rc(&signature) == RC_OK &&
        signature.n > 0) {
        memcpy(out, signature.p, signature.n);
        len = (int)signature.n;
    }
    buf_clear(&signature);
    return len;
}

static int sign_rsa(int n, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
    const struct signer *s = RSA_get_ex_data(rsa, rsa_index);
    size_t size = (size_t)RSA_size(rsa);
    enum tls_sign_kind kind = padding == RSA_PKCS1_PADDING ? TLS_SIGN_RSA_PKCS1 : TLS_SIGN_RSA_RAW;
    if ((padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING) || n <= 0)
        return -1;
    int len = ask(s, kind, in, (size_t)n, out, size);
    return len == (int)size ? len : -1;
}

/* RSA key exchange, which only TLS 1.2 suites that we do not offer would use. */
static int refuse_decrypt(int n, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
    (void)n, (void)in, (void)out, (void)rsa, (void)padding;
    return -1;
}

static int sign_ec(int type, const unsigned char *digest, int n, unsigned char *out, unsigned int *out_n,
                   const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
    (void)type, (void)kinv, (void)r;
    if (n <= 0)
        return 0;
    int len = ask(EC_KEY_get_ex_data(key, ec_index), TLS_SIGN_ECDSA, digest, (size_t)n, out,
                  (size_t)ECDSA_size(key));
    if (len <= 0)
        return 0;
    *out_n = (unsigned)len;
    return 1;
}

static void free_signer(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    free(p);
}

static int copy_signer(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **p, int index, long argl,
                       void *argp)
{
    (void)to, (void)from, (void)index, (void)argl, (void)argp;
    if (!*p)
        return 1;
    struct signer *copy = malloc(sizeof *copy);
    if (!copy)
        return 0;
    *copy = *(const struct signer *)*p;
    *p = copy;
    return 1;
}

static void make_methods(void)
{
    rsa_index = RSA_get_ex_new_index(0, NULL, NULL, copy_signer, free_signer);
    ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, copy_signer, free_signer);
    if (rsa_index < 0 || ec_index < 0)
        return;
    rsa_method = RSA_meth_dup(RSA_get_default_method());
    if (rsa_method) {
        RSA_meth_set1_name(rsa_method, "signs elsewhere");
        RSA_meth_set_priv_enc(rsa_method, sign_rsa);
        RSA_meth_set_priv_dec(rsa_method, refuse_decrypt);
        RSA_meth_set_flags(rsa_method, RSA_METHOD_FLAG_NO_CHECK);
    }
    ec_method = EC_KEY_METHOD_new(EC_KEY_get_default_method());
    if (ec_method)
        EC_KEY_METHOD_set_sign(ec_method, sign_ec, NULL, NULL);
}

static EVP_PKEY *wrap_rsa(const RSA *from, struct signer **s)
{
    const BIGNUM *n, *e;
    BIGNUM *n2 = NULL, *e2 = NULL;
    RSA *rsa = rsa_method && from ? RSA_new() : NULL;
    EVP_PKEY *key = EVP_PKEY_new();

    if (!rsa || !key || RSA_set_method(rsa, rsa_method) != 1)
        goto fail;
    RSA_get0_key(from, &n, &e, NULL);
    n2 = BN_dup(n);
    e2 = BN_dup(e);
    if (!n2 || !e2 || RSA_set0_key(rsa, n2, e2, NULL) != 1)
        goto fail;
    n2 = e2 = NULL; /* rsa owns them */
    if (RSA_set_ex_data(rsa, rsa_index, *s) != 1)
        goto fail;
    *s = NULL; /* likewise */
    if (EVP_PKEY_assign_RSA(key, rsa) == 1)
        return key;
fail:
    BN_free(n2);
    BN_free(e2);
    RSA_free(rsa);
    EVP_PKEY_free(key);
    return NULL;
}

static EVP_PKEY *wrap_ec(const EC_KEY *from, struct signer **s)
{
    EC_KEY *ec = ec_method && from ? EC_KEY_dup(from) : NULL;
    EVP_PKEY *key = EVP_PKEY_new();

    if (!ec || !key || EC_KEY_set_method(ec, ec_method) != 1)
        goto fail;
    if (EC_KEY_set_ex_data(ec, ec_index, *s) != 1)
        goto fail;
    *s = NULL; /* ec owns it */
    if (EVP_PKEY_assign_EC_KEY(key, ec) == 1)
        return key;
fail:
    EC_KEY_free(ec);
    EVP_PKEY_free(key);
    return NULL;
}

EVP_PKEY *tls_key_new(X509 *cert, tls_sign_fn sign, void *sign_ctx)
{
    EVP_PKEY *public_key = X509_get0_pubkey(cert), *key = NULL;
    unsigned char *spki = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
    struct signer *s = calloc(1, sizeof *s);

    pthread_once(&once, make_methods);
    if (!public_key || n <= 0 || !s || sha256(view_of(spki, (size_t)n), s->key) != RC_OK)
        goto done;
    s->sign = sign;
    s->ctx = sign_ctx;
    if (EVP_PKEY_get_base_id(public_key) == EVP_PKEY_RSA)
        key = wrap_rsa(EVP_PKEY_get0_RSA(public_key), &s);
    else if (EVP_PKEY_get_base_id(public_key) == EVP_PKEY_EC)
        key = wrap_ec(EVP_PKEY_get0_EC_KEY(public_key), &s);
done:
    OPENSSL_free(spki);
    free(s);
    return key;
}
