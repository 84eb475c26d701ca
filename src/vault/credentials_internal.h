/* vault/credentials_internal: the connection that credentials.c, app_passwords.c and second_factor.c share. */
#ifndef VAULT_CREDENTIALS_INTERNAL_H
#define VAULT_CREDENTIALS_INTERNAL_H

#include <pthread.h>

#include "vault/credentials.h"
#include "vault/vault_db.h"

struct credentials {
    pthread_mutex_t lock; /* guards the connection and its statements */
    sqlite3 *db;
    sqlite3_stmt *get, *set, *remove;
    uint8_t secret[32];
};

/* With the lock held: a statement for once. NULL: logged. */
sqlite3_stmt *credentials_prepare(struct credentials *c, const char *sql);
/* Runs it to its end and finalises it; *changed (may be NULL) is how many rows it changed. */
enum rc credentials_run(struct credentials *c, sqlite3_stmt *st, const char *doing, int *changed);
/* A column that must have n bytes. */
bool credentials_blob(sqlite3_stmt *st, int column, void *out, size_t n);

#endif
