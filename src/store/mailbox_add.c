/* store/mailbox_add: new items, appended by clients or delivered by the queue. */
#include "store/bus.h"
#include "store/mailbox_internal.h"

#define REFERENCES_MAX 2000 /* bytes kept; the last ones name the nearest ancestors */

struct addition {
    uint64_t account;
    uint64_t folder; /* append */
    const struct new_item *items;
    const struct delivery *deliveries; /* else items */
    size_t n;
    struct born *born;
    uint32_t uidvalidity;
};

static enum rc insert_item(struct db *db, struct sequence *seq, uint64_t folder, uint32_t uid, const struct new_item *it,
                           struct born *born)
{
    struct arena a;
    struct view keywords = {0}, refs = it->references;
    enum rc rc = RC_OK;

    if (refs.n > REFERENCES_MAX)
        refs = view_from(refs, refs.n - REFERENCES_MAX);
    arena_init(&a, 2 * KEYWORDS_MAX * (KEYWORD_MAX + 1));
    if (it->keywords.n > 0)
        rc = keywords_normalise(it->keywords, &a, &keywords);
    if (rc == RC_OK)
        rc = sequence_log(db, seq, ROW_NEW, folder, 0, uid, it->source);
    *born = (struct born){.id = seq->seq, .uid = uid, .modseq = seq->seq};
    if (rc == RC_OK)
        rc = db_exec(db,
                     "INSERT INTO item (account, folder, uid, id, modseq, flags, keywords, internaldate, sent_date, blob, skip,"
                     " size, thread) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $4)",
                     DB_N(seq->account), DB_N(folder), DB_N(uid), DB_N(born->id), DB_N(it->flags & FLAGS_ALL), DB_T(keywords),
                     DB_N(it->internaldate), DB_N(it->sent_date), DB_N(it->blob), DB_N(it->skip), DB_N(it->size));
    if (rc == RC_OK)
        rc = db_exec(db,
                     "INSERT INTO summary (id, account, envelope, structure, parts, message_id, subject_base, refs)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                     DB_N(born->id), DB_N(seq->account), DB_B(it->envelope), DB_B(it->structure), DB_B(it->index),
                     DB_B(it->message_id), DB_B(it->subject_base), DB_B(refs));
    arena_clear(&a);
    return rc;
}

/* Was this source delivered before? Sources rise, so nearly always it is higher than any in the log; else the log is read
 * back to where it held no source that high. RC_NOTFOUND: it was not. */
static enum rc find_source(struct db *db, const struct sequence *seq, uint64_t source, struct born *born)
{
    struct db_query *q;

    if (source == 0 || source > seq->source_high)
        return RC_NOTFOUND;
    enum rc rc = db_query(db, &q, "SELECT source, source_high, seq, item, uid FROM change WHERE account = $1 ORDER BY seq DESC",
                          DB_N(seq->account));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if ((uint64_t)db_number(q, 0) == source) {
            *born = (struct born){(uint64_t)db_number(q, 3), (uint32_t)db_number(q, 4), (uint64_t)db_number(q, 2), true};
            break;
        }
        if ((uint64_t)db_number(q, 1) < source)
            rc = RC_NOTFOUND;
    }
    db_done(q);
    return rc;
}

static const struct new_item *item_at(const struct addition *x, size_t i)
{
    return x->deliveries ? &x->deliveries[i].item : &x->items[i];
}

static uint64_t folder_at(const struct addition *x, size_t i)
{
    if (!x->deliveries)
        return x->folder;
    return x->deliveries[i].folder ? x->deliveries[i].folder : FOLDER_INBOX;
}

/* Those from *i on that go into the same folder. */
static enum rc add_run(struct db *db, struct addition *x, struct sequence *seq, size_t *i)
{
    struct folder_delta d = {.folder = folder_at(x, *i)};
    uint32_t uid;
    enum rc rc = folder_read_uids(db, x->account, d.folder, &uid, &x->uidvalidity);

    for (; rc == RC_OK && *i < x->n && folder_at(x, *i) == d.folder; ++*i) {
        const struct new_item *it = item_at(x, *i);
        rc = find_source(db, seq, it->source, &x->born[*i]);
        if (rc != RC_NOTFOUND)
            continue;
        if (uid == UINT32_MAX)
            return RC_LIMIT;
        rc = insert_item(db, seq, d.folder, uid, it, &x->born[*i]);
        folder_delta_count(&d, it->flags, it->size, 1);
        d.uidnext = ++uid;
        d.modseq = seq->seq;
    }
    return rc == RC_OK ? folder_add_delta(db, x->account, &d) : rc;
}

static enum rc add_items(struct db *db, void *ctx)
{
    struct addition *x = ctx;
    struct sequence seq;
    enum rc rc = sequence_read(db, x->account, &seq);

    for (size_t i = 0; i < x->n && rc == RC_OK;)
        rc = add_run(db, x, &seq, &i);
    return rc;
}

enum rc mailbox_append(struct mailbox *mb, uint64_t folder, const struct new_item *items, size_t n, struct born *out,
                       uint32_t *uidvalidity)
{
    struct addition x = {.account = mb->account, .folder = folder, .items = items, .n = n, .born = out};

    if (n == 0)
        return RC_OK;
    enum rc rc = mailbox_txn_sync(mb, add_items, &x);
    *uidvalidity = x.uidvalidity;
    if (rc == RC_OK)
        bus_publish(mb->store, mb->account, folder);
    return rc;
}

enum rc mailbox_deliver(struct mailbox *mb, const struct delivery *d, size_t n, struct born *out)
{
    struct addition x = {.account = mb->account, .deliveries = d, .n = n, .born = out};

    if (n == 0)
        return RC_OK;
    enum rc rc = mailbox_txn(mb, add_items, &x);
    if (rc != RC_OK)
        return rc;
    mailbox_mark_dirty(mb); /* even when all were repeated: the sync after the first time may have failed */
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || folder_at(&x, i) != folder_at(&x, i - 1))
            bus_publish(mb->store, mb->account, folder_at(&x, i));
    }
    return RC_OK;
}
