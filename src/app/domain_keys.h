/* app/domain_keys: the DKIM keys of our domains, which live in two places: public halves and their state in the directory
 * (store/directory_dkim.h), private ones in the vault's database. What the domain commands, `dns`, `apply` and quickstart
 * share. Single-threaded; as root the effective user changes and comes back to the store's. */
#ifndef APP_DOMAIN_KEYS_H
#define APP_DOMAIN_KEYS_H

#include "app/app.h"
#include "store/directory_dkim.h"

/* One key of each kind (RSA-2048, Ed25519) under selectors of this month that were never used: "r202611a" and "e202611a".
 * state: DKIM_KEY_NEXT or DKIM_KEY_ACTIVE. An exit code; the reason of a failure is on stderr. */
int domain_keys_make(struct app *app, struct view domain, enum dkim_key_state state);
/* After the domain went from the directory: the private keys go too. */
int domain_keys_remove(struct app *app, struct view domain);
/* Those of a domain (empty: all), by domain and selector, without those that have gone. */
int domain_keys_list(struct app *app, struct view domain, struct directory_dkim_key **out, size_t *n);

/* "next", "active", "retired". */
const char *domain_keys_state(enum dkim_key_state state);
/* Name and data of the TXT record, as a zone file has them; NULL: no memory. */
const char *domain_keys_owner(struct app *app, const struct directory_dkim_key *k);
const char *domain_keys_record(struct app *app, const struct directory_dkim_key *k);

#endif
