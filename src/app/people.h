/* app/people: accounts and their passwords, which live in two places: the directory (store) and the vault's database. What
 * the account commands, `apply` and quickstart share. Single-threaded; as root the effective user changes and comes back
 * to the store's. All print their reason on stderr and give an exit code. */
#ifndef APP_PEOPLE_H
#define APP_PEOPLE_H

#include "app/app.h"
#include "store/directory.h"
#include "vault/credentials.h"

/* What stands after "@", for messages. Borrows address. */
const char *people_domain(const char *address);
/* The account so named, or EXIT_FAILED after the reason. */
int people_find(struct app *app, const char *address, struct directory_account *out);
/* Whether such an account may be made; asked before a password is. */
int people_may_add(struct app *app, const char *address);
/* For lists of one domain; "": all. */
int people_is_ours(struct app *app, struct view domain);
/* An account without password; *id is its number. */
int people_add(struct app *app, const char *address, uint64_t *id);
/* Account, mailbox and password go; its sessions end. */
int people_remove(struct app *app, const char *address);
/* Replaces the password; sessions of mail clients go on, the next login needs the new one. Those of the pages end. */
int people_set_password(struct app *app, uint64_t account, struct view password);
/* vault.db, opened as its owner; people_close_credentials (false: the reason is told) makes us the store's user again. */
int people_open_credentials(struct app *app, struct credentials **out);
bool people_close_credentials(struct app *app, struct credentials *c);

/* A link to the pages that logs this account in, once, within a day. */
int people_link(struct app *app, uint64_t account, struct buf *out);

const char *people_role_name(enum directory_role role);
bool people_role_parse(const char *name, enum directory_role *out);

#endif
