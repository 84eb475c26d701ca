#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum rc read_fd(int fd, size_t max, struct buf *out)
{
    const size_t before = out->n;
    for (;;) {
        char *p = buf_room(out, 4096);
        char last[4096]; /* where out is nearly full, but the file may end before */
        ssize_t n = read(fd, p ? p : last, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RC_TEMP;
        if (n == 0) {
            if (!p && out->fail == RC_LIMIT)
                out->fail = RC_OK;
            return RC_OK;
        }
        if (out->n - before + (size_t)n > max)
            return RC_LIMIT;
        if (p) {
            buf_grew(out, (size_t)n);
        } else {
            if (out->fail == RC_LIMIT)
                out->fail = RC_OK;
            buf_add(out, view_of(last, (size_t)n));
            if (buf_rc(out) != RC_OK)
                return buf_rc(out);
        }
    }
}

/* The length of the folder part of path, without the last slash unless it is the root. 0: none. */
static size_t parent_len(struct view path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    size_t slash = view_rchr(path, '/');
    if (slash == VIEW_NONE)
        return 0;
    return slash > 0 ? slash : 1;
}

static enum rc parent_of(const char *path, char out[PATH_MAX])
{
    struct view v = view_str(path);
    size_t n = parent_len(v);
    return view_cstr(n > 0 ? view_slice(v, 0, n) : VIEW("."), out, PATH_MAX);
}

enum rc file_rc(int err)
{
    switch (err) {
    case 0: return RC_OK;
    case ENOENT:
    case ENOTDIR: return RC_NOTFOUND;
    case EEXIST: return RC_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP: return RC_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return RC_FULL;
    case ENAMETOOLONG: return RC_LIMIT;
    default: return RC_TEMP;
    }
}

enum rc file_read(const char *path, size_t max, struct buf *out)
{
    const size_t before = out->n;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name must not block us */
    if (fd < 0)
        return file_rc(errno);
    enum rc rc = RC_DENIED;
    if (fstat(fd, &st) < 0)
        rc = RC_TEMP;
    else if (S_ISREG(st.st_mode))
        rc = read_fd(fd, max, out);
    close(fd);
    if (rc != RC_OK)
        out->n = before;
    return rc;
}

enum rc file_write_all(int fd, struct view data)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno != EINTR)
            return file_rc(errno);
        if (n > 0)
            view_skip(&data, (size_t)n);
    }
    return RC_OK;
}

enum rc file_sync_parent(const char *path)
{
    char dir[PATH_MAX];
    enum rc rc = parent_of(path, dir);
    if (rc != RC_OK)
        return rc;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_rc(errno);
    rc = fsync(fd) == 0 ? RC_OK : file_rc(errno);
    close(fd);
    return rc;
}

/* owner: NULL: ours. */
static enum rc write_anew(const char *path, struct view data, mode_t mode, const struct stat *owner)
{
    char tmp[PATH_MAX], dir[PATH_MAX];
    enum rc rc = parent_of(path, dir);
    const char *slash = strrchr(path, '/');
    int fd = -1, err = 0;

    if (rc != RC_OK)
        return rc;
    int n = snprintf(tmp, sizeof tmp, "%s/.%s.XXXXXX", dir, slash ? slash + 1 : path);
    if (n < 0 || (size_t)n >= sizeof tmp)
        return RC_LIMIT;
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return file_rc(errno);
    rc = file_write_all(fd, data);
    if (rc == RC_OK && owner && (owner->st_uid != geteuid() || owner->st_gid != getegid()) && fchown(fd, owner->st_uid, owner->st_gid) < 0)
        rc = file_rc(errno);
    if (rc == RC_OK && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        rc = file_rc(errno);
    err = errno;
    if (close(fd) < 0 && rc == RC_OK)
        rc = file_rc(err = errno);
    if (rc == RC_OK && rename(tmp, path) < 0)
        rc = file_rc(err = errno);
    if (rc == RC_OK)
        return file_sync_parent(path);
    unlink(tmp);
    errno = err;
    return rc;
}

enum rc file_write_atomic(const char *path, struct view data, mode_t mode)
{
    return write_anew(path, data, mode, NULL);
}

enum rc file_replace(const char *path, struct view data)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) < 0)
        return file_rc(errno);
    return write_anew(real, data, st.st_mode & 07777, &st);
}

enum rc file_mkdirs(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    struct view v = view_str(path);
    struct stat st;

    if (v.n == 0)
        return RC_NOTFOUND;
    if (mkdir(path, mode) == 0)
        return file_sync_parent(path);
    if (errno == EEXIST)
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? RC_OK : RC_EXISTS;
    size_t n = parent_len(v);
    if (errno != ENOENT || n == 0 || n == v.n)
        return file_rc(errno);
    enum rc rc = view_cstr(view_slice(v, 0, n), part, sizeof part); /* each round is shorter: ends */
    if (rc == RC_OK)
        rc = file_mkdirs(part, mode);
    if (rc != RC_OK)
        return rc;
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return file_rc(errno);
    return file_sync_parent(path);
}
