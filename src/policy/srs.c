#include "policy/srs.h"

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "message/address.h"

#define DAY_S      86400
#define DAYS       1024 /* that two digits of base32 tell apart */
#define HASH_BYTES (SRS_HASH_CHARS * 5 / 8)
#define TEXT_MAX   512  /* of an unquoted address */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 §6 */

/* --- addresses --- */

struct address_parts {
    struct view local, domain; /* local without its quotes, in `text` */
    struct buf text;
};

static bool is_domain_chr(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '.' || c == '_';
}

static bool is_domain(struct view v)
{
    struct view rest = v;
    view_take_while(&rest, is_domain_chr);
    return v.n > 0 && rest.n == 0;
}

/* Fills p->text. RC_SYNTAX: not "local@domain", or a byte that no address has. */
static enum rc split_address(struct view address, struct address_parts *p)
{
    size_t at = view_rchr(address, '@');

    buf_init(&p->text, TEXT_MAX);
    if (at == VIEW_NONE || at == 0 || view_has_ctl(address))
        return RC_SYNTAX;
    p->domain = view_from(address, at + 1);
    struct view local = view_slice(address, 0, at);
    if (!view_take_chr(&local, '"')) {
        p->local = local;
        return RC_OK;
    }
    if (!view_ends(local, VIEW("\"")))
        return RC_SYNTAX;
    local.n--;
    while (local.n > 0) {
        view_take_chr(&local, '\\');
        buf_add(&p->text, view_slice(local, 0, 1));
        view_skip(&local, 1);
    }
    p->local = buf_view(&p->text);
    return buf_rc(&p->text);
}

/* Past "SRS0" or "SRS1"; the separator that follows stays. 0: no such mark. */
static int take_mark(struct view *in)
{
    struct view at = *in;
    if (!view_itake(&at, VIEW("SRS")))
        return 0;
    int digit = view_next(&at), separator = view_peek(at);
    if ((digit != '0' && digit != '1') || (separator != '=' && separator != '+' && separator != '-'))
        return 0;
    *in = at;
    return digit;
}

bool srs_is_form(struct view address)
{
    view_take_chr(&address, '"');
    return take_mark(&address) != 0;
}

/* --- what proves it --- */

/* Over the words as they stand, each ended by '=', without case. */
static enum rc make_hash(struct view secret, const struct view *words, size_t n, char out[SRS_HASH_CHARS])
{
    uint8_t mac[SHA256_SIZE];
    struct buf text;
    uint64_t bits = 0;

    buf_init(&text, 4 * TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < words[i].n; k++)
            buf_chr(&text, (char)to_lower((unsigned char)words[i].p[k]));
        buf_chr(&text, '=');
    }
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = hmac_sha256(secret, buf_view(&text), mac);
    buf_clear(&text);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < HASH_BYTES; i++)
        bits = bits << 8 | mac[i];
    for (size_t i = 0; i < SRS_HASH_CHARS; i++)
        out[i] = base32[bits >> 5 * (SRS_HASH_CHARS - 1 - i) & 31];
    return RC_OK;
}

/* RC_DENIED: another secret, or another text. */
static enum rc check_hash(struct view secret, struct view given, const struct view *words, size_t n)
{
    char expected[SRS_HASH_CHARS], upper[SRS_HASH_CHARS];
    enum rc rc = make_hash(secret, words, n, expected);

    if (rc != RC_OK)
        return rc == RC_LIMIT ? RC_DENIED : rc;
    if (given.n != SRS_HASH_CHARS)
        return RC_DENIED;
    for (size_t i = 0; i < SRS_HASH_CHARS; i++)
        upper[i] = (char)to_upper((unsigned char)given.p[i]);
    return equal_secret(view_of(upper, sizeof upper), view_of(expected, sizeof expected)) ? RC_OK : RC_DENIED;
}

static unsigned day_of(int64_t now_s)
{
    return (unsigned)((uint64_t)now_s / DAY_S % DAYS);
}

static bool read_day(struct view v, unsigned *out)
{
    unsigned day = 0;
    if (v.n != 2)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        size_t digit = view_chr(view_of(base32, 32), (char)to_upper((unsigned char)v.p[i]));
        if (digit == VIEW_NONE)
            return false;
        day = day << 5 | (unsigned)digit;
    }
    *out = day;
    return true;
}

/* --- out --- */

static enum rc finish(struct buf *local, struct view domain, enum rc rc, struct buf *out)
{
    size_t before = out->n;
    if (rc == RC_OK)
        rc = buf_rc(local);
    if (rc == RC_OK) {
        address_write_spec(buf_view(local), domain, out);
        rc = buf_rc(out);
        if (rc == RC_OK && out->n - before > SRS_ADDRESS_MAX) {
            out->n = before;
            rc = RC_LIMIT;
        }
    }
    buf_clear(local);
    return rc;
}

static enum rc write_srs0(struct view secret, const struct address_parts *p, struct view domain, int64_t now_s, struct buf *out)
{
    char hash[SRS_HASH_CHARS];
    unsigned day = day_of(now_s);
    char stamp[2] = {base32[day >> 5], base32[day & 31]};
    struct view words[] = {VIEW("SRS0"), view_of(stamp, sizeof stamp), p->domain, p->local};
    struct buf b;

    buf_init(&b, TEXT_MAX);
    enum rc rc = make_hash(secret, words, 4, hash);
    if (rc == RC_OK)
        buf_printf(&b, "SRS0=%.*s=%.2s=%.*s=%.*s", SRS_HASH_CHARS, hash, stamp, VIEW_FMT(p->domain), VIEW_FMT(p->local));
    return finish(&b, domain, rc, out);
}

/* `first` made the SRS0, of which `rest` is what follows the mark. */
static enum rc write_srs1(struct view secret, struct view first, struct view rest, struct view domain, struct buf *out)
{
    char hash[SRS_HASH_CHARS];
    struct view words[] = {VIEW("SRS1"), first, rest};
    struct buf b;

    buf_init(&b, TEXT_MAX);
    enum rc rc = make_hash(secret, words, 3, hash);
    if (rc == RC_OK)
        buf_printf(&b, "SRS1=%.*s=%.*s=%.*s", SRS_HASH_CHARS, hash, VIEW_FMT(first), VIEW_FMT(rest));
    return finish(&b, domain, rc, out);
}

/* "hash=first=rest" behind the mark and separator of an SRS1. False: not so. */
static bool split_srs1(struct view in, struct view *hash, struct view *first, struct view *rest)
{
    if (!view_split(&in, '=', hash) || !view_split(&in, '=', first) || !is_domain(*first))
        return false;
    *rest = in;
    int separator = view_peek(in);
    return separator == '=' || separator == '+' || separator == '-';
}

enum rc srs_write(struct view secret, struct view sender, struct view domain, int64_t now_s, struct buf *out)
{
    struct address_parts p;
    enum rc rc = split_address(sender, &p);

    if (rc == RC_OK && (p.local.n == 0 || !is_domain(p.domain)))
        rc = RC_SYNTAX;
    if (rc == RC_OK) {
        struct view rest = p.local, hash, first, of_first;
        int mark = take_mark(&rest);
        if (mark == '0')
            rc = write_srs1(secret, p.domain, rest, domain, out);
        else if (mark == '1' && split_srs1(view_from(rest, 1), &hash, &first, &of_first))
            rc = write_srs1(secret, first, of_first, domain, out);
        else
            rc = write_srs0(secret, &p, domain, now_s, out);
    }
    buf_clear(&p.text);
    return rc;
}

/* --- back --- */

static enum rc read_srs0(struct view secret, struct view in, int64_t now_s, struct buf *out)
{
    struct view hash, stamp, domain;
    unsigned day;

    if (!view_split(&in, '=', &hash) || !view_split(&in, '=', &stamp) || !view_split(&in, '=', &domain) || in.n == 0 ||
        !is_domain(domain))
        return RC_DENIED;
    struct view words[] = {VIEW("SRS0"), stamp, domain, in};
    enum rc rc = check_hash(secret, hash, words, 4);
    if (rc == RC_OK && (!read_day(stamp, &day) || (day_of(now_s) + DAYS - day) % DAYS > SRS_LIFE_DAYS))
        rc = RC_TIMEOUT;
    if (rc == RC_OK) {
        address_write_spec(in, domain, out);
        rc = buf_rc(out);
    }
    return rc;
}

static enum rc read_srs1(struct view secret, struct view in, struct buf *out)
{
    struct view hash, first, rest;
    struct buf local;

    if (!split_srs1(in, &hash, &first, &rest))
        return RC_DENIED;
    struct view words[] = {VIEW("SRS1"), first, rest};
    enum rc rc = check_hash(secret, hash, words, 3);
    if (rc != RC_OK)
        return rc;
    buf_init(&local, TEXT_MAX);
    buf_str(&local, "SRS0");
    buf_add(&local, rest);
    rc = buf_rc(&local);
    if (rc == RC_OK) {
        address_write_spec(buf_view(&local), first, out);
        rc = buf_rc(out);
    }
    buf_clear(&local);
    return rc;
}

enum rc srs_read(struct view secret, struct view address, int64_t now_s, struct buf *out)
{
    struct address_parts p;
    enum rc rc = split_address(address, &p);

    if (rc == RC_OK) {
        struct view rest = p.local;
        int mark = take_mark(&rest);
        view_skip(&rest, 1); /* the separator */
        rc = mark == '0' ? read_srs0(secret, rest, now_s, out) : mark == '1' ? read_srs1(secret, rest, out) : RC_NOTFOUND;
    }
    buf_clear(&p.text);
    return rc == RC_SYNTAX ? RC_NOTFOUND : rc == RC_LIMIT ? RC_DENIED : rc;
}
