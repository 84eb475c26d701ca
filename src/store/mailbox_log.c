/* store/mailbox_log: the account's one sequence and its change log. */
#include <stdlib.h>

#include "store/mailbox_internal.h"

#define TRIM_SLACK 20000 /* trimmed when so many more than MAILBOX_LOG_KEEP may have gathered */

/* --- writing --- */

enum rc sequence_read(struct db *db, uint64_t account, struct sequence *s)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT seq, source_high FROM change WHERE account = $1 ORDER BY seq DESC LIMIT 1",
                          DB_N(account));

    s->account = account;
    if (rc == RC_OK) {
        s->seq = (uint64_t)db_number(q, 0);
        s->source_high = (uint64_t)db_number(q, 1);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_CORRUPT : rc; /* the first entry is as old as the account, the last is never trimmed */
}

enum rc sequence_log(struct db *db, struct sequence *s, enum change_row kind, uint64_t folder, uint64_t item, uint32_t uid,
                     uint64_t source)
{
    s->seq++;
    if (source > s->source_high)
        s->source_high = source;
    return db_exec(db,
                   "INSERT INTO change (account, seq, folder, item, uid, kind, source, source_high)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                   DB_N(s->account), DB_N(s->seq), DB_N(folder), DB_N(item ? item : s->seq), DB_N(uid), DB_N(kind),
                   DB_N(source), DB_N(s->source_high));
}

/* --- trimming --- */

struct trim {
    uint64_t account, queue_oldest;
};

/* Entries of vanished items stay (RFC 7162 §3.2.5.2 asks what has gone since any time), and so does every entry from the
 * first on whose source a waiting recipient could still be. */
static enum rc trim_log(struct db *db, void *ctx)
{
    const struct trim *t = ctx;
    struct sequence seq;
    struct db_query *q;
    enum rc rc = sequence_read(db, t->account, &seq);

    if (rc != RC_OK || seq.seq < MAILBOX_LOG_KEEP + TRIM_SLACK)
        return rc;
    uint64_t from = seq.seq - MAILBOX_LOG_KEEP;
    rc = db_first(db, &q, "SELECT log_from FROM mailbox WHERE account = $1", DB_N(t->account));
    if (rc != RC_OK)
        return rc;
    uint64_t log_from = (uint64_t)db_number(q, 0);
    db_done(q);
    if (from < log_from + TRIM_SLACK)
        return RC_OK;
    from = log_from + TRIM_SLACK; /* a bounded piece; the next call goes on */
    rc = db_first(db, &q, "SELECT source_high FROM change WHERE account = $1 AND seq < $2 ORDER BY seq DESC LIMIT 1",
                  DB_N(t->account), DB_N(from));
    uint64_t high = rc == RC_OK ? (uint64_t)db_number(q, 0) : 0;
    db_done(q);
    if ((rc != RC_OK && rc != RC_NOTFOUND) || high >= t->queue_oldest)
        return rc;
    rc = db_exec(db, "DELETE FROM change WHERE account = $1 AND seq >= $2 AND seq < $3 AND kind <> $4", DB_N(t->account),
                 DB_N(log_from), DB_N(from), DB_N(ROW_GONE));
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE mailbox SET log_from = $1 WHERE account = $2", DB_N(from), DB_N(t->account));
    return rc;
}

enum rc mailbox_trim(struct mailbox *mb, uint64_t queue_oldest)
{
    struct trim t = {mb->account, queue_oldest};
    struct sequence seq = {0};
    enum rc rc = RC_OK;

    pthread_mutex_lock(&mb->mutex);
    if (mb->db)
        rc = sequence_read(mb->db, mb->account, &seq);
    if (rc == RC_OK && seq.seq >= MAILBOX_LOG_KEEP + TRIM_SLACK) /* most never need a transaction */
        rc = db_txn(mb->db, trim_log, &t);
    pthread_mutex_unlock(&mb->mutex);
    return rc;
}

/* --- reading --- */

struct entry {
    uint64_t seq;
    uint32_t uid;
    uint8_t kind;
    bool born; /* an earlier entry in the list is of its birth */
};

struct log_question {
    uint64_t account, folder, since;
    struct arena *a;
    struct entry *entries; /* malloc */
    size_t n, room;
    struct change *changes;
    size_t n_changes;
    uint32_t *uids;
    uint64_t modseq;
};

static enum rc add_entry(struct log_question *x, struct db_query *q)
{
    if (x->n == x->room) {
        size_t room = x->room ? 2 * x->room : 64;
        struct entry *more = reallocarray(x->entries, room, sizeof *more);
        if (!more)
            return RC_TEMP;
        x->entries = more;
        x->room = room;
    }
    x->entries[x->n++] = (struct entry){(uint64_t)db_number(q, 0), (uint32_t)db_number(q, 1), (uint8_t)db_number(q, 2), false};
    return RC_OK;
}

static int by_uid(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_seq(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The last word on each UID, by rising seq; what was born and gone since is nobody's business. */
static void keep_last(struct log_question *x)
{
    size_t n = 0;

    if (x->n == 0)
        return;
    qsort(x->entries, x->n, sizeof *x->entries, by_uid);
    for (size_t i = 0; i < x->n; i++) {
        struct entry *e = &x->entries[i];
        if (e->kind == ROW_NEW)
            e->born = true;
        if (i + 1 < x->n && x->entries[i + 1].uid == e->uid) {
            x->entries[i + 1].born |= e->born;
            continue;
        }
        if (!(e->born && e->kind == ROW_GONE))
            x->entries[n++] = *e;
    }
    x->n = n;
    qsort(x->entries, n, sizeof *x->entries, by_seq);
}

static enum rc read_modseq(struct db *db, struct log_question *x)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT modseq FROM folder WHERE account = $1 AND id = $2", DB_N(x->account), DB_N(x->folder));

    if (rc == RC_OK)
        x->modseq = (uint64_t)db_number(q, 0);
    db_done(q);
    return rc;
}

static enum rc fill_change(struct db *db, struct log_question *x, const struct entry *e)
{
    struct change *c = &x->changes[x->n_changes++];
    struct db_query *q;

    *c = (struct change){.seq = e->seq,
                         .uid = e->uid,
                         .kind = e->kind == ROW_GONE ? CHANGE_GONE : e->born ? CHANGE_NEW : CHANGE_FLAGS};
    if (c->kind == CHANGE_GONE)
        return RC_OK;
    enum rc rc = db_first(db, &q, "SELECT flags, keywords FROM item WHERE account = $1 AND folder = $2 AND uid = $3",
                          DB_N(x->account), DB_N(x->folder), DB_N(e->uid));
    if (rc == RC_OK) {
        c->flags = (uint32_t)db_number(q, 0);
        rc = db_bytes_dup(q, 1, x->a, &c->keywords);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
}

static enum rc look_at_changes(struct db *db, void *ctx)
{
    struct log_question *x = ctx;
    struct db_query *q;
    enum rc rc = read_modseq(db, x);

    if (rc != RC_OK || x->modseq <= x->since)
        return rc;
    rc = db_first(db, &q, "SELECT log_from FROM mailbox WHERE account = $1", DB_N(x->account));
    if (rc == RC_OK && x->since + 1 < (uint64_t)db_number(q, 0))
        rc = RC_LIMIT;
    db_done(q);
    if (rc != RC_OK)
        return rc;
    rc = db_query(db, &q, "SELECT seq, uid, kind FROM change WHERE account = $1 AND seq > $2 AND folder = $3 AND kind <= $4"
                          " ORDER BY seq", DB_N(x->account), DB_N(x->since), DB_N(x->folder), DB_N(ROW_GONE));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = add_entry(x, q);
    db_done(q);
    if (rc != RC_NOTFOUND)
        return rc;
    keep_last(x);
    x->changes = arena_new_array(x->a, x->n, struct change);
    rc = x->changes ? RC_OK : RC_TEMP;
    for (size_t i = 0; i < x->n && rc == RC_OK; i++)
        rc = fill_change(db, x, &x->entries[i]);
    return rc;
}

enum rc mailbox_changes(struct mailbox *mb, uint64_t folder, uint64_t since, struct arena *a, struct change **out, size_t *n,
                        uint64_t *modseq)
{
    struct log_question x = {.account = mb->account, .folder = folder, .since = since, .a = a};
    enum rc rc = mailbox_look(mb, look_at_changes, &x);

    free(x.entries);
    *out = x.changes;
    *n = rc == RC_OK ? x.n_changes : 0;
    *modseq = x.modseq;
    return rc;
}

static enum rc look_at_modseq(struct db *db, void *ctx)
{
    return read_modseq(db, ctx);
}

enum rc mailbox_folder_modseq(struct mailbox *mb, uint64_t folder, uint64_t *modseq)
{
    struct log_question x = {.account = mb->account, .folder = folder};
    enum rc rc = mailbox_look(mb, look_at_modseq, &x);

    *modseq = x.modseq;
    return rc;
}

static enum rc look_at_vanished(struct db *db, void *ctx)
{
    struct log_question *x = ctx;
    struct db_query *q;
    enum rc rc = read_modseq(db, x);

    if (rc != RC_OK || x->modseq <= x->since)
        return rc;
    rc = db_query(db, &q, "SELECT seq, uid, kind FROM change WHERE account = $1 AND seq > $2 AND folder = $3 AND kind = $4",
                  DB_N(x->account), DB_N(x->since), DB_N(x->folder), DB_N(ROW_GONE));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = add_entry(x, q);
    db_done(q);
    if (rc != RC_NOTFOUND)
        return rc;
    if (x->n > 0)
        qsort(x->entries, x->n, sizeof *x->entries, by_uid);
    x->uids = arena_new_array(x->a, x->n, uint32_t);
    for (size_t i = 0; i < x->n && x->uids; i++)
        x->uids[i] = x->entries[i].uid;
    return x->uids ? RC_OK : RC_TEMP;
}

enum rc mailbox_vanished(struct mailbox *mb, uint64_t folder, uint64_t since, struct arena *a, uint32_t **uids, size_t *n)
{
    struct log_question x = {.account = mb->account, .folder = folder, .since = since, .a = a};
    enum rc rc = mailbox_look(mb, look_at_vanished, &x);

    free(x.entries);
    *uids = x.uids;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}
