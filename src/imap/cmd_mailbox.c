/* SELECT to UNSUBSCRIBE: RFC 3501 §6.3, UNSELECT (RFC 3691), CREATE-SPECIAL-USE (RFC 6154), SELECT's parameters (RFC 4466). */
#include "imap/session.h"

#define SYSTEM_FLAGS "\\Answered \\Flagged \\Deleted \\Seen \\Draft"

/* A name and nothing else. Answers by itself: *rc says how, where false comes back. */
static bool one_mailbox(struct imap_session *s, struct view args, struct view *name, enum rc *rc)
{
    enum rc parsed = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, name) : RC_SYNTAX;

    if (parsed == RC_OK && args.n == 0) {
        *rc = imap_mailbox_open(s);
        if (*rc == RC_OK)
            return true;
        *rc = imap_no_rc(s, *rc);
    } else if (parsed == RC_DENIED) {
        *rc = imap_no(s, "[CANNOT] No mailbox can have this name");
    } else {
        *rc = imap_bad(s, "One mailbox name is wanted");
    }
    return false;
}

/* --- SELECT, EXAMINE --- */

static enum rc select_parameters(struct imap_session *s, struct view *args)
{
    struct view name;

    if (args->n == 0)
        return RC_OK;
    if (!view_take(args, VIEW(" (")))
        return RC_SYNTAX;
    do {
        if (imap_atom(args, &name) != RC_OK || !view_ieq(name, VIEW("CONDSTORE")))
            return RC_SYNTAX;
        s->condstore = true; /* RFC 7162 §3.1.8 */
    } while (imap_take_sp(args));
    return view_take_chr(args, ')') && args->n == 0 ? RC_OK : RC_SYNTAX;
}

static enum rc claim_recent(struct imap_session *s, struct folder *f)
{
    if (s->sel.read_only || f->recent_from >= f->uidnext)
        return RC_OK;
    return mailbox_folder_claim_recent(s->mb, f->id, &f->recent_from);
}

static enum rc open_folder(struct imap_session *s, struct view name, bool read_only, struct folder *f)
{
    enum rc rc = mailbox_folder(s->mb, name, &s->arena, f);

    if (rc != RC_OK)
        return rc;
    s->sel.id = f->id;
    s->sel.read_only = read_only;
    rc = imap_folder_get(s->server->table, s->account, f->id, &s->sel.shared);
    if (rc == RC_OK)
        rc = imap_folder_map(s->sel.shared, s->mb, false, &s->sel.map);
    if (rc == RC_OK)
        rc = claim_recent(s, f);
    s->sel.recent_from = f->recent_from;
    s->sel.claimed = f->uidnext;
    return rc;
}

static enum rc describe(struct imap_session *s, const struct folder *f)
{
    const struct seqmap *map = s->sel.map;
    uint32_t n = seqmap_count(map), unseen = 0;
    uint32_t uidnext = f->uidnext > seqmap_last(map) ? f->uidnext : seqmap_last(map) + 1;
    struct conn *c = s->conn;

    if (f->unseen > 0 && imap_folder_first_unseen(s->sel.shared, s->mb, map, &unseen) == RC_OK)
        unseen = seqmap_seq(map, unseen);
    conn_write(c, VIEW("* FLAGS (" SYSTEM_FLAGS ")\r\n"));
    if (s->sel.read_only)
        conn_write(c, VIEW("* OK [PERMANENTFLAGS ()] Read only\r\n"));
    else
        conn_write(c, VIEW("* OK [PERMANENTFLAGS (" SYSTEM_FLAGS " \\*)] Kept\r\n"));
    conn_printf(c, "* %u EXISTS\r\n* %u RECENT\r\n", n, n - seqmap_below(map, s->sel.recent_from));
    if (unseen > 0)
        conn_printf(c, "* OK [UNSEEN %u] First unseen\r\n", unseen);
    conn_printf(c, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Next UID\r\n", f->uidvalidity, uidnext);
    conn_printf(c, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)(seqmap_modseq(map) ? seqmap_modseq(map) : 1));
    return imap_ok(s, s->sel.read_only ? "[READ-ONLY] Done" : "[READ-WRITE] Done");
}

static enum rc select_mailbox(struct imap_session *s, struct view args, bool read_only)
{
    struct view name;
    struct folder folder;
    enum rc rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &name) : RC_SYNTAX;

    if (rc == RC_SYNTAX || (rc == RC_OK && select_parameters(s, &args) != RC_OK))
        return imap_bad(s, "SELECT mailbox, with CONDSTORE at most");
    if (s->sel.shared) {
        imap_leave_folder(s);
        conn_write(s->conn, VIEW("* OK [CLOSED] Previous mailbox closed\r\n"));
    }
    if (rc == RC_DENIED)
        return imap_no(s, "[CANNOT] No mailbox can have this name");
    rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = open_folder(s, name, read_only, &folder);
    if (rc != RC_OK) {
        imap_deselect(s);
        return imap_no_rc(s, rc);
    }
    s->state = IMAP_SELECTED;
    return describe(s, &folder);
}

enum rc imap_cmd_select(struct imap_session *s, struct view args)
{
    return select_mailbox(s, args, s->read_only);
}

enum rc imap_cmd_examine(struct imap_session *s, struct view args)
{
    return select_mailbox(s, args, true);
}

enum rc imap_cmd_unselect(struct imap_session *s, struct view args)
{
    if (args.n > 0)
        return imap_bad(s, "UNSELECT takes nothing");
    imap_leave_folder(s);
    return imap_ok(s, "Done");
}

enum rc imap_cmd_close(struct imap_session *s, struct view args)
{
    uint32_t *gone;
    size_t n;
    uint64_t modseq;
    enum rc rc = RC_OK;

    if (args.n > 0)
        return imap_bad(s, "CLOSE takes nothing");
    if (!s->sel.read_only) {
        rc = imap_mailbox_open(s);
        if (rc == RC_OK)
            rc = mailbox_expunge(s->mb, s->sel.id, NULL, 0, &s->arena, &gone, &n, &modseq);
    }
    imap_leave_folder(s);
    return rc == RC_OK || rc == RC_NOTFOUND ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}

/* --- names --- */

static const struct {
    struct view attribute;
    enum folder_role role;
} uses[] = {
    {VIEW_INIT("\\Drafts"), FOLDER_DRAFTS}, {VIEW_INIT("\\Sent"), FOLDER_SENT},       {VIEW_INIT("\\Junk"), FOLDER_JUNK},
    {VIEW_INIT("\\Trash"), FOLDER_TRASH},   {VIEW_INIT("\\Archive"), FOLDER_ARCHIVE},
};

/* " (USE (\Sent))", RFC 6154 §3. RC_NOTFOUND: a use that we do not know. */
static enum rc create_parameters(struct view *args, enum folder_role *role)
{
    struct view name;

    if (args->n == 0)
        return RC_OK;
    if (!view_itake(args, VIEW(" (USE (")))
        return RC_SYNTAX;
    for (unsigned n = 0; !view_take_chr(args, ')'); n++) {
        if ((n > 0 && !imap_take_sp(args)) || !view_take_chr(args, '\\') || imap_atom(args, &name) != RC_OK)
            return RC_SYNTAX;
        enum folder_role found = FOLDER_PLAIN;
        for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
            if (view_ieq(name, view_from(uses[i].attribute, 1)))
                found = uses[i].role;
        }
        if (found == FOLDER_PLAIN || *role != FOLDER_PLAIN)
            return RC_NOTFOUND;
        *role = found;
    }
    return view_take_chr(args, ')') && args->n == 0 ? RC_OK : RC_SYNTAX;
}

enum rc imap_cmd_create(struct imap_session *s, struct view args)
{
    struct view name;
    struct folder taken;
    enum folder_role role = FOLDER_PLAIN;
    uint64_t id;
    enum rc rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &name) : RC_SYNTAX;

    if (rc == RC_DENIED)
        return imap_no(s, "[CANNOT] No mailbox can have this name");
    if (rc == RC_OK)
        rc = create_parameters(&args, &role);
    if (rc == RC_NOTFOUND)
        return imap_no(s, "[USEATTR] No such use");
    if (rc != RC_OK)
        return imap_bad(s, "CREATE mailbox");
    rc = imap_mailbox_open(s);
    if (rc == RC_OK && role != FOLDER_PLAIN && mailbox_folder_by_role(s->mb, role, &s->arena, &taken) == RC_OK)
        return imap_no(s, "[USEATTR] Another mailbox has this use");
    if (view_ends(name, VIEW("/"))) /* RFC 3501 §6.3.3: only says that names will be made below it */
        name.n--;
    if (rc == RC_OK)
        rc = mailbox_folder_create(s->mb, name, role, &id);
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}

enum rc imap_cmd_delete(struct imap_session *s, struct view args)
{
    struct view name;
    struct folder f;
    enum rc rc;

    if (!one_mailbox(s, args, &name, &rc))
        return rc;
    rc = mailbox_folder(s->mb, name, &s->arena, &f);
    if (rc == RC_OK)
        rc = mailbox_folder_delete(s->mb, name);
    if (rc == RC_DENIED)
        return f.has_children ? imap_no(s, "[HASCHILDREN] It has mailboxes below it") /* RFC 9051 §7.1 */
                              : imap_no(s, "[CANNOT] INBOX cannot be deleted");
    if (rc != RC_OK)
        return imap_no_rc(s, rc);
    if (s->sel.shared && s->sel.id == f.id) {
        imap_deselect(s);
        conn_write(s->conn, VIEW("* OK [CLOSED] The selected mailbox was deleted\r\n"));
    }
    return imap_ok(s, "Done");
}

enum rc imap_cmd_rename(struct imap_session *s, struct view args)
{
    struct view from, to;
    enum rc rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &from) : RC_SYNTAX;

    if (rc == RC_OK)
        rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &to) : RC_SYNTAX;
    if (rc == RC_DENIED)
        return imap_no(s, "[CANNOT] No mailbox can have this name");
    if (rc != RC_OK || args.n > 0)
        return imap_bad(s, "RENAME from to");
    rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = mailbox_folder_rename(s->mb, from, to);
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}

static enum rc subscribe(struct imap_session *s, struct view args, bool on)
{
    struct view name;
    enum rc rc;

    if (!one_mailbox(s, args, &name, &rc))
        return rc;
    rc = mailbox_folder_subscribe(s->mb, name, on);
    if (rc == RC_NOTFOUND && !on) /* a deleted mailbox: it is subscribed no more, which is what was asked for */
        rc = RC_OK;
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}

enum rc imap_cmd_subscribe(struct imap_session *s, struct view args)
{
    return subscribe(s, args, true);
}

enum rc imap_cmd_unsubscribe(struct imap_session *s, struct view args)
{
    return subscribe(s, args, false);
}
