/* store/address: the normal form in which addresses are kept and compared (directory_normalise). Pure. */
#include <idn2.h>

#include "base/utf8.h"
#include "store/directory.h"
#include "store/directory_internal.h"

#define LOCAL_MAX  256 /* bytes; RFC 5321 §4.5.3.1.1 has 64 octets, UTF-8 local parts of RFC 6531 get more room */
#define DOMAIN_MAX 255 /* RFC 5321 §4.5.3.1.2 */

/* Simple case folding of the scripts that have case and stand in mail addresses; others have none or stay as they are. */
static uint32_t fold(uint32_t c)
{
    if (c < 0x80)
        return to_lower((unsigned char)c);
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    if (c >= 0x531 && c <= 0x556)
        return c + 48;
    if (c == 0x130 || c == 0x178)
        return c == 0x178 ? 0xff : c;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return c & 1 ? c + 1 : c;
    if ((c >= 0x100 && c <= 0x177) || (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) ||
        (c >= 0x4d0 && c <= 0x52f) || (c >= 0x1e00 && c <= 0x1e95) || (c >= 0x1ea0 && c <= 0x1eff))
        return c & 1 ? c : c + 1;
    static const uint16_t greek[][2] = {{0x386, 0x3ac}, {0x388, 0x3ad}, {0x389, 0x3ae}, {0x38a, 0x3af},
                                        {0x38c, 0x3cc}, {0x38e, 0x3cd}, {0x38f, 0x3ce}, {0x3c2, 0x3c3}};
    for (size_t i = 0; i < sizeof greek / sizeof greek[0]; i++) {
        if (c == greek[i][0])
            return greek[i][1];
    }
    return c;
}

/* Without the quotes of a quoted-string, which are no part of the name (RFC 5321 §4.1.2). */
static enum rc put_local(struct view local, struct buf *out)
{
    bool quoted = view_take_chr(&local, '"');
    uint32_t c;

    if (quoted) {
        if (!view_ends(local, VIEW("\"")))
            return RC_SYNTAX;
        local.n--;
    }
    if (local.n == 0 || local.n > LOCAL_MAX)
        return RC_SYNTAX;
    while (utf8_next(&local, &c) == RC_OK) {
        if (quoted && c == '\\' && utf8_next(&local, &c) != RC_OK)
            return RC_SYNTAX;
        if (c < 0x20 || c == 0x7f)
            return RC_SYNTAX;
        utf8_put(out, fold(c));
    }
    return local.n > 0 ? RC_SYNTAX : buf_rc(out);
}

static enum rc put_ascii_domain(struct view domain, struct buf *out)
{
    size_t label = 0;

    for (size_t i = 0; i < domain.n; i++) {
        unsigned char c = (unsigned char)domain.p[i];
        if (c == '.' ? label == 0 || label > 63 : !is_alnum(c) && c != '-' && c != '_')
            return RC_SYNTAX;
        label = c == '.' ? 0 : label + 1;
        buf_chr(out, (char)to_lower(c));
    }
    return label == 0 || label > 63 ? RC_SYNTAX : buf_rc(out);
}

enum rc address_put_domain(struct view domain, struct buf *out)
{
    char text[DOMAIN_MAX + 1];
    char *ace = NULL;

    if (domain.n == 0 || view_cstr(domain, text, sizeof text) != RC_OK)
        return RC_SYNTAX;
    if (domain.p[0] == '[') { /* an address literal is never ours, but may be where a foreign address leads */
        if (!view_ends(domain, VIEW("]")) || view_has_ctl(domain) || view_chr(domain, '@') != VIEW_NONE)
            return RC_SYNTAX;
        for (size_t i = 0; i < domain.n; i++)
            buf_chr(out, (char)to_lower((unsigned char)domain.p[i]));
        return buf_rc(out);
    }
    if (view_is_ascii(domain))
        return put_ascii_domain(domain, out);
    if (idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ace, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return RC_SYNTAX;
    enum rc rc = put_ascii_domain(view_str(ace), out);
    idn2_free(ace);
    return rc;
}

enum rc address_split(struct view address, struct view *local, struct view *domain)
{
    size_t at = view_rchr(address, '@');

    if (at == VIEW_NONE)
        return RC_SYNTAX;
    *local = view_slice(address, 0, at);
    *domain = view_from(address, at + 1);
    return RC_OK;
}

enum rc directory_normalise(struct view address, struct arena *a, struct view *out)
{
    struct view local, domain;
    struct buf b;
    enum rc rc = address_split(address, &local, &domain);

    if (rc != RC_OK)
        return rc;
    buf_init(&b, 2 * (LOCAL_MAX + 1 + DOMAIN_MAX));
    rc = put_local(local, &b);
    if (rc == RC_OK) {
        buf_chr(&b, '@');
        rc = address_put_domain(domain, &b);
    }
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&b), out);
    buf_clear(&b);
    return rc == RC_LIMIT ? RC_SYNTAX : rc;
}

enum rc address_normalise_target(struct view target, struct arena *a, struct view *out)
{
    struct view local, domain;
    struct buf b;
    enum rc rc = address_split(target, &local, &domain);

    if (rc != RC_OK || local.n == 0 || local.n > LOCAL_MAX || view_has_ctl(local) || !utf8_is_valid(local))
        return RC_SYNTAX;
    buf_init(&b, LOCAL_MAX + 1 + DOMAIN_MAX);
    buf_add(&b, local);
    buf_chr(&b, '@');
    rc = address_put_domain(domain, &b);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&b), out);
    buf_clear(&b);
    return rc == RC_LIMIT ? RC_SYNTAX : rc;
}
