#include "store/compact.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/blob_moved.h"
#include "store/store_internal.h"

#define MAINTAIN_EVERY_MS (60 * 60 * 1000) /* the server looks at MAINTAIN_SEGMENTS so often */
#define MAINTAIN_FIRST_MS (10 * 60 * 1000)
#define MAINTAIN_SEGMENTS 64
#define MAINTAIN_IDLE_MS  10000

struct run {
    struct blobs *b;
    const struct compact_settings *set;
    struct compact_stats *stats;
    const struct id_set *rows;
    struct id_set live; /* where the rows' blobs are */
};

static void tell(const struct run *r, enum compact_step step, uint32_t segment)
{
    if (r->set->progress)
        r->set->progress(r->set->ctx, step, segment);
}

/* A segment that nobody writes to, mapped and locked by us. */
struct victim {
    uint32_t number;
    int fd;
    struct view file;
    struct segment_head head;
};

static bool open_victim(const struct blobs *b, uint32_t number, struct victim *v)
{
    char name[24];
    struct stat st;
    void *p;

    *v = (struct victim){.number = number};
    blobs_name(number, "seg", name);
    v->fd = openat(b->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (v->fd < 0 || !blobs_lock_file(v->fd, true) || fstat(v->fd, &st) != 0 || st.st_nlink == 0 || st.st_size < SEGMENT_HEAD)
        return false;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (p == MAP_FAILED)
        return false;
    v->file = view_of(p, (size_t)st.st_size);
    return segment_head_parse(v->file, &v->head) == RC_OK && v->head.number == number;
}

static void close_victim(struct victim *v)
{
    blobs_unload(&v->file);
    if (v->fd >= 0)
        close(v->fd);
}

/* True: so much of it is dead that it should go. */
static bool is_dead_enough(struct run *r, const struct victim *v)
{
    uint64_t at = SEGMENT_HEAD, gap = 0, live = 0;
    int64_t age = r->set->age_s ? r->set->age_s : COMPACT_AGE_S, now = clock_real_s();
    unsigned percent = r->set->dead_percent ? r->set->dead_percent : COMPACT_DEAD_PERCENT;
    bool young = false;
    struct record rec;

    while (record_next(v->file, v->head.salt, &at, &rec, &gap) == RC_OK) {
        if (id_set_has(&r->live, blob_id(v->number, rec.offset)))
            live += record_span(rec.size);
        if (age > 0 && rec.time_s > now - age)
            young = true;
    }
    uint64_t all = v->file.n - SEGMENT_HEAD, dead = all > live ? all - live : 0;
    r->stats->bytes += all;
    r->stats->dead += dead;
    return !young && dead > 0 && dead * 100 >= all * percent;
}

/* Copies the living. *moved from malloc. RC_CORRUPT: one of them is damaged or missing. */
static enum rc copy_living(struct run *r, const struct victim *v, struct moved **moved, size_t *n)
{
    size_t from = id_set_from(&r->live, blob_id(v->number, 0)), to = id_set_from(&r->live, blob_id(v->number + 1, 0));
    enum rc rc = RC_OK;

    *n = to - from;
    *moved = calloc(to - from + 1, sizeof **moved);
    if (!*moved)
        return RC_TEMP;
    for (size_t i = from; i < to && rc == RC_OK; i++) {
        uint64_t offset = blob_offset(r->live.ids[i]);
        struct moved *m = &(*moved)[i - from];
        struct blob_writer *w;
        struct record rec;
        rc = record_head_parse(view_slice(v->file, offset, RECORD_HEAD), v->head.salt, offset, &rec);
        if (rc == RC_OK && (record_body(v->file, &rec).n != rec.size ||
                            record_body_sum(record_body(v->file, &rec)) != rec.body_sum))
            rc = RC_CORRUPT;
        if (rc == RC_OK)
            rc = blobs_begin(r->b, rec.owner, &w);
        if (rc != RC_OK)
            break;
        blob_set_time(w, rec.time_s);
        (void)blob_append(w, record_body(v->file, &rec)); /* blob_finish tells of its failure */
        m->offset = offset;
        rc = blob_finish(w, &m->id);
    }
    return rc == RC_OK ? blobs_sync(r->b) : rc;
}

static enum rc remove_segment(struct blobs *b, uint32_t number)
{
    char name[24];

    blobs_name(number, "seg", name);
    return unlinkat(b->dir_fd, name, 0) == 0 && fsync(b->dir_fd) == 0 ? RC_OK : RC_TEMP;
}

static bool has_table(const struct blobs *b, uint32_t number)
{
    char name[24];

    blobs_name(number, "moved", name);
    return faccessat(b->dir_fd, name, F_OK, 0) == 0;
}

static enum rc sweep_segment(struct run *r, uint32_t number)
{
    struct victim v;
    struct moved *moved = NULL;
    size_t n = 0;
    enum rc rc = RC_OK;

    if (!open_victim(r->b, number, &v))
        goto done; /* in use or damaged */
    r->stats->looked++;
    if (!has_table(r->b, number)) { /* else a crash came between table and removal */
        if (!is_dead_enough(r, &v))
            goto done;
        tell(r, COMPACT_LOOKED, number);
        rc = copy_living(r, &v, &moved, &n);
        if (rc == RC_CORRUPT) {
            log_error("store.compact.damaged", F_INT("segment", number));
            rc = RC_OK;
            goto done;
        }
        tell(r, COMPACT_COPIED, number);
        if (rc == RC_OK && n > 0)
            rc = moved_write(r->b, number, moved, n);
        if (rc != RC_OK)
            goto done;
        tell(r, COMPACT_TABLE, number);
    }
    rc = remove_segment(r->b, number);
    if (rc == RC_OK) {
        r->stats->compacted++;
        r->stats->moved += n;
        r->stats->freed += v.file.n;
        tell(r, COMPACT_REMOVED, number);
    }
done:
    free(moved);
    close_victim(&v);
    return rc;
}

/* Leads the entries of a table straight to where the blobs are (drop: false), or takes out those that no row asks for
 * (drop: true). RC_NOTFOUND: one that a row asks for leads nowhere. */
static enum rc shorten_table(struct run *r, uint32_t number, bool drop)
{
    struct view file;
    const struct moved *m;
    struct moved *kept = NULL;
    struct record rec;
    size_t n, n_kept = 0;
    uint64_t unreadable = 0;
    bool changed = false, lost = false;
    char name[24];
    enum rc rc;

    blobs_name(number, "moved", name);
    rc = blobs_load(r->b->dir_fd, name, &file, &unreadable);
    if (rc == RC_OK)
        rc = moved_parse(file, number, &m, &n);
    if (rc != RC_OK)
        goto done;
    kept = calloc(n + 1, sizeof *kept);
    if (!kept) {
        rc = RC_TEMP;
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        kept[n_kept] = m[i];
        if (drop && !id_set_has(r->rows, blob_id(number, m[i].offset)))
            continue;
        if (!drop && blobs_find(r->b, m[i].id, false, &kept[n_kept].id, &rec) != RC_OK) {
            kept[n_kept].id = m[i].id;
            lost = lost || id_set_has(r->rows, blob_id(number, m[i].offset));
        }
        changed = changed || kept[n_kept].id != m[i].id;
        n_kept++;
    }
    changed = changed || n_kept < n;
    if (changed && n_kept > 0)
        rc = moved_write(r->b, number, kept, n_kept);
    else if (changed && unlinkat(r->b->dir_fd, name, 0) != 0)
        rc = RC_TEMP;
    if (changed)
        tell(r, COMPACT_SHORTENED, number);
    if (rc == RC_OK && lost)
        rc = RC_NOTFOUND;
done:
    free(kept);
    blobs_unload(&file);
    return rc;
}

/* An entry that no row asks for may still stand on the way of another table's, so all ways are made short first. */
static enum rc shorten_tables(struct run *r)
{
    uint32_t *tables = NULL;
    size_t n = 0;
    enum rc rc = blobs_list(r->b, "moved", &tables, &n);

    for (int drop = 0; drop < 2 && rc == RC_OK; drop++)
        for (size_t i = 0; i < n && rc == RC_OK; i++)
            rc = shorten_table(r, tables[i], drop == 1);
    free(tables);
    return rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc; /* for verify to tell; the tables stay as they are */
}

enum rc compact_blobs(struct blobs *b, const uint32_t *segments, size_t n, const struct id_set *rows,
                      const struct compact_settings *set, struct compact_stats *out)
{
    struct run r = {.b = b, .set = set, .stats = out, .rows = rows};
    enum rc rc = live_resolve(b, rows, segments, n, &r.live);

    out->segments = n;
    for (size_t i = 0; i + 1 < n && rc == RC_OK; i++) { /* not the last: its number keeps the count */
        if (segments[i] < set->from)
            continue;
        if (set->max_segments > 0 && out->looked >= set->max_segments) {
            out->next = segments[i];
            break;
        }
        rc = sweep_segment(&r, segments[i]);
    }
    if (rc == RC_OK && out->compacted > 0)
        rc = shorten_tables(&r);
    id_set_clear(&r.live);
    return rc;
}

enum rc compact_run(struct store *s, const struct compact_settings *set, struct compact_stats *out)
{
    struct blobs *b = s->blobs;
    struct id_set rows = {0};
    uint32_t *segments = NULL;
    size_t n = 0;
    int lock = -1;
    enum rc rc;

    *out = (struct compact_stats){0};
    rc = blobs_lock(b, true, &lock);
    if (rc != RC_OK)
        return rc;
    rc = blobs_list(b, "seg", &segments, &n);
    if (rc == RC_OK)
        rc = live_gather(s, &rows);
    if (rc == RC_OK)
        rc = compact_blobs(b, segments, n, &rows, set, out);
    id_set_clear(&rows);
    free(segments);
    close(lock);
    return rc;
}

enum rc blobs_maintain(struct store *s, bool compact)
{
    struct compact_settings set = {.from = s->blobs->compact_next, .max_segments = MAINTAIN_SEGMENTS};
    struct compact_stats stats;
    int64_t now = clock_mono_ms();
    enum rc rc;

    blobs_trim(s->blobs, MAINTAIN_IDLE_MS);
    if (s->blobs->compact_due_ms == 0)
        s->blobs->compact_due_ms = now + MAINTAIN_FIRST_MS;
    if (!compact || now < s->blobs->compact_due_ms)
        return RC_OK;
    s->blobs->compact_due_ms = now + MAINTAIN_EVERY_MS;
    rc = compact_run(s, &set, &stats);
    if (rc == RC_OK) {
        s->blobs->compact_next = stats.next;
        if (stats.compacted > 0)
            log_info("store.compact.done", F_INT("segments", stats.compacted), F_INT("moved", stats.moved),
                     F_INT("freed", stats.freed));
    }
    return rc == RC_TEMP ? RC_OK : rc; /* a backup runs, or the log has it: the next round will do */
}
