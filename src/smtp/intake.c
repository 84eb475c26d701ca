#include "smtp/session.h"

#include "base/log.h"
#include "message/header.h"
#include "smtp/submission.h"
#include "sys/board.h"

void smtp_intake_clear(struct smtp_intake *in)
{
    blob_abort(in->blob);
    buf_clear(&in->header);
    smtp_signing_clear(&in->signing);
    *in = (struct smtp_intake){0};
}

void smtp_intake_refuse(struct smtp_session *s, int code, const char *status, const char *text)
{
    struct smtp_intake *in = &s->tx.in;
    if (in->refusal.code)
        return; /* the first reason counts */
    in->refusal = (struct smtp_refusal){code, status, text};
    blob_abort(in->blob);
    in->blob = NULL;
    if (!s->tx.judging.judge) /* else it speaks of the header */
        buf_clear(&in->header);
}

static void refuse_store(struct smtp_session *s, enum rc rc)
{
    if (rc == RC_FULL)
        smtp_intake_refuse(s, 452, "4.3.1", "No room for the message now");
    else
        smtp_intake_refuse(s, 451, "4.3.0", "The message cannot be stored now, please try again later");
}

void smtp_intake_append(struct smtp_session *s, struct view bytes)
{
    struct smtp_intake *in = &s->tx.in;
    if (in->refusal.code || bytes.n == 0)
        return;
    enum rc rc = blob_append(in->blob, bytes);
    if (rc != RC_OK)
        refuse_store(s, rc);
}

/* The account whose segment of the store it may lie near: the first local one. */
static uint64_t first_account(const struct smtp_tx *tx)
{
    for (size_t i = 0; i < tx->n; i++)
        if (tx->rcpts[i].account)
            return tx->rcpts[i].account;
    return 0;
}

enum rc smtp_intake_begin(struct smtp_session *s)
{
    struct smtp_tx *tx = &s->tx;
    struct smtp_intake *in = &tx->in;
    if (smtp_is_judged(s) && !tx->judging.judge)
        return RC_TEMP;
    enum rc rc = blob_begin(s->srv->store, first_account(tx), &in->blob);
    if (rc != RC_OK)
        return rc;
    blob_expect_front(in->blob);
    in->open = in->in_header = true;
    smtp_text_init(&in->text, tx->mail.body == SMTP_BODY_BINARYMIME);
    buf_init(&in->header, smtp_is_stranger(s) ? HEADER_MAX : SUBMISSION_HEADER_MAX);
    return RC_OK;
}

/* --- what arrives --- */

/* Collects until the empty line has come; gives what follows it. */
static struct view collect_header(struct smtp_session *s, struct view content)
{
    struct smtp_intake *in = &s->tx.in;
    size_t n = content.n;
    if (!in->text.in_header)
        n = (size_t)(in->text.header_n - (in->text.n - content.n)); /* the rest of the header in this piece */
    buf_add(&in->header, view_slice(content, 0, n));
    if (buf_rc(&in->header) == RC_LIMIT)
        smtp_intake_refuse(s, 552, "5.3.4", "Header too large");
    else if (buf_rc(&in->header) != RC_OK)
        refuse_store(s, RC_TEMP);
    else if (!in->text.in_header)
        smtp_header_take(s);
    return view_from(content, n);
}

void smtp_intake_add(struct smtp_session *s, struct view content)
{
    struct smtp_intake *in = &s->tx.in;
    if (in->refusal.code) {
        in->refused_n += content.n;
        return;
    }
    smtp_text_add(&in->text, content);
    if (in->text.n > s->set->message_size)
        smtp_intake_refuse(s, 552, "5.3.4", "Message too large");
    else if (smtp_text_is_bare(&in->text)) /* RFC 5321 §2.3.8; see SECURITY on smuggling */
        smtp_intake_refuse(s, 550, "5.6.0", "A line ends in a bare CR or LF");
    else if (in->text.n_received > s->set->hops) /* RFC 5321 §6.3 */
        smtp_intake_refuse(s, 554, "5.4.6", "Too many hops: the message goes in circles");
    else if (in->in_header)
        content = collect_header(s, content);
    if (in->in_header || in->refusal.code)
        return;
    smtp_judging_body(s, content);
    smtp_signing_body(s, content);
    smtp_intake_append(s, content);
}

/* --- the end --- */

#define LOG_RCPTS  10 /* recipients that are named */
#define LOG_HELO   100
#define LOG_FIELDS 14 /* without those of the judge */

static size_t fields_of_refusal(const struct smtp_session *s, struct log_field *f)
{
    const struct smtp_refusal *r = &s->tx.in.refusal;
    size_t n = 0;
    f[n++] = F_ID("sid", conn_id(s->c));
    f[n++] = F_INT("n", s->n_mail);
    f[n++] = F_CSTR("peer", conn_peer_text(s->c));
    f[n++] = F_VIEW("sender", s->tx.sender);
    f[n++] = F_INT("code", r->code);
    f[n++] = F_CSTR("reason", r->text);
    return n;
}

/* "anne@ici.test,bert@ici.test,...": as the client named them, once each. */
static void write_recipients(const struct smtp_tx *tx, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < tx->n && n < LOG_RCPTS; i++) {
        if (i > 0 && view_eq(tx->rcpts[i].original, tx->rcpts[i - 1].original))
            continue;
        buf_printf(out, "%s%.*s", n > 0 ? "," : "", VIEW_FMT(tx->rcpts[i].original));
        n++;
    }
    if (tx->n_rcpt > n)
        buf_str(out, ",...");
}

static size_t fields_of_message(const struct smtp_session *s, const struct mailq_message *m, struct buf *to, struct log_field *f)
{
    const struct smtp_tx *tx = &s->tx;
    struct tls_info tls;
    size_t n = 0;
    f[n++] = F_ID("sid", conn_id(s->c));
    f[n++] = F_INT("n", s->n_mail);
    f[n++] = F_ID("id", m->id);
    f[n++] = F_CSTR("peer", conn_peer_text(s->c));
    f[n++] = F_CSTR("login", s->login);
    f[n++] = F_VIEW("sender", tx->sender);
    f[n++] = F_INT("rcpts", tx->n_rcpt);
    f[n++] = F_INT("targets", tx->n);
    f[n++] = F_INT("size", m->size);
    f[n++] = F_CSTR("tls", conn_tls(s->c, &tls) ? tls.version : "");
    write_recipients(tx, to);
    f[n++] = F_VIEW("to", buf_view(to));
    f[n++] = F_VIEW("helo", view_slice(view_str(s->helo), 0, LOG_HELO));
    f[n++] = F_CSTR("service", smtp_service_name(s->kind));
    return n;
}

static void log_message(const struct smtp_session *s, const struct mailq_message *m)
{
    struct log_field f[LOG_FIELDS + SMTP_VERDICT_FIELDS] = {0}; /* one stays empty: the end */
    bool refused = s->tx.in.refusal.code;
    struct buf text, to;
    buf_init(&text, 1024);
    buf_init(&to, LOG_LINE_MAX);
    size_t n = refused ? fields_of_refusal(s, f) : fields_of_message(s, m, &to, f);
    smtp_judging_fields(s, &text, f + n);
    log_write(LOG_INFO, refused ? "smtp.message.rejected" : "smtp.message.accepted", f);
    buf_clear(&text);
    buf_clear(&to);
}

/* The best of its signatures: one that passes is enough. */
static const char *dkim_word(const struct dkim_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->verdicts[i].result == DKIM_PASS)
            return "pass";
    return list->n > 0 ? dkim_result_name(list->verdicts[0].result) : "none";
}

static void count_message(const struct smtp_session *s, const struct mailq_message *m)
{
    const struct smtp_judging *j = &s->tx.judging;
    if (s->tx.in.refusal.code) {
        board_count(BOARD_REFUSED, j->done && j->found.action == JUDGE_REJECT ? "verdict" : "message");
    } else {
        board_count(BOARD_RECEIVED, smtp_service_name(s->kind));
        board_add(BOARD_RECEIVED_BYTES, smtp_service_name(s->kind), m->size);
    }
    if (!j->done)
        return;
    board_count(BOARD_SPF, spf_result_name(j->found.spf.result));
    board_count(BOARD_DKIM, dkim_word(&j->found.dkim));
    board_count(BOARD_DMARC, dmarc_result_name(j->found.dmarc.result));
    board_count(BOARD_ARC, arc_result_name(j->found.arc.result));
}

/* When delivery may begin (RFC 4865) and when it must have ended (RFC 2852). */
static void set_times(const struct smtp_mail *mail, struct mailq_message *m)
{
    m->created_ms = clock_real_ms();
    if (mail->params & PARAM_HOLD)
        m->release_ms =
            mail->hold_until_s ? mail->hold_until_s * 1000 : m->created_ms + mail->hold_for_s * 1000;
    if (mail->params & PARAM_BY) {
        m->deliver_by_ms = m->created_ms + mail->by_s * 1000;
        m->deliver_by_return = mail->by_return;
        m->deliver_by_trace = mail->by_trace;
    }
}

static enum rc submit(struct smtp_session *s, struct mailq_message *m)
{
    struct smtp_tx *tx = &s->tx;
    const struct smtp_mail *mail = &tx->mail;
    enum mailq_body body = mail->body == SMTP_BODY_BINARYMIME ? BODY_BINARY
                           : tx->in.text.has_8bit ? BODY_8BIT /* what it holds counts, not what was said */
                                                  : BODY_7BIT;
    enum rc rc = smtp_front_add(s);
    if (rc != RC_OK)
        return rc;
    *m = (struct mailq_message){
        .skip = tx->in.skip,
        .size = blob_written(tx->in.blob) - tx->in.skip,
        .sender = tx->sender,
        .seal = tx->forwarding.seal,
        .envid = mail->envid,
        .ret = mail->ret == SMTP_RET_FULL   ? RET_FULL
               : mail->ret == SMTP_RET_HDRS ? RET_HDRS
                                            : RET_DEFAULT,
        .body = body,
        .smtputf8 = mail->params & PARAM_SMTPUTF8,
        .require_tls = mail->params & PARAM_REQUIRETLS,
        .junk = tx->judging.done && tx->judging.found.action == JUDGE_JUNK,
        .priority = mail->priority,
        .account = s->account,
        .peer = view_str(conn_peer_text(s->c)),
    };
    set_times(mail, m);
    for (size_t i = 0; i < tx->n; i++)
        tx->rcpts[i].due_ms = m->release_ms > m->created_ms ? m->release_ms : m->created_ms;
    struct blob_writer *blob = tx->in.blob;
    tx->in.blob = NULL;
    rc = blob_finish(blob, &m->blob);
    return rc == RC_OK ? mailq_submit(s->srv->store, m, tx->rcpts, tx->n) : rc;
}

/* Somebody may have complained of mail of ours. */
static void tell_feedback(const struct smtp_session *s, const struct mailq_message *m)
{
    const struct smtp_judging *j = &s->tx.judging;
    if (s->set->feedback && j->done && j->found.dmarc.result == DMARC_PASS &&
        view_ifind(header_value(buf_view(&s->tx.in.header), VIEW("Content-Type")), VIEW("feedback-report")) != VIEW_NONE)
        s->set->feedback(s->set->feedback_ctx, m->blob);
}

enum rc smtp_intake_finish(struct smtp_session *s)
{
    struct smtp_intake *in = &s->tx.in;
    struct mailq_message m = {0};
    char text[64];
    enum rc rc;

    smtp_text_end(&in->text);
    if (!in->refusal.code && smtp_text_is_bare(&in->text))
        smtp_intake_refuse(s, 550, "5.6.0", "A line ends in a bare CR or LF");
    if (!in->refusal.code && in->in_header)
        smtp_header_take(s); /* a header alone */
    if (!in->refusal.code)
        smtp_judging_finish(s);
    if (!in->refusal.code)
        smtp_signing_finish(s);
    smtp_forwarding_finish(s);
    if (!in->refusal.code && (rc = submit(s, &m)) != RC_OK)
        refuse_store(s, rc);
    log_message(s, &m);
    count_message(s, &m);
    if (!in->refusal.code)
        tell_feedback(s, &m);
    smtp_judging_tell(s);
    if (in->refusal.code) {
        rc = smtp_refuse(s, &in->refusal);
    } else {
        struct buf b = {.max = sizeof text};
        buf_printf(&b, "Ok: queued as %llx", (unsigned long long)m.id);
        rc = buf_rc(&b) == RC_OK && view_cstr(buf_view(&b), text, sizeof text) == RC_OK
                 ? smtp_reply(s, 250, "2.0.0", text)
                 : smtp_reply(s, 250, "2.0.0", "Ok");
        buf_clear(&b);
        s->n_accepted++;
    }
    smtp_tx_reset(&s->tx);
    return rc;
}
