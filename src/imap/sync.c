#include "imap/session.h"

void imap_write_fetch_flags(struct imap_session *s, uint32_t seq, uint32_t uid, unsigned flags, struct view keywords,
                            uint64_t modseq)
{
    struct buf text;

    buf_init(&text, 64 + KEYWORDS_MAX * (KEYWORD_MAX + 1));
    imap_write_flags(flags, keywords, uid >= s->sel.recent_from, &text);
    conn_printf(s->conn, "* %u FETCH (UID %u FLAGS %.*s", seq, uid, VIEW_FMT(buf_view(&text)));
    if (s->condstore)
        conn_printf(s->conn, " MODSEQ (%llu)", (unsigned long long)modseq);
    conn_write(s->conn, VIEW(")\r\n"));
    buf_clear(&text);
}

void imap_note_own(struct imap_session *s, uint64_t from, uint64_t to)
{
    if (s->sel.own_to > 0 && from == s->sel.own_to + 1)
        s->sel.own_to = to;
    else
        s->sel.own_from = from, s->sel.own_to = to;
}

static bool is_own(const struct imap_session *s, uint64_t modseq)
{
    return modseq >= s->sel.own_from && modseq <= s->sel.own_to;
}

/* Takes over the reference to `now`, which becomes the session's map, unless expunges have to wait. */
static void tell(struct imap_session *s, enum imap_news news, const struct imap_delta *d, struct seqmap *now)
{
    struct seqmap *old = s->sel.map;
    uint32_t gone = 0;

    for (size_t i = 0; i < d->n_gone; i++) {
        uint32_t seq = seqmap_seq(old, d->gone[i]);
        if (seq == 0) /* came and went unseen */
            continue;
        if (news == NEWS_BUT_EXPUNGE) { /* the numbers must hold: all of it waits for the next command */
            seqmap_unref(now);
            return;
        }
        conn_printf(s->conn, "* %u EXPUNGE\r\n", seq);
        gone++;
    }
    s->sel.map = now;
    if (seqmap_count(now) != seqmap_count(old) - gone) {
        uint32_t recent = seqmap_count(now) - seqmap_below(now, s->sel.recent_from);
        conn_printf(s->conn, "* %u EXISTS\r\n* %u RECENT\r\n", seqmap_count(now), recent);
    }
    for (size_t i = 0; i < d->n_changed; i++) {
        const struct change *c = &d->changed[i];
        uint32_t seq = seqmap_seq(now, c->uid);
        if (c->kind == CHANGE_FLAGS && seq > 0 && !is_own(s, c->seq))
            imap_write_fetch_flags(s, seq, c->uid, c->flags, c->keywords, c->seq);
    }
    seqmap_unref(old);
}

enum rc imap_sync(struct imap_session *s, enum imap_news news, bool if_published)
{
    struct seqmap *now = NULL;
    struct imap_delta *delta = NULL;
    enum rc rc = imap_mailbox_open(s);

    if (rc == RC_OK)
        rc = imap_folder_map(s->sel.shared, s->mb, if_published, &now);
    if (rc == RC_NOTFOUND)
        return imap_bye(s, "The selected mailbox was deleted");
    if (rc != RC_OK)
        return RC_OK; /* the store cannot tell now: the next command asks again */
    if (seqmap_modseq(now) == seqmap_modseq(s->sel.map)) {
        seqmap_unref(now);
        return RC_OK;
    }
    rc = imap_folder_delta(s->sel.shared, s->mb, seqmap_modseq(s->sel.map), now, &delta);
    if (rc == RC_OK) {
        tell(s, news, delta, now);
    } else {
        seqmap_unref(now);
        rc = rc == RC_LIMIT ? imap_bye(s, "[UNAVAILABLE] Too much has changed, please connect again") : RC_OK;
    }
    imap_delta_unref(delta);
    return rc;
}
