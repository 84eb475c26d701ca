/* Makes the aggregate and TLS reports that are due, queues their mails, and posts what goes by HTTPS. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "report/aggregate.h"
#include "report/bounce.h"
#include "report/report.h"
#include "report/tls.h"
#include "store/tlsrpt.h"
#include "sys/board.h"

#define ROUND_ARENA (8u << 20)
#define ROWS_ARENA  (32u << 20)
#define ROWS_PAGE   500

struct sending {
    struct store *s;
    struct dns *dns;
    const struct report_settings *set;
    int64_t now_s;
    struct arena arena;        /* of this report */
    const struct seen_report *r;
    struct plan plan;
    struct view from, submitter; /* our address, and its domain */
    struct view report_id;       /* without <> */
    struct buf gzip;
    const atomic_bool *stop;
    int64_t *post_ms;            /* what is left for POSTs in this round */
    size_t n_sent, n_later;
    int64_t later_s;
    const char *why;             /* why the last one did not go */
};

/* Eight hexadecimal digits that stand for a name. */
static const char *tag_of(struct view name, struct arena *a)
{
    uint8_t digest[SHA256_SIZE];
    char *text = arena_alloc(a, 9);
    if (!text || sha256(name, digest) != RC_OK)
        return NULL;
    hex_write(view_of(digest, 4), text);
    return text;
}

static enum rc name_report(struct sending *x)
{
    const char *tag = tag_of(x->r->domain, &x->arena);
    size_t at = view_rchr(x->from, '@');
    x->submitter = view_from(x->from, at == VIEW_NONE ? 0 : at + 1);
    char *id = tag ? arena_printf(&x->arena, "%lld.%lld.%s@%.*s", (long long)x->r->begin_s, (long long)x->r->end_s, tag,
                                  VIEW_FMT(x->submitter))
                   : NULL;
    x->report_id = view_str(id);
    return id ? RC_OK : RC_TEMP;
}

static enum rc add_rows(struct sending *x, struct aggregate *g)
{
    struct arena a;
    uint8_t last[SEEN_KEY_SIZE];
    const uint8_t *after = NULL;
    enum rc rc = RC_OK;
    arena_init(&a, ROWS_ARENA);
    for (size_t n = ROWS_PAGE; n == ROWS_PAGE && rc == RC_OK;) {
        struct seen_row *rows;
        arena_reset(&a);
        rc = seen_rows(x->s, x->r->id, after, ROWS_PAGE, &a, &rows, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            struct report_row row;
            if (row_parse(rows[i].row, &row) == RC_OK)
                aggregate_row(g, &row, rows[i].n);
            memcpy(last, rows[i].key, sizeof last);
            after = last;
        }
    }
    arena_clear(&a);
    return rc;
}

static enum rc write_document(struct sending *x)
{
    if (x->r->kind == SEEN_TLS)
        return tls_document(x->s, x->set, x->r, x->from, x->report_id, &x->gzip);
    struct aggregate *g = NULL;
    const struct report_settings *set = x->set;
    const struct aggregate_meta meta = {
        .organization = set->organization ? view_str(set->organization) : x->submitter, .email = x->from,
        .contact = view_str(set->contact), .report_id = x->report_id, .generator = VIEW("Facteur " FACTEUR_VERSION),
        .begin_s = x->r->begin_s, .end_s = x->r->end_s, .domain = x->r->domain, .method = x->plan.method,
        .record = &x->plan.record, .dropped = x->r->dropped};
    enum rc rc = aggregate_begin(&meta, &g);
    if (rc != RC_OK)
        return rc;
    rc = add_rows(x, g);
    if (rc == RC_OK)
        return aggregate_end(g, &x->gzip);
    aggregate_free(g);
    return rc;
}

/* What differs between the kinds. RC_TEMP. */
struct form {
    const char *text, *file; /* what a person reads; the ending of the file's name */
    struct view fields, type, part;
};

static enum rc describe(struct sending *x, struct form *out)
{
    if (x->r->kind == SEEN_TLS) {
        /* RFC 8460 §5.3, RFC 8689 §5: a report about broken TLS must not wait for good TLS. */
        out->fields = view_str(arena_printf(&x->arena, "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\nTLS-Required: No\r\n",
                                            VIEW_FMT(x->r->domain), VIEW_FMT(x->submitter)));
        out->text = arena_printf(&x->arena,
                                 "This is an aggregate TLS report (RFC 8460) about mail to\r\n"
                                 "    %.*s\r\n"
                                 "as it was delivered by\r\n"
                                 "    %.*s\r\n"
                                 "Sessions: %llu, failures of TLS: %llu. The attached file has the details, for a program to read.\r\n"
                                 "It was sent because the TLS-RPT record of that domain asks for such reports (rua).\r\n",
                                 VIEW_FMT(x->r->domain), VIEW_FMT(x->submitter), (unsigned long long)x->r->messages,
                                 (unsigned long long)x->r->bad);
        out->file = "json";
        out->type = VIEW("multipart/report; report-type=\"tlsrpt\"");
        out->part = VIEW("application/tlsrpt+gzip");
        return out->text && out->fields.n > 0 ? RC_OK : RC_TEMP;
    }
    out->text = arena_printf(&x->arena,
                             "This is a DMARC aggregate report (RFC 9990) about mail that named\r\n"
                             "    %.*s\r\n"
                             "or a domain below it as its author, as it was seen at\r\n"
                             "    %.*s\r\n"
                             "Messages: %llu. The attached file has the details, for a program to read.\r\n"
                             "It was sent because the DMARC record of that domain asks for such reports (rua).\r\n",
                             VIEW_FMT(x->r->domain), VIEW_FMT(x->submitter), (unsigned long long)x->r->messages);
    out->file = "xml";
    out->type = VIEW("multipart/mixed");
    out->part = VIEW("application/gzip");
    return out->text ? RC_OK : RC_TEMP;
}

/* RFC 9990, "Email", and RFC 8460 §5.1, §5.3: subject, media type, file name. */
static enum rc write_mail(struct sending *x, const struct destination *to, struct buf *out)
{
    const char *tag = tag_of(to->address, &x->arena);
    size_t at = view_rchr(x->report_id, '@');
    const struct report_settings *set = x->set;
    struct form form = {0};
    char *subject = arena_printf(&x->arena, "Report Domain: %.*s Submitter: %.*s Report-ID: <%.*s>", VIEW_FMT(x->r->domain),
                                 VIEW_FMT(x->submitter), VIEW_FMT(x->report_id));
    char *id = arena_printf(&x->arena, "%.*s.%s@%.*s", (int)at, x->report_id.p, tag ? tag : "", VIEW_FMT(x->submitter));
    if (!subject || !tag || !id || describe(x, &form) != RC_OK)
        return RC_TEMP;
    char *name = arena_printf(&x->arena, "%.*s!%.*s!%lld!%lld.%s.gz", VIEW_FMT(x->submitter), VIEW_FMT(x->r->domain),
                              (long long)x->r->begin_s, (long long)x->r->end_s, form.file);
    if (!name)
        return RC_TEMP;
    const struct mail_part parts[] = {{.type = VIEW("text/plain; charset=us-ascii"), .bytes = view_str(form.text)},
                                      {.type = form.part, .filename = view_str(name), .bytes = buf_view(&x->gzip), .base64 = true}};
    const struct mail m = {.name = view_str(set->organization), .from = x->from, .to = to->address, .subject = view_str(subject),
                           .message_id = view_str(id), .fields = form.fields, .type = form.type, .parts = parts, .n_parts = 2,
                           .now_s = x->now_s};
    return mail_write(&m, out);
}

static void note_later(struct sending *x, int64_t at_s, const char *why)
{
    x->n_later++;
    x->why = why;
    x->later_s = x->later_s == 0 || at_s < x->later_s ? at_s : x->later_s;
}

static void skip(struct sending *x, const struct plan_entry *e, const char *why)
{
    x->why = why;
    log_info("report.skipped", F_VIEW("domain", x->r->domain), F_VIEW("to", e->to.address.n > 0 ? e->to.address : e->to.uri),
             F_CSTR("reason", why));
}

static int64_t next_day(int64_t now_s)
{
    return now_s - now_s % SEEN_DAY_S + SEEN_DAY_S + REPORT_START_S;
}

/* RFC 8460 §3: nobody reads a TLS report without a signature, so it waits for one. */
static enum rc sign_surely(void *ctx, struct view message, struct buf *out)
{
    const struct report_settings *set = ctx;
    enum rc rc = set->sign(set->sign_ctx, message, out);
    return rc == RC_NOTFOUND ? RC_TEMP : rc;
}

static enum rc sign_and_queue(struct sending *x, struct view message, struct view sender, struct view to, uint64_t *id)
{
    const struct report_settings *set = x->set;
    if (x->r->kind == SEEN_TLS && set->sign) {
        struct report_settings copy = *set;
        return mail_queue(x->s, sign_surely, &copy, message, sender, to, clock_real_ms(), id);
    }
    return mail_queue(x->s, set->sign, set->sign_ctx, message, sender, to, clock_real_ms(), id);
}

/* False: it went earlier, or has to wait. */
static bool count_one(struct sending *x, const struct plan_entry *e, struct seen_cap caps[PLAN_CAPS])
{
    size_t which = 0;
    enum rc rc = plan_caps(x->set, e->to.address, &x->arena, caps);
    if (rc == RC_OK)
        rc = seen_count_mail(x->s, x->r->id, e->to.address, x->now_s, caps, PLAN_CAPS, &which);
    if (rc == RC_EXISTS) /* it went in an earlier round */
        x->n_sent++;
    else if (rc == RC_LIMIT)
        note_later(x, next_day(x->now_s), which == 0 ? "as many mails as one day allows have gone" : "it got as many mails as one day allows");
    else if (rc != RC_OK)
        note_later(x, x->now_s + REPORT_RETRY_S, "the store failed");
    return rc == RC_OK;
}

static void uncount_one(struct sending *x, const struct plan_entry *e, const struct seen_cap caps[PLAN_CAPS])
{
    if (seen_uncount_mail(x->s, x->r->id, e->to.address, x->now_s, caps, PLAN_CAPS) != RC_OK)
        log_warn("report.failed", F_VIEW("domain", x->r->domain), F_CSTR("reason", "a mail stays counted that did not go"));
}

/* RFC 8460 §5.4, §5.5 */
static void post(struct sending *x, const struct plan_entry *e)
{
    struct seen_cap caps[PLAN_CAPS];
    const char *why = "";
    if (*x->post_ms <= 0) {
        note_later(x, x->now_s + REPORT_LOOK_MS / 1000, "other web hosts are slow");
        return;
    }
    if (!count_one(x, e, caps))
        return;
    const int64_t begin_ms = clock_mono_ms();
    enum rc rc = tls_post(x->dns, x->set, e->to.uri, buf_view(&x->gzip), x->stop, &x->arena, &why);
    *x->post_ms -= clock_mono_ms() - begin_ms;
    if (rc == RC_OK) {
        x->n_sent++;
        board_count(BOARD_REPORTS_SENT, "tls");
        log_info("report.posted", F_VIEW("domain", x->r->domain), F_VIEW("to", e->to.address), F_VIEW("report", x->report_id),
                 F_INT("sessions", x->r->messages), F_INT("failures", x->r->bad), F_INT("size", x->gzip.n));
        return;
    }
    uncount_one(x, e, caps);
    if (x->r->tries >= TLS_TRIES_MAX)
        skip(x, e, why);
    else
        note_later(x, x->now_s + tls_retry_s(x->r->tries), why);
}

static void queue_mail(struct sending *x, const struct plan_entry *e, struct view message)
{
    struct seen_cap caps[PLAN_CAPS];
    uint64_t id = 0;
    enum rc rc = RC_OK;
    if (e->to.max_size > 0 && message.n > e->to.max_size) { /* RFC 7489 §7.2.1.1; RFC 9990 dropped the size, domains have not */
        skip(x, e, "the report is larger than its address asks for");
        return;
    }
    if (!count_one(x, e, caps))
        return;
    struct view sender = x->from;
    if (x->set->bounce_key)
        rc = bounce_sender(x->set->bounce_key, x->from, e->to.address, &x->arena, &sender);
    if (rc == RC_OK)
        rc = sign_and_queue(x, message, sender, e->to.address, &id);
    if (rc == RC_OK) {
        x->n_sent++;
        board_count(BOARD_REPORTS_SENT, x->r->kind == SEEN_TLS ? "tls" : "dmarc");
        log_info("report.queued", F_VIEW("domain", x->r->domain), F_VIEW("to", e->to.address), F_ID("id", id),
                 F_VIEW("report", x->report_id), F_INT("messages", x->r->messages), F_INT("rows", x->r->rows), F_INT("size", message.n));
        return;
    }
    uncount_one(x, e, caps);
    if (rc == RC_NOTFOUND)
        skip(x, e, "there is no such mailbox here");
    else
        note_later(x, x->now_s + REPORT_RETRY_S, "it could not be signed or queued now");
}

static enum rc send_all(struct sending *x)
{
    enum rc rc = report_from(x->s, x->set, &x->arena, &x->from);
    if (rc == RC_NOTFOUND)
        x->why = "no domain is hosted here, so reports have no sender";
    if (rc == RC_OK)
        rc = name_report(x);
    if (rc == RC_OK)
        rc = write_document(x);
    if (rc == RC_LIMIT)
        x->why = "there is nothing in it, or too much";
    for (size_t i = 0; i < x->plan.n && rc == RC_OK; i++) {
        struct buf message;
        const struct plan_entry *e = &x->plan.entries[i];
        if (!e->go)
            continue;
        if (e->to.web) {
            post(x, e);
            continue;
        }
        buf_init(&message, MAIL_MAX);
        rc = write_mail(x, &e->to, &message);
        if (rc == RC_OK)
            queue_mail(x, e, buf_view(&message));
        buf_clear(&message);
    }
    return rc;
}

/* What became of it, for `report list`; and whether it is tried again. */
static enum rc settle(struct sending *x, enum rc rc)
{
    char note[300];
    if (rc == RC_TEMP || rc == RC_FULL || rc == RC_CORRUPT)
        note_later(x, x->now_s + REPORT_RETRY_S, "no memory, disk or name server for it now");
    if (x->n_later > 0 && x->r->tries < REPORT_TRIES_MAX) {
        snprintf(note, sizeof note, "waits: %s", x->why);
        log_info("report.deferred", F_VIEW("domain", x->r->domain), F_INT("tries", x->r->tries + 1), F_CSTR("reason", x->why));
        return seen_finish(x->s, x->r->id, x->now_s, x->later_s, view_str(note));
    }
    if (x->n_sent > 0)
        snprintf(note, sizeof note, "sent to %zu", x->n_sent);
    else
        snprintf(note, sizeof note, "not sent: %s", x->why ? x->why : "nobody to send it to");
    if (x->n_sent == 0)
        log_info("report.dropped", F_VIEW("domain", x->r->domain), F_INT("messages", x->r->messages), F_CSTR("reason", x->why ? x->why : ""));
    return seen_finish(x->s, x->r->id, x->now_s, 0, view_str(note));
}

static enum rc send_report(struct sending *x)
{
    bool any = false;
    enum rc rc = plan_make(x->s, x->dns, x->set, x->r, &x->arena, &x->plan);
    if (rc == RC_SYNTAX)
        x->why = "its policy cannot be read";
    if (rc == RC_OK && x->plan.unwanted)
        return tlsrpt_drop(x->s, x->r);
    if (rc == RC_OK && x->plan.later)
        note_later(x, x->now_s + REPORT_RETRY_S, x->plan.why);
    else if (rc == RC_OK && x->plan.why)
        x->why = x->plan.why;
    for (size_t i = 0; rc == RC_OK && i < x->plan.n; i++) {
        const struct plan_entry *e = &x->plan.entries[i];
        any |= e->go;
        if (e->later)
            note_later(x, x->now_s + REPORT_RETRY_S, e->why);
        else if (!e->go)
            skip(x, e, e->why);
    }
    if (rc == RC_OK && any)
        rc = send_all(x);
    return settle(x, rc);
}

enum rc report_round(struct store *s, struct dns *dns, const struct report_settings *set, enum seen_kind kind, int64_t now_s,
                     const atomic_bool *stop, size_t *n)
{
    struct arena a;
    int64_t post_ms = TLS_ROUND_MS;
    struct seen_report *due;
    uint64_t sealed;
    *n = 0;
    arena_init(&a, ROUND_ARENA);
    enum rc rc = kind == SEEN_TLS ? tls_seal(s, set, 0, now_s) : seen_seal(s, 0, now_s, &sealed);
    if (rc == RC_OK)
        rc = seen_due(s, kind, now_s, REPORT_SEND_MAX, &a, &due, n);
    for (size_t i = 0; rc == RC_OK && kind == SEEN_TLS && i < *n; i++)
        tls_prefetch(dns, due[i].domain);
    for (size_t i = 0; rc == RC_OK && i < *n && !(stop && atomic_load(stop)); i++) {
        struct sending x = {.s = s, .dns = dns, .set = set, .now_s = now_s, .r = &due[i], .stop = stop, .post_ms = &post_ms};
        arena_init(&x.arena, ROUND_ARENA);
        buf_init(&x.gzip, AGGREGATE_MAX);
        rc = send_report(&x);
        buf_clear(&x.gzip);
        arena_clear(&x.arena);
    }
    arena_clear(&a);
    if (rc != RC_OK)
        log_warn("report.failed", F_VIEW("domain", VIEW("")), F_CSTR("reason", rc_name(rc)));
    return rc;
}
