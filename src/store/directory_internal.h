/* store/directory_internal: what the files of the directory share. */
#ifndef STORE_DIRECTORY_INTERNAL_H
#define STORE_DIRECTORY_INTERNAL_H

#include <pthread.h>

#include "store/db.h"
#include "store/directory.h"

struct directory {
    pthread_mutex_t mutex; /* guards db */
    struct db *db;
};

/* One look at / one transaction on facteur.db, under the mutex. Changes are durable on RC_OK. */
enum rc directory_look(struct store *s, db_fn fn, void *ctx);
enum rc directory_txn(struct store *s, db_fn fn, void *ctx);

/* At the last '@'. RC_SYNTAX: there is none. */
enum rc address_split(struct view address, struct view *local, struct view *domain);
/* A-label, lower-case. */
enum rc address_put_domain(struct view domain, struct buf *out);
/* A foreign local part stays as written: only its own host may say what it means (RFC 5321 §2.4). */
enum rc address_normalise_target(struct view target, struct arena *a, struct view *out);

/* session.c: the account's sessions on the pages but `except` (0: all), and its links. */
enum rc directory_end_sessions(struct db *db, uint64_t account, uint64_t except);
/* app_password.c: of mail clients, by the own password. */
enum rc directory_end_logins(struct db *db, uint64_t account);
enum rc directory_domain_is_ours(struct db *db, struct view domain, bool *out);
/* The keys of a domain that is no longer ours; their selectors stay used. */
enum rc directory_dkim_leave(struct db *db, struct view domain);
enum rc directory_read_account(struct db *db, struct view address, struct arena *a, struct directory_account *out);

#endif
