#include "vault/keys.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <errno.h>
#include <stdlib.h>

#include "crypto/digest.h"
#include "net/tls.h"
#include "sys/file.h"

struct key {
    uint8_t id[SHA256_SIZE];
    EVP_PKEY *pkey;
    struct buf pem; /* the chain */
};
struct keys {
    struct key keys[KEYS_MAX];
    size_t n;
};

static X509 *read_certificate(struct view pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return cert;
}

/* Keys with a pass phrase cannot be used by a server that starts alone. */
static int no_passphrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf, (void)size, (void)rwflag, (void)u;
    return 0;
}

static EVP_PKEY *read_key(struct view pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return pkey;
}

static enum rc key_id(EVP_PKEY *pkey, uint8_t id[SHA256_SIZE])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pkey, &der);
    enum rc rc = n > 0 ? sha256(view_of(der, (size_t)n), id) : RC_TEMP;
    OPENSSL_free(der);
    return rc;
}

static enum rc load_one(const char *certificate, const char *private_key, struct arena *a, struct key *out, const char **why)
{
    struct buf secret;
    X509 *cert = NULL;
    enum rc rc;

    buf_init(&secret, KEYS_FILE_MAX);
    buf_init(&out->pem, KEYS_FILE_MAX);
    if ((rc = file_read(certificate, KEYS_FILE_MAX, &out->pem)) != RC_OK) {
        *why = arena_printf(a, "certificate %s: %s", certificate, rc == RC_LIMIT ? "too long" : strerror(errno));
        goto done;
    }
    if ((rc = file_read(private_key, KEYS_FILE_MAX, &secret)) != RC_OK) {
        *why = arena_printf(a, "key %s: %s", private_key, rc == RC_LIMIT ? "too long" : strerror(errno));
        goto done;
    }
    rc = RC_SYNTAX;
    if (!(cert = read_certificate(buf_view(&out->pem)))) {
        *why = arena_printf(a, "certificate %s: not a certificate in PEM", certificate);
        goto done;
    }
    if (!(out->pkey = read_key(buf_view(&secret)))) {
        *why = arena_printf(a, "key %s: not a private key in PEM without pass phrase", private_key);
        goto done;
    }
    if (X509_check_private_key(cert, out->pkey) != 1) {
        *why = arena_printf(a, "key %s is not that of the certificate %s", private_key, certificate);
        goto done;
    }
    if (!EVP_PKEY_is_a(out->pkey, "RSA") && !EVP_PKEY_is_a(out->pkey, "EC")) {
        *why = arena_printf(a, "key %s: only RSA and ECDSA keys can be used", private_key);
        goto done;
    }
    rc = key_id(out->pkey, out->id);
done:
    ERR_clear_error();
    X509_free(cert);
    buf_wipe(&secret);
    buf_clear(&secret);
    return rc;
}

enum rc keys_load(const char *const *certificates, const char *const *private_keys, size_t n, struct arena *a, struct keys **out,
                  const char **why)
{
    struct keys *k = calloc(1, sizeof *k);
    enum rc rc = RC_OK;

    *out = NULL;
    *why = "out of memory";
    if (!k)
        return RC_TEMP;
    if (n > KEYS_MAX) {
        *why = "too many certificates";
        rc = RC_LIMIT;
    }
    for (; rc == RC_OK && k->n < n; k->n++)
        rc = load_one(certificates[k->n], private_keys[k->n], a, &k->keys[k->n], why);
    if (rc != RC_OK)
        keys_free(k);
    else
        *out = k;
    return rc;
}

void keys_free(struct keys *k)
{
    for (size_t i = 0; k && i < KEYS_MAX; i++) {
        EVP_PKEY_free(k->keys[i].pkey);
        buf_clear(&k->keys[i].pem);
    }
    free(k);
}

enum rc keys_chain(const struct keys *k, size_t i, struct view *pem)
{
    if (i >= k->n)
        return RC_NOTFOUND;
    *pem = buf_view(&k->keys[i].pem);
    return RC_OK;
}

static enum rc sign_with(EVP_PKEY *pkey, int padding, struct view input, struct buf *signature)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    size_t n = (size_t)EVP_PKEY_get_size(pkey);
    enum rc rc = RC_TEMP;

    if (!ctx || EVP_PKEY_sign_init(ctx) <= 0)
        goto done;
    if (padding && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) <= 0)
        goto done;
    char *room = buf_room(signature, n);
    if (!room)
        goto done;
    rc = RC_SYNTAX;
    if (EVP_PKEY_sign(ctx, (unsigned char *)room, &n, (const unsigned char *)input.p, input.n) <= 0)
        goto done;
    buf_grew(signature, n);
    rc = RC_OK;
done:
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    return rc;
}

enum rc keys_sign(const struct keys *k, const uint8_t id[32], uint32_t kind, struct view input, struct buf *signature)
{
    EVP_PKEY *pkey = NULL;

    for (size_t i = 0; i < k->n && !pkey; i++)
        if (memcmp(k->keys[i].id, id, SHA256_SIZE) == 0)
            pkey = k->keys[i].pkey;
    if (!pkey)
        return RC_NOTFOUND;
    const bool is_rsa = EVP_PKEY_is_a(pkey, "RSA");
    switch (kind) {
    case TLS_SIGN_ECDSA: return is_rsa ? RC_SYNTAX : sign_with(pkey, 0, input, signature);
    case TLS_SIGN_RSA_PKCS1: return is_rsa ? sign_with(pkey, RSA_PKCS1_PADDING, input, signature) : RC_SYNTAX;
    case TLS_SIGN_RSA_RAW: return is_rsa ? sign_with(pkey, RSA_NO_PADDING, input, signature) : RC_SYNTAX;
    default: return RC_SYNTAX;
    }
}
