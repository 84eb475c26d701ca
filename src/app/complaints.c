#include "app/complaints.h"

#include "policy/sent_id.h"
#include "received/received.h"
#include "store/blob.h"

struct reading {
    struct store *store;
    void (*found)(void *ctx, const struct complaint *c);
    void *ctx;
};

/* Somebody wanted it ("not-spam"), or nobody was asked ("auth-failure", of DMARC). */
static bool is_complaint(struct view type)
{
    return !view_eq(type, VIEW("not-spam")) && !view_eq(type, VIEW("auth-failure"));
}

static enum rc take(void *ctx, const struct received_origin *origin, const struct received_failure *f)
{
    const struct reading *r = ctx;
    struct complaint c = {.sender = f->original_from.n > 0 ? f->original_from : f->header_from, .type = f->type,
                          .recipient = f->original_to.n > 0 ? f->original_to : f->header_to};
    (void)origin;
    if (!is_complaint(f->type) || c.recipient.n == 0)
        return RC_OK;
    enum rc rc = sent_id_read(r->store, f->message_id, &c.account);
    if (rc == RC_OK)
        r->found(r->ctx, &c);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc complaints_read(struct store *s, uint64_t blob_id, void (*found)(void *ctx, const struct complaint *c), void *ctx)
{
    struct reading r = {s, found, ctx};
    const struct received_sink sink = {.ctx = &r, .failure = take};
    struct blob blob = {0};
    enum rc rc = blob_open(s, blob_id, false, &blob);
    if (rc == RC_OK)
        rc = received_read(blob.bytes, &sink);
    blob_close(&blob);
    return rc;
}
