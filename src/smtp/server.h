/* smtp/server: takes mail in: port 25 (other servers, relay-from), 587 and 465 (submission by our users).
 * RFC 5321, 6409 and the extensions that EHLO names (server.c). One session is a plain struct served by one
 * worker at a time (net/pool.h); bodies stream into store/blob.h and are queued by store/mailq.h before 250
 * is said. What strangers bring is judged before that (policy/judge.h). Left to others: delivery (queue/), passwords
 * (login/), TLS (net/). */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "login/sasl.h"
#include "net/pool.h"
#include "policy/judge.h"
#include "policy/signer.h"
#include "store/mailq.h"

#define SMTP_ERRORS_MAX   20            /* bad commands of a session, then 421 */
#define SMTP_REFUSALS_MAX 100           /* refused senders, recipients and messages of a session, then 421 */
#define SMTP_LOGINS_MAX   5             /* failed logins of a session, then 421 */
#define SMTP_MAILS_MAX    100000        /* transactions of a session (LIMITS MAILMAX, RFC 9422) */
#define SMTP_TARGETS_MAX  10000         /* queue rows of a message, after aliases */
#define SMTP_ENVELOPE_MAX (16u << 20)   /* bytes for one envelope */
#define SMTP_HOLD_MAX_S   (30 * 86400)  /* FUTURERELEASE, RFC 4865 */
#define SMTP_SWALLOW_MAX  (64ull << 20) /* bytes read past a refusal before the connection is cut */

/* A message from a stranger that was judged, and then taken or refused for what was found. Valid during the call. */
struct smtp_seen {
    const struct judgement *found; /* facts of the connection and the envelope sender included */
    const struct judge_settings *settings;
    struct view header;            /* as it arrived */
    const struct mailq_rcpt *rcpts; /* where it goes, after aliases; `original` is as the client gave it */
    size_t n_rcpts;
    bool accepted;
};
typedef void (*smtp_seen_fn)(void *ctx, const struct smtp_seen *seen);

enum smtp_kind { SMTP_MTA, SMTP_SUBMISSION, SMTP_SUBMISSIONS };

struct smtp_settings {
    const char *hostname;
    uint64_t message_size;             /* bytes; larger ones get 552 */
    unsigned recipients;               /* of a message */
    unsigned hops;                     /* Received fields; 0: 50 */
    int64_t idle_ms;                   /* between commands; 0: 5 min (RFC 5321 §4.5.3.2.7) */
    int64_t line_ms;                   /* to finish a line that has begun; 0: 60 s */
    int64_t data_ms;                   /* silence allowed in DATA before the least rate counts; 0: 60 s */
    const struct addr_net *relay_from; /* who may hand us mail for others without login */
    size_t n_relay_from;
    bool relay_any_sender;     /* they may also send from domains that are not ours */
    struct sasl_settings sasl; /* vault NULL: no logins */
    const struct judge_settings *judge; /* NULL: strangers' mail is not judged; its lists are copied, its psl is not */
    struct dns *dns;                    /* for the judge */
    unsigned workers;                   /* of the pool, of which the judge may keep some waiting; 0: 512 */
    smtp_seen_fn seen;                  /* NULL: nobody wants to know. On the session's thread: must not block */
    void *seen_ctx;
    /* A feedback report (RFC 5965) was taken whose author's domain vouches for it: its body. NULL: nobody reads them. Must not block. */
    void (*feedback)(void *ctx, uint64_t blob);
    void *feedback_ctx;
    struct signer *signer;              /* NULL: nothing is signed */
};

struct smtp_server;
/* Settings are copied; store and pool (for STARTTLS and parking; NULL in tests: neither) are borrowed.
 * RC_TEMP. */
enum rc smtp_server_new(const struct smtp_settings *set, struct store *store, struct pool *pool,
                        struct smtp_server **out);
/* For sessions that begin from now on. */
enum rc smtp_server_reload(struct smtp_server *srv, const struct smtp_settings *set);
/* When no session is left. Accepts NULL. */
void smtp_server_free(struct smtp_server *srv);
/* Valid as long as the server. */
void smtp_service(struct smtp_server *srv, enum smtp_kind kind, struct pool_service *out);

#endif
