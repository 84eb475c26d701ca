/* store/db_file: databases as files: is one whole, and a copy of one that may be in use. SQLite's side is
 * db_file.c; PostgreSQL has tools of its own for both. I/O: disk. Any thread. */
#ifndef STORE_DB_FILE_H
#define STORE_DB_FILE_H

#include "base/view.h"

#define DB_FILE_FINDINGS_MAX 20 /* told of one database */

/* RC_CORRUPT: damaged; tell (may be NULL) was called with the engine's words for each finding. RC_NOTFOUND: no file. */
enum rc db_file_check(const char *path, void (*tell)(void *ctx, struct view what), void *ctx);
/* A consistent, durable copy, as of now, of a database that others may be writing; replaces `to`. RC_CORRUPT, RC_FULL,
 * RC_NOTFOUND, RC_DENIED: may not be read. */
enum rc db_file_copy(const char *from, const char *to);

#endif
