#include "acme/jose.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/base64.h"
#include "crypto/digest.h"

#define POINT_SIZE 65 /* 0x04, x, y */

enum rc jose_jwk(struct view spki, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)spki.p;
    unsigned char point[POINT_SIZE];
    char group[32];
    size_t n = 0;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.n);
    enum rc rc = RC_SYNTAX;
    if (pkey && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 && strcmp(group, "prime256v1") == 0 &&
        EVP_PKEY_get_octet_string_param(pkey, "encoded-pub-key", point, sizeof point, &n) == 1 && n == POINT_SIZE && point[0] == 4) {
        buf_str(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
        base64_encode_url(view_of(&point[1], 32), out);
        buf_str(out, "\",\"y\":\"");
        base64_encode_url(view_of(&point[33], 32), out);
        buf_str(out, "\"}");
        rc = buf_rc(out);
    }
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    return rc;
}

enum rc jose_thumbprint(struct view jwk, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    enum rc rc = sha256(jwk, digest);
    if (rc == RC_OK)
        base64_encode_url(view_of(digest, sizeof digest), out);
    return rc == RC_OK ? buf_rc(out) : rc;
}

enum rc jose_raw_signature(struct view der, uint8_t out[64])
{
    const unsigned char *p = (const unsigned char *)der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(sig), &out[32], 32) == 32;
    ERR_clear_error();
    ECDSA_SIG_free(sig);
    return ok ? RC_OK : RC_SYNTAX;
}

/* base64url(header) "." base64url(payload), and where the first part ends. */
static enum rc signing_input(struct view header, struct view payload, struct buf *out, size_t *dot)
{
    buf_init(out, JOSE_TEXT_MAX);
    base64_encode_url(header, out);
    *dot = out->n;
    buf_chr(out, '.');
    base64_encode_url(payload, out);
    return buf_rc(out);
}

static enum rc write_jws(const struct buf *input, size_t dot, struct view signature, struct buf *out)
{
    struct view all = buf_view(input);
    buf_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"", VIEW_FMT(view_slice(all, 0, dot)),
               VIEW_FMT(view_from(all, dot + 1)));
    base64_encode_url(signature, out);
    buf_str(out, "\"}");
    return buf_rc(out);
}

enum rc jose_es256(struct view header, struct view payload, jose_sign_fn sign, void *ctx, struct buf *out)
{
    struct buf input, der;
    uint8_t digest[SHA256_SIZE], raw[64];
    size_t dot;
    buf_init(&der, 256);
    enum rc rc = signing_input(header, payload, &input, &dot);
    if (rc == RC_OK)
        rc = sha256(buf_view(&input), digest);
    if (rc == RC_OK)
        rc = sign(ctx, view_of(digest, sizeof digest), &der);
    if (rc == RC_OK)
        rc = jose_raw_signature(buf_view(&der), raw);
    if (rc == RC_OK)
        rc = write_jws(&input, dot, view_of(raw, sizeof raw), out);
    buf_clear(&input);
    buf_clear(&der);
    return rc;
}

enum rc jose_hs256(struct view header, struct view payload, struct view key, struct buf *out)
{
    struct buf input;
    uint8_t mac[SHA256_SIZE];
    size_t dot;
    enum rc rc = signing_input(header, payload, &input, &dot);
    if (rc == RC_OK)
        rc = hmac_sha256(key, buf_view(&input), mac);
    if (rc == RC_OK)
        rc = write_jws(&input, dot, view_of(mac, sizeof mac), out);
    buf_clear(&input);
    return rc;
}
