/* store/quota: how much room a mailbox has left. Blocks on the disk. Any thread. */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H

#include "store/mailbox.h"

#define QUOTA_NONE UINT64_MAX

/* Bytes that still fit; QUOTA_NONE: the account has no quota (then nothing of its mailbox is looked at). */
enum rc quota_room(struct store *s, uint64_t account, uint64_t *room);

#endif
