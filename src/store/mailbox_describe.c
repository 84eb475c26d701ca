/* store/mailbox.h: what a message's row keeps of its text. */
#include "message/summary.h"
#include "store/mailbox.h"

static enum rc join_references(const struct summary *s, struct arena *a, struct view *out)
{
    struct buf joined;

    buf_init(&joined, SUMMARY_REFERENCES_MAX * (SUMMARY_ID_MAX + 1));
    for (size_t i = 0; i < s->n_references; i++) {
        if (i > 0)
            buf_chr(&joined, ' ');
        buf_add(&joined, s->references[i]);
    }
    enum rc rc = buf_rc(&joined);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&joined), out);
    buf_clear(&joined);
    return rc;
}

enum rc mailbox_describe(struct view message, struct arena *a, struct new_item *out)
{
    struct summary s;
    enum rc rc = summary_make(message, a, &s);

    if (rc == RC_OK)
        rc = join_references(&s, a, &out->references);
    if (rc != RC_OK)
        return rc;
    out->size = (uint32_t)message.n;
    out->sent_date = s.has_sent ? s.sent_utc : 0;
    out->envelope = s.envelope;
    out->structure = s.bodystructure;
    out->index = s.index;
    out->message_id = s.message_id;
    out->subject_base = s.subject_base;
    return RC_OK;
}
