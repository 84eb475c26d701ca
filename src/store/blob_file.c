/* Names, lists and plain reading of the files in the blob folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/blob_internal.h"

#define LOAD_PIECE (1u << 20)
#define LOAD_BLOCK 4096u

void blobs_name(uint32_t number, const char *kind, char out[24])
{
    snprintf(out, 24, "%08u.%s", number, kind);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool parse_name(const char *name, const char *kind, uint32_t *number)
{
    struct view v = view_str(name), base;
    uint64_t n;

    if (!view_split(&v, '.', &base) || !view_eq(v, view_str(kind)) || base.n < 8 ||
        !view_is_u64(base, SEGMENT_MAX, &n) || n == 0)
        return false;
    *number = (uint32_t)n;
    return true;
}

enum rc blobs_list(const struct blobs *b, const char *kind, uint32_t **out, size_t *n)
{
    int fd = openat(b->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    uint32_t *list = NULL, number;
    size_t used = 0, size = 0;
    struct dirent *e;
    enum rc rc = RC_OK;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return RC_TEMP;
    }
    while ((errno = 0, e = readdir(d))) {
        if (!parse_name(e->d_name, kind, &number))
            continue;
        if (used == size) {
            uint32_t *more = realloc(list, (size = size ? 2 * size : 64) * sizeof *list);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            list = more;
        }
        list[used++] = number;
    }
    if (errno != 0 && rc == RC_OK)
        rc = RC_TEMP;
    closedir(d);
    if (rc != RC_OK) {
        free(list);
        return rc;
    }
    if (used > 0)
        qsort(list, used, sizeof *list, compare_numbers);
    *out = list;
    *n = used;
    return RC_OK;
}

/* Fills p with the file's bytes from `at`; what the disk does not give, piece by piece, block by block, stays zero. */
static void read_piece(int fd, char *p, size_t n, uint64_t at, size_t step, uint64_t *unreadable)
{
    while (n > 0) {
        size_t want = n < step ? n : step;
        ssize_t k = pread(fd, p, want, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            return; /* it became shorter while we read */
        if (k < 0 && step > LOAD_BLOCK) {
            read_piece(fd, p, want, at, LOAD_BLOCK, unreadable);
            k = (ssize_t)want;
        } else if (k < 0) {
            *unreadable += want;
            k = (ssize_t)want;
        }
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
}

enum rc blobs_load_fd(int fd, uint64_t from, struct view *out, uint64_t *unreadable)
{
    struct stat st;
    char *p;

    *out = view_of(NULL, 0);
    if (fstat(fd, &st) != 0)
        return RC_TEMP;
    if (st.st_size == 0)
        return RC_OK;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return RC_TEMP;
    *out = view_of(p, (size_t)st.st_size);
    if (from < out->n)
        read_piece(fd, p + from, out->n - from, from, LOAD_PIECE, unreadable);
    return RC_OK;
}

enum rc blobs_load(int dir_fd, const char *name, struct view *out, uint64_t *unreadable)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum rc rc;

    if (fd < 0) {
        *out = view_of(NULL, 0);
        return errno == ENOENT ? RC_NOTFOUND : RC_TEMP;
    }
    rc = blobs_load_fd(fd, 0, out, unreadable);
    close(fd);
    return rc;
}

void blobs_unload(struct view *v)
{
    if (v->p)
        munmap((void *)(uintptr_t)v->p, v->n);
    *v = view_of(NULL, 0);
}

bool blobs_lock_file(int fd, bool exclusive)
{
    struct flock whole = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &whole) == 0; /* like flock(2): belongs to the open file, goes with it */
}

enum rc blobs_lock(const struct blobs *b, bool exclusive, int *fd)
{
    *fd = openat(b->dir_fd, "compact.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return RC_TEMP;
    if (blobs_lock_file(*fd, exclusive))
        return RC_OK;
    close(*fd);
    *fd = -1;
    return RC_TEMP;
}

enum rc blobs_open_at(const char *data, const char *node, size_t segment_bytes, struct blobs **out)
{
    struct blobs *b = calloc(1, sizeof *b);
    enum rc rc = RC_TEMP;

    if (!b)
        return RC_TEMP;
    b->dir_fd = -1;
    b->segment_bytes = segment_bytes ? segment_bytes : SEGMENT_BYTES;
    b->datasync = fdatasync;
    b->node = strdup(node);
    if (!b->node || asprintf(&b->dir, "%s/blobs", data) < 0) {
        b->dir = NULL;
        goto done;
    }
    if (mkdir(b->dir, 0700) != 0 && errno != EEXIST) {
        rc = errno == ENOSPC || errno == EDQUOT ? RC_FULL : RC_TEMP;
        log_error("store.blob.open_failed", F_CSTR("folder", b->dir), F_CSTR("error", strerrordesc_np(errno)));
        goto done;
    }
    b->dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dir_fd < 0) {
        log_error("store.blob.open_failed", F_CSTR("folder", b->dir), F_CSTR("error", strerrordesc_np(errno)));
        goto done;
    }
    int lock = openat(b->dir_fd, "compact.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock >= 0) /* made by whom the folder belongs to, before root runs a command */
        close(lock);
    rc = blobs_writer_open(b);
    if (rc == RC_OK)
        rc = blobs_reader_open(b);
done:
    if (rc == RC_OK)
        *out = b;
    else
        blobs_close(b);
    return rc;
}

void blobs_close(struct blobs *b)
{
    if (!b)
        return;
    blobs_writer_close(b);
    blobs_reader_close(b);
    if (b->dir_fd >= 0)
        close(b->dir_fd);
    free(b->dir);
    free(b->node);
    free(b);
}
