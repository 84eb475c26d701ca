#include "smtp/session.h"

#define DATA_RATE   1024                 /* least bytes a second of a client, over the whole of DATA */
#define DATA_END_MS (4 * 60 * 60 * 1000) /* and no message takes longer */

/* A message that comes slowly holds a worker. However many strangers send slowly, workers must be left for others: the more are in DATA
 * already, the shorter a silence the next one is allowed. Who is logged in, or ours, is trusted with the whole. */
static int64_t silence_ms(const struct smtp_session *s, unsigned receiving)
{
    static const int shares[] = {1, 4, 16, 64}; /* of the time, by quarters of the workers that receive */
    unsigned quarters = receiving / ((s->set->workers + 3) / 4);
    return s->set->data_ms / shares[quarters < 3 ? quarters : 3];
}

static void begin_receiving(struct smtp_session *s)
{
    unsigned receiving = s->account || s->trusted ? 0 : atomic_fetch_add(&s->srv->receiving, 1);
    conn_progress(s->c, silence_ms(s, receiving), DATA_RATE, DATA_END_MS);
}

static void end_receiving(struct smtp_session *s)
{
    if (!s->account && !s->trusted)
        atomic_fetch_sub(&s->srv->receiving, 1);
}

/* Reading failed: nobody is there to hear an answer. */
static enum rc broke_off(struct smtp_session *s, enum rc rc)
{
    return smtp_end(s, rc == RC_TIMEOUT ? "timeout in data" : "closed in data");
}

static bool swallowed_enough(const struct smtp_session *s)
{
    return s->tx.in.refused_n > SMTP_SWALLOW_MAX;
}

/* The connection ends since what follows would have to be read for too long. */
static enum rc cut(struct smtp_session *s)
{
    smtp_intake_finish(s);
    return smtp_end(s, "data without end");
}

static enum rc read_lines(struct smtp_session *s)
{
    struct smtp_dots dots;
    struct view all, in, content;
    enum smtp_dots_step step = DOTS_CONTENT;

    smtp_dots_init(&dots);
    while (step != DOTS_END) {
        enum rc rc = step == DOTS_MORE ? conn_fill_more(s->c, &all) : conn_fill(s->c, &all);
        if (rc != RC_OK)
            return broke_off(s, rc);
        in = all;
        while ((step = smtp_dots_next(&dots, &in, &content)) == DOTS_CONTENT)
            smtp_intake_add(s, content);
        if (in.n == 0 && step == DOTS_MORE)
            step = DOTS_CONTENT; /* nothing waits for more */
        conn_eat(s->c, all.n - in.n);
        if (swallowed_enough(s))
            return cut(s);
    }
    return RC_OK;
}

static enum rc read_data(struct smtp_session *s)
{
    begin_receiving(s);
    enum rc rc = read_lines(s);
    end_receiving(s);
    return rc;
}

static enum rc begin_message(struct smtp_session *s)
{
    switch (smtp_intake_begin(s)) {
    case RC_OK: return RC_OK;
    case RC_FULL: smtp_reply(s, 452, "4.3.1", "No room for the message now"); break;
    default: smtp_reply(s, 451, "4.3.0", "Please try again later"); break;
    }
    smtp_tx_reset(&s->tx);
    return RC_TEMP;
}

enum rc smtp_cmd_data(struct smtp_session *s, struct view args)
{
    struct smtp_tx *tx = &s->tx;
    if (args.n > 0)
        return smtp_reply(s, 501, "5.5.4", "DATA takes no parameter");
    if (!tx->open || tx->bdat)
        return smtp_reply(s, 503, "5.5.1", tx->open ? "BDAT was begun" : "Send MAIL first");
    if (tx->n_rcpt == 0)
        return smtp_reply(s, 554, "5.5.1", "No valid recipients");
    if (tx->mail.body == SMTP_BODY_BINARYMIME) /* RFC 3030 §3 */
        return smtp_reply(s, 503, "5.5.1", "BINARYMIME needs BDAT");
    if (begin_message(s) != RC_OK)
        return RC_OK;
    conn_write(s->c, VIEW("354 End with CR LF . CR LF\r\n"));
    enum rc rc = read_data(s);
    return rc == RC_OK ? smtp_intake_finish(s) : rc;
}

/* The chunk's bytes, whether they are wanted or not (RFC 3030 §2). */
static enum rc read_bytes(struct smtp_session *s, uint64_t n, bool wanted)
{
    struct view v;
    while (n > 0) {
        enum rc rc = conn_fill(s->c, &v);
        if (rc != RC_OK)
            return broke_off(s, rc);
        if (v.n > n)
            v = view_slice(v, 0, (size_t)n);
        if (wanted)
            smtp_intake_add(s, v);
        conn_eat(s->c, v.n);
        n -= v.n;
    }
    return RC_OK;
}

static enum rc read_chunk(struct smtp_session *s, uint64_t n, bool wanted)
{
    begin_receiving(s);
    enum rc rc = read_bytes(s, n, wanted);
    end_receiving(s);
    return rc;
}

/* A chunk that cannot be taken: read past it, say why. */
static enum rc skip_chunk(struct smtp_session *s, uint64_t n, int code, const char *status, const char *text)
{
    if (n > SMTP_SWALLOW_MAX) {
        smtp_reply(s, code, status, text);
        return smtp_end(s, "chunk too large");
    }
    enum rc rc = read_chunk(s, n, false);
    return rc == RC_OK ? smtp_reply(s, code, status, text) : rc;
}

enum rc smtp_cmd_bdat(struct smtp_session *s, struct view args)
{
    struct smtp_tx *tx = &s->tx;
    uint64_t n;
    bool last;

    if (smtp_bdat_parse(args, &n, &last) != RC_OK) {
        /* How much data follows is unknown; to read it as commands would be an open door. */
        smtp_reply(s, 501, "5.5.4", "Syntax: BDAT size [LAST]");
        return smtp_end(s, "bdat syntax");
    }
    if (!tx->open || !s->esmtp)
        return skip_chunk(s, n, 503, "5.5.1", "Send MAIL first");
    if (tx->n_rcpt == 0)
        return skip_chunk(s, n, 554, "5.5.1", "No valid recipients");
    if (!tx->bdat && begin_message(s) != RC_OK)
        return smtp_end(s, "store"); /* the chunk stands behind */
    tx->bdat = true;
    if (n > s->set->message_size - tx->in.text.n) {
        smtp_intake_refuse(s, 552, "5.3.4", "Message too large");
        if (n > SMTP_SWALLOW_MAX)
            return cut(s);
    }
    enum rc rc = read_chunk(s, n, true);
    if (rc != RC_OK)
        return rc;
    if (last || tx->in.refusal.code) /* a refused chunk ends the transaction: later ones find none open */
        return smtp_intake_finish(s);
    return smtp_reply(s, 250, "2.0.0", "Chunk taken");
}
