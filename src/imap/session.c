#include "imap/session.h"

#include <stdlib.h>

#include "base/log.h"
#include "imap/capability.h"
#include "store/app_password.h"

/* --- replies --- */

static enum rc reply(struct imap_session *s, const char *status, const char *text)
{
    if (s->sel.shared && s->news != NEWS_NONE) {
        enum rc rc = imap_sync(s, s->news, false);
        if (rc != RC_OK)
            return rc;
    }
    conn_printf(s->conn, "%s %s %s\r\n", s->tag[0] ? s->tag : "*", status, text);
    return RC_OK;
}

enum rc imap_ok(struct imap_session *s, const char *text)
{
    s->bad = 0;
    return reply(s, "OK", text);
}

enum rc imap_no(struct imap_session *s, const char *text)
{
    return reply(s, "NO", text);
}

enum rc imap_bad(struct imap_session *s, const char *text)
{
    s->news = NEWS_NONE;
    if (++s->bad >= (s->state == IMAP_NEW ? IMAP_LOGIN_BAD_MAX : IMAP_BAD_MAX)) {
        reply(s, "BAD", text);
        return imap_bye(s, "Too many commands that are none");
    }
    return reply(s, "BAD", text);
}

enum rc imap_no_rc(struct imap_session *s, enum rc rc)
{
    switch (rc) {
    case RC_SYNTAX:   return imap_no(s, "[CANNOT] No mailbox can have this name");
    case RC_LIMIT:    return imap_no(s, "[LIMIT] Too many or too long");
    case RC_NOTFOUND: return imap_no(s, "[NONEXISTENT] No such mailbox");
    case RC_EXISTS:   return imap_no(s, "[ALREADYEXISTS] There is such a mailbox");
    case RC_DENIED:   return imap_no(s, "[NOPERM] Not allowed");
    case RC_FULL:     return imap_no(s, "[OVERQUOTA] No room");
    case RC_CORRUPT:  return imap_no(s, "[CORRUPTION] Stored data is damaged");
    case RC_CLOSED:
    case RC_TIMEOUT:  return rc;
    default:          return imap_no(s, "[UNAVAILABLE] Please try again later");
    }
}

enum rc imap_bye(struct imap_session *s, const char *text)
{
    conn_printf(s->conn, "* BYE %s\r\n", text);
    return RC_CLOSED;
}

/* --- small commands --- */

enum rc imap_cmd_capability(struct imap_session *s, struct view args)
{
    struct buf out;

    if (args.n > 0)
        return imap_bad(s, "CAPABILITY takes nothing");
    buf_init(&out, 4096);
    imap_capability_write(s, &out);
    conn_printf(s->conn, "* %.*s\r\n", VIEW_FMT(buf_view(&out)));
    buf_clear(&out);
    return imap_ok(s, "Done");
}

enum rc imap_cmd_id(struct imap_session *s, struct view args)
{
    struct view word;
    unsigned n = 0;

    /* RFC 2971 §3.3: NIL or up to 30 pairs; nothing is kept of them. */
    if (!imap_take_sp(&args))
        return imap_bad(s, "ID takes a list or NIL");
    if (!view_itake(&args, VIEW("NIL"))) {
        if (!view_take_chr(&args, '('))
            return imap_bad(s, "ID takes a list or NIL");
        while (!view_take_chr(&args, ')')) {
            if ((n > 0 && !imap_take_sp(&args)) || n++ > 60)
                return imap_bad(s, "ID takes up to 30 pairs");
            if (!view_itake(&args, VIEW("NIL")) && imap_string(&args, &s->arena, &word) != RC_OK)
                return imap_bad(s, "ID takes strings");
        }
    }
    if (args.n > 0)
        return imap_bad(s, "ID takes one list");
    conn_write(s->conn, VIEW("* ID (\"name\" \"Facteur\" \"version\" \"" FACTEUR_VERSION "\")\r\n"));
    return imap_ok(s, "Done");
}

enum rc imap_cmd_noop(struct imap_session *s, struct view args)
{
    return args.n > 0 ? imap_bad(s, "This command takes nothing") : imap_ok(s, "Done");
}

enum rc imap_cmd_logout(struct imap_session *s, struct view args)
{
    if (args.n > 0)
        return imap_bad(s, "LOGOUT takes nothing");
    imap_leave_folder(s);
    conn_write(s->conn, VIEW("* BYE Logging out\r\n"));
    imap_ok(s, "Done");
    return RC_CLOSED;
}

enum rc imap_cmd_enable(struct imap_session *s, struct view args)
{
    struct view name;
    bool condstore = false;

    if (args.n == 0)
        return imap_bad(s, "ENABLE what?");
    while (imap_take_sp(&args)) {
        if (imap_atom(&args, &name) != RC_OK)
            return imap_bad(s, "ENABLE takes capability names");
        if (view_ieq(name, VIEW("CONDSTORE")))
            condstore = true;
    }
    if (args.n > 0)
        return imap_bad(s, "ENABLE takes capability names");
    s->condstore |= condstore;
    conn_printf(s->conn, "* ENABLED%s\r\n", condstore ? " CONDSTORE" : "");
    return imap_ok(s, "Done");
}

/* --- the table --- */

#define ANY   (IMAP_NEW | IMAP_AUTHENTICATED | IMAP_SELECTED)
#define LOGIN (IMAP_AUTHENTICATED | IMAP_SELECTED)

static const struct command {
    const char *name;
    imap_command_fn fn;
    unsigned states;
    enum imap_news news;
    bool takes_uid; /* UID may stand before it */
    bool changes;   /* refused where nothing may be changed */
} commands[] = {
    {"FETCH", imap_cmd_fetch, IMAP_SELECTED, NEWS_BUT_EXPUNGE, true, false},
    {"STORE", imap_cmd_store, IMAP_SELECTED, NEWS_BUT_EXPUNGE, true, true},
    {"SEARCH", imap_cmd_search, IMAP_SELECTED, NEWS_BUT_EXPUNGE, true, false},
    {"COPY", imap_cmd_copy, IMAP_SELECTED, NEWS_ALL, true, true},
    {"MOVE", imap_cmd_move, IMAP_SELECTED, NEWS_ALL, true, true},
    {"EXPUNGE", imap_cmd_expunge, IMAP_SELECTED, NEWS_ALL, true, true},
    {"NOOP", imap_cmd_noop, ANY, NEWS_ALL, false, false},
    {"CHECK", imap_cmd_noop, IMAP_SELECTED, NEWS_ALL, false, false},
    {"IDLE", imap_cmd_idle, LOGIN, NEWS_ALL, false, false},
    {"SELECT", imap_cmd_select, LOGIN, NEWS_NONE, false, false},
    {"EXAMINE", imap_cmd_examine, LOGIN, NEWS_NONE, false, false},
    {"CLOSE", imap_cmd_close, IMAP_SELECTED, NEWS_NONE, false, false},
    {"UNSELECT", imap_cmd_unselect, IMAP_SELECTED, NEWS_NONE, false, false},
    {"APPEND", imap_cmd_append, LOGIN, NEWS_ALL, false, true},
    {"STATUS", imap_cmd_status, LOGIN, NEWS_ALL, false, false},
    {"LIST", imap_cmd_list, LOGIN, NEWS_ALL, false, false},
    {"LSUB", imap_cmd_lsub, LOGIN, NEWS_ALL, false, false},
    {"CREATE", imap_cmd_create, LOGIN, NEWS_ALL, false, true},
    {"DELETE", imap_cmd_delete, LOGIN, NEWS_ALL, false, true},
    {"RENAME", imap_cmd_rename, LOGIN, NEWS_ALL, false, true},
    {"SUBSCRIBE", imap_cmd_subscribe, LOGIN, NEWS_ALL, false, true},
    {"UNSUBSCRIBE", imap_cmd_unsubscribe, LOGIN, NEWS_ALL, false, true},
    {"NAMESPACE", imap_cmd_namespace, LOGIN, NEWS_ALL, false, false},
    {"ENABLE", imap_cmd_enable, LOGIN, NEWS_NONE, false, false},
    {"CAPABILITY", imap_cmd_capability, ANY, NEWS_NONE, false, false},
    {"ID", imap_cmd_id, ANY, NEWS_NONE, false, false},
    {"LOGOUT", imap_cmd_logout, ANY, NEWS_NONE, false, false},
    {"STARTTLS", imap_cmd_starttls, IMAP_NEW, NEWS_NONE, false, false},
    {"LOGIN", imap_cmd_login, IMAP_NEW, NEWS_NONE, false, false},
    {"AUTHENTICATE", imap_cmd_authenticate, IMAP_NEW, NEWS_NONE, false, false},
};

static const struct command *find_command(struct view name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (view_ieq(name, view_str(commands[i].name)))
            return &commands[i];
    }
    return NULL;
}

static void set_tag(struct imap_session *s, struct view text)
{
    struct view tag;

    s->tag[0] = 0;
    s->news = NEWS_NONE;
    if (imap_tag(&text, &tag) == RC_OK)
        view_cstr(tag, s->tag, sizeof s->tag);
}

static enum rc run_command(struct imap_session *s)
{
    struct view in = buf_view(&s->line), tag, name;
    const struct command *c;

    if (imap_tag(&in, &tag) != RC_OK || !imap_take_sp(&in))
        return imap_bad(s, "A command begins with a tag and a space");
    if (imap_atom(&in, &name) != RC_OK)
        return imap_bad(s, "No command");
    s->uid = view_ieq(name, VIEW("UID"));
    if (s->uid && (!imap_take_sp(&in) || imap_atom(&in, &name) != RC_OK))
        return imap_bad(s, "UID what?");
    c = find_command(name);
    if (!c || (s->uid && !c->takes_uid))
        return imap_bad(s, "Unknown command");
    s->last = c->name;
    if (!(c->states & s->state)) {
        if (s->state == IMAP_NEW)
            return imap_bad(s, "Log in first");
        return imap_bad(s, c->states == IMAP_NEW ? "You are logged in" : "Select a mailbox first");
    }
    s->news = s->uid && c->news == NEWS_BUT_EXPUNGE ? NEWS_ALL : c->news;
    if (s->read_only && c->changes) { /* RFC 5530 §3 */
        enum rc rc = imap_no(s, "[NOPERM] This application password may only read");
        /* what APPEND announced without waiting would be read as commands (RFC 7888 §4) */
        return rc == RC_OK && s->literal.size > 0 && s->literal.no_sync ? imap_bye(s, "[NOPERM] Only reading is allowed") : rc;
    }
    return c->fn(s, in);
}

/* --- reading --- */

void imap_deadline(struct imap_session *s)
{
    if (s->state == IMAP_NEW)
        conn_deadline(s->conn, s->login_by);
    else
        conn_progress(s->conn, s->set->command_ms, IMAP_RATE, IMAP_COMMAND_END_MS);
}

enum rc imap_read_line(struct imap_session *s)
{
    struct view in;
    size_t n = 0;
    enum rc rc = conn_fill(s->conn, &in);

    while (rc == RC_OK) {
        size_t end = view_find(in, VIEW("\r\n"));
        size_t take = end != VIEW_NONE ? end : in.n - (view_ends(in, VIEW("\r")) ? 1 : 0);
        n += take;
        if (n <= IMAP_LINE_MAX)
            buf_add(&s->line, view_slice(in, 0, take));
        conn_eat(s->conn, end != VIEW_NONE ? take + 2 : take);
        if (end != VIEW_NONE)
            return n <= IMAP_LINE_MAX ? buf_rc(&s->line) : RC_LIMIT;
        rc = take < in.n ? conn_fill_more(s->conn, &in) : conn_fill(s->conn, &in);
    }
    return rc;
}

static enum rc read_literal(struct imap_session *s, uint64_t n)
{
    struct view in;
    enum rc rc;

    buf_add(&s->line, VIEW("\r\n"));
    while (n > 0) {
        if ((rc = conn_fill(s->conn, &in)) != RC_OK)
            return rc;
        in = view_slice(in, 0, n);
        buf_add(&s->line, in);
        conn_eat(s->conn, in.n);
        n -= in.n;
    }
    return buf_rc(&s->line);
}

/* A literal that is too big: one that waits for our leave is never sent; one that does not wait would be read as
 * commands, so the session must end (RFC 7888 §4). */
static enum rc refuse_literal(struct imap_session *s, const struct imap_literal *lit)
{
    set_tag(s, buf_view(&s->line));
    enum rc rc = imap_bad(s, "[TOOBIG] Literal too big");

    if (rc == RC_OK && lit->no_sync)
        rc = imap_bye(s, "[TOOBIG] Literal too big");
    return rc == RC_OK ? RC_LIMIT : rc;
}

/* A whole command into s->line, literals and all, but for APPEND's message. RC_LIMIT: refused and answered. */
static enum rc read_command(struct imap_session *s)
{
    size_t max = s->state == IMAP_NEW ? IMAP_LITERAL_LOGIN_MAX : IMAP_LITERAL_AUTH_MAX;

    buf_reset(&s->line);
    s->literal = (struct imap_literal){0};
    for (;;) {
        size_t start = s->line.n;
        enum rc rc = imap_read_line(s);
        if (rc == RC_LIMIT) {
            set_tag(s, buf_view(&s->line));
            rc = imap_bad(s, "[TOOBIG] Command too long");
            return rc == RC_OK ? RC_LIMIT : rc;
        }
        if (rc != RC_OK)
            return rc;
        struct imap_literal lit;
        rc = imap_literal_at_end(view_from(buf_view(&s->line), start), &lit);
        if (rc == RC_NOTFOUND)
            return RC_OK;
        lit.at += start;
        if (rc == RC_OK && s->state != IMAP_NEW && imap_append_is_message(s, buf_view(&s->line), &lit)) {
            s->literal = lit;
            return RC_OK;
        }
        if (rc == RC_LIMIT || lit.size > max || s->line.n + lit.size > IMAP_COMMAND_MAX - IMAP_LINE_MAX)
            return refuse_literal(s, &lit);
        if (!lit.no_sync) {
            conn_write(s->conn, VIEW("+ Go ahead\r\n"));
            if ((rc = conn_flush(s->conn)) != RC_OK)
                return rc;
        }
        if ((rc = read_literal(s, lit.size)) != RC_OK)
            return rc;
    }
}

/* --- life --- */

enum rc imap_mailbox_open(struct imap_session *s)
{
    return s->mb ? RC_OK : mailbox_open(s->server->store, s->account, &s->mb);
}

void imap_deselect(struct imap_session *s)
{
    imap_idle_stop(s);
    seqmap_unref(s->sel.map);
    imap_folder_put(s->sel.shared);
    s->sel = (struct imap_selected){0};
    if (s->state == IMAP_SELECTED)
        s->state = IMAP_AUTHENTICATED;
}

void imap_leave_folder(struct imap_session *s)
{
    uint32_t from;

    /* a failure here costs nothing but a message that is \Recent twice */
    if (s->sel.shared && !s->sel.read_only && seqmap_last(s->sel.map) >= s->sel.claimed && imap_mailbox_open(s) == RC_OK)
        mailbox_folder_claim_recent(s->mb, s->sel.id, &from);
    imap_deselect(s);
}

/* Gives back all that a waiting session does not need. */
static void park(struct imap_session *s)
{
    mailbox_close(s->mb);
    s->mb = NULL;
    arena_clear(&s->arena);
    buf_wipe(&s->line); /* may have held a password */
    buf_clear(&s->line);
    pool_park_until(s->conn, s->state == IMAP_NEW ? s->login_by : deadline_in(s->set->idle_ms));
}

/* The telephone that has it is lost, perhaps, and its session idles. */
static bool has_lost_right(const struct imap_session *s)
{
    return s->account != 0 && login_mark_look(s->server->store, &s->mark) == RC_DENIED;
}

static enum rc end_rights(struct imap_session *s)
{
    return imap_bye(s, "The password that opened this session is no longer good");
}

static enum rc serve_input(struct imap_session *s)
{
    enum rc rc;

    do {
        imap_deadline(s);
        if (has_lost_right(s)) {
            rc = end_rights(s);
        } else if (s->idling) {
            rc = imap_idle_line(s);
        } else {
            rc = read_command(s);
            if (rc == RC_OK) {
                set_tag(s, buf_view(&s->line));
                rc = run_command(s);
            }
        }
        arena_reset(&s->arena);
    } while ((rc == RC_OK || rc == RC_LIMIT) && conn_has_input(s->conn));
    return rc == RC_LIMIT ? RC_OK : rc;
}

enum pool_next imap_session_serve(struct imap_session *s, enum pool_why why)
{
    enum rc rc = RC_OK, flushed;

    switch (why) {
    case POOL_INPUT:
        imap_deadline(s);
        rc = serve_input(s);
        break;
    case POOL_EVENT:
        imap_deadline(s);
        if (has_lost_right(s))
            rc = end_rights(s);
        else if (s->idling)
            rc = imap_idle_event(s);
        break;
    case POOL_TIMEOUT:
        imap_deadline(s);
        rc = imap_bye(s, s->state == IMAP_NEW ? "Nobody logged in" : "Nothing was said for too long");
        break;
    case POOL_DRAIN:
        imap_deadline(s);
        rc = imap_bye(s, "[UNAVAILABLE] The server is stopping");
        break;
    }
    if (rc == RC_TIMEOUT)
        rc = imap_bye(s, "Too slow");
    flushed = conn_flush(s->conn);
    park(s);
    return rc == RC_OK && flushed == RC_OK ? POOL_PARK : POOL_CLOSE;
}

struct imap_session *imap_session_new(struct imap_server *srv, struct imap_snapshot *snapshot, struct conn *c)
{
    struct imap_session *s = calloc(1, sizeof *s);
    struct buf hello;

    if (!s)
        return NULL;
    s->server = srv;
    s->snapshot = snapshot;
    s->set = &snapshot->set;
    s->conn = c;
    s->state = IMAP_NEW;
    s->last = "";
    s->login_by = deadline_in(s->set->login_ms);
    arena_init(&s->arena, IMAP_ARENA_MAX);
    buf_init(&s->line, IMAP_COMMAND_MAX);
    imap_deadline(s);
    buf_init(&hello, 4096);
    buf_str(&hello, "* OK [");
    imap_capability_write(s, &hello);
    buf_printf(&hello, "] %s Facteur ready\r\n", s->set->hostname);
    conn_write(c, buf_view(&hello));
    buf_clear(&hello);
    if (conn_flush(c) != RC_OK) {
        free(s);
        return NULL;
    }
    pool_park_until(c, s->login_by);
    return s;
}

void imap_session_free(struct imap_session *s)
{
    log_info("imap.closed", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)),
             F_INT("account", s->account), F_CSTR("last", s->last));
    imap_deselect(s);
    mailbox_close(s->mb);
    arena_clear(&s->arena);
    buf_wipe(&s->line);
    buf_clear(&s->line);
    free(s);
}

/* --- sets --- */

enum rc imap_uid_ranges(struct imap_session *s, struct imap_seqset *set)
{
    const struct seqmap *map = s->sel.map;

    if (s->uid) {
        imap_seqset_resolve(set, seqmap_last(map));
        return RC_OK;
    }
    if (imap_seqset_highest(set) > seqmap_count(map))
        return RC_SYNTAX;
    imap_seqset_resolve(set, seqmap_count(map));
    for (size_t i = 0; i < set->n; i++) {
        struct imap_range *r = &set->ranges[i];
        *r = (struct imap_range){seqmap_uid(map, r->lo), seqmap_uid(map, r->hi)};
    }
    return RC_OK;
}

enum rc imap_uid_list(struct imap_session *s, const struct imap_seqset *ranges, uint32_t **uids, size_t *n)
{
    const struct seqmap *map = s->sel.map;
    size_t total = 0;

    for (size_t i = 0; i < ranges->n; i++)
        total += seqmap_below(map, ranges->ranges[i].hi) + 1 - seqmap_below(map, ranges->ranges[i].lo);
    *uids = arena_new_array(&s->arena, total, uint32_t);
    if (!*uids)
        return RC_TEMP;
    *n = 0;
    for (size_t i = 0; i < ranges->n; i++)
        *n += seqmap_uids(map, ranges->ranges[i].lo, ranges->ranges[i].hi, *uids + *n, total - *n);
    return RC_OK;
}

bool imap_next_range(const struct imap_seqset *ranges, size_t *i, struct imap_range *out)
{
    if (*i >= ranges->n)
        return false;
    *out = ranges->ranges[(*i)++];
    while (*i < ranges->n && ranges->ranges[*i].lo - out->hi <= IMAP_BATCH / 4)
        out->hi = ranges->ranges[(*i)++].hi;
    return true;
}

enum rc imap_items(struct imap_session *s, uint32_t lo, uint32_t hi, uint64_t since, unsigned columns, size_t *batch,
                   struct arena *a, struct item **out, size_t *n)
{
    enum rc rc;

    for (;;) {
        rc = mailbox_items(s->mb, s->sel.id, lo, hi, since, columns, *batch, a, out, n);
        if (rc != RC_TEMP || *batch == 1 || a->used < a->cap / 4)
            return rc;
        *batch = *batch > 8 ? *batch / 8 : 1;
        arena_reset(a);
    }
}
