/* store/mailbox_item: reading items. */
#include <stdlib.h>

#include "store/mailbox_internal.h"

struct item_question {
    uint64_t account, folder, since;
    uint32_t from, to;
    unsigned columns;
    size_t max;
    struct arena *a;
    struct folder *f;
    struct item *out;
    size_t n;
    uint32_t *uids; /* malloc */
    uint64_t *blobs; /* malloc */
    size_t room;
};

static enum rc look_at_uids(struct db *db, void *ctx)
{
    struct item_question *x = ctx;
    struct db_query *q;
    enum rc rc = folder_read(db, x->account, x->folder, x->a, x->f);

    if (rc != RC_OK || x->f->exists == 0)
        return rc;
    x->uids = calloc(x->f->exists, sizeof *x->uids);
    if (!x->uids)
        return RC_TEMP;
    rc = db_query(db, &q, "SELECT uid FROM item WHERE account = $1 AND folder = $2 AND state = 0 AND is_associated = 0"
                          " ORDER BY uid", DB_N(x->account), DB_N(x->folder));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (x->n == x->f->exists)
            rc = RC_CORRUPT; /* the counters are part of each transaction */
        else
            x->uids[x->n++] = (uint32_t)db_number(q, 0);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? x->n == x->f->exists ? RC_OK : RC_CORRUPT : rc;
}

enum rc mailbox_uids(struct mailbox *mb, uint64_t folder, struct arena *a, struct folder *out, uint32_t **uids, size_t *n)
{
    struct item_question x = {.account = mb->account, .folder = folder, .a = a, .f = out};
    enum rc rc = mailbox_look(mb, look_at_uids, &x);

    if (rc != RC_OK) {
        free(x.uids);
        x.uids = NULL;
        x.n = 0;
    }
    *uids = x.uids;
    *n = x.n;
    return rc;
}

static enum rc read_summary(struct db *db, const struct item_question *x, struct item *it)
{
    struct {
        unsigned wanted;
        struct view *to;
    } columns[] = {{ITEM_ENVELOPE, &it->envelope},
                   {ITEM_STRUCTURE, &it->structure},
                   {ITEM_INDEX, &it->index},
                   {ITEM_THREADING, &it->message_id},
                   {ITEM_THREADING, &it->subject_base}};
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT envelope, structure, parts, message_id, subject_base FROM summary"
                                  " WHERE id = $1 AND account = $2", DB_N(it->id), DB_N(x->account));

    for (int i = 0; i < 5 && rc == RC_OK; i++) {
        if (x->columns & columns[i].wanted)
            rc = db_bytes_dup(q, i, x->a, columns[i].to);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
}

static enum rc take_item(struct db *db, struct db_query *q, struct item_question *x)
{
    struct item *it = &x->out[x->n++];

    *it = (struct item){.folder = x->folder,
                        .id = (uint64_t)db_number(q, 0),
                        .uid = (uint32_t)db_number(q, 1),
                        .modseq = (uint64_t)db_number(q, 2),
                        .flags = (uint32_t)db_number(q, 3),
                        .internaldate = db_number(q, 5),
                        .sent_date = db_number(q, 6),
                        .blob = (uint64_t)db_number(q, 7),
                        .skip = (uint32_t)db_number(q, 8),
                        .size = (uint32_t)db_number(q, 9),
                        .thread = (uint64_t)db_number(q, 10)};
    enum rc rc = db_bytes_dup(q, 4, x->a, &it->keywords);
    return rc == RC_OK && x->columns != ITEM_FLAGS ? read_summary(db, x, it) : rc;
}

static enum rc look_at_items(struct db *db, void *ctx)
{
    struct item_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q,
                          "SELECT id, uid, modseq, flags, keywords, internaldate, sent_date, blob, skip, size, thread FROM item"
                          " WHERE account = $1 AND folder = $2 AND uid >= $3 AND uid <= $4 AND modseq > $5 AND state = 0"
                          " AND is_associated = 0 ORDER BY uid LIMIT $6",
                          DB_N(x->account), DB_N(x->folder), DB_N(x->from), DB_N(x->to), DB_N(x->since), DB_N(x->max));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (x->n == x->room) {
            size_t room = x->room ? 2 * x->room : x->max < 16 ? x->max : 16;
            struct item *more = arena_new_array(x->a, room, struct item);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            if (x->n > 0)
                memcpy(more, x->out, x->n * sizeof *more);
            x->out = more;
            x->room = room;
        }
        rc = take_item(db, q, x);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailbox_items(struct mailbox *mb, uint64_t folder, uint32_t from, uint32_t to, uint64_t since, unsigned columns,
                      size_t max, struct arena *a, struct item **out, size_t *n)
{
    struct item_question x = {.account = mb->account, .folder = folder, .since = since, .from = from, .to = to,
                              .columns = columns, .max = max, .a = a};
    enum rc rc = max > 0 ? mailbox_look(mb, look_at_items, &x) : RC_OK;

    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

enum rc mailbox_item(struct mailbox *mb, uint64_t folder, uint32_t uid, unsigned columns, struct arena *a, struct item *out)
{
    struct item *one;
    size_t n;
    enum rc rc = mailbox_items(mb, folder, uid, uid, 0, columns, 1, a, &one, &n);

    if (rc == RC_OK && n == 0)
        return RC_NOTFOUND;
    if (rc == RC_OK)
        *out = *one;
    return rc;
}

static enum rc look_at_blobs(struct db *db, void *ctx)
{
    struct item_question *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT DISTINCT blob FROM item WHERE account = $1 ORDER BY blob", DB_N(x->account));

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (x->n == x->room) {
            size_t room = x->room ? 2 * x->room : 256;
            uint64_t *more = reallocarray(x->blobs, room, sizeof *more);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            x->blobs = more;
            x->room = room;
        }
        x->blobs[x->n++] = (uint64_t)db_number(q, 0);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc mailbox_blobs(struct mailbox *mb, uint64_t **out, size_t *n)
{
    struct item_question x = {.account = mb->account};
    enum rc rc = mailbox_look(mb, look_at_blobs, &x);

    if (rc != RC_OK) {
        free(x.blobs);
        x.blobs = NULL;
        x.n = 0;
    }
    *out = x.blobs;
    *n = x.n;
    return rc;
}
