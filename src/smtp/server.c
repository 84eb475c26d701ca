#include "smtp/server.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "smtp/session.h"

#define LOG_HELO_MAX 100
#define HANDSHAKE_MS 20000

/* --- replies --- */

static void count_reply(struct smtp_session *s, int code)
{
    bool bad_command = code == 500 || code == 502 || code == 503 || code == 504 || code == 555;
    s->errors += bad_command;
    s->refusals += code >= 500 && !bad_command;
}

enum rc smtp_reply(struct smtp_session *s, int code, const char *status, const char *text)
{
    conn_printf(s->c, "%d %s %s\r\n", code, status, text);
    count_reply(s, code);
    return RC_OK;
}

enum rc smtp_refuse(struct smtp_session *s, const struct smtp_refusal *r)
{
    return smtp_reply(s, r->code, r->status, r->text);
}

enum rc smtp_end(struct smtp_session *s, const char *why)
{
    s->end = why;
    return RC_CLOSED;
}

/* --- greeting --- */

static struct tls_server *tls_of(const struct smtp_session *s)
{
    return s->srv->pool ? pool_tls(s->srv->pool) : NULL;
}

static bool may_start_tls(struct smtp_session *s)
{
    struct tls_info unused;
    struct tls_server *t = NULL;
    if (!conn_tls(s->c, &unused))
        t = tls_of(s);
    tls_server_free(t);
    return t != NULL;
}

/* A name, an address or what the client takes for one: kept for Received, where odd bytes are replaced. */
static enum rc keep_helo(struct smtp_session *s, struct view name)
{
    return name.n == 0 || view_cstr(name, s->helo, sizeof s->helo) != RC_OK ? RC_SYNTAX : RC_OK;
}

static enum rc greet(struct smtp_session *s, struct view args, bool esmtp)
{
    struct view rest, name = smtp_verb(args, &rest);
    smtp_tx_reset(&s->tx);
    s->greeted = false;
    if (keep_helo(s, name) != RC_OK || rest.n > 0)
        return smtp_reply(s, 501, "5.5.4", "Who are you? Give one name");
    s->greeted = true;
    s->esmtp = esmtp;
    return RC_OK;
}

static enum rc cmd_helo(struct smtp_session *s, struct view args)
{
    enum rc rc = greet(s, args, false);
    if (s->greeted)
        conn_printf(s->c, "250 %s\r\n", s->set->hostname);
    return rc;
}

/* RFC 4865, 2852 and 6710 are for submission only. */
static void offer_submission(struct smtp_session *s)
{
    char until[32] = "";
    time_t at = (time_t)(clock_real_s() + SMTP_HOLD_MAX_S);
    struct tm tm;
    if (gmtime_r(&at, &tm) && strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        conn_printf(s->c, "250-FUTURERELEASE %d %s\r\n", SMTP_HOLD_MAX_S, until);
    conn_write(s->c, VIEW("250-DELIVERBY\r\n250-MT-PRIORITY\r\n"));
}

static enum rc cmd_ehlo(struct smtp_session *s, struct view args)
{
    struct buf mechanisms;
    struct tls_info tls;
    enum rc rc = greet(s, args, true);
    if (!s->greeted)
        return rc;
    conn_printf(
        s->c,
        "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
        "250-BINARYMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-LIMITS RCPTMAX=%u MAILMAX=%d\r\n",
        s->set->hostname, (unsigned long long)s->set->message_size, s->set->recipients, SMTP_MAILS_MAX);
    if (may_start_tls(s))
        conn_write(s->c, VIEW("250-STARTTLS\r\n"));
    if (conn_tls(s->c, &tls)) /* RFC 8689 §2 */
        conn_write(s->c, VIEW("250-REQUIRETLS\r\n"));
    buf_init(&mechanisms, 256);
    smtp_auth_mechanisms(s, &mechanisms);
    if (mechanisms.n > 0)
        conn_printf(s->c, "250-AUTH %.*s\r\n", VIEW_FMT(buf_view(&mechanisms)));
    buf_clear(&mechanisms);
    if (smtp_is_submission(s))
        offer_submission(s);
    conn_write(s->c, VIEW("250 HELP\r\n"));
    return RC_OK;
}

/* --- small commands --- */

static enum rc cmd_noop(struct smtp_session *s, struct view args)
{
    (void)args; /* RFC 5321 §4.1.1.9: ignored */
    return smtp_reply(s, 250, "2.0.0", "Ok");
}

static enum rc cmd_rset(struct smtp_session *s, struct view args)
{
    if (args.n > 0)
        return smtp_reply(s, 501, "5.5.4", "RSET takes no parameter");
    smtp_tx_reset(&s->tx);
    return smtp_reply(s, 250, "2.0.0", "Ok");
}

static enum rc cmd_quit(struct smtp_session *s, struct view args)
{
    if (args.n > 0)
        return smtp_reply(s, 501, "5.5.4", "QUIT takes no parameter");
    smtp_reply(s, 221, "2.0.0", "Bye");
    return smtp_end(s, "quit");
}

static enum rc cmd_vrfy(struct smtp_session *s, struct view args)
{
    if (args.n == 0)
        return smtp_reply(s, 501, "5.5.4", "Syntax: VRFY address");
    return smtp_reply(s, 252, "2.5.2", "Not told: send mail and see"); /* RFC 5321 §7.3 */
}

static enum rc cmd_expn(struct smtp_session *s, struct view args)
{
    (void)args;
    return smtp_reply(s, 502, "5.5.1", "EXPN is not offered");
}

static enum rc cmd_help(struct smtp_session *s, struct view args)
{
    (void)args;
    return smtp_reply(s, 214, "2.0.0", "RFC 5321 tells; postmaster helps");
}

/* RFC 3207. What was known before is forgotten (§4.2); commands that came in the clear behind STARTTLS may be somebody
 * else's: conn_start_tls throws them away. */
static enum rc cmd_starttls(struct smtp_session *s, struct view args)
{
    struct tls_info unused;
    if (args.n > 0)
        return smtp_reply(s, 501, "5.5.4", "STARTTLS takes no parameter");
    if (conn_tls(s->c, &unused))
        return smtp_reply(s, 503, "5.5.1", "TLS is on already");
    struct tls_server *t = tls_of(s);
    if (!t)
        return smtp_reply(s, 502, "5.5.1", "TLS is not available");
    if (conn_has_input(s->c))
        log_warn("smtp.starttls.injected", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)));
    smtp_reply(s, 220, "2.0.0", "Begin TLS");
    conn_deadline(s->c, deadline_in(HANDSHAKE_MS));
    enum rc rc = conn_flush(s->c);
    if (rc == RC_OK)
        rc = conn_start_tls(s->c, t);
    tls_server_free(t);
    if (rc != RC_OK)
        return smtp_end(s, "tls handshake");
    smtp_tx_reset(&s->tx);
    s->greeted = s->esmtp = false;
    s->helo[0] = '\0';
    s->account = 0;
    s->login[0] = '\0';
    return RC_OK;
}

/* --- the table --- */

struct command {
    const char *verb;
    enum rc (*run)(struct smtp_session *s, struct view args);
    bool needs_greeting; /* RFC 5321 §4.1.4 */
};
static const struct command commands[] = {
    {"EHLO", cmd_ehlo, false},
    {"HELO", cmd_helo, false},
    {"MAIL", smtp_cmd_mail, true},
    {"RCPT", smtp_cmd_rcpt, true},
    {"DATA", smtp_cmd_data, true},
    {"BDAT", smtp_cmd_bdat, false}, /* knows itself what to do with the chunk */
    {"RSET", cmd_rset, false},
    {"NOOP", cmd_noop, false},
    {"QUIT", cmd_quit, false},
    {"STARTTLS", cmd_starttls, true},
    {"AUTH", smtp_cmd_auth, true},
    {"VRFY", cmd_vrfy, false},
    {"EXPN", cmd_expn, false},
    {"HELP", cmd_help, false},
};

static bool has_control(struct view line)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static enum rc run_line(struct smtp_session *s, struct view line)
{
    struct view args, verb = smtp_verb(line, &args);
    if (smtp_is_http(line)) { /* a browser was made to post here: not a byte comes back */
        log_warn("smtp.http", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)));
        return smtp_end(s, "http");
    }
    if (has_control(line))
        return smtp_reply(s, 500, "5.5.2", "Control characters in a command");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *cmd = &commands[i];
        if (!view_ieq(verb, view_str(cmd->verb)))
            continue;
        s->last = cmd->verb;
        if (line.n > SMTP_LINE_MAX && cmd->run != smtp_cmd_auth)
            return smtp_reply(s, 500, "5.5.2", "Line too long");
        if (cmd->needs_greeting && !s->greeted)
            return smtp_reply(s, 503, "5.5.1", "Send EHLO first");
        return cmd->run(s, args);
    }
    s->last = "?";
    return smtp_reply(s, 500, "5.5.2", "Unknown command");
}

/* One line from the wire. */
static enum rc serve_line(struct smtp_session *s)
{
    struct view line;
    conn_deadline(s->c, deadline_in(s->set->line_ms));
    enum rc rc = conn_line(s->c, SMTP_AUTH_LINE_MAX + SMTP_LINE_MAX, &line);
    if (rc == RC_OK && s->account && login_mark_look(s->srv->store, &s->mark) == RC_DENIED) {
        smtp_reply(s, 421, "4.7.0", "The password that opened this session is no longer good");
        return smtp_end(s, "password");
    }
    if (rc == RC_OK)
        rc = run_line(s, line);
    else if (rc == RC_LIMIT)
        rc = smtp_reply(s, 500, "5.5.2", "Line too long");
    else
        return smtp_end(s, rc == RC_TIMEOUT ? "timeout" : "closed");
    if (rc != RC_OK)
        return rc;
    if (s->errors >= SMTP_ERRORS_MAX || s->refusals >= SMTP_REFUSALS_MAX) {
        smtp_reply(s, 421, "4.7.0", "Too many errors");
        return smtp_end(s, "errors");
    }
    return RC_OK;
}

/* --- life of a session --- */

static void free_snapshot(struct smtp_snapshot *snap)
{
    if (!snap || atomic_fetch_sub(&snap->refs, 1) > 1)
        return;
    arena_clear(&snap->mem);
    free(snap);
}

static void *open_session(void *ctx, struct conn *c)
{
    struct smtp_door *door = ctx;
    struct smtp_server *srv = door->srv;
    struct smtp_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_mutex_lock(&srv->lock);
    s->snap = srv->now;
    atomic_fetch_add(&s->snap->refs, 1);
    pthread_mutex_unlock(&srv->lock);
    s->c = c;
    s->srv = srv;
    s->kind = door->kind;
    s->set = &s->snap->set;
    s->trusted = addr_in_nets(conn_peer(c), s->set->relay_from, s->set->n_relay_from);
    s->last = "";
    smtp_tx_reset(&s->tx);
    conn_deadline(c, deadline_in(s->set->line_ms));
    conn_printf(c, "220 %s ESMTP Facteur\r\n", s->set->hostname);
    conn_flush(c); /* a failure shows at the first read */
    if (srv->pool)
        pool_park_until(c, deadline_in(s->set->idle_ms));
    return s;
}

static enum pool_next say_goodbye(struct smtp_session *s, const char *status, const char *text,
                                  const char *why)
{
    conn_deadline(s->c, deadline_in(1000)); /* nobody waits for the deaf */
    smtp_reply(s, 421, status, text);
    conn_flush(s->c);
    smtp_end(s, why);
    return POOL_CLOSE;
}

static enum pool_next serve_session(void *session, enum pool_why why)
{
    struct smtp_session *s = session;
    enum rc rc;

    if (why == POOL_EVENT) /* nothing wakes these sessions */
        return POOL_PARK;
    if (why == POOL_TIMEOUT)
        return say_goodbye(s, "4.4.2", "Nothing was heard for too long", "idle");
    if (why == POOL_DRAIN)
        return say_goodbye(s, "4.3.2", "The server is stopping", "drain");
    do
        rc = serve_line(s);
    while (rc == RC_OK && conn_has_input(s->c));
    if (conn_flush(s->c) != RC_OK && rc == RC_OK)
        rc = smtp_end(s, "closed");
    if (rc != RC_OK)
        return POOL_CLOSE;
    if (s->srv->pool)
        pool_park_until(s->c, deadline_in(s->set->idle_ms));
    return POOL_PARK;
}

const char *smtp_service_name(enum smtp_kind kind)
{
    static const char *const names[] = {"smtp", "submission", "submissions"};
    return names[kind];
}

static void close_session(void *session)
{
    struct smtp_session *s = session;
    struct tls_info tls;
    log_info("smtp.session.end", F_ID("sid", conn_id(s->c)), F_CSTR("service", smtp_service_name(s->kind)),
             F_CSTR("peer", conn_peer_text(s->c)),
             F_VIEW("helo", view_slice(view_str(s->helo), 0, LOG_HELO_MAX)), F_CSTR("login", s->login),
             F_CSTR("tls", conn_tls(s->c, &tls) ? tls.version : ""), F_INT("mails", s->n_mail),
             F_INT("accepted", s->n_accepted), F_INT("errors", s->errors + s->refusals),
             F_CSTR("last", s->last), F_CSTR("end", s->end ? s->end : "cut"));
    smtp_tx_reset(&s->tx);
    free_snapshot(s->snap);
    free(s);
}

/* --- the server --- */

static enum rc copy_judge(const struct judge_settings *from, const char *hostname, struct arena *a, const struct judge_settings **out)
{
    struct judge_settings *set = arena_new(a, struct judge_settings);
    struct view *sealers = arena_new_array(a, from->n_sealers, struct view);
    struct addr_net *forwarders = arena_new_array(a, from->n_forwarders, struct addr_net);
    if (!set || !sealers || !forwarders)
        return RC_TEMP;
    for (size_t i = 0; i < from->n_sealers; i++)
        if (view_dup(a, from->sealers[i], &sealers[i]) != RC_OK)
            return RC_TEMP;
    if (from->n_forwarders > 0)
        memcpy(forwarders, from->forwarders, from->n_forwarders * sizeof *forwarders);
    *set = *from;
    set->authserv_id = hostname;
    set->sealers = sealers;
    set->forwarders = forwarders;
    *out = set;
    return RC_OK;
}

static enum rc copy_settings(const struct smtp_settings *from, struct smtp_snapshot *to)
{
    struct smtp_settings *set = &to->set;
    arena_init(&to->mem, 4 << 20);
    *set = *from;
    set->hostname = arena_cstr(&to->mem, view_str(from->hostname));
    struct addr_net *nets = arena_new_array(&to->mem, from->n_relay_from, struct addr_net);
    if (!set->hostname || !nets)
        return RC_TEMP;
    if (from->n_relay_from > 0)
        memcpy(nets, from->relay_from, from->n_relay_from * sizeof *nets);
    set->relay_from = nets;
    set->hops = from->hops ? from->hops : 50;
    set->idle_ms = from->idle_ms ? from->idle_ms : 5 * 60 * 1000;
    set->line_ms = from->line_ms ? from->line_ms : 60 * 1000;
    set->data_ms = from->data_ms ? from->data_ms : 60 * 1000;
    set->workers = from->workers ? from->workers : 512;
    return from->judge ? copy_judge(from->judge, set->hostname, &to->mem, &set->judge) : RC_OK;
}

static enum rc new_snapshot(const struct smtp_settings *set, struct smtp_snapshot **out)
{
    struct smtp_snapshot *snap = calloc(1, sizeof *snap);
    if (!snap)
        return RC_TEMP;
    atomic_init(&snap->refs, 1);
    enum rc rc = copy_settings(set, snap);
    if (rc != RC_OK)
        free_snapshot(snap);
    else
        *out = snap;
    return rc;
}

enum rc smtp_server_new(const struct smtp_settings *set, struct store *store, struct pool *pool,
                        struct smtp_server **out)
{
    struct smtp_server *srv = calloc(1, sizeof *srv);
    if (!srv)
        return RC_TEMP;
    enum rc rc = new_snapshot(set, &srv->now);
    if (rc != RC_OK) {
        free(srv);
        return rc;
    }
    pthread_mutex_init(&srv->lock, NULL);
    srv->store = store;
    srv->pool = pool;
    for (int kind = SMTP_MTA; kind <= SMTP_SUBMISSIONS; kind++)
        srv->doors[kind] = (struct smtp_door){srv, (enum smtp_kind)kind};
    *out = srv;
    return RC_OK;
}

enum rc smtp_server_reload(struct smtp_server *srv, const struct smtp_settings *set)
{
    struct smtp_snapshot *snap, *old;
    enum rc rc = new_snapshot(set, &snap);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&srv->lock);
    old = srv->now;
    srv->now = snap;
    pthread_mutex_unlock(&srv->lock);
    free_snapshot(old);
    return RC_OK;
}

void smtp_server_free(struct smtp_server *srv)
{
    if (!srv)
        return;
    free_snapshot(srv->now);
    pthread_mutex_destroy(&srv->lock);
    free(srv);
}

void smtp_service(struct smtp_server *srv, enum smtp_kind kind, struct pool_service *out)
{
    static const char *const names[] = {"smtp", "submission", "submissions"};
    *out = (struct pool_service){
        .name = names[kind],
        .open = open_session,
        .serve = serve_session,
        .close = close_session,
        .ctx = &srv->doors[kind],
        .busy_reply = "421 4.7.0 Too many connections, try again later\r\n",
    };
}
