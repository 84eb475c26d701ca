/* mailauth/arc: what earlier handlers of a message found out, carried along under their signatures (RFC 8617):
 * validates the chain of a message, and adds our own set to it. Header, body and a resolver in; verdict or fields out. No
 * sockets of its own, no store; blocks on the resolver alone, at most until the deadline. Any thread; one message belongs to
 * one thread at a time. Whose seal is believed is policy's to say. */
#ifndef MAILAUTH_ARC_H
#define MAILAUTH_ARC_H

#include "dns/dns.h"
#include "mailauth/dkim_body.h"
#include "mailauth/dkim_sign.h"

#define ARC_SETS_MAX     50 /* RFC 8617 §4.2.1 */
#define ARC_PREFETCH_MAX 16

/* RFC 8617 §4.4. */
enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL };
const char *arc_result_name(enum arc_result result); /* "none", "pass", "fail" */

struct arc_set {
    unsigned instance;
    struct view seal_domain, seal_selector;       /* of the ARC-Seal; A-labels, lower case */
    struct view message_domain, message_selector; /* of the ARC-Message-Signature */
    struct view results;                          /* what follows the instance in ARC-Authentication-Results, trimmed */
    enum arc_result cv;
    bool is_partial;                              /* the message signature has l=: any body may follow what it covers */
    bool signs_from;                              /* the message signature covers From */
};
/* Views borrow the header or are in the arena. */
struct arc_verdict {
    enum arc_result result;
    const char *reason;     /* one sentence, static */
    unsigned failed_at;     /* the instance that made it fail, or 0 */
    bool is_temporary;      /* it failed because a key cannot be got now */
    unsigned oldest_pass;   /* RFC 8617 §5.2: lowest instance whose message signature still holds; 0: all. With a pass only */
    bool is_partial;        /* the newest message signature has l=: what follows in the body is nobody's */
    struct arc_set *sets;   /* sets[0] is instance 1; where result is ARC_PASS */
    size_t n_sets;
    unsigned last_instance; /* the highest seen, 0 without ARC fields; what sealing goes on from */
    bool last_failed;       /* the newest seal says cv=fail itself: nothing may be added (RFC 8617 §5.1) */
};

struct arc;
/* Reads the ARC fields of a header section and tells `body` what they need. `header` is borrowed until arc_finish(). RC_TEMP. */
enum rc arc_new(struct view header, struct arena *a, struct dkim_body *body, struct arc **out);
/* Asks the DNS ahead for the keys that arc_finish() will want, newest set first, at most ARC_PREFETCH_MAX. */
void arc_prefetch(const struct arc *c, struct dns *dns);
/* The verdict, after dkim_body_end(). RC_TEMP: no memory. */
enum rc arc_finish(struct arc *c, struct dns *dns, int64_t deadline_ms, struct arena *a, struct arc_verdict *out);
/* All in one, for a message that is in memory. */
enum rc arc_verify_message(struct view message, struct dns *dns, int64_t deadline_ms, struct arena *a,
                           struct arc_verdict *out);

struct arc_seal_settings {
    struct view domain, selector;
    enum dkim_algorithm algorithm; /* DKIM_RSA_SHA256 unless everybody who reads it knows better */
    struct view authserv_id;
    int64_t now_s;
    const struct view *headers; /* names for h=; NULL: those that dkim_sign() signs, and DKIM-Signature */
    size_t n_headers;
};
/* Appends ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results, to be put above `header` (a header section).
 * `body` hashes DKIM_RELAXED, DKIM_WHOLE (asked for by dkim_sign_want). `results` is what follows authserv-id in
 * our Authentication-Results (authres_collect), "none" where it is empty. `found` is the verdict on the message as it came.
 * RC_DENIED: RFC 8617 §5.1 forbids a further set. RC_LIMIT: ARC_SETS_MAX. RC_SYNTAX: a domain, name or result that cannot be
 * written. RC_TEMP: no memory, or the signer does not answer. */
enum rc arc_seal(const struct arc_seal_settings *set, struct view header, const struct dkim_body *body, size_t slot,
                 struct view results, const struct arc_verdict *found, dkim_sign_fn sign, void *sign_ctx, struct buf *out);

#endif
