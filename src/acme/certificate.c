#include "acme/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/base64.h"
#include "crypto/digest.h"

static GENERAL_NAMES *write_names(const struct view *names, size_t n)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    for (size_t i = 0; list && i < n; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        if (name && text && ASN1_STRING_set(text, names[i].p, (int)names[i].n) == 1 && sk_GENERAL_NAME_push(list, name) > 0) {
            GENERAL_NAME_set0_value(name, GEN_DNS, text);
            continue;
        }
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(text);
        GENERAL_NAMES_free(list);
        list = NULL;
    }
    return list;
}

static bool add_names(X509_REQ *req, const struct view *names, size_t n)
{
    GENERAL_NAMES *list = write_names(names, n);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    bool ok = list && X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1 &&
              X509_REQ_add_extensions(req, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(list);
    return ok;
}

/* Takes what is to be signed, has it signed, and puts the signature in. */
static enum rc sign_request(X509_REQ *req, jose_sign_fn sign, void *ctx)
{
    unsigned char *tbs = NULL;
    uint8_t digest[SHA256_SIZE];
    struct buf signature;
    X509_ALGOR *algorithm = X509_ALGOR_new();
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    int n = i2d_re_X509_REQ_tbs(req, &tbs);
    buf_init(&signature, 256);
    enum rc rc = n > 0 && algorithm && bits ? sha256(view_of(tbs, (size_t)n), digest) : RC_TEMP;
    if (rc == RC_OK)
        rc = sign(ctx, view_of(digest, sizeof digest), &signature);
    if (rc == RC_OK) {
        X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, NULL);
        bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7);
        bits->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* whole bytes */
        if (X509_REQ_set1_signature_algo(req, algorithm) != 1 ||
            ASN1_BIT_STRING_set(bits, (unsigned char *)signature.p, (int)signature.n) != 1) {
            rc = RC_TEMP;
        } else {
            X509_REQ_set0_signature(req, bits);
            bits = NULL;
        }
    }
    buf_clear(&signature);
    OPENSSL_free(tbs);
    X509_ALGOR_free(algorithm);
    ASN1_BIT_STRING_free(bits);
    return rc;
}

enum rc acme_request_write(struct view spki, const struct view *names, size_t n, jose_sign_fn sign, void *ctx, struct buf *der)
{
    const unsigned char *p = (const unsigned char *)spki.p;
    unsigned char *bytes = NULL;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.n);
    X509_REQ *req = X509_REQ_new();
    enum rc rc = pkey && req && n > 0 ? RC_OK : RC_SYNTAX;
    if (rc == RC_OK && (X509_REQ_set_version(req, 0) != 1 || X509_REQ_set_pubkey(req, pkey) != 1 || !add_names(req, names, n)))
        rc = RC_TEMP;
    if (rc == RC_OK)
        rc = sign_request(req, sign, ctx);
    int len = rc == RC_OK ? i2d_X509_REQ(req, &bytes) : 0;
    if (len > 0)
        buf_add(der, view_of(bytes, (size_t)len));
    else if (rc == RC_OK)
        rc = RC_TEMP;
    OPENSSL_free(bytes);
    X509_REQ_free(req);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return rc == RC_OK ? buf_rc(der) : rc;
}

/* --- certificates that are there --- */

static X509 *read_first(struct view pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

enum rc acme_certificate_read(struct view pem, struct acme_certificate *out)
{
    X509 *cert = read_first(pem);
    if (!cert)
        return RC_SYNTAX;
    *out = (struct acme_certificate){.from_s = seconds_of(X509_get0_notBefore(cert)),
                                     .until_s = seconds_of(X509_get0_notAfter(cert)),
                                     .self_signed = X509_self_signed(cert, 0) == 1};
    X509_free(cert);
    return RC_OK;
}

bool acme_certificate_covers(struct view pem, const char *name)
{
    X509 *cert = read_first(pem);
    bool yes = cert && X509_check_host(cert, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
    X509_free(cert);
    return yes;
}

enum rc acme_certificate_key(struct view pem, uint8_t out[SHA256_SIZE])
{
    X509 *cert = read_first(pem);
    unsigned char *der = NULL;
    int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : 0;
    enum rc rc = n > 0 ? sha256(view_of(der, (size_t)n), out) : RC_SYNTAX;
    OPENSSL_free(der);
    X509_free(cert);
    ERR_clear_error();
    return rc;
}

enum rc acme_certificate_id(struct view pem, struct buf *out)
{
    X509 *cert = read_first(pem);
    unsigned char *der = NULL;
    if (!cert)
        return RC_SYNTAX;
    const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(cert);
    int n = i2d_ASN1_INTEGER(X509_get_serialNumber(cert), &der);
    enum rc rc = aki && n > 2 ? RC_OK : RC_NOTFOUND;
    if (rc == RC_OK) {
        base64_encode_url(view_of(ASN1_STRING_get0_data(aki), (size_t)ASN1_STRING_length(aki)), out);
        buf_chr(out, '.');
        base64_encode_url(view_of(&der[2], (size_t)n - 2), out); /* the value, sign byte and all; its length is below 128 */
        rc = buf_rc(out);
    }
    OPENSSL_free(der);
    X509_free(cert);
    return rc;
}
