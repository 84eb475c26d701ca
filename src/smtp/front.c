/* The fields of ours above a message: Return-Path, which mailboxes alone get (skip), Authentication-Results, Received, and
 * the DKIM-Signatures of what is ours. They stand first but are written last, when all that they tell is known (blob_prepend). */
#include "smtp/session.h"

#include "smtp/received.h"

#define SMTP_RECEIVED_ROOM 2048 /* that the Received field may take */

/* A streamed blob takes whole eights in front: a fold of the field gets as many blanks more. */
static unsigned missing_blanks(const struct smtp_session *s, const struct buf *front)
{
    return blob_is_streamed(s->tx.in.blob) ? (unsigned)(-(front->n + s->tx.in.signing.fields.n) % 8) : 0;
}

static void add_received(const struct smtp_session *s, struct buf *front)
{
    const struct smtp_tx *tx = &s->tx;
    struct tls_info tls;
    char id[64];
    struct buf id_text = {.max = sizeof id}, with;
    struct smtp_received r = {
        .helo = view_str(s->helo),
        .peer = conn_peer_text(s->c),
        .hostname = s->set->hostname,
        .tls = conn_tls(s->c, &tls) ? &tls : NULL,
        .esmtp = s->esmtp,
        .login = s->account != 0,
        .utf8 = tx->mail.params & PARAM_SMTPUTF8,
        .now_s = clock_real_s(),
    };
    buf_printf(&id_text, "%llx.%x", (unsigned long long)conn_id(s->c), s->n_mail);
    r.id = buf_view(&id_text);
    if (tx->n_rcpt == 1 && (r.utf8 || view_is_ascii(tx->first_rcpt)))
        r.recipient = tx->first_rcpt;
    size_t before = front->n;
    smtp_received_write(&r, front);
    r.indent = missing_blanks(s, front);
    if (r.indent > 0) {
        buf_init(&with, BLOB_FRONT_MAX);
        buf_add(&with, view_slice(buf_view(front), 0, before));
        smtp_received_write(&r, &with);
        buf_clear(front);
        *front = with;
    }
    buf_clear(&id_text);
}

enum rc smtp_front_add(struct smtp_session *s)
{
    struct smtp_tx *tx = &s->tx;
    struct buf front;

    buf_init(&front, BLOB_FRONT_MAX);
    smtp_return_path_write(tx->sender, &front);
    tx->in.skip = (uint32_t)front.n;
    enum rc rc = RC_OK;
    if (tx->judging.done)
        rc = judge_results(&tx->judging.set, &tx->judging.found, SMTP_RESULTS_MAX, &front);
    if (rc == RC_OK && tx->judging.done && front.n + SMTP_RECEIVED_ROOM < BLOB_FRONT_MAX)
        judge_logo_fields(&tx->judging.found, BLOB_FRONT_MAX - SMTP_RECEIVED_ROOM - front.n, &front);
    if (rc == RC_OK) {
        add_received(s, &front);
        buf_add(&front, buf_view(&tx->in.signing.fields));
        rc = buf_rc(&front);
    }
    rc = rc == RC_OK ? blob_prepend(tx->in.blob, buf_view(&front)) : RC_TEMP;
    buf_clear(&front);
    return rc;
}
