#include "crypto/cose.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/cbor.h"

enum { KTY = 1, ALG = 3, CRV = -1, X = -2, Y = -3, RSA_N = -1, RSA_E = -2 };
enum { KTY_OKP = 1, KTY_EC2 = 2, KTY_RSA = 3, CRV_P256 = 1, CRV_ED25519 = 6 };

struct map {
    struct view in;
    uint64_t n;
};

static bool number_at(const struct map *m, int64_t key, int64_t *out)
{
    struct view at;
    return cbor_find_number(m->in, m->n, key, &at) == RC_OK && cbor_take_number(&at, out);
}

static bool bytes_at(const struct map *m, int64_t key, struct view *out)
{
    struct view at;
    return cbor_find_number(m->in, m->n, key, &at) == RC_OK && cbor_take_bytes(&at, out);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *read_ec(const struct map *m)
{
    struct view x, y;
    int64_t curve;
    uint8_t point[65] = {4};
    char group[] = "prime256v1";

    if (!number_at(m, CRV, &curve) || curve != CRV_P256 || !bytes_at(m, X, &x) || !bytes_at(m, Y, &y) || x.n != 32 || y.n != 32)
        return NULL;
    memcpy(point + 1, x.p, 32);
    memcpy(point + 33, y.p, 32);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point), OSSL_PARAM_construct_end()};
    return from_params("EC", params); /* refuses what is no point of the curve */
}

static EVP_PKEY *read_rsa(const struct map *m)
{
    struct view n, e;
    EVP_PKEY *key = NULL;

    if (!bytes_at(m, RSA_N, &n) || !bytes_at(m, RSA_E, &e) || n.n > COSE_RSA_BITS_MAX / 8 || e.n == 0 || e.n > 8)
        return NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL), *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (modulus && exponent && build && BN_num_bits(modulus) >= COSE_RSA_BITS_MIN && BN_is_odd(modulus) && BN_is_odd(exponent) &&
        !BN_is_one(exponent) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1 && (params = OSSL_PARAM_BLD_to_param(build)))
        key = from_params("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *read_okp(const struct map *m)
{
    struct view x;
    int64_t curve;

    if (!number_at(m, CRV, &curve) || curve != CRV_ED25519 || !bytes_at(m, X, &x) || x.n != 32)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
}

static EVP_PKEY *read_key(struct view in, int64_t *alg)
{
    struct cbor head;
    struct map m;
    int64_t kty;

    if (cbor_next(&in, &head) != RC_OK || head.kind != CBOR_MAP)
        return NULL;
    m = (struct map){in, head.n};
    if (!number_at(&m, KTY, &kty) || !number_at(&m, ALG, alg))
        return NULL;
    if (kty == KTY_EC2 && *alg == COSE_ES256)
        return read_ec(&m);
    if (kty == KTY_OKP && *alg == COSE_EDDSA)
        return read_okp(&m);
    return kty == KTY_RSA && *alg == COSE_RS256 ? read_rsa(&m) : NULL;
}

enum rc cose_key_take(struct view *in, struct view *key)
{
    struct view rest = *in;
    int64_t alg;

    if (cbor_skip(&rest) != RC_OK)
        return RC_SYNTAX;
    *key = view_slice(*in, 0, in->n - rest.n);
    EVP_PKEY *k = read_key(*key, &alg);
    ERR_clear_error();
    if (!k)
        return RC_SYNTAX;
    EVP_PKEY_free(k);
    *in = rest;
    return RC_OK;
}

enum rc cose_verify(struct view key, struct view message, struct view signature)
{
    int64_t alg = 0;
    EVP_PKEY *k = read_key(key, &alg);
    EVP_MD_CTX *ctx = k ? EVP_MD_CTX_new() : NULL;
    enum rc rc = !k ? RC_SYNTAX : !ctx ? RC_TEMP : RC_DENIED;

    if (rc == RC_DENIED && EVP_DigestVerifyInit(ctx, NULL, alg == COSE_EDDSA ? NULL : EVP_sha256(), NULL, k) == 1 &&
        EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, (const unsigned char *)message.p, message.n) == 1)
        rc = RC_OK;
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(k);
    return rc;
}
