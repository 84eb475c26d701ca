/* mailauth/dkim: verifies the DKIM signatures of a message (RFC 6376, RFC 8301, RFC 8463). Header, body and a resolver in;
 * one verdict a signature out. No sockets of its own, no store; blocks on the resolver alone, at most until the deadline.
 * Any thread; one message belongs to one thread at a time.
 *
 * At intake: header section read -> dkim_new(), which says to `body` which hashes it will need; dkim_body_add() while
 * the body arrives; dkim_body_end(); dkim_finish(), which asks for the keys. ARC (mailauth/arc) shares `body`.
 * Signing is mailauth/dkim_sign; what a verdict means for DMARC is mailauth/dmarc's to say, which counts a signature
 * only where result is DKIM_PASS and is_partial is false. */
#ifndef MAILAUTH_DKIM_H
#define MAILAUTH_DKIM_H

#include "dns/dns.h"
#include "mailauth/dkim_body.h"

#define DKIM_SIGNATURES_MAX 10    /* of one message, from the top; further ones are not looked at */
#define DKIM_SIGNATURE_MAX  16384 /* bytes of one field; longer ones are not looked into */
#define DKIM_RSA_BITS_MIN   1024  /* RFC 8301 §3.2 */
#define DKIM_RSA_BITS_MAX   4096

/* RFC 8601 §2.7.1. */
enum dkim_result {
    DKIM_NONE,      /* not of a signature: there is none */
    DKIM_PASS,
    DKIM_FAIL,      /* header or body are not what was signed, or rsa-sha1 (RFC 8301 §3.1) */
    DKIM_NEUTRAL,   /* the field cannot be understood: syntax, unknown version, algorithm, canonicalisation or query */
    DKIM_TEMPERROR, /* the key cannot be got now */
    DKIM_PERMERROR, /* no usable key, expired, From not signed, or whatever else RFC 6376 §6.1 calls PERMFAIL */
};
/* "none", "pass", ... Never NULL. */
const char *dkim_result_name(enum dkim_result result);

enum dkim_algorithm { DKIM_UNKNOWN_ALGORITHM, DKIM_RSA_SHA1, DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
/* "rsa-sha256", ...; "unknown". */
const char *dkim_algorithm_name(enum dkim_algorithm algorithm);

/* Views are in the caller's arena; they may hold any byte but CR, LF and NUL. */
struct dkim_verdict {
    enum dkim_result result;
    const char *reason;         /* one sentence, static; "" for a plain pass */
    struct view domain;         /* d= as A-labels in lower case; as written where that cannot be; empty where missing */
    struct view selector;       /* s= likewise */
    struct view identity;       /* i= decoded, or "@" and d= */
    struct view signature;      /* first 8 characters of b=, to tell signatures apart (RFC 6008); may be shorter */
    enum dkim_algorithm algorithm;
    enum dkim_canon header_canon, body_canon;
    unsigned bits;              /* of the key; 0 where there was none */
    int64_t signed_at_s, expires_s; /* t= and x=; 0 where missing */
    bool is_partial;            /* has l=: whatever follows was not signed; never aligned */
    uint64_t length;            /* l= where is_partial */
    bool is_testing;            /* the key says t=y */
    bool is_strict;             /* the key says t=s */
    bool is_expired;
    bool key_secure;            /* the key, or its absence, is proven by DNSSEC */
};
struct dkim_list {
    struct dkim_verdict *verdicts; /* in the order of the fields, top first */
    size_t n;                      /* 0: DKIM_NONE */
    size_t n_skipped;              /* further signatures, not looked at; all of them where the header is beyond HEADER_MAX
                                      or HEADER_FIELDS_MAX */
};

struct dkim;
/* Reads the signatures of a header section and tells `body` what they need. `header` is borrowed until dkim_finish(); all
 * memory is the arena's. RC_TEMP: no memory. */
enum rc dkim_new(struct view header, struct arena *a, struct dkim_body *body, struct dkim **out);
/* Asks the DNS ahead for the keys that dkim_finish() will want. */
void dkim_prefetch(const struct dkim *d, struct dns *dns);
/* The verdicts, after dkim_body_end(). now_s: seconds since 1970, for x=. RC_TEMP: no memory; *out is empty then. */
enum rc dkim_finish(struct dkim *d, struct dns *dns, int64_t now_s, int64_t deadline_ms, struct arena *a,
                    struct dkim_list *out);
/* All in one, for a message that is in memory. */
enum rc dkim_verify_message(struct view message, struct dns *dns, int64_t now_s, int64_t deadline_ms, struct arena *a,
                            struct dkim_list *out);

#endif
