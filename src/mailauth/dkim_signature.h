/* mailauth/dkim_signature: one signature field, read and verified: what DKIM-Signature, ARC-Message-Signature and
 * ARC-Seal have in common (RFC 6376 §3.5, §6.1). Inside of mailauth/ only. Blocks on the resolver where said; else pure. */
#ifndef MAILAUTH_DKIM_SIGNATURE_H
#define MAILAUTH_DKIM_SIGNATURE_H

#include "mailauth/dkim.h"
#include "mailauth/dkim_fields.h"
#include "mailauth/dkim_key.h"
#include "mailauth/dkim_tags.h"

enum dkim_signature_kind { DKIM_SIGNATURE, DKIM_ARC_MESSAGE, DKIM_ARC_SEAL };

struct dkim_signature {
    enum dkim_signature_kind kind;
    size_t field;                 /* its index */
    enum dkim_result result;      /* DKIM_NONE while nothing is wrong */
    const char *reason;
    struct dkim_tags tags;
    enum dkim_algorithm algorithm;
    enum dkim_canon header_canon, body_canon;
    struct view domain, selector; /* A-labels where they can be */
    struct view b, bh;            /* decoded */
    size_t b_at, b_n;             /* where b= stands in the field's value */
    struct view h;                /* as written */
    uint64_t length;              /* l=, or DKIM_WHOLE */
    int64_t signed_at_s, expires_s;
    size_t slot;                  /* of the body hash */
    unsigned bits;
    bool is_testing, is_strict, key_secure;
};

/* Sets result and reason, for good. */
void dkim_signature_decide(struct dkim_signature *s, enum dkim_result result, const char *reason);
/* Reads field `index`; result stays DKIM_NONE where it can be verified. RC_TEMP: no memory. */
enum rc dkim_signature_read(enum dkim_signature_kind kind, const struct dkim_fields *f, size_t index, struct arena *a,
                            struct dkim_signature *out);
/* Tells `body` what it needs. RC_TEMP. */
enum rc dkim_signature_want(struct dkim_signature *s, struct dkim_body *body);
/* SHA-256 of the fields that h= names and of the signature field (RFC 6376 §3.7). RC_LIMIT: too large. RC_TEMP. */
enum rc dkim_signature_digest(const struct dkim_signature *s, struct dkim_fields *f, uint8_t out[SHA256_SIZE]);

/* Keys that were asked for while one message is looked at, so that each is asked for once. */
struct dkim_keyring {
    struct dns *dns;
    int64_t deadline_ms;
    struct arena *arena;
    struct dkim_keyring_entry *first;
};
/* NULL: no memory. */
const struct dkim_key_answer *dkim_keyring_get(struct dkim_keyring *ring, struct view selector, struct view domain);
/* Gets the key and says DKIM_PASS or why not (RFC 6376 §6.1.2, §6.1.3): the key first, so that what is wrong with it is told
 * even where the message was changed too. `body` is not looked at for DKIM_ARC_SEAL. */
void dkim_signature_verify(struct dkim_signature *s, struct dkim_keyring *ring, const struct dkim_body *body,
                           const uint8_t digest[SHA256_SIZE]);

#endif
