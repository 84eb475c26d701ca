/* smtp/client, first part: replies, greeting, EHLO, STARTTLS, AUTH. Transactions are in client_send.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "smtp/client_impl.h"

#define MINUTE_MS 60000

/* --- replies --- */

void client_say(struct smtp_client_reply *r, const char *status, const char *text)
{
    r->code = 0;
    snprintf(r->status, sizeof r->status, "%s", status);
    snprintf(r->text, sizeof r->text, "%s", text);
}

/* Printable text at the end of r->text, as far as there is room. */
static void add_text(struct smtp_client_reply *r, size_t *n, struct view v)
{
    while (v.n > 0 && *n + 5 < sizeof r->text) {
        struct view at = v;
        uint32_t cp;
        if (utf8_next(&v, &cp) != RC_OK) {
            view_skip(&v, 1);
            r->text[(*n)++] = '?';
        } else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
            r->text[(*n)++] = ' ';
        } else {
            memcpy(r->text + *n, at.p, at.n - v.n);
            *n += at.n - v.n;
        }
    }
    r->text[*n] = '\0';
}

/* RFC 2034: "5.1.1" at the front of the text, of the same class as the code. */
static void read_status(struct smtp_client_reply *r, struct view text)
{
    uint32_t cls, subject, detail;
    struct view in = text;
    if (view_u32(&in, 5, &cls) == RC_OK && cls == r->code / 100 && view_take_chr(&in, '.') &&
        view_u32(&in, 999, &subject) == RC_OK && view_take_chr(&in, '.') && view_u32(&in, 999, &detail) == RC_OK &&
        (in.n == 0 || is_wsp((unsigned char)in.p[0])))
        snprintf(r->status, sizeof r->status, "%u.%u.%u", cls, subject, detail);
    else
        snprintf(r->status, sizeof r->status, "%u.0.0", r->code / 100 % 10);
}

static enum rc no_reply(struct smtp_client_reply *r, enum rc rc)
{
    switch (rc) {
    case RC_TIMEOUT: client_say(r, "4.4.2", "the connection timed out"); break;
    case RC_CLOSED:  client_say(r, "4.4.2", "the connection was lost"); break;
    default:         client_say(r, "4.5.0", "the other side does not speak SMTP"); break;
    }
    return rc;
}

/* One line: its code, and whether more follow; *text is what stands behind, the blank included. */
static enum rc read_reply_line(struct smtp_client *c, unsigned lines_before, struct view *code, unsigned *number, bool *more,
                               struct view *text)
{
    uint64_t n;
    enum rc rc = conn_line(c->conn, SMTP_REPLY_LINE_MAX, text);
    if (rc == RC_OK && lines_before == SMTP_REPLY_LINES_MAX)
        rc = RC_LIMIT;
    if (rc != RC_OK)
        return rc;
    *code = view_slice(*text, 0, 3);
    if (code->n != 3 || !view_is_u64(*code, 599, &n) || n < 200)
        return RC_SYNTAX;
    *number = (unsigned)n;
    view_skip(text, 3);
    *more = view_take_chr(text, '-');
    return RC_OK;
}

enum rc client_read_reply(struct smtp_client *c, int64_t timeout_ms, struct smtp_client_reply *r)
{
    size_t n = 0;
    *r = (struct smtp_client_reply){0};
    conn_deadline(c->conn, deadline_in(timeout_ms));
    for (unsigned lines = 0;; lines++) {
        struct view line, code;
        unsigned number;
        bool more;
        enum rc rc = read_reply_line(c, lines, &code, &number, &more, &line);
        if (rc == RC_OK && r->code && number != r->code)
            rc = RC_SYNTAX;
        if (rc != RC_OK)
            return no_reply(r, rc);
        if (!more && line.n > 0 && !view_take_chr(&line, ' '))
            return no_reply(r, RC_SYNTAX);
        if (!r->code) {
            r->code = number;
            read_status(r, line);
            add_text(r, &n, code);
        }
        add_text(r, &n, VIEW(" "));
        add_text(r, &n, line);
        if (!more)
            return RC_OK;
    }
}

/* --- EHLO --- */

static void read_limits(struct smtp_client *c, struct view in)
{
    while (in.n > 0) { /* RFC 9422 §3 */
        struct view word, name;
        uint64_t n;
        view_split(&in, ' ', &word);
        if (!view_split(&word, '=', &name) || !view_is_u64(word, 1000000, &n) || n == 0)
            continue;
        if (view_ieq(name, VIEW("RCPTMAX")))
            c->rcpt_max = (size_t)n;
        else if (view_ieq(name, VIEW("MAILMAX")))
            c->mail_max = (size_t)n;
    }
}

static void read_extension(struct smtp_client *c, struct view line)
{
    static const struct {
        struct view name;
        unsigned ext;
    } known[] = {
        {VIEW_INIT("PIPELINING"), EXT_PIPELINING}, {VIEW_INIT("8BITMIME"), EXT_8BITMIME},     {VIEW_INIT("SMTPUTF8"), EXT_SMTPUTF8},
        {VIEW_INIT("CHUNKING"), EXT_CHUNKING},     {VIEW_INIT("BINARYMIME"), EXT_BINARYMIME}, {VIEW_INIT("DSN"), EXT_DSN},
        {VIEW_INIT("STARTTLS"), EXT_STARTTLS},     {VIEW_INIT("SIZE"), EXT_SIZE},             {VIEW_INIT("MT-PRIORITY"), EXT_PRIORITY},
        {VIEW_INIT("DELIVERBY"), EXT_DELIVERBY},   {VIEW_INIT("REQUIRETLS"), EXT_REQUIRETLS},
    };
    struct view name;
    view_split(&line, ' ', &name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (view_ieq(name, known[i].name))
            c->ext |= known[i].ext;
    if (view_ieq(name, VIEW("SIZE"))) {
        if (!view_is_u64(view_trim(line), UINT64_MAX, &c->size_max))
            c->size_max = 0;
    } else if (view_ieq(name, VIEW("DELIVERBY"))) {
        if (!view_is_u64(view_trim(line), UINT64_MAX, &c->min_by))
            c->min_by = 0;
    } else if (view_ieq(name, VIEW("LIMITS"))) {
        read_limits(c, line);
    } else if (view_ieq(name, VIEW("AUTH"))) {
        for (struct view word; line.n > 0;) {
            view_split(&line, ' ', &word);
            if (view_ieq(word, VIEW("PLAIN")))
                c->ext |= EXT_AUTH_PLAIN;
        }
    }
}

/* EHLO's reply is read line by line: it is the one that is more than a text. */
static enum rc read_ehlo(struct smtp_client *c, struct smtp_client_reply *r)
{
    *r = (struct smtp_client_reply){0};
    conn_deadline(c->conn, deadline_in(c->set.mail_ms));
    for (unsigned lines = 0;; lines++) {
        struct view line, code;
        unsigned number;
        bool more;
        enum rc rc = read_reply_line(c, lines, &code, &number, &more, &line);
        if (rc != RC_OK)
            return no_reply(r, rc);
        view_take_chr(&line, ' ');
        if (lines == 0) {
            size_t n = 0;
            r->code = number;
            read_status(r, line);
            add_text(r, &n, code);
            add_text(r, &n, VIEW(" "));
            add_text(r, &n, line);
        } else if (number == 250) {
            read_extension(c, line);
        }
        if (!more)
            return RC_OK;
    }
}

static enum rc say_hello(struct smtp_client *c, struct smtp_client_reply *r)
{
    c->ext = 0;
    c->size_max = c->min_by = 0;
    c->rcpt_max = c->mail_max = 0;
    conn_deadline(c->conn, deadline_in(c->set.mail_ms));
    conn_printf(c->conn, "EHLO %s\r\n", c->set.hostname);
    enum rc rc = conn_flush(c->conn);
    if (rc == RC_OK)
        rc = read_ehlo(c, r);
    else
        no_reply(r, rc);
    if (rc == RC_OK && r->code >= 500) { /* RFC 5321 §3.2: an old one */
        conn_printf(c->conn, "HELO %s\r\n", c->set.hostname);
        rc = conn_flush(c->conn);
        if (rc == RC_OK)
            rc = client_read_reply(c, c->set.mail_ms, r);
        else
            no_reply(r, rc);
    }
    if (rc == RC_OK && r->code / 100 != 2)
        return RC_TEMP;
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* --- TLS and login --- */

static void report(const struct smtp_client_target *to, int stage, enum tls_fault fault, const char *reason)
{
    if (!to->report)
        return;
    to->report->stage = stage;
    to->report->fault = fault;
    snprintf(to->report->reason, sizeof to->report->reason, "%.250s", reason);
}

/* What fails here fails for this level: where TLS was a bonus, another try in clear may follow. */
static enum rc without_tls(const struct smtp_client_target *to)
{
    return to->level >= SMTP_TLS_ENCRYPTED ? RC_TEMP : RC_DENIED;
}

static enum rc start_tls(struct smtp_client *c, const struct smtp_client_target *to, struct smtp_client_reply *r)
{
    struct conn_tls_options o = {.server_name = to->proof.server_name ? to->proof.server_name : to->host,
                                 .names = to->proof.names, .n_names = to->proof.n_names,
                                 .records = to->proof.records, .n_records = to->proof.n_records,
                                 .old_versions = to->proof.old_versions, .verify = to->level == SMTP_TLS_VERIFIED, .why = ""};
    struct tls_info info;
    conn_deadline(c->conn, deadline_in(c->set.mail_ms));
    conn_write(c->conn, VIEW("STARTTLS\r\n"));
    enum rc rc = conn_flush(c->conn);
    if (rc != RC_OK)
        no_reply(r, rc);
    else
        rc = client_read_reply(c, c->set.mail_ms, r);
    if (rc != RC_OK) {
        report(to, SMTP_TLS_REFUSED, TLS_FAULT_HANDSHAKE, "no reply to STARTTLS");
        return RC_TEMP;
    }
    if (r->code != 220) {
        report(to, SMTP_TLS_REFUSED, TLS_FAULT_HANDSHAKE, r->text);
        return without_tls(to);
    }
    conn_deadline(c->conn, deadline_in(c->set.mail_ms < MINUTE_MS ? c->set.mail_ms : MINUTE_MS));
    rc = conn_start_tls_client(c->conn, to->tls, &o);
    if (rc != RC_OK) {
        char text[SMTP_REPLY_TEXT_MAX];
        snprintf(text, sizeof text, "TLS could not be started: %.500s", o.why && *o.why ? o.why : rc_name(rc));
        client_say(r, "4.7.5", text);
        report(to, SMTP_TLS_FAILED, o.fault, o.why && *o.why ? o.why : rc_name(rc));
        return without_tls(to);
    }
    if (conn_tls(c->conn, &info)) {
        snprintf(c->tls_version, sizeof c->tls_version, "%s", info.version);
        c->verified = info.peer_verified;
        report(to, SMTP_TLS_DONE, o.fault, info.peer_error);
    }
    return say_hello(c, r);
}

/* RFC 4616 in RFC 4954, with an initial response. Only over TLS whose certificate holds. */
static enum rc log_in(struct smtp_client *c, struct smtp_client_reply *r)
{
    struct buf plain, line;
    if (!c->verified || !(c->ext & EXT_AUTH_PLAIN)) {
        client_say(r, "4.7.0", !c->verified ? "the relay host's TLS is not verified, so no password is sent"
                                            : "the relay host does not offer AUTH PLAIN");
        return RC_TEMP;
    }
    buf_init(&plain, 4096);
    buf_init(&line, 8192);
    buf_chr(&plain, '\0');
    buf_str(&plain, c->set.username);
    buf_chr(&plain, '\0');
    buf_str(&plain, c->set.password);
    buf_str(&line, "AUTH PLAIN ");
    base64_encode(buf_view(&plain), &line);
    buf_str(&line, "\r\n");
    enum rc rc = plain.fail == RC_OK && line.fail == RC_OK ? RC_OK : RC_TEMP;
    if (rc == RC_OK) {
        conn_write(c->conn, buf_view(&line));
        rc = conn_flush(c->conn);
    }
    buf_wipe(&plain);
    buf_wipe(&line);
    buf_clear(&plain);
    buf_clear(&line);
    if (rc == RC_OK)
        rc = client_read_reply(c, c->set.mail_ms, r);
    else
        no_reply(r, rc);
    /* A password that is wrong now may be mended: mail waits. */
    return rc == RC_OK && r->code == 235 ? RC_OK : RC_TEMP;
}

static enum rc converse(struct smtp_client *c, const struct smtp_client_target *to, struct smtp_client_reply *r)
{
    bool has_login = c->set.username && *c->set.username;
    if (client_read_reply(c, c->set.greeting_ms, r) != RC_OK || r->code != 220)
        return RC_TEMP;
    enum rc rc = say_hello(c, r);
    if (rc != RC_OK)
        return rc;
    if (to->level != SMTP_TLS_NONE && to->tls && (c->ext & EXT_STARTTLS))
        rc = start_tls(c, to, r);
    else if (!(c->ext & EXT_STARTTLS))
        report(to, SMTP_TLS_NOT_OFFERED, TLS_FAULT_HANDSHAKE, "STARTTLS is not offered");
    if (rc == RC_OK && !c->tls_version[0] && (to->level >= SMTP_TLS_ENCRYPTED || has_login || to->require_tls)) {
        client_say(r, "4.7.4", "the host does not offer TLS, which is required");
        rc = RC_TEMP;
    }
    if (rc == RC_OK && to->require_tls && !(c->ext & EXT_REQUIRETLS)) {
        client_say(r, "5.7.30", "the host does not offer REQUIRETLS, which the sender of the message demands");
        rc = RC_TEMP;
    }
    if (rc == RC_OK && has_login)
        rc = log_in(c, r);
    return rc;
}

/* --- life --- */

static void fill_times(struct smtp_client_settings *s)
{
    struct {
        int64_t *ms, rfc;
    } times[] = {{&s->connect_ms, MINUTE_MS / 2}, {&s->greeting_ms, 5 * MINUTE_MS}, {&s->mail_ms, 5 * MINUTE_MS},
                 {&s->rcpt_ms, 5 * MINUTE_MS},    {&s->data_init_ms, 2 * MINUTE_MS}, {&s->data_block_ms, 3 * MINUTE_MS},
                 {&s->data_end_ms, 10 * MINUTE_MS}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (*times[i].ms <= 0)
            *times[i].ms = times[i].rfc;
}

/* Nobody is there any more to say QUIT to. */
static bool is_lost(const struct smtp_client_reply *r)
{
    struct view status = view_str(r->status);
    return r->code == 0 && (view_eq(status, VIEW("4.4.2")) || view_eq(status, VIEW("4.5.0")) || view_eq(status, VIEW("4.7.5")));
}

enum rc smtp_client_start(const struct smtp_client_settings *set, struct conn *conn, const struct smtp_client_target *to,
                          struct smtp_client **out, struct smtp_client_reply *why)
{
    struct smtp_client *c = calloc(1, sizeof *c);
    if (!c) {
        conn_free(conn);
        client_say(why, "4.3.0", "out of memory");
        return RC_TEMP;
    }
    c->set = *set;
    c->conn = conn;
    c->grade = to->grade;
    snprintf(c->policy, sizeof c->policy, "%s", to->policy ? to->policy : "");
    fill_times(&c->set);
    if (to->report)
        *to->report = (struct smtp_client_tls_report){.local = *conn_local(conn), .peer = *conn_peer(conn)};
    if (to->on_conn)
        to->on_conn(to->ctx, conn);
    snprintf(c->host, sizeof c->host, "%s", to->host ? to->host : "");
    enum rc rc = converse(c, to, why);
    c->set.hostname = c->set.username = c->set.password = NULL;
    if (rc == RC_OK) {
        *out = c;
        return RC_OK;
    }
    if (to->on_conn)
        to->on_conn(to->ctx, NULL);
    smtp_client_close(c, !is_lost(why));
    return rc;
}

enum rc smtp_client_open(const struct smtp_client_settings *set, const struct smtp_client_target *to,
                         struct smtp_client **out, struct smtp_client_reply *why)
{
    struct smtp_client_settings times = *set;
    struct conn *conn;
    const char *words = "";
    fill_times(&times);
    if (to->report)
        *to->report = (struct smtp_client_tls_report){0};
    enum rc rc = conn_dial(to->addr, to->bind, deadline_in(times.connect_ms), &conn, &words);
    if (rc != RC_OK) {
        client_say(why, "4.4.1", rc == RC_TIMEOUT ? "the connection timed out" : words && *words ? words : "cannot connect");
        return RC_TEMP;
    }
    return smtp_client_start(set, conn, to, out, why);
}

const char *smtp_client_host(const struct smtp_client *c)
{
    return c->host;
}

unsigned smtp_client_grade(const struct smtp_client *c)
{
    return c->grade;
}

const char *smtp_client_policy(const struct smtp_client *c)
{
    return c->policy;
}

const char *smtp_client_tls_version(const struct smtp_client *c)
{
    return c->tls_version;
}

bool smtp_client_has_dsn(const struct smtp_client *c)
{
    return (c->ext & EXT_DSN) != 0;
}

unsigned smtp_client_sent(const struct smtp_client *c)
{
    return c->sent;
}

bool smtp_client_is_spent(const struct smtp_client *c)
{
    return c->mail_max > 0 && c->sent >= c->mail_max;
}

struct conn *smtp_client_conn(struct smtp_client *c)
{
    return c->conn;
}

void smtp_client_close(struct smtp_client *c, bool polite)
{
    struct smtp_client_reply r;
    if (!c)
        return;
    if (polite) {
        conn_deadline(c->conn, deadline_in(2000));
        conn_write(c->conn, VIEW("QUIT\r\n"));
        if (conn_flush(c->conn) == RC_OK)
            client_read_reply(c, 2000, &r); /* RFC 5321 §4.1.1.10: waits, but what is said does not matter */
    }
    conn_free(c->conn);
    free(c);
}
