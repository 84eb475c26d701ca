/* web/people_json: domains, accounts and aliases, as the API and the commands' --json show them. Pure. */
#ifndef WEB_PEOPLE_JSON_H
#define WEB_PEOPLE_JSON_H

#include <jansson.h>

#include "store/directory.h"
#include "store/directory_dkim.h"

/* Each gives NULL when there is no memory. */
/* "testing", "enforce", "none"; and back. */
const char *people_sts_name(enum directory_sts mode);
bool people_sts_parse(struct view name, enum directory_sts *out);
const char *people_key_state(enum dkim_key_state state);

/* {"domain", "created", "mta_sts", "keys", "accounts", "aliases"}. `keys` may hold those of other domains too. */
json_t *people_domain_json(const struct directory_domain *d, const struct directory_dkim_key *keys, size_t n_keys);
/* {"address", "domain", "role", "created", "disabled", "quota"} */
json_t *people_account_json(const struct directory_account *a);
/* {"address", "targets"} */
json_t *people_alias_json(const struct directory_alias *a);

#endif
