/* What the files of the API share among themselves, beside api.h. */
#ifndef WEB_API_IMPL_H
#define WEB_API_IMPL_H

#include "web/api.h"

#define API_COOKIE "facteur_session"
#define API_TOKEN  32 /* random bytes of a session's token or a link's; base64url in the cookie */

extern const struct api_route api_openapi_routes[], api_me_routes[], api_overview_routes[];

/* Who Authorization: Basic proves, into c->who, for a route that lets it (SASL_DONE). SASL_MALFORMED: there is no such field. *delay_ms: so
 * long is a refusal to be held back. */
enum sasl_step api_basic(struct api_call *c, uint32_t *delay_ms);
void api_basic_refuse(struct api_call *c, enum sasl_step step);

/* All routes one by one: the first for NULL; NULL after the last. */
const struct api_route *api_route_next(const struct api_route *r);
/* The digest under which a token is kept. False: not a token. */
bool api_token_hash(struct view token, uint8_t hash[SESSION_HASH]);

/* The domain that the path names first; what is not the caller's, or not ours, has been refused. */
bool api_path_domain(struct api_call *c, struct directory_domain *out);
/* May this be somebody's password? Else refused, about `field`. */
bool api_check_password(struct api_call *c, const char *field, struct view password);
/* As api_when, for the end of a range: of a day, its end. */
int64_t api_until(const struct api_call *c, const char *name, int64_t otherwise);
/* Is it "https://HOST[:PORT]" of this request, as browsers write origins (RFC 6454 §6.2)? */
bool api_is_own_origin(const struct api_call *c, struct view origin);
/* Is that the password of the account `name`? Else it has been refused. Second factors are not asked for. */
bool api_password_right(struct api_call *c, struct view name, struct directory_account *account);

/* The document that describes the API, as it was built in (openapi/). */
extern const unsigned char api_openapi[];
extern const size_t api_openapi_n;

#endif
