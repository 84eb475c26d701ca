#include "imap/shared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS      1024
#define DELTA_ARENA  (64u << 20) /* a change list of some 500,000 entries */
#define UNSEEN_BATCH 500

struct imap_folder {
    struct imap_table *table;
    uint64_t account, id;
    unsigned refs;                          /* table->lock */
    struct imap_folder *next;               /* in its bucket; table->lock */
    struct imap_folder *spare_next, **spare_prev; /* while refs is 0; table->lock */
    struct bus_watch watch;
    atomic_bool published;

    pthread_mutex_t lock; /* guards what follows; held while the store is asked, so that one asks for all */
    struct seqmap *map;
    struct imap_delta *delta; /* the last step of map, or NULL */
    uint64_t unseen_modseq;
    uint32_t unseen_uid;

    pthread_mutex_t listeners_lock; /* guards listeners; taken inside the bus's lock */
    struct imap_listener *listeners;
};
struct imap_table {
    struct store *store;
    pthread_mutex_t lock;
    struct imap_folder *buckets[BUCKETS];
    struct imap_folder *spare, **spare_end; /* oldest first */
    unsigned n_spare;
};

enum rc imap_table_new(struct store *store, struct imap_table **out)
{
    struct imap_table *t = calloc(1, sizeof *t);

    if (!t)
        return RC_TEMP;
    t->store = store;
    t->spare_end = &t->spare;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return RC_OK;
}

static void folder_free(struct imap_folder *f)
{
    bus_unwatch(f->table->store, &f->watch);
    seqmap_unref(f->map);
    imap_delta_unref(f->delta);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->listeners_lock);
    free(f);
}

static struct imap_folder **bucket_of(struct imap_table *t, uint64_t account, uint64_t folder)
{
    uint64_t h = (account * 0x9e3779b97f4a7c15ull ^ folder) * 0xbf58476d1ce4e5b9ull;

    return &t->buckets[h >> 32 & (BUCKETS - 1)];
}

static void spare_remove(struct imap_folder *f)
{
    struct imap_table *t = f->table;

    *f->spare_prev = f->spare_next;
    if (f->spare_next)
        f->spare_next->spare_prev = f->spare_prev;
    else
        t->spare_end = f->spare_prev;
    t->n_spare--;
}

static void spare_add(struct imap_folder *f)
{
    struct imap_table *t = f->table;

    f->spare_next = NULL;
    f->spare_prev = t->spare_end;
    *t->spare_end = f;
    t->spare_end = &f->spare_next;
    t->n_spare++;
}

static void bucket_remove(struct imap_folder *f)
{
    struct imap_folder **p = bucket_of(f->table, f->account, f->id);

    while (*p != f)
        p = &(*p)->next;
    *p = f->next;
}

void imap_table_free(struct imap_table *t)
{
    if (!t)
        return;
    for (struct imap_folder *f; (f = t->spare);) {
        spare_remove(f);
        folder_free(f);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Called with the bus locked. */
static void on_publish(void *ctx, uint64_t account, uint64_t folder)
{
    struct imap_folder *f = ctx;

    (void)account, (void)folder;
    atomic_store(&f->published, true);
    pthread_mutex_lock(&f->listeners_lock);
    for (struct imap_listener *l = f->listeners; l; l = l->next)
        pool_wake(l->conn);
    pthread_mutex_unlock(&f->listeners_lock);
}

static struct imap_folder *folder_new(struct imap_table *t, uint64_t account, uint64_t folder)
{
    struct imap_folder *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->table = t;
    f->account = account;
    f->id = folder;
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->listeners_lock, NULL);
    atomic_init(&f->published, true);
    f->watch = (struct bus_watch){.account = account, .folder = folder, .fn = on_publish, .ctx = f};
    bus_watch(t->store, &f->watch);
    return f;
}

enum rc imap_folder_get(struct imap_table *t, uint64_t account, uint64_t folder, struct imap_folder **out)
{
    struct imap_folder **bucket = bucket_of(t, account, folder), *f;

    pthread_mutex_lock(&t->lock);
    for (f = *bucket; f && (f->account != account || f->id != folder);)
        f = f->next;
    if (!f && (f = folder_new(t, account, folder))) {
        f->next = *bucket;
        *bucket = f;
        f->refs = 1;
    } else if (f && f->refs++ == 0) {
        spare_remove(f);
    }
    pthread_mutex_unlock(&t->lock);
    *out = f;
    return f ? RC_OK : RC_TEMP;
}

void imap_folder_put(struct imap_folder *f)
{
    struct imap_folder *old = NULL;

    if (!f)
        return;
    struct imap_table *t = f->table;
    pthread_mutex_lock(&t->lock);
    if (--f->refs == 0) {
        spare_add(f);
        if (t->n_spare > SHARED_SPARE_MAX) {
            old = t->spare;
            spare_remove(old);
            bucket_remove(old);
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (old)
        folder_free(old);
}

/* --- changes --- */

void imap_delta_unref(struct imap_delta *d)
{
    if (d && __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(d);
}

static int compare_gone(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

static int compare_changed(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* One block with everything in it. Changes later than `to` are left for the next time. */
static struct imap_delta *delta_new(const struct change *list, size_t n, uint64_t since, uint64_t to)
{
    size_t n_gone = 0, n_changed = 0, text = 0;

    for (size_t i = 0; i < n; i++) {
        if (list[i].seq > to)
            continue;
        if (list[i].kind == CHANGE_GONE) {
            n_gone++;
        } else {
            n_changed++;
            text += list[i].keywords.n;
        }
    }
    struct imap_delta *d = calloc(1, sizeof *d + n_changed * sizeof(struct change) + n_gone * sizeof(uint32_t) + text);
    if (!d)
        return NULL;
    struct change *changed = (struct change *)(d + 1);
    uint32_t *gone = (uint32_t *)(changed + n_changed);
    char *words = (char *)(gone + n_gone);
    *d = (struct imap_delta){.refs = 1, .since = since, .to = to, .n_gone = n_gone, .n_changed = n_changed, .gone = gone,
                             .changed = changed};
    n_gone = n_changed = text = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i].seq > to)
            continue;
        if (list[i].kind == CHANGE_GONE) {
            gone[n_gone++] = list[i].uid;
            continue;
        }
        struct change *c = &changed[n_changed++];
        *c = list[i];
        if (c->keywords.n > 0)
            memcpy(words + text, c->keywords.p, c->keywords.n);
        c->keywords = view_of(words + text, c->keywords.n);
        text += c->keywords.n;
    }
    qsort(gone, n_gone, sizeof *gone, compare_gone);
    qsort(changed, n_changed, sizeof *changed, compare_changed);
    return d;
}

static enum rc load_map(struct imap_folder *f, struct mailbox *mb)
{
    struct arena a;
    struct folder info;
    uint32_t *uids = NULL;
    size_t n;
    enum rc rc;

    arena_init(&a, 1u << 20);
    rc = mailbox_uids(mb, f->id, &a, &info, &uids, &n);
    if (rc == RC_OK) {
        struct seqmap *map = seqmap_new(uids, n, info.modseq);
        if (map) {
            seqmap_unref(f->map);
            f->map = map;
            imap_delta_unref(f->delta);
            f->delta = NULL;
        } else {
            rc = RC_TEMP;
        }
    }
    free(uids);
    arena_clear(&a);
    return rc;
}

/* UIDs of one kind, rising, in the arena. */
static uint32_t *rising_uids(struct arena *a, const struct imap_delta *d, bool gone, uint32_t since_uid, size_t *n)
{
    uint32_t *out = arena_new_array(a, gone ? d->n_gone : d->n_changed, uint32_t);

    *n = 0;
    if (!out)
        return NULL;
    if (gone) {
        for (size_t i = d->n_gone; i > 0; i--)
            out[(*n)++] = d->gone[i - 1];
        return out;
    }
    for (size_t i = 0; i < d->n_changed; i++) {
        if (d->changed[i].kind == CHANGE_NEW && d->changed[i].uid > since_uid)
            out[(*n)++] = d->changed[i].uid;
    }
    return out;
}

/* Moves f->map on to the store's present state. */
static enum rc advance_map(struct imap_folder *f, struct mailbox *mb)
{
    struct arena a;
    struct change *list;
    struct imap_delta *delta = NULL;
    struct seqmap *map = NULL;
    size_t n, n_gone, n_born;
    uint64_t modseq;
    enum rc rc;

    arena_init(&a, DELTA_ARENA);
    rc = mailbox_changes(mb, f->id, seqmap_modseq(f->map), &a, &list, &n, &modseq);
    if (rc == RC_LIMIT) {
        arena_clear(&a);
        return load_map(f, mb);
    }
    if (rc != RC_OK || modseq == seqmap_modseq(f->map))
        goto done;
    rc = RC_TEMP;
    if (!(delta = delta_new(list, n, seqmap_modseq(f->map), modseq)))
        goto done;
    uint32_t *gone = rising_uids(&a, delta, true, 0, &n_gone);
    uint32_t *born = rising_uids(&a, delta, false, seqmap_last(f->map), &n_born);
    if (!gone || !born)
        goto done;
    if (!(map = seqmap_edit(f->map, gone, n_gone, born, n_born, modseq)))
        goto done;
    seqmap_unref(f->map);
    f->map = map;
    imap_delta_unref(f->delta);
    f->delta = delta;
    delta = NULL;
    rc = RC_OK;
done:
    imap_delta_unref(delta);
    arena_clear(&a);
    return rc;
}

enum rc imap_folder_map(struct imap_folder *f, struct mailbox *mb, bool if_published, struct seqmap **out)
{
    enum rc rc = RC_OK;
    uint64_t modseq;

    pthread_mutex_lock(&f->lock);
    bool published = atomic_exchange(&f->published, false); /* before the look, so that none is missed */
    if (!f->map) {
        rc = load_map(f, mb);
    } else if (published || !if_published) {
        rc = mailbox_folder_modseq(mb, f->id, &modseq);
        if (rc == RC_OK && modseq != seqmap_modseq(f->map))
            rc = advance_map(f, mb);
    }
    if (rc == RC_OK)
        *out = seqmap_ref(f->map);
    else
        atomic_store(&f->published, true);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

enum rc imap_folder_delta(struct imap_folder *f, struct mailbox *mb, uint64_t since, const struct seqmap *now,
                          struct imap_delta **out)
{
    struct arena a;
    struct change *list;
    uint64_t modseq;
    size_t n;
    enum rc rc = RC_OK;

    *out = NULL;
    pthread_mutex_lock(&f->lock);
    if (f->delta && f->delta->since == since && f->delta->to == seqmap_modseq(now)) {
        *out = f->delta;
        __atomic_add_fetch(&f->delta->refs, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&f->lock);
    if (*out)
        return RC_OK;
    arena_init(&a, DELTA_ARENA);
    rc = mailbox_changes(mb, f->id, since, &a, &list, &n, &modseq);
    if (rc == RC_OK && !(*out = delta_new(list, n, since, seqmap_modseq(now))))
        rc = RC_TEMP;
    arena_clear(&a);
    return rc;
}

enum rc imap_folder_first_unseen(struct imap_folder *f, struct mailbox *mb, const struct seqmap *now, uint32_t *uid)
{
    struct arena a;
    struct item *items;
    size_t n = UNSEEN_BATCH;
    uint32_t from = 1;
    enum rc rc = RC_OK;

    *uid = 0;
    pthread_mutex_lock(&f->lock);
    bool known = f->unseen_modseq == seqmap_modseq(now) && f->unseen_modseq > 0;
    if (known)
        *uid = f->unseen_uid;
    pthread_mutex_unlock(&f->lock);
    if (known)
        return RC_OK;
    arena_init(&a, 1u << 20);
    while (rc == RC_OK && *uid == 0 && n == UNSEEN_BATCH) {
        rc = mailbox_items(mb, f->id, from, UINT32_MAX, 0, ITEM_FLAGS, UNSEEN_BATCH, &a, &items, &n);
        for (size_t i = 0; rc == RC_OK && i < n && *uid == 0; i++) {
            if (!(items[i].flags & FLAG_SEEN))
                *uid = items[i].uid;
            from = items[i].uid + 1;
        }
        arena_reset(&a);
    }
    arena_clear(&a);
    if (rc != RC_OK)
        return rc;
    pthread_mutex_lock(&f->lock);
    f->unseen_modseq = seqmap_modseq(now);
    f->unseen_uid = *uid;
    pthread_mutex_unlock(&f->lock);
    return RC_OK;
}

/* --- who idles --- */

void imap_folder_listen(struct imap_folder *f, struct imap_listener *l)
{
    pthread_mutex_lock(&f->listeners_lock);
    l->next = f->listeners;
    l->prev = &f->listeners;
    if (l->next)
        l->next->prev = &l->next;
    f->listeners = l;
    pthread_mutex_unlock(&f->listeners_lock);
}

void imap_folder_unlisten(struct imap_folder *f, struct imap_listener *l)
{
    pthread_mutex_lock(&f->listeners_lock);
    if (l->prev) { /* a neighbour that goes writes it too */
        *l->prev = l->next;
        if (l->next)
            l->next->prev = l->prev;
        l->prev = NULL;
    }
    pthread_mutex_unlock(&f->listeners_lock);
}
