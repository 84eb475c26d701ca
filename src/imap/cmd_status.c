/* STATUS: RFC 3501 §6.3.10, HIGHESTMODSEQ (RFC 7162), SIZE (RFC 8438), DELETED (RFC 9051). */
#include "imap/session.h"

enum {
    STATUS_MESSAGES = 1, STATUS_RECENT = 2, STATUS_UIDNEXT = 4, STATUS_UIDVALIDITY = 8, STATUS_UNSEEN = 16,
    STATUS_HIGHESTMODSEQ = 32, STATUS_SIZE = 64, STATUS_DELETED = 128
};
static const struct {
    struct view name;
    unsigned item;
} names[] = {
    {VIEW_INIT("MESSAGES"), STATUS_MESSAGES}, {VIEW_INIT("RECENT"), STATUS_RECENT},
    {VIEW_INIT("UIDNEXT"), STATUS_UIDNEXT},   {VIEW_INIT("UIDVALIDITY"), STATUS_UIDVALIDITY},
    {VIEW_INIT("UNSEEN"), STATUS_UNSEEN},     {VIEW_INIT("HIGHESTMODSEQ"), STATUS_HIGHESTMODSEQ},
    {VIEW_INIT("SIZE"), STATUS_SIZE},         {VIEW_INIT("DELETED"), STATUS_DELETED},
};

enum rc imap_status_items_parse(struct view *in, struct imap_status_items *out)
{
    struct view cur = *in, name;

    out->wanted = 0;
    if (!view_take_chr(&cur, '('))
        return RC_SYNTAX;
    do {
        unsigned found = 0;
        if (imap_atom(&cur, &name) != RC_OK)
            return RC_SYNTAX;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            found |= view_ieq(name, names[i].name) ? names[i].item : 0;
        if (!found)
            return RC_SYNTAX;
        out->wanted |= found;
    } while (imap_take_sp(&cur));
    if (!view_take_chr(&cur, ')'))
        return RC_SYNTAX;
    *in = cur;
    return RC_OK;
}

static enum rc count_recent(struct imap_session *s, const struct folder *f, uint32_t *out)
{
    struct imap_folder *shared = NULL;
    struct seqmap *map = NULL;
    enum rc rc = RC_OK;

    *out = 0;
    if (f->recent_from >= f->uidnext)
        return RC_OK;
    rc = imap_folder_get(s->server->table, s->account, f->id, &shared);
    if (rc == RC_OK)
        rc = imap_folder_map(shared, s->mb, false, &map);
    if (rc == RC_OK)
        *out = seqmap_count(map) - seqmap_below(map, f->recent_from);
    seqmap_unref(map);
    imap_folder_put(shared);
    return rc;
}

enum rc imap_status_write(struct imap_session *s, const struct folder *f, const struct imap_status_items *items)
{
    struct buf out;
    uint32_t recent = 0;
    enum rc rc = items->wanted & STATUS_RECENT ? count_recent(s, f, &recent) : RC_OK;

    if (rc != RC_OK)
        return rc;
    const uint64_t values[] = {f->exists, recent, f->uidnext, f->uidvalidity, f->unseen, f->modseq ? f->modseq : 1,
                               f->bytes,  f->deleted};
    buf_init(&out, 65536);
    buf_str(&out, "* STATUS ");
    imap_write_mailbox(f->path, &out);
    const char *gap = " (";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (items->wanted & names[i].item) {
            buf_printf(&out, "%s%.*s %llu", gap, VIEW_FMT(names[i].name), (unsigned long long)values[i]);
            gap = " ";
        }
    }
    buf_str(&out, ")\r\n");
    rc = buf_rc(&out);
    if (rc == RC_OK)
        conn_write(s->conn, buf_view(&out));
    buf_clear(&out);
    return rc;
}

enum rc imap_cmd_status(struct imap_session *s, struct view args)
{
    struct view name;
    struct folder folder;
    struct imap_status_items items;
    enum rc rc = imap_take_sp(&args) ? imap_mailbox(&args, &s->arena, &name) : RC_SYNTAX;

    if (rc == RC_DENIED)
        return imap_no(s, "[NONEXISTENT] No such mailbox");
    if (rc != RC_OK || !imap_take_sp(&args) || imap_status_items_parse(&args, &items) != RC_OK || args.n > 0)
        return imap_bad(s, "STATUS mailbox (items)");
    if (items.wanted & STATUS_HIGHESTMODSEQ)
        s->condstore = true; /* RFC 7162 §3.1 */
    rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = mailbox_folder(s->mb, name, &s->arena, &folder);
    if (rc == RC_OK)
        rc = imap_status_write(s, &folder, &items);
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}
