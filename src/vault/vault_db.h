/* vault/vault_db: the file vault.db (SQLite, readable by the vault's user alone): opening it, its schema, and what its errors
 * mean. Inside of vault/ only. */
#ifndef VAULT_VAULT_DB_H
#define VAULT_VAULT_DB_H

#include <sqlite3.h>

#include "base/rc.h"

/* Opens it, made or brought up to date when needed; one connection, not to be used by two threads at once. An older file stays
 * beside it as "PATH.v1-before-v4". *why: static text. RC_DENIED: no right to it, or newer than this program; RC_CORRUPT;
 * RC_FULL; RC_LIMIT: the path is too long; RC_TEMP. */
enum rc vault_db_open(const char *path, sqlite3 **out, const char **why);
/* What an SQLite result means; failures are logged. */
enum rc vault_db_rc(sqlite3 *db, int sqlite_rc, const char *doing);

#endif
