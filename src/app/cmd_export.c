/* facteur export ACCOUNT PATH: an account's mail as a Maildir with its folders, or one folder as an mbox file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/maildir.h"
#include "app/mbox.h"
#include "app/progress.h"
#include "message/header.h"
#include "store/blob.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "sys/file.h"

#define EXPORT_BATCH     200
#define EXPORT_ARENA_MAX (64u << 20)

struct export {
    struct app *app;
    struct mailbox *mb;
    int mbox;                      /* the file, or -1 for a Maildir */
    const char *dir;               /* Maildir: of the present folder */
    struct maildir_keywords names; /* likewise */
    bool keywords_lost;            /* a folder has more than a Maildir can name */
    struct progress progress;
    uint64_t n, total;
};

static enum rc write_mbox(struct export *e, const struct item *item, struct view message)
{
    struct buf text;
    buf_init(&text, MBOX_MESSAGE_MAX * 2);
    struct view sender = header_value(header_of(message), VIEW("Return-Path"));
    if (view_starts(sender, VIEW("<")) && view_ends(sender, VIEW(">")))
        sender = view_slice(sender, 1, sender.n - 2);
    enum rc rc = mbox_encode(message, sender, item->internaldate, item->flags, item->keywords, &text);
    if (rc == RC_OK)
        rc = file_write_all(e->mbox, buf_view(&text));
    buf_clear(&text);
    return rc;
}

static enum rc write_maildir(struct export *e, const struct item *item, struct view message)
{
    char letters[MAILDIR_KEYWORDS + 1];
    struct buf text;
    enum rc rc = maildir_letters(&e->names, item->keywords, &e->app->arena, letters);

    if (rc == RC_LIMIT) {
        e->keywords_lost = true;
        rc = RC_OK;
    }
    buf_init(&text, MBOX_MESSAGE_MAX);
    mbox_to_lf(message, &text);
    if (rc == RC_OK)
        rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = maildir_write(e->dir, buf_view(&text), item->flags, letters, item->internaldate, item->id);
    buf_clear(&text);
    return rc;
}

static enum rc export_item(struct export *e, const struct item *item)
{
    struct blob blob = {0};
    enum rc rc = blob_open(e->app->store, item->blob, true, &blob);

    if (rc == RC_OK && !app_become(e->app, APP_ROOT)) /* the target belongs to whoever runs the command */
        rc = RC_DENIED;
    if (rc == RC_OK) {
        struct view message = view_slice(blob.bytes, item->skip, item->size);
        rc = e->mbox >= 0 ? write_mbox(e, item, message) : write_maildir(e, item, message);
        if (!app_become(e->app, APP_STORE_USER))
            rc = RC_DENIED;
    }
    blob_close(&blob);
    return rc;
}

static enum rc export_folder(struct export *e, const struct folder *f)
{
    struct arena a;
    uint32_t from = 1;
    enum rc rc = RC_OK;
    size_t n = EXPORT_BATCH;

    arena_init(&a, EXPORT_ARENA_MAX);
    e->names = (struct maildir_keywords){{NULL}};
    if (e->mbox < 0) {
        const char *root = e->dir;
        if (!app_become(e->app, APP_ROOT))
            return RC_DENIED;
        rc = maildir_make(root, f->path, &e->app->arena, &e->dir);
        if (!app_become(e->app, APP_STORE_USER))
            return RC_DENIED;
    }
    while (rc == RC_OK && n == EXPORT_BATCH) {
        struct item *items;
        arena_reset(&a);
        rc = mailbox_items(e->mb, f->id, from, UINT32_MAX, 0, ITEM_FLAGS, EXPORT_BATCH, &a, &items, &n);
        for (size_t i = 0; rc == RC_OK && i < n; i++) {
            rc = export_item(e, &items[i]);
            from = items[i].uid + 1;
            progress_tell(&e->progress, ++e->n, e->total);
        }
        if (from == 0)
            break;
    }
    if (rc == RC_OK && e->mbox < 0) {
        if (!app_become(e->app, APP_ROOT))
            rc = RC_DENIED;
        else
            rc = maildir_write_keywords(e->dir, &e->names);
        if (!app_become(e->app, APP_STORE_USER))
            rc = RC_DENIED;
    }
    arena_clear(&a);
    return rc;
}

static int export_maildir(struct export *e, const char *path)
{
    struct folder *folders;
    size_t n;
    enum rc rc = mailbox_folders(e->mb, &e->app->arena, &folders, &n);

    for (size_t i = 0; rc == RC_OK && i < n; i++)
        e->total += folders[i].exists;
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        e->dir = path;
        rc = export_folder(e, &folders[i]);
    }
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "export everything");
}

static int export_mbox(struct export *e, const char *path, struct view folder_path)
{
    struct folder folder;
    enum rc rc = mailbox_folder(e->mb, folder_path, &e->app->arena, &folder);

    if (rc == RC_NOTFOUND)
        return app_fail("the account has no folder %.*s", VIEW_FMT(folder_path));
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the folder");
    e->total = folder.exists;
    if (!app_become(e->app, APP_ROOT))
        return EXIT_FAILED;
    e->mbox = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failed = errno;
    if (!app_become(e->app, APP_STORE_USER))
        return EXIT_FAILED;
    if (e->mbox < 0)
        return app_fail("%s: %s", path, strerror(failed));
    rc = export_folder(e, &folder);
    if (close(e->mbox) != 0 && rc == RC_OK)
        rc = file_rc(errno);
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "export the folder");
}

int cmd_export(struct app *app, int argc, char **argv)
{
    struct export e = {.app = app, .mbox = -1};
    struct directory_account account;
    const char *folder = NULL;
    bool mbox = argc > 2 && view_ends(view_str(argv[2]), VIEW(".mbox"));

    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "--mbox") == 0)
            mbox = true;
        else if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc)
            folder = argv[++i];
        else
            return app_usage(app);
    if (argc < 3 || (folder && !mbox))
        return app_usage(app);
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_account(app->store, view_str(argv[1]), &app->arena, &account);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("there is no account %s", argv[1]);
    if (rc == RC_OK)
        rc = mailbox_open(app->store, account.id, &e.mb);
    if (rc != RC_OK)
        return app_fail_rc(rc, "open the account");
    progress_begin(&e.progress, "exporting");
    int code = mbox ? export_mbox(&e, argv[2], folder ? view_str(folder) : VIEW("INBOX")) : export_maildir(&e, argv[2]);
    progress_end(&e.progress);
    mailbox_close(e.mb);
    if (code != EXIT_DONE)
        return code;
    if (e.keywords_lost)
        fprintf(stderr, "facteur: a Maildir folder can name %d keywords; what is beyond was left out\n", MAILDIR_KEYWORDS);
    if (app->json)
        return app_print_json(json_pack("{s:I}", "exported", (json_int_t)e.n));
    printf("%llu message%s exported to %s\n", (unsigned long long)e.n, PLURAL(e.n), argv[2]);
    return EXIT_DONE;
}
