#include "app/users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct user_id user_of(const char *name, uid_t uid, gid_t gid)
{
    struct user_id u = {.uid = uid, .gid = gid};
    snprintf(u.name, sizeof u.name, "%s", name);
    return u;
}

static bool find_user(const char *name, struct user_id *out)
{
    const struct passwd *pw = strlen(name) < USER_NAME_MAX ? getpwnam(name) : NULL;
    if (!pw)
        return false;
    *out = user_of(name, pw->pw_uid, pw->pw_gid);
    return true;
}

/* The first folder on the way to `path` that this user cannot pass; its owner in *owner. Missing ones are no hindrance. */
static bool find_closed(const char *path, const struct user_id *user, struct users *out, struct stat *owner)
{
    const uid_t was_uid = geteuid();
    const gid_t was_gid = getegid();
    bool closed = false;
    char full[4096] = "", inside[sizeof full + 2];
    size_t n = 0;

    if (path[0] != '/') {
        if (!getcwd(full, sizeof full))
            return false;
        n = strlen(full);
    }
    if (snprintf(full + n, sizeof full - n, "%s%s", n > 0 ? "/" : "", path) >= (int)(sizeof full - n))
        return false;
    if (users_become_effective(user->uid, user->gid) != RC_OK)
        return false;
    for (size_t at = 1; !closed && full[at]; at++) {
        if (full[at] != '/')
            continue;
        snprintf(inside, sizeof inside, "%.*s/.", (int)at, full);
        if (eaccess(inside, F_OK) != 0 && errno == EACCES) {
            inside[at] = '\0';
            closed = users_become_effective(was_uid, was_gid) == RC_OK && stat(inside, owner) == 0;
            snprintf(out->closed, sizeof out->closed, "%s", inside);
        }
    }
    if (users_become_effective(was_uid, was_gid) != RC_OK)
        return false;
    return closed;
}

/* Where the user cannot come to the data, its keeper does the work: the owner of the closed folder, who may be root; of
 * root's rights nothing but the name remains then (confine_become takes the capabilities). */
static void stand_in(const struct config *c, struct users *out)
{
    struct stat st;
    if (!find_closed(c->data, &out->store, out, &st))
        return;
    const struct passwd *pw = getpwuid(st.st_uid);
    if (!pw)
        return;
    out->store = user_of(pw->pw_name, pw->pw_uid, pw->pw_gid);
    out->vault = out->store;
    out->vault.missing = true;
}

void users_find(const struct config *c, struct users *out)
{
    *out = (struct users){.root = getuid() == 0 || geteuid() == 0};
    if (!out->root) {
        out->store = user_of(c->user, geteuid(), getegid());
        out->vault = out->store;
        return;
    }
    if (!find_user(c->user, &out->store)) {
        if (!find_user("nobody", &out->store))
            out->store = user_of("nobody", 65534, 65534);
        out->store.missing = true;
    }
    if (!find_user(c->vault_user, &out->vault)) {
        out->vault = out->store;
        out->vault.missing = true;
    }
    stand_in(c, out);
}

enum rc users_become_effective(uid_t uid, gid_t gid)
{
    if (geteuid() != 0 && seteuid(0) != 0)
        return RC_DENIED;
    if (setegid(gid) != 0 || setgroups(0, NULL) != 0)
        return RC_DENIED;
    return uid == 0 || seteuid(uid) == 0 ? RC_OK : RC_DENIED;
}

/* A folder with owner and mode; one of ours that exists is set right. */
static enum rc prepare_folder(const char *path, const struct users *u, const struct user_id *owner, mode_t mode,
                              struct arena *a, const char **why)
{
    struct stat st;
    if (mkdir(path, mode) != 0 && errno != EEXIST) {
        *why = arena_printf(a, "cannot make the folder %s: %s", path, strerror(errno));
        return errno == EACCES || errno == ENOENT ? RC_DENIED : RC_TEMP;
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        *why = arena_printf(a, "%s is not a folder that can be used: %s", path, strerror(errno ? errno : ENOTDIR));
        return RC_DENIED;
    }
    if (u->root && st.st_uid != owner->uid) {
        if (st.st_uid != 0) {
            *why = arena_printf(a, "%s belongs to user %u, not to %s: chown it, or change `user` in the configuration", path,
                                (unsigned)st.st_uid, owner->name);
            return RC_DENIED;
        }
        if (chown(path, owner->uid, owner->gid) != 0) {
            *why = arena_printf(a, "cannot give %s to user %s: %s", path, owner->name, strerror(errno));
            return RC_DENIED;
        }
    }
    if ((u->root || st.st_uid == geteuid()) && (st.st_mode & 0777) != mode && chmod(path, mode) != 0) {
        *why = arena_printf(a, "cannot set the mode of %s: %s", path, strerror(errno));
        return RC_DENIED;
    }
    return RC_OK;
}

/* Every folder above must let the user pass. */
static enum rc check_way(const char *path, const struct user_id *user, struct arena *a, const char **why)
{
    const uid_t was_uid = geteuid();
    const gid_t was_gid = getegid();
    struct stat st;
    enum rc rc = RC_OK;

    if (users_become_effective(user->uid, user->gid) != RC_OK)
        return RC_DENIED;
    if (stat(path, &st) != 0 && errno == EACCES)
        rc = RC_DENIED;
    if (users_become_effective(was_uid, was_gid) != RC_OK)
        return RC_DENIED;
    if (rc != RC_OK)
        *why = arena_printf(a, "user %s cannot reach %s: a folder above is closed to it (chmod o+x the folders above)",
                            user->name, path);
    return rc;
}

enum rc users_prepare_data(const struct config *c, const struct users *u, struct arena *a, const char **why)
{
    const char *run = arena_printf(a, "%s/run", c->data), *vault = arena_printf(a, "%s/vault", c->data),
               *log = arena_printf(a, "%s/log", c->data);
    const char *inside = arena_printf(a, "%s/.", c->data);
    enum rc rc;

    *why = NULL;
    if (!run || !vault || !inside || !log)
        return RC_TEMP;
    /* The vault's user passes through data to its own folder, and can list nothing there. */
    const mode_t mode = u->vault.uid != u->store.uid ? 0711 : 0700;
    if ((rc = prepare_folder(c->data, u, &u->store, mode, a, why)) != RC_OK ||
        (rc = prepare_folder(run, u, &u->store, 0700, a, why)) != RC_OK || (rc = prepare_folder(log, u, &u->store, 0700, a, why)) != RC_OK ||
        (rc = prepare_folder(vault, u, &u->vault, 0700, a, why)) != RC_OK)
        return rc;
    if (!u->root)
        return RC_OK;
    if ((rc = check_way(inside, &u->store, a, why)) != RC_OK)
        return rc;
    return check_way(vault, &u->vault, a, why);
}
