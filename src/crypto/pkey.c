#include "crypto/pkey.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "crypto/digest.h"
#include "crypto/equal.h"

struct pkey {
    EVP_PKEY *evp;
    EVP_PKEY_CTX *verifier; /* of a public RSA key: copied for each verification, which costs less than making one */
    enum pkey_kind kind;
    bool is_private;
    atomic_uint holders;
};

static enum rc wrap(EVP_PKEY *evp, enum pkey_kind kind, bool is_private, struct pkey **out)
{
    struct pkey *k = calloc(1, sizeof *k);
    if (!k) {
        EVP_PKEY_free(evp);
        return RC_TEMP;
    }
    k->evp = evp;
    k->kind = kind;
    k->is_private = is_private;
    k->holders = 1;
    *out = k;
    return RC_OK;
}

/* --- RSA public keys: read by hand, since OpenSSL's decoder costs several times the verification --- */

/* Content of the DER element with this tag at the cursor, definite length. */
static enum rc der_take(struct view *in, unsigned char tag, struct view *out)
{
    struct view at = *in;
    size_t n;
    if (view_next(&at) != tag)
        return RC_SYNTAX;
    int c = view_next(&at);
    if (c < 0 || c == 0x80 || c > 0x82)
        return RC_SYNTAX;
    n = (size_t)c;
    if (c > 0x80)
        for (n = 0; c > 0x80; c--) {
            int next = view_next(&at);
            if (next < 0)
                return RC_SYNTAX;
            n = n << 8 | (size_t)next;
        }
    if (n > at.n)
        return RC_SYNTAX;
    *out = view_slice(at, 0, n);
    view_skip(&at, n);
    *in = at;
    return RC_OK;
}

/* A positive INTEGER without its leading zeroes. */
static enum rc der_take_positive(struct view *in, struct view *out)
{
    if (der_take(in, 2, out) != RC_OK || out->n == 0 || (unsigned char)out->p[0] > 0x7f)
        return RC_SYNTAX;
    while (view_peek(*out) == 0)
        view_skip(out, 1);
    return out->n > 0 ? RC_OK : RC_SYNTAX;
}

static enum rc rsa_read(struct view der, struct view *n, struct view *e)
{
    static const char rsa_encryption[] = {0x2a, (char)0x86, 0x48, (char)0x86, (char)0xf7, 0x0d, 0x01, 0x01, 0x01};
    struct view body, algorithm, oid, bits;
    if (der_take(&der, 0x30, &body) != RC_OK || der.n > 0)
        return RC_SYNTAX;
    if (view_peek(body) == 0x30) { /* SubjectPublicKeyInfo (RFC 3279 §2.3.1) around the RSAPublicKey */
        if (der_take(&body, 0x30, &algorithm) != RC_OK || der_take(&body, 3, &bits) != RC_OK || body.n > 0)
            return RC_SYNTAX;
        if (der_take(&algorithm, 6, &oid) != RC_OK || !view_eq(oid, view_of(rsa_encryption, sizeof rsa_encryption)))
            return RC_SYNTAX;
        if (view_next(&bits) != 0 || der_take(&bits, 0x30, &body) != RC_OK || bits.n > 0)
            return RC_SYNTAX;
    }
    if (der_take_positive(&body, n) != RC_OK || der_take_positive(&body, e) != RC_OK || body.n > 0)
        return RC_SYNTAX;
    if (n->n > PKEY_RSA_BITS_MAX / 8 || e->n > 8)
        return RC_LIMIT;
    /* An even modulus or exponent, or the exponent 1, is no RSA key. */
    bool is_rsa = n->p[n->n - 1] & 1 && e->p[e->n - 1] & 1 && !(e->n == 1 && e->p[0] == 1);
    return is_rsa ? RC_OK : RC_SYNTAX;
}

static enum rc rsa_public(struct view der, EVP_PKEY **out)
{
    struct view n, e;
    enum rc rc = rsa_read(der, &n, &e);
    if (rc != RC_OK)
        return rc;
    BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    rc = RC_TEMP;
    if (bn && be && build && ctx && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) && (params = OSSL_PARAM_BLD_to_param(build)) &&
        EVP_PKEY_fromdata_init(ctx) > 0)
        rc = EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) > 0 ? RC_OK : RC_SYNTAX;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(bn);
    BN_free(be);
    return rc;
}

/* --- signatures --- */

static EVP_PKEY_CTX *rsa_context(EVP_PKEY *evp, bool is_signing)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(evp, NULL);
    if (ctx && (is_signing ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static enum rc sign_digest(const struct pkey *k, struct view digest, char *room, size_t *n)
{
    int ok = 0;
    if (k->kind == PKEY_RSA) {
        EVP_PKEY_CTX *ctx = rsa_context(k->evp, true);
        ok = ctx && EVP_PKEY_sign(ctx, (unsigned char *)room, n, (const unsigned char *)digest.p, digest.n) > 0;
        EVP_PKEY_CTX_free(ctx);
    } else {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->evp) > 0 &&
             EVP_DigestSign(ctx, (unsigned char *)room, n, (const unsigned char *)digest.p, digest.n) > 0;
        EVP_MD_CTX_free(ctx);
    }
    return ok ? RC_OK : RC_TEMP;
}

void pkey_free(struct pkey *k)
{
    if (!k || atomic_fetch_sub(&k->holders, 1) > 1)
        return;
    EVP_PKEY_CTX_free(k->verifier);
    EVP_PKEY_free(k->evp);
    free(k);
}

struct pkey *pkey_hold(struct pkey *k)
{
    atomic_fetch_add(&k->holders, 1);
    return k;
}

enum rc pkey_public(enum pkey_kind kind, struct view bytes, struct pkey **out)
{
    EVP_PKEY *evp = NULL;
    enum rc rc = RC_SYNTAX;
    *out = NULL;
    if (kind == PKEY_RSA) {
        rc = rsa_public(bytes, &evp);
    } else if (bytes.n == PKEY_ED25519_SIZE) {
        evp = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)bytes.p, bytes.n);
        rc = evp ? RC_OK : RC_TEMP;
    }
    if (rc == RC_OK)
        rc = wrap(evp, kind, false, out);
    if (rc == RC_OK && kind == PKEY_RSA && !((*out)->verifier = rsa_context(evp, false))) {
        pkey_free(*out);
        *out = NULL;
        rc = RC_TEMP;
    }
    ERR_clear_error();
    return rc;
}

/* Never asks at a terminal. */
static int no_pass_phrase(char *text, int size, int is_writing, void *ctx)
{
    (void)text, (void)size, (void)is_writing, (void)ctx;
    return -1;
}

enum rc pkey_private(struct view pem, struct pkey **out)
{
    EVP_PKEY *evp = NULL;
    *out = NULL;
    if (pem.n > PKEY_PEM_MAX)
        return RC_SYNTAX;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!bio)
        return RC_TEMP;
    evp = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (evp && EVP_PKEY_is_a(evp, "RSA"))
        return wrap(evp, PKEY_RSA, true, out);
    if (evp && EVP_PKEY_is_a(evp, "ED25519"))
        return wrap(evp, PKEY_ED25519, true, out);
    EVP_PKEY_free(evp);
    return RC_SYNTAX;
}

enum rc pkey_generate(enum pkey_kind kind, unsigned rsa_bits, struct pkey **out)
{
    *out = NULL;
    if (kind == PKEY_RSA && (rsa_bits < 1024 || rsa_bits > 4096))
        return RC_SYNTAX;
    EVP_PKEY *evp = kind == PKEY_RSA ? EVP_RSA_gen(rsa_bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ERR_clear_error();
    return evp ? wrap(evp, kind, true, out) : RC_TEMP;
}

enum pkey_kind pkey_kind(const struct pkey *k)
{
    return k->kind;
}

unsigned pkey_bits(const struct pkey *k)
{
    return k->kind == PKEY_RSA ? (unsigned)EVP_PKEY_get_bits(k->evp) : 256;
}

enum rc pkey_public_write(const struct pkey *k, struct buf *out)
{
    unsigned char raw[PKEY_ED25519_SIZE], *der = NULL;
    size_t n = sizeof raw;
    if (k->kind == PKEY_ED25519) {
        if (EVP_PKEY_get_raw_public_key(k->evp, raw, &n) <= 0)
            return RC_TEMP;
        buf_add(out, view_of(raw, n));
        return buf_rc(out);
    }
    int len = i2d_PUBKEY(k->evp, &der);
    if (len <= 0)
        return RC_TEMP;
    buf_add(out, view_of(der, (size_t)len));
    OPENSSL_free(der);
    return buf_rc(out);
}

enum rc pkey_private_write(const struct pkey *k, struct buf *out)
{
    char *text;
    if (!k->is_private)
        return RC_DENIED;
    BIO *bio = BIO_new(BIO_s_secmem());
    enum rc rc = RC_TEMP;
    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, k->evp, NULL, NULL, 0, NULL, NULL) > 0) {
        long n = BIO_get_mem_data(bio, &text);
        buf_add(out, view_of(text, (size_t)n));
        rc = buf_rc(out);
        wipe(text, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

enum rc pkey_sign(const struct pkey *k, struct view digest, struct buf *signature)
{
    if (!k->is_private)
        return RC_DENIED;
    size_t n = (size_t)EVP_PKEY_get_size(k->evp);
    char *room = digest.n == SHA256_SIZE ? buf_room(signature, n) : NULL;
    if (!room || sign_digest(k, digest, room, &n) != RC_OK) {
        ERR_clear_error();
        return RC_TEMP;
    }
    buf_grew(signature, n);
    return RC_OK;
}

enum rc pkey_verify(const struct pkey *k, struct view digest, struct view signature)
{
    const unsigned char *text = (const unsigned char *)digest.p, *sig = (const unsigned char *)signature.p;
    enum rc rc = RC_TEMP;
    if (digest.n != SHA256_SIZE)
        return RC_DENIED;
    if (k->kind == PKEY_RSA) {
        EVP_PKEY_CTX *ctx = k->verifier ? EVP_PKEY_CTX_dup(k->verifier) : rsa_context(k->evp, false);
        if (ctx)
            rc = EVP_PKEY_verify(ctx, sig, signature.n, text, digest.n) == 1 ? RC_OK : RC_DENIED;
        EVP_PKEY_CTX_free(ctx);
    } else {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        if (ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->evp) > 0)
            rc = EVP_DigestVerify(ctx, sig, signature.n, text, digest.n) == 1 ? RC_OK : RC_DENIED;
        EVP_MD_CTX_free(ctx);
    }
    ERR_clear_error();
    return rc;
}
