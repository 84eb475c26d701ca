/* login/sasl: server side of PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677, 9266), and of EXTERNAL
 * (RFC 4422 appendix A) for clients whose certificate names a mailbox of ours and was signed by whom the settings trust, for
 * SMTP, IMAP and POP3 alike. Knows mechanisms, not protocols: base64 and line framing are the caller's, texts in and out
 * are decoded bytes. Calls the vault and the directory; blocks for these. One exchange belongs to one thread. */
#ifndef LOGIN_SASL_H
#define LOGIN_SASL_H

#include "net/conn.h"
#include "store/app_password.h"
#include "store/directory.h"
#include "vault/vault.h"

#define SASL_MESSAGE_MAX 8192 /* decoded; RFC 4954 §4 asks for 12288 base64 octets */

/* What the service lets people do. Application passwords may be for one of them alone (vault/app_passwords.h). */
enum sasl_use { SASL_READ, SASL_SEND };
struct sasl_grant {
    uint64_t app_password; /* that opened the session; 0: the account's own password */
    bool read_only;        /* nothing may be changed */
};
/* For the service to look at while the session lasts (login_mark_look). */
static inline struct login_mark sasl_mark(const struct directory_account *account, struct sasl_grant grant)
{
    return (struct login_mark){.account = account->id, .app_password = grant.app_password, .password_n = account->password_n};
}
struct sasl_settings {
    enum sasl_use use;
    struct vault *vault;
    struct store *store;
    bool plain_without_tls; /* only where the connection is to be trusted otherwise: loopback */
};

/* Space-separated names to offer on this connection now: nothing without TLS unless allowed; -PLUS only with TLS. */
enum rc sasl_mechanisms(const struct sasl_settings *set, struct conn *c, struct buf *out);

struct sasl;
/* RC_NOTFOUND: unknown mechanism; RC_DENIED: not on this connection (TLS first). */
enum rc sasl_new(const struct sasl_settings *set, struct conn *c, struct view mechanism, struct sasl **out);
/* The mechanism wants the client to speak first (all but LOGIN): without initial response send an empty challenge. */
bool sasl_client_first(const struct sasl *s);
enum sasl_step {
    SASL_CONTINUE,  /* send *challenge and read another response */
    SASL_DONE,      /* logged in: *account, *address. A challenge that is not empty must still be sent where the protocol can
                       (SCRAM's v=...; then read an empty response) */
    SASL_WRONG,     /* credentials do not fit, or the account is unknown or disabled: all the same to the client */
    SASL_SCOPE,     /* an application password that is not for this service */
    SASL_APP_ONLY,  /* the account has a second factor: mail clients need an application password */
    SASL_SLOW,      /* too many failures from this address: 421/[LIMIT] and end */
    SASL_MALFORMED, /* not what the mechanism says */
    SASL_TEMP,      /* cannot tell now */
};
/* challenge borrows from the exchange until the next call. For LOGIN the first call has an empty response and gives "Username:"
 * (or takes the initial response as user name). */
enum sasl_step sasl_next(struct sasl *s, struct view response, struct view *challenge);
/* After SASL_DONE: valid until sasl_free. */
const struct directory_account *sasl_account(const struct sasl *s);
struct sasl_grant sasl_grant(const struct sasl *s);
/* The name that was tried, for the log; may be empty. */
struct view sasl_name(const struct sasl *s);
void sasl_free(struct sasl *s); /* wipes; accepts NULL */

/* IMAP LOGIN and POP3 USER/PASS: same checks, same counting. */
enum sasl_step sasl_password(const struct sasl_settings *set, struct conn *c, struct view name, struct view password,
                             struct arena *a, struct directory_account *out, struct sasl_grant *grant);
/* The same for HTTP's Basic, where the caller has seen to TLS. *delay_ms: how long the answer is to be held back by the caller,
 * whose threads are few; NULL: that happens here. */
enum sasl_step sasl_password_of(const struct sasl_settings *set, const struct addr *peer, struct view name, struct view password,
                                uint32_t *delay_ms, struct arena *a, struct directory_account *out, struct sasl_grant *grant);
/* Why a login ends, for people and for the log. */
const char *sasl_step_text(enum sasl_step step);
const char *sasl_step_word(enum sasl_step step);

/* The same for the pages, which the account's own password opens and no other. */
enum sasl_step sasl_password_from(const struct sasl_settings *set, const struct addr *peer, struct view name, struct view password,
                                  uint32_t *delay_ms, struct arena *a, struct directory_account *out);

#endif
