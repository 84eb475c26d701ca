/* store/directory_dkim: which keys sign for our domains: selectors, public halves, and where each stands in its life. The
 * private halves are the vault's. A selector is never used twice: its row stays when the key has gone. Any thread. */
#ifndef STORE_DIRECTORY_DKIM_H
#define STORE_DIRECTORY_DKIM_H

#include "store/store.h"

#define DIRECTORY_DKIM_MAX 8 /* keys that are added at once */

enum dkim_key_state {
    DKIM_KEY_NEXT,    /* to be published; signs when the DNS shows it */
    DKIM_KEY_ACTIVE,  /* signs */
    DKIM_KEY_RETIRED, /* signs no more; stays published for what is still on its way */
    DKIM_KEY_GONE,    /* no key any more, only a name that was used */
};
struct directory_dkim_key {
    struct view domain;     /* A-labels, lower case */
    struct view selector;
    int algorithm;          /* enum pkey_kind */
    struct view public_key; /* as pkey_public reads it */
    enum dkim_key_state state;
    int64_t created_s, active_s, retired_s; /* 0: not yet */
};
/* Those of a domain (empty: of all), by domain and selector. */
enum rc directory_dkim_keys(struct store *s, struct view domain, struct arena *a, struct directory_dkim_key **out, size_t *n);
/* Those that sign for exactly this domain (A-labels); none where it is not ours. */
enum rc directory_dkim_active(struct store *s, struct view domain, struct arena *a, struct directory_dkim_key **out, size_t *n);
/* New ones of one domain of ours, all or none, as DKIM_KEY_NEXT, or as DKIM_KEY_ACTIVE, which retires those that sign now.
 * RC_NOTFOUND: the domain is not ours. RC_EXISTS: a selector was used before, or for DKIM_KEY_NEXT there are such keys already. */
enum rc directory_dkim_add(struct store *s, const struct directory_dkim_key *keys, size_t n);
/* The next ones become active, the active ones retired. RC_NOTFOUND: there are no next ones. */
enum rc directory_dkim_switch(struct store *s, struct view domain);
/* A retired one has gone. RC_NOTFOUND: no such key, or it is not retired. */
enum rc directory_dkim_drop(struct store *s, struct view domain, struct view selector);

#endif
