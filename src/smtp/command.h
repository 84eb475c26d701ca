/* smtp/command: the wire grammar of SMTP commands: verb and argument, the parameters of MAIL, RCPT and BDAT
 * (RFC 5321 §4.1, RFC 1870, 2852, 3030, 3461, 4865, 4954, 6152, 6531, 6710, 8689).
 * Pure: no I/O, no globals, any thread. Input is hostile. Which parameter is allowed when is the session's
 * decision: here each one that was met is marked. Texts that had to be decoded lie in the caller's arena,
 * others borrow the line. */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "base/arena.h"
#include "smtp/path.h"

#define SMTP_LINE_MAX      2048  /* RFC 5321 §4.5.3.1.4: 512, and what extensions add */
#define SMTP_AUTH_LINE_MAX 12288 /* RFC 4954 §4 */
#define SMTP_ENVID_MAX     100   /* RFC 3461 §4.4 */
#define SMTP_ORCPT_MAX     500   /* RFC 3461 §4.2 */

/* "VERB rest": the verb ends at the first blank; *args has no blanks at its ends. */
struct view smtp_verb(struct view line, struct view *args);
/* A request of another protocol that a browser was made to send here: "POST / HTTP/1.1". */
bool smtp_is_http(struct view line);

/* Parameters that were met. */
enum {
    PARAM_SIZE = 1,
    PARAM_BODY = 2,
    PARAM_SMTPUTF8 = 4,
    PARAM_RET = 8,
    PARAM_ENVID = 16,
    PARAM_AUTH = 32,
    PARAM_HOLD = 64,
    PARAM_BY = 128,
    PARAM_PRIORITY = 256,
    PARAM_NOTIFY = 512,
    PARAM_ORCPT = 1024,
    PARAM_REQUIRETLS = 2048 /* RFC 8689 */
};
enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_DEFAULT, SMTP_RET_FULL, SMTP_RET_HDRS };
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

struct smtp_mail {
    struct smtp_path path;
    unsigned params; /* PARAM_... */
    uint64_t size;   /* octets announced; 0: none */
    enum smtp_body body;
    enum smtp_ret ret;
    struct view envid;    /* decoded; printable ASCII */
    int64_t hold_for_s;   /* HOLDFOR; 0: none */
    int64_t hold_until_s; /* HOLDUNTIL as seconds since 1970; 0: none */
    int64_t by_s;         /* BY: seconds, may be negative */
    bool by_return;       /* mode R; else N */
    bool by_trace;        /* T: tell each relay */
    int priority;         /* -9..9 */
};
struct smtp_rcpt {
    struct smtp_path path;
    unsigned params;
    unsigned notify;   /* SMTP_NOTIFY_...; 0: not given */
    struct view orcpt; /* "rfc822;user@dom", decoded */
};

/* The argument of MAIL ("FROM:<a@b> SIZE=1") and RCPT ("TO:<a@b>"). RC_SYNTAX: no FROM:/TO:, no path, or a
 * parameter that is not what its RFC says, or is given twice. RC_LIMIT: path or value too long. RC_NOTFOUND:
 * a parameter that nobody knows (555, RFC 5321 §4.1.1.11). RC_TEMP: no memory. With a failure before the path
 * was read out->path is zeroed and *bad_path true. */
enum rc smtp_mail_parse(struct view args, struct arena *a, struct smtp_mail *out, bool *bad_path);
enum rc smtp_rcpt_parse(struct view args, struct arena *a, struct smtp_rcpt *out, bool *bad_path);

/* "1000 LAST" (RFC 3030 §2). RC_SYNTAX; RC_LIMIT: the number is not one of 63 bits. */
enum rc smtp_bdat_parse(struct view args, uint64_t *size, bool *last);

/* xtext (RFC 3461 §4), or what stands after "utf-8;" (RFC 6533 §3), decoded and appended. Control characters
 * are refused, encoded or not, so that what comes out is one line; bytes above 127 only with `utf8`. */
enum rc smtp_xtext_decode(struct view in, bool utf8, struct buf *out);
/* For the next hop: appends v so that decoding gives it back. */
void smtp_xtext_encode(struct view v, struct buf *out);

#endif
