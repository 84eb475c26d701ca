#include "policy/forward.h"

#include "crypto/equal.h"
#include "dns/dns.h"
#include "store/directory.h"

static struct view domain_of(struct view address)
{
    size_t at = view_rchr(address, '@');
    return at == VIEW_NONE ? VIEW("") : view_from(address, at + 1);
}

/* Such an address with its domain in A-labels: then it can be written wherever the local part can. RC_SYNTAX: no such domain. */
static enum rc write_ascii(struct view address, struct arena *a, struct view *out)
{
    struct view domain, name = domain_of(address);
    enum rc rc = dns_domain_ascii(name, a, &domain);
    if (rc != RC_OK)
        return rc;
    const char *text = arena_printf(a, "%.*s%.*s", VIEW_FMT(view_slice(address, 0, address.n - name.n)), VIEW_FMT(domain));
    *out = view_str(text);
    return text ? RC_OK : RC_TEMP;
}

enum rc forward_domain(struct store *s, struct view rcpt, struct arena *a, struct view *out)
{
    struct view *domains;
    size_t n;
    bool ours;
    enum rc rc = directory_has_domain(s, domain_of(rcpt), &ours);
    if (rc == RC_OK && ours)
        return dns_domain_ascii(domain_of(rcpt), a, out);
    if (rc == RC_OK)
        rc = directory_domains(s, a, &domains, &n);
    if (rc == RC_OK && n == 0)
        rc = RC_NOTFOUND;
    if (rc == RC_OK)
        *out = domains[0];
    return rc;
}

enum rc forward_sender(struct store *s, struct view sender, struct view rcpt, int64_t now_s, struct arena *a, struct view *out)
{
    uint8_t secret[SRS_SECRET_SIZE];
    struct view domain, ascii;
    struct buf b;
    bool ours;

    *out = VIEW("");
    if (sender.n == 0)
        return RC_OK;
    enum rc rc = directory_has_domain(s, domain_of(sender), &ours);
    if (rc != RC_OK || ours)
        return rc;
    buf_init(&b, 2 * SRS_ADDRESS_MAX);
    rc = write_ascii(sender, a, &ascii);
    if (rc == RC_OK)
        rc = forward_domain(s, rcpt, a, &domain);
    if (rc == RC_OK)
        rc = directory_secret(s, VIEW("srs"), secret);
    if (rc == RC_OK)
        rc = srs_write(view_of(secret, sizeof secret), ascii, domain, now_s, &b);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&b), out);
    wipe(secret, sizeof secret);
    buf_clear(&b);
    return rc == RC_SYNTAX || rc == RC_LIMIT || rc == RC_NOTFOUND ? RC_OK : rc;
}

/* One step. */
static enum rc read_one(const uint8_t *secret, struct view address, int64_t now_s, struct arena *a, struct view *out)
{
    struct buf b;
    buf_init(&b, 2 * SRS_ADDRESS_MAX);
    enum rc rc = srs_read(view_of(secret, SRS_SECRET_SIZE), address, now_s, &b);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&b), out);
    buf_clear(&b);
    return rc;
}

enum rc forward_back(struct store *s, struct view address, int64_t now_s, struct arena *a, struct view *out)
{
    uint8_t secret[SRS_SECRET_SIZE];
    bool ours = true;

    if (!srs_is_form(address))
        return RC_NOTFOUND;
    enum rc rc = directory_secret(s, VIEW("srs"), secret);
    for (size_t step = 0; rc == RC_OK && ours && srs_is_form(address); step++) {
        if (step == FORWARD_STEPS_MAX) {
            rc = RC_LIMIT;
            break;
        }
        rc = read_one(secret, address, now_s, a, &address);
        if (rc == RC_OK)
            rc = directory_has_domain(s, domain_of(address), &ours);
    }
    wipe(secret, sizeof secret);
    if (rc == RC_OK)
        *out = address;
    return rc;
}
