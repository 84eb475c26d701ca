#include "app/paths.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "sys/file.h"

void paths_init(struct paths *p)
{
    *p = (struct paths){.last = &p->first};
    arena_init(&p->arena, PATHS_BYTES_MAX);
}

void paths_clear(struct paths *p)
{
    arena_clear(&p->arena);
}

static bool add_file(struct paths *p, const char *name)
{
    struct path *path = arena_new(&p->arena, struct path);
    if (!path || !(path->name = arena_cstr(&p->arena, view_str(name))))
        return app_fail("out of memory"), false;
    *p->last = path;
    p->last = &path->next;
    p->n++;
    return true;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static bool add_folder(struct paths *p, const char *folder, unsigned depth)
{
    struct dirent **entries = NULL;
    struct stat st;
    const char *slash = view_ends(view_str(folder), VIEW("/")) ? "" : "/";
    int n = depth < PATHS_DEPTH_MAX ? scandir(folder, &entries, is_visible, alphasort) : 0;
    bool ok = n >= 0 || (app_fail("%s: cannot read the folder", folder), false);
    for (int i = 0; i < n; i++) {
        char *name = ok ? arena_printf(&p->arena, "%s%s%s", folder, slash, entries[i]->d_name) : NULL;
        if (ok && !name)
            ok = (app_fail("out of memory"), false);
        else if (ok && lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
            ok = add_folder(p, name, depth + 1);
        else if (ok && stat(name, &st) == 0 && S_ISREG(st.st_mode))
            ok = add_file(p, name);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool paths_add(struct paths *p, const char *name)
{
    struct stat st;
    bool is_folder = strcmp(name, "-") != 0 && stat(name, &st) == 0 && S_ISDIR(st.st_mode);
    p->is_list |= is_folder || p->n > 0;
    return is_folder ? add_folder(p, name, 0) : add_file(p, name);
}

static enum rc read_stream(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, 65536);
        ssize_t n = room ? read(fd, room, 65536) : -1;
        if (n <= 0)
            return n == 0 ? RC_OK : buf_rc(out) != RC_OK ? buf_rc(out) : RC_TEMP;
        buf_grew(out, (size_t)n);
    }
}

bool path_is_stream(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

enum rc path_read(const char *path, size_t max, struct buf *out)
{
    if (strcmp(path, "-") == 0)
        return read_stream(STDIN_FILENO, out);
    if (!path_is_stream(path))
        return file_read(path, max, out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return RC_DENIED;
    enum rc rc = read_stream(fd, out);
    close(fd);
    return rc;
}
