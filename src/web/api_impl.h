/* What the files of the API share among themselves, beside api.h. */
#ifndef WEB_API_IMPL_H
#define WEB_API_IMPL_H

#include "web/api.h"

#define API_COOKIE "facteur_session"
#define API_TOKEN  32 /* random bytes of a session's token or a link's; base64url in the cookie */

extern const struct api_route api_openapi_routes[];

/* All routes one by one: the first for NULL; NULL after the last. */
const struct api_route *api_route_next(const struct api_route *r);
/* The digest under which a token is kept. False: not a token. */
bool api_token_hash(struct view token, uint8_t hash[SESSION_HASH]);

/* The document that describes the API, as it was built in (openapi/). */
extern const unsigned char api_openapi[];
extern const size_t api_openapi_n;

#endif
