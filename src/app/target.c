#include "app/target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/users.h"

bool target_make(struct app *app, const char *dir)
{
    struct users users;

    if (!app_config(app) || !app_become(app, APP_ROOT))
        return false;
    users_find(app->config, &users);
    if (mkdir(dir, 0700) == 0) {
        if (users.root && chown(dir, users.store.uid, users.store.gid) != 0)
            return app_fail("%s: %s", dir, strerror(errno)), false;
    } else if (errno != EEXIST) {
        if (errno == ENOENT)
            return app_fail("cannot make %s: the folder above it is not there; make that first, open to user %s", dir,
                            users.store.name), false;
        return app_fail("cannot make %s: %s", dir, strerror(errno)), false;
    }
    if (!app_become(app, APP_STORE_USER))
        return false;
    if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
        return app_fail("user %s, who owns the mail, cannot write in %s (or not reach it): %s", users.store.name, dir,
                        strerror(errno)), false;
    return true;
}

bool target_has_server(struct app *app, bool *served)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct users users;
    const char *why = NULL;

    *served = false;
    if (!app_config(app) || !app_become(app, APP_ROOT))
        return false;
    users_find(app->config, &users);
    if (users_prepare_data(app->config, &users, &app->arena, &why) != RC_OK)
        return app_fail("%s", why ? why : "out of memory"), false;
    const char *path = arena_printf(&app->arena, "%s/run/lock", app->config->data);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return path && errno == ENOENT ? true : (app_fail("cannot open the lock of %s", app->config->data), false);
    *served = fcntl(fd, F_OFD_SETLK, &whole) != 0; /* serve.c holds it */
    close(fd);
    return true;
}

bool target_is_idle(struct app *app)
{
    bool served;
    if (!target_has_server(app, &served))
        return false;
    if (served)
        app_fail("a server is using %s: stop it first", app->config->data);
    return !served;
}
