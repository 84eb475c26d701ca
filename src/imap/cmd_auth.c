/* STARTTLS, LOGIN (RFC 3501 §6.2) and AUTHENTICATE with SASL-IR (RFC 4959). */
#include "base/base64.h"
#include "base/log.h"
#include "imap/capability.h"
#include "imap/session.h"
#include "sys/board.h"

#define AUTH_LINE_MAX 12288 /* RFC 4954 §4 asks for as much of a response in BASE64 */

enum rc imap_cmd_starttls(struct imap_session *s, struct view args)
{
    struct tls_info info;
    struct tls_server *tls;
    enum rc rc;

    if (args.n > 0)
        return imap_bad(s, "STARTTLS takes nothing");
    if (conn_tls(s->conn, &info))
        return imap_bad(s, "TLS is on already");
    tls = pool_tls(s->server->pool);
    if (!tls)
        return imap_bad(s, "No TLS here");
    imap_ok(s, "Begin TLS");
    rc = conn_flush(s->conn);
    if (rc == RC_OK)
        rc = conn_start_tls(s->conn, tls); /* throws away what was pipelined in plain text */
    tls_server_free(tls);
    if (rc != RC_OK)
        log_info("imap.tls.failed", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)),
                 F_CSTR("reason", rc_name(rc)));
    return rc == RC_OK ? RC_OK : RC_CLOSED;
}

static enum rc logged_in(struct imap_session *s, const struct directory_account *account, struct sasl_grant grant)
{
    struct buf text;
    enum rc rc;

    s->account = account->id;
    rc = imap_mailbox_open(s);
    if (rc != RC_OK) {
        s->account = 0;
        return imap_no(s, "[UNAVAILABLE] Mailbox cannot be opened now");
    }
    s->read_only = grant.read_only;
    s->mark = sasl_mark(account, grant);
    s->state = IMAP_AUTHENTICATED;
    imap_deadline(s);
    conn_set_account(s->conn, account->address);
    board_count(BOARD_LOGINS, "imap");
    log_info("imap.login", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)),
             F_VIEW("account", account->address), F_CSTR("how", s->last), F_INT("app_password", grant.app_password));
    buf_init(&text, 4096);
    buf_chr(&text, '[');
    imap_capability_write(s, &text);
    buf_str(&text, "] Logged in");
    buf_chr(&text, 0);
    rc = buf_rc(&text) == RC_OK ? imap_ok(s, text.p) : imap_ok(s, "Logged in");
    buf_clear(&text);
    return rc;
}

static enum rc refused(struct imap_session *s, enum sasl_step step, struct view name)
{
    board_count(BOARD_LOGINS_FAILED, "imap");
    log_info("imap.login.refused", F_ID("sid", conn_id(s->conn)), F_CSTR("peer", conn_peer_text(s->conn)),
             F_VIEW("account", name),
             F_CSTR("reason", sasl_step_word(step)));
    switch (step) {
    case SASL_WRONG: /* RFC 5530 §3 */
        return imap_no(s, "[AUTHENTICATIONFAILED] Name or password is wrong");
    case SASL_SCOPE:
        return imap_no(s, "[AUTHORIZATIONFAILED] This application password is not for reading mail");
    case SASL_APP_ONLY:
        return imap_no(s, "[AUTHENTICATIONFAILED] This account has a second factor: make an application password for your mail program");
    case SASL_SLOW:
        imap_no(s, "[LIMIT] Too many failures");
        return imap_bye(s, "[UNAVAILABLE] Too many failures, try again later");
    case SASL_TEMP:
        return imap_no(s, "[UNAVAILABLE] Please try again later");
    default:
        return imap_bad(s, "Not what this mechanism says");
    }
}

enum rc imap_cmd_login(struct imap_session *s, struct view args)
{
    struct view name, password;
    struct directory_account account;
    struct sasl_grant grant;

    if (!imap_may_login(s)) /* RFC 3501 §11.2 */
        return imap_no(s, "[PRIVACYREQUIRED] Use STARTTLS first");
    if (!imap_take_sp(&args) || imap_astring(&args, &s->arena, &name) != RC_OK || !imap_take_sp(&args) ||
        imap_astring(&args, &s->arena, &password) != RC_OK || args.n > 0)
        return imap_bad(s, "LOGIN name password");
    enum sasl_step step = sasl_password(&s->set->sasl, s->conn, name, password, &s->arena, &account, &grant);
    return step == SASL_DONE ? logged_in(s, &account, grant) : refused(s, step == SASL_MALFORMED ? SASL_WRONG : step, name);
}

/* Sends a challenge and reads the answer, decoded. RC_DENIED: the client gave up with "*". */
static enum rc exchange(struct imap_session *s, struct view challenge, struct buf *response)
{
    struct buf out;
    struct view line;
    enum rc rc;

    buf_init(&out, 2 * SASL_MESSAGE_MAX);
    buf_str(&out, "+ ");
    base64_encode(challenge, &out);
    buf_str(&out, "\r\n");
    conn_write(s->conn, buf_view(&out));
    buf_clear(&out);
    rc = conn_flush(s->conn);
    if (rc == RC_OK)
        rc = conn_line(s->conn, AUTH_LINE_MAX, &line);
    if (rc != RC_OK)
        return rc == RC_LIMIT ? RC_SYNTAX : rc;
    if (view_eq(line, VIEW("*"))) /* RFC 3501 §6.2.2 */
        return RC_DENIED;
    buf_wipe(response);
    return base64_decode(line, response);
}

static enum rc run_sasl(struct imap_session *s, struct sasl *sasl, bool has_initial, struct buf *response)
{
    struct view challenge = {0};
    enum sasl_step step;
    enum rc rc = RC_OK;

    if (!has_initial && sasl_client_first(sasl))
        rc = exchange(s, challenge, response);
    while (rc == RC_OK) {
        step = sasl_next(sasl, buf_view(response), &challenge);
        if (step != SASL_CONTINUE && (step != SASL_DONE || challenge.n == 0))
            break;
        rc = exchange(s, challenge, response);
        if (step == SASL_DONE && rc == RC_OK) /* SCRAM's last word was heard */
            break;
    }
    if (rc == RC_SYNTAX || rc == RC_LIMIT)
        return refused(s, SASL_MALFORMED, sasl_name(sasl));
    if (rc == RC_DENIED)
        return imap_bad(s, "Given up");
    if (rc != RC_OK)
        return rc;
    return step == SASL_DONE ? logged_in(s, sasl_account(sasl), sasl_grant(sasl)) : refused(s, step, sasl_name(sasl));
}

enum rc imap_cmd_authenticate(struct imap_session *s, struct view args)
{
    struct view mechanism;
    struct sasl *sasl = NULL;
    struct buf response;
    enum rc rc;

    if (!imap_take_sp(&args) || imap_atom(&args, &mechanism) != RC_OK)
        return imap_bad(s, "AUTHENTICATE mechanism");
    buf_init(&response, SASL_MESSAGE_MAX);
    bool has_initial = imap_take_sp(&args);
    /* RFC 4959 §3: "=" stands for an initial response that is empty */
    rc = has_initial && !view_eq(args, VIEW("=")) ? base64_decode(args, &response) : RC_OK;
    if (rc != RC_OK || (!has_initial && args.n > 0) || (has_initial && args.n == 0)) {
        buf_wipe(&response);
        buf_clear(&response);
        return imap_bad(s, "The initial response is not BASE64");
    }
    rc = sasl_new(&s->set->sasl, s->conn, mechanism, &sasl);
    if (rc == RC_OK)
        rc = run_sasl(s, sasl, has_initial, &response);
    else if (rc == RC_NOTFOUND)
        rc = imap_no(s, "[CANNOT] Unknown mechanism");
    else if (rc == RC_DENIED)
        rc = imap_no(s, "[PRIVACYREQUIRED] Use STARTTLS first");
    else
        rc = imap_no_rc(s, rc);
    sasl_free(sasl);
    buf_wipe(&response);
    buf_clear(&response);
    return rc;
}
