/* The author's domain (RFC 9989 §5.3.1, §11.5). What the grammar finds must be all that a reader could take for an
 * address: a second look at the raw text finds every "@" outside of quotes, comments and encoded words, and where the two
 * disagree the field is bad and everything found is told. */
#include "mailauth/dmarc.h"
#include "message/address.h"
#include "message/header.h"

#define WASTED_MAX (1u << 20) /* bytes looked at for ends of quotes and comments that have none */
#define LOOKED_AT_MAX 1000    /* domains of From fields, each time they stand there */

struct domains {
    struct dmarc_authors *out;
    struct arena *a;
    unsigned n_looked;
    bool bad;      /* something is no domain name */
    size_t wasted; /* past WASTED_MAX nothing is quoted any more: every "@" counts, and the field is bad already */
};

static enum rc add_domain(struct domains *d, struct view domain)
{
    struct dmarc_authors *out = d->out;
    struct view ascii;
    if (d->n_looked++ >= LOOKED_AT_MAX) {
        d->bad = out->more = true;
        return RC_OK;
    }
    enum rc rc = dns_domain_ascii(domain, d->a, &ascii);
    if (rc == RC_TEMP)
        return rc;
    if (rc != RC_OK || view_starts(ascii, VIEW("["))) {
        d->bad = true;
        return RC_OK;
    }
    for (size_t i = 0; i < out->n; i++)
        if (view_eq(out->domains[i], ascii))
            return RC_OK;
    if (out->n < DMARC_AUTHORS_MAX)
        out->domains[out->n++] = ascii;
    else
        out->more = true;
    return RC_OK;
}

static bool is_domain_byte(unsigned char c)
{
    return c > ' ' && c != 0x7f && view_chr(VIEW(",;:<>()\"@"), (char)c) == VIEW_NONE;
}

/* Past a quoted string or a nested comment at the cursor. False: it has no end. */
static bool skip_quoted(struct domains *d, struct view *in)
{
    struct view rest = *in;
    char open = (char)view_next(&rest);
    unsigned depth = 1;
    if (d->wasted > WASTED_MAX)
        return false;
    while (depth > 0) {
        int c = view_next(&rest);
        if (c < 0) {
            d->wasted += in->n;
            return false;
        }
        if (c == '\\')
            view_next(&rest);
        else if (c == (open == '"' ? '"' : ')'))
            depth--;
        else if (c == '(' && open == '(')
            depth++;
    }
    *in = rest;
    return true;
}

/* Past "=?charset?q?text?=" at the cursor. */
static bool skip_encoded_word(struct view *in)
{
    struct view rest = *in, part;
    if (!view_take(&rest, VIEW("=?")) || !view_split(&rest, '?', &part) || part.n == 0)
        return false;
    if (!view_itake(&rest, VIEW("q?")) && !view_itake(&rest, VIEW("b?")))
        return false;
    if (!view_split(&rest, '?', &part) || view_chr(part, ' ') != VIEW_NONE || !view_take_chr(&rest, '='))
        return false;
    *in = rest;
    return true;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct domains *d, struct view *in)
{
    for (;;) {
        if (is_blank(view_peek(*in)))
            view_skip(in, 1);
        else if (view_peek(*in) != '(' || !skip_quoted(d, in))
            break;
    }
}

static enum rc scan_raw(struct view text, struct domains *d)
{
    while (text.n > 0) {
        int c = view_peek(text);
        if ((c == '"' || c == '(') && skip_quoted(d, &text))
            continue;
        d->bad |= c == '"' || c == '(';
        if (c == '=' && skip_encoded_word(&text))
            continue;
        view_skip(&text, 1);
        if (c != '@')
            continue;
        skip_blanks(d, &text);
        struct view domain = view_take_while(&text, is_domain_byte);
        enum rc rc = add_domain(d, domain);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc scan_field(struct view value, struct domains *d)
{
    struct address *list;
    enum rc rc = address_list_parse(value, d->a, &list);
    for (const struct address *one = list; rc == RC_OK && one; one = one->next)
        if (one->kind == ADDRESS_MAILBOX && one->domain.n > 0)
            rc = add_domain(d, one->domain);
    size_t by_grammar = d->out->n;
    if (rc == RC_OK)
        rc = scan_raw(value, d);
    if (d->out->n > by_grammar)
        d->bad = true; /* somebody might read another author out of it */
    return rc;
}

enum rc dmarc_authors(struct view header, struct arena *a, struct dmarc_authors *out)
{
    struct domains d = {.out = out, .a = a};
    struct header_field field;
    unsigned fields = 0;
    *out = (struct dmarc_authors){.kind = DMARC_FROM_OK};
    while (header_next(&header, &field)) {
        if (!view_ieq(field.name, VIEW("From")))
            continue;
        fields++;
        if (fields > DMARC_AUTHORS_MAX) {
            out->more = true;
            break;
        }
        enum rc rc = scan_field(field.value, &d);
        if (rc != RC_OK)
            return rc;
    }
    if (fields == 0) {
        out->kind = DMARC_FROM_MISSING;
        out->why = "the message has no From field";
    } else if (fields > 1) {
        out->kind = DMARC_FROM_SEVERAL;
        out->why = "the message has several From fields";
    } else if (d.bad) {
        out->kind = DMARC_FROM_BAD;
        out->why = "the From field can be read in several ways or names something that is not a domain";
    } else if (out->n == 0) {
        out->kind = DMARC_FROM_NOBODY;
        out->why = "the From field has no address with a domain";
    } else if (out->n > 1) {
        out->kind = DMARC_FROM_DOMAINS;
        out->why = "the From field names authors of several domains";
    }
    return RC_OK;
}
