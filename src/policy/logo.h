/* policy/logo: the logo that a message of a stranger may be shown with (BIMI): what its domain names in the DNS, fetched by HTTPS once a
 * day at most and kept in the store, held against the profile and, where there is one, its mark certificate. For judge_settings.logo.
 * DNS, HTTPS and disk; blocks until the deadline at most. Any thread. */
#ifndef POLICY_LOGO_H
#define POLICY_LOGO_H

#include "net/tls.h"
#include "policy/judge.h"
#include "store/store.h"

#define LOGO_FETCH_MS  4000      /* of a message's time at most, for both files */
#define LOGO_GOOD_S    86400     /* a logo is kept so long */
#define LOGO_BAD_S     3600      /* and so long is nobody asked again after a failure */

struct logo_settings {
    struct store *store;
    struct dns *dns;
    struct tls_client *trust;
    const char *roots;   /* PEM of authorities for mark certificates; NULL: none, and no logo passes by a certificate */
    bool any_address;    /* hosts at private addresses too: a lab */
};
/* ctx is a struct logo_settings. */
enum rc logo_look_up(void *ctx, const struct dmarc_verdict *dmarc, struct view header, int64_t deadline_ms, struct arena *a,
                     struct judge_logo *out);

#endif
