/* store/backup_internal: what making and restoring share. */
#ifndef STORE_BACKUP_INTERNAL_H
#define STORE_BACKUP_INTERNAL_H

#include "store/backup.h"
#include "store/blob_internal.h"

bool backup_is_one(const char *dir);
bool backup_is_empty(const char *dir); /* or missing */
enum rc backup_sync_folder(const char *path);
enum rc backup_make_folder(const char *path); /* RC_OK also where it is there */
/* Bytes from `at` on, and of a segment its head last; durable. The copy gets the length of the original. */
enum rc backup_copy_file(int from_dir, const char *from, int to_dir, const char *to, uint64_t at, uint64_t *copied);

#endif
