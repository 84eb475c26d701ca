#include "login/webauthn.h"

#include "base/buf.h"
#include "base/cbor.h"
#include "crypto/cose.h"
#include "crypto/digest.h"

#define FLAG_PRESENT    0x01
#define FLAG_VERIFIED   0x04
#define FLAG_CREDENTIAL 0x40
#define FLAG_EXTENSIONS 0x80
#define AAGUID          16
#define ID_MAX          1023 /* §6.5.1 */

static bool take(struct view *in, size_t n, struct view *out)
{
    if (in->n < n)
        return false;
    *out = view_slice(*in, 0, n);
    view_skip(in, n);
    return true;
}

/* AAGUID, length, id, key (§6.5.1). */
static enum rc take_credential(struct view *in, struct webauthn_data *out)
{
    struct view aaguid, length;

    if (!take(in, AAGUID, &aaguid) || !take(in, 2, &length))
        return RC_SYNTAX;
    const size_t n = (size_t)(unsigned char)length.p[0] << 8 | (unsigned char)length.p[1];
    if (n == 0 || n > ID_MAX || !take(in, n, &out->id))
        return RC_SYNTAX;
    return cose_key_take(in, &out->key);
}

enum rc webauthn_data_parse(struct view in, struct webauthn_data *out)
{
    struct view rp, count;

    *out = (struct webauthn_data){0};
    if (in.n > WEBAUTHN_DATA_MAX)
        return RC_LIMIT;
    if (!take(&in, sizeof out->rp, &rp))
        return RC_SYNTAX;
    memcpy(out->rp, rp.p, sizeof out->rp);
    const int flags = view_next(&in);
    if (flags < 0 || !take(&in, 4, &count))
        return RC_SYNTAX;
    out->present = flags & FLAG_PRESENT;
    out->verified = flags & FLAG_VERIFIED;
    for (int i = 0; i < 4; i++)
        out->count = out->count << 8 | (unsigned char)count.p[i];
    enum rc rc = flags & FLAG_CREDENTIAL ? take_credential(&in, out) : RC_OK;
    if (rc == RC_OK && (flags & FLAG_EXTENSIONS))
        rc = cbor_skip(&in) == RC_OK ? RC_OK : RC_SYNTAX;
    return rc == RC_OK && in.n > 0 ? RC_SYNTAX : rc;
}

enum rc webauthn_attestation_parse(struct view in, struct view *data)
{
    struct view all = in, at;
    struct cbor head;

    if (cbor_skip(&all) != RC_OK || all.n > 0 || cbor_next(&in, &head) != RC_OK || head.kind != CBOR_MAP)
        return RC_SYNTAX;
    return cbor_find_text(in, head.n, VIEW("authData"), &at) == RC_OK && cbor_take_bytes(&at, data) ? RC_OK : RC_SYNTAX;
}

enum rc webauthn_verify(struct view key, struct view data, struct view client_data, struct view signature)
{
    uint8_t hash[SHA256_SIZE];
    struct buf message;
    enum rc rc = data.n > WEBAUTHN_DATA_MAX ? RC_LIMIT : sha256(client_data, hash);

    buf_init(&message, WEBAUTHN_DATA_MAX + sizeof hash);
    if (rc == RC_OK) {
        buf_add(&message, data);
        buf_add(&message, view_of(hash, sizeof hash));
        rc = buf_rc(&message);
    }
    if (rc == RC_OK)
        rc = cose_verify(key, buf_view(&message), signature);
    buf_clear(&message);
    return rc;
}
