#include "smtp/session.h"

#include "base/base64.h"
#include "base/log.h"
#include "sys/board.h"

#define AUTH_MS (60 * 1000) /* for the whole exchange, vault included */

void smtp_auth_mechanisms(struct smtp_session *s, struct buf *out)
{
    if (smtp_is_submission(s) && s->set->sasl.vault)
        sasl_mechanisms(&s->set->sasl, s->c, out);
}

/* RC_SYNTAX: answered. */
static enum rc decode(struct smtp_session *s, struct view text, struct buf *out)
{
    buf_wipe(out);
    enum rc rc = base64_decode(text, out);
    if (rc != RC_SYNTAX && rc != RC_LIMIT)
        return rc;
    smtp_reply(s, 501, "5.5.2", "Not base64");
    return RC_SYNTAX;
}

/* One challenge out, one response in. RC_SYNTAX and RC_LIMIT: answered, the exchange is over. */
static enum rc ask(struct smtp_session *s, struct view challenge, struct buf *response)
{
    struct buf line;
    struct view text;
    buf_init(&line, 2 * SASL_MESSAGE_MAX);
    buf_str(&line, "334 ");
    base64_encode(challenge, &line);
    buf_str(&line, "\r\n");
    conn_write(s->c, buf_view(&line));
    enum rc rc = buf_rc(&line) == RC_OK ? conn_flush(s->c) : RC_TEMP;
    buf_clear(&line);
    if (rc == RC_OK)
        rc = conn_line(s->c, SMTP_AUTH_LINE_MAX, &text);
    if (rc == RC_LIMIT) {
        smtp_reply(s, 500, "5.5.6", "Authentication exchange line is too long");
        return RC_LIMIT;
    }
    if (rc != RC_OK)
        return rc;
    if (view_eq(text, VIEW("*"))) {
        smtp_reply(s, 501, "5.7.0", "Authentication cancelled");
        return RC_SYNTAX;
    }
    return decode(s, text, response);
}

static enum rc log_in(struct smtp_session *s, const struct sasl *x, struct view mechanism)
{
    const struct directory_account *who = sasl_account(x);
    if (!who || view_cstr(who->address, s->login, sizeof s->login) != RC_OK)
        return smtp_reply(s, 454, "4.7.0", "Temporary authentication failure");
    s->account = who->id;
    s->mark = sasl_mark(who, sasl_grant(x));
    conn_set_account(s->c, who->address);
    board_count(BOARD_LOGINS, "smtp");
    log_info("smtp.auth.ok", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
             F_CSTR("login", s->login), F_VIEW("mechanism", mechanism),
             F_INT("app_password", sasl_grant(x).app_password));
    return smtp_reply(s, 235, "2.7.0", "Authentication succeeded");
}

static enum rc fail_login(struct smtp_session *s, const struct sasl *x, struct view mechanism, enum sasl_step step)
{
    board_count(BOARD_LOGINS_FAILED, "smtp");
    log_info("smtp.auth.failed", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
             F_VIEW("name", sasl_name(x)), F_VIEW("mechanism", mechanism), F_CSTR("reason", sasl_step_word(step)));
    s->failed_logins++;
    if (s->failed_logins < SMTP_LOGINS_MAX)
        return smtp_reply(s, 535, "5.7.8", step == SASL_WRONG ? "Authentication credentials invalid" : sasl_step_text(step));
    smtp_reply(s, 421, "4.7.0", "Too many failed logins");
    return smtp_end(s, "logins");
}

/* The exchange from the first response on. */
static enum rc exchange(struct smtp_session *s, struct sasl *x, struct view mechanism, struct buf *response)
{
    for (;;) {
        struct view challenge = {0};
        enum sasl_step step = sasl_next(x, buf_view(response), &challenge);
        enum rc rc = RC_OK;
        switch (step) {
        case SASL_CONTINUE: rc = ask(s, challenge, response); break;
        case SASL_DONE: /* 235 has no room for what the server still has to prove (RFC 4954 §4) */
            rc = challenge.n > 0 ? ask(s, challenge, response) : RC_OK;
            if (rc == RC_OK)
                return log_in(s, x, mechanism);
            break;
        case SASL_SCOPE:
        case SASL_APP_ONLY:
        case SASL_WRONG: return fail_login(s, x, mechanism, step);
        case SASL_MALFORMED: return smtp_reply(s, 501, "5.5.2", "Not what the mechanism says");
        case SASL_SLOW:
            board_count(BOARD_LOGINS_FAILED, "smtp");
            log_warn("smtp.auth.slowed", F_ID("sid", conn_id(s->c)), F_CSTR("peer", conn_peer_text(s->c)),
                     F_VIEW("name", sasl_name(x)));
            smtp_reply(s, 421, "4.7.0", "Too many failed logins, come back later");
            return smtp_end(s, "logins");
        default: return smtp_reply(s, 454, "4.7.0", "Temporary authentication failure");
        }
        if (rc == RC_SYNTAX || rc == RC_LIMIT)
            return RC_OK; /* answered; the session goes on */
        if (rc != RC_OK)
            return smtp_end(s, rc == RC_TIMEOUT ? "timeout" : "closed");
    }
}

enum rc smtp_cmd_auth(struct smtp_session *s, struct view args)
{
    struct sasl *x = NULL;
    struct buf response;
    struct view initial, mechanism = smtp_verb(args, &initial);
    enum rc rc = RC_OK;

    if (!smtp_is_submission(s) || !s->set->sasl.vault)
        return smtp_reply(s, 502, "5.5.1", "No authentication here");
    if (s->account || s->tx.open)
        return smtp_reply(s, 503, "5.5.1", s->account ? "Logged in already" : "Not within a transaction");
    if (mechanism.n == 0)
        return smtp_reply(s, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
    switch (sasl_new(&s->set->sasl, s->c, mechanism, &x)) {
    case RC_OK: break;
    case RC_NOTFOUND: return smtp_reply(s, 504, "5.5.4", "Unknown mechanism");
    case RC_DENIED: return smtp_reply(s, 538, "5.7.11", "Encryption required for this mechanism");
    default: return smtp_reply(s, 454, "4.7.0", "Temporary authentication failure");
    }
    conn_deadline(s->c, deadline_in(AUTH_MS));
    buf_init(&response, SASL_MESSAGE_MAX);
    if (initial.n == 0 && sasl_client_first(x))
        rc = ask(s, VIEW(""), &response);
    else if (initial.n > 0 && !view_eq(initial, VIEW("="))) /* "=": an empty one */
        rc = decode(s, initial, &response);
    if (rc == RC_OK)
        rc = exchange(s, x, mechanism, &response);
    else if (rc == RC_SYNTAX || rc == RC_LIMIT)
        rc = RC_OK;
    else
        rc = smtp_end(s, rc == RC_TIMEOUT ? "timeout" : "closed");
    buf_wipe(&response);
    buf_clear(&response);
    sasl_free(x);
    return rc;
}
