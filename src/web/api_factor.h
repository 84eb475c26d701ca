/* web/api_factor: what the API's files share about second factors. */
#ifndef WEB_API_FACTOR_H
#define WEB_API_FACTOR_H

#include "web/api.h"

struct api_factors {
    struct second_factor codes; /* vault/second_factor.h */
    size_t passkeys;
};
enum rc api_factors_read(const struct api_call *c, uint64_t account, struct api_factors *out);
/* The password was right. True: that is enough, or the code that came with it is right too. Else it has been answered. */
bool api_factor_passed(struct api_call *c, const struct directory_account *account);
/* {"password"} of the body is this session's; else it has been refused. */
bool api_password_again(struct api_call *c);
/* New recovery codes in place of those before; NULL: it failed. */
json_t *api_recovery_codes(const struct api_call *c);

extern const struct api_route api_factor_routes[], api_passkey_routes[];

#endif
