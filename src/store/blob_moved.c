#include "store/blob_moved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"

#define MOVED_MAGIC "FacteurM"

struct moved_head {
    char magic[8];
    uint32_t version, number;
    uint64_t n;
    uint64_t sum; /* of the entries, seeded with the number */
};

static bool write_file(int fd, const void *p, size_t n)
{
    struct view v = view_of(p, n);

    while (v.n > 0) {
        ssize_t k = write(fd, v.p, v.n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        view_skip(&v, (size_t)k);
    }
    return true;
}

enum rc moved_write(const struct blobs *b, uint32_t number, const struct moved *m, size_t n)
{
    struct moved_head head = {.version = 1, .number = number, .n = n, .sum = XXH3_64bits_withSeed(m, n * sizeof *m, number)};
    char name[24], temp[24];
    enum rc rc = RC_OK;
    int fd;

    memcpy(head.magic, MOVED_MAGIC, sizeof head.magic);
    blobs_name(number, "moved", name);
    blobs_name(number, "temp", temp);
    fd = openat(b->dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !write_file(fd, &head, sizeof head) || !write_file(fd, m, n * sizeof *m) || fsync(fd) != 0 ||
        renameat(b->dir_fd, temp, b->dir_fd, name) != 0 || fsync(b->dir_fd) != 0) {
        rc = errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_TEMP;
        log_error("store.blob.write_failed", F_CSTR("op", "table"), F_INT("segment", number),
                  F_CSTR("error", strerrordesc_np(errno)));
        unlinkat(b->dir_fd, temp, 0);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

enum rc moved_parse(struct view in, uint32_t number, const struct moved **out, size_t *n)
{
    struct moved_head head;
    struct view rest;

    if (in.n < sizeof head)
        return RC_CORRUPT;
    memcpy(&head, in.p, sizeof head);
    rest = view_from(in, sizeof head);
    if (memcmp(head.magic, MOVED_MAGIC, sizeof head.magic) != 0 || head.version != 1 || head.number != number ||
        rest.n / sizeof(struct moved) != head.n || rest.n % sizeof(struct moved) != 0 ||
        head.sum != XXH3_64bits_withSeed(rest.p, rest.n, number))
        return RC_CORRUPT;
    *out = (const struct moved *)(const void *)rest.p;
    *n = head.n;
    return RC_OK;
}

enum rc moved_lookup(const struct moved *m, size_t n, uint64_t offset, uint64_t *id)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m[mid].offset < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || m[lo].offset != offset)
        return RC_NOTFOUND;
    *id = m[lo].id;
    return RC_OK;
}
