/* policy/judge: what the door finds out about a message from a stranger, and what is done with it: reverse DNS (iprev), HELO,
 * SPF, DKIM, ARC and DMARC in one place, with their reasons, for SMTP intake and `facteur check` alike.
 * Facts, a resolver, and the message as it arrives in; verdicts and one decision out. No sockets of its own, no store; blocks
 * on the resolver alone, at most until the time limit. One judge belongs to one thread at a time.
 *
 * judge_new() at MAIL asks the DNS ahead for what will be needed (and waits for nothing); judge_header() when the header
 * section is there; judge_body() for what follows; judge_finish() at its end. judge_results() writes what was found
 * (RFC 8601).
 *
 * SPF, HELO, iprev, ARC and a broken signature never reject by themselves: DMARC decides (RFC 9989 §5.4), and a From field
 * that leaves open who the author is does (judge_decide.c has the rules, docs/verdicts.md tells them to people). */
#ifndef POLICY_JUDGE_H
#define POLICY_JUDGE_H

#include "mailauth/arc.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"

#define JUDGE_TIME_MS      20000 /* for all look-ups of a message after its end, where the settings say nothing */
#define JUDGE_IPREV_NAMES  5     /* names of an address that are looked at */
#define JUDGE_TRUSTED_MAX  1000  /* sealers, and forwarders */
#define JUDGE_TEXT_MAX     400   /* bytes of the text of a rejection */
#define JUDGE_MEMORY       (32u << 20) /* a good cap for the arena: enough for a header and keys of the largest size */

/* The logo that the author's domain shows (BIMI; policy/logo.h). */
struct judge_logo {
    const char *result;    /* "pass", "none", "fail", ... as Authentication-Results has it; NULL: not looked for */
    struct view reason;
    struct view domain, selector, location, authority;
    struct view svg;       /* of a pass */
};
/* Read-only while anybody uses it. */
struct judge_settings {
    const char *authserv_id;          /* our host name */
    int64_t time_ms;                  /* 0: JUDGE_TIME_MS */
    enum dmarc_method method;
    const struct psl_list *psl;       /* for DMARC_PSL and compare */
    bool compare;                     /* dmarc_settings */
    bool enforce;                     /* DMARC policies are acted on; else they are only told */
    bool arc;                         /* chains are validated, and may override */
    const struct view *sealers;       /* domains (A-labels) whose ARC seals the operator believes */
    size_t n_sealers;
    const struct addr_net *forwarders; /* addresses that may forward what then fails */
    size_t n_forwarders;
    /* Looks for the logo of what is accepted and passes DMARC; NULL: nobody looks. RC_TEMP: no memory. */
    enum rc (*logo)(void *ctx, const struct dmarc_verdict *dmarc, struct view header, int64_t deadline_ms, struct arena *a, struct judge_logo *out);
    void *logo_ctx;
};
struct judge_facts {
    struct addr ip;              /* of the client; none: its checks give "none" */
    struct view helo, mail_from; /* as struct spf_facts has them; copied */
    int64_t now_s;
};

enum judge_action {
    JUDGE_ACCEPT,
    JUDGE_JUNK,   /* into the Junk folder */
    JUDGE_REJECT, /* with code, status and text */
};
struct judge_iprev { /* RFC 8601 §3 */
    const char *result; /* "pass", "fail", "temperror", "permerror"; "none" without an address */
    const char *reason; /* one sentence */
    struct view name;   /* the confirmed one; else the first claimed; may be empty */
};
/* All that was found. Views are in the arena given to judge_new(). */
struct judgement {
    struct judge_facts facts; /* as given, the address unmapped */
    struct judge_iprev iprev;
    const char *helo_note;    /* what is odd about the HELO name, in words; "" nothing */
    struct spf_verdict spf;   /* of the MAIL FROM identity */
    struct spf_verdict helo;  /* of the HELO identity; equal to spf with a null reverse-path */
    struct dkim_list dkim;
    struct arc_verdict arc;
    struct dmarc_verdict dmarc; /* with the override that applied */
    struct judge_logo logo;
    enum judge_action action;
    int code;                 /* of a rejection: 550; else 0 */
    const char *status;       /* "5.7.26" (RFC 7372 §3.3), or "5.6.0" for a From field that may not be; else "" */
    struct view text;         /* what failed, or why it goes to Junk; one line of visible ASCII; empty where accepted */
    int64_t look_ups_ms;      /* time spent waiting for the DNS after the end of the message */
};

struct judge;
/* Views of settings are borrowed until judge_free(); memory of the verdicts is the arena's. RC_TEMP. */
enum rc judge_new(const struct judge_settings *set, struct dns *dns, const struct judge_facts *facts, struct arena *a,
                  struct judge **out);
/* The header section with its empty line, as it arrived; borrowed until judge_free(). RC_TEMP. */
enum rc judge_header(struct judge *j, struct view header);
/* The next bytes of the body, cut anywhere. */
void judge_body(struct judge *j, struct view bytes);
/* RC_TEMP: no memory: the message is to be tried again later. */
enum rc judge_finish(struct judge *j, struct judgement *out);
/* The body's hashes, for whoever seals what was judged: judge_seal_slot() before judge_body() (dkim_sign_want). */
enum rc judge_seal_slot(struct judge *j, size_t *slot);
const struct dkim_body *judge_body_hashes(const struct judge *j);
void judge_free(struct judge *j); /* accepts NULL */

/* Appends BIMI-Location and BIMI-Indicator of a message that may have a logo, together at most max bytes; what does not fit is left out. */
void judge_logo_fields(const struct judgement *v, size_t max, struct buf *out);
/* Appends "Authentication-Results: ..." CRLF, at most max bytes: comments and then further signatures are left out where it
 * would be longer. */
enum rc judge_results(const struct judge_settings *set, const struct judgement *v, size_t max, struct buf *out);

#endif
