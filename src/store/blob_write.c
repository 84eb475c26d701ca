/* The writing side of store/blob. Small bodies wait in their writer's memory and go with one pwrite(2) to a place that
 * was reserved in the active segment, which all threads share; larger ones check a segment out and stream into it.
 *
 * Places are only given out inside room that fallocate(2) has taken from the file system (ROOM_STEP at a time, file size
 * kept), so a full disk shows before anything is reserved. Measured on ext4, one 10 KiB record a sync: 18.4 KB go to the
 * device so, 22.4 KB without; in groups of 20 there is no difference, and zeroing ahead would double the bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "store/blob_internal.h"

#define ROOM_STEP  (1u << 20)
#define HINT_STEP  (4u << 20) /* a crash costs reading at most about so much of each open segment again */
#define ADOPT_MAX  64         /* newest segments that are looked at for room */
#define WRITER_MEMORY (RECORD_HEAD + BLOB_FRONT_MAX + BLOB_INLINE + RECORD_ALIGN)
#define READ_STEP  65536

struct segment {
    struct segment *next;
    uint32_t number;
    int fd; /* holds the lock */
    struct segment_head head;
    uint64_t tail;    /* next free place */
    uint64_t room;    /* taken from the file system up to here; UINT64_MAX where it cannot */
    uint64_t safe;    /* everything before is on the disk */
    unsigned writing; /* small records that are being written */
    bool busy;        /* checked out by a large one */
    bool held;        /* the leader of a sync uses it */
    bool retired;     /* takes no more */
    bool dirty;       /* has finished records that are not synced */
    unsigned failures; /* syncs that failed */
    bool failed;      /* the last one did: what is after `safe` must be written again before it may be called durable */
};

struct blobs_write {
    pthread_mutex_t lock; /* guards all below and the segments' fields */
    pthread_cond_t synced_cond;
    struct segment *segments, *active;
    uint32_t *candidates; /* to adopt, rising; looked up when first needed */
    size_t n_candidates;
    bool looked, full;
    /* blob_sync: finished counts blobs; a round makes all up to its target durable */
    uint64_t finished, synced, failed_target, failures;
    bool leader;
};

struct blob_writer {
    struct blobs *b;
    uint64_t owner;
    int64_t time_s;      /* 0: of its end */
    struct buf mem;      /* head and body of a small record; the next piece of a large one */
    size_t head_room;    /* RECORD_HEAD while the record is still whole in memory, else 0 */
    uint64_t written;    /* bytes of body so far */
    size_t front_room;   /* kept free before a large record's body, for what is put in front of it */
    size_t front_n;      /* bytes that were */
    struct segment *seg; /* of a large one */
    unsigned failures;   /* of seg when we began */
    XXH3_state_t *hash;  /* of a large one; where front_room is kept, only at the end */
    enum rc fail;
};

/* --- segments; the lock is held --- */

static enum rc rc_of_errno(struct blobs *b, const char *op, uint32_t number)
{
    int e = errno;
    bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;

    if (full && b->w->full)
        return RC_FULL; /* said once until there is room again */
    b->w->full = full;
    log_error("store.blob.write_failed", F_CSTR("op", op), F_INT("segment", number), F_CSTR("error", strerrordesc_np(e)));
    return full ? RC_FULL : RC_TEMP;
}

static bool write_all(int fd, const char *p, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            if (k == 0)
                errno = ENOSPC;
            return false;
        }
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return true;
}

static bool write_head(struct segment *s)
{
    char head[SEGMENT_HEAD];

    segment_head_write(&s->head, head);
    return write_all(s->fd, head, sizeof head, 0);
}

static enum rc make_room(struct blobs *b, struct segment *s, uint64_t end)
{
    uint64_t step = (end - s->room + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    uint64_t from = s->room;

    while (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)step) != 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS) {
            s->room = UINT64_MAX;
            return RC_OK;
        }
        if (errno == ENOSPC && from + step > end) { /* the last room on the disk is still good for this one */
            step = end - from;
            continue;
        }
        return rc_of_errno(b, "fallocate", s->number);
    }
    b->w->full = false;
    s->room = from + step;
    return RC_OK;
}

static void free_segment(struct segment *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

/* Lets go of one that is done with: the next scan of it begins at its end. */
static void close_segment(struct blobs_write *w, struct segment *s)
{
    struct segment **p = &w->segments;

    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    if (w->active == s)
        w->active = NULL;
    if (!s->failed && !s->dirty) {
        s->head.complete = s->tail;
        if (!write_head(s) || ftruncate(s->fd, (off_t)s->tail) != 0) /* gives unused room back; nothing depends on it */
            log_warn("store.blob.close_failed", F_INT("segment", s->number), F_CSTR("error", strerrordesc_np(errno)));
    }
    free_segment(s);
}

static void drop_retired(struct blobs_write *w)
{
    struct segment *next;

    for (struct segment *s = w->segments; s; s = next) {
        next = s->next;
        if (s->retired && s->writing == 0 && !s->busy && !s->held && !s->dirty)
            close_segment(w, s);
    }
}

/* The end of the last whole record: what a crash left behind it was never promised to anybody. */
static enum rc find_end(struct segment *s, uint64_t file_size)
{
    struct view v;
    struct record r;
    uint64_t unreadable = 0, end = s->head.complete;
    uint64_t at;
    char name[24];

    if (end < SEGMENT_HEAD || end > file_size)
        end = SEGMENT_HEAD;
    blobs_name(s->number, "seg", name);
    if (end < file_size) {
        enum rc rc = blobs_load_fd(s->fd, end, &v, &unreadable);
        if (rc != RC_OK)
            return rc;
        at = end;
        while (record_next(v, s->head.salt, &at, &r, NULL) == RC_OK)
            if (record_body_sum(record_body(v, &r)) == r.body_sum)
                end = at;
        blobs_unload(&v);
        if (unreadable > 0)
            return RC_CORRUPT;
    }
    s->tail = s->room = s->safe = end;
    return RC_OK;
}

static bool adopt_segment(struct blobs *b, uint32_t number, struct segment **out)
{
    struct segment *s = calloc(1, sizeof *s);
    char name[24], head[SEGMENT_HEAD];
    struct stat st;
    bool ok = false;

    if (!s)
        return false;
    s->number = number;
    blobs_name(number, "seg", name);
    s->fd = openat(b->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (s->fd < 0 || !blobs_lock_file(s->fd, true) || fstat(s->fd, &st) != 0 || st.st_nlink == 0)
        goto done; /* somebody else writes it, or compaction took it */
    if ((uint64_t)st.st_size + (b->segment_bytes >> 4) > b->segment_bytes)
        goto done; /* as good as full */
    if (pread(s->fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        segment_head_parse(view_of(head, sizeof head), &s->head) != RC_OK || s->head.number != number)
        goto done; /* damaged: for verify to report, not for us to write to */
    if (find_end(s, (uint64_t)st.st_size) != RC_OK)
        goto done;
    if (s->tail < (uint64_t)st.st_size && ftruncate(s->fd, (off_t)s->tail) != 0)
        goto done;
    s->dirty = true; /* whole records that the crashed process had not synced count as unsynced here */
    s->safe = SEGMENT_HEAD;
    ok = true;
done:
    if (ok)
        *out = s;
    else
        free_segment(s);
    return ok;
}

static enum rc create_segment(struct blobs *b, struct segment **out)
{
    uint32_t *seg = NULL, *moved = NULL, number = 1;
    size_t n_seg = 0, n_moved = 0;
    struct segment *s = calloc(1, sizeof *s);
    char name[24];
    enum rc rc;

    if (!s)
        return RC_TEMP;
    s->fd = -1;
    rc = blobs_list(b, "seg", &seg, &n_seg);
    if (rc == RC_OK)
        rc = blobs_list(b, "moved", &moved, &n_moved);
    if (rc != RC_OK)
        goto done;
    if (n_seg > 0 && seg[n_seg - 1] >= number)
        number = seg[n_seg - 1] + 1;
    if (n_moved > 0 && moved[n_moved - 1] >= number)
        number = moved[n_moved - 1] + 1;
    for (;; number++) { /* another process may be faster */
        if (number > SEGMENT_MAX) {
            rc = RC_FULL;
            goto done;
        }
        blobs_name(number, "seg", name);
        s->fd = openat(b->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (s->fd >= 0)
            break;
        if (errno != EEXIST) {
            rc = rc_of_errno(b, "create", number);
            goto done;
        }
    }
    s->number = number;
    s->head = (struct segment_head){.number = number, .salt = random_u64(), .created_s = clock_real_s(),
                                    .complete = SEGMENT_HEAD};
    if (!blobs_lock_file(s->fd, true)) {
        rc = RC_TEMP; /* an adopter looked at the new file at this very moment; it will find it damaged and let go */
    } else {
        rc = make_room(b, s, SEGMENT_HEAD);
        if (rc == RC_OK && !write_head(s))
            rc = rc_of_errno(b, "write", number);
        /* the name must last as long as what is written under it */
        if (rc == RC_OK && (fsync(s->fd) != 0 || fsync(b->dir_fd) != 0))
            rc = rc_of_errno(b, "fsync", number);
    }
    if (rc != RC_OK)
        unlinkat(b->dir_fd, name, 0);
    s->tail = s->safe = SEGMENT_HEAD;
done:
    free(seg);
    free(moved);
    if (rc == RC_OK)
        *out = s;
    else
        free_segment(s);
    return rc;
}

static bool has_room(const struct blobs *b, const struct segment *s, uint64_t span)
{
    return !s->retired && (s->tail + span <= b->segment_bytes || s->tail == SEGMENT_HEAD);
}

/* One that nobody uses: an idle one of ours, one that a process left behind, or a new one. */
static enum rc take_segment(struct blobs *b, uint64_t span, struct segment **out)
{
    struct blobs_write *w = b->w;
    struct segment *s;
    enum rc rc;

    for (s = w->segments; s; s = s->next)
        if (s != w->active && !s->busy && s->writing == 0 && has_room(b, s, span)) {
            *out = s;
            return RC_OK;
        }
    if (!w->looked) {
        rc = blobs_list(b, "seg", &w->candidates, &w->n_candidates);
        if (rc != RC_OK)
            return rc;
        w->looked = true;
        if (w->n_candidates > ADOPT_MAX) {
            memmove(w->candidates, w->candidates + w->n_candidates - ADOPT_MAX, ADOPT_MAX * sizeof *w->candidates);
            w->n_candidates = ADOPT_MAX;
        }
    }
    while (w->n_candidates > 0) {
        if (!adopt_segment(b, w->candidates[--w->n_candidates], &s))
            continue;
        s->next = w->segments;
        w->segments = s;
        if (has_room(b, s, span)) {
            *out = s;
            return RC_OK;
        }
    }
    rc = create_segment(b, &s);
    if (rc != RC_OK)
        return rc;
    s->next = w->segments;
    w->segments = s;
    *out = s;
    return RC_OK;
}

static enum rc reserve_place(struct blobs *b, uint64_t span, struct segment **out, uint64_t *offset)
{
    struct blobs_write *w = b->w;
    enum rc rc;

    if (w->active && !has_room(b, w->active, span)) {
        w->active->retired = true;
        w->active = NULL;
        drop_retired(w);
    }
    if (!w->active) {
        rc = take_segment(b, span, &w->active);
        if (rc != RC_OK)
            return rc;
    }
    if (w->active->tail + span > w->active->room) {
        rc = make_room(b, w->active, w->active->tail + span);
        if (rc != RC_OK)
            return rc;
    }
    *out = w->active;
    *offset = w->active->tail;
    w->active->tail += span;
    w->active->writing++;
    return RC_OK;
}

/* --- writers --- */

static void free_writer(struct blob_writer *w)
{
    buf_clear(&w->mem);
    if (w->hash)
        XXH3_freeState(w->hash);
    free(w);
}

enum rc blobs_begin(struct blobs *b, uint64_t owner, struct blob_writer **out)
{
    struct blob_writer *w = calloc(1, sizeof *w);

    if (!w)
        return RC_TEMP;
    w->b = b;
    w->owner = owner;
    w->head_room = RECORD_HEAD;
    buf_init(&w->mem, WRITER_MEMORY);
    *out = w;
    return RC_OK;
}

void blob_expect_front(struct blob_writer *w)
{
    bug_if(w->written > 0);
    w->front_room = BLOB_FRONT_MAX;
}

void blob_set_time(struct blob_writer *w, int64_t time_s)
{
    w->time_s = time_s;
}

uint64_t blob_written(const struct blob_writer *w)
{
    return w->written;
}

bool blob_is_streamed(const struct blob_writer *w)
{
    return w->seg != NULL;
}

static enum rc begin_large(struct blob_writer *w)
{
    struct blobs_write *bw = w->b->w;
    enum rc rc;

    w->hash = XXH3_createState();
    if (!w->hash)
        return RC_TEMP;
    XXH3_64bits_reset(w->hash);
    pthread_mutex_lock(&bw->lock);
    rc = take_segment(w->b, 2 * (BLOB_INLINE), &w->seg);
    if (rc == RC_OK) {
        w->seg->busy = true;
        w->failures = w->seg->failures;
    }
    pthread_mutex_unlock(&bw->lock);
    return rc;
}

static enum rc locked_errno(struct blob_writer *w, const char *op)
{
    int e = errno;

    pthread_mutex_lock(&w->b->w->lock);
    errno = e;
    enum rc rc = rc_of_errno(w->b, op, w->seg->number);
    pthread_mutex_unlock(&w->b->w->lock);
    return rc;
}

/* Where the head of a large record is to stand. Between it and the record before it zeros remain. */
static uint64_t large_offset(const struct blob_writer *w)
{
    return w->seg->tail + w->front_room - w->front_n;
}

/* Writes what is in memory to its place in the segment that is ours alone. */
static enum rc flush_piece(struct blob_writer *w)
{
    struct view piece = view_from(buf_view(&w->mem), w->head_room);
    uint64_t at = large_offset(w) + RECORD_HEAD + w->written - piece.n;
    enum rc rc = RC_OK;

    if (w->front_room == 0)
        XXH3_64bits_update(w->hash, piece.p, piece.n);
    if (at + piece.n > w->seg->room) {
        pthread_mutex_lock(&w->b->w->lock);
        rc = make_room(w->b, w->seg, at + piece.n);
        pthread_mutex_unlock(&w->b->w->lock);
    }
    if (rc == RC_OK && !write_all(w->seg->fd, piece.p, piece.n, at))
        rc = locked_errno(w, "write");
    buf_reset(&w->mem);
    w->head_room = 0;
    return rc;
}

static enum rc append_piece(struct blob_writer *w, struct view v)
{
    if (!w->mem.p && !buf_room(&w->mem, RECORD_HEAD))
        return RC_TEMP;
    if (w->mem.n < w->head_room)
        buf_grew(&w->mem, RECORD_HEAD);
    buf_add(&w->mem, v);
    w->written += v.n;
    return buf_rc(&w->mem);
}

enum rc blob_append(struct blob_writer *w, struct view v)
{
    bug_if(w->front_n > 0);
    while (w->fail == RC_OK && v.n > 0) {
        size_t have = w->mem.n > w->head_room ? w->mem.n - w->head_room : 0;
        size_t n = BLOB_INLINE - have;
        if (w->written + v.n > OFFSET_MAX / 2)
            w->fail = RC_LIMIT;
        else if (n == 0)
            w->fail = w->seg ? RC_OK : begin_large(w);
        if (w->fail == RC_OK && n == 0)
            w->fail = flush_piece(w);
        if (w->fail != RC_OK || n == 0)
            continue;
        if (n > v.n)
            n = v.n;
        w->fail = append_piece(w, view_slice(v, 0, n));
        view_skip(&v, n);
    }
    return w->fail;
}

static enum rc prepend_small(struct blob_writer *w, struct view v)
{
    enum rc rc = append_piece(w, VIEW("")); /* the head's place */

    if (rc != RC_OK || !buf_room(&w->mem, v.n))
        return RC_TEMP;
    memmove(w->mem.p + RECORD_HEAD + v.n, w->mem.p + RECORD_HEAD, w->mem.n - RECORD_HEAD);
    memcpy(w->mem.p + RECORD_HEAD, v.p, v.n);
    buf_grew(&w->mem, v.n);
    return RC_OK;
}

static enum rc prepend_large(struct blob_writer *w, struct view v)
{
    uint64_t at = large_offset(w) + RECORD_HEAD - v.n;

    return write_all(w->seg->fd, v.p, v.n, at) ? RC_OK : locked_errno(w, "write");
}

enum rc blob_prepend(struct blob_writer *w, struct view v)
{
    bug_if(w->front_n > 0);
    if (w->fail != RC_OK || v.n == 0)
        return w->fail;
    bug_if(w->seg && v.n % RECORD_ALIGN != 0);
    if (v.n > w->front_room)
        w->fail = RC_LIMIT;
    else
        w->fail = w->seg ? prepend_large(w, v) : prepend_small(w, v);
    if (w->fail == RC_OK) {
        w->front_n = v.n;
        w->written += v.n;
    }
    return w->fail;
}

/* A finished record is in the segment's hands. */
static void count_finished(struct blobs_write *bw, struct segment *s)
{
    s->dirty = true;
    bw->finished++;
}

static int64_t record_time(const struct blob_writer *w)
{
    return w->time_s ? w->time_s : clock_real_s();
}

static enum rc finish_small(struct blob_writer *w, uint64_t *id)
{
    static const char zeros[RECORD_ALIGN];
    struct blobs_write *bw = w->b->w;
    struct record r = {.size = w->written, .owner = w->owner, .time_s = record_time(w)};
    uint64_t span = record_span(w->written);
    struct segment *s;
    enum rc rc;
    bool ok;

    if (w->written == 0) {
        rc = append_piece(w, VIEW("")); /* the head's place */
        if (rc != RC_OK)
            return rc;
    }
    r.body_sum = record_body_sum(view_from(buf_view(&w->mem), RECORD_HEAD));
    buf_add(&w->mem, view_of(zeros, span - w->mem.n));
    if (buf_rc(&w->mem) != RC_OK)
        return RC_TEMP;
    pthread_mutex_lock(&bw->lock);
    rc = reserve_place(w->b, span, &s, &r.offset);
    pthread_mutex_unlock(&bw->lock);
    if (rc != RC_OK)
        return rc;
    record_head_write(&r, s->head.salt, w->mem.p);
    ok = write_all(s->fd, w->mem.p, span, r.offset);
    pthread_mutex_lock(&bw->lock);
    s->writing--;
    if (ok) {
        count_finished(bw, s);
        *id = blob_id(s->number, r.offset);
    } else { /* the last one can have its place back; else it stays a gap */
        rc = rc_of_errno(w->b, "write", s->number);
        if (s->tail == r.offset + span)
            s->tail = r.offset;
        drop_retired(bw);
    }
    pthread_mutex_unlock(&bw->lock);
    return rc;
}

static void release_large(struct blob_writer *w, bool finished)
{
    struct blobs_write *bw = w->b->w;

    pthread_mutex_lock(&bw->lock);
    if (!finished) {
        /* what was written there is no record; the file must not end in it for long */
        if (ftruncate(w->seg->fd, (off_t)w->seg->tail) != 0)
            log_warn("store.blob.truncate_failed", F_INT("segment", w->seg->number));
        if (w->seg->room != UINT64_MAX)
            w->seg->room = w->seg->tail;
    }
    w->seg->busy = false;
    if (w->seg->tail + (w->b->segment_bytes >> 4) > w->b->segment_bytes && w->seg != bw->active)
        w->seg->retired = true;
    w->seg = NULL;
    drop_retired(bw);
    pthread_mutex_unlock(&bw->lock);
}

/* What was written last could not be hashed first: all of it is read again, from memory mostly. */
static enum rc hash_again(struct blob_writer *w)
{
    uint64_t at = large_offset(w) + RECORD_HEAD, end = at + w->written;
    char *piece = malloc(READ_STEP);
    enum rc rc = piece ? RC_OK : RC_TEMP;

    while (rc == RC_OK && at < end) {
        size_t n = end - at < READ_STEP ? (size_t)(end - at) : READ_STEP;
        ssize_t k = pread(w->seg->fd, piece, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            errno = k == 0 ? EIO : errno;
            rc = locked_errno(w, "read");
            break;
        }
        XXH3_64bits_update(w->hash, piece, (size_t)k);
        at += (uint64_t)k;
    }
    free(piece);
    return rc;
}

static enum rc finish_large(struct blob_writer *w, uint64_t *id)
{
    struct blobs_write *bw = w->b->w;
    struct segment *s = w->seg;
    struct record r = {.offset = large_offset(w), .size = w->written, .owner = w->owner, .time_s = record_time(w)};
    char head[RECORD_HEAD];
    enum rc rc = flush_piece(w);

    if (rc == RC_OK && w->front_room > 0)
        rc = hash_again(w);
    if (rc != RC_OK)
        return rc;
    r.body_sum = XXH3_64bits_digest(w->hash);
    record_head_write(&r, s->head.salt, head);
    pthread_mutex_lock(&bw->lock);
    if (s->failures != w->failures)
        rc = RC_TEMP; /* the disk may have lost pieces of it without telling us */
    else if (!write_all(s->fd, head, sizeof head, r.offset))
        rc = rc_of_errno(w->b, "write", s->number);
    if (rc == RC_OK) {
        *id = blob_id(s->number, r.offset);
        s->tail = r.offset + record_span(r.size);
        count_finished(bw, s);
    }
    pthread_mutex_unlock(&bw->lock);
    if (rc == RC_OK)
        release_large(w, true);
    return rc;
}

enum rc blob_finish(struct blob_writer *w, uint64_t *id)
{
    enum rc rc = w->fail;

    if (rc == RC_OK)
        rc = w->seg ? finish_large(w, id) : finish_small(w, id);
    blob_abort(w); /* gives back what a failure still holds */
    return rc;
}

void blob_abort(struct blob_writer *w)
{
    if (!w)
        return;
    if (w->seg)
        release_large(w, false);
    free_writer(w);
}

/* --- sync --- */

/* After a failed sync the kernel holds the pages for clean though the disk may not have them: they are written again.
 * Only with no write under way (the segment takes no new ones), so that nothing newer is overwritten. */
static bool write_again(struct segment *s)
{
    char piece[16384];

    for (uint64_t at = s->safe; at < s->tail;) {
        size_t n = s->tail - at < sizeof piece ? (size_t)(s->tail - at) : sizeof piece;
        ssize_t k = pread(s->fd, piece, n, (off_t)at);
        if (k <= 0 || !write_all(s->fd, piece, (size_t)k, at))
            return k == 0; /* the padding of the last record is not in the file */
        at += (uint64_t)k;
    }
    return true;
}

/* One round of the leader, called and left with the lock held. */
static bool sync_dirty(struct blobs *b)
{
    struct blobs_write *w = b->w;
    struct segment *s;
    bool all = true;

    for (s = w->segments; s; s = s->next)
        s->held = s->dirty;
    for (s = w->segments; s; s = s->next) { /* new ones come at the front: the walk goes on below them */
        bool again = s->failed, ok = true;
        uint64_t end = s->writing == 0 ? s->tail : s->safe;
        if (!s->held)
            continue;
        if (again && s->writing > 0)
            ok = false;
        s->dirty = false;
        if (ok && s->writing == 0 && !s->failed && s->tail >= s->head.complete + HINT_STEP) {
            s->head.complete = s->tail;
            ok = write_head(s);
        }
        pthread_mutex_unlock(&w->lock);
        if (ok && again)
            ok = write_again(s);
        if (ok)
            ok = b->datasync(s->fd) == 0;
        if (!ok)
            log_error("store.blob.sync_failed", F_INT("segment", s->number), F_CSTR("error", strerrordesc_np(errno)));
        pthread_mutex_lock(&w->lock);
        s->held = false;
        s->failed = !ok;
        if (ok) {
            s->safe = end;
        } else {
            s->dirty = s->retired = true;
            s->failures++;
            if (w->active == s)
                w->active = NULL;
            all = false;
        }
    }
    drop_retired(w);
    return all;
}

enum rc blobs_sync(struct blobs *b)
{
    struct blobs_write *w = b->w;
    uint64_t want, target, failures;
    enum rc rc = RC_OK;

    pthread_mutex_lock(&w->lock);
    want = w->finished;
    failures = w->failures;
    while (rc == RC_OK && w->synced < want) {
        if (w->failures != failures && w->failed_target >= want) {
            rc = RC_TEMP;
        } else if (w->leader) {
            pthread_cond_wait(&w->synced_cond, &w->lock);
        } else {
            w->leader = true;
            target = w->finished;
            if (sync_dirty(b)) {
                w->synced = target;
            } else {
                w->failures++;
                w->failed_target = target;
            }
            w->leader = false;
            pthread_cond_broadcast(&w->synced_cond);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

void blobs_seal(struct blobs *b)
{
    struct blobs_write *w = b->w;

    pthread_mutex_lock(&w->lock);
    for (struct segment *s = w->segments; s; s = s->next)
        s->retired = true;
    w->active = NULL;
    drop_retired(w);
    pthread_mutex_unlock(&w->lock);
}

enum rc blobs_writer_open(struct blobs *b)
{
    struct blobs_write *w = calloc(1, sizeof *w);

    if (!w)
        return RC_TEMP;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->synced_cond, NULL);
    b->w = w;
    return RC_OK;
}

void blobs_writer_close(struct blobs *b)
{
    struct blobs_write *w = b->w;

    if (!w)
        return;
    while (w->segments)
        close_segment(w, w->segments);
    pthread_cond_destroy(&w->synced_cond);
    pthread_mutex_destroy(&w->lock);
    free(w->candidates);
    free(w);
    b->w = NULL;
}
