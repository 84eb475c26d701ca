/* app/process.h: files beside the configuration that only root may be able to read. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "app/process.h"

#define TRUST_MAX    (4u << 20)
#define PASSWORD_MAX 8192 /* of the file; more than one read of it */

static bool open_one(const char *path, int *fds, size_t max, size_t *n)
{
    if (*n >= max) {
        log_error("config.file.failed", F_CSTR("file", path), F_CSTR("reason", "too many files"));
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        log_error("config.file.failed", F_CSTR("file", path), F_CSTR("reason", strerror(errno)));
        return false;
    }
    fds[(*n)++] = fd;
    return true;
}

bool side_files_open(const struct config *c, int *fds, size_t max, size_t *n)
{
    bool ok = true;
    *n = 0;
    for (size_t i = 0; ok && i < c->tls.trust.n; i++)
        ok = open_one(c->tls.trust.v[i], fds, max, n);
    if (ok && c->relay.password_file)
        ok = open_one(c->relay.password_file, fds, max, n);
    while (!ok && *n > 0)
        close(fds[--*n]);
    return ok;
}

static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, 4096);
        ssize_t n = room ? read(fd, room, 4096) : -1;
        if (n < 0 && room && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        buf_grew(out, (size_t)n);
    }
}

bool side_files_read(const struct config *c, const int *fds, size_t n, struct side_files *out)
{
    bool ok = n == c->tls.trust.n + (c->relay.password_file != NULL);

    buf_init(&out->trust, TRUST_MAX);
    buf_init(&out->relay_password, PASSWORD_MAX);
    for (size_t i = 0; i < n; i++) {
        if (ok && i < c->tls.trust.n) {
            ok = read_all(fds[i], &out->trust);
            buf_chr(&out->trust, '\n'); /* some end without */
        } else if (ok) {
            ok = read_all(fds[i], &out->relay_password);
        }
        close(fds[i]);
    }
    buf_chr(&out->trust, 0);
    struct view all = buf_view(&out->relay_password), line;
    view_split(&all, '\n', &line);
    out->relay_password.n = view_trim(line).n; /* a trailing CR or blank is no part of it */
    buf_chr(&out->relay_password, 0);
    ok = ok && buf_rc(&out->trust) == RC_OK && buf_rc(&out->relay_password) == RC_OK;
    if (!ok) {
        log_error("config.file.failed", F_CSTR("reason", "cannot read the files of tls.trust or relay.password-file"));
        side_files_clear(out);
    }
    return ok;
}

void side_files_clear(struct side_files *s)
{
    buf_clear(&s->trust);
    buf_wipe(&s->relay_password);
    buf_clear(&s->relay_password);
}
