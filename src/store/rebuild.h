/* store/rebuild: a message that is put into a mailbox from a blob alone (restore, salvage). Works on the store; any thread. */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include "store/mailbox.h"

/* Writes a blob for this account; durable after blob_sync. time_s: the date that its record bears. */
enum rc rebuild_copy(struct store *to, uint64_t account, struct view body, int64_t time_s, uint64_t *blob);
/* The folder of this path, made if it is missing. */
enum rc rebuild_folder(struct mailbox *mb, struct view path, enum folder_role role, struct arena *a, uint64_t *id);

#endif
