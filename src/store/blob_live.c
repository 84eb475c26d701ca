#include "store/blob_live.h"

#include <stdlib.h>

#include "store/blob_moved.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/mailq.h"

#define ACCOUNTS_MEMORY (1u << 30)

enum rc id_set_add(struct id_set *s, const uint64_t *ids, size_t n)
{
    if (n == 0)
        return RC_OK;
    if (n > s->size - s->n) {
        size_t size = s->size ? s->size : 1024;
        while (size - s->n < n)
            size *= 2;
        uint64_t *more = realloc(s->ids, size * sizeof *more);
        if (!more)
            return RC_TEMP;
        s->ids = more;
        s->size = size;
    }
    memcpy(s->ids + s->n, ids, n * sizeof *ids);
    s->n += n;
    return RC_OK;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void id_set_order(struct id_set *s)
{
    size_t n = 0;

    if (s->n == 0)
        return;
    qsort(s->ids, s->n, sizeof *s->ids, compare_ids);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || s->ids[n - 1] != s->ids[i])
            s->ids[n++] = s->ids[i];
    s->n = n;
}

size_t id_set_from(const struct id_set *s, uint64_t id)
{
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->ids[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool id_set_has(const struct id_set *s, uint64_t id)
{
    size_t i = id_set_from(s, id);
    return i < s->n && s->ids[i] == id;
}

void id_set_clear(struct id_set *s)
{
    free(s->ids);
    *s = (struct id_set){0};
}

static enum rc add_queue(struct store *s, struct id_set *out)
{
    uint64_t *ids = NULL;
    size_t n = 0;
    enum rc rc = mailq_blobs(s, &ids, &n);

    if (rc == RC_OK)
        rc = id_set_add(out, ids, n);
    free(ids);
    return rc;
}

static enum rc add_mailbox(struct store *s, uint64_t account, struct id_set *out)
{
    struct mailbox *mb = NULL;
    uint64_t *ids = NULL;
    size_t n = 0;
    enum rc rc = mailbox_open(s, account, &mb);

    if (rc == RC_NOTFOUND)
        return RC_OK; /* removed since it was listed */
    if (rc == RC_OK)
        rc = mailbox_blobs(mb, &ids, &n);
    if (rc == RC_OK)
        rc = id_set_add(out, ids, n);
    free(ids);
    mailbox_close(mb);
    return rc;
}

/* The queue before the mailboxes, for mail moves that way; and once more after them, for what was sent from a mailbox. */
enum rc live_gather(struct store *s, struct id_set *out)
{
    struct directory_account *accounts;
    struct arena a;
    size_t n;
    enum rc rc;

    arena_init(&a, ACCOUNTS_MEMORY);
    rc = add_queue(s, out);
    if (rc == RC_OK)
        rc = directory_accounts(s, VIEW(""), &a, &accounts, &n);
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        rc = add_mailbox(s, accounts[i].id, out);
    if (rc == RC_OK)
        rc = add_queue(s, out);
    arena_clear(&a);
    if (rc == RC_OK)
        id_set_order(out);
    else
        id_set_clear(out);
    return rc;
}

static bool has_number(const uint32_t *numbers, size_t n, uint32_t number)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (numbers[mid] < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && numbers[lo] == number;
}

/* One table is kept loaded: ids come sorted. */
struct table {
    uint32_t number;
    struct view file;
    const struct moved *m;
    size_t n;
};

static enum rc load_table(struct blobs *b, struct table *t, uint32_t number)
{
    uint64_t unreadable = 0;
    char name[24];
    enum rc rc;

    if (t->number == number)
        return RC_OK;
    blobs_unload(&t->file);
    *t = (struct table){.number = 0};
    blobs_name(number, "moved", name);
    rc = blobs_load(b->dir_fd, name, &t->file, &unreadable);
    if (rc == RC_OK)
        rc = moved_parse(t->file, number, &t->m, &t->n);
    if (rc == RC_OK)
        t->number = number;
    return rc;
}

enum rc live_resolve(struct blobs *b, const struct id_set *rows, const uint32_t *segments, size_t n, struct id_set *out)
{
    struct table t = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; i < rows->n && rc == RC_OK; i++) {
        uint64_t id = rows->ids[i];
        int hops = 0;
        while (rc == RC_OK && !has_number(segments, n, blob_segment(id))) {
            rc = hops++ < MOVED_HOPS_MAX ? load_table(b, &t, blob_segment(id)) : RC_CORRUPT;
            if (rc == RC_OK)
                rc = moved_lookup(t.m, t.n, blob_offset(id), &id);
        }
        if (rc == RC_OK)
            rc = id_set_add(out, &id, 1);
        else if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
            rc = RC_OK; /* lost: verify tells of it */
    }
    blobs_unload(&t.file);
    if (rc == RC_OK)
        id_set_order(out);
    else
        id_set_clear(out);
    return rc;
}
