/* crypto/mark: chains of mark certificates (VMC, CMC), which prove that a logo is its domain's (BIMI; RFC 3709 for the logo inside).
 * Pure: a PEM text and authorities in, facts and one verdict out; any thread. The input is hostile.
 * Whether one was revoked says a list (CRL, RFC 5280 §5, §6.3) that the caller fetches. */
#ifndef CRYPTO_MARK_H
#define CRYPTO_MARK_H

#include "base/arena.h"

#define MARK_PEM_MAX   (256u << 10)
#define MARK_CHAIN_MAX 8
#define MARK_CRL_MAX   (1u << 20)

struct mark {
    bool valid;          /* chain, dates, purpose, names and logo are as they must be */
    const char *why;     /* where not, in words */
    const char *kind;    /* "VMC", "CMC"; "" where the certificate does not say */
    struct view type;    /* "Registered Mark" */
    struct view subject; /* organisation */
    struct view issuer;
    int64_t not_before_s, not_after_s;
    struct view crl;     /* address of the list that says whether it was revoked, http or https; empty: it names none */
    struct view logo;    /* as embedded, perhaps gzipped; empty: none */
};
/* `names`: any of them has to be among the certificate's DNS names. roots: PEM text of authorities for marks; NULL: the chain's end is
 * taken as it is, and the verdict is that nobody vouches for it. RC_SYNTAX: no certificate in it. RC_TEMP: no memory. */
enum rc mark_check(struct view pem, const char *roots, const char *const *names, size_t n_names, int64_t now_s, struct arena *a, struct mark *out);

enum mark_revoked {
    MARK_NOT_REVOKED,
    MARK_REVOKED,
    MARK_NOT_KNOWN, /* the list is not one, not this authority's, or out of date: *why */
};
/* `pem` and roots as above, of a chain that is valid; `crl` in DER or PEM. */
enum mark_revoked mark_revocation(struct view pem, const char *roots, struct view crl, int64_t now_s, const char **why);

#endif
