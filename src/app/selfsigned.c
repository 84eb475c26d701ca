#include "app/selfsigned.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "crypto/random.h"

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static X509 *make_certificate(const char *hostname, EVP_PKEY *pkey)
{
    X509 *x = X509_new();
    char names[512];
    X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

    snprintf(names, sizeof names, "DNS:%s", hostname);
    /* Common names end at 64 characters (RFC 5280 appendix A.1); the name that counts is the other one. */
    bool ok = x && X509_set_version(x, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), random_u64() >> 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -3600) && X509_gmtime_adj(X509_getm_notAfter(x), SELFSIGNED_DAYS * 86400L) &&
              X509_set_pubkey(x, pkey) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)(strlen(hostname) <= 64 ? hostname : "mail"),
                                         -1, -1, 0) == 1 &&
              X509_set_issuer_name(x, name) == 1 && add_extension(x, NID_subject_alt_name, names) &&
              add_extension(x, NID_basic_constraints, "critical,CA:FALSE") && X509_sign(x, pkey, EVP_sha256()) > 0;
    if (ok)
        return x;
    X509_free(x);
    return NULL;
}

static bool take_bio(BIO *bio, struct buf *out)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    buf_add(out, view_of(p, n > 0 ? (size_t)n : 0));
    return n > 0 && buf_rc(out) == RC_OK;
}

enum rc selfsigned_make(const char *hostname, struct buf *certificate, struct buf *key)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *x = pkey ? make_certificate(hostname, pkey) : NULL;
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());

    bool ok = x && cert_bio && key_bio && PEM_write_bio_X509(cert_bio, x) == 1 &&
              PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL) == 1 && take_bio(cert_bio, certificate) &&
              take_bio(key_bio, key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(x);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return ok ? RC_OK : RC_TEMP;
}
