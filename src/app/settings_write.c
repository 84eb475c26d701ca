#include "app/settings_write.h"

#include <errno.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/hex.h"
#include "sys/file.h"

static enum rc read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, 4096);
        ssize_t n = room ? pread(fd, room, 4096, (off_t)out->n) : -1;
        if (n < 0)
            return room ? RC_TEMP : buf_rc(out);
        if (n == 0)
            return RC_OK;
        buf_grew(out, (size_t)n);
    }
}

/* Is the file still the one that the change was made from? */
static enum rc compare(const char *path, struct view was)
{
    struct buf text;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    buf_init(&text, CONFIG_TEXT_MAX);
    enum rc rc = file_read(path, CONFIG_TEXT_MAX, &text);
    if (rc == RC_OK)
        rc = sha256(buf_view(&text), digest);
    buf_clear(&text);
    if (rc != RC_OK)
        return rc;
    hex_write(view_of(digest, sizeof digest), hex);
    return view_eq(view_str(hex), was) ? RC_OK : RC_EXISTS;
}

static bool differs(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

static bool has_path(const struct config *c, const char *path)
{
    for (size_t i = 0; i < c->n_seen; i++)
        for (size_t j = 0; c->seen[i].is_path && j < c->seen[i].values.n; j++)
            if (strcmp(c->seen[i].values.v[j], path) == 0)
                return true;
    for (size_t i = 0; i < c->outbound.destinations.n; i++)
        if (!differs(c->outbound.destinations.v[i].trust, path))
            return true;
    return false;
}

/* Such files are opened by root: no path comes from here that was not there before. */
static const char *new_path(const struct config *now, const struct config *next)
{
    for (size_t i = 0; i < next->n_seen; i++)
        for (size_t j = 0; next->seen[i].is_path && j < next->seen[i].values.n; j++)
            if (!has_path(now, next->seen[i].values.v[j]))
                return next->seen[i].values.v[j];
    for (size_t i = 0; i < next->outbound.destinations.n; i++)
        if (next->outbound.destinations.v[i].trust && !has_path(now, next->outbound.destinations.v[i].trust))
            return next->outbound.destinations.v[i].trust;
    return NULL;
}

static enum rc check_change(const struct config *now, const struct config *next, struct buf *why)
{
    const char *path = new_path(now, next);
    if (differs(now->user, next->user) || differs(now->vault_user, next->vault_user) || differs(now->data, next->data) ||
        differs(now->store, next->store) || differs(now->blobs, next->blobs))
        buf_str(why, "user, vault-user, data, store and blobs can only be changed in the file itself, on the server.");
    else if (path)
        buf_printf(why, "%s is a file that the settings do not name yet: such a path can only be added in the file itself, on the server.", path);
    return why->n > 0 ? RC_DENIED : RC_OK;
}

enum rc settings_write(const struct config *now, const char *path, int fd, struct buf *why)
{
    struct config *next = NULL;
    struct buf all, errors;
    buf_init(&all, CONFIG_TEXT_MAX + SETTINGS_WAS);
    buf_init(&errors, 65536);
    enum rc rc = read_all(fd, &all);
    if (rc == RC_OK && all.n < SETTINGS_WAS)
        rc = RC_SYNTAX;
    if (rc == RC_OK)
        rc = compare(path, view_slice(buf_view(&all), 0, SETTINGS_WAS));
    struct view text = view_from(buf_view(&all), SETTINGS_WAS);
    if (rc == RC_OK)
        rc = config_parse(now->file, text, &next, &errors);
    if (rc == RC_OK)
        rc = check_change(now, next, why);
    if (rc == RC_OK && (rc = file_replace(path, text)) != RC_OK)
        buf_printf(why, "%s cannot be written: %s.", path, strerror(errno));
    config_free(next);
    buf_clear(&errors);
    buf_clear(&all);
    return rc;
}
