/* smtp/client: the client's side of SMTP: greeting, EHLO, STARTTLS, AUTH PLAIN, and transactions with per-recipient results.
 * RFC 5321; 1870 SIZE, 2920 PIPELINING, 3030 CHUNKING and BINARYMIME, 3207 STARTTLS, 3461 DSN, 4954 AUTH, 6152 8BITMIME,
 * 6531 SMTPUTF8, 6710 MT-PRIORITY, 2852 DELIVERBY, 9422 LIMITS, 2034 enhanced codes, 8689 REQUIRETLS.
 * Which host, and what to do after a failure, is for others to say. Network I/O; blocks with deadlines; a client belongs to
 * one thread at a time.
 *
 * Nothing that is sent can hold a line end: such an address is refused as 5.1.3. In DATA bare CR and LF become CRLF, so that no
 * reader behind us can see an end of data that we do not (BDAT is counted, and sent as it is). 8-bit text is not rewritten
 * for hosts without 8BITMIME: it bounces (RFC 6152 §3 allows both; rewriting would break signatures). */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/arena.h"
#include "net/conn.h"

#define SMTP_REPLY_LINE_MAX  4096 /* of a peer; RFC 5321 §4.5.3.1.5 says 512, some write more */
#define SMTP_REPLY_LINES_MAX 200  /* of one reply */
#define SMTP_REPLY_TEXT_MAX  1000 /* bytes of a reply that are kept */
#define SMTP_POLICY_MAX      256
#define SMTP_CLIENT_RCPTS    100  /* RCPT commands that go out before their replies are read (RFC 2920) */

enum smtp_client_tls {
    SMTP_TLS_NONE,          /* not even tried: after a failed handshake */
    SMTP_TLS_OPPORTUNISTIC, /* when offered; any certificate (RFC 7435) */
    SMTP_TLS_ENCRYPTED,     /* only with TLS; any certificate */
    SMTP_TLS_VERIFIED,      /* only with a certificate that holds */
};
/* Whom a certificate must be for, and who must stand behind it: as struct conn_tls_options has it (net/conn.h). */
struct smtp_client_proof {
    const char *server_name; /* NULL: the host's */
    const char *const *names;
    size_t n_names;
    const struct tls_record *records;
    size_t n_records;
    bool old_versions;
};
/* How far TLS came, whatever the level was. */
struct smtp_client_tls_report {
    enum {
        SMTP_TLS_UNKNOWN,     /* we did not get to EHLO's answer */
        SMTP_TLS_NOT_OFFERED,
        SMTP_TLS_REFUSED,     /* another reply than 220 */
        SMTP_TLS_FAILED,      /* the handshake, or a certificate that was needed */
        SMTP_TLS_DONE,
    } stage;
    enum tls_fault fault;     /* of FAILED; of DONE: why the certificate would not have held */
    char reason[256];
    struct addr local, peer;
};
struct smtp_client_settings { /* times of RFC 5321 §4.5.3.2; 0: the RFC's */
    const char *hostname;     /* ours, for EHLO */
    int64_t connect_ms, greeting_ms, mail_ms, rcpt_ms, data_init_ms, data_block_ms, data_end_ms;
    const char *username, *password; /* AUTH PLAIN, after verified TLS only; NULL: none */
};

struct smtp_client_reply {
    unsigned code;        /* 0: not the peer's words but ours */
    char status[16];      /* "5.1.1": the peer's, else made from the code ("5.0.0"), else ours ("4.4.2") */
    char text[SMTP_REPLY_TEXT_MAX]; /* "550 5.1.1 No such user", lines joined by blanks; printable, or UTF-8 */
};
static inline bool smtp_client_reply_is_permanent(const struct smtp_client_reply *r)
{
    return r->status[0] == '5';
}

struct smtp_client;
struct smtp_client_target {
    const struct addr *addr, *bind; /* bind NULL: any */
    const char *host;               /* its name: for SNI and its certificate */
    enum smtp_client_tls level;
    struct smtp_client_proof proof;
    bool require_tls;               /* the host must offer REQUIRETLS, else *why is 5.7.30 (RFC 8689) */
    unsigned grade;                 /* whatever smtp_client_grade shall say */
    const char *policy;             /* likewise smtp_client_policy; copied, cut at SMTP_POLICY_MAX - 1; NULL: "" */
    struct smtp_client_tls_report *report; /* may be NULL; filled in as far as we came */
    struct tls_client *tls;         /* NULL: as SMTP_TLS_NONE */
    /* May be NULL. Called with the connection when it is there, so that another thread can conn_cut it, and with NULL before
     * it is freed because opening failed. */
    void (*on_conn)(void *ctx, struct conn *c);
    void *ctx;
};
/* Connects and says EHLO, starts TLS, logs in. RC_OK: ready for mail. RC_TEMP: not reached, or it does not want us; *why says
 * it. RC_DENIED: the handshake failed, and in clear it may be tried again (level OPPORTUNISTIC only). */
enum rc smtp_client_open(const struct smtp_client_settings *set, const struct smtp_client_target *to,
                         struct smtp_client **out, struct smtp_client_reply *why);
/* The same on a connection that is there (tests): owns c. */
enum rc smtp_client_start(const struct smtp_client_settings *set, struct conn *c, const struct smtp_client_target *to,
                          struct smtp_client **out, struct smtp_client_reply *why);
const char *smtp_client_host(const struct smtp_client *c);
unsigned smtp_client_grade(const struct smtp_client *c);
const char *smtp_client_policy(const struct smtp_client *c);
/* "TLSv1.3" or "". */
const char *smtp_client_tls_version(const struct smtp_client *c);
bool smtp_client_has_dsn(const struct smtp_client *c);
unsigned smtp_client_sent(const struct smtp_client *c); /* transactions begun */
/* No more mail is wanted on this connection (LIMITS MAILMAX). */
bool smtp_client_is_spent(const struct smtp_client *c);
struct conn *smtp_client_conn(struct smtp_client *c);
/* QUIT, with a short wait when `polite`; closes. Accepts NULL. */
void smtp_client_close(struct smtp_client *c, bool polite);

enum smtp_rcpt_result {
    SMTP_RCPT_UNTRIED,  /* too many for one transaction: ask again with a new one */
    SMTP_RCPT_ACCEPTED, /* and the data too: it is theirs now */
    SMTP_RCPT_DEFERRED,
    SMTP_RCPT_REFUSED,  /* for good */
};
struct smtp_client_rcpt {
    struct view address, orcpt; /* orcpt: "rfc822;..." decoded, or empty */
    unsigned notify;            /* NOTIFY_* bits of RFC 3461 as in store/mailq.h; 0: not given */
    enum smtp_rcpt_result result;
    struct smtp_client_reply *reply; /* in the transaction's arena; NULL while untried */
};
struct smtp_client_mail {
    struct view sender, envid;
    bool ret_full, ret_hdrs;
    enum { SMTP_BODY_7BIT, SMTP_BODY_8BIT, SMTP_BODY_BINARY } body; /* as declared; what the bytes need is looked at */
    bool smtputf8;
    bool require_tls;          /* RFC 8689; passed on where it is offered */
    int priority;              /* RFC 6710; passed on where it is known */
    int64_t deliver_by_s;      /* seconds left; with has_deliver_by */
    bool has_deliver_by, deliver_by_return, deliver_by_trace;
    struct view front;         /* whole header fields to go before the message, or empty */
    struct view bytes;         /* the message, lines ended by CRLF */
    struct smtp_client_rcpt *rcpts;
    size_t n_rcpts;
};
/* One transaction. Every recipient has a result afterwards. RC_OK: the connection can be used again. Else it is only good
 * for smtp_client_close; RC_CLOSED with all UNTRIED: it had gone before MAIL was answered, so a new one may be tried. */
enum rc smtp_client_send(struct smtp_client *c, struct smtp_client_mail *m, struct arena *a);

#endif
