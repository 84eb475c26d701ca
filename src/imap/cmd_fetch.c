/* FETCH and UID FETCH. Rows come from the store in batches, answers go out between them: no transaction waits for the
 * peer. A blob is mapped only for what the row does not hold. */
#include "imap/fetch.h"
#include "imap/session.h"
#include "message/date.h"
#include "message/summary.h"
#include "store/blob.h"

#define SCRATCH_MAX (256u << 20) /* a decoded part */

struct job {
    struct imap_session *s;
    struct fetch want;
    unsigned columns;
    bool sets_seen;   /* some section without PEEK, in a mailbox that may change */
    bool has_flags;   /* FLAGS asked for */
    bool add_uid;     /* UID FETCH says UID whatever is asked for */
    bool damaged, unknown_encoding;
    struct buf text;  /* pieces of one answer, decoded sections */
};

static void plan(struct job *j)
{
    for (size_t i = 0; i < j->want.n; i++) {
        const struct fetch_item *it = &j->want.items[i];
        switch (it->kind) {
        case FETCH_ENVELOPE:
            j->columns |= ITEM_ENVELOPE;
            break;
        case FETCH_BODY:
        case FETCH_BODYSTRUCTURE:
            j->columns |= ITEM_STRUCTURE;
            break;
        case FETCH_SECTION:
        case FETCH_BINARY:
        case FETCH_BINARY_SIZE:
            if (it->part.n > 0 || it->what != WHAT_ALL)
                j->columns |= ITEM_INDEX;
            j->sets_seen |= !it->peek && !j->s->sel.read_only;
            break;
        case FETCH_UID:
            j->add_uid = false;
            break;
        case FETCH_FLAGS:
            j->has_flags = true;
            break;
        default:
            break;
        }
    }
}

/* \Seen for those of the batch that lack it, in one transaction; items[] and flagged[] tell the new state. */
static enum rc set_seen(struct job *j, struct arena *a, struct item *items, bool *flagged, size_t n)
{
    struct imap_session *s = j->s;
    uint32_t *uids = arena_new_array(a, n, uint32_t);
    struct flagged *done;
    size_t n_uids = 0, n_done, k = 0;
    uint64_t lo = UINT64_MAX, hi = 0;
    enum rc rc;

    if (!uids)
        return RC_TEMP;
    for (size_t i = 0; i < n; i++) {
        if (!(items[i].flags & FLAG_SEEN) && seqmap_seq(s->sel.map, items[i].uid) > 0)
            uids[n_uids++] = items[i].uid;
    }
    if (n_uids == 0)
        return RC_OK;
    rc = mailbox_flag(s->mb, s->sel.id, uids, n_uids, FLAGS_ADD, FLAG_SEEN, VIEW(""), UINT64_MAX, a, &done, &n_done);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < n_done; i++) {
        while (k < n && items[k].uid < done[i].uid)
            k++;
        if (k == n || items[k].uid != done[i].uid)
            continue;
        items[k].flags = done[i].flags;
        items[k].keywords = done[i].keywords;
        items[k].modseq = done[i].modseq;
        flagged[k] = true;
        if (done[i].changed) {
            lo = done[i].modseq < lo ? done[i].modseq : lo;
            hi = done[i].modseq > hi ? done[i].modseq : hi;
        }
    }
    if (hi > 0)
        imap_note_own(s, lo, hi);
    return RC_OK;
}

/* --- one answer --- */

static void write_literal(struct conn *c, struct view v, bool binary)
{
    bool has_nul = binary && view_chr(v, 0) != VIEW_NONE;

    conn_printf(c, has_nul ? "~{%zu}\r\n" : "{%zu}\r\n", v.n); /* RFC 3516 §4.2 */
    conn_write(c, v);
}

/* The message's bytes, mapped at first need. */
struct body {
    struct blob blob;
    bool open, failed;
    struct view message;
};

static bool open_body(struct job *j, const struct item *it, struct body *b)
{
    if (b->open || b->failed)
        return b->open;
    enum rc rc = blob_open(j->s->server->store, it->blob, false, &b->blob);
    if (rc == RC_OK && b->blob.bytes.n < (uint64_t)it->skip + it->size) {
        blob_close(&b->blob);
        rc = RC_CORRUPT;
    }
    b->open = rc == RC_OK;
    b->failed = !b->open;
    if (b->open)
        b->message = view_slice(b->blob.bytes, it->skip, it->size);
    else
        j->damaged = true;
    return b->open;
}

static void write_section(struct job *j, const struct item *it, const struct fetch_item *want, struct body *b)
{
    struct conn *c = j->s->conn;
    struct view bytes;
    enum rc rc = RC_TEMP;

    conn_write(c, want->label);
    buf_reset(&j->text);
    if (open_body(j, it, b))
        rc = imap_section_get(want, b->message, it->index, &j->text, &bytes);
    if (rc == RC_OK && want->kind == FETCH_BINARY_SIZE)
        conn_printf(c, " %zu", bytes.n);
    else if (rc == RC_OK) {
        conn_write(c, VIEW(" "));
        write_literal(c, bytes, want->kind == FETCH_BINARY);
    } else if (want->kind == FETCH_BINARY_SIZE) {
        conn_write(c, VIEW(" 0"));
    } else {
        conn_write(c, VIEW(" NIL"));
    }
    j->unknown_encoding |= rc == RC_DENIED;
    j->damaged |= rc == RC_CORRUPT || rc == RC_LIMIT;
}

static void write_value(struct job *j, const struct item *it, const struct fetch_item *want, struct body *b)
{
    struct imap_session *s = j->s;
    struct buf *t = &j->text;

    buf_reset(t);
    switch (want->kind) {
    case FETCH_UID:
        buf_str(t, "UID ");
        buf_u64(t, it->uid);
        break;
    case FETCH_FLAGS:
        buf_str(t, "FLAGS ");
        imap_write_flags(it->flags, it->keywords, it->uid >= s->sel.recent_from, t);
        break;
    case FETCH_INTERNALDATE:
        buf_str(t, "INTERNALDATE \"");
        date_write_internal((struct date){.utc = it->internaldate}, t);
        buf_chr(t, '"');
        break;
    case FETCH_SIZE:
        buf_str(t, "RFC822.SIZE ");
        buf_u64(t, it->size);
        break;
    case FETCH_MODSEQ:
        buf_printf(t, "MODSEQ (%llu)", (unsigned long long)it->modseq);
        break;
    case FETCH_ENVELOPE:
        buf_str(t, "ENVELOPE ");
        buf_add(t, it->envelope);
        break;
    case FETCH_BODYSTRUCTURE:
        buf_str(t, "BODYSTRUCTURE ");
        buf_add(t, it->structure);
        break;
    case FETCH_BODY:
        buf_str(t, "BODY ");
        if (summary_body_from_structure(it->structure, t) != RC_OK) {
            buf_reset(t);
            buf_str(t, "BODY NIL");
            j->damaged = true;
        }
        break;
    default:
        write_section(j, it, want, b);
        return;
    }
    conn_write(s->conn, buf_view(t));
}

static void write_item(struct job *j, const struct item *it, uint32_t seq, bool flagged)
{
    static const struct fetch_item uid = {.kind = FETCH_UID}, flags = {.kind = FETCH_FLAGS}, modseq = {.kind = FETCH_MODSEQ};
    struct conn *c = j->s->conn;
    struct body body = {0};
    bool has_modseq = false;

    conn_printf(c, "* %u FETCH (", seq);
    if (j->add_uid) {
        write_value(j, it, &uid, &body);
        conn_write(c, VIEW(" "));
    }
    for (size_t i = 0; i < j->want.n; i++) {
        if (i > 0)
            conn_write(c, VIEW(" "));
        write_value(j, it, &j->want.items[i], &body);
        has_modseq |= j->want.items[i].kind == FETCH_MODSEQ;
    }
    if (flagged && !j->has_flags) {
        conn_write(c, VIEW(" "));
        write_value(j, it, &flags, &body);
    }
    /* RFC 7162 §3.1.4.1: CHANGEDSINCE asks for it; §3.1: so does every change that we tell of */
    if (!has_modseq && (j->want.has_changedsince || (flagged && j->s->condstore))) {
        conn_write(c, VIEW(" "));
        write_value(j, it, &modseq, &body);
    }
    conn_write(c, VIEW(")\r\n"));
    blob_close(&body.blob);
}

static enum rc fetch_batch(struct job *j, struct arena *a, const struct imap_seqset *set, struct item *items, size_t n)
{
    bool *flagged = arena_new_array(a, n, bool);
    enum rc rc = flagged ? RC_OK : RC_TEMP;

    if (rc == RC_OK && j->sets_seen)
        rc = set_seen(j, a, items, flagged, n);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        uint32_t seq = seqmap_seq(j->s->sel.map, items[i].uid);
        if (seq > 0 && imap_seqset_has(set, items[i].uid))
            write_item(j, &items[i], seq, flagged[i]);
    }
    return rc;
}

static enum rc fetch_ranges(struct job *j, const struct imap_seqset *set)
{
    struct imap_session *s = j->s;
    struct imap_range r;
    struct arena a;
    struct item *items;
    size_t i = 0, n, batch = IMAP_BATCH;
    enum rc rc = RC_OK;

    arena_init(&a, IMAP_ARENA_MAX);
    while (rc == RC_OK && imap_next_range(set, &i, &r)) {
        for (n = batch; rc == RC_OK && n == batch && r.lo <= r.hi && r.lo > 0;) {
            rc = imap_items(s, r.lo, r.hi, j->want.changedsince, j->columns, &batch, &a, &items, &n);
            if (rc == RC_OK && n > 0) {
                rc = fetch_batch(j, &a, set, items, n);
                r.lo = items[n - 1].uid + 1;
            }
            arena_reset(&a);
        }
    }
    arena_clear(&a);
    return rc;
}

enum rc imap_cmd_fetch(struct imap_session *s, struct view args)
{
    struct job j = {.s = s, .add_uid = s->uid};
    struct imap_seqset set;
    enum rc rc = imap_take_sp(&args) ? imap_seqset_parse(&args, &s->arena, &set) : RC_SYNTAX;

    if (rc == RC_OK)
        rc = imap_take_sp(&args) ? imap_fetch_parse(args, &s->arena, &j.want) : RC_SYNTAX;
    if (rc == RC_LIMIT)
        return imap_bad(s, "[TOOBIG] Too many numbers or items");
    if (rc == RC_SYNTAX)
        return imap_bad(s, "FETCH numbers (items)");
    if (rc == RC_OK && imap_uid_ranges(s, &set) != RC_OK)
        return imap_bad(s, "There is no message with such a number");
    if (rc == RC_OK)
        rc = imap_mailbox_open(s);
    if (rc != RC_OK)
        return imap_no_rc(s, rc);
    plan(&j);
    for (size_t i = 0; i < j.want.n; i++)
        s->condstore |= j.want.items[i].kind == FETCH_MODSEQ || j.want.has_changedsince;
    buf_init(&j.text, SCRATCH_MAX);
    rc = fetch_ranges(&j, &set);
    buf_clear(&j.text);
    if (rc != RC_OK)
        return imap_no_rc(s, rc);
    if (j.damaged)
        return imap_no(s, "[CORRUPTION] Some of it cannot be read");
    if (j.unknown_encoding)
        return imap_no(s, "[UNKNOWN-CTE] A part has an unknown transfer encoding");
    return imap_ok(s, "Done");
}
