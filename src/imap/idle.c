/* IDLE (RFC 2177): the session is parked; each publication for its folder wakes it. */
#include "imap/session.h"

enum rc imap_cmd_idle(struct imap_session *s, struct view args)
{
    if (args.n > 0)
        return imap_bad(s, "IDLE takes nothing");
    s->idling = true;
    conn_write(s->conn, VIEW("+ idling\r\n"));
    if (!s->sel.shared)
        return RC_OK;
    s->listener.conn = s->conn;
    imap_folder_listen(s->sel.shared, &s->listener);
    return imap_sync(s, NEWS_ALL, false); /* after listening: nothing falls between */
}

void imap_idle_stop(struct imap_session *s)
{
    if (s->sel.shared)
        imap_folder_unlisten(s->sel.shared, &s->listener);
    s->idling = false;
}

enum rc imap_idle_line(struct imap_session *s)
{
    buf_reset(&s->line);
    enum rc rc = imap_read_line(s);

    if (rc != RC_OK && rc != RC_LIMIT)
        return rc;
    imap_idle_stop(s);
    s->news = NEWS_ALL;
    if (rc == RC_OK && view_ieq(buf_view(&s->line), VIEW("DONE")))
        return imap_ok(s, "Done");
    return imap_bad(s, "IDLE ends with DONE");
}

enum rc imap_idle_event(struct imap_session *s)
{
    return s->sel.shared ? imap_sync(s, NEWS_ALL, true) : RC_OK;
}
