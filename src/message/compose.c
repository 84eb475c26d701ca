#include "message/compose.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "message/address.h"
#include "message/date.h"
#include "message/encoded.h"
#include "message/header.h"

#define LINE_MAX_BYTES 998 /* RFC 5322 §2.1.1, without CRLF */
#define FIELD_WORD_MAX 800 /* bytes of a further field that stand on one line */
#define PARAMETER_CUT  54  /* bytes of a file name's value on a line (RFC 2231 §3) */

/* --- addresses --- */

enum rc compose_mailbox_read(struct view text, struct arena *a, struct compose_mailbox *out)
{
    struct address *list = NULL;
    struct buf spec;
    if (view_has_ctl(text) || text.n > COMPOSE_FIELD_MAX || !utf8_is_valid(text))
        return RC_SYNTAX;
    enum rc rc = address_list_parse(text, a, &list);
    if (rc != RC_OK)
        return rc;
    if (!list || list->next || list->kind != ADDRESS_MAILBOX || list->bad || list->local.n == 0 || list->domain.n == 0 || list->route.n > 0 ||
        list->name.n > COMPOSE_NAME_MAX || list->local.n + list->domain.n >= COMPOSE_ADDRESS_MAX ||
        !view_is_ascii(list->local) || !view_is_ascii(list->domain))
        return RC_SYNTAX;
    buf_init(&spec, COMPOSE_FIELD_MAX);
    address_write_spec(list->local, list->domain, &spec);
    *out = (struct compose_mailbox){.name = list->name, .local = list->local, .domain = list->domain};
    rc = buf_rc(&spec) == RC_OK ? view_dup(a, buf_view(&spec), &out->address) : RC_SYNTAX;
    buf_clear(&spec);
    return rc;
}

static void write_mailboxes(struct buf *out, const char *field, const struct compose_mailbox *list, size_t n)
{
    struct buf line;
    if (n == 0)
        return;
    buf_init(&line, n * (COMPOSE_FIELD_MAX * 4));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_str(&line, ", ");
        address_write(list[i].name, list[i].local, list[i].domain, &line);
    }
    header_write(out, view_str(field), buf_view(&line));
    if (buf_rc(&line) != RC_OK && out->fail == RC_OK)
        out->fail = buf_rc(&line);
    buf_clear(&line);
}

/* --- fields --- */

static bool is_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (!is_alnum(c) && c != '-' && c != '_' && c != '.' && c != '+')
            return false;
    }
    return v.n > 0 && v.n <= COMPOSE_TYPE_MAX;
}

bool compose_may_set(struct view name)
{
    static const char *const names[] = {"In-Reply-To", "References", "Auto-Submitted", "Precedence", "Importance", "Priority", "Keywords",
                                        "Comments", "Organization", "Feedback-ID", "Sensitivity", "Expires", "TLS-Required",
                                        "Disposition-Notification-To"};
    if (!is_token(name) || view_chr(name, '.') != VIEW_NONE)
        return false;
    if (view_istarts(name, VIEW("X-Facteur-")))
        return false;
    if ((view_istarts(name, VIEW("X-")) && name.n > 2) || (view_istarts(name, VIEW("List-")) && name.n > 5))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (view_ieq(name, view_str(names[i])))
            return true;
    return false;
}

static void write_text(struct buf *out, const char *name, struct view value)
{
    struct buf words;
    buf_init(&words, value.n * 8 + 1024);
    encoded_write(value, &words);
    header_write(out, view_str(name), buf_view(&words));
    if (buf_rc(&words) != RC_OK && out->fail == RC_OK)
        out->fail = buf_rc(&words);
    buf_clear(&words);
}

/* Other than the words of a subject, those of a field may mean something: none is encoded for being long. */
static bool has_long_word(struct view v)
{
    struct view word;
    while (v.n > 0) {
        view_split(&v, ' ', &word);
        if (word.n > FIELD_WORD_MAX)
            return true;
    }
    return false;
}

static const char *check(const struct compose *c)
{
    if (view_has_ctl(c->subject) || !utf8_is_valid(c->subject) || c->subject.n > COMPOSE_FIELD_MAX)
        return "the subject is one line of UTF-8 text, of 2000 bytes at most";
    if (!utf8_is_valid(c->text) || !utf8_is_valid(c->html))
        return "text and html are UTF-8";
    if (c->n_fields > COMPOSE_FIELDS_MAX || c->n_parts > COMPOSE_PARTS_MAX)
        return "there are too many further header fields or attachments";
    for (size_t i = 0; i < c->n_fields; i++) {
        if (c->fields[i].name.n > COMPOSE_TYPE_MAX || !compose_may_set(c->fields[i].name))
            return "a header field may not be set here: X-..., List-... and others that tell of the message may";
        if (view_has_ctl(c->fields[i].value) || !utf8_is_valid(c->fields[i].value) || c->fields[i].value.n > COMPOSE_FIELD_MAX)
            return "a header field's value is one line of UTF-8 text, of 2000 bytes at most";
        if (has_long_word(c->fields[i].value))
            return "a header field's value has a word that is too long for a line";
    }
    for (size_t i = 0; i < c->n_parts; i++) {
        struct view rest = c->parts[i].type, major;
        if (c->parts[i].name.n > COMPOSE_FILENAME_MAX || view_has_ctl(c->parts[i].name) || !utf8_is_valid(c->parts[i].name))
            return "an attachment's name is UTF-8 text of 255 bytes at most";
        if (rest.n > 0 && (!view_split(&rest, '/', &major) || !is_token(major) || !is_token(rest)))
            return "an attachment's type is written like application/pdf, without parameters";
    }
    return NULL;
}

/* --- bodies --- */

/* Lines ended by CRLF, whatever they ended by. *plain: it can stand as it is in a message of 7 bits. */
static void normalise(struct view v, struct buf *out, bool *plain)
{
    size_t line = 0;
    *plain = true;
    while (v.n > 0) {
        int c = view_next(&v);
        if (c == '\r' || c == '\n') {
            if (c == '\r')
                view_take_chr(&v, '\n');
            buf_str(out, "\r\n");
            line = 0;
            continue;
        }
        *plain &= c != 0 && c < 0x80 && ++line <= LINE_MAX_BYTES;
        buf_chr(out, (char)c);
    }
    if (line > 0 || (out->n > 0 && !view_ends(buf_view(out), VIEW("\r\n"))))
        buf_str(out, "\r\n");
}

static void write_body(struct buf *out, const char *subtype, struct view text)
{
    struct buf lines;
    bool plain;
    buf_init(&lines, text.n * 2 + 16);
    normalise(text, &lines, &plain);
    buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", subtype, plain ? "7bit" : "base64");
    if (plain)
        buf_add(out, buf_view(&lines));
    else
        base64_encode_mime(buf_view(&lines), out);
    if (buf_rc(&lines) != RC_OK && out->fail == RC_OK)
        out->fail = buf_rc(&lines);
    buf_clear(&lines);
}

/* What may stand in a quoted string and confuses nobody. */
static bool is_simple_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '%')
            return false;
    }
    return v.n <= PARAMETER_CUT;
}

static size_t put_percent(struct buf *out, unsigned char c)
{
    if (is_alnum(c) || c == '-' || c == '_' || c == '.') {
        buf_chr(out, (char)c);
        return 1;
    }
    buf_printf(out, "%%%02X", c);
    return 3;
}

/* RFC 2231 §3, §4: in pieces, in UTF-8. */
static void write_filename(struct buf *out, struct view name)
{
    size_t on_line = PARAMETER_CUT;
    unsigned piece = 0;
    if (is_simple_name(name)) {
        buf_printf(out, ";\r\n\tfilename=\"%.*s\"", VIEW_FMT(name));
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (on_line + 3 > PARAMETER_CUT) {
            buf_printf(out, ";\r\n\tfilename*%u*=%s", piece, piece == 0 ? "utf-8''" : "");
            on_line = 0;
            piece++;
        }
        on_line += put_percent(out, (unsigned char)name.p[i]);
    }
}

/* A message or a multipart may not be encoded (RFC 2045 §6.4): such a file is bytes. */
static void write_part(struct buf *out, const struct compose_part *p)
{
    const bool is_bytes = p->type.n == 0 || view_istarts(p->type, VIEW("message/")) || view_istarts(p->type, VIEW("multipart/"));
    buf_str(out, "Content-Type: ");
    buf_line_part(out, is_bytes ? VIEW("application/octet-stream") : p->type);
    buf_str(out, "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment");
    if (p->name.n > 0)
        write_filename(out, p->name);
    buf_str(out, "\r\n\r\n");
    base64_encode_mime(p->bytes, out);
}

struct boundary {
    char text[48];
};

/* In no line of base64 is "=_", and no other line knows the random numbers. */
static struct boundary boundary_of(const struct compose *c, char kind)
{
    struct boundary b;
    struct buf text = {.max = sizeof b.text};
    buf_printf(&text, "=_%c%016llx%016llx", kind, (unsigned long long)c->unique[0], (unsigned long long)c->unique[1]);
    if (view_cstr(buf_view(&text), b.text, sizeof b.text) != RC_OK)
        b.text[0] = '\0';
    buf_clear(&text);
    return b;
}

static void write_content(struct buf *out, const struct compose *c)
{
    if (c->html.n == 0 || c->text.n == 0) {
        write_body(out, c->html.n > 0 ? "html" : "plain", c->html.n > 0 ? c->html : c->text);
        return;
    }
    const struct boundary b = boundary_of(c, 'a');
    buf_printf(out, "Content-Type: multipart/alternative;\r\n\tboundary=\"%s\"\r\n\r\n--%s\r\n", b.text, b.text);
    write_body(out, "plain", c->text);
    buf_printf(out, "\r\n--%s\r\n", b.text);
    write_body(out, "html", c->html); /* the best one last (RFC 2046 §5.1.4) */
    buf_printf(out, "\r\n--%s--\r\n", b.text);
}

enum rc compose_write(const struct compose *c, struct buf *out, const char **why)
{
    *why = check(c);
    if (*why)
        return RC_SYNTAX;
    write_mailboxes(out, "From", &c->from, 1);
    write_mailboxes(out, "Reply-To", c->reply_to, c->n_reply_to);
    write_mailboxes(out, "To", c->to, c->n_to);
    write_mailboxes(out, "Cc", c->cc, c->n_cc);
    write_text(out, "Subject", c->subject);
    buf_str(out, "Date: ");
    date_write((struct date){.utc = c->now_s}, out);
    buf_str(out, "\r\nMessage-ID: <");
    buf_line_part(out, c->message_id);
    buf_str(out, ">\r\n");
    for (size_t i = 0; i < c->n_fields; i++) {
        char name[COMPOSE_TYPE_MAX + 1];
        if (view_cstr(c->fields[i].name, name, sizeof name) == RC_OK)
            write_text(out, name, c->fields[i].value);
    }
    buf_str(out, "MIME-Version: 1.0\r\n");
    const struct boundary b = boundary_of(c, 'm');
    if (c->n_parts > 0)
        buf_printf(out, "Content-Type: multipart/mixed;\r\n\tboundary=\"%s\"\r\n\r\n--%s\r\n", b.text, b.text);
    write_content(out, c);
    for (size_t i = 0; i < c->n_parts; i++) {
        buf_printf(out, "\r\n--%s\r\n", b.text);
        write_part(out, &c->parts[i]);
    }
    if (c->n_parts > 0)
        buf_printf(out, "\r\n--%s--\r\n", b.text);
    *why = "the message is too large";
    return buf_rc(out);
}
