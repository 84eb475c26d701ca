#include "queue/dsn.h"

#include "base/utf8.h"
#include "message/date.h"
#include "message/header.h"

#define FIELD_MAX 900 /* bytes of one foreign value, so that its line stays below 998 */
#define TYPE_MAX 64 /* of an address's type, which shares its line with the address */
#define TEXT_WIDTH 72

static const struct {
    struct view prefix;
    const char *text;
} advice[] = {
    {VIEW_INIT("5.1.1"), "There is no mailbox of this name there. Please check the address for typing errors."},
    {VIEW_INIT("5.1.2"), "This domain does not exist or takes no mail. Please check what follows the @ sign."},
    {VIEW_INIT("5.1.3"), "The other server cannot read this address. Please check it for typing errors."},
    {VIEW_INIT("5.1.10"), "The domain says that it takes no mail at all."},
    {VIEW_INIT("5.1.6"), "The mailbox has moved. Please ask the recipient for the new address."},
    {VIEW_INIT("5.2.1"), "The mailbox is closed for now."},
    {VIEW_INIT("5.2.2"), "The mailbox is full. Please tell the recipient by another way, and send again later."},
    {VIEW_INIT("4.2.2"), "The mailbox is full."},
    {VIEW_INIT("5.2.3"), "The message is larger than this mailbox takes."},
    {VIEW_INIT("5.3.4"), "The message is larger than the other server takes. Please send it in smaller parts."},
    {VIEW_INIT("5.4.6"), "The message would go round in circles: the domain's MX records lead back to this server."},
    {VIEW_INIT("4.4.7"), "It could not be delivered in the time allowed. The last answer is given above."},
    {VIEW_INIT("5.4.7"), "It could not be delivered in the time allowed. The last answer is given above."},
    {VIEW_INIT("4.4.3"), "The name servers of the domain do not answer."},
    {VIEW_INIT("4.4.1"), "The other server cannot be reached."},
    {VIEW_INIT("5.6.3"), "The other server cannot take the form in which this message is written (8-bit or binary)."},
    {VIEW_INIT("5.6.7"), "The other server does not know international addresses, which this message needs."},
    {VIEW_INIT("5.7.10"), "You asked for TLS all the way (REQUIRETLS), and the other server could not prove who it is, or has no TLS."},
    {VIEW_INIT("5.7.30"), "You asked for TLS all the way (REQUIRETLS), which the other server does not know. Sent without that wish it may arrive."},
    {VIEW_INIT("4.7.5"), "The connection to the other server was not as safe as its domain demands: perhaps its set-up is broken, perhaps somebody "
                         "stands between. The message was not sent in the open."},
    {VIEW_INIT("4.7.4"), "The other server offers no encryption, which is demanded for it: perhaps its set-up is broken, perhaps somebody stands "
                         "between. The message was not sent in the open."},
    {VIEW_INIT("5.7"), "The other server refuses the message by its own rules. Its words above may say what to change; its "
                       "operator decides."},
    {VIEW_INIT("4.7"), "The other server refuses the message for now by its own rules, or the connection was not safe enough."},
    {VIEW_INIT("5."), "The other server refuses the message for good."},
    {VIEW_INIT("4."), "The other server could not take the message."},
};

const char *dsn_advice(struct view status)
{
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        struct view rest = status;
        if (view_take(&rest, advice[i].prefix) && (view_ends(advice[i].prefix, VIEW(".")) || !is_digit((unsigned char)view_peek(rest))))
            return advice[i].text;
    }
    return "";
}

/* --- foreign text --- */

/* A character that no line of a report holds as it is. */
static bool is_control(uint32_t cp)
{
    return cp < 0x20 || cp == 0x7f || (cp >= 0x80 && cp < 0xa0) || cp == 0x2028 || cp == 0x2029;
}

/* Controls become blanks; what is not UTF-8, or not wanted, becomes '?'. At most FIELD_MAX bytes. */
static void put_clean(struct buf *out, struct view v, bool utf8)
{
    size_t end = out->n + FIELD_MAX;
    while (v.n > 0 && out->n + 4 <= end) {
        struct view at = v;
        uint32_t cp;
        if (utf8_next(&v, &cp) != RC_OK) {
            view_skip(&v, 1);
            buf_chr(out, '?');
        } else if (is_control(cp)) {
            buf_chr(out, ' ');
        } else if (cp < 0x80 || utf8) {
            buf_add(out, view_slice(at, 0, at.n - v.n));
        } else {
            buf_chr(out, '?');
        }
    }
}

/* An address as the value after "rfc822;" or "utf-8;": without UTF-8 other characters as \x{HEX} (RFC 6533 §3). */
static void put_address(struct buf *out, struct view v, bool utf8)
{
    size_t end = out->n + FIELD_MAX;
    while (v.n > 0 && out->n + 16 <= end) {
        struct view at = v;
        uint32_t cp;
        if (utf8_next(&v, &cp) != RC_OK) {
            view_skip(&v, 1);
            buf_chr(out, '?');
        } else if (is_control(cp)) {
            buf_chr(out, '?');
        } else if (cp < 0x80 || utf8) {
            buf_add(out, view_slice(at, 0, at.n - v.n));
        } else {
            buf_printf(out, "\\x{%X}", (unsigned)cp);
        }
    }
}

/* Text for people: indented, broken at blanks. */
static void put_wrapped(struct buf *out, struct view text)
{
    size_t column = 0;
    while (text.n > 0) {
        struct view word;
        view_split(&text, ' ', &word);
        if (word.n == 0)
            continue;
        if (column > 0 && column + 1 + word.n > TEXT_WIDTH) {
            buf_str(out, "\r\n");
            column = 0;
        }
        buf_str(out, column == 0 ? "    " : " ");
        buf_add(out, word);
        column += word.n + 1;
    }
    if (column > 0)
        buf_str(out, "\r\n");
}

static void put_foreign_wrapped(struct buf *out, const char *before, struct view v, struct view by, bool utf8)
{
    struct buf line;
    buf_init(&line, 4 * FIELD_MAX);
    put_clean(&line, by, utf8);
    buf_str(&line, before);
    put_clean(&line, view_slice(v, 0, DSN_REPLY_MAX), utf8);
    put_wrapped(out, buf_view(&line));
    buf_clear(&line);
}

static void put_date(struct buf *out, int64_t ms)
{
    date_write((struct date){.utc = ms / 1000}, out);
}

/* --- the parts --- */

static bool has_action(const struct dsn *d, enum dsn_action action)
{
    for (size_t i = 0; i < d->n_rcpts; i++)
        if (d->rcpts[i].action == action)
            return true;
    return false;
}

static const char *subject_of(const struct dsn *d)
{
    if (has_action(d, DSN_FAILED))
        return "Your message could not be delivered";
    if (has_action(d, DSN_DELAYED))
        return "Your message is delayed";
    return "Your message was delivered";
}

static void put_boundary(struct buf *out, const struct dsn *d)
{
    buf_printf(out, "=_%016llx%016llx", (unsigned long long)d->unique[0], (unsigned long long)d->unique[1]);
}

static void put_header(struct buf *out, const struct dsn *d)
{
    buf_str(out, "From: Mail Delivery System <MAILER-DAEMON@");
    put_clean(out, d->domain.n > 0 ? d->domain : d->hostname, false);
    buf_str(out, ">\r\nTo: <");
    put_clean(out, d->to, d->utf8);
    buf_printf(out, ">\r\nSubject: %s\r\nDate: ", subject_of(d));
    put_date(out, d->now_ms);
    buf_printf(out, "\r\nMessage-ID: <%016llx.%llx@", (unsigned long long)d->unique[0], (unsigned long long)d->queue_id);
    put_clean(out, d->hostname, false);
    buf_str(out, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"");
    put_boundary(out, d);
    buf_str(out, "\"\r\n\r\n");
}

static void put_separator(struct buf *out, const struct dsn *d, const char *end)
{
    buf_str(out, "--");
    put_boundary(out, d);
    buf_str(out, end);
}

static const char *lead_of(enum dsn_action action)
{
    switch (action) {
    case DSN_FAILED:    return "Your message could not be delivered to the recipients below, and will not be\r\ntried again:\r\n";
    case DSN_DELAYED:   return "Your message has not been delivered yet to the recipients below. You need not do\r\n"
                               "anything: it will be tried again by itself:\r\n";
    case DSN_DELIVERED: return "Your message is in the mailboxes of the recipients below:\r\n";
    case DSN_RELAYED:   return "Your message was handed to the servers of the recipients below, which do not tell\r\n"
                               "what becomes of it:\r\n";
    case DSN_EXPANDED:  return "Your message was passed on to the members of the lists below:\r\n";
    }
    return "";
}

static void put_text_rcpt(struct buf *out, const struct dsn *d, const struct dsn_rcpt *r)
{
    buf_str(out, "\r\n<");
    put_clean(out, r->address, d->utf8);
    buf_str(out, ">\r\n");
    if (r->reply.n > 0 && r->action <= DSN_DELAYED)
        put_foreign_wrapped(out, r->mx.n > 0 ? " said: " : "", r->reply, r->mx, d->utf8);
    if (r->why.n > 0)
        put_foreign_wrapped(out, "", r->why, VIEW(""), d->utf8);
    if (r->action <= DSN_DELAYED)
        put_wrapped(out, view_str(dsn_advice(r->status)));
    if (r->action == DSN_DELAYED && r->retry_until_ms > 0) {
        buf_str(out, "    It will be tried until ");
        put_date(out, r->retry_until_ms);
        buf_str(out, ".\r\n");
    }
}

static void put_text(struct buf *out, const struct dsn *d)
{
    buf_printf(out, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", d->utf8 ? "utf-8" : "us-ascii",
               d->utf8 ? "8bit" : "7bit");
    buf_str(out, "This is the mail server at ");
    put_clean(out, d->hostname, false);
    buf_str(out, ".\r\n");
    for (int action = DSN_FAILED; action <= DSN_EXPANDED; action++) {
        if (!has_action(d, (enum dsn_action)action))
            continue;
        buf_str(out, "\r\n");
        buf_str(out, lead_of((enum dsn_action)action));
        for (size_t i = 0; i < d->n_rcpts; i++)
            if (d->rcpts[i].action == (enum dsn_action)action)
                put_text_rcpt(out, d, &d->rcpts[i]);
    }
    buf_printf(out, "\r\nThis server knows the message as %llx", (unsigned long long)d->queue_id);
    buf_str(out, ". Details for machines, and the message or\r\nits header, are attached.\r\n");
}

static void put_field(struct buf *out, const char *name, struct view value, bool utf8)
{
    if (value.n == 0)
        return;
    buf_str(out, name);
    put_clean(out, value, utf8);
    buf_str(out, "\r\n");
}

static const char *action_word(enum dsn_action action)
{
    static const char *const words[] = {"failed", "delayed", "delivered", "relayed", "expanded"};
    return words[action];
}

static void put_original_recipient(struct buf *out, const struct dsn *d, struct view orcpt)
{
    struct view address = orcpt, type;
    if (!view_split(&address, ';', &type) || type.n == 0 || address.n == 0)
        return;
    buf_str(out, "Original-Recipient: ");
    put_clean(out, view_slice(view_trim(type), 0, TYPE_MAX), false);
    buf_str(out, ";");
    put_address(out, address, d->utf8);
    buf_str(out, "\r\n");
}

/* RFC 3464 §2.3 */
static void put_status_rcpt(struct buf *out, const struct dsn *d, const struct dsn_rcpt *r)
{
    buf_str(out, "\r\n");
    put_original_recipient(out, d, r->orcpt);
    buf_str(out, view_is_ascii(r->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; ");
    put_address(out, r->address, d->utf8);
    buf_printf(out, "\r\nAction: %s\r\n", action_word(r->action));
    put_field(out, "Status: ", r->status, false);
    if (r->mx.n > 0) {
        buf_str(out, "Remote-MTA: dns; ");
        put_clean(out, r->mx, false);
        buf_str(out, "\r\n");
    }
    if (r->reply.n > 0) {
        buf_str(out, r->mx.n > 0 ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-facteur; ");
        put_clean(out, view_slice(r->reply, 0, DSN_REPLY_MAX), d->utf8);
        buf_str(out, "\r\n");
    }
    if (r->last_attempt_ms > 0) {
        buf_str(out, "Last-Attempt-Date: ");
        put_date(out, r->last_attempt_ms);
        buf_str(out, "\r\n");
    }
    if (r->action == DSN_DELAYED && r->retry_until_ms > 0) {
        buf_str(out, "Will-Retry-Until: ");
        put_date(out, r->retry_until_ms);
        buf_str(out, "\r\n");
    }
}

static void put_status(struct buf *out, const struct dsn *d)
{
    buf_printf(out, "Content-Type: message/%sdelivery-status\r\n%s\r\n", d->utf8 ? "global-" : "",
               d->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    put_field(out, "Original-Envelope-Id: ", d->envid, false);
    buf_str(out, "Reporting-MTA: dns; ");
    put_clean(out, d->hostname, false);
    buf_str(out, "\r\nArrival-Date: ");
    put_date(out, d->arrival_ms);
    buf_str(out, "\r\n");
    for (size_t i = 0; i < d->n_rcpts; i++)
        put_status_rcpt(out, d, &d->rcpts[i]);
}

/* Lines of the original as they are, but each ended by CRLF, none too long, and no CR or NUL inside. */
static void put_lines(struct buf *out, struct view in)
{
    struct view line;
    while (header_line(&in, &line)) {
        size_t column = 0;
        while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
            line.n--;
        for (size_t i = 0; i < line.n; i++) {
            char c = line.p[i];
            buf_chr(out, c == '\r' || c == '\0' ? ' ' : c);
            if (++column == 990 && i + 1 < line.n) {
                buf_str(out, "\r\n ");
                column = 1;
            }
        }
        buf_str(out, "\r\n");
    }
}

static void put_original(struct buf *out, const struct dsn *d)
{
    struct view header = header_of(d->original);
    struct view what = d->full ? d->original : view_slice(header, 0, DSN_HEADERS_MAX);
    const char *type = d->full ? (d->utf8 ? "message/global" : "message/rfc822")
                               : (d->utf8 ? "message/global-headers" : "text/rfc822-headers");
    buf_printf(out, "Content-Type: %s\r\n%s\r\n", type, view_is_ascii(what) ? "" : "Content-Transfer-Encoding: 8bit\r\n");
    put_lines(out, what);
}

enum rc dsn_write(const struct dsn *d, struct buf *out)
{
    put_header(out, d);
    put_separator(out, d, "\r\n");
    put_text(out, d);
    buf_str(out, "\r\n");
    put_separator(out, d, "\r\n");
    put_status(out, d);
    buf_str(out, "\r\n");
    put_separator(out, d, "\r\n");
    put_original(out, d);
    buf_str(out, "\r\n");
    put_separator(out, d, "--\r\n");
    return buf_rc(out);
}
