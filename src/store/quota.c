#include "store/quota.h"

#include "store/directory.h"

static enum rc sum_folders(struct store *s, uint64_t account, struct arena *a, uint64_t *bytes)
{
    struct mailbox *mb = NULL;
    struct folder *folders;
    size_t n = 0;
    enum rc rc = mailbox_open(s, account, &mb);
    if (rc == RC_OK)
        rc = mailbox_folders(mb, a, &folders, &n);
    *bytes = 0;
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        *bytes += folders[i].bytes;
    mailbox_close(mb);
    return rc;
}

enum rc quota_room(struct store *s, uint64_t account, uint64_t *room)
{
    struct directory_account who;
    struct arena a;
    uint64_t used;

    *room = QUOTA_NONE;
    arena_init(&a, 16u << 20);
    enum rc rc = directory_account_by_id(s, account, &a, &who);
    if (rc == RC_OK && who.quota > 0 && (rc = sum_folders(s, account, &a, &used)) == RC_OK)
        *room = used < who.quota ? who.quota - used : 0;
    arena_clear(&a);
    return rc;
}
