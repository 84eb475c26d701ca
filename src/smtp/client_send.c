/* smtp/client, second part: transactions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "dns/dns.h"
#include "message/header.h"
#include "smtp/client_impl.h"

#define DATA_MIN_RATE 1000               /* bytes a second, else the peer is too slow */
#define DATA_END_MS   (4 * 3600 * 1000)  /* no message takes longer */
#define LINE_TEXT_MAX 998                /* RFC 5321 §4.5.3.1.6 */

struct transaction {
    struct smtp_client *c;
    struct smtp_client_mail *m;
    struct arena *a;
    bool need_8bit, need_binary, need_utf8;
    struct smtp_client_rcpt **sent; /* those whose RCPT goes out in this transaction */
    size_t n_sent;
    bool *accepted;                 /* of sent */
    size_t n_accepted;
    bool mail_done;                 /* MAIL was answered */
    bool open;                      /* MAIL was accepted, and no data has ended it */
};

/* --- what the message needs --- */

/* Only bytes that DATA can carry as they are: CRLF lines that are not too long, no NUL. */
static bool is_text(struct view in)
{
    struct view line;
    if (in.n > 0 && memchr(in.p, '\0', in.n))
        return false;
    while (header_line(&in, &line)) {
        bool ended = view_ends(line, VIEW("\r\n"));
        line.n -= ended ? 2 : 0;
        if (line.n > LINE_TEXT_MAX || view_chr(line, '\r') != VIEW_NONE || view_chr(line, '\n') != VIEW_NONE ||
            (!ended && in.n > 0))
            return false;
    }
    return true;
}

/* Nothing in it can end the path or the line: outside of quotes no blank or angle (RFC 5321 §4.1.2). */
static bool is_safe(struct view address)
{
    bool quoted = false;
    if (view_has_ctl(address))
        return false;
    while (address.n > 0) {
        int c = view_next(&address);
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted && view_next(&address) < 0)
            return false;
        else if (!quoted && (c == ' ' || c == '<' || c == '>'))
            return false;
    }
    return !quoted;
}

static struct smtp_client_reply *own_words(struct transaction *t, const char *status, const char *text)
{
    struct smtp_client_reply *r = arena_new(t->a, struct smtp_client_reply);
    if (r)
        client_say(r, status, text);
    return r;
}

static void refuse(struct transaction *t, struct smtp_client_rcpt *r, const char *status, const char *text)
{
    r->result = SMTP_RCPT_REFUSED;
    r->reply = own_words(t, status, text);
}

static void refuse_all(struct transaction *t, const char *status, const char *text)
{
    for (size_t i = 0; i < t->m->n_rcpts; i++)
        if (t->m->rcpts[i].result == SMTP_RCPT_UNTRIED)
            refuse(t, &t->m->rcpts[i], status, text);
}

/* For a host without SMTPUTF8 a domain can be written in A-labels; a local part cannot (RFC 6531 §3.5). */
static bool downgrade_address(struct transaction *t, struct view *address)
{
    size_t at = view_rchr(*address, '@');
    struct view domain;
    if (view_is_ascii(*address))
        return true;
    if (at == VIEW_NONE || !view_is_ascii(view_slice(*address, 0, at)) ||
        dns_domain_ascii(view_from(*address, at + 1), t->a, &domain) != RC_OK)
        return false;
    char *text = arena_printf(t->a, "%.*s@%.*s", (int)at, address->p, VIEW_FMT(domain));
    *address = view_str(text);
    return text != NULL;
}

/* Refuses what this host can never take. False: nothing is left to send. */
static bool look_at_needs(struct transaction *t)
{
    struct smtp_client *c = t->c;
    struct smtp_client_mail *m = t->m;
    bool utf8 = false;
    t->need_8bit = !view_is_ascii(m->bytes) || !view_is_ascii(m->front);
    t->need_binary = m->body == SMTP_BODY_BINARY && !is_text(m->bytes);
    if (!is_safe(m->sender))
        refuse_all(t, "5.1.7", "the sender's address cannot be written in SMTP");
    if (c->size_max > 0 && m->front.n + m->bytes.n > c->size_max)
        refuse_all(t, "5.3.4", "the message is larger than the host takes (SIZE)");
    if (t->need_binary && (c->ext & (EXT_BINARYMIME | EXT_CHUNKING)) != (EXT_BINARYMIME | EXT_CHUNKING))
        refuse_all(t, "5.6.3", "the message is binary, which the host cannot take (no BINARYMIME)");
    if (t->need_8bit && !(c->ext & EXT_8BITMIME) && !(t->need_binary && (c->ext & EXT_BINARYMIME)))
        refuse_all(t, "5.6.3", "the message has 8-bit text, which the host cannot take (no 8BITMIME)");
    if (c->ext & EXT_SMTPUTF8) {
        utf8 = !view_is_ascii(m->sender) || (m->smtputf8 && !view_is_ascii(header_of(m->bytes)));
    } else if (!downgrade_address(t, &m->sender) || (m->smtputf8 && !view_is_ascii(header_of(m->bytes)))) {
        refuse_all(t, "5.6.7", "the message needs international addresses, which the host does not know (no SMTPUTF8)");
    }
    /* RFC 2852 §4.1.4.1 */
    if (m->has_deliver_by && m->deliver_by_return &&
        (!(c->ext & EXT_DELIVERBY) || m->deliver_by_s <= 0 || c->min_by > (uint64_t)m->deliver_by_s))
        refuse_all(t, "5.3.3", "the host cannot keep the delivery time that was asked for (DELIVERBY)");
    bool left = false;
    for (size_t i = 0; i < m->n_rcpts; i++) {
        struct smtp_client_rcpt *r = &m->rcpts[i];
        if (r->result != SMTP_RCPT_UNTRIED)
            continue;
        if (!is_safe(r->address) || r->address.n == 0)
            refuse(t, r, "5.1.3", "the address cannot be written in SMTP");
        else if (!(c->ext & EXT_SMTPUTF8) && !downgrade_address(t, &r->address))
            refuse(t, r, "5.6.7", "the address is international, which the host does not know (no SMTPUTF8)");
        else
            left = true;
        utf8 |= !view_is_ascii(r->address);
    }
    t->need_utf8 = utf8 && (c->ext & EXT_SMTPUTF8);
    return left;
}

/* --- commands --- */

/* RFC 3461 §4 */
static void put_xtext(struct buf *out, struct view v)
{
    while (v.n > 0) {
        int c = view_next(&v);
        if (c < '!' || c > '~' || c == '+' || c == '=')
            buf_printf(out, "+%02X", (unsigned)c);
        else
            buf_chr(out, (char)c);
    }
}

/* RFC 6533 §3, utf-8-addr-xtext */
static void put_utf8_xtext(struct buf *out, struct view v)
{
    uint32_t cp;
    while (utf8_next(&v, &cp) == RC_OK) {
        if (cp < '!' || cp > '~' || cp == '+' || cp == '=' || cp == '\\')
            buf_printf(out, "\\x{%X}", (unsigned)cp);
        else
            buf_chr(out, (char)cp);
    }
}

static void write_mail(struct transaction *t)
{
    const struct smtp_client_mail *m = t->m;
    unsigned ext = t->c->ext;
    struct buf line;
    buf_init(&line, 8192);
    buf_str(&line, "MAIL FROM:<");
    buf_line_part(&line, m->sender);
    buf_chr(&line, '>');
    if (ext & EXT_SIZE)
        buf_printf(&line, " SIZE=%zu", m->front.n + m->bytes.n);
    if (t->need_binary)
        buf_str(&line, " BODY=BINARYMIME");
    else if (t->need_8bit && (ext & EXT_8BITMIME))
        buf_str(&line, " BODY=8BITMIME");
    if (t->need_utf8)
        buf_str(&line, " SMTPUTF8");
    if ((ext & EXT_REQUIRETLS) && m->require_tls)
        buf_str(&line, " REQUIRETLS");
    if ((ext & EXT_DSN) && (m->ret_full || m->ret_hdrs))
        buf_str(&line, m->ret_full ? " RET=FULL" : " RET=HDRS");
    if ((ext & EXT_DSN) && m->envid.n > 0) {
        buf_str(&line, " ENVID=");
        put_xtext(&line, m->envid);
    }
    if ((ext & EXT_PRIORITY) && m->priority != 0)
        buf_printf(&line, " MT-PRIORITY=%d", m->priority);
    if ((ext & EXT_DELIVERBY) && m->has_deliver_by)
        buf_printf(&line, " BY=%lld;%c%s", (long long)m->deliver_by_s, m->deliver_by_return ? 'R' : 'N',
                   m->deliver_by_trace ? "T" : "");
    buf_str(&line, "\r\n");
    conn_write(t->c->conn, buf_rc(&line) == RC_OK ? buf_view(&line) : VIEW("RSET\r\n"));
    buf_clear(&line);
}

static void put_orcpt(struct buf *out, struct view orcpt)
{
    struct view address = orcpt, type;
    if (!view_split(&address, ';', &type) || type.n == 0 || address.n == 0)
        return;
    buf_str(out, " ORCPT=");
    put_xtext(out, type);
    buf_chr(out, ';');
    if (view_ieq(type, VIEW("utf-8")))
        put_utf8_xtext(out, address);
    else
        put_xtext(out, address);
}

static void put_notify(struct buf *out, unsigned notify)
{
    static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    const char *separator = " NOTIFY=";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(notify & 1u << i))
            continue;
        buf_str(out, separator);
        buf_str(out, words[i]);
        separator = ",";
    }
}

static void write_rcpt(struct transaction *t, const struct smtp_client_rcpt *r)
{
    struct buf line;
    buf_init(&line, 8192);
    buf_str(&line, "RCPT TO:<");
    buf_line_part(&line, r->address);
    buf_chr(&line, '>');
    if (t->c->ext & EXT_DSN) {
        put_notify(&line, r->notify);
        put_orcpt(&line, r->orcpt);
    }
    buf_str(&line, "\r\n");
    conn_write(t->c->conn, buf_rc(&line) == RC_OK ? buf_view(&line) : VIEW("NOOP\r\n"));
    buf_clear(&line);
}

/* --- results --- */

static void settle(struct smtp_client_rcpt *r, struct smtp_client_reply *reply)
{
    r->reply = reply;
    if (reply && reply->code / 100 == 2)
        r->result = SMTP_RCPT_ACCEPTED;
    else
        r->result = reply && smtp_client_reply_is_permanent(reply) ? SMTP_RCPT_REFUSED : SMTP_RCPT_DEFERRED;
}

/* For those who have no word of their own. */
static void settle_open(struct transaction *t, struct smtp_client_reply *reply)
{
    for (size_t i = 0; i < t->n_sent; i++)
        if (t->accepted[i] || (t->sent[i]->result == SMTP_RCPT_UNTRIED && !t->sent[i]->reply))
            settle(t->sent[i], reply);
}

/* RFC 5321 §4.5.3.1.10: too many for this transaction, not a word on the mailbox. 552 stands for 452 there. */
static bool is_too_many(const struct smtp_client_reply *r)
{
    if (r->code != 452 && r->code != 552 && r->code != 451)
        return false;
    struct view status = view_str(r->status);
    return view_ends(status, VIEW(".5.3")) || (r->code != 451 && view_ends(status, VIEW(".0.0")));
}

static void take_rcpt_reply(struct transaction *t, size_t i, struct smtp_client_reply *reply)
{
    struct smtp_client_rcpt *r = t->sent[i];
    if (reply->code / 100 == 2) {
        t->accepted[i] = true;
        t->n_accepted++;
    } else if (is_too_many(reply) && t->n_accepted > 0) {
        r->reply = reply; /* stays untried */
    } else {
        settle(r, reply);
    }
}

static enum rc read_reply(struct transaction *t, int64_t timeout_ms, struct smtp_client_reply **out)
{
    static struct smtp_client_reply no_memory = {.status = "4.3.0", .text = "out of memory"};
    *out = arena_new(t->a, struct smtp_client_reply);
    if (!*out) {
        *out = &no_memory;
        return RC_TEMP;
    }
    enum rc rc = client_read_reply(t->c, timeout_ms, *out);
    unsigned code = (*out)->code;
    if (rc == RC_OK && (code == 421 || (code / 100 == 3 && code != 354)))
        return RC_CLOSED; /* RFC 5321 §3.8: they close; a stray 3yz leaves nothing to trust */
    return rc;
}

/* --- the transaction --- */

/* Only the first RCPTs go beside MAIL: an unanswered command more than the peer can buffer would lock both sides up. */
static enum rc send_envelope(struct transaction *t, bool data_too, struct smtp_client_reply **data_reply)
{
    struct smtp_client *c = t->c;
    struct smtp_client_reply *reply = NULL;
    bool pipelined = (c->ext & EXT_PIPELINING) != 0;
    size_t batch = pipelined ? SMTP_CLIENT_RCPTS : 1;
    enum rc rc = RC_OK;
    conn_deadline(c->conn, deadline_in(c->set.mail_ms));
    write_mail(t);
    if (!pipelined) {
        rc = conn_flush(c->conn);
        if (rc == RC_OK)
            rc = read_reply(t, c->set.mail_ms, &reply);
        if (rc != RC_OK)
            goto lost;
        t->mail_done = true;
        t->open = reply->code / 100 == 2;
        if (!t->open) {
            settle_open(t, reply);
            return RC_OK;
        }
    }
    for (size_t i = 0; i < t->n_sent && rc == RC_OK; i += batch) {
        size_t end = i + batch < t->n_sent ? i + batch : t->n_sent;
        bool last = end == t->n_sent;
        for (size_t k = i; k < end; k++)
            write_rcpt(t, t->sent[k]);
        if (last && data_too && pipelined)
            conn_write(c->conn, VIEW("DATA\r\n"));
        rc = conn_flush(c->conn);
        if (rc != RC_OK)
            reply = NULL;
        if (rc == RC_OK && !t->mail_done) {
            rc = read_reply(t, c->set.mail_ms, &reply);
            if (rc != RC_OK)
                goto lost;
            t->mail_done = true;
            t->open = reply->code / 100 == 2;
            if (!t->open)
                settle_open(t, reply);
        }
        for (size_t k = i; k < end && rc == RC_OK; k++) {
            rc = read_reply(t, c->set.rcpt_ms, &reply);
            if (rc == RC_OK && t->open)
                take_rcpt_reply(t, k, reply);
        }
        if (rc == RC_OK && last && data_too && pipelined)
            rc = read_reply(t, c->set.data_init_ms, data_reply);
        if (!t->open && !last)
            return rc;
    }
    if (rc == RC_OK)
        return RC_OK;
lost:
    if (!reply || reply->code / 100 == 2)
        reply = own_words(t, "4.4.2", rc == RC_TIMEOUT ? "the connection timed out" : "the connection was lost");
    if (t->mail_done || c->sent <= 1)
        settle_open(t, reply);
    return rc == RC_OK ? RC_CLOSED : rc;
}

/* The message is written: its reply settles all recipients that are open. */
static enum rc end_message(struct transaction *t, struct smtp_client_reply **reply)
{
    enum rc rc = conn_flush(t->c->conn);
    *reply = NULL;
    if (rc == RC_OK)
        rc = read_reply(t, t->c->set.data_end_ms, reply);
    else
        *reply = own_words(t, "4.4.2", "the connection was lost while the message was sent");
    settle_open(t, *reply);
    return rc;
}

/* After 354. */
static enum rc send_data(struct transaction *t)
{
    struct smtp_client *c = t->c;
    struct smtp_client_reply *reply;
    conn_progress(c->conn, c->set.data_block_ms, DATA_MIN_RATE, DATA_END_MS);
    if (t->n_accepted > 0)
        client_write_data(c->conn, t->m->front, t->m->bytes);
    else
        client_write_data(c->conn, VIEW(""), VIEW(""));
    enum rc rc = end_message(t, &reply);
    t->open = false;
    return rc;
}

static enum rc send_bdat(struct transaction *t)
{
    struct smtp_client *c = t->c;
    struct smtp_client_reply *reply;
    conn_progress(c->conn, c->set.data_block_ms, DATA_MIN_RATE, DATA_END_MS);
    conn_printf(c->conn, "BDAT %zu LAST\r\n", t->m->front.n + t->m->bytes.n);
    conn_write(c->conn, t->m->front);
    conn_write(c->conn, t->m->bytes);
    enum rc rc = end_message(t, &reply);
    t->open = reply && reply->code / 100 != 2; /* RFC 3030 §2: after a failed BDAT a RSET is needed */
    return rc;
}

static enum rc ask_for_data(struct transaction *t, struct smtp_client_reply **reply)
{
    conn_deadline(t->c->conn, deadline_in(t->c->set.data_init_ms));
    conn_write(t->c->conn, VIEW("DATA\r\n"));
    enum rc rc = conn_flush(t->c->conn);
    if (rc == RC_OK)
        return read_reply(t, t->c->set.data_init_ms, reply);
    *reply = own_words(t, "4.4.2", "the connection was lost");
    return rc;
}

/* Replies and commands no longer match: who was accepted is tried again by another connection. */
static enum rc give_up(struct transaction *t, const char *text)
{
    settle_open(t, own_words(t, "4.5.0", text));
    return RC_CLOSED;
}

static enum rc run(struct transaction *t)
{
    struct smtp_client *c = t->c;
    struct smtp_client_reply *reply = NULL;
    bool bdat = (c->ext & EXT_CHUNKING) != 0;
    c->sent++;
    enum rc rc = send_envelope(t, !bdat, &reply);
    if (rc != RC_OK)
        return rc;
    if (bdat && t->n_accepted > 0 && conn_has_input(c->conn)) {
        rc = give_up(t, "the host sent more replies than there were commands"); /* else one is taken for the message's */
    } else if (bdat && t->n_accepted > 0) {
        rc = send_bdat(t);
    } else if (!bdat) {
        if (!reply && t->n_accepted > 0)
            rc = ask_for_data(t, &reply);
        if (rc == RC_OK && reply && reply->code == 354) {
            rc = send_data(t);
        } else if (rc == RC_OK && reply && reply->code / 100 == 2) {
            /* A success without 354 has taken nothing, and who counts replies otherwise than we do is not to be asked again. */
            rc = give_up(t, "the host answered DATA with a success before it had the message");
        } else if (reply) {
            settle_open(t, reply);
        }
    }
    if (rc == RC_OK && t->open) {
        conn_deadline(c->conn, deadline_in(c->set.mail_ms));
        conn_write(c->conn, VIEW("RSET\r\n"));
        rc = conn_flush(c->conn);
        if (rc == RC_OK)
            rc = read_reply(t, c->set.mail_ms, &reply);
    }
    return rc;
}

enum rc smtp_client_send(struct smtp_client *c, struct smtp_client_mail *m, struct arena *a)
{
    struct transaction t = {.c = c, .m = m, .a = a};
    for (size_t i = 0; i < m->n_rcpts; i++) {
        m->rcpts[i].result = SMTP_RCPT_UNTRIED;
        m->rcpts[i].reply = NULL;
    }
    if (!look_at_needs(&t))
        return RC_OK;
    t.sent = arena_new_array(a, m->n_rcpts, struct smtp_client_rcpt *);
    t.accepted = arena_new_array(a, m->n_rcpts, bool);
    if (!t.sent || !t.accepted)
        return RC_TEMP;
    for (size_t i = 0; i < m->n_rcpts && (c->rcpt_max == 0 || t.n_sent < c->rcpt_max); i++)
        if (m->rcpts[i].result == SMTP_RCPT_UNTRIED)
            t.sent[t.n_sent++] = &m->rcpts[i];
    return run(&t);
}
