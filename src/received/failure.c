/* Failure reports and complaints about one message: ARF (RFC 5965) with what RFC 6591 and RFC 9991 add, and one form in prose that gateways
 * send. Fields are read by name wherever they stand; the first of each counts. */
#include "received/received_impl.h"

#include "base/utf8.h"
#include "message/address.h"
#include "message/encoded.h"
#include "message/header.h"

#define FEEDBACK_ARENA (2u << 20)
#define INCIDENTS_MAX  1000000

struct failing {
    struct view section; /* fields of the feedback part */
    struct view header;  /* of the reported message */
    struct arena a;
    struct received_failure out;
    enum rc rc;
};

static void keep(struct failing *f, enum rc rc)
{
    if (f->rc == RC_OK)
        f->rc = rc;
}

/* A field's value, unfolded and decoded. */
static struct view value_of(struct failing *f, struct view section, const char *name)
{
    struct buf b;
    struct view out = VIEW("");
    buf_init(&b, HEADER_MAX);
    encoded_decode(header_value(section, view_str(name)), &b);
    keep(f, text_clean(&f->a, buf_view(&b), RECEIVED_TEXT_MAX, &out));
    buf_clear(&b);
    return out;
}

static struct view field(struct failing *f, const char *name)
{
    return value_of(f, f->section, name);
}

static struct view word(struct failing *f, const char *name)
{
    struct view out = VIEW("");
    keep(f, text_word(&f->a, field(f, name), &out));
    return out;
}

static struct view domain(struct failing *f, const char *name)
{
    struct view out = VIEW("");
    keep(f, text_domain(&f->a, field(f, name), &out));
    return out;
}

/* "<a@b>" or "a@b" */
static struct view address(struct failing *f, const char *name)
{
    struct view v = field(f, name);
    if (view_starts(v, VIEW("<")) && view_ends(v, VIEW(">")))
        v = view_slice(v, 1, v.n - 2);
    return v;
}

/* The first address of a header field of the reported message, and its domain. */
static struct view author(struct failing *f, struct view section, const char *name, struct view *its_domain)
{
    struct address *list = NULL;
    struct buf b;
    struct view out = VIEW("");
    *its_domain = VIEW("");
    buf_init(&b, RECEIVED_TEXT_MAX * 2);
    keep(f, address_list_parse(header_value(section, view_str(name)), &f->a, &list));
    for (const struct address *at = list; at; at = at->next)
        if (at->kind == ADDRESS_MAILBOX && at->domain.n > 0) {
            address_write_spec(at->local, at->domain, &b);
            keep(f, text_clean(&f->a, buf_view(&b), RECEIVED_TEXT_MAX, &out));
            keep(f, text_domain(&f->a, at->domain, its_domain));
            break;
        }
    buf_clear(&b);
    return out;
}

/* Line ends as LF, other controls and what is not UTF-8 replaced. */
static void clean_headers(struct failing *f)
{
    struct buf b;
    struct view in = view_slice(f->header, 0, RECEIVED_HEADERS_MAX), line;
    buf_init(&b, RECEIVED_HEADERS_MAX * 4);
    while (header_line(&in, &line) && !header_line_is_empty(line)) {
        struct view clean;
        const bool folded = is_wsp((unsigned char)view_peek(line));
        keep(f, text_clean(&f->a, line, RECEIVED_HEADERS_MAX, &clean));
        if (f->rc != RC_OK)
            break;
        buf_str(&b, folded ? "  " : "");
        buf_add(&b, clean);
        buf_chr(&b, '\n');
    }
    keep(f, view_dup(&f->a, view_slice(buf_view(&b), 0, RECEIVED_HEADERS_MAX), &f->out.headers));
    buf_clear(&b);
}

/* What the reported message's header says itself. */
static void read_sample(struct failing *f)
{
    struct received_failure *o = &f->out;
    struct view ignored;
    o->header_from = author(f, f->header, "From", &o->header_from_domain);
    o->header_to = author(f, f->header, "To", &ignored);
    o->subject = value_of(f, f->header, "Subject");
    o->message_id = value_of(f, f->header, "Message-ID");
    clean_headers(f);
}

static void read_source(struct failing *f, struct view said)
{
    struct view ip;
    if (said.n == 0)
        return;
    struct view first = said;
    const size_t blank = view_chr(said, ' '); /* "192.0.2.1 (name)" */
    if (blank != VIEW_NONE)
        first = view_slice(said, 0, blank);
    if (text_ip(&f->a, first, &ip) == RC_OK)
        f->out.source_ip = ip;
}

static void read_fields(struct failing *f)
{
    struct received_failure *o = &f->out;
    struct view arrival = field(f, "Arrival-Date");
    if (arrival.n == 0) /* before RFC 5965 */
        arrival = field(f, "Received-Date");
    if (!text_time(arrival, &o->arrival_s))
        o->arrival_s = 0;
    o->type = word(f, "Feedback-Type");
    o->user_agent = field(f, "User-Agent");
    o->version = field(f, "Version");
    read_source(f, field(f, "Source-IP"));
    o->original_from = address(f, "Original-Mail-From");
    o->original_to = address(f, "Original-Rcpt-To");
    o->original_envelope_id = field(f, "Original-Envelope-Id");
    o->reporting_mta = field(f, "Reporting-MTA");
    o->reported_domain = domain(f, "Reported-Domain");
    o->reported_uri = field(f, "Reported-URI");
    o->authentication_results = field(f, "Authentication-Results");
    if (!text_number(field(f, "Incidents"), INCIDENTS_MAX, &o->incidents) || o->incidents == 0)
        o->incidents = 1;
    o->auth_failure = word(f, "Auth-Failure");
    o->delivery_result = word(f, "Delivery-Result");
    o->identity_alignment = word(f, "Identity-Alignment");
    o->dkim_domain = domain(f, "DKIM-Domain");
    o->dkim_identity = field(f, "DKIM-Identity");
    o->dkim_selector = field(f, "DKIM-Selector");
    o->spf_dns = field(f, "SPF-DNS");
}

static enum rc tell(struct walk *w, struct failing *f)
{
    enum rc rc = f->rc;
    if (rc == RC_OK) {
        w->told++;
        rc = w->sink->failure ? w->sink->failure(w->sink->ctx, &w->origin, &f->out) : RC_OK;
    }
    arena_clear(&f->a);
    return rc;
}

static void begin(struct failing *f, struct view section, struct view sample)
{
    struct view line, after = sample;
    *f = (struct failing){.section = section, .header = sample};
    arena_init(&f->a, FEEDBACK_ARENA);
    f->out = (struct received_failure){.incidents = 1};
    if (view_starts(sample, VIEW("From ")) && header_line(&after, &line)) /* of a mailbox file */
        f->header = after;
}

enum rc failure_read(struct walk *w, struct view feedback, struct view sample)
{
    struct failing f;
    while (feedback.n > 0 && (view_peek(feedback) == '\n' || view_peek(feedback) == '\r'))
        view_next(&feedback);
    begin(&f, feedback, sample);
    read_fields(&f);
    read_sample(&f);
    if (f.rc == RC_OK && f.out.type.n == 0 && f.out.auth_failure.n > 0)
        f.out.type = VIEW("auth-failure");
    return tell(w, &f);
}

/* --- in prose --- */

bool failure_is_prose(struct view text)
{
    text = view_slice(text, 0, RECEIVED_HEAD);
    return view_ifind(text, VIEW("Sender IP Address:")) != VIEW_NONE && view_ifind(text, VIEW("Received Date:")) != VIEW_NONE;
}

static struct view line_of(struct view text, struct view name)
{
    const size_t at = view_ifind(text, name);
    struct view v = view_from(text, at == VIEW_NONE ? text.n : at + name.n);
    return view_trim(view_slice(v, 0, view_chr(v, '\n')));
}

/* "DMARC Results: ..." and the like in lines, then a rule of hyphens, then a copy of the header. */
enum rc failure_read_prose(struct walk *w, struct view text)
{
    const size_t rule = view_find(text, VIEW("\n-----"));
    const struct view fields = view_slice(text, 0, rule);
    struct view after = rule == VIEW_NONE ? VIEW("") : view_from(text, rule + 1), line, next;
    struct failing f;
    for (next = after; header_line(&next, &line) && !header_line_is_empty(line);)
        after = next;
    while (after.n > 0 && (view_peek(after) == '\n' || view_peek(after) == '\r'))
        view_next(&after);
    begin(&f, VIEW(""), after);
    read_sample(&f);
    f.out.type = VIEW("auth-failure");
    f.out.auth_failure = VIEW("dmarc");
    keep(&f, text_domain(&f.a, line_of(fields, VIEW("Sender Domain:")), &f.out.reported_domain));
    keep(&f, text_word(&f.a, line_of(fields, VIEW("DMARC Results:")), &f.out.delivery_result));
    read_source(&f, line_of(fields, VIEW("Sender IP Address:")));
    if (!text_time(line_of(fields, VIEW("Received Date:")), &f.out.arrival_s))
        f.out.arrival_s = 0;
    return tell(w, &f);
}
