#include "sys/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#define NAME_FORMAT "%Y%m%dT%H%M%SZ.log"
#define NAME_MAX_   32
#define FILES_LEAST 8 /* a small allowance is cut into so many files, that old lines can go */
#define BYTES_LEAST (64u << 10)
#define DAY_S       86400

static int kept = -1;            /* the descriptor that log lines go to */
static char kept_name[NAME_MAX_]; /* of that file */

static bool read_name(const char *name, int64_t *began_s)
{
    struct tm tm = {0};
    char again[NAME_MAX_];
    const char *end = strptime(name, NAME_FORMAT, &tm);
    if (!end || *end || strftime(again, sizeof again, NAME_FORMAT, &tm) == 0 || strcmp(again, name) != 0)
        return false;
    *began_s = timegm(&tm);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct logfile *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int open_folder(const char *data)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER, data) >= (int)sizeof path)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum rc list_folder(int folder, struct arena *a, struct logfile **out, size_t *n)
{
    int copy = dup(folder);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct logfile *list = arena_new_array(a, LOGFILE_FILES_MAX, struct logfile);
    enum rc rc = dir && list ? RC_OK : RC_TEMP;

    *n = 0;
    if (dir)
        rewinddir(dir);
    else if (copy >= 0)
        close(copy);
    for (const struct dirent *e; rc == RC_OK && *n < LOGFILE_FILES_MAX && (e = readdir(dir));) {
        struct stat st;
        int64_t began_s;
        if (!read_name(e->d_name, &began_s) || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        list[*n] = (struct logfile){arena_cstr(a, view_str(e->d_name)), began_s, (uint64_t)st.st_size};
        rc = list[*n].name ? RC_OK : RC_TEMP;
        ++*n;
    }
    if (dir)
        closedir(dir);
    if (rc == RC_OK)
        qsort(list, *n, sizeof *list, by_name);
    *out = list;
    return rc;
}

enum rc logfile_list(const char *data, struct arena *a, struct logfile **out, size_t *n)
{
    int folder = open_folder(data);
    *n = 0;
    if (folder < 0)
        return file_rc(errno);
    enum rc rc = list_folder(folder, a, out, n);
    close(folder);
    return rc;
}

/* --- writing --- */

/* Other threads may be writing to the old descriptor: it becomes the new file in one step. */
static void use(int fd, const char *name)
{
    if (kept >= 0 && fd >= 0) {
        dup3(fd, kept, O_CLOEXEC);
        close(fd);
    } else if (fd >= 0) {
        kept = fd;
    }
    snprintf(kept_name, sizeof kept_name, "%s", name);
    log_keep(kept);
}

/* Nothing that somebody has put there in place of a file of ours. */
static int open_file(const struct logfile_settings *set, int folder, const char *name, int flags)
{
    struct stat st;
    int fd = openat(folder, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return -1;
    const bool given = !(flags & O_CREAT) || set->owner == (uid_t)-1 || fchown(fd, set->owner, set->group) == 0;
    if (given && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
        (set->owner == (uid_t)-1 || st.st_uid == set->owner))
        return fd;
    close(fd);
    return -1;
}

static void follow(const struct logfile_settings *set, int folder, const struct logfile *list, size_t n)
{
    if (n == 0 || set->bytes == 0 || strcmp(list[n - 1].name, kept_name) == 0)
        return;
    int fd = open_file(set, folder, list[n - 1].name, 0);
    if (fd >= 0)
        use(fd, list[n - 1].name);
}

static bool is_due(const struct logfile_settings *set, const struct logfile *list, size_t n, int64_t now_s)
{
    uint64_t most = set->bytes / FILES_LEAST;
    most = most > LOGFILE_BYTES_MAX ? LOGFILE_BYTES_MAX : most < BYTES_LEAST ? BYTES_LEAST : most;
    return n == 0 || list[n - 1].bytes >= most || list[n - 1].began_s / DAY_S < now_s / DAY_S;
}

static void begin_file(const struct logfile_settings *set, int folder, int64_t now_s)
{
    char name[NAME_MAX_];
    struct tm tm;
    time_t now = (time_t)now_s;
    if (!gmtime_r(&now, &tm) || strftime(name, sizeof name, NAME_FORMAT, &tm) == 0)
        return;
    int fd = open_file(set, folder, name, O_CREAT | O_EXCL); /* there already: a second is no time, it goes on */
    if (fd >= 0)
        use(fd, name);
    else if (errno != EEXIST)
        log_warn("log.failed", F_CSTR("reason", strerror(errno)));
}

static void remove_old(const struct logfile_settings *set, int folder, const struct logfile *list, size_t n, int64_t now_s)
{
    uint64_t sum = 0;
    for (size_t i = n; i-- > 0;) {
        /* A file's last line is as old as the first one of the next. */
        const bool is_old = i + 1 < n && list[i + 1].began_s < now_s - set->keep_s;
        sum += list[i].bytes;
        if (i + 1 < n && (is_old || sum > set->bytes))
            unlinkat(folder, list[i].name, 0);
    }
}

void logfile_turn(const struct logfile_settings *set)
{
    struct arena a;
    struct logfile *list;
    size_t n = 0;
    const int64_t now_s = clock_real_s();
    if (set->bytes == 0)
        return;
    int folder = open_folder(set->data);
    if (folder < 0) {
        log_warn("log.failed", F_CSTR("reason", strerror(errno)));
        return;
    }
    arena_init(&a, 4u << 20);
    if (list_folder(folder, &a, &list, &n) == RC_OK) {
        if (is_due(set, list, n, now_s))
            begin_file(set, folder, now_s);
        else
            follow(set, folder, list, n);
        remove_old(set, folder, list, n, now_s);
    }
    arena_clear(&a);
    close(folder);
}

void logfile_follow(const struct logfile_settings *set)
{
    struct arena a;
    struct logfile *list;
    size_t n = 0;
    int folder = set->bytes > 0 ? open_folder(set->data) : -1;
    if (folder < 0)
        return;
    arena_init(&a, 4u << 20);
    if (list_folder(folder, &a, &list, &n) == RC_OK)
        follow(set, folder, list, n);
    arena_clear(&a);
    close(folder);
}

int logfile_fd(void)
{
    return kept;
}
