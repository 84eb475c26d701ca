#include "crypto/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *ctx;
    bool failed;
};

/* Fetched once: the implicit fetch of EVP_sha256() at each use costs more than hashing a short text. */
static EVP_MD *fetched[4];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
    fetched[DIGEST_SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
    fetched[DIGEST_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched[DIGEST_SHA384] = EVP_MD_fetch(NULL, "SHA384", NULL);
    fetched[DIGEST_SHA512] = EVP_MD_fetch(NULL, "SHA512", NULL);
}

static const EVP_MD *md_of(enum digest_kind kind)
{
    pthread_once(&fetch_once, fetch_all);
    return fetched[kind];
}

static enum rc hmac_of(enum digest_kind kind, struct view key, struct view v, uint8_t *out)
{
    const EVP_MD *md = md_of(kind);
    if (!md || key.n > INT_MAX)
        return RC_TEMP;
    /* A NULL key means "as before" to OpenSSL, which the empty key is not. */
    const void *k = key.n > 0 ? key.p : "";
    return HMAC(md, k, (int)key.n, (const unsigned char *)v.p, v.n, out, NULL) ? RC_OK : RC_TEMP;
}

size_t digest_size(enum digest_kind kind)
{
    static const size_t sizes[] = {
        [DIGEST_SHA1] = 20, [DIGEST_SHA256] = 32, [DIGEST_SHA384] = 48, [DIGEST_SHA512] = 64};
    return sizes[kind];
}

enum rc digest_of(enum digest_kind kind, struct view v, uint8_t *out)
{
    const EVP_MD *md = md_of(kind);
    return md && EVP_Digest(v.p, v.n, out, NULL, md, NULL) == 1 ? RC_OK : RC_TEMP;
}

enum rc sha1(struct view v, uint8_t out[SHA1_SIZE])
{
    return digest_of(DIGEST_SHA1, v, out);
}

enum rc sha256(struct view v, uint8_t out[SHA256_SIZE])
{
    return digest_of(DIGEST_SHA256, v, out);
}

enum rc hmac_sha1(struct view key, struct view v, uint8_t out[SHA1_SIZE])
{
    return hmac_of(DIGEST_SHA1, key, v, out);
}

enum rc hmac_sha256(struct view key, struct view v, uint8_t out[SHA256_SIZE])
{
    return hmac_of(DIGEST_SHA256, key, v, out);
}

enum rc pbkdf2(enum digest_kind kind, struct view password, struct view salt, uint32_t iterations,
               uint8_t *out)
{
    const EVP_MD *md = md_of(kind);
    if (iterations == 0)
        return RC_SYNTAX;
    if (!md || password.n > INT_MAX || salt.n > INT_MAX || iterations > INT_MAX)
        return RC_TEMP;
    const char *pw = password.n > 0 ? password.p : "";
    int ok = PKCS5_PBKDF2_HMAC(pw, (int)password.n, (const unsigned char *)salt.p, (int)salt.n,
                               (int)iterations, md, (int)digest_size(kind), out);
    return ok == 1 ? RC_OK : RC_TEMP;
}

struct digest *digest_new(enum digest_kind kind)
{
    const EVP_MD *md = md_of(kind);
    struct digest *d = calloc(1, sizeof *d);
    if (d && (!md || !(d->ctx = EVP_MD_CTX_new()) || EVP_DigestInit_ex2(d->ctx, md, NULL) != 1)) {
        digest_free(d);
        return NULL;
    }
    return d;
}

void digest_add(struct digest *d, struct view v)
{
    if (v.n > 0 && EVP_DigestUpdate(d->ctx, v.p, v.n) != 1)
        d->failed = true;
}

enum rc digest_end(struct digest *d, uint8_t *out)
{
    if (EVP_DigestFinal_ex(d->ctx, out, NULL) != 1)
        d->failed = true;
    return d->failed ? RC_TEMP : RC_OK;
}

struct digest *digest_copy(const struct digest *d)
{
    struct digest *copy = calloc(1, sizeof *copy);
    if (copy && (!(copy->ctx = EVP_MD_CTX_new()) || EVP_MD_CTX_copy_ex(copy->ctx, d->ctx) != 1)) {
        digest_free(copy);
        return NULL;
    }
    if (copy)
        copy->failed = d->failed;
    return copy;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}
