/* LIST, LSUB and NAMESPACE: RFC 3501 §6.3.8-9, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), CHILDREN (RFC 3348),
 * SPECIAL-USE (RFC 6154), NAMESPACE (RFC 2342). */
#include "imap/listmatch.h"
#include "imap/session.h"

#define LIST_PATTERNS_MAX 32

enum {
    LIST_SUBSCRIBED = 1, LIST_REMOTE = 2, LIST_RECURSIVE = 4, LIST_SPECIAL = 8, /* selection options */
};
struct list {
    unsigned select, wants; /* LIST_* */
    bool extended, wants_status, is_lsub;
    struct view reference;
    struct view patterns[LIST_PATTERNS_MAX];
    size_t n_patterns;
    struct imap_status_items status;
};

static const struct view use_of[] = {
    [FOLDER_DRAFTS] = VIEW_INIT(" \\Drafts"), [FOLDER_SENT] = VIEW_INIT(" \\Sent"),
    [FOLDER_JUNK] = VIEW_INIT(" \\Junk"),     [FOLDER_TRASH] = VIEW_INIT(" \\Trash"),
    [FOLDER_ARCHIVE] = VIEW_INIT(" \\Archive"),
};

/* --- grammar --- */

static const struct {
    struct view name;
    unsigned option;
} option_names[] = {
    {VIEW_INIT("SUBSCRIBED"), LIST_SUBSCRIBED}, {VIEW_INIT("REMOTE"), LIST_REMOTE},
    {VIEW_INIT("RECURSIVEMATCH"), LIST_RECURSIVE}, {VIEW_INIT("SPECIAL-USE"), LIST_SPECIAL},
    {VIEW_INIT("CHILDREN"), 0}, /* always told */
};

static enum rc parse_option(struct view *in, unsigned *out)
{
    struct view name;

    if (imap_atom(in, &name) != RC_OK)
        return RC_SYNTAX;
    for (size_t i = 0; i < sizeof option_names / sizeof option_names[0]; i++) {
        if (view_ieq(name, option_names[i].name)) {
            *out |= option_names[i].option;
            return RC_OK;
        }
    }
    return RC_SYNTAX;
}

static enum rc parse_selection(struct view *in, struct list *l)
{
    if (!view_take_chr(in, '('))
        return RC_OK;
    l->extended = true;
    for (unsigned n = 0; !view_take_chr(in, ')'); n++) {
        if ((n > 0 && !imap_take_sp(in)) || parse_option(in, &l->select) != RC_OK)
            return RC_SYNTAX;
    }
    /* RFC 5258 §3: RECURSIVEMATCH alone says nothing */
    if (l->select & LIST_RECURSIVE && !(l->select & (LIST_SUBSCRIBED | LIST_SPECIAL)))
        return RC_SYNTAX;
    return imap_take_sp(in) ? RC_OK : RC_SYNTAX;
}

/* A pattern that no name can have (bad modified UTF-7) matches none: it is left out. */
static enum rc parse_pattern(struct imap_session *s, struct view *in, struct list *l)
{
    struct view pattern;
    enum rc rc = imap_list_mailbox(in, &s->arena, &pattern);

    if (rc == RC_DENIED)
        return RC_OK;
    if (rc != RC_OK)
        return rc;
    if (l->n_patterns == LIST_PATTERNS_MAX || pattern.n > LIST_PATTERN_MAX)
        return RC_LIMIT;
    l->patterns[l->n_patterns++] = pattern;
    return RC_OK;
}

static enum rc parse_patterns(struct imap_session *s, struct view *in, struct list *l)
{
    enum rc rc;

    if (l->is_lsub || !view_take_chr(in, '('))
        return parse_pattern(s, in, l);
    l->extended = true;
    do {
        if ((rc = parse_pattern(s, in, l)) != RC_OK)
            return rc;
    } while (imap_take_sp(in));
    return view_take_chr(in, ')') ? RC_OK : RC_SYNTAX;
}

static enum rc parse_returns(struct view *in, struct list *l)
{
    if (in->n == 0)
        return RC_OK;
    if (l->is_lsub || !view_itake(in, VIEW(" RETURN (")))
        return RC_SYNTAX;
    l->extended = true;
    for (unsigned n = 0; !view_take_chr(in, ')'); n++) {
        if (n > 0 && !imap_take_sp(in))
            return RC_SYNTAX;
        if (view_itake(in, VIEW("STATUS "))) {
            l->wants_status = true;
            if (imap_status_items_parse(in, &l->status) != RC_OK)
                return RC_SYNTAX;
        } else if (parse_option(in, &l->wants) != RC_OK) {
            return RC_SYNTAX;
        }
    }
    return in->n == 0 ? RC_OK : RC_SYNTAX;
}

static enum rc parse_list(struct imap_session *s, struct view args, struct list *l)
{
    enum rc rc;

    if (!imap_take_sp(&args) || (!l->is_lsub && parse_selection(&args, l) != RC_OK))
        return RC_SYNTAX;
    rc = imap_mailbox(&args, &s->arena, &l->reference);
    if (rc == RC_OK && !imap_take_sp(&args))
        rc = RC_SYNTAX;
    if (rc == RC_OK)
        rc = parse_patterns(s, &args, l);
    return rc == RC_OK ? parse_returns(&args, l) : rc;
}

/* --- answers --- */

/* The reference is put before the pattern as it is; a pattern that begins at the top stands for itself. */
static enum rc join_reference(struct imap_session *s, struct list *l)
{
    for (size_t i = 0; i < l->n_patterns; i++) {
        struct view *p = &l->patterns[i];
        char *joined;
        if (l->reference.n == 0)
            continue;
        joined = arena_printf(&s->arena, "%.*s%.*s", VIEW_FMT(l->reference), VIEW_FMT(*p));
        if (!joined)
            return RC_TEMP;
        *p = view_str(joined);
        if (p->n > LIST_PATTERN_MAX)
            return RC_LIMIT;
    }
    return RC_OK;
}

static bool matches(const struct list *l, struct view path)
{
    for (size_t i = 0; i < l->n_patterns; i++) {
        struct view pattern = l->patterns[i];
        if (imap_list_match(pattern, path))
            return true;
        /* INBOX has no case, above other names neither */
        if ((view_eq(path, VIEW("INBOX")) || view_starts(path, VIEW("INBOX/"))) && view_istarts(pattern, VIEW("INBOX")) &&
            imap_list_match(view_from(pattern, 5), view_from(path, 5)))
            return true;
    }
    return false;
}

static bool is_selected(const struct list *l, const struct folder *f)
{
    if (l->select & LIST_SUBSCRIBED && !f->subscribed)
        return false;
    return !(l->select & LIST_SPECIAL) || f->role > FOLDER_INBOX;
}

/* Some folder below this one is selected; the list is sorted by path, but "a/b" and "a-b" may interleave. */
static bool has_selected_below(const struct list *l, const struct folder *all, size_t n, const struct folder *f)
{
    for (size_t i = 0; i < n; i++) {
        struct view path = all[i].path;
        if (path.n > f->path.n + 1 && view_starts(path, f->path) && path.p[f->path.n] == '/' && is_selected(l, &all[i]))
            return true;
    }
    return false;
}

static enum rc write_folder(struct imap_session *s, const struct list *l, const struct folder *f, bool no_select, bool child_info)
{
    struct buf out;
    enum rc rc;

    buf_init(&out, 65536);
    buf_printf(&out, "* %s (%s", l->is_lsub ? "LSUB" : "LIST", f->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (no_select)
        buf_str(&out, " \\Noselect");
    if (f->subscribed && (l->select | l->wants) & LIST_SUBSCRIBED && !l->is_lsub)
        buf_str(&out, " \\Subscribed");
    if (f->role > FOLDER_INBOX)
        buf_add(&out, use_of[f->role]);
    buf_str(&out, ") \"/\" ");
    imap_write_mailbox(f->path, &out);
    if (child_info)
        buf_str(&out, " (\"CHILDINFO\" (\"SUBSCRIBED\"))"); /* RFC 5258 §3.5 */
    buf_str(&out, "\r\n");
    rc = buf_rc(&out);
    if (rc == RC_OK)
        conn_write(s->conn, buf_view(&out));
    buf_clear(&out);
    if (rc == RC_OK && l->wants_status && !no_select)
        rc = imap_status_write(s, f, &l->status);
    return rc;
}

/* RFC 3501 §6.3.9: "%" finds a folder that is not subscribed itself, but has something subscribed below it. */
static bool ends_in_percent(const struct list *l)
{
    return l->n_patterns > 0 && view_ends(l->patterns[0], VIEW("%"));
}

static enum rc write_all(struct imap_session *s, const struct list *l, const struct folder *all, size_t n)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const struct folder *f = &all[i];
        if (!matches(l, f->path))
            continue;
        bool selected = is_selected(l, f);
        bool looks_below = l->select & LIST_RECURSIVE || (l->is_lsub && !selected && ends_in_percent(l));
        bool below = looks_below && f->has_children && has_selected_below(l, all, n, f);
        if (selected || below)
            rc = write_folder(s, l, f, l->is_lsub && !selected, below && !l->is_lsub);
    }
    return rc;
}

static enum rc list(struct imap_session *s, struct view args, struct list *l)
{
    struct folder *all;
    size_t n;
    enum rc rc = parse_list(s, args, l);

    if (rc == RC_SYNTAX)
        return imap_bad(s, "A reference and a pattern are wanted");
    if (rc == RC_DENIED) /* a reference that nothing can stand below */
        return imap_ok(s, "Done");
    if (rc == RC_OK && !l->extended && l->n_patterns == 1 && l->patterns[0].n == 0) {
        if (!l->is_lsub) /* RFC 3501 §6.3.8: only the delimiter is asked for */
            conn_write(s->conn, VIEW("* LIST (\\Noselect) \"/\" \"\"\r\n"));
        return imap_ok(s, "Done");
    }
    if (rc == RC_OK)
        rc = join_reference(s, l);
    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = mailbox_folders(s->mb, &s->arena, &all, &n);
    if (rc == RC_OK)
        rc = write_all(s, l, all, n);
    return rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
}

enum rc imap_cmd_list(struct imap_session *s, struct view args)
{
    struct list l = {0};

    return list(s, args, &l);
}

enum rc imap_cmd_lsub(struct imap_session *s, struct view args)
{
    struct list l = {.is_lsub = true, .select = LIST_SUBSCRIBED};

    return list(s, args, &l);
}

enum rc imap_cmd_namespace(struct imap_session *s, struct view args)
{
    if (args.n > 0)
        return imap_bad(s, "NAMESPACE takes nothing");
    conn_write(s->conn, VIEW("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"));
    return imap_ok(s, "Done");
}
