#include "app/ingest.h"

#include <stdlib.h>

#include "base/clock.h"
#include "message/summary.h"
#include "store/blob.h"

struct ingest {
    struct store *store;
    struct mailbox *mb;
    uint64_t folder; /* of the batch */
    struct new_item items[INGEST_BATCH];
    size_t n;
    uint64_t committed;
    struct arena arena; /* what the batch's items point to */
};

enum rc ingest_new(struct store *s, uint64_t account, struct ingest **out)
{
    struct ingest *in = calloc(1, sizeof *in);
    if (!in)
        return RC_TEMP;
    in->store = s;
    arena_init(&in->arena, (size_t)INGEST_BATCH * SUMMARY_ARENA_MAX);
    enum rc rc = mailbox_open(s, account, &in->mb);
    if (rc != RC_OK) {
        ingest_free(in);
        return rc;
    }
    *out = in;
    return RC_OK;
}

enum rc ingest_folder(struct ingest *in, struct view path, uint64_t *folder)
{
    struct folder found;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = mailbox_folder(in->mb, path, &a, &found);
    if (rc == RC_OK)
        *folder = found.id;
    else if (rc == RC_NOTFOUND)
        rc = mailbox_folder_create(in->mb, path, FOLDER_PLAIN, folder);
    arena_clear(&a);
    return rc;
}

static enum rc write_blob(struct ingest *in, struct view message, uint64_t *id)
{
    struct blob_writer *w = NULL;
    enum rc rc = blob_begin(in->store, mailbox_account(in->mb), &w);
    if (rc != RC_OK)
        return rc;
    rc = blob_append(w, message);
    if (rc == RC_OK)
        return blob_finish(w, id);
    blob_abort(w);
    return rc;
}

enum rc ingest_add(struct ingest *in, uint64_t folder, struct view message, uint32_t flags, struct view keywords, int64_t date)
{
    struct new_item item = {0};
    enum rc rc = RC_OK;

    if (message.n > UINT32_MAX)
        return RC_LIMIT;
    if (in->n == INGEST_BATCH || (in->n > 0 && in->folder != folder))
        rc = ingest_flush(in);
    if (rc == RC_OK)
        rc = mailbox_describe(message, &in->arena, &item);
    if (rc == RC_OK)
        rc = write_blob(in, message, &item.blob);
    if (rc == RC_OK)
        rc = view_dup(&in->arena, keywords, &item.keywords);
    if (rc != RC_OK)
        return rc;
    item.flags = flags & FLAGS_ALL;
    item.internaldate = date ? date : item.sent_date ? item.sent_date : clock_real_s();
    in->items[in->n++] = item;
    in->folder = folder;
    return RC_OK;
}

enum rc ingest_flush(struct ingest *in)
{
    struct born born[INGEST_BATCH];
    uint32_t uidvalidity;

    if (in->n == 0)
        return RC_OK;
    enum rc rc = blob_sync(in->store);
    if (rc == RC_OK)
        rc = mailbox_append(in->mb, in->folder, in->items, in->n, born, &uidvalidity);
    if (rc != RC_OK)
        return rc;
    in->committed += in->n;
    in->n = 0;
    arena_reset(&in->arena);
    return RC_OK;
}

uint64_t ingest_count(const struct ingest *in)
{
    return in->committed;
}

void ingest_free(struct ingest *in)
{
    if (!in)
        return;
    mailbox_close(in->mb);
    arena_clear(&in->arena);
    free(in);
}
