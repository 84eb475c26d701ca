#include "net/tls_challenge.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define ACME_IDENTIFIER "1.3.6.1.5.5.7.1.31" /* RFC 8737 §6.1 */
#define LIFE_S          (7 * 86400)

/* Critical, an OCTET STRING within the extension's own (RFC 8737 §3). */
static bool add_proof(X509 *cert, const uint8_t proof[32])
{
    unsigned char der[34] = {V_ASN1_OCTET_STRING, 32};
    ASN1_OBJECT *id = OBJ_txt2obj(ACME_IDENTIFIER, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    memcpy(&der[2], proof, 32);
    bool ok = id && value && ASN1_OCTET_STRING_set(value, der, sizeof der) == 1;
    X509_EXTENSION *extension = ok ? X509_EXTENSION_create_by_OBJ(NULL, id, 1, value) : NULL;
    ok = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(id);
    return ok;
}

static bool add_host(X509 *cert, struct view host)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    bool ok = names && name && text && ASN1_STRING_set(text, host.p, (int)host.n) == 1;
    if (ok) {
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        text = NULL;
        ok = sk_GENERAL_NAME_push(names, name) > 0;
        if (ok)
            name = NULL;
    }
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return ok;
}

static bool fill(X509 *cert, EVP_PKEY *key, struct view host, const uint8_t proof[32])
{
    static const unsigned char subject[] = "ACME challenge";
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -LIFE_S) && X509_gmtime_adj(X509_getm_notAfter(cert), LIFE_S) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, subject, sizeof subject - 1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 && add_host(cert, host) && add_proof(cert, proof) &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

enum rc tls_challenge_use(SSL_CTX *ctx, struct view host, const uint8_t proof[32])
{
    enum rc rc = RC_SYNTAX;
    X509 *cert = NULL;
    EVP_PKEY *key = NULL;
    if (host.n == 0 || host.n > 253 || !view_is_ascii(host) || view_has_ctl(host))
        return rc;
    rc = RC_TEMP;
    key = EVP_EC_gen("P-256");
    cert = X509_new();
    if (key && cert && fill(cert, key, host, proof) && SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1)
        rc = RC_OK;
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}
