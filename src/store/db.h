/* store/db: the one face of an SQL engine that store/ writes against; sqlite.c is its first driver.
 * Statements keep to the subset that PostgreSQL takes as well: parameters are $1, $2, ... in order of their first
 * appearance, upserts are ON CONFLICT, tables have declared keys, nothing relies on row order without ORDER BY.
 * A connection belongs to one thread at a time: whoever shares one locks. I/O: disk.
 * Every failure is logged here, once, with the database's name; callers only see the rc:
 * RC_TEMP (busy too long, I/O, memory), RC_FULL, RC_CORRUPT, RC_EXISTS (a key is taken). */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/arena.h"

#define DB_BUSY_MS     10000 /* waits so long for another process's transaction */
#define DB_TXN_TRIES   5     /* how often a transaction that met a conflict is run again */
#define DB_STATEMENTS  128   /* prepared ones a connection can hold */
#define DB_PARAMS_MAX  32    /* of one statement */

struct db;
struct db_settings {
    const char *path;
    bool create;             /* else RC_NOTFOUND where there is no such database */
    unsigned page_bytes;     /* of a new database */
    unsigned cache_kib;
    unsigned checkpoint_kib; /* the log is folded into the database when it has grown to this */
    bool keep_log;           /* not at closing: a database that is opened often and changed little is spared the syncs */
};
enum rc db_open(const struct db_settings *set, struct db **out);
void db_close(struct db *db); /* accepts NULL */

struct db_value {
    enum { DB_NULL, DB_NUMBER, DB_TEXT, DB_BYTES } kind;
    int64_t number;
    struct view bytes; /* borrowed until the statement is done */
};
#define DB_N(i) ((struct db_value){DB_NUMBER, (int64_t)(i), {0}})
#define DB_T(v) ((struct db_value){DB_TEXT, 0, (v)})
#define DB_B(v) ((struct db_value){DB_BYTES, 0, (v)})

/* Statements are prepared once a connection and found again by the address of their text: use literals.
 * db_exec(db, sql, values...): no rows wanted.
 * db_query(db, &q, sql, values...): rows by db_next; db_done when leaving before the end.
 * db_first(db, &q, sql, values...): the first row; RC_NOTFOUND: none (nothing to be done then). */
struct db_query;
#define db_exec(db, ...)      db_exec_values((db), DB_SPLIT(__VA_ARGS__, {0}))
#define db_query(db, q, ...)  db_query_values((db), (q), DB_SPLIT(__VA_ARGS__, {0}))
#define db_first(db, q, ...)  db_first_values((db), (q), DB_SPLIT(__VA_ARGS__, {0}))
#define DB_SPLIT(sql, ...)                                                                                             \
    (sql), (const struct db_value[]){__VA_ARGS__}, sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value) - 1
enum rc db_exec_values(struct db *db, const char *sql, const struct db_value *v, size_t n);
enum rc db_query_values(struct db *db, struct db_query **q, const char *sql, const struct db_value *v, size_t n);
enum rc db_first_values(struct db *db, struct db_query **q, const char *sql, const struct db_value *v, size_t n);
/* RC_OK: stands on a row. RC_NOTFOUND: no more; the query is done then, as after any failure. */
enum rc db_next(struct db_query *q);
void db_done(struct db_query *q); /* accepts NULL and one that is done */
/* Columns from 0. Bytes are valid until the next db_next or db_done. */
int64_t db_number(struct db_query *q, int column);
struct view db_bytes(struct db_query *q, int column);
enum rc db_bytes_dup(struct db_query *q, int column, struct arena *a, struct view *out);
/* Rows that the last db_exec changed. */
int64_t db_changed(struct db *db);

/* Runs fn in a transaction that writes, and again from the start when it met a conflict: fn must not change anything
 * but its own results. Any rc but RC_OK rolls back and is returned. After RC_TEMP from the commit itself it is unknown
 * whether the change will be there after a crash. The change is seen by all when this returns, and durable after db_sync. */
typedef enum rc (*db_fn)(struct db *db, void *ctx);
enum rc db_txn(struct db *db, db_fn fn, void *ctx);
/* Runs fn in one consistent look that writes nothing. */
enum rc db_look(struct db *db, db_fn fn, void *ctx);
/* All that was committed before is on the disk. Another thread may be using the connection. */
enum rc db_sync(struct db *db);
/* Folds the log into the database file. */
enum rc db_checkpoint(struct db *db);
/* A durable copy as of now; replaces what is at path. */
enum rc db_copy(struct db *db, const char *path);

bool db_has_table(struct db *db, const char *name);
/* Runs one statement of a schema; not prepared for later. */
enum rc db_define(struct db *db, const char *sql);

#endif
