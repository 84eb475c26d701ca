/* mailauth/spf_impl: the three parts of SPF among themselves: record syntax, macros, evaluation. */
#ifndef MAILAUTH_SPF_IMPL_H
#define MAILAUTH_SPF_IMPL_H

#include "mailauth/spf.h"

enum spf_kind {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
    SPF_EXP,
    SPF_UNKNOWN_MODIFIER,
};
struct spf_term {
    enum spf_kind kind;
    enum spf_result qualifier; /* what a match of this mechanism means */
    struct view text;          /* as written */
    struct view spec;          /* domain-spec; empty where the current domain is meant */
    unsigned bits4, bits6;
    uint8_t net[16]; /* of ip4 (4 bytes) and ip6 */
};
/* What concerns a record as a whole. */
struct spf_record {
    struct view terms; /* after the version */
    struct view redirect, exp;
    bool has_all, has_redirect, has_exp;
};
/* Checks the whole syntax. RC_SYNTAX: *why, static, and *where in the record. */
enum rc spf_record_parse(struct view txt, struct spf_record *out, const char **why, struct view *where);
/* The next term, moving past it; RC_NOTFOUND at the end. */
enum rc spf_term_next(struct view *in, struct spf_term *out, const char **why);

/* Where macros take their values from. */
struct spf_macros {
    struct view local, sender_domain, helo, receiver;
    const struct addr *ip; /* unmapped */
    int64_t now_s;
    /* Value of %{p} for this domain. RC_LIMIT: too many look-ups. */
    enum rc (*name_of_client)(void *ctx, struct view domain, struct view *out);
    void *ctx;
};
/* Whether text is a macro-string (§7.1); `explain` allows blanks and the letters c, r and t. */
bool spf_macro_is_valid(struct view text, bool explain);
/* Whether it is a domain-spec also. */
bool spf_macro_is_domain_spec(struct view text);
/* Appends the expansion. RC_SYNTAX, RC_LIMIT (of out, or of look-ups). */
enum rc spf_macro_expand(const struct spf_macros *m, struct view text, struct view domain, bool explain, struct buf *out);

#endif
