/* facteur import ACCOUNT PATH: an mbox file, or a Maildir with its folders, into an account. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/ingest.h"
#include "app/maildir.h"
#include "app/mbox.h"
#include "app/noted.h"
#include "app/progress.h"
#include "store/directory.h"
#include "sys/file.h"

#define IMPORT_ARENA_MAX   (1u << 30) /* the list of a Maildir's files */
#define IMPORT_MESSAGE_MAX (1u << 30)

struct import {
    struct app *app;
    struct ingest *ingest;
    struct progress progress;
    uint64_t refused; /* files that could not be read, each told on stderr */
};

static int import_failed(struct import *im, enum rc rc, const char *what)
{
    enum rc kept = ingest_flush(im->ingest);
    progress_end(&im->progress);
    if (kept == RC_OK && ingest_count(im->ingest) > 0)
        fprintf(stderr, "facteur: the %llu messages before it are in the account\n", (unsigned long long)ingest_count(im->ingest));
    return app_fail_rc(rc, what);
}

static int import_mbox(struct import *im, struct view file, struct view folder_path)
{
    struct mbox_message m;
    struct buf message, keywords;
    uint64_t folder;
    uint32_t flags;
    size_t total = file.n;
    enum rc rc = ingest_folder(im->ingest, folder_path, &folder);

    if (rc != RC_OK)
        return import_failed(im, rc, "make the folder");
    buf_init(&message, IMPORT_MESSAGE_MAX);
    buf_init(&keywords, 1u << 16);
    while ((rc = mbox_next(&file, &m)) == RC_OK) {
        buf_reset(&message);
        buf_reset(&keywords);
        rc = mbox_decode(m.raw, &message, &flags, &keywords);
        if (rc == RC_OK)
            rc = ingest_add(im->ingest, folder, buf_view(&message), flags, view_trim(buf_view(&keywords)), m.date);
        if (rc != RC_OK)
            break;
        progress_tell(&im->progress, total - file.n, total);
    }
    buf_clear(&message);
    buf_clear(&keywords);
    if (rc == RC_SYNTAX)
        return app_fail("this is neither an mbox file (it does not begin with \"From \") nor a Maildir folder");
    if (rc != RC_NOTFOUND)
        return import_failed(im, rc, "import a message");
    return EXIT_DONE;
}

/* Files may be readable by whoever runs the command only, the store by its own user. */
static enum rc read_as_caller(struct import *im, const char *path, struct buf *out)
{
    if (!app_become(im->app, APP_ROOT))
        return RC_DENIED;
    enum rc rc = file_read(path, IMPORT_MESSAGE_MAX, out);
    if (!app_become(im->app, APP_STORE_USER))
        return RC_DENIED;
    return rc;
}

static int import_folder(struct import *im, const struct maildir_folder *f, struct arena *a)
{
    struct maildir_message *list = NULL;
    struct buf raw, message;
    uint64_t folder;
    size_t n;
    enum rc rc = RC_OK;

    if (!app_become(im->app, APP_ROOT))
        return EXIT_FAILED;
    rc = maildir_messages(f->dir, a, &list, &n);
    if (!app_become(im->app, APP_STORE_USER))
        return EXIT_FAILED;
    if (rc == RC_OK)
        rc = ingest_folder(im->ingest, f->path, &folder);
    if (rc != RC_OK)
        return import_failed(im, rc, "read a folder");
    buf_init(&raw, IMPORT_MESSAGE_MAX);
    buf_init(&message, IMPORT_MESSAGE_MAX);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        buf_reset(&raw);
        buf_reset(&message);
        rc = read_as_caller(im, list[i].file, &raw);
        if (rc == RC_NOTFOUND || rc == RC_DENIED || rc == RC_LIMIT) { /* gone meanwhile, or not ours to read */
            fprintf(stderr, "facteur: %s: %s\n", list[i].file, rc == RC_LIMIT ? "too large" : strerror(errno));
            im->refused++;
            rc = RC_OK;
            continue;
        }
        if (rc == RC_OK) {
            mbox_to_crlf(buf_view(&raw), &message);
            rc = buf_rc(&message);
        }
        if (rc == RC_OK)
            rc = ingest_add(im->ingest, folder, buf_view(&message), list[i].flags, list[i].keywords, list[i].date);
        progress_tell(&im->progress, i + 1, n);
    }
    buf_clear(&raw);
    buf_clear(&message);
    return rc == RC_OK ? EXIT_DONE : import_failed(im, rc, "import a message");
}

static int import_maildir(struct import *im, const char *path, const struct view *only)
{
    struct maildir_folder *folders;
    struct arena a;
    size_t n;
    int code = EXIT_DONE;

    arena_init(&a, IMPORT_ARENA_MAX);
    if (!app_become(im->app, APP_ROOT))
        return EXIT_FAILED;
    enum rc rc = maildir_folders(path, &a, &folders, &n);
    if (!app_become(im->app, APP_STORE_USER))
        return EXIT_FAILED;
    if (rc == RC_SYNTAX)
        code = app_fail("%s is neither an mbox file nor a Maildir (it has no folder 'cur')", path);
    else if (rc != RC_OK)
        code = app_fail_rc(rc, "read the Maildir");
    for (size_t i = 0; code == EXIT_DONE && i < n; i++) {
        if (only)
            folders[i].path = i == 0 ? *only : folders[i].path;
        code = import_folder(im, &folders[i], &a);
    }
    arena_clear(&a);
    return code;
}

static int import_path(struct import *im, const char *path, const struct view *folder)
{
    struct stat st;
    if (!app_become(im->app, APP_ROOT))
        return EXIT_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = errno;
    if (!app_become(im->app, APP_STORE_USER))
        return EXIT_FAILED;
    if (fd < 0 || fstat(fd, &st) != 0)
        return app_fail("%s: %s", path, strerror(failed));
    if (S_ISDIR(st.st_mode)) {
        close(fd);
        return import_maildir(im, path, folder);
    }
    if (st.st_size == 0) {
        close(fd);
        return EXIT_DONE;
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return app_fail("%s: %s", path, strerror(errno));
    int code = import_mbox(im, view_of(map, (size_t)st.st_size), folder ? *folder : VIEW("INBOX"));
    munmap(map, (size_t)st.st_size);
    return code;
}

int cmd_import(struct app *app, int argc, char **argv)
{
    struct import im = {.app = app};
    struct directory_account account;
    struct view folder;
    bool has_folder = argc == 5 && strcmp(argv[3], "--folder") == 0;

    if (argc != 3 && !has_folder)
        return app_usage(app);
    if (has_folder)
        folder = view_str(argv[4]);
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_account(app->store, view_str(argv[1]), &app->arena, &account);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("there is no account %s: `facteur account add %s` makes it", argv[1], argv[1]);
    if (rc == RC_OK)
        rc = ingest_new(app->store, account.id, &im.ingest);
    if (rc != RC_OK)
        return app_fail_rc(rc, "open the account");
    progress_begin(&im.progress, "importing");
    int code = import_path(&im, argv[2], has_folder ? &folder : NULL);
    if (code == EXIT_DONE && (rc = ingest_flush(im.ingest)) != RC_OK)
        code = import_failed(&im, rc, "import the last messages");
    progress_end(&im.progress);
    uint64_t count = ingest_count(im.ingest);
    ingest_free(im.ingest);
    if (count > 0)
        noted(app, "account.import", argv[1], arena_printf(&app->arena, "%llu", (unsigned long long)count));
    if (code != EXIT_DONE)
        return code;
    if (app->json)
        code = app_print_json(json_pack("{s:I,s:I}", "imported", (json_int_t)count, "refused", (json_int_t)im.refused));
    else
        printf("%llu message%s imported into %s\n", (unsigned long long)count, PLURAL(count), argv[1]);
    return im.refused > 0 ? app_fail("%llu file%s could not be read, see above", (unsigned long long)im.refused, PLURAL(im.refused)) : code;
}
