/* smtp/session: what the files of the server side share. Private to smtp/: others use server.h. */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "mailauth/dkim_body.h"
#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/server.h"
#include "store/blob.h"
#include "store/mailq.h"

#define SMTP_LOGIN_MAX       320  /* bytes of an account's address */
#define SMTP_RESULTS_MAX     8192 /* bytes of our Authentication-Results field */
#define SMTP_SIGNATURES_MAX  14000 /* bytes of our DKIM-Signature fields: with Received they fit BLOB_FRONT_MAX */
#define SMTP_LOG_SIGNATURES  3    /* told in the log */
#define SMTP_VERDICT_FIELDS  10

/* Settings as they were when a session began; the last one to leave frees them. */
struct smtp_snapshot {
    atomic_int refs;
    struct smtp_settings set; /* texts and lists point into `mem` */
    struct arena mem;
};
struct smtp_door {
    struct smtp_server *srv;
    enum smtp_kind kind;
};
struct smtp_server {
    struct store *store;
    struct pool *pool;
    pthread_mutex_t lock; /* guards now */
    struct smtp_snapshot *now;
    struct smtp_door doors[3]; /* by kind */
    atomic_uint waiting;       /* sessions in judge_finish() */
    atomic_uint receiving;     /* strangers in DATA and BDAT */
};

/* A reply that is decided before it can be said. */
struct smtp_refusal {
    int code;
    const char *status; /* RFC 3463 */
    const char *text;
};

/* The signatures of a message that one of ours hands us. */
struct smtp_signing {
    struct dkim_body *body; /* NULL: it is not signed */
    size_t slot;
    struct buf fields;      /* at the end */
};
/* The message of a transaction on its way into a blob. */
struct smtp_intake {
    bool open;
    struct blob_writer *blob;
    struct smtp_text text;
    struct buf header;           /* the section as it arrived; of a submission, once it is whole: as it was mended */
    bool in_header;              /* it is not whole yet; nothing of the message is stored before it is */
    struct smtp_refusal refusal; /* code 0: none. The rest of the message is swallowed */
    uint64_t refused_n;          /* bytes swallowed since */
    uint32_t skip;               /* length of the Return-Path line */
    struct smtp_signing signing;
};

/* What the judge finds out about it. */
struct smtp_judging {
    struct judge_settings set; /* lists are the snapshot's; the time is this message's own */
    struct arena mem;
    struct judge *judge; /* NULL: nobody judges it */
    bool done;
    struct judgement found; /* when done; in mem and the header */
};

/* What aliases send on to others. */
struct smtp_forwarding {
    bool sealing;
    size_t slot;      /* of the body's hash, with the judge */
    struct view seal; /* an ARC set; in the transaction's memory */
};

/* All that a transaction knows (RFC 5321 §3.3). */
struct smtp_tx {
    bool open; /* MAIL was accepted */
    struct arena mem;
    struct smtp_mail mail; /* texts in mem */
    struct view sender;    /* "local@domain" or empty; in mem */
    bool sender_is_ours;
    struct mailq_rcpt *rcpts; /* from malloc; texts in mem */
    size_t n, size;
    unsigned n_rcpt;        /* accepted RCPT commands */
    struct view first_rcpt; /* as given */
    bool bdat;              /* a chunk has come: only BDAT may follow (RFC 3030 §2) */
    struct smtp_intake in;
    struct smtp_judging judging;
    struct smtp_forwarding forwarding;
};

struct smtp_session {
    struct conn *c;
    struct smtp_server *srv;
    struct smtp_snapshot *snap;
    const struct smtp_settings *set; /* of snap */
    enum smtp_kind kind;
    bool trusted; /* the peer is in relay-from */
    char helo[SMTP_DOMAIN_MAX + 1];
    bool greeted, esmtp;
    uint64_t account; /* who is logged in; 0: nobody */
    struct login_mark mark; /* and by what */
    char login[SMTP_LOGIN_MAX + 1];
    unsigned errors, refusals, failed_logins;
    unsigned n_mail, n_accepted;
    const char *last; /* verb of the last command, for the closing log line */
    const char *end;  /* why it ends */
    struct smtp_tx tx;
};

const char *smtp_service_name(enum smtp_kind kind); /* "submissions" */
static inline bool smtp_is_submission(const struct smtp_session *s)
{
    return s->kind != SMTP_MTA;
}

/* Neither one of our users nor a device that we trust. */
static inline bool smtp_is_stranger(const struct smtp_session *s)
{
    return !s->account && !s->trusted;
}

/* Commands return RC_OK while the session goes on, else RC_CLOSED with s->end set. */
enum rc smtp_reply(struct smtp_session *s, int code, const char *status, const char *text);
enum rc smtp_refuse(struct smtp_session *s, const struct smtp_refusal *r);
enum rc smtp_end(struct smtp_session *s, const char *why);

/* auth.c: RFC 4954 */
enum rc smtp_cmd_auth(struct smtp_session *s, struct view args);
/* Mechanisms to offer now, space-separated; empty: none. */
void smtp_auth_mechanisms(struct smtp_session *s, struct buf *out);

/* envelope.c: MAIL, RCPT and the transaction */
enum rc smtp_cmd_mail(struct smtp_session *s, struct view args);
enum rc smtp_cmd_rcpt(struct smtp_session *s, struct view args);
void smtp_tx_reset(struct smtp_tx *tx);

/* intake.c: the message itself */
enum rc smtp_intake_begin(struct smtp_session *s);
void smtp_intake_add(struct smtp_session *s, struct view content);
void smtp_intake_refuse(struct smtp_session *s, int code, const char *status, const char *text);
void smtp_intake_append(struct smtp_session *s, struct view bytes);
/* Queues it and answers; the transaction is over. */
enum rc smtp_intake_finish(struct smtp_session *s);
void smtp_intake_clear(struct smtp_intake *in);

/* intake_header.c: checks, mends and stores the header section when it is whole */
void smtp_header_take(struct smtp_session *s);

/* judging.c: from the first recipient to the decision. Nothing happens where nobody judges. */
bool smtp_is_judged(const struct smtp_session *s);
void smtp_judging_begin(struct smtp_session *s);
void smtp_judging_header(struct smtp_session *s, struct view header);
void smtp_judging_body(struct smtp_session *s, struct view bytes);
/* Waits for the DNS; refuses the message where that is the decision. */
void smtp_judging_finish(struct smtp_session *s);
/* Once it is decided: to whom it may concern; and for the log, at most SMTP_VERDICT_FIELDS, which borrow text. */
void smtp_judging_tell(struct smtp_session *s);
size_t smtp_judging_fields(const struct smtp_session *s, struct buf *text, struct log_field *f);
void smtp_judging_clear(struct smtp_judging *j);

/* signing.c: begins when the header is whole, may refuse at the end */
void smtp_signing_begin(struct smtp_session *s);
void smtp_signing_body(struct smtp_session *s, struct view bytes);
void smtp_signing_finish(struct smtp_session *s);
void smtp_signing_clear(struct smtp_signing *g);

/* forwarding.c: between judge_header() and the body; and when the judge has spoken. Nothing happens to what stays here. */
void smtp_forwarding_begin(struct smtp_session *s);
/* Seals it, or refuses it. */
void smtp_forwarding_finish(struct smtp_session *s);

/* front.c: puts our own fields in front of what was stored */
enum rc smtp_front_add(struct smtp_session *s);

/* transfer.c: DATA and BDAT */
enum rc smtp_cmd_data(struct smtp_session *s, struct view args);
enum rc smtp_cmd_bdat(struct smtp_session *s, struct view args);

#endif
