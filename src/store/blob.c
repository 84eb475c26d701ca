#include "store/blob_internal.h"
#include "store/store_internal.h"

enum rc blobs_open(struct store *s, struct arena *a, struct blobs **out, const char **why)
{
    enum rc rc = blobs_open_at(s->data, s->node, s->segment_bytes, out);

    if (rc != RC_OK)
        *why = arena_printf(a, "cannot open the folder %s/blobs", s->data);
    return rc;
}

enum rc blob_begin(struct store *s, uint64_t owner, struct blob_writer **out)
{
    return blobs_begin(s->blobs, owner, out);
}

enum rc blob_sync(struct store *s)
{
    return blobs_sync(s->blobs);
}

enum rc blob_open(struct store *s, uint64_t id, bool check, struct blob *out)
{
    return blobs_get(s->blobs, id, check, out);
}
