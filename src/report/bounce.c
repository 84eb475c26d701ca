#include "report/bounce.h"

#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "message/header.h"

#define MARK      "+bounce-"
#define LOCAL_MAX 64 /* RFC 5321 §4.5.3.1.1 */

enum rc bounce_tag(const uint8_t key[BOUNCE_KEY_SIZE], struct view address, char tag[BOUNCE_TAG + 1])
{
    uint8_t digest[SHA256_SIZE];
    enum rc rc = hmac_sha256(view_of(key, BOUNCE_KEY_SIZE), address, digest);
    if (rc == RC_OK)
        hex_write(view_of(digest, BOUNCE_TAG / 2), tag);
    return rc;
}

enum rc bounce_sender(const uint8_t key[BOUNCE_KEY_SIZE], struct view from, struct view address, struct arena *a, struct view *out)
{
    char tag[BOUNCE_TAG + 1];
    size_t at = view_rchr(from, '@');
    *out = from;
    if (at == VIEW_NONE || at + sizeof MARK - 1 + BOUNCE_TAG > LOCAL_MAX)
        return RC_OK;
    enum rc rc = bounce_tag(key, address, tag);
    if (rc != RC_OK)
        return rc;
    *out = view_str(arena_printf(a, "%.*s" MARK "%s%.*s", (int)at, from.p, tag, VIEW_FMT(view_from(from, at))));
    return out->n > 0 ? RC_OK : RC_TEMP;
}

bool bounce_is(struct view header, struct view rcpt, struct view *tag)
{
    struct view type = header_value(header, VIEW("Content-Type")), local = view_slice(rcpt, 0, view_rchr(rcpt, '@'));
    const size_t n = sizeof MARK - 1 + BOUNCE_TAG;
    if (!view_istarts(type, VIEW("multipart/report")) || view_ifind(type, VIEW("delivery-status")) == VIEW_NONE || local.n <= n)
        return false;
    local = view_from(local, local.n - n);
    if (!view_itake(&local, VIEW(MARK)))
        return false;
    for (size_t i = 0; i < local.n; i++)
        if (!is_digit((unsigned char)local.p[i]) && (to_lower((unsigned char)local.p[i]) < 'a' || to_lower((unsigned char)local.p[i]) > 'f'))
            return false;
    *tag = local;
    return true;
}
