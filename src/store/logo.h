/* store/logo: logos (BIMI): those of our domains, which we serve, and those of others that were fetched and found good or not, so that
 * nobody is asked for them with each message. Any thread. */
#ifndef STORE_LOGO_H
#define STORE_LOGO_H

#include "store/store.h"

#define LOGO_MAX          (32u << 10) /* bytes of a drawing */
#define LOGO_FETCHED_MAX  2000        /* of others; the oldest go */

/* Of a domain of ours (A-labels). RC_LIMIT: too long. */
enum rc logo_put(struct store *s, struct view domain, struct view svg);
/* RC_NOTFOUND: it has none. */
enum rc logo_get(struct store *s, struct view domain, struct arena *a, struct view *svg);
enum rc logo_remove(struct store *s, struct view domain);

/* What came of fetching a logo and the certificate for it. */
struct logo_fetched {
    struct view location, authority, domain; /* addresses, and for whom */
    bool good;
    struct view svg; /* of a good one */
    struct view why; /* of another */
    int64_t fetched_s;
};
enum rc logo_fetched_put(struct store *s, const struct logo_fetched *l);
/* RC_NOTFOUND: never, or long ago. */
enum rc logo_fetched_get(struct store *s, struct view location, struct view authority, struct view domain, struct arena *a, struct logo_fetched *out);

#endif
