/* store/directory: domains, accounts and aliases, and what an address leads to.
 * Addresses are kept and compared in one normal form: local part lower-cased (ASCII and UTF-8 simple folding), domain
 * as lower-case U-label text or A-label as given by idn (see directory_normalise). Any thread. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "store/store.h"

#define DIRECTORY_TARGETS_MAX 1000 /* an alias leads to at most so many */
#define DIRECTORY_DEPTH_MAX   10   /* aliases to aliases */
#define DIRECTORY_DESK        ((uint64_t)INT64_MAX) /* stands for an account: reports of others lead there, at every domain of ours */
#define DIRECTORY_DESK_DMARC  "dmarc-reports"       /* local parts that do; an alias or account of that name gets the mail too */
#define DIRECTORY_DESK_TLS    "tls-reports"
#define DIRECTORY_SECRET_SIZE 32   /* bytes */

enum directory_role { ROLE_USER, ROLE_OWNER, ROLE_OPERATOR };
struct directory_account {
    uint64_t id;         /* never reused; shard key */
    struct view address; /* normal form */
    enum directory_role role;
    int64_t created_s;
    uint64_t quota;      /* bytes; 0: none */
    bool disabled;
    struct view language; /* "en", "fr"; empty: not chosen */
    uint64_t password_n;  /* rises with each new password of its own (store/app_password.h) */
};
struct directory_target {
    uint64_t account;    /* 0: a foreign address; DIRECTORY_DESK: the desk */
    struct view address; /* the account's own, or the foreign one */
    struct view detail;  /* of user+detail@, for the account; or empty */
    bool via_alias;      /* reached through an alias: for foreign ones we forward */
    bool by_catch_all;   /* the address asked for has no mailbox or alias of its own: a catch-all took it */
};

/* Normal form of "local@domain" into the arena. RC_SYNTAX: not an address. */
enum rc directory_normalise(struct view address, struct arena *a, struct view *out);

/* Where mail for the address goes: exact alias or account, then without +detail, then postmaster (always: to the
 * domain's alias if set, else to the first operator, else the first account), then catch-all "@domain".
 * RC_DENIED: the domain is not ours. RC_NOTFOUND: ours, but no such mailbox. RC_LIMIT: aliases run in circles or too far. */
enum rc directory_route(struct store *s, struct view address, struct arena *a, struct directory_target **out, size_t *n);
/* The account that hears for a domain of ours: where postmaster leads here, else the first operator, else the first account.
 * RC_NOTFOUND: there is no account at all. */
enum rc directory_postmaster(struct store *s, struct view domain, struct arena *a, struct directory_target *out);
enum rc directory_has_domain(struct store *s, struct view domain, bool *out);
/* The account that may log in under this name (its address, case-insensitive). RC_NOTFOUND; RC_DENIED: disabled. */
enum rc directory_login(struct store *s, struct view name, struct arena *a, struct directory_account *out);
/* May this account use the address as sender? Its own (also with +detail), aliases that lead to it, a catch-all that
 * leads to it. RC_OK or RC_DENIED. */
enum rc directory_may_send(struct store *s, uint64_t account, struct view address);

enum rc directory_domain_add(struct store *s, struct view domain);    /* RC_EXISTS, RC_SYNTAX */
/* Its DKIM keys (store/directory_dkim.h) go too. RC_NOTFOUND; RC_EXISTS: has accounts or aliases. */
enum rc directory_domain_remove(struct store *s, struct view domain);
/* What a domain says about itself. */
enum directory_sts { STS_NONE, STS_TESTING, STS_ENFORCE }; /* RFC 8461 §5 */
struct directory_domain {
    struct view name; /* normal form, A-labels */
    int64_t created_s;
    enum directory_sts sts_mode; /* new domains test */
    int64_t sts_changed_s;       /* the policy's id: when the mode was changed last, or the domain added */
    uint64_t accounts, aliases;  /* how many; by directory_domains_look alone */
};
/* RC_NOTFOUND: not ours. RC_SYNTAX: not a domain name. */
enum rc directory_domain(struct store *s, struct view domain, struct arena *a, struct directory_domain *out);
enum rc directory_domain_set_sts(struct store *s, struct view domain, enum directory_sts mode);
/* All, or one (empty: all), by name. One that is not ours gives none. */
enum rc directory_domains_look(struct store *s, struct view domain, struct arena *a, struct directory_domain **out, size_t *n);
enum rc directory_domains(struct store *s, struct arena *a, struct view **out, size_t *n);
/* Makes the account's database with INBOX, Drafts, Sent, Junk, Trash, Archive (RFC 6154). RC_NOTFOUND: domain not ours. */
enum rc directory_account_add(struct store *s, struct view address, uint64_t *id);
/* Removes rows and database; its blobs die at the next compaction. */
enum rc directory_account_remove(struct store *s, struct view address, uint64_t *id);
enum rc directory_account(struct store *s, struct view address, struct arena *a, struct directory_account *out);
enum rc directory_account_by_id(struct store *s, uint64_t id, struct arena *a, struct directory_account *out);
/* A random number that is made when it is first asked for and stays as it is; a backup has it. RC_CORRUPT: it is no such number. */
enum rc directory_secret(struct store *s, struct view name, uint8_t out[DIRECTORY_SECRET_SIZE]);
/* All, or those of one domain (empty: all), by address. */
enum rc directory_accounts(struct store *s, struct view domain, struct arena *a, struct directory_account **out, size_t *n);
/* Another role, and disabling, end the account's sessions on the pages (store/session.h). */
enum rc directory_account_set_role(struct store *s, struct view address, enum directory_role role);
enum rc directory_account_set_quota(struct store *s, struct view address, uint64_t quota);
enum rc directory_account_set_disabled(struct store *s, struct view address, bool disabled);
enum rc directory_account_set_language(struct store *s, struct view address, struct view language);
struct directory_alias {
    struct view address; /* "info@ici.test", or "@ici.test" for the catch-all */
    struct view *targets;
    size_t n_targets;
};
/* Replaces the targets. RC_NOTFOUND: domain not ours. RC_EXISTS: is an account (an account's own mail cannot be aliased away). */
enum rc directory_alias_set(struct store *s, struct view address, const struct view *targets, size_t n);
/* n = 0: the whole alias. */
enum rc directory_alias_remove(struct store *s, struct view address, const struct view *targets, size_t n);
enum rc directory_aliases(struct store *s, struct view domain, struct arena *a, struct directory_alias **out, size_t *n);

#endif
