#include "pop3/server.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/log.h"
#include "pop3/body.h"
#include "pop3/command.h"
#include "store/blob.h"
#include "store/mailbox.h"
#include "sys/board.h"

#define SESSION_ARENA_MAX (64u << 10)
#define LOAD_BATCH        500 /* rows read at a time while a maildrop is opened */

struct pop3_server {
    struct pop3_settings set;
    pthread_mutex_t lock;     /* guards `holders` */
    struct session *holders;  /* sessions in TRANSACTION state: one an account (RFC 1939 §4) */
};

struct message {
    uint64_t blob; /* kept here so that RETR asks the database nothing */
    uint32_t uid, size, skip;
    bool deleted;
};

struct session {
    struct pop3_server *server;
    struct conn *conn;
    enum { AUTHORIZATION, TRANSACTION } state;
    char *user; /* of USER, until PASS */
    uint64_t account;
    struct login_mark mark; /* by what it was opened */
    uint64_t folder;
    uint32_t uidvalidity;
    struct message *messages; /* the maildrop as it was at login; numbers are index + 1 */
    size_t n_messages;
    unsigned errors;
    bool ending;
    bool read_only; /* an application password that may only read */
    struct session *next_holder;
    const char *last; /* name of the last command, for the closing log line */
    uint64_t retrieved, removed;
};

/* --- replies --- */

static void reply(struct session *s, const char *text)
{
    conn_printf(s->conn, "%s\r\n", text);
}

static void refuse(struct session *s, const char *text)
{
    reply(s, text);
    if (++s->errors >= POP3_ERRORS_MAX)
        s->ending = true;
}

/* --- the exclusive lock --- */

static bool hold(struct session *s)
{
    bool free_ = true;
    pthread_mutex_lock(&s->server->lock);
    for (struct session *h = s->server->holders; h; h = h->next_holder)
        if (h->account == s->account)
            free_ = false;
    if (free_) {
        s->next_holder = s->server->holders;
        s->server->holders = s;
    }
    pthread_mutex_unlock(&s->server->lock);
    return free_;
}

static void let_go(struct session *s)
{
    pthread_mutex_lock(&s->server->lock);
    for (struct session **at = &s->server->holders; *at; at = &(*at)->next_holder)
        if (*at == s) {
            *at = s->next_holder;
            break;
        }
    pthread_mutex_unlock(&s->server->lock);
}

/* --- login --- */

static enum rc fill_messages(struct session *s, struct mailbox *mb, struct arena *a, uint32_t exists)
{
    size_t room = exists, n = 0;
    uint32_t from = 1;

    s->messages = calloc(room ? room : 1, sizeof *s->messages);
    if (!s->messages)
        return RC_TEMP;
    while (n < room) { /* what arrives meanwhile is for the next session */
        struct item *items;
        size_t got;
        size_t want = room - n < LOAD_BATCH ? room - n : LOAD_BATCH;
        enum rc rc = mailbox_items(mb, s->folder, from, UINT32_MAX, 0, ITEM_FLAGS, want, a, &items, &got);
        if (rc != RC_OK)
            return rc;
        for (size_t i = 0; i < got; i++)
            s->messages[n++] = (struct message){.blob = items[i].blob, .uid = items[i].uid, .size = items[i].size, .skip = items[i].skip};
        if (got < want)
            break;
        from = items[got - 1].uid + 1;
        arena_reset(a);
    }
    s->n_messages = n;
    return RC_OK;
}

static enum rc open_maildrop(struct session *s)
{
    struct mailbox *mb = NULL;
    struct folder inbox;
    struct arena a;
    enum rc rc;

    arena_init(&a, 4u << 20);
    rc = mailbox_open(s->server->set.sasl.store, s->account, &mb);
    if (rc == RC_OK)
        rc = mailbox_folder_by_role(mb, FOLDER_INBOX, &a, &inbox);
    if (rc == RC_OK) {
        s->folder = inbox.id;
        s->uidvalidity = inbox.uidvalidity;
        rc = fill_messages(s, mb, &a, inbox.exists);
    }
    mailbox_close(mb);
    arena_clear(&a);
    return rc;
}

static void enter(struct session *s, const struct directory_account *account, struct sasl_grant grant)
{
    s->account = account->id;
    s->read_only = grant.read_only;
    s->mark = sasl_mark(account, grant);
    if (!hold(s)) {
        s->account = 0;
        reply(s, "-ERR [IN-USE] Another session has this maildrop open");
        return;
    }
    enum rc rc = open_maildrop(s);
    if (rc != RC_OK) {
        log_warn("pop3.open.failed", F_ID("sid", conn_id(s->conn)), F_INT("account", s->account), F_CSTR("reason", rc_name(rc)));
        let_go(s);
        s->account = 0;
        reply(s, "-ERR [SYS/TEMP] The mailbox cannot be opened now, please try again later");
        return;
    }
    s->state = TRANSACTION;
    conn_printf(s->conn, "+OK %zu messages\r\n", s->n_messages);
    conn_set_account(s->conn, account->address);
    board_count(BOARD_LOGINS, "pop3");
    log_info("pop3.login", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)),
             F_VIEW("account", account->address), F_INT("messages", s->n_messages),
             F_INT("app_password", grant.app_password));
}

/* One answer for every way in which a login ends badly. */
static void deny(struct session *s, enum sasl_step step, struct view name)
{
    board_count(BOARD_LOGINS_FAILED, "pop3");
    log_info("pop3.login.refused", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)), F_VIEW("name", name),
             F_CSTR("reason", sasl_step_word(step)));
    switch (step) {
    case SASL_SLOW:
        reply(s, "-ERR [AUTH] Too many failed logins from your address, please wait");
        s->ending = true;
        return;
    case SASL_TEMP:
        reply(s, "-ERR [SYS/TEMP] Logins are not possible just now, please try again later");
        return;
    case SASL_SCOPE:
    case SASL_APP_ONLY:
        conn_printf(s->conn, "-ERR [AUTH] %s\r\n", sasl_step_text(step)); /* no guess: it does not count as one */
        return;
    case SASL_WRONG:
        refuse(s, "-ERR [AUTH] Name or password is wrong");
        return;
    default:
        refuse(s, "-ERR Malformed authentication");
        return;
    }
}

static void cmd_user(struct session *s, const struct pop3_command *cmd)
{
    struct buf mechanisms;
    bool offered;

    buf_init(&mechanisms, 512);
    offered = sasl_mechanisms(&s->server->set.sasl, s->conn, &mechanisms) == RC_OK && mechanisms.n > 0;
    buf_clear(&mechanisms);
    if (!offered) {
        refuse(s, "-ERR Use STLS first");
        return;
    }
    free(s->user);
    s->user = strndup(cmd->arg.p, cmd->arg.n); /* a name with NUL is cut, hence unknown */
    reply(s, s->user ? "+OK And the password?" : "-ERR [SYS/TEMP] Out of memory");
}

static void cmd_pass(struct session *s, const struct pop3_command *cmd)
{
    struct directory_account account;
    struct sasl_grant grant;
    struct arena a;

    if (!s->user) {
        refuse(s, "-ERR USER first");
        return;
    }
    arena_init(&a, SESSION_ARENA_MAX);
    enum sasl_step step = sasl_password(&s->server->set.sasl, s->conn, view_str(s->user), cmd->arg, &a, &account, &grant);
    if (step == SASL_DONE)
        enter(s, &account, grant);
    else
        deny(s, step, view_str(s->user));
    arena_clear(&a);
    free(s->user);
    s->user = NULL;
}

/* Sends "+ challenge" and reads the client's line. RC_DENIED: cancelled with "*" (RFC 5034 §4). */
static enum rc challenge_client(struct session *s, struct view challenge, struct buf *response)
{
    struct buf text;
    struct view line;
    enum rc rc;

    buf_init(&text, POP3_SASL_MAX);
    base64_encode(challenge, &text);
    rc = buf_rc(&text);
    conn_write(s->conn, VIEW("+ "));
    conn_write(s->conn, buf_view(&text));
    conn_write(s->conn, VIEW("\r\n"));
    buf_clear(&text);
    if (rc == RC_OK)
        rc = conn_flush(s->conn);
    if (rc == RC_OK)
        rc = conn_line(s->conn, POP3_SASL_MAX, &line);
    if (rc != RC_OK)
        return rc;
    if (view_eq(line, VIEW("*")))
        return RC_DENIED;
    buf_wipe(response);
    return base64_decode(line, response);
}

static void list_mechanisms(struct session *s)
{
    struct buf names;
    buf_init(&names, 512);
    reply(s, "+OK");
    if (sasl_mechanisms(&s->server->set.sasl, s->conn, &names) == RC_OK) {
        struct view rest = buf_view(&names), one;
        while (rest.n > 0) {
            view_split(&rest, ' ', &one);
            conn_write(s->conn, one);
            conn_write(s->conn, VIEW("\r\n"));
        }
    }
    reply(s, ".");
    buf_clear(&names);
}

static void cmd_auth(struct session *s, const struct pop3_command *cmd)
{
    struct sasl *sasl = NULL;
    struct view rest = cmd->arg, mechanism, challenge = {0};
    struct buf response;
    enum sasl_step step;
    enum rc rc;

    if (cmd->arg.n == 0) {
        list_mechanisms(s);
        return;
    }
    buf_init(&response, SASL_MESSAGE_MAX);
    bool has_initial = view_split(&rest, ' ', &mechanism) && rest.n > 0;
    rc = sasl_new(&s->server->set.sasl, s->conn, mechanism, &sasl);
    if (rc != RC_OK) {
        refuse(s, rc == RC_DENIED ? "-ERR Use STLS first" : rc == RC_NOTFOUND ? "-ERR Unknown mechanism" : "-ERR [SYS/TEMP] Try again later");
        goto done;
    }
    if (has_initial) /* "=" stands for an empty one */
        rc = view_eq(rest, VIEW("=")) ? RC_OK : base64_decode(rest, &response);
    else if (sasl_client_first(sasl))
        rc = challenge_client(s, VIEW(""), &response);
    for (step = SASL_CONTINUE; rc == RC_OK;) {
        step = sasl_next(sasl, buf_view(&response), &challenge);
        if (step != SASL_CONTINUE && !(step == SASL_DONE && challenge.n > 0))
            break;
        rc = challenge_client(s, challenge, &response);
        if (step == SASL_DONE)
            break;
    }
    if (rc == RC_CLOSED || rc == RC_TIMEOUT)
        s->ending = true;
    else if (rc == RC_DENIED)
        refuse(s, "-ERR Cancelled");
    else if (rc != RC_OK)
        refuse(s, "-ERR Not base64");
    else if (step == SASL_DONE)
        enter(s, sasl_account(sasl), sasl_grant(sasl));
    else
        deny(s, step, sasl_name(sasl));
done:
    sasl_free(sasl);
    buf_wipe(&response);
    buf_clear(&response);
}

static void cmd_stls(struct session *s)
{
    struct tls_info info;
    struct tls_server *tls = pool_tls(s->server->set.pool);

    if (!tls || conn_tls(s->conn, &info)) {
        refuse(s, tls ? "-ERR TLS is on already" : "-ERR No TLS here");
        tls_server_free(tls);
        return;
    }
    reply(s, "+OK Begin TLS negotiation");
    /* What came before TLS is not to be believed: neither pipelined commands (conn_start_tls drops them) nor USER. */
    free(s->user);
    s->user = NULL;
    if (conn_flush(s->conn) != RC_OK || conn_start_tls(s->conn, tls) != RC_OK)
        s->ending = true;
    tls_server_free(tls);
}

static void cmd_capa(struct session *s)
{
    struct tls_info info;
    struct buf names;
    struct tls_server *tls = pool_tls(s->server->set.pool);

    buf_init(&names, 512);
    reply(s, "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nEXPIRE NEVER");
    if (tls && !conn_tls(s->conn, &info) && s->state == AUTHORIZATION)
        reply(s, "STLS");
    if (sasl_mechanisms(&s->server->set.sasl, s->conn, &names) == RC_OK && names.n > 0) {
        reply(s, "USER");
        conn_write(s->conn, VIEW("SASL "));
        conn_write(s->conn, buf_view(&names));
        conn_write(s->conn, VIEW("\r\n"));
    }
    reply(s, "IMPLEMENTATION Facteur\r\n.");
    buf_clear(&names);
    tls_server_free(tls);
}

/* --- transaction --- */

/* The message of that number, or NULL after the refusal. */
static struct message *pick(struct session *s, uint32_t number)
{
    if (number == 0 || number > s->n_messages) {
        refuse(s, "-ERR No such message");
        return NULL;
    }
    struct message *m = &s->messages[number - 1];
    if (m->deleted) {
        refuse(s, "-ERR That message is marked deleted");
        return NULL;
    }
    return m;
}

static void cmd_stat(struct session *s)
{
    uint64_t n = 0, octets = 0;
    for (size_t i = 0; i < s->n_messages; i++)
        if (!s->messages[i].deleted) {
            n++;
            octets += s->messages[i].size;
        }
    conn_printf(s->conn, "+OK %llu %llu\r\n", (unsigned long long)n, (unsigned long long)octets);
}

static void list_one(struct session *s, size_t i, const char *lead, bool uidl)
{
    const struct message *m = &s->messages[i];
    if (uidl)
        conn_printf(s->conn, "%s%zu %lu.%lu\r\n", lead, i + 1, (unsigned long)s->uidvalidity, (unsigned long)m->uid);
    else
        conn_printf(s->conn, "%s%zu %lu\r\n", lead, i + 1, (unsigned long)m->size);
}

static void cmd_list(struct session *s, const struct pop3_command *cmd, bool uidl)
{
    if (cmd->n_numbers == 1) {
        const struct message *m = pick(s, cmd->number[0]);
        if (m)
            list_one(s, (size_t)(m - s->messages), "+OK ", uidl);
        return;
    }
    reply(s, "+OK");
    conn_progress(s->conn, POP3_LOGIN_MS, POP3_SEND_RATE, POP3_IDLE_MS);
    for (size_t i = 0; i < s->n_messages; i++)
        if (!s->messages[i].deleted)
            list_one(s, i, "", uidl);
    reply(s, ".");
}

static void emit_to_conn(void *ctx, struct view piece)
{
    conn_write(ctx, piece);
}

static void send_message(struct session *s, const struct message *m, uint32_t body_lines)
{
    struct blob blob = {0};
    enum rc rc = blob_open(s->server->set.sasl.store, m->blob, false, &blob);

    if (rc == RC_OK) {
        conn_printf(s->conn, "+OK %lu octets\r\n", (unsigned long)m->size);
        conn_progress(s->conn, POP3_LOGIN_MS, POP3_SEND_RATE, (int64_t)24 * 3600 * 1000);
        pop3_body_emit(view_slice(blob.bytes, m->skip, m->size), body_lines, emit_to_conn, s->conn);
        s->retrieved++;
    } else if (rc == RC_NOTFOUND) {
        refuse(s, "-ERR That message has been removed by another client");
    } else {
        log_error("pop3.retr.failed", F_ID("sid", conn_id(s->conn)), F_INT("account", s->account), F_INT("uid", m->uid),
                  F_CSTR("reason", rc_name(rc)));
        reply(s, "-ERR [SYS/TEMP] That message cannot be read now");
    }
    blob_close(&blob);
}

static void cmd_dele(struct session *s, const struct pop3_command *cmd)
{
    struct message *m = pick(s, cmd->number[0]);
    if (m && s->read_only) {
        reply(s, "-ERR [SYS/PERM] This application password may only read");
    } else if (m) {
        m->deleted = true;
        reply(s, "+OK Marked for removal at QUIT");
    }
}

static void cmd_rset(struct session *s)
{
    for (size_t i = 0; i < s->n_messages; i++)
        s->messages[i].deleted = false;
    reply(s, "+OK");
}

/* The UPDATE state (RFC 1939 §6): here alone messages go. */
static void cmd_quit(struct session *s)
{
    struct mailbox *mb = NULL;
    uint32_t *uids = NULL;
    size_t n = 0;
    enum rc rc = RC_OK;

    s->ending = true;
    for (size_t i = 0; i < s->n_messages; i++)
        n += s->messages[i].deleted;
    if (n > 0) {
        uids = calloc(n, sizeof *uids);
        rc = uids ? mailbox_open(s->server->set.sasl.store, s->account, &mb) : RC_TEMP;
        n = 0;
        for (size_t i = 0; rc == RC_OK && i < s->n_messages; i++)
            if (s->messages[i].deleted)
                uids[n++] = s->messages[i].uid;
        if (rc == RC_OK)
            rc = mailbox_remove(mb, s->folder, uids, n);
    }
    mailbox_close(mb);
    free(uids);
    if (rc == RC_OK) {
        s->removed = n;
        reply(s, "+OK Goodbye");
    } else {
        log_error("pop3.update.failed", F_ID("sid", conn_id(s->conn)), F_INT("account", s->account), F_CSTR("reason", rc_name(rc)));
        reply(s, "-ERR [SYS/TEMP] Some deleted messages not removed");
    }
}

/* --- the session --- */

static const char *verb_name(enum pop3_verb verb)
{
    static const char *const names[] = {"?",    "APOP", "AUTH", "CAPA", "DELE", "LIST", "NOOP", "PASS", "QUIT",
                                        "RETR", "RSET", "STAT", "STLS", "TOP",  "UIDL", "USER", "UTF8"};
    return names[verb];
}

static void run_authorization(struct session *s, const struct pop3_command *cmd)
{
    switch (cmd->verb) {
    case POP3_CAPA: cmd_capa(s); return;
    case POP3_USER: cmd_user(s, cmd); return;
    case POP3_PASS: cmd_pass(s, cmd); return;
    case POP3_AUTH: cmd_auth(s, cmd); return;
    case POP3_STLS: cmd_stls(s); return;
    case POP3_UTF8: reply(s, "+OK UTF8 is on"); return; /* messages are sent as they are either way (RFC 6856 §2) */
    case POP3_QUIT: cmd_quit(s); return;
    case POP3_NOOP: reply(s, "+OK"); return;
    case POP3_APOP: refuse(s, "-ERR APOP is not supported, use AUTH"); return;
    default:        refuse(s, cmd->verb == POP3_UNKNOWN ? "-ERR Unknown command" : "-ERR Log in first"); return;
    }
}

static void run_transaction(struct session *s, const struct pop3_command *cmd)
{
    struct message *m;
    switch (cmd->verb) {
    case POP3_CAPA: cmd_capa(s); return;
    case POP3_STAT: cmd_stat(s); return;
    case POP3_LIST: cmd_list(s, cmd, false); return;
    case POP3_UIDL: cmd_list(s, cmd, true); return;
    case POP3_RETR:
    case POP3_TOP:
        m = pick(s, cmd->number[0]);
        if (m)
            send_message(s, m, cmd->verb == POP3_TOP ? cmd->number[1] : POP3_ALL_LINES);
        return;
    case POP3_DELE: cmd_dele(s, cmd); return;
    case POP3_NOOP: reply(s, "+OK"); return;
    case POP3_RSET: cmd_rset(s); return;
    case POP3_QUIT: cmd_quit(s); return;
    default:        refuse(s, cmd->verb == POP3_UNKNOWN ? "-ERR Unknown command" : "-ERR Not in this state"); return;
    }
}

static void run_line(struct session *s, struct view line)
{
    struct pop3_command cmd;
    enum rc rc = pop3_command_parse(line, &cmd);

    s->last = verb_name(cmd.verb);
    if (s->state == TRANSACTION && login_mark_look(s->server->set.sasl.store, &s->mark) == RC_DENIED) { /* and nothing is removed */
        reply(s, "-ERR [AUTH] The password that opened this session is no longer good");
        s->ending = true;
        return;
    }
    if (rc != RC_OK)
        refuse(s, "-ERR Syntax error in the arguments");
    else if (s->state == AUTHORIZATION)
        run_authorization(s, &cmd);
    else
        run_transaction(s, &cmd);
}

static int64_t patience_ms(const struct session *s)
{
    return s->state == AUTHORIZATION ? POP3_LOGIN_MS : POP3_IDLE_MS;
}

static void *session_open(void *ctx, struct conn *c)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->server = ctx;
    s->conn = c;
    s->last = "connect";
    conn_deadline(c, deadline_in(POP3_LOGIN_MS));
    reply(s, "+OK Facteur POP3 ready");
    if (conn_flush(c) != RC_OK)
        s->ending = true;
    pool_park_until(c, deadline_in(POP3_LOGIN_MS));
    return s;
}

static enum pool_next session_serve(void *session, enum pool_why why)
{
    struct session *s = session;

    /* Told nothing when time is up: RFC 1939 §3 wants the connection closed without a response and without UPDATE. */
    if (why == POOL_TIMEOUT || why == POOL_DRAIN)
        return POOL_CLOSE;
    /* The bytes that woke us are still with the kernel; conn_has_input knows of further ones only. */
    for (bool first = why == POOL_INPUT; !s->ending && (first || conn_has_input(s->conn)); first = false) {
        struct view line;
        conn_deadline(s->conn, deadline_in(patience_ms(s)));
        enum rc rc = conn_line(s->conn, POP3_LINE_MAX, &line);
        if (rc == RC_OK)
            run_line(s, line);
        else if (rc == RC_LIMIT)
            refuse(s, "-ERR Line too long");
        else
            return POOL_CLOSE;
    } while (!s->ending && conn_has_input(s->conn));
    if (conn_flush(s->conn) != RC_OK || s->ending)
        return POOL_CLOSE;
    pool_park_until(s->conn, deadline_in(patience_ms(s)));
    return POOL_PARK;
}

static void session_close(void *session)
{
    struct session *s = session;
    if (s->state == TRANSACTION) {
        let_go(s);
        log_info("pop3.closed", F_ID("sid", conn_id(s->conn)), F_INT("account", s->account), F_CSTR("last", s->last),
                 F_INT("retrieved", s->retrieved), F_INT("removed", s->removed));
    }
    free(s->user);
    free(s->messages);
    free(s);
}

struct pop3_server *pop3_server_new(const struct pop3_settings *set)
{
    struct pop3_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->set = *set;
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

void pop3_server_free(struct pop3_server *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct pool_service pop3_service(struct pop3_server *s, const char *name)
{
    return (struct pool_service){
        .name = name,
        .open = session_open,
        .serve = session_serve,
        .close = session_close,
        .ctx = s,
        .busy_reply = "-ERR [SYS/TEMP] Too many connections, please try again later\r\n",
    };
}
