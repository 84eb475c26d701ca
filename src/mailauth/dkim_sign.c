#include "mailauth/dkim_sign.h"

#include "mailauth/dkim_fields.h"
#include "mailauth/dkim_write.h"

#define SIGNATURE_BYTES_MAX (DKIM_RSA_BITS_MAX / 8)

/* RFC 6376 §5.4.1, and what readers show or act on today. Oversigned: what a reader would believe if somebody added
 * it; signed once more than it occurs. Not oversigned: what mailing lists and forwarders rightly add (List-*, Sender,
 * Resent-*). */
static const struct {
    struct view name;
    bool oversigned;
} signed_names[] = {
    {VIEW_INIT("From"), true},
    {VIEW_INIT("To"), true},
    {VIEW_INIT("Cc"), true},
    {VIEW_INIT("Subject"), true},
    {VIEW_INIT("Date"), true},
    {VIEW_INIT("Message-ID"), true},
    {VIEW_INIT("Reply-To"), true},
    {VIEW_INIT("In-Reply-To"), true},
    {VIEW_INIT("References"), true},
    {VIEW_INIT("MIME-Version"), true},
    {VIEW_INIT("Content-Type"), true},
    {VIEW_INIT("Content-Transfer-Encoding"), true},
    {VIEW_INIT("Content-Disposition"), false},
    {VIEW_INIT("Content-ID"), false},
    {VIEW_INIT("Content-Description"), false},
    {VIEW_INIT("TLS-Report-Domain"), false}, /* RFC 8460 §5.3 */
    {VIEW_INIT("TLS-Report-Submitter"), false},
    {VIEW_INIT("TLS-Required"), false},
    {VIEW_INIT("Sender"), false},
    {VIEW_INIT("Resent-From"), false},
    {VIEW_INIT("Resent-Sender"), false},
    {VIEW_INIT("Resent-To"), false},
    {VIEW_INIT("Resent-Cc"), false},
    {VIEW_INIT("Resent-Date"), false},
    {VIEW_INIT("Resent-Message-ID"), false},
    {VIEW_INIT("List-Id"), false},
    {VIEW_INIT("List-Help"), false},
    {VIEW_INIT("List-Owner"), false},
    {VIEW_INIT("List-Post"), false},
    {VIEW_INIT("List-Subscribe"), false},
    {VIEW_INIT("List-Unsubscribe"), false}, /* RFC 8058 §4: both must be signed */
    {VIEW_INIT("List-Unsubscribe-Post"), false},
    {VIEW_INIT("List-Archive"), false},
    {VIEW_INIT("Auto-Submitted"), false},
    {VIEW_INIT("Autocrypt"), false},
};
#define N_SIGNED_NAMES (sizeof signed_names / sizeof *signed_names)

static void write_unsigned(const struct dkim_sign_settings *set, const struct dkim_signing_key *key, const struct dkim_names *names,
                           const uint8_t body_hash[SHA256_SIZE], struct dkim_writer *w)
{
    dkim_write_begin(w, "DKIM-Signature");
    dkim_write_tag(w, "v", VIEW("1"));
    dkim_write_tag(w, "a", view_str(dkim_algorithm_name(key->algorithm)));
    dkim_write_tag(w, "c", VIEW("relaxed/relaxed"));
    dkim_write_tag(w, "d", set->domain);
    dkim_write_tag(w, "s", key->selector);
    dkim_write_number(w, "t", set->now_s);
    if (set->lifetime_s > 0)
        dkim_write_number(w, "x", set->now_s + set->lifetime_s);
    dkim_write_names(w, names->name, names->n);
    dkim_write_base64(w, "bh", view_of(body_hash, SHA256_SIZE));
    dkim_write_b(w);
}

static enum rc sign_one(const struct dkim_sign_settings *set, const struct dkim_signing_key *key, struct dkim_fields *f,
                        const struct dkim_names *names, const uint8_t body_hash[SHA256_SIZE], dkim_sign_fn sign, void *sign_ctx,
                        struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    struct dkim_writer w;
    struct buf signature;

    if (key->algorithm != DKIM_RSA_SHA256 && key->algorithm != DKIM_ED25519_SHA256)
        return RC_SYNTAX;
    if (!dkim_write_is_domain(set->domain) || !dkim_write_is_domain(key->selector))
        return RC_SYNTAX;
    buf_init(&signature, SIGNATURE_BYTES_MAX);
    write_unsigned(set, key, names, body_hash, &w);
    enum rc rc = buf_rc(&w.text);
    if (rc == RC_OK)
        rc = dkim_write_digest(&w, f, names->name, names->n, digest);
    if (rc == RC_OK)
        rc = dkim_write_sign(sign, sign_ctx, set->domain, key->selector, key->algorithm, digest, &signature);
    if (rc == RC_OK)
        rc = dkim_write_end(&w, buf_view(&signature), out);
    buf_clear(&signature);
    dkim_write_clear(&w);
    return rc;
}

static void choose_name(const struct dkim_fields *f, struct view name, bool oversigned, struct dkim_names *out)
{
    size_t wanted = oversigned;
    for (size_t i = 0; i < f->n; i++)
        wanted += view_ieq(f->field[i].name, name);
    while (wanted-- > 0 && out->n < DKIM_SIGN_FIELDS_MAX)
        out->name[out->n++] = name;
}

void dkim_names_choose(const struct dkim_fields *f, bool for_arc, struct dkim_names *out)
{
    out->n = 0;
    for (size_t i = 0; i < N_SIGNED_NAMES; i++)
        choose_name(f, signed_names[i].name, signed_names[i].oversigned, out);
    if (for_arc) /* RFC 8617 §4.1.2 */
        choose_name(f, VIEW("DKIM-Signature"), false, out);
}

void dkim_names_given(const struct view *names, size_t n, struct dkim_names *out)
{
    out->n = 0;
    for (size_t i = 0; i < n && out->n < DKIM_SIGN_FIELDS_MAX; i++)
        out->name[out->n++] = names[i];
}

enum rc dkim_sign_want(struct dkim_body *body, size_t *slot)
{
    return dkim_body_want(body, DKIM_RELAXED, DKIM_WHOLE, slot);
}

enum rc dkim_sign(const struct dkim_sign_settings *set, struct view header, const struct dkim_body *body, size_t slot,
                  dkim_sign_fn sign, void *sign_ctx, struct buf *out)
{
    uint8_t body_hash[SHA256_SIZE];
    const size_t before = out->n;
    struct dkim_fields f;
    struct dkim_names names;
    struct arena a;

    arena_init(&a, 4 * HEADER_MAX);
    enum rc rc = dkim_fields_new(header, &a, &f);
    if (rc == RC_OK && dkim_fields_last(&f, VIEW("From")) == DKIM_NO_FIELD)
        rc = RC_SYNTAX; /* RFC 6376 §5.4 */
    if (rc == RC_OK && !dkim_body_hash(body, slot, body_hash))
        rc = RC_TEMP;
    if (rc == RC_OK)
        dkim_names_choose(&f, false, &names);
    for (size_t i = 0; rc == RC_OK && i < set->n_keys; i++)
        rc = sign_one(set, &set->keys[i], &f, &names, body_hash, sign, sign_ctx, out);
    if (rc != RC_OK)
        out->n = before;
    arena_clear(&a);
    return rc;
}

enum rc dkim_sign_message(const struct dkim_sign_settings *set, struct view message, dkim_sign_fn sign, void *sign_ctx,
                          struct buf *out)
{
    struct dkim_body *body = dkim_body_new();
    size_t slot;

    enum rc rc = body ? dkim_sign_want(body, &slot) : RC_TEMP;
    if (rc == RC_OK) {
        dkim_body_add(body, header_body(message));
        rc = dkim_body_end(body);
    }
    if (rc == RC_OK)
        rc = dkim_sign(set, header_of(message), body, slot, sign, sign_ctx, out);
    dkim_body_free(body);
    return rc;
}
