#include "report/failure.h"

#include "crypto/digest.h"
#include "crypto/hex.h"
#include "mailauth/authres.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"

#define HASH_HEX 16

/* --- is one wanted --- */

/* RFC 3834 §5, RFC 5965: what programs sent. */
static bool is_automatic(struct view header)
{
    struct view automatic = header_value(header, VIEW("Auto-Submitted")), type = header_value(header, VIEW("Content-Type"));
    return (automatic.n > 0 && !view_ieq(view_trim(automatic), VIEW("no"))) || view_istarts(view_trim(type), VIEW("multipart/report"));
}

static bool has_failed_signature(const struct dkim_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->verdicts[i].result == DKIM_FAIL || l->verdicts[i].result == DKIM_PERMERROR)
            return true;
    return false;
}

bool failure_is_wanted(const struct judgement *j, const struct report_facts *facts)
{
    const struct dmarc_verdict *v = &j->dmarc;
    const unsigned fo = v->record.fo;
    if ((v->result != DMARC_PASS && v->result != DMARC_FAIL) || v->record.n_ruf == 0 || v->record.psd == 'y' || facts->is_bad ||
        !row_domain_is_plain(v->policy_domain) || !row_domain_is_plain(v->author) || j->facts.mail_from.n == 0 || is_automatic(facts->header))
        return false;
    return (fo & DMARC_FO_ALL && v->result == DMARC_FAIL) || (fo & DMARC_FO_ANY && (!v->spf_aligned || !v->dkim_aligned)) ||
           (fo & DMARC_FO_DKIM && has_failed_signature(&j->dkim)) ||
           (fo & DMARC_FO_SPF && (j->spf.result == SPF_FAIL || j->spf.result == SPF_SOFTFAIL));
}

/* --- redaction --- */

/* RFC 6590 §3: the same text gives the same digest, and none without the key. */
static void put_digest(struct view local, const uint8_t key[FAILURE_KEY_SIZE], struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    char text[2 * SHA256_SIZE + 1];
    if (hmac_sha256(view_of(key, FAILURE_KEY_SIZE), local, digest) != RC_OK) {
        buf_str(out, "redacted");
        return;
    }
    hex_write(view_of(digest, sizeof digest), text);
    buf_add(out, view_of(text, HASH_HEX));
}

/* A byte of a stranger in a line of ours. */
static void put_clean(struct view v, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++)
        buf_chr(out, v.p[i] >= ' ' && v.p[i] < 0x7f ? v.p[i] : v.p[i] == '\t' ? ' ' : '?');
}

static bool is_local_byte(unsigned char c)
{
    return is_alnum(c) || c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

/* Where the local part before the '@' at `at` begins, not before `from`. In fields of "name=value" it ends at the first '='. */
static size_t local_begin(struct view v, size_t from, size_t at, bool tags)
{
    size_t begin = at;
    if (at > from && v.p[at - 1] == '"') {
        for (begin = at - 1; begin > from && v.p[begin - 1] != '"'; begin--)
            continue;
        return begin > from ? begin - 1 : from;
    }
    while (begin > from && is_local_byte((unsigned char)v.p[begin - 1]))
        begin--;
    size_t equals = view_chr(view_slice(v, begin, at - begin), '=');
    return tags && equals != VIEW_NONE ? begin + equals + 1 : begin;
}

static void put_text(struct view v, bool tags, const uint8_t key[FAILURE_KEY_SIZE], struct buf *out)
{
    size_t done = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] != '@')
            continue;
        size_t begin = local_begin(v, done, i, tags);
        put_clean(view_slice(v, done, begin - done), out);
        if (begin < i)
            put_digest(view_slice(v, begin, i - begin), key, out);
        done = i;
    }
    put_clean(view_from(v, done), out);
}

/* Comments of Received without an address of a host: they name logins, envelope senders, software. */
static void drop_comments(struct view v, struct buf *out)
{
    size_t i = 0;
    while (i < v.n) {
        if (v.p[i] != '(') {
            buf_chr(out, v.p[i++]);
            continue;
        }
        size_t end = i + 1;
        for (int depth = 1; end < v.n && depth > 0; end++)
            depth += v.p[end] == '(' ? 1 : v.p[end] == ')' ? -1 : 0;
        struct view comment = view_slice(v, i, end - i);
        if (view_chr(comment, '[') != VIEW_NONE && view_chr(comment, ':') == VIEW_NONE)
            buf_add(out, comment);
        i = end;
    }
}

/* Addresses alone: names say who somebody is. */
static enum rc put_addresses(struct view v, const uint8_t key[FAILURE_KEY_SIZE], struct arena *a, struct buf *out)
{
    struct address *list;
    bool any = false;
    enum rc rc = address_list_parse(v, a, &list);
    if (rc != RC_OK)
        return rc;
    for (; list; list = list->next) {
        if (list->kind != ADDRESS_MAILBOX)
            continue;
        buf_str(out, any ? ", <" : "<");
        put_digest(list->local, key, out);
        buf_chr(out, '@');
        put_clean(list->domain, out);
        buf_chr(out, '>');
        any = true;
    }
    return RC_OK;
}

enum shown { SHOW_ADDRESSES, SHOW_TEXT, SHOW_TAGS, SHOW_TRACE };
static const struct {
    struct view name;
    enum shown how;
} fields_shown[] = {
    {VIEW_INIT("Received"), SHOW_TRACE},
    {VIEW_INIT("DKIM-Signature"), SHOW_TAGS},
    {VIEW_INIT("Authentication-Results"), SHOW_TAGS},
    {VIEW_INIT("ARC-Authentication-Results"), SHOW_TAGS},
    {VIEW_INIT("ARC-Message-Signature"), SHOW_TAGS},
    {VIEW_INIT("ARC-Seal"), SHOW_TAGS},
    {VIEW_INIT("From"), SHOW_ADDRESSES},
    {VIEW_INIT("Sender"), SHOW_ADDRESSES},
    {VIEW_INIT("Reply-To"), SHOW_ADDRESSES},
    {VIEW_INIT("To"), SHOW_ADDRESSES},
    {VIEW_INIT("Cc"), SHOW_ADDRESSES},
    {VIEW_INIT("Date"), SHOW_TEXT},
    {VIEW_INIT("Message-ID"), SHOW_TEXT},
    {VIEW_INIT("List-Id"), SHOW_TEXT},
    {VIEW_INIT("MIME-Version"), SHOW_TEXT},
};

/* z= holds copies of fields, addresses and all (RFC 6376 §3.5). */
static bool has_copies(struct view v)
{
    struct view tag, name;
    while (v.n > 0) {
        view_split(&v, ';', &tag);
        view_split(&tag, '=', &name);
        if (view_ieq(view_trim(name), VIEW("z")))
            return true;
    }
    return false;
}

static enum rc put_field(const struct header_field *f, const uint8_t key[FAILURE_KEY_SIZE], struct arena *a, struct buf *out)
{
    struct buf value, shown;
    size_t i = 0;
    enum rc rc = RC_OK;
    while (i < sizeof fields_shown / sizeof *fields_shown && !view_ieq(f->name, fields_shown[i].name))
        i++;
    if (i == sizeof fields_shown / sizeof *fields_shown || (fields_shown[i].how == SHOW_TAGS && has_copies(f->value)))
        return RC_OK;
    buf_init(&value, FAILURE_HEADER_MAX);
    buf_init(&shown, FAILURE_HEADER_MAX);
    header_unfold(view_slice(f->value, 0, FAILURE_HEADER_MAX / 2), &value);
    switch (fields_shown[i].how) {
    case SHOW_ADDRESSES:
        rc = put_addresses(buf_view(&value), key, a, &shown);
        break;
    case SHOW_TRACE: {
        struct buf bare;
        buf_init(&bare, FAILURE_HEADER_MAX);
        drop_comments(buf_view(&value), &bare);
        put_text(buf_view(&bare), false, key, &shown);
        buf_clear(&bare);
        break;
    }
    default:
        put_text(buf_view(&value), fields_shown[i].how == SHOW_TAGS, key, &shown);
    }
    if (rc == RC_OK && buf_rc(&shown) == RC_OK && out->n + shown.n + 1000 < FAILURE_HEADER_MAX)
        header_write(out, fields_shown[i].name, buf_view(&shown));
    buf_clear(&value);
    buf_clear(&shown);
    return rc;
}

enum rc failure_redact(struct view header, const uint8_t key[FAILURE_KEY_SIZE], struct arena *a, struct buf *out)
{
    struct header_field f;
    enum rc rc = RC_OK;
    for (unsigned n = 0; n < FAILURE_FIELDS_MAX && rc == RC_OK && header_next(&header, &f); n++)
        rc = put_field(&f, key, a, out);
    return rc != RC_OK ? rc : buf_rc(out);
}

/* --- the feedback --- */

static bool is_aligned_domain(struct view domain, const struct dmarc_verdict *v)
{
    struct view organization = v->organization.n > 0 ? v->organization : v->policy_domain;
    return view_eq(domain, v->author) || view_eq(domain, organization) ||
           (domain.n > organization.n && view_ends(domain, organization) && domain.p[domain.n - organization.n - 1] == '.');
}

bool failure_wants_spf(const struct judgement *j)
{
    return !j->dmarc.spf_aligned && j->spf.domain.n > 0 && is_aligned_domain(j->spf.domain, &j->dmarc);
}

static enum rc put_results(const struct judgement *j, const char *hostname, struct buf *out)
{
    struct authres r;
    authres_begin(&r, view_str(hostname));
    authres_add(&r, "dmarc", dmarc_result_name(j->dmarc.result), VIEW(""), VIEW(""));
    authres_property(&r, "header", "from", j->dmarc.author);
    authres_add(&r, "spf", spf_result_name(j->spf.result), VIEW(""), VIEW(""));
    authres_property(&r, "smtp", "mailfrom", j->spf.domain);
    for (size_t i = 0; i < j->dkim.n; i++) {
        const struct dkim_verdict *s = &j->dkim.verdicts[i];
        authres_add(&r, "dkim", dkim_result_name(s->result), VIEW(""), view_str(s->reason));
        authres_property(&r, "header", "d", s->domain);
        authres_property(&r, "header", "s", s->selector);
    }
    return authres_end(&r, out);
}

static void put_line(struct buf *out, const char *name, struct view value)
{
    buf_printf(out, "%s: ", name);
    put_clean(view_slice(value, 0, 900), out);
    buf_str(out, "\r\n");
}

/* The first signature that should have vouched for the author (required by RFC 9991 §4). */
static void put_signature(const struct judgement *j, struct buf *out)
{
    for (size_t i = 0; i < j->dkim.n; i++) {
        const struct dkim_verdict *s = &j->dkim.verdicts[i];
        if (s->result == DKIM_PASS || s->domain.n == 0 || !is_aligned_domain(s->domain, &j->dmarc))
            continue;
        size_t at = view_rchr(s->identity, '@');
        put_line(out, "DKIM-Domain", s->domain);
        put_line(out, "DKIM-Identity", at == VIEW_NONE ? s->domain : view_from(s->identity, at));
        put_line(out, "DKIM-Selector", s->selector);
        return;
    }
}

enum rc failure_feedback(const struct judgement *j, const char *hostname, const uint8_t key[FAILURE_KEY_SIZE], struct buf *out)
{
    const struct dmarc_verdict *v = &j->dmarc;
    char ip[ADDR_TEXT_MAX];
    struct buf from;
    addr_write_ip(&j->facts.ip, ip);
    buf_str(out, "Feedback-Type: auth-failure\r\nUser-Agent: Facteur/" FACTEUR_VERSION "\r\nVersion: 1\r\nAuth-Failure: dmarc\r\n");
    enum rc rc = put_results(j, hostname, out);
    buf_printf(out, "Identity-Alignment: %s\r\n",
               v->dkim_aligned && v->spf_aligned ? "none" : v->dkim_aligned ? "spf" : v->spf_aligned ? "dkim" : "dkim, spf");
    buf_printf(out, "Delivery-Result: %s\r\n",
               j->action == JUDGE_REJECT ? "reject" : j->action == JUDGE_JUNK ? "spam" : "delivered");
    put_signature(j, out);
    buf_init(&from, 1024);
    put_text(view_slice(j->facts.mail_from, 0, 320), false, key, &from);
    put_line(out, "Original-Mail-From", buf_view(&from));
    buf_clear(&from);
    buf_str(out, "Arrival-Date: ");
    date_write((struct date){.utc = j->facts.now_s}, out);
    buf_str(out, "\r\n");
    put_line(out, "Source-IP", view_str(ip));
    put_line(out, "Reported-Domain", v->author);
    return rc != RC_OK ? rc : buf_rc(out);
}
