/* APPEND (RFC 3501 §6.3.11), several messages at once (RFC 3502), literal8 (RFC 3516). A message streams from the
 * connection into a blob; the rows of all are written in one transaction. */
#include "base/clock.h"
#include "imap/session.h"
#include "store/blob.h"
#include "store/quota.h"

#define APPEND_MAX       256 /* messages in one command */
#define APPEND_ARENA_MAX (128u << 20)

struct append {
    struct imap_session *s;
    struct arena arena; /* summaries, until the rows are written */
    struct folder folder;
    struct new_item items[APPEND_MAX];
    size_t n;
};

/* "tag APPEND mailbox", leaving what follows. */
static enum rc parse_mailbox(struct view *in, struct arena *a, struct view *name)
{
    struct view word;

    if (imap_tag(in, &word) != RC_OK || !imap_take_sp(in) || imap_atom(in, &word) != RC_OK ||
        !view_ieq(word, VIEW("APPEND")) || !imap_take_sp(in))
        return RC_SYNTAX;
    return imap_mailbox(in, a, name);
}

bool imap_append_is_message(struct imap_session *s, struct view text, const struct imap_literal *lit)
{
    struct view in = view_slice(text, 0, lit->at), name;
    enum rc rc = parse_mailbox(&in, &s->arena, &name);

    return rc == RC_OK || rc == RC_DENIED; /* the literal stands behind the name */
}

/* [SP flag-list] [SP date-time] SP, up to the literal. */
static enum rc parse_what(struct imap_session *s, struct view in, struct new_item *it)
{
    struct imap_flags flags = {0};
    enum rc rc;

    it->internaldate = clock_real_s();
    if (!imap_take_sp(&in))
        return RC_SYNTAX;
    if (view_peek(in) == '(') {
        if ((rc = imap_flag_list(&in, &s->arena, &flags)) != RC_OK)
            return rc;
        if (!imap_take_sp(&in))
            return RC_SYNTAX;
    }
    if (view_peek(in) == '"' && (imap_date_time(&in, &it->internaldate) != RC_OK || !imap_take_sp(&in)))
        return RC_SYNTAX;
    it->flags = flags.flags;
    it->keywords = flags.keywords;
    return in.n == 0 ? RC_OK : RC_SYNTAX;
}

/* --- the message's bytes --- */

/* n bytes into the writer, or, where it is NULL or has failed, into nothing: the protocol must stay in step.
 * *stored: what came of storing. */
static enum rc take_bytes(struct imap_session *s, uint64_t n, struct blob_writer *w, enum rc *stored)
{
    struct view in;
    enum rc rc;

    while (n > 0) {
        if ((rc = conn_fill(s->conn, &in)) != RC_OK)
            return rc;
        in = view_slice(in, 0, n);
        if (w && *stored == RC_OK)
            *stored = blob_append(w, in);
        conn_eat(s->conn, in.n);
        n -= in.n;
    }
    return RC_OK;
}

/* The line behind a literal: empty, or the next message's flags, date and literal. */
static enum rc next_line(struct imap_session *s, bool *more)
{
    enum rc rc;

    buf_reset(&s->line);
    rc = imap_read_line(s);
    *more = false;
    if (rc != RC_OK || s->line.n == 0)
        return rc;
    rc = imap_literal_at_end(buf_view(&s->line), &s->literal);
    *more = rc == RC_OK;
    return rc == RC_OK ? RC_OK : RC_SYNTAX;
}

/* After a refusal: literals that come unasked are passed over, up to the first that waits for our leave. */
static enum rc skip_rest(struct imap_session *s)
{
    bool more = true;
    uint64_t skipped = 0;
    enum rc rc, none;

    while (more && s->literal.no_sync) {
        skipped += s->literal.size;
        if (skipped > 2 * s->set->max_message)
            return imap_bye(s, "[TOOBIG] Message too big"); /* RFC 7888 §4: or read it all */
        if ((rc = take_bytes(s, s->literal.size, NULL, &none)) != RC_OK)
            return rc;
        rc = next_line(s, &more);
        if (rc != RC_OK && rc != RC_SYNTAX && rc != RC_LIMIT)
            return rc;
    }
    return RC_OK;
}

/* *stored as in take_bytes; another result than RC_OK ends the session. */
static enum rc receive(struct imap_session *s, struct new_item *it, enum rc *stored)
{
    struct blob_writer *w = NULL;
    enum rc rc = RC_OK;

    *stored = blob_begin(s->server->store, s->account, &w);
    if (!s->literal.no_sync) { /* also when it goes nowhere: the answer comes behind the message */
        conn_write(s->conn, VIEW("+ Ready\r\n"));
        rc = conn_flush(s->conn);
    }
    imap_deadline(s);
    if (rc == RC_OK)
        rc = take_bytes(s, s->literal.size, w, stored);
    if (rc == RC_OK && *stored == RC_OK)
        *stored = blob_finish(w, &it->blob);
    else
        blob_abort(w);
    it->size = (uint32_t)s->literal.size;
    return rc;
}

/* --- what the row keeps --- */

static enum rc summarise(struct append *ap, struct new_item *it)
{
    struct blob blob = {0};
    enum rc rc = blob_open(ap->s->server->store, it->blob, false, &blob);

    if (rc == RC_OK)
        rc = mailbox_describe(blob.bytes, &ap->arena, it);
    blob_close(&blob);
    return rc;
}

/* RFC 9208 §4.3.1 */
static enum rc fit_quota(const struct append *ap)
{
    uint64_t room, size = 0;
    enum rc rc = quota_room(ap->s->server->store, mailbox_account(ap->s->mb), &room);
    for (size_t i = 0; i < ap->n; i++)
        size += ap->items[i].size;
    return rc == RC_OK && size > room ? RC_FULL : rc;
}

static enum rc write_rows(struct append *ap, struct view *code)
{
    struct imap_session *s = ap->s;
    struct born *born = arena_new_array(&ap->arena, ap->n, struct born);
    uint32_t *uids = arena_new_array(&ap->arena, ap->n, uint32_t), uidvalidity;
    struct buf set;
    enum rc rc = born && uids ? blob_sync(s->server->store) : RC_TEMP;

    if (rc == RC_OK)
        rc = fit_quota(ap);
    for (size_t i = 0; rc == RC_OK && i < ap->n; i++)
        rc = summarise(ap, &ap->items[i]);
    if (rc == RC_OK)
        rc = mailbox_append(s->mb, ap->folder.id, ap->items, ap->n, born, &uidvalidity);
    if (rc != RC_OK)
        return rc;
    buf_init(&set, 64 + 12 * APPEND_MAX);
    buf_printf(&set, "[APPENDUID %u ", uidvalidity); /* RFC 4315 §3 */
    for (size_t i = 0; i < ap->n; i++)
        uids[i] = born[i].uid;
    imap_seqset_write(&set, uids, ap->n);
    buf_str(&set, "] Done");
    buf_chr(&set, 0);
    rc = view_dup(&s->arena, buf_view(&set), code);
    buf_clear(&set);
    return rc;
}

/* --- the command --- */

static enum rc refuse(struct imap_session *s, enum rc why, bool received)
{
    enum rc rc = received ? RC_OK : skip_rest(s);

    if (rc != RC_OK)
        return rc;
    switch (why) {
    case RC_NOTFOUND: return imap_no(s, "[TRYCREATE] No such mailbox"); /* RFC 3501 §6.3.11 */
    case RC_SYNTAX:   return imap_bad(s, "APPEND mailbox (flags) \"date\" literal");
    case RC_DENIED:   return imap_no(s, "[CANNOT] No mailbox can have this name");
    case RC_LIMIT:    return imap_no(s, "[TOOBIG] Message too big, or too many");
    case RC_EXISTS:   return imap_no(s, "An empty message is none"); /* RFC 3502 §6.3.11: so a client gives up */
    default:          return imap_no_rc(s, why);
    }
}

static enum rc find_folder(struct append *ap, struct view *in)
{
    struct imap_session *s = ap->s;
    struct view name;
    enum rc rc = parse_mailbox(in, &s->arena, &name);

    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = mailbox_folder(s->mb, name, &s->arena, &ap->folder);
    return rc;
}

/* One message after the other. *refused: why, where not RC_OK; its bytes have then been dealt with where *received. */
static enum rc receive_all(struct append *ap, enum rc *refused, bool *received)
{
    struct imap_session *s = ap->s;
    struct view in = view_slice(buf_view(&s->line), 0, s->literal.at);
    bool more = true;
    enum rc rc;

    *received = false;
    *refused = find_folder(ap, &in);
    while (*refused == RC_OK && more) {
        struct new_item *it = &ap->items[ap->n];
        *received = false;
        *refused = parse_what(s, in, it);
        if (*refused == RC_OK && s->literal.size == 0)
            *refused = RC_EXISTS;
        if (*refused == RC_OK && (s->literal.size > s->set->max_message || ap->n + 1 == APPEND_MAX))
            *refused = RC_LIMIT;
        if (*refused != RC_OK)
            break;
        rc = receive(s, it, refused);
        if (rc != RC_OK)
            return rc;
        rc = next_line(s, &more);
        if (rc == RC_SYNTAX || rc == RC_LIMIT) {
            *received = true;
            *refused = rc;
            return RC_OK;
        }
        if (rc != RC_OK)
            return rc;
        ap->n++;
        *received = !more;
        in = view_slice(buf_view(&s->line), 0, more ? s->literal.at : 0);
    }
    return RC_OK;
}

enum rc imap_cmd_append(struct imap_session *s, struct view args)
{
    struct append *ap;
    struct view done;
    enum rc refused, rc;
    bool received;

    (void)args; /* read again from the tag on: find_folder */
    if (s->literal.at == 0)
        return imap_bad(s, "APPEND mailbox (flags) \"date\" literal");
    ap = arena_new(&s->arena, struct append);
    if (!ap)
        return refuse(s, RC_TEMP, false);
    ap->s = s;
    arena_init(&ap->arena, APPEND_ARENA_MAX);
    rc = receive_all(ap, &refused, &received);
    if (rc == RC_OK) {
        if (refused == RC_OK)
            refused = write_rows(ap, &done);
        rc = refused == RC_OK ? imap_ok(s, done.p) : refuse(s, refused, received);
    }
    arena_clear(&ap->arena);
    return rc;
}
