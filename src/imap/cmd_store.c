/* STORE and UID STORE (RFC 3501 §6.4.6), UNCHANGEDSINCE (RFC 7162 §3.1.3). */
#include "imap/session.h"

#define STORE_BATCH 5000 /* messages in one transaction */

struct wanted {
    uint64_t unchangedsince;
    enum flags_mode mode;
    bool silent;
    struct imap_flags flags;
};

static enum rc parse_store(struct imap_session *s, struct view args, struct imap_seqset *set, struct wanted *w)
{
    enum rc rc = imap_take_sp(&args) ? imap_seqset_parse(&args, &s->arena, set) : RC_SYNTAX;

    if (rc != RC_OK)
        return rc;
    w->unchangedsince = UINT64_MAX;
    if (!imap_take_sp(&args))
        return RC_SYNTAX;
    if (view_itake(&args, VIEW("(UNCHANGEDSINCE "))) {
        if (view_u64(&args, INT64_MAX, &w->unchangedsince) != RC_OK || !view_take(&args, VIEW(") ")))
            return RC_SYNTAX;
    }
    w->mode = view_take_chr(&args, '+') ? FLAGS_ADD : view_take_chr(&args, '-') ? FLAGS_REMOVE : FLAGS_REPLACE;
    if (!view_itake(&args, VIEW("FLAGS")))
        return RC_SYNTAX;
    w->silent = view_itake(&args, VIEW(".SILENT"));
    rc = imap_take_sp(&args) ? imap_store_flags(&args, &s->arena, &w->flags) : RC_SYNTAX;
    return rc == RC_OK && args.n > 0 ? RC_SYNTAX : rc;
}

/* What the client is told of one message. */
static void tell(struct imap_session *s, const struct wanted *w, const struct flagged *f)
{
    uint32_t seq = seqmap_seq(s->sel.map, f->uid);

    if (!w->silent)
        imap_write_fetch_flags(s, seq, f->uid, f->flags, f->keywords, f->modseq);
    else if (s->condstore) /* RFC 7162 §3.1.3: the new MODSEQ even with .SILENT */
        conn_printf(s->conn, "* %u FETCH (UID %u MODSEQ (%llu))\r\n", seq, f->uid, (unsigned long long)f->modseq);
}

/* *modified: numbers for MODIFIED, as many as fit n. */
static enum rc store_batch(struct imap_session *s, const struct wanted *w, const uint32_t *uids, size_t n, struct arena *a,
                           uint32_t *modified, size_t *n_modified)
{
    struct flagged *done;
    size_t n_done;
    uint64_t lo = UINT64_MAX, hi = 0;
    enum rc rc = mailbox_flag(s->mb, s->sel.id, uids, n, w->mode, w->flags.flags, w->flags.keywords, w->unchangedsince, a,
                              &done, &n_done);

    for (size_t i = 0; rc == RC_OK && i < n_done; i++) {
        if (done[i].modified) {
            modified[(*n_modified)++] = s->uid ? done[i].uid : seqmap_seq(s->sel.map, done[i].uid);
            continue;
        }
        tell(s, w, &done[i]);
        if (done[i].changed) {
            lo = done[i].modseq < lo ? done[i].modseq : lo;
            hi = done[i].modseq > hi ? done[i].modseq : hi;
        }
    }
    if (hi > 0)
        imap_note_own(s, lo, hi);
    return rc;
}

static enum rc store_all(struct imap_session *s, const struct wanted *w, const uint32_t *uids, size_t n, uint32_t *modified,
                         size_t *n_modified)
{
    struct arena a;
    enum rc rc = RC_OK;

    arena_init(&a, IMAP_ARENA_MAX);
    for (size_t i = 0; rc == RC_OK && i < n; i += STORE_BATCH) {
        size_t step = n - i < STORE_BATCH ? n - i : STORE_BATCH;
        rc = store_batch(s, w, uids + i, step, &a, modified, n_modified);
        arena_reset(&a);
    }
    arena_clear(&a);
    return rc;
}

static enum rc answer(struct imap_session *s, const uint32_t *modified, size_t n_modified)
{
    struct buf text;
    enum rc rc;

    if (n_modified == 0)
        return imap_ok(s, "Done");
    buf_init(&text, 64 + 12 * n_modified);
    buf_str(&text, "[MODIFIED ");
    imap_seqset_write(&text, modified, n_modified);
    buf_str(&text, "] Not all of it: some have changed");
    buf_chr(&text, 0);
    rc = buf_rc(&text) == RC_OK ? imap_ok(s, text.p) : RC_TEMP;
    buf_clear(&text);
    return rc;
}

enum rc imap_cmd_store(struct imap_session *s, struct view args)
{
    struct imap_seqset set;
    struct wanted w = {0};
    uint32_t *uids, *modified;
    size_t n, n_modified = 0;
    uint64_t modseq;
    enum rc rc = parse_store(s, args, &set, &w);

    if (rc == RC_SYNTAX)
        return imap_bad(s, "STORE numbers FLAGS (flags)");
    if (rc == RC_OK && s->sel.read_only)
        return imap_no(s, "[READ-ONLY] The mailbox is selected for reading only");
    if (rc == RC_OK && imap_uid_ranges(s, &set) != RC_OK)
        return imap_bad(s, "There is no message with such a number");
    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc == RC_OK)
        rc = imap_uid_list(s, &set, &uids, &n);
    if (rc == RC_OK && !(modified = arena_new_array(&s->arena, n, uint32_t)))
        rc = RC_TEMP;
    if (rc != RC_OK)
        return imap_no_rc(s, rc);
    s->condstore |= w.unchangedsince != UINT64_MAX;
    /* Others' changes that the client has not heard of would hide behind our modseq: then it must see the result. */
    if (w.silent && mailbox_folder_modseq(s->mb, s->sel.id, &modseq) == RC_OK && modseq != seqmap_modseq(s->sel.map))
        w.silent = false;
    rc = store_all(s, &w, uids, n, modified, &n_modified);
    if (rc != RC_OK)
        return imap_no_rc(s, rc);
    return answer(s, modified, n_modified);
}
