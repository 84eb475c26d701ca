#include "net/testcert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/digest.h"
#include "crypto/random.h"

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* issuer NULL: signed by itself. */
static X509 *make_cert(EVP_PKEY *key, const char *names, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    char cn[24]; /* each its own, as trust is looked up by it */
    snprintf(cn, sizeof cn, "test %016llx", (unsigned long long)random_u64());
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)(random_u64() >> 2));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
    if (names)
        add_extension(cert, NID_subject_alt_name, names);
    else
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    bug_if(X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()) == 0);
    return cert;
}

void testcert_init_by(struct testcert *t, bool rsa, const char *names, const struct testcert *issuer)
{
    X509 *above = NULL;
    *t = (struct testcert){0};
    t->key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    bug_if(!t->key);
    if (issuer) {
        BIO *in = BIO_new_mem_buf(issuer->pem, -1);
        above = PEM_read_bio_X509(in, NULL, NULL, NULL);
        BIO_free(in);
    }
    X509 *cert = make_cert(t->key, names, above, issuer ? issuer->key : NULL);
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    bug_if(PEM_write_bio_X509(bio, cert) != 1 || (above && PEM_write_bio_X509(bio, above) != 1));
    X509_free(above);
    long n = BIO_get_mem_data(bio, &p);
    t->pem = strndup(p, (size_t)n);
    BIO_free(bio);
    X509_free(cert);
}

void testcert_init(struct testcert *t, bool rsa, const char *names)
{
    testcert_init_by(t, rsa, names, NULL);
}

void testcert_clear(struct testcert *t)
{
    EVP_PKEY_free(t->key);
    free(t->pem);
    *t = (struct testcert){0};
}

static bool is_key(EVP_PKEY *key, const uint8_t id[32])
{
    unsigned char *spki = NULL;
    uint8_t hash[SHA256_SIZE];
    int n = i2d_PUBKEY(key, &spki);
    bug_if(n <= 0 || sha256(view_of(spki, (size_t)n), hash) != RC_OK);
    OPENSSL_free(spki);
    return memcmp(hash, id, sizeof hash) == 0;
}

/* As a vault would do it: the padding is done for RAW, and the DigestInfo made for PKCS1. */
static enum rc sign_with(EVP_PKEY *key, enum tls_sign_kind kind, struct view in, struct buf *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t n = 1024;
    unsigned char *room = (unsigned char *)buf_room(out, 512);
    int ok = ctx && EVP_PKEY_sign_init(ctx) == 1;
    if (ok && kind != TLS_SIGN_ECDSA)
        ok = EVP_PKEY_CTX_set_rsa_padding(ctx,
                                          kind == TLS_SIGN_RSA_RAW ? RSA_NO_PADDING : RSA_PKCS1_PADDING) == 1;
    if (!room) { /* an ECDSA signature's buffer is exact */
        out->fail = RC_OK;
        room = (unsigned char *)buf_room(out, n = out->max);
    } else {
        n = 512;
    }
    ok = ok && room && EVP_PKEY_sign(ctx, room, &n, (const unsigned char *)in.p, in.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        return RC_TEMP;
    buf_grew(out, n);
    return RC_OK;
}

enum rc testcert_sign(void *ctx, const uint8_t key[32], enum tls_sign_kind kind, struct view input,
                      struct buf *signature)
{
    for (struct testcert **t = ctx; *t; t++)
        if (is_key((*t)->key, key)) {
            __atomic_fetch_add(&(*t)->signatures, 1, __ATOMIC_RELAXED);
            return (*t)->broken ? RC_TEMP : sign_with((*t)->key, kind, input, signature);
        }
    return RC_NOTFOUND;
}
