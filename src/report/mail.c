#include "report/mail.h"

#include "base/base64.h"
#include "crypto/hex.h"
#include "crypto/random.h"
#include "dns/dns.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"
#include "store/blob.h"
#include "store/directory.h"

#define PRIORITY_LEAST (-9) /* RFC 6710 */
#define QUEUE_ARENA    (256u << 10)

/* --- composing --- */

static void write_address(struct buf *out, const char *field, struct view name, struct view address)
{
    struct buf line;
    size_t at = view_rchr(address, '@');
    buf_init(&line, 2048);
    if (at == VIEW_NONE)
        line.fail = RC_SYNTAX;
    else
        address_write(name, view_slice(address, 0, at), view_from(address, at + 1), &line);
    header_write(out, view_str(field), buf_view(&line));
    if (buf_rc(&line) != RC_OK && out->fail == RC_OK)
        out->fail = buf_rc(&line);
    buf_clear(&line);
}

static void write_part(struct buf *out, const struct mail_part *p, const char *boundary)
{
    buf_printf(out, "\r\n--%s\r\n", boundary);
    buf_str(out, "Content-Type: ");
    buf_line_part(out, p->type);
    buf_str(out, p->base64 ? "\r\nContent-Transfer-Encoding: base64" : "\r\nContent-Transfer-Encoding: 7bit");
    if (p->filename.n > 0) {
        buf_str(out, "\r\nContent-Disposition: attachment;\r\n\tfilename=\"");
        buf_line_part(out, p->filename);
        buf_chr(out, '"');
    }
    buf_str(out, "\r\n\r\n");
    if (p->base64)
        base64_encode_mime(p->bytes, out);
    else
        buf_add(out, p->bytes);
}

enum rc mail_write(const struct mail *m, struct buf *out)
{
    uint8_t random[12];
    char boundary[2 * sizeof random + 8] = "=_";
    random_bytes(random, sizeof random);
    hex_write(view_of(random, sizeof random), boundary + 2);

    write_address(out, "From", m->name, m->from);
    write_address(out, "To", VIEW(""), m->to);
    header_write(out, VIEW("Subject"), m->subject);
    buf_str(out, "Date: ");
    date_write((struct date){.utc = m->now_s}, out);
    buf_str(out, "\r\nMessage-ID: <");
    buf_line_part(out, m->message_id);
    buf_str(out, ">\r\n");
    buf_add(out, m->fields);
    /* RFC 3834 §5: nobody's program answers this. */
    buf_str(out, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\nContent-Type: ");
    buf_line_part(out, m->type);
    buf_printf(out, ";\r\n\tboundary=\"%s\"\r\n\r\nThis is a report in several parts, meant for programs.\r\n", boundary);
    for (size_t i = 0; i < m->n_parts; i++)
        write_part(out, &m->parts[i], boundary);
    buf_printf(out, "\r\n--%s--\r\n", boundary);
    return buf_rc(out);
}

/* --- the queue --- */

/* Rows for the address: of another domain, or wherever it leads here. */
static enum rc route(struct store *s, struct view to, int64_t now_ms, struct arena *a, struct mailq_rcpt **out, size_t *n)
{
    struct directory_target *targets = NULL, foreign = {.address = to};
    size_t n_targets = 0;
    enum rc rc = directory_route(s, to, a, &targets, &n_targets);
    if (rc == RC_DENIED) { /* not ours */
        targets = &foreign;
        n_targets = 1;
    } else if (rc != RC_OK) {
        return rc == RC_LIMIT || rc == RC_SYNTAX ? RC_NOTFOUND : rc;
    }
    *out = arena_new_array(a, n_targets, struct mailq_rcpt);
    *n = n_targets;
    if (!*out || n_targets == 0)
        return *out ? RC_NOTFOUND : RC_TEMP;
    for (size_t i = 0; i < n_targets; i++) {
        const struct directory_target *t = &targets[i];
        struct mailq_rcpt *r = &(*out)[i];
        *r = (struct mailq_rcpt){.account = t->account, .address = t->address, .detail = t->detail, .original = to,
                                 .notify = NOTIFY_NEVER, .forwarded = t->account == 0 && t->via_alias, .due_ms = now_ms};
        size_t at = view_rchr(t->address, '@');
        if (t->account == 0)
            rc = at == VIEW_NONE ? RC_NOTFOUND : dns_domain_ascii(view_from(t->address, at + 1), a, &r->route);
        else
            rc = RC_OK;
        if (rc != RC_OK)
            return rc == RC_SYNTAX ? RC_NOTFOUND : rc;
    }
    return RC_OK;
}

static enum rc write_blob(struct store *s, struct view front, struct view signatures, struct view message, uint64_t *blob)
{
    struct blob_writer *w = NULL;
    enum rc rc = blob_begin(s, 0, &w);
    if (rc != RC_OK)
        return rc;
    rc = blob_append(w, front);
    if (rc == RC_OK)
        rc = blob_append(w, signatures);
    if (rc == RC_OK)
        rc = blob_append(w, message);
    if (rc == RC_OK)
        return blob_finish(w, blob);
    blob_abort(w);
    return rc;
}

enum rc mail_queue(struct store *s, mail_sign_fn sign, void *sign_ctx, struct view message, struct view sender, struct view to,
                   int64_t now_ms, uint64_t *id)
{
    struct arena a;
    struct buf signatures, front;
    struct mailq_rcpt *rcpts = NULL;
    size_t n = 0;
    struct mailq_message m = {.sender = sender, .lane = LANE_REPORTS, .body = BODY_7BIT, .priority = PRIORITY_LEAST,
                              .created_ms = now_ms, .peer = VIEW("local")};
    arena_init(&a, QUEUE_ARENA);
    buf_init(&signatures, 16384);
    buf_init(&front, 1024);
    enum rc rc = route(s, to, now_ms, &a, &rcpts, &n);
    if (rc == RC_OK && sign) {
        rc = sign(sign_ctx, message, &signatures);
        if (rc == RC_NOTFOUND) /* SPF alone has to vouch for it then */
            rc = RC_OK;
    }
    if (rc == RC_OK) {
        buf_str(&front, "Return-Path: <");
        buf_line_part(&front, sender);
        buf_str(&front, ">\r\n");
        rc = buf_rc(&front);
    }
    if (rc == RC_OK)
        rc = write_blob(s, buf_view(&front), buf_view(&signatures), message, &m.blob);
    if (rc == RC_OK) {
        m.skip = (uint32_t)front.n;
        m.size = signatures.n + message.n;
        rc = mailq_submit(s, &m, rcpts, n);
        *id = m.id;
    }
    buf_clear(&signatures);
    buf_clear(&front);
    arena_clear(&a);
    return rc;
}
