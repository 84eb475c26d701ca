/* COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315), with COPYUID. */
#include "imap/session.h"
#include "store/quota.h"

struct request {
    uint32_t *uids;
    size_t n;
    struct folder to;
};

/* RC_SYNTAX: the grammar; RC_DENIED: a name that cannot be; RC_NOTFOUND: no such mailbox. RC_EXISTS: message numbers. */
static enum rc parse_copy(struct imap_session *s, struct view args, struct request *r)
{
    struct imap_seqset set;
    struct view name;
    enum rc rc = imap_take_sp(&args) ? imap_seqset_parse(&args, &s->arena, &set) : RC_SYNTAX;

    if (rc == RC_OK)
        rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &name) : RC_SYNTAX;
    if (rc == RC_OK && args.n > 0)
        rc = RC_SYNTAX;
    if (rc == RC_OK && imap_uid_ranges(s, &set) != RC_OK)
        rc = RC_EXISTS;
    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = mailbox_folder(s->mb, name, &s->arena, &r->to);
    if (rc == RC_OK)
        rc = imap_uid_list(s, &set, &r->uids, &r->n);
    return rc;
}

static enum rc refuse(struct imap_session *s, enum rc rc)
{
    switch (rc) {
    case RC_SYNTAX:   return imap_bad(s, "Numbers and a mailbox are wanted");
    case RC_EXISTS:   return imap_bad(s, "There is no message with such a number");
    case RC_NOTFOUND: return imap_no(s, "[TRYCREATE] No such mailbox");
    case RC_DENIED:   return imap_no(s, "[CANNOT] No mailbox can have this name");
    default:          return imap_no_rc(s, rc);
    }
}

/* "[COPYUID validity from to] ", or nothing where nothing was copied; NUL-ended. */
static void write_copyuid(const struct copied *c, struct buf *out)
{
    if (c->n > 0) {
        buf_printf(out, "[COPYUID %u ", c->uidvalidity);
        imap_seqset_write(out, c->from, c->n);
        buf_chr(out, ' ');
        imap_seqset_write(out, c->to, c->n);
        buf_str(out, "] ");
    }
    buf_str(out, "Done");
    buf_chr(out, 0);
}

enum rc imap_cmd_copy(struct imap_session *s, struct view args)
{
    struct request r = {0};
    struct copied done = {0};
    uint64_t room = QUOTA_NONE;
    struct buf text;
    enum rc rc = parse_copy(s, args, &r);

    if (rc == RC_OK && r.n > 0)
        rc = quota_room(s->server->store, mailbox_account(s->mb), &room); /* RFC 9208 §4.3.1 */
    if (rc == RC_OK && r.n > 0)
        rc = mailbox_copy(s->mb, s->sel.id, r.uids, r.n, r.to.id, room, &s->arena, &done);
    if (rc != RC_OK)
        return refuse(s, rc);
    buf_init(&text, 64 + 24 * done.n);
    write_copyuid(&done, &text);
    rc = buf_rc(&text) == RC_OK ? imap_ok(s, text.p) : imap_ok(s, "Done");
    buf_clear(&text);
    return rc;
}

enum rc imap_cmd_move(struct imap_session *s, struct view args)
{
    struct request r = {0};
    struct copied done = {0};
    struct buf text;
    enum rc rc = parse_copy(s, args, &r);

    if (rc == RC_OK && s->sel.read_only)
        return imap_no(s, "[READ-ONLY] The mailbox is selected for reading only");
    if (rc == RC_OK && r.n > 0)
        rc = mailbox_move(s->mb, s->sel.id, r.uids, r.n, r.to.id, &s->arena, &done);
    if (rc != RC_OK)
        return refuse(s, rc);
    buf_init(&text, 64 + 24 * done.n);
    write_copyuid(&done, &text);
    if (done.n > 0 && buf_rc(&text) == RC_OK) /* RFC 6851 §4.3: before the EXPUNGEs, which imap_ok sends as news */
        conn_printf(s->conn, "* OK %s\r\n", text.p);
    buf_clear(&text);
    return imap_ok(s, "Done");
}

enum rc imap_cmd_expunge(struct imap_session *s, struct view args)
{
    struct imap_seqset set;
    uint32_t *uids = NULL, *gone;
    size_t n = 0, n_gone;
    uint64_t modseq;
    enum rc rc = RC_OK;

    if (s->uid)
        rc = imap_take_sp(&args) ? imap_seqset_parse(&args, &s->arena, &set) : RC_SYNTAX;
    if (rc == RC_SYNTAX || (rc == RC_OK && args.n > 0))
        return imap_bad(s, s->uid ? "UID EXPUNGE numbers" : "EXPUNGE takes nothing");
    if (s->sel.read_only)
        return imap_no(s, "[READ-ONLY] The mailbox is selected for reading only");
    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc == RC_OK && s->uid) {
        imap_uid_ranges(s, &set);
        rc = imap_uid_list(s, &set, &uids, &n);
        if (rc == RC_OK && n == 0)
            return imap_ok(s, "Done");
    }
    if (rc == RC_OK)
        rc = mailbox_expunge(s->mb, s->sel.id, uids, n, &s->arena, &gone, &n_gone, &modseq);
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}
