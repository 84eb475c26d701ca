/* DMARC aggregate reports (RFC 7489 appendix C, RFC 9990). The document is read twice: first to know that it is whole and what its head says,
 * wherever that stands, then for its rows. Elements are known by their place, in any namespace. */
#include "received/received_impl.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <pthread.h>
#include <stdio.h>

#define DEPTH_MAX  32            /* elements within each other; the format has 5 */
#define TEXT_RAW   (RECEIVED_TEXT_MAX * 4)
#define HEAD_ARENA (1u << 20)
#define ROW_ARENA  (2u << 20)

#define NAMESPACE_9990 "urn:ietf:params:xml:ns:dmarc-2.0"

enum el {
    EL_NONE, /* something else, and all in it */
    EL_FEEDBACK, EL_VERSION, EL_METADATA, EL_ORG, EL_EMAIL, EL_CONTACT, EL_ID, EL_RANGE, EL_BEGIN, EL_END, EL_ERROR, EL_GENERATOR,
    EL_POLICY, EL_POLICY_DOMAIN, EL_P, EL_SP, EL_NP, EL_PCT, EL_ADKIM, EL_ASPF, EL_FO, EL_TESTING, EL_DISCOVERY,
    EL_RECORDS, /* a group that the format does not have */
    EL_RECORD, EL_ROW, EL_IP, EL_COUNT, EL_EVALUATED, EL_DISPOSITION, EL_EVAL_DKIM, EL_EVAL_SPF, EL_REASONS, EL_REASON, EL_TYPE, EL_COMMENT,
    EL_IDENTIFIERS, EL_HEADER_FROM, EL_ENVELOPE_FROM, EL_ENVELOPE_TO,
    EL_RESULTS, EL_DKIM, EL_DKIM_DOMAIN, EL_SELECTOR, EL_DKIM_RESULT, EL_DKIM_HUMAN,
    EL_SPF, EL_SPF_DOMAIN, EL_SCOPE, EL_SPF_RESULT, EL_SPF_HUMAN,
};

/* Where elements stand. What early drafts and careless writers put one level off is taken, too. */
static const struct element {
    enum el parent;
    struct view name;
    enum el el;
} elements[] = {
    {EL_FEEDBACK, VIEW_INIT("version"), EL_VERSION},
    {EL_FEEDBACK, VIEW_INIT("report_metadata"), EL_METADATA},
    {EL_FEEDBACK, VIEW_INIT("policy_published"), EL_POLICY},
    {EL_FEEDBACK, VIEW_INIT("record"), EL_RECORD},
    {EL_FEEDBACK, VIEW_INIT("records"), EL_RECORDS},
    {EL_RECORDS, VIEW_INIT("record"), EL_RECORD},
    {EL_METADATA, VIEW_INIT("org_name"), EL_ORG},
    {EL_METADATA, VIEW_INIT("email"), EL_EMAIL},
    {EL_METADATA, VIEW_INIT("extra_contact_info"), EL_CONTACT},
    {EL_METADATA, VIEW_INIT("report_id"), EL_ID},
    {EL_METADATA, VIEW_INIT("date_range"), EL_RANGE},
    {EL_METADATA, VIEW_INIT("error"), EL_ERROR},
    {EL_METADATA, VIEW_INIT("generator"), EL_GENERATOR},
    {EL_METADATA, VIEW_INIT("version"), EL_VERSION},
    {EL_RANGE, VIEW_INIT("begin"), EL_BEGIN},
    {EL_RANGE, VIEW_INIT("end"), EL_END},
    {EL_POLICY, VIEW_INIT("domain"), EL_POLICY_DOMAIN},
    {EL_POLICY, VIEW_INIT("p"), EL_P},
    {EL_POLICY, VIEW_INIT("sp"), EL_SP},
    {EL_POLICY, VIEW_INIT("np"), EL_NP},
    {EL_POLICY, VIEW_INIT("pct"), EL_PCT},
    {EL_POLICY, VIEW_INIT("adkim"), EL_ADKIM},
    {EL_POLICY, VIEW_INIT("aspf"), EL_ASPF},
    {EL_POLICY, VIEW_INIT("fo"), EL_FO},
    {EL_POLICY, VIEW_INIT("testing"), EL_TESTING},
    {EL_POLICY, VIEW_INIT("discovery_method"), EL_DISCOVERY},
    {EL_RECORD, VIEW_INIT("row"), EL_ROW},
    {EL_RECORD, VIEW_INIT("identifiers"), EL_IDENTIFIERS},
    {EL_RECORD, VIEW_INIT("identities"), EL_IDENTIFIERS}, /* early drafts */
    {EL_RECORD, VIEW_INIT("auth_results"), EL_RESULTS},
    {EL_RECORD, VIEW_INIT("policy_evaluated"), EL_EVALUATED},
    {EL_ROW, VIEW_INIT("source_ip"), EL_IP},
    {EL_ROW, VIEW_INIT("count"), EL_COUNT},
    {EL_ROW, VIEW_INIT("policy_evaluated"), EL_EVALUATED},
    {EL_ROW, VIEW_INIT("identifiers"), EL_IDENTIFIERS},
    {EL_ROW, VIEW_INIT("auth_results"), EL_RESULTS},
    {EL_EVALUATED, VIEW_INIT("disposition"), EL_DISPOSITION},
    {EL_EVALUATED, VIEW_INIT("dkim"), EL_EVAL_DKIM},
    {EL_EVALUATED, VIEW_INIT("spf"), EL_EVAL_SPF},
    {EL_EVALUATED, VIEW_INIT("reason"), EL_REASON},
    {EL_EVALUATED, VIEW_INIT("reasons"), EL_REASONS},
    {EL_REASONS, VIEW_INIT("reason"), EL_REASON},
    {EL_REASON, VIEW_INIT("type"), EL_TYPE},
    {EL_REASON, VIEW_INIT("comment"), EL_COMMENT},
    {EL_IDENTIFIERS, VIEW_INIT("header_from"), EL_HEADER_FROM},
    {EL_IDENTIFIERS, VIEW_INIT("envelope_from"), EL_ENVELOPE_FROM},
    {EL_IDENTIFIERS, VIEW_INIT("envelope_to"), EL_ENVELOPE_TO},
    {EL_RESULTS, VIEW_INIT("dkim"), EL_DKIM},
    {EL_RESULTS, VIEW_INIT("spf"), EL_SPF},
    {EL_DKIM, VIEW_INIT("domain"), EL_DKIM_DOMAIN},
    {EL_DKIM, VIEW_INIT("selector"), EL_SELECTOR},
    {EL_DKIM, VIEW_INIT("result"), EL_DKIM_RESULT},
    {EL_DKIM, VIEW_INIT("human_result"), EL_DKIM_HUMAN},
    {EL_SPF, VIEW_INIT("domain"), EL_SPF_DOMAIN},
    {EL_SPF, VIEW_INIT("scope"), EL_SCOPE},
    {EL_SPF, VIEW_INIT("result"), EL_SPF_RESULT},
    {EL_SPF, VIEW_INIT("human_result"), EL_SPF_HUMAN},
};

struct aggregate {
    struct walk *w;
    struct reader reader;
    struct markup markup;
    xmlParserCtxt *xml;
    bool tells;        /* the second time */
    enum rc rc;        /* why it ended early */
    bool done;         /* the root is closed */
    bool more;         /* another report follows it */
    char reason[RECEIVED_REASON];
    enum el stack[DEPTH_MAX];
    unsigned depth;
    char prefix[64];   /* of the root */
    struct buf text;   /* of the innermost element */
    struct arena head; /* out, and what it points to */
    struct received_aggregate out;
    struct view begin, end;
    uint64_t record;   /* its number, from 1 */
    struct view first_from;
    /* The record under way: */
    struct arena row;
    struct received_row r;
    struct view ip, count, disposition, dkim, spf;
    const char *twice; /* an element that stood twice with different texts */
};

static void stop(struct aggregate *a, enum rc rc, const char *reason)
{
    if (a->rc != RC_OK)
        return;
    a->rc = rc;
    snprintf(a->reason, sizeof a->reason, "%s", reason);
    xmlStopParser(a->xml);
}

static void check(struct aggregate *a, enum rc rc)
{
    if (rc != RC_OK)
        stop(a, rc, "");
}

/* Room for one more of a list that grows in an arena; NULL past RECEIVED_LIST_MAX and without memory. */
static void *one_more(struct aggregate *a, struct arena *arena, void *list, size_t *n, size_t size)
{
    void **at = list;
    if (*n >= RECEIVED_LIST_MAX)
        return NULL;
    if (*n % 4 == 0) { /* most rows have one or two */
        void *more = arena_array(arena, *n + 4, size);
        if (!more) {
            check(a, RC_TEMP);
            return NULL;
        }
        if (*n > 0)
            memcpy(more, *at, *n * size);
        *at = more;
    }
    return (char *)*at + size * (*n)++;
}

static void note(struct aggregate *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct aggregate *a, const char *fmt, ...)
{
    char text[RECEIVED_REASON];
    va_list args;
    if (a->tells)
        return;
    struct view *v = one_more(a, &a->head, &a->out.notes, &a->out.n_notes, sizeof *v);
    if (!v)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    check(a, text_clean(&a->head, view_str(text), sizeof text, v));
}

/* --- rows --- */

static void leave_out(struct aggregate *a, const char *why, struct view what)
{
    a->out.rows_left_out++;
    note(a, "record %llu is left out: %s%s%.*s%s", (unsigned long long)a->record, why, what.n > 0 ? " \"" : "", VIEW_FMT(view_slice(what, 0, 60)),
         what.n > 0 ? "\"" : "");
}

static struct view result_or(struct view v, const char *otherwise)
{
    return v.n > 0 ? v : view_str(otherwise);
}

static void end_record(struct aggregate *a)
{
    struct received_row *r = &a->r;
    enum rc rc = text_ip(&a->row, a->ip, &r->source_ip);
    if (rc == RC_TEMP) {
        check(a, RC_TEMP);
        return;
    }
    if (rc != RC_OK) {
        leave_out(a, a->ip.n > 0 ? "its source is no address:" : "it names no source address", a->ip);
        return;
    }
    if (!text_number(a->count, RECEIVED_COUNT_MAX, &r->count)) {
        leave_out(a, a->count.n > 0 ? "its count is not to be believed:" : "it has no count", a->count);
        return;
    }
    r->disposition = result_or(a->disposition, "none");
    r->dkim = view_eq(a->dkim, VIEW("pass"));
    r->spf = view_eq(a->spf, VIEW("pass"));
    if (a->tells) {
        if (a->w->sink->aggregate_row)
            check(a, a->w->sink->aggregate_row(a->w->sink->ctx, r));
        return;
    }
    if (a->twice)
        note(a, "record %llu has more than one <%s>; the first counts", (unsigned long long)a->record, a->twice);
    if (a->first_from.n == 0 && r->header_from.n > 0)
        check(a, view_dup(&a->head, r->header_from, &a->first_from));
    if (++a->out.rows > RECEIVED_ROWS_MAX)
        stop(a, RC_SYNTAX, "it has more rows than we read of one report");
    a->out.messages += r->count;
}

static void begin_record(struct aggregate *a)
{
    arena_reset(&a->row);
    memset(&a->r, 0, sizeof a->r);
    a->ip = a->count = a->disposition = a->dkim = a->spf = (struct view){0};
    a->twice = NULL;
    a->record++;
}

/* RFC 8601 §2.7 knows other words than RFC 7489's schema, its own remarks, and RFC 4408 did. */
static struct view result_word(struct view v)
{
    static const struct {
        struct view said, means;
    } words[] = {
        {VIEW_INIT("hardfail"), VIEW_INIT("fail")},   {VIEW_INIT("failed"), VIEW_INIT("fail")},    {VIEW_INIT("passed"), VIEW_INIT("pass")},
        {VIEW_INIT("unknown"), VIEW_INIT("temperror")}, {VIEW_INIT("error"), VIEW_INIT("permerror")}, {VIEW_INIT("soft_fail"), VIEW_INIT("softfail")},
        {VIEW_INIT("quarantined"), VIEW_INIT("quarantine")}, {VIEW_INIT("rejected"), VIEW_INIT("reject")},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (view_eq(v, words[i].said))
            return words[i].means;
    return v;
}

/* --- texts of elements --- */

/* The first one counts. */
static void set(struct aggregate *a, struct arena *arena, struct view *field, const char *name, enum rc (*clean)(struct arena *, struct view, struct view *))
{
    struct view v;
    check(a, clean(arena, buf_view(&a->text), &v));
    if (a->rc != RC_OK)
        return;
    if (!field->p)
        *field = v;
    else if (!view_eq(*field, v) && arena == &a->row)
        a->twice = name;
    else if (!view_eq(*field, v))
        note(a, "it has more than one <%s>; the first counts", name);
}

static enum rc clean_text(struct arena *a, struct view raw, struct view *out)
{
    return text_clean(a, raw, RECEIVED_TEXT_MAX, out);
}

static enum rc clean_result(struct arena *a, struct view raw, struct view *out)
{
    enum rc rc = text_word(a, raw, out);
    if (rc == RC_OK)
        *out = result_word(*out);
    return rc;
}

static void end_head(struct aggregate *a, enum el el)
{
    struct received_aggregate *o = &a->out;
    struct view *error;
    if (a->tells)
        return;
    switch (el) {
    case EL_VERSION: set(a, &a->head, &o->version, "version", clean_text); break;
    case EL_ORG: set(a, &a->head, &o->org, "org_name", clean_text); break;
    case EL_EMAIL: set(a, &a->head, &o->email, "email", clean_text); break;
    case EL_CONTACT: set(a, &a->head, &o->contact, "extra_contact_info", clean_text); break;
    case EL_ID: set(a, &a->head, &o->report_id, "report_id", clean_text); break;
    case EL_BEGIN: set(a, &a->head, &a->begin, "begin", clean_text); break;
    case EL_END: set(a, &a->head, &a->end, "end", clean_text); break;
    case EL_GENERATOR: set(a, &a->head, &o->generator, "generator", clean_text); break;
    case EL_POLICY_DOMAIN: set(a, &a->head, &o->domain, "domain", text_domain); break;
    case EL_P: set(a, &a->head, &o->p, "p", text_word); break;
    case EL_SP: set(a, &a->head, &o->sp, "sp", text_word); break;
    case EL_NP: set(a, &a->head, &o->np, "np", text_word); break;
    case EL_PCT: set(a, &a->head, &o->pct, "pct", text_word); break;
    case EL_ADKIM: set(a, &a->head, &o->adkim, "adkim", text_word); break;
    case EL_ASPF: set(a, &a->head, &o->aspf, "aspf", text_word); break;
    case EL_FO: set(a, &a->head, &o->fo, "fo", text_word); break;
    case EL_TESTING: set(a, &a->head, &o->testing, "testing", text_word); break;
    case EL_DISCOVERY: set(a, &a->head, &o->discovery_method, "discovery_method", text_word); break;
    case EL_ERROR:
        if ((error = one_more(a, &a->head, &o->errors, &o->n_errors, sizeof *error)))
            check(a, clean_text(&a->head, buf_view(&a->text), error));
        break;
    default: break;
    }
    o->is_rfc9990 |= el == EL_TESTING || el == EL_DISCOVERY || el == EL_GENERATOR;
}

static void end_in_record(struct aggregate *a, enum el el)
{
    struct received_row *r = &a->r;
    struct received_reason *reason = r->n_reasons > 0 ? &r->reasons[r->n_reasons - 1] : NULL;
    struct received_dkim *dkim = r->n_dkim > 0 ? &r->dkim_results[r->n_dkim - 1] : NULL;
    struct received_spf *spf = r->n_spf > 0 ? &r->spf_results[r->n_spf - 1] : NULL;
    if (!a->tells && el != EL_IP && el != EL_COUNT && el != EL_HEADER_FROM && el != EL_RECORD)
        return; /* the first time it only counts */
    switch (el) {
    case EL_IP: set(a, &a->row, &a->ip, "source_ip", clean_text); break;
    case EL_COUNT: set(a, &a->row, &a->count, "count", clean_text); break;
    case EL_DISPOSITION: set(a, &a->row, &a->disposition, "disposition", clean_result); break;
    case EL_EVAL_DKIM: set(a, &a->row, &a->dkim, "dkim", clean_result); break;
    case EL_EVAL_SPF: set(a, &a->row, &a->spf, "spf", clean_result); break;
    case EL_HEADER_FROM: set(a, &a->row, &r->header_from, "header_from", text_domain); break;
    case EL_ENVELOPE_FROM:
        set(a, &a->row, &r->envelope_from, "envelope_from", text_domain);
        r->has_envelope_from = true;
        break;
    case EL_ENVELOPE_TO:
        set(a, &a->row, &r->envelope_to, "envelope_to", text_domain);
        r->has_envelope_to = true;
        break;
    case EL_TYPE: if (reason) set(a, &a->row, &reason->type, "type", text_word); break;
    case EL_COMMENT: if (reason) set(a, &a->row, &reason->comment, "comment", clean_text); break;
    case EL_DKIM_DOMAIN: if (dkim) set(a, &a->row, &dkim->domain, "domain", text_domain); break;
    case EL_SELECTOR: if (dkim) set(a, &a->row, &dkim->selector, "selector", clean_text); break;
    case EL_DKIM_RESULT: if (dkim) set(a, &a->row, &dkim->result, "result", clean_result); break;
    case EL_DKIM_HUMAN: if (dkim) set(a, &a->row, &dkim->human_result, "human_result", clean_text); break;
    case EL_SPF_DOMAIN: if (spf) set(a, &a->row, &spf->domain, "domain", text_domain); break;
    case EL_SCOPE: if (spf) set(a, &a->row, &spf->scope, "scope", text_word); break;
    case EL_SPF_RESULT: if (spf) set(a, &a->row, &spf->result, "result", clean_result); break;
    case EL_SPF_HUMAN: if (spf) set(a, &a->row, &spf->human_result, "human_result", clean_text); break;
    case EL_REASON: /* "<reason>forwarded</reason>"; an empty one says nothing */
        if (reason && reason->type.n == 0 && reason->comment.n == 0)
            check(a, text_word(&a->row, buf_view(&a->text), &reason->type));
        if (reason && reason->type.n == 0 && reason->comment.n == 0)
            r->n_reasons--;
        break;
    case EL_DKIM:
        if (dkim && dkim->domain.n == 0 && dkim->selector.n == 0 && dkim->result.n == 0)
            r->n_dkim--;
        break;
    case EL_SPF:
        if (spf && spf->domain.n == 0 && spf->result.n == 0)
            r->n_spf--;
        break;
    case EL_RECORD: end_record(a); break;
    default: break;
    }
}

/* --- what the parser calls --- */

static enum el place_of(const struct aggregate *a, const xmlChar *name, const xmlChar *prefix)
{
    const enum el parent = a->depth > 0 && a->depth <= DEPTH_MAX ? a->stack[a->depth - 1] : EL_NONE;
    if (a->depth == 0)
        return EL_FEEDBACK;
    if (parent == EL_NONE || (prefix && strcmp((const char *)prefix, a->prefix) != 0)) /* an extension: RFC 9990 §4 */
        return EL_NONE;
    const struct view said = view_str((const char *)name);
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].parent == parent && elements[i].name.n == said.n && view_ieq(elements[i].name, said))
            return elements[i].el;
    return EL_NONE;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces, const xmlChar **namespaces,
                     int n_attributes, int n_defaulted, const xmlChar **attributes)
{
    struct aggregate *a = ctx;
    (void)n_namespaces, (void)namespaces, (void)n_attributes, (void)n_defaulted, (void)attributes;
    if (a->rc != RC_OK || a->done)
        return;
    if (a->depth >= DEPTH_MAX) {
        stop(a, RC_SYNTAX, "its elements are nested too deeply");
        return;
    }
    enum el el = place_of(a, name, prefix);
    if (el == EL_FEEDBACK) {
        a->out.is_rfc9990 |= uri && strcmp((const char *)uri, NAMESPACE_9990) == 0;
        snprintf(a->prefix, sizeof a->prefix, "%s", prefix ? (const char *)prefix : "");
    }
    if (el == EL_RECORD)
        begin_record(a);
    if ((el == EL_REASON && !one_more(a, &a->row, &a->r.reasons, &a->r.n_reasons, sizeof *a->r.reasons)) ||
        (el == EL_DKIM && !one_more(a, &a->row, &a->r.dkim_results, &a->r.n_dkim, sizeof *a->r.dkim_results)) ||
        (el == EL_SPF && !one_more(a, &a->row, &a->r.spf_results, &a->r.n_spf, sizeof *a->r.spf_results)))
        el = EL_NONE; /* one too many */
    a->stack[a->depth++] = el;
    buf_reset(&a->text);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct aggregate *a = ctx;
    (void)name, (void)prefix, (void)uri;
    if (a->rc != RC_OK || a->done || a->depth == 0)
        return;
    const enum el el = a->stack[--a->depth];
    if (el > EL_FEEDBACK && el < EL_RECORD)
        end_head(a, el);
    else if (el >= EL_RECORD)
        end_in_record(a, el);
    buf_reset(&a->text);
    if (a->depth == 0) { /* what follows is nobody's */
        const xmlParserInput *in = a->xml->input;
        a->done = true;
        a->more |= in->end > in->cur && markup_root(view_of(in->cur, (size_t)(in->end - in->cur))) != VIEW_NONE;
        xmlStopParser(a->xml);
    }
}

static void on_text(void *ctx, const xmlChar *text, int n)
{
    struct aggregate *a = ctx;
    if (a->rc != RC_OK || a->depth == 0 || n <= 0 || a->stack[a->depth - 1] == EL_NONE)
        return;
    const size_t room = TEXT_RAW - a->text.n;
    buf_add(&a->text, view_of(text, (size_t)n < room ? (size_t)n : room));
}

/* Faults that leave no doubt about what was meant. */
static bool is_forgivable(int code)
{
    switch (code) {
    case XML_ERR_UNDECLARED_ENTITY:
    case XML_WAR_UNDECLARED_ENTITY:
    case XML_ERR_NAME_REQUIRED: /* a bare & or < */
    case XML_ERR_ENTITYREF_SEMICOL_MISSING:
    case XML_ERR_INVALID_CHARREF:
    case XML_ERR_INVALID_DEC_CHARREF:
    case XML_ERR_INVALID_HEX_CHARREF:
    case XML_ERR_INVALID_CHAR:
    case XML_ERR_ATTRIBUTE_REDEFINED:
    case XML_ERR_MISPLACED_CDATA_END:
    case XML_ERR_HYPHEN_IN_COMMENT:
    case XML_ERR_RESERVED_XML_NAME:
    case XML_ERR_SPACE_REQUIRED:
        return true;
    default:
        return code >= XML_NS_ERR_XML_NAMESPACE && code <= XML_NS_ERR_COLON;
    }
}

static void on_error(void *ctx, xmlError *error)
{
    struct aggregate *a = ctx;
    char reason[RECEIVED_REASON];
    if (a->rc != RC_OK || a->done || error->level == XML_ERR_WARNING || is_forgivable(error->code))
        return;
    if (error->code == XML_ERR_NO_MEMORY) {
        stop(a, RC_TEMP, "");
        return;
    }
    struct view what = view_str(error->message);
    const size_t line = view_find(what, VIEW(" line ")); /* said below, for the whole file */
    what = view_trim(view_slice(what, 0, line < 150 ? line : 150));
    snprintf(reason, sizeof reason, "it is not well-formed XML: %.*s, in line %u", VIEW_FMT(what), a->markup.lines + (unsigned)error->line);
    stop(a, RC_SYNTAX, reason);
}

/* The parser's input. */
static int on_read(void *ctx, char *buf, int size)
{
    struct aggregate *a = ctx;
    size_t got = 0;
    if (a->rc != RC_OK || a->done || size <= 0)
        return 0;
    enum rc rc = markup_read(&a->markup, buf, (size_t)size, &got);
    if (rc != RC_OK) { /* the parser may not be stopped from here, but what it makes of a sudden end does not count any more */
        a->rc = rc == RC_TEMP ? RC_TEMP : RC_SYNTAX;
        snprintf(a->reason, sizeof a->reason, "%s", a->reader.reason[0] ? a->reader.reason : a->markup.why ? a->markup.why : "it cannot be read");
    }
    return rc == RC_OK ? (int)got : 0;
}

/* --- the whole --- */

/* Of the format, a document has one report; what has more is told of. */
static void look_for_more(struct aggregate *a)
{
    char buf[4096];
    size_t got = 1;
    while (!a->more && got > 0 && markup_read(&a->markup, buf, sizeof buf, &got) == RC_OK)
        a->more = markup_root(view_of(buf, got)) != VIEW_NONE;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static enum rc parse(struct aggregate *a, const struct content *c)
{
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC, .startElementNs = on_start, .endElementNs = on_end, .characters = on_text,
                         .cdataBlock = on_text, .ignorableWhitespace = on_text, .serror = (xmlStructuredErrorFunc)on_error};
    a->depth = 0;
    a->done = false;
    a->record = 0;
    enum rc rc = reader_open(&a->reader, c, a->w->left);
    if (rc != RC_OK) {
        reader_close(&a->reader);
        return rc;
    }
    markup_open(&a->markup, &a->reader);
    a->xml = xmlCreateIOParserCtxt(&sax, a, on_read, NULL, a, XML_CHAR_ENCODING_UTF8);
    if (a->xml) {
        xmlCtxtUseOptions(a->xml, XML_PARSE_NONET | XML_PARSE_RECOVER);
        xmlParseDocument(a->xml);
        xmlFreeDoc(a->xml->myDoc);
        xmlFreeParserCtxt(a->xml);
    }
    rc = a->xml ? a->rc : a->rc != RC_OK ? a->rc : RC_TEMP;
    a->xml = NULL;
    if (rc == RC_OK && !a->done) {
        snprintf(a->reason, sizeof a->reason, "it ends before </feedback>");
        rc = RC_SYNTAX;
    }
    if (rc == RC_OK && !a->tells)
        look_for_more(a);
    markup_close(&a->markup);
    reader_close(&a->reader);
    return rc;
}

static enum rc finish_head(struct aggregate *a)
{
    struct received_aggregate *o = &a->out;
    if (o->org.n == 0 && o->email.n > 0)
        check(a, text_domain(&a->head, o->email, &o->org));
    if (o->domain.n == 0 && a->first_from.n > 0) {
        o->domain = a->first_from;
        note(a, "it does not say for which domain it is; the first row's author domain is taken");
    }
    if (a->record == 0)
        note(a, "it has no records");
    if (!text_time(a->begin, &o->begin_s))
        o->begin_s = 0;
    if (!text_time(a->end, &o->end_s))
        o->end_s = 0;
    const char *done = text_period(&o->begin_s, &o->end_s);
    if (done)
        note(a, "%s", done);
    if (a->rc != RC_OK)
        return a->rc;
    if (o->domain.n == 0 && o->report_id.n == 0 && a->record == 0)
        snprintf(a->reason, sizeof a->reason, "there is nothing of a report in its <feedback>");
    else if (o->domain.n == 0)
        snprintf(a->reason, sizeof a->reason, "it does not say for which domain it is");
    else if (o->end_s == 0 && a->begin.n > 0)
        snprintf(a->reason, sizeof a->reason, "it does not say which period it is about: \"%.*s\" is no time", VIEW_FMT(view_slice(a->begin, 0, 60)));
    else if (o->end_s == 0)
        snprintf(a->reason, sizeof a->reason, "it does not say which period it is about");
    return a->reason[0] ? RC_SYNTAX : RC_OK;
}

static enum rc tell(struct aggregate *a, const struct content *c)
{
    const struct received_sink *sink = a->w->sink;
    enum rc rc = RC_OK;
    a->w->told++;
    if (sink->aggregate_begin)
        rc = sink->aggregate_begin(sink->ctx, &a->w->origin, &a->out);
    a->tells = true;
    if (rc == RC_OK && sink->aggregate_row)
        rc = parse(a, c);
    if (rc == RC_OK && sink->aggregate_end)
        rc = sink->aggregate_end(sink->ctx);
    return rc;
}

static void init_parser(void)
{
    xmlInitParser();
}

enum rc aggregate_read(struct walk *w, const struct content *c)
{
    struct aggregate a = {.w = w};
    pthread_once(&once, init_parser);
    arena_init(&a.head, HEAD_ARENA);
    arena_init(&a.row, ROW_ARENA);
    buf_init(&a.text, TEXT_RAW);
    enum rc rc = parse(&a, c);
    if (rc == RC_OK)
        rc = finish_head(&a);
    if (rc == RC_OK)
        rc = tell(&a, c);
    if (rc == RC_OK && a.more)
        rc = walk_refuse(w, "more than one <feedback> stands in it; the first alone was read");
    else if (rc == RC_SYNTAX || rc == RC_LIMIT)
        rc = walk_refuse(w, "%s", a.reason[0] ? a.reason : a.reader.reason[0] ? a.reader.reason : "it cannot be read");
    w->left -= a.reader.out < w->left ? a.reader.out : w->left;
    buf_clear(&a.text);
    arena_clear(&a.row);
    arena_clear(&a.head);
    return rc;
}
