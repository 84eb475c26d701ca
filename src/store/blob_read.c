/* The reading side of store/blob: mappings of whole segments, shared by all threads, counted and bounded.
 * A mapping reaches over the end of a growing file, so each access first asks how long the file is now: what lies
 * beyond gives an error and not a signal. A segment that is gone is looked for in its table (blob_moved.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/blob_moved.h"

#define MAPPINGS_MAX 64    /* idle ones above this are let go */
#define BUCKETS      64
#define IDLE_MS      10000 /* pages of a mapping count as our memory: one unused for so long goes */
#define BIG_BODY     (256u << 10) /* its pages are let go as soon as it is closed */

struct mapping {
    struct mapping *next;
    struct blobs_read *r;
    uint32_t number;
    int fd;
    char *p;
    size_t size; /* mapped; may be more than the file has */
    unsigned refs;
    int64_t used_ms;
    bool stale;  /* out of the table; goes with its last user */
    bool is_table;
    uint64_t salt;
    const struct moved *moved;
    size_t n_moved;
};

struct blobs_read {
    pthread_mutex_t lock; /* guards the table and the counts */
    struct mapping *bucket[BUCKETS];
    size_t n;
    int64_t trimmed_ms;
};

static void free_mapping(struct mapping *m)
{
    if (m->p)
        munmap(m->p, m->size);
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}

/* Out of the table, with the lock held. */
static void drop_mapping(struct blobs_read *r, struct mapping *m)
{
    struct mapping **p = &r->bucket[m->number % BUCKETS];

    while (*p != m)
        p = &(*p)->next;
    *p = m->next;
    r->n--;
    m->stale = true;
    if (m->refs == 0)
        free_mapping(m);
}

static void trim_idle(struct blobs_read *r, int64_t before_ms)
{
    struct mapping *m, *next;

    for (size_t i = 0; i < BUCKETS; i++)
        for (m = r->bucket[i]; m; m = next) {
            next = m->next;
            if (m->refs == 0 && m->used_ms <= before_ms)
                drop_mapping(r, m);
        }
}

static void drop_oldest(struct blobs_read *r)
{
    struct mapping *oldest = NULL;

    for (size_t i = 0; i < BUCKETS; i++)
        for (struct mapping *m = r->bucket[i]; m; m = m->next)
            if (m->refs == 0 && (!oldest || m->used_ms < oldest->used_ms))
                oldest = m;
    if (oldest)
        drop_mapping(r, oldest);
}

static enum rc read_salt(struct mapping *m, size_t file_size)
{
    struct view file = view_of(m->p, file_size < m->size ? file_size : m->size);
    struct segment_head head;

    if (segment_head_parse(file, &head) == RC_OK && head.number == m->number) {
        m->salt = head.salt;
        return RC_OK;
    }
    log_error("store.blob.segment_damaged", F_INT("segment", m->number), F_CSTR("part", "head"));
    return segment_guess_salt(file, &m->salt) == RC_OK ? RC_OK : RC_CORRUPT;
}

/* RC_NOTFOUND: neither segment nor table. */
static enum rc make_mapping(struct blobs *b, uint32_t number, struct mapping **out)
{
    struct mapping *m = calloc(1, sizeof *m);
    struct stat st;
    char name[24];
    enum rc rc = RC_TEMP;

    if (!m)
        return RC_TEMP;
    m->number = number;
    m->r = b->r;
    blobs_name(number, "seg", name);
    m->fd = openat(b->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (m->fd < 0 && errno == ENOENT) {
        m->is_table = true;
        blobs_name(number, "moved", name);
        m->fd = openat(b->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (m->fd < 0) {
        rc = errno == ENOENT ? RC_NOTFOUND : RC_TEMP;
        goto done;
    }
    if (fstat(m->fd, &st) != 0)
        goto done;
    rc = RC_CORRUPT;
    if (st.st_size == 0)
        goto done;
    m->size = (size_t)st.st_size;
    if (!m->is_table && m->size < b->segment_bytes)
        m->size = b->segment_bytes; /* it may grow */
    m->p = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->fd, 0);
    if (m->p == MAP_FAILED) {
        m->p = NULL;
        rc = RC_TEMP;
        goto done;
    }
    rc = m->is_table ? moved_parse(view_of(m->p, m->size), number, &m->moved, &m->n_moved)
                     : read_salt(m, (size_t)st.st_size);
    if (rc == RC_CORRUPT && m->is_table)
        log_error("store.blob.segment_damaged", F_INT("segment", number), F_CSTR("part", "table"));
done:
    if (rc == RC_OK)
        *out = m;
    else
        free_mapping(m);
    return rc;
}

/* The mapping of a segment or its table, with a reference, and how long the file is now. */
static enum rc take_mapping(struct blobs *b, uint32_t number, uint64_t reach, struct mapping **out, uint64_t *file_size)
{
    struct blobs_read *r = b->r;
    int64_t now = clock_mono_ms();
    struct mapping *m;
    struct stat st = {0};
    enum rc rc = RC_OK;

    pthread_mutex_lock(&r->lock);
    if (now - r->trimmed_ms > IDLE_MS) {
        trim_idle(r, now - IDLE_MS);
        r->trimmed_ms = now;
    }
    for (int tries = 0;; tries++) {
        for (m = r->bucket[number % BUCKETS]; m && m->number != number; m = m->next)
            ;
        if (!m) {
            if (r->n >= MAPPINGS_MAX)
                drop_oldest(r);
            rc = make_mapping(b, number, &m);
            if (rc != RC_OK)
                break;
            m->next = r->bucket[number % BUCKETS];
            r->bucket[number % BUCKETS] = m;
            r->n++;
        }
        if (fstat(m->fd, &st) != 0) {
            rc = RC_TEMP;
            break;
        }
        /* compaction replaced the file, or it has outgrown the mapping: look again */
        if (tries < 3 && (st.st_nlink == 0 || ((uint64_t)st.st_size > m->size && reach > m->size))) {
            drop_mapping(r, m);
            continue;
        }
        break;
    }
    if (rc == RC_OK) {
        m->refs++;
        m->used_ms = now;
        *out = m;
        *file_size = (uint64_t)st.st_size < m->size ? (uint64_t)st.st_size : m->size;
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void release_mapping(struct mapping *m)
{
    struct blobs_read *r = m->r;

    pthread_mutex_lock(&r->lock);
    if (--m->refs == 0 && m->stale)
        free_mapping(m);
    pthread_mutex_unlock(&r->lock);
}

/* The head of a record in a mapped segment, and its body if that is all there. *reach: how much of the file it needs. */
static enum rc look_at(const struct mapping *m, uint64_t file_size, uint64_t offset, bool check, struct record *rec,
                       struct view *body, uint64_t *reach)
{
    struct view file = view_of(m->p, file_size);

    *reach = offset + RECORD_HEAD;
    if (offset < SEGMENT_HEAD || offset % RECORD_ALIGN != 0 || *reach > file_size)
        return RC_NOTFOUND;
    if (record_head_parse(view_slice(file, offset, RECORD_HEAD), m->salt, offset, rec) != RC_OK)
        return RC_CORRUPT;
    *reach += rec->size;
    if (*reach > file_size)
        return RC_CORRUPT;
    *body = record_body(file, rec);
    if (check && record_body_sum(*body) != rec->body_sum)
        return RC_CORRUPT;
    return RC_OK;
}

static enum rc follow_id(struct blobs *b, uint64_t *id, bool check, struct record *rec, struct view *body,
                         struct mapping **out)
{
    uint64_t file_size, reach = 0;
    struct mapping *m;
    enum rc rc;

    for (int hops = 0; hops < MOVED_HOPS_MAX; hops++) {
        if (blob_segment(*id) == 0 || blob_segment(*id) > SEGMENT_MAX)
            return RC_NOTFOUND;
        rc = take_mapping(b, blob_segment(*id), reach, &m, &file_size);
        if (rc != RC_OK)
            return rc;
        if (!m->is_table) {
            rc = look_at(m, file_size, blob_offset(*id), check, rec, body, &reach);
            if (rc == RC_OK) {
                *out = m;
                return RC_OK;
            }
            bool outgrown = reach > m->size;
            release_mapping(m);
            if (!outgrown || hops > 2)
                return rc;
            continue; /* once more with a mapping as long as the file */
        }
        rc = moved_lookup(m->moved, m->n_moved, blob_offset(*id), id);
        release_mapping(m);
        if (rc != RC_OK)
            return rc;
        reach = 0;
    }
    return RC_CORRUPT;
}

/* Compaction may shorten the tables while we follow them: one that leads nowhere is asked again from the start. */
static enum rc find_record(struct blobs *b, uint64_t *id, bool check, struct record *rec, struct view *body,
                           struct mapping **out)
{
    uint64_t asked = *id;
    enum rc rc = RC_NOTFOUND;

    for (int tries = 0; rc == RC_NOTFOUND && tries < 3; tries++) {
        *id = asked;
        rc = follow_id(b, id, check, rec, body, out);
        if (*id == asked)
            break;
    }
    return rc;
}

enum rc blobs_get(struct blobs *b, uint64_t id, bool check, struct blob *out)
{
    struct mapping *m;
    struct record rec;
    struct view body;
    enum rc rc = find_record(b, &id, check, &rec, &body, &m);

    *out = (struct blob){.bytes = {0}};
    if (rc == RC_CORRUPT)
        log_error("store.blob.damaged", F_ID("blob", id), F_INT("segment", blob_segment(id)), F_INT("offset", blob_offset(id)));
    if (rc == RC_OK)
        *out = (struct blob){.bytes = body, .ref = m};
    return rc;
}

enum rc blobs_find(struct blobs *b, uint64_t id, bool check, uint64_t *final_id, struct record *out)
{
    struct mapping *m;
    struct view body;
    enum rc rc = find_record(b, &id, check, out, &body, &m);

    *final_id = id;
    if (rc == RC_OK)
        release_mapping(m);
    return rc;
}

void blob_close(struct blob *b)
{
    struct mapping *m = b->ref;

    if (m && b->bytes.n >= BIG_BODY) {
        uintptr_t from = ((uintptr_t)b->bytes.p + 4095) & ~(uintptr_t)4095;
        uintptr_t to = (uintptr_t)(b->bytes.p + b->bytes.n) & ~(uintptr_t)4095;
        if (to > from) /* a hint: other readers of the same pages only fault them in again */
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
    if (m)
        release_mapping(m);
    *b = (struct blob){.bytes = {0}};
}

void blobs_trim(struct blobs *b, int64_t idle_ms)
{
    pthread_mutex_lock(&b->r->lock);
    trim_idle(b->r, clock_mono_ms() - idle_ms);
    pthread_mutex_unlock(&b->r->lock);
}

enum rc blobs_reader_open(struct blobs *b)
{
    b->r = calloc(1, sizeof *b->r);
    if (!b->r)
        return RC_TEMP;
    pthread_mutex_init(&b->r->lock, NULL);
    b->r->trimmed_ms = clock_mono_ms();
    return RC_OK;
}

void blobs_reader_close(struct blobs *b)
{
    if (!b->r)
        return;
    trim_idle(b->r, INT64_MAX);
    bug_if(b->r->n > 0); /* a blob is still open */
    pthread_mutex_destroy(&b->r->lock);
    free(b->r);
    b->r = NULL;
}
