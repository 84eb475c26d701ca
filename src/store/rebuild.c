#include "store/rebuild.h"

#include "store/blob_internal.h"

enum rc rebuild_copy(struct store *to, uint64_t account, struct view body, int64_t time_s, uint64_t *blob)
{
    struct blob_writer *w;
    enum rc rc = blob_begin(to, account, &w);

    if (rc != RC_OK)
        return rc;
    if (time_s > 0)
        blob_set_time(w, time_s);
    (void)blob_append(w, body); /* blob_finish tells of its failure */
    return blob_finish(w, blob);
}

enum rc rebuild_folder(struct mailbox *mb, struct view path, enum folder_role role, struct arena *a, uint64_t *id)
{
    struct folder f;
    enum rc rc = mailbox_folder(mb, path, a, &f);

    if (rc == RC_OK) {
        *id = f.id;
        return RC_OK;
    }
    if (rc != RC_NOTFOUND)
        return rc;
    rc = mailbox_folder_create(mb, path, role, id);
    if (rc == RC_EXISTS && role != FOLDER_PLAIN) /* another folder has the role */
        rc = mailbox_folder_create(mb, path, FOLDER_PLAIN, id);
    return rc;
}
