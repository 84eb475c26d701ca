/* SEARCH and UID SEARCH, with the answers of RFC 3501 §7.2.5 and ESEARCH (RFC 4731). */
#include "imap/search.h"
#include "imap/session.h"
#include "store/blob.h"

struct hits {
    uint32_t *numbers; /* in the command's arena; as many as the folder has messages */
    size_t n;
    uint64_t modseq;   /* highest of them */
};
struct opener {
    struct store *store;
    struct blob blob;
};

static enum rc open_body(void *ctx, const struct item *item, struct view *message)
{
    struct opener *o = ctx;
    enum rc rc = blob_open(o->store, item->blob, false, &o->blob);

    if (rc == RC_OK && o->blob.bytes.n < (uint64_t)item->skip + item->size)
        rc = RC_CORRUPT;
    if (rc == RC_OK)
        *message = view_slice(o->blob.bytes, item->skip, item->size);
    return rc;
}

static void add_hit(struct imap_session *s, struct hits *h, uint32_t seq, uint32_t uid, uint64_t modseq)
{
    h->numbers[h->n++] = s->uid ? uid : seq;
    h->modseq = modseq > h->modseq ? modseq : h->modseq;
}

/* All that is asked is known from the map. */
static enum rc search_map(struct imap_session *s, const struct search *search, struct hits *h)
{
    uint32_t count = seqmap_count(s->sel.map);
    uint32_t *uids = arena_new_array(&s->arena, count, uint32_t);
    enum rc rc = uids ? RC_OK : RC_TEMP;

    if (rc == RC_OK)
        seqmap_uids(s->sel.map, 1, UINT32_MAX, uids, count);
    for (uint32_t i = 0; rc == RC_OK && i < count; i++) {
        struct search_facts f = {.seq = i + 1, .uid = uids[i], .recent_from = s->sel.recent_from};
        bool found;
        rc = imap_search_match(search, &f, &found);
        if (rc == RC_OK && found)
            add_hit(s, h, f.seq, f.uid, 0);
    }
    return rc;
}

static enum rc search_batch(struct imap_session *s, const struct search *search, const struct item *items, size_t n,
                            struct hits *h)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        struct opener o = {.store = s->server->store};
        struct search_facts f = {.seq = seqmap_seq(s->sel.map, items[i].uid), .uid = items[i].uid,
                                 .recent_from = s->sel.recent_from, .item = &items[i], .open = open_body, .ctx = &o};
        bool found = false;
        if (f.seq > 0)
            rc = imap_search_match(search, &f, &found);
        blob_close(&o.blob);
        if (rc == RC_CORRUPT || rc == RC_NOTFOUND) /* logged below us; a damaged message is not found, the others are */
            rc = RC_OK;
        else if (rc == RC_OK && found)
            add_hit(s, h, f.seq, f.uid, items[i].modseq);
    }
    return rc;
}

/* UIDs that can match at all: a set that the top level asks for, else everything. */
static struct imap_range uid_bounds(struct imap_session *s, const struct search *search)
{
    struct imap_range r = {1, seqmap_last(s->sel.map)};

    for (const struct search_key *k = search->root->child; k; k = k->next) {
        if (k->kind != SEARCH_UID && k->kind != SEARCH_SEQ)
            continue;
        if (k->set.n == 0)
            return (struct imap_range){1, 0};
        struct imap_range set = {k->set.ranges[0].lo, k->set.ranges[k->set.n - 1].hi};
        if (k->kind == SEARCH_SEQ)
            set = (struct imap_range){seqmap_uid(s->sel.map, set.lo), seqmap_uid(s->sel.map, set.hi)};
        r.lo = set.lo > r.lo ? set.lo : r.lo;
        r.hi = set.hi < r.hi ? set.hi : r.hi;
    }
    return r;
}

/* The top level's MODSEQ lets the store leave out older rows. */
static uint64_t since_of(const struct search *search)
{
    for (const struct search_key *k = search->root->child; k; k = k->next) {
        if (k->kind == SEARCH_MODSEQ && k->number > 0)
            return (uint64_t)k->number - 1;
    }
    return 0;
}

static enum rc search_rows(struct imap_session *s, const struct search *search, struct hits *h)
{
    struct imap_range r = uid_bounds(s, search);
    struct arena a;
    struct item *items;
    size_t batch = IMAP_BATCH, n = batch;
    enum rc rc = imap_mailbox_open(s);

    arena_init(&a, IMAP_ARENA_MAX);
    while (rc == RC_OK && n == batch && r.lo <= r.hi && r.lo > 0) {
        rc = imap_items(s, r.lo, r.hi, since_of(search), search->columns, &batch, &a, &items, &n);
        if (rc == RC_OK && n > 0) {
            rc = search_batch(s, search, items, n, h);
            r.lo = items[n - 1].uid + 1;
        }
        arena_reset(&a);
    }
    arena_clear(&a);
    return rc;
}

static void write_search(struct imap_session *s, const struct search *search, const struct hits *h, struct buf *out)
{
    buf_str(out, "* SEARCH");
    for (size_t i = 0; i < h->n; i++) {
        buf_chr(out, ' ');
        buf_u64(out, h->numbers[i]);
    }
    if (search->has_modseq && h->n > 0) /* RFC 7162 §3.1.5 */
        buf_printf(out, " (MODSEQ %llu)", (unsigned long long)h->modseq);
    buf_str(out, "\r\n");
    conn_write(s->conn, buf_view(out));
}

static void write_esearch(struct imap_session *s, const struct search *search, const struct hits *h, struct buf *out)
{
    buf_printf(out, "* ESEARCH (TAG ");
    imap_write_string(view_str(s->tag), out);
    buf_str(out, s->uid ? ") UID" : ")");
    if (h->n > 0) { /* RFC 4731 §3.1: MIN, MAX and ALL are left out where nothing was found */
        if (search->returns & RETURN_MIN)
            buf_printf(out, " MIN %u", h->numbers[0]);
        if (search->returns & RETURN_MAX)
            buf_printf(out, " MAX %u", h->numbers[h->n - 1]);
        if (search->returns & RETURN_ALL) {
            buf_str(out, " ALL ");
            imap_seqset_write(out, h->numbers, h->n);
        }
    }
    if (search->returns & RETURN_COUNT)
        buf_printf(out, " COUNT %zu", h->n);
    if (search->has_modseq && h->n > 0)
        buf_printf(out, " MODSEQ %llu", (unsigned long long)h->modseq);
    buf_str(out, "\r\n");
    conn_write(s->conn, buf_view(out));
}

static enum rc run(struct imap_session *s, struct search *search)
{
    struct hits h = {0};
    struct buf out;
    enum rc rc;

    imap_search_resolve(search, s->sel.map);
    s->condstore |= search->has_modseq;
    h.numbers = arena_new_array(&s->arena, seqmap_count(s->sel.map), uint32_t);
    if (!h.numbers)
        return RC_TEMP;
    rc = search->needs_rows ? search_rows(s, search, &h) : search_map(s, search, &h);
    if (rc != RC_OK)
        return rc;
    buf_init(&out, 256 + 12 * h.n);
    if (search->returns)
        write_esearch(s, search, &h, &out);
    else
        write_search(s, search, &h, &out);
    rc = buf_rc(&out);
    buf_clear(&out);
    return rc;
}

enum rc imap_cmd_search(struct imap_session *s, struct view args)
{
    struct search search = {0};
    enum rc rc = imap_take_sp(&args) ? imap_search_parse(args, &s->arena, &search) : RC_SYNTAX;

    switch (rc) {
    case RC_OK:
        rc = run(s, &search);
        rc = rc == RC_OK ? imap_ok(s, "Done") : imap_no_rc(s, rc);
        break;
    case RC_SYNTAX:
        rc = imap_bad(s, "SEARCH keys");
        break;
    case RC_NOTFOUND:
        rc = imap_no(s, "[BADCHARSET (US-ASCII UTF-8)] Unknown charset");
        break;
    default:
        rc = imap_no_rc(s, rc);
    }
    imap_search_clear(&search);
    return rc;
}
