/* crypto/mark: chains of mark certificates (VMC, CMC), which prove that a logo is its domain's (BIMI; RFC 3709 for the logo inside).
 * Pure: a PEM text and authorities in, facts and one verdict out; any thread. The input is hostile.
 * Revocation is not looked at: mark certificates are checked when a logo is fetched, not when mail is shown. */
#ifndef CRYPTO_MARK_H
#define CRYPTO_MARK_H

#include "base/arena.h"

#define MARK_PEM_MAX   (256u << 10)
#define MARK_CHAIN_MAX 8

struct mark {
    bool valid;          /* chain, dates, purpose, names and logo are as they must be */
    const char *why;     /* where not, in words */
    const char *kind;    /* "VMC", "CMC"; "" where the certificate does not say */
    struct view type;    /* "Registered Mark" */
    struct view subject; /* organisation */
    struct view issuer;
    int64_t not_before_s, not_after_s;
    struct view logo;    /* as embedded, perhaps gzipped; empty: none */
};
/* `names`: any of them has to be among the certificate's DNS names. roots: PEM text of authorities for marks; NULL: the chain's end is
 * taken as it is, and the verdict is that nobody vouches for it. RC_SYNTAX: no certificate in it. RC_TEMP: no memory. */
enum rc mark_check(struct view pem, const char *roots, const char *const *names, size_t n_names, int64_t now_s, struct arena *a, struct mark *out);

#endif
