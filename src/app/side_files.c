/* app/process.h: files beside the configuration that only root may be able to read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
    if (ok && c->tls.client_trust)
        ok = open_one(c->tls.client_trust, fds, max, n);
    if (ok && c->relay.password_file)
        ok = open_one(c->relay.password_file, fds, max, n);
    if (ok && c->acme.eab_key_file)
        ok = open_one(c->acme.eab_key_file, fds, max, n);
    if (ok && c->dns_update.key_file)
        ok = open_one(c->dns_update.key_file, fds, max, n);
    if (ok && c->bimi.roots)
        ok = open_one(c->bimi.roots, fds, max, n);
    for (size_t i = 0; ok && i < c->outbound.destinations.n; i++)
        if (c->outbound.destinations.v[i].trust)
            ok = open_one(c->outbound.destinations.v[i].trust, fds, max, n);
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

static bool read_pem(int fd, struct buf *out)
{
    bool ok = read_all(fd, out);
    buf_chr(out, '\n'); /* some end without */
    return ok;
}

static bool read_secret(int fd, struct buf *out)
{
    bool ok = read_all(fd, out);
    struct view all = buf_view(out), line;
    view_split(&all, '\n', &line);
    out->n = view_trim(line).n; /* a trailing CR or blank is no part of it */
    return ok;
}

/* One of them for each destination, whether or not it has a file. */
static bool begin_destinations(const struct config *c, struct side_files *out)
{
    out->n_destinations = 0;
    out->destination_trust = calloc(c->outbound.destinations.n + 1, sizeof *out->destination_trust);
    if (!out->destination_trust)
        return false;
    out->n_destinations = c->outbound.destinations.n;
    for (size_t i = 0; i < out->n_destinations; i++)
        buf_init(&out->destination_trust[i], TRUST_MAX);
    return true;
}

static size_t count_files(const struct config *c)
{
    size_t n = c->tls.trust.n + (c->tls.client_trust != NULL) + (c->relay.password_file != NULL) + (c->acme.eab_key_file != NULL) + (c->dns_update.key_file != NULL) +
               (c->bimi.roots != NULL);
    for (size_t i = 0; i < c->outbound.destinations.n; i++)
        n += c->outbound.destinations.v[i].trust != NULL;
    return n;
}

bool side_files_read(const struct config *c, const int *fds, size_t n, struct side_files *out)
{
    size_t at = 0;
    buf_init(&out->trust, TRUST_MAX);
    buf_init(&out->client_trust, TRUST_MAX);
    buf_init(&out->relay_password, PASSWORD_MAX);
    buf_init(&out->eab_key, PASSWORD_MAX);
    buf_init(&out->update_key, PASSWORD_MAX);
    buf_init(&out->mark_roots, TRUST_MAX);
    bool ok = begin_destinations(c, out) && n == count_files(c);
    for (size_t i = 0; ok && i < c->tls.trust.n; i++)
        ok = read_pem(fds[at++], &out->trust);
    if (ok && c->tls.client_trust)
        ok = read_pem(fds[at++], &out->client_trust);
    if (ok && c->relay.password_file)
        ok = read_secret(fds[at++], &out->relay_password);
    if (ok && c->acme.eab_key_file)
        ok = read_secret(fds[at++], &out->eab_key);
    if (ok && c->dns_update.key_file)
        ok = read_secret(fds[at++], &out->update_key);
    if (ok && c->bimi.roots)
        ok = read_pem(fds[at++], &out->mark_roots);
    for (size_t i = 0; ok && i < out->n_destinations; i++) {
        if (c->outbound.destinations.v[i].trust)
            ok = read_pem(fds[at++], &out->destination_trust[i]);
        buf_chr(&out->destination_trust[i], 0);
        ok = ok && buf_rc(&out->destination_trust[i]) == RC_OK;
    }
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
    buf_chr(&out->trust, 0);
    buf_chr(&out->client_trust, 0);
    buf_chr(&out->relay_password, 0);
    buf_chr(&out->eab_key, 0);
    buf_chr(&out->update_key, 0);
    buf_chr(&out->mark_roots, 0);
    ok = ok && buf_rc(&out->trust) == RC_OK && buf_rc(&out->client_trust) == RC_OK && buf_rc(&out->relay_password) == RC_OK && buf_rc(&out->eab_key) == RC_OK &&
         buf_rc(&out->update_key) == RC_OK && buf_rc(&out->mark_roots) == RC_OK;
    if (!ok) {
        log_error("config.file.failed", F_CSTR("reason", "cannot read the files of tls.trust, relay.password-file, acme.eab-key-file, dns-update.key-file, bimi.roots or a destination's trust"));
        side_files_clear(out);
    }
    return ok;
}

void side_files_clear(struct side_files *s)
{
    buf_clear(&s->trust);
    buf_clear(&s->client_trust);
    buf_wipe(&s->relay_password);
    buf_clear(&s->relay_password);
    buf_wipe(&s->eab_key);
    buf_clear(&s->eab_key);
    buf_wipe(&s->update_key);
    buf_clear(&s->update_key);
    buf_clear(&s->mark_roots);
    for (size_t i = 0; i < s->n_destinations; i++)
        buf_clear(&s->destination_trust[i]);
    free(s->destination_trust);
    s->destination_trust = NULL;
    s->n_destinations = 0;
}
