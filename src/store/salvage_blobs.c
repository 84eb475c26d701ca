/* Segments for salvage: read as far as they can be, written anew with each whole record where it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/backup_internal.h"
#include "store/blob_moved.h"
#include "store/salvage_internal.h"

static enum rc keep_blob(struct salvage *s, uint32_t number, const struct record *r)
{
    if (s->n_blobs == s->blobs_size) {
        size_t size = s->blobs_size ? 2 * s->blobs_size : 1024;
        struct kept_blob *more = realloc(s->blobs, size * sizeof *more);
        if (!more)
            return RC_TEMP;
        s->blobs = more;
        s->blobs_size = size;
    }
    uint64_t print = (r->body_sum ^ r->owner * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu + (uint64_t)r->time_s;
    s->blobs[s->n_blobs++] = (struct kept_blob){blob_id(number, r->offset), r->size, r->owner, r->time_s, print};
    s->stats->blobs++;
    s->stats->blob_bytes += r->size;
    return RC_OK;
}

static enum rc write_at(int fd, struct view v, uint64_t at)
{
    while (v.n > 0) {
        ssize_t n = pwrite(fd, v.p, v.n, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_TEMP;
        view_skip(&v, (size_t)n);
        at += (uint64_t)n;
    }
    return RC_OK;
}

static enum rc write_segment(struct salvage *s, int to_dir, const char *name, uint32_t number, struct view file)
{
    struct segment_head head = {0};
    struct record r;
    uint64_t at = SEGMENT_HEAD, gap = 0, lost = 0;
    char bytes[SEGMENT_HEAD];
    enum rc rc = RC_OK;
    int fd;

    if ((segment_head_parse(file, &head) != RC_OK || head.number != number) && segment_guess_salt(file, &head.salt) != RC_OK) {
        salvage_tell(s, "%s: nothing in it can be read", name);
        return RC_OK;
    }
    fd = openat(to_dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_TEMP;
    head.number = number;
    head.complete = SEGMENT_HEAD;
    if (head.created_s == 0)
        head.created_s = clock_real_s();
    while (rc == RC_OK && record_next(file, head.salt, &at, &r, &gap) == RC_OK) {
        if (record_body_sum(record_body(file, &r)) != r.body_sum) {
            lost++;
            continue;
        }
        rc = write_at(fd, view_slice(file, r.offset, RECORD_HEAD + r.size), r.offset);
        if (rc == RC_OK)
            rc = keep_blob(s, number, &r);
        head.complete = at;
    }
    segment_head_write(&head, bytes);
    if (rc == RC_OK)
        rc = write_at(fd, view_of(bytes, sizeof bytes), 0);
    if (rc == RC_OK && fsync(fd) != 0)
        rc = RC_TEMP;
    close(fd);
    if (lost > 0 || gap > 0)
        salvage_tell(s, "%s: %llu damaged records, %llu bytes of no record", name, (unsigned long long)lost,
                     (unsigned long long)gap);
    return rc;
}

static enum rc salvage_segment(struct salvage *s, int from_dir, int to_dir, uint32_t number)
{
    struct view file;
    uint64_t unreadable = 0;
    char name[24];
    enum rc rc;

    blobs_name(number, "seg", name);
    rc = blobs_load(from_dir, name, &file, &unreadable);
    s->stats->segments++;
    if (rc != RC_OK) {
        salvage_tell(s, "%s: cannot be read", name);
        return RC_OK;
    }
    if (unreadable > 0)
        salvage_tell(s, "%s: the disk does not give %llu bytes", name, (unsigned long long)unreadable);
    rc = write_segment(s, to_dir, name, number, file);
    blobs_unload(&file);
    return rc;
}

static enum rc salvage_table(struct salvage *s, int from_dir, int to_dir, uint32_t number)
{
    struct view file;
    const struct moved *m;
    size_t n;
    uint64_t unreadable = 0;
    char name[24];
    enum rc rc = RC_OK;

    blobs_name(number, "moved", name);
    if (blobs_load(from_dir, name, &file, &unreadable) != RC_OK || moved_parse(file, number, &m, &n) != RC_OK)
        salvage_tell(s, "%s: is damaged", name);
    else
        rc = backup_copy_file(from_dir, name, to_dir, name, 0, NULL);
    blobs_unload(&file);
    return rc;
}

enum rc salvage_blobs(struct salvage *s)
{
    struct blobs theirs = {.dir_fd = -1};
    uint32_t *segments = NULL, *tables = NULL;
    size_t n = 0, n_tables = 0;
    char *from = NULL, *to = NULL;
    int to_fd = -1;
    enum rc rc = RC_TEMP;

    if (asprintf(&from, "%s/blobs", s->from) < 0)
        from = NULL;
    if (asprintf(&to, "%s/blobs", s->to) < 0)
        to = NULL;
    if (!from || !to)
        goto done;
    rc = backup_make_folder(to);
    to_fd = rc == RC_OK ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (to_fd < 0) {
        rc = rc == RC_OK ? RC_TEMP : rc;
        goto done;
    }
    theirs.dir_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (theirs.dir_fd < 0) {
        salvage_tell(s, "blobs: there is no such folder");
        goto done;
    }
    rc = blobs_list(&theirs, "seg", &segments, &n);
    if (rc == RC_OK)
        rc = blobs_list(&theirs, "moved", &tables, &n_tables);
    for (size_t i = 0; i < n && rc == RC_OK; i++) /* rising: so s->blobs is sorted */
        rc = salvage_segment(s, theirs.dir_fd, to_fd, segments[i]);
    for (size_t i = 0; i < n_tables && rc == RC_OK; i++)
        rc = salvage_table(s, theirs.dir_fd, to_fd, tables[i]);
    if (rc == RC_OK && fsync(to_fd) != 0)
        rc = RC_TEMP;
done:
    if (theirs.dir_fd >= 0)
        close(theirs.dir_fd);
    if (to_fd >= 0)
        close(to_fd);
    free(segments);
    free(tables);
    free(from);
    free(to);
    return rc;
}

const struct kept_blob *salvage_find_blob(const struct salvage *s, uint64_t id)
{
    size_t lo = 0, hi = s->n_blobs;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->blobs[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n_blobs && s->blobs[lo].id == id ? &s->blobs[lo] : NULL;
}
