#include "web/send.h"

#include "base/clock.h"
#include "dns/dns.h"
#include "message/date.h"
#include "policy/forward.h"
#include "policy/signer.h"
#include "store/blob.h"

#define TARGETS_MAX   10000
#define FRONT_MAX     4096
#define SIGNATURE_MAX 32768

struct targets {
    struct mailq_rcpt *list;
    size_t n, size;
};

static bool has_target(const struct targets *t, const struct mailq_rcpt *r)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->list[i].account == r->account && view_eq(t->list[i].detail, r->detail) && (r->account || view_ieq(t->list[i].address, r->address)))
            return true;
    return false;
}

static enum rc add_target(struct targets *t, const struct mailq_rcpt *r, struct arena *a)
{
    if (has_target(t, r))
        return RC_OK;
    if (t->n == TARGETS_MAX)
        return RC_LIMIT;
    if (t->n == t->size) {
        size_t size = t->size ? t->size * 2 : 16;
        struct mailq_rcpt *more = arena_new_array(a, size, struct mailq_rcpt);
        if (!more)
            return RC_TEMP;
        if (t->n > 0)
            memcpy(more, t->list, t->n * sizeof *more);
        t->list = more;
        t->size = size;
    }
    t->list[t->n++] = *r;
    return RC_OK;
}

static enum rc add_remote(struct targets *t, struct mailq_rcpt *r, struct arena *a)
{
    size_t at = view_rchr(r->address, '@');
    enum rc rc = at == VIEW_NONE ? RC_SYNTAX : dns_domain_ascii(view_from(r->address, at + 1), a, &r->route);
    if (rc == RC_SYNTAX)
        return RC_DENIED;
    return rc == RC_OK ? add_target(t, r, a) : rc;
}

/* All that one address leads to. What an alias sends on leaves in the name of the alias's domain (docs/forwarding.md). */
static enum rc route(struct store *s, const struct send *x, struct view to, int64_t now_ms, struct targets *t, struct arena *a)
{
    struct directory_target *found = NULL;
    size_t n = 0;
    enum rc rc = directory_route(s, to, a, &found, &n);
    if (rc == RC_DENIED) { /* not ours */
        struct mailq_rcpt r = {.address = to, .original = to, .due_ms = now_ms};
        return add_remote(t, &r, a);
    }
    if (rc == RC_SYNTAX || (rc == RC_OK && n == 0))
        return RC_NOTFOUND;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct mailq_rcpt r = {.account = found[i].account, .address = found[i].address, .detail = found[i].detail, .original = to, .due_ms = now_ms};
        if (r.account) {
            rc = add_target(t, &r, a);
            continue;
        }
        r.forwarded = true;
        rc = forward_sender(s, x->sender, to, now_ms / 1000, a, &r.sender);
        if (rc == RC_OK)
            rc = add_remote(t, &r, a);
    }
    return rc;
}

/* Return-Path is for mailboxes alone. */
static enum rc write_front(const struct web_settings *set, const struct send *x, int64_t now_s, struct buf *out, uint32_t *skip)
{
    buf_str(out, "Return-Path: <");
    buf_line_part(out, x->sender);
    buf_str(out, ">\r\n");
    *skip = (uint32_t)out->n;
    buf_printf(out, "Received: by %s with HTTP id %llx;\r\n\t", set->hostname, (unsigned long long)x->unique);
    date_write((struct date){.utc = now_s}, out);
    buf_str(out, "\r\n");
    return buf_rc(out);
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

enum rc send_queue(const struct web_settings *set, const struct send *x, struct arena *a, uint64_t *id, size_t *bad)
{
    struct targets t = {0};
    struct buf front, signatures;
    const int64_t now_ms = clock_real_ms();
    struct mailq_message m = {.sender = x->sender, .account = x->account, .created_ms = now_ms, .peer = x->peer, .body = BODY_7BIT};
    enum rc rc = RC_OK;
    for (size_t i = 0; i < x->n_to && rc == RC_OK; i++) {
        *bad = i;
        rc = route(set->store, x, x->to[i], now_ms, &t, a);
    }
    if (rc != RC_OK)
        return rc;
    buf_init(&front, FRONT_MAX);
    buf_init(&signatures, SIGNATURE_MAX);
    rc = write_front(set, x, now_ms / 1000, &front, &m.skip);
    if (rc == RC_OK)
        rc = signer_sign_message(set->signer, x->message, &signatures);
    if (rc == RC_NOTFOUND) /* no key: it goes unsigned, as by SMTP */
        rc = RC_OK;
    if (rc == RC_OK)
        rc = write_blob(set->store, buf_view(&front), buf_view(&signatures), x->message, &m.blob);
    if (rc == RC_OK) {
        m.size = front.n - m.skip + signatures.n + x->message.n;
        rc = mailq_submit(set->store, &m, t.list, t.n);
    }
    buf_clear(&front);
    buf_clear(&signatures);
    *id = m.id;
    return rc == RC_OK || rc == RC_FULL ? rc : RC_TEMP;
}
