/* app/ingest: messages from files into a mailbox, many in one transaction. Single-threaded; the caller is the store's user. */
#ifndef APP_INGEST_H
#define APP_INGEST_H

#include "store/mailbox.h"

#define INGEST_BATCH 200 /* messages a transaction */

struct ingest;
enum rc ingest_new(struct store *s, uint64_t account, struct ingest **out);
/* The folder of that path, made where it is missing. */
enum rc ingest_folder(struct ingest *in, struct view path, uint64_t *folder);
/* Queues one message (copied); commits when a batch is full or the folder changes. date 0: that of its Date field, else now. */
enum rc ingest_add(struct ingest *in, uint64_t folder, struct view message, uint32_t flags, struct view keywords, int64_t date);
/* Commits what waits. RC_OK: all that was added is durable. */
enum rc ingest_flush(struct ingest *in);
uint64_t ingest_count(const struct ingest *in); /* committed messages */
void ingest_free(struct ingest *in);            /* what is not committed is dropped; accepts NULL */

#endif
