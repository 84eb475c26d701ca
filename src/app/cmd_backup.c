/* facteur backup DIR, facteur restore DIR ...: a copy of a running server, and all, an account or a message back from it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/noted.h"
#include "app/progress.h"
#include "app/target.h"
#include "app/users.h"
#include "store/backup.h"

static void show_progress(void *ctx, uint64_t done, uint64_t all)
{
    progress_tell(ctx, done, all);
}

static const char *vault_path(struct app *app)
{
    return arena_printf(&app->arena, "%s/vault/vault.db", app->config->data);
}

static int fail_no_backup(const char *dir)
{
    return app_fail("%s is not a backup made by `facteur backup`", dir);
}

int cmd_backup(struct app *app, int argc, char **argv)
{
    struct progress progress;
    struct backup_settings set = {.progress = show_progress, .ctx = &progress};
    struct backup_stats st;

    if (argc != 2)
        return app_usage(app);
    const char *dir = argv[1];
    if (!target_make(app, dir) || !app_store(app))
        return EXIT_FAILED;
    progress_begin(&progress, "copying");
    enum rc rc = backup_make(app->store, dir, &set, &st);
    progress_end(&progress);
    if (rc == RC_EXISTS)
        return app_fail("%s holds something else than a backup: name an empty or new folder", dir);
    if (rc == RC_TEMP)
        return app_fail("no backup could be made: another backup or a compaction may be running; see the log lines above");
    if (rc != RC_OK)
        return app_fail_rc(rc, "make the backup");
    const char *vault = vault_path(app);
    if (!vault || !app_become(app, APP_ROOT)) /* it belongs to another user */
        return EXIT_FAILED;
    rc = backup_add_vault(dir, vault);
    bool has_vault = rc == RC_OK;
    if (!has_vault && rc != RC_NOTFOUND)
        fprintf(stderr, "facteur: without passwords and DKIM keys: %s could not be copied (run as root, or as its owner)\n", vault);
    if (!app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    if (app->json)
        return app_print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "folder", dir, "accounts", (json_int_t)st.accounts,
                                        "unchanged", (json_int_t)st.unchanged, "segments", (json_int_t)st.segments,
                                        "bytes_copied", (json_int_t)st.bytes, "passwords", has_vault));
    printf("%llu account%s and %llu segment%s of bodies are in %s, %llu MB copied now%s\n", (unsigned long long)st.accounts,
           PLURAL(st.accounts), (unsigned long long)st.segments, PLURAL(st.segments), dir, (unsigned long long)(st.bytes >> 20), has_vault ? ", with passwords and DKIM keys" : "");
    return EXIT_DONE;
}

static int restore_all(struct app *app, const char *dir)
{
    struct progress progress;
    struct backup_settings set = {.progress = show_progress, .ctx = &progress};
    struct backup_stats st;
    struct users users;

    if (!target_is_idle(app) || !app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    progress_begin(&progress, "files restored");
    enum rc rc = backup_restore_all(dir, app->config->data, &set, &st);
    progress_end(&progress);
    if (rc == RC_NOTFOUND)
        return fail_no_backup(dir);
    if (rc == RC_EXISTS)
        return app_fail("%s holds a store already: move facteur.db, accounts and blobs away first", app->config->data);
    if (rc != RC_OK)
        return app_fail_rc(rc, "restore everything");
    const char *vault = vault_path(app);
    if (!vault || !app_become(app, APP_ROOT))
        return EXIT_FAILED;
    users_find(app->config, &users);
    rc = backup_restore_vault(dir, vault);
    if (rc == RC_OK && users.root && chown(vault, users.vault.uid, users.vault.gid) != 0)
        return app_fail("%s: %s", vault, strerror(errno));
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return app_fail_rc(rc, "restore the passwords");
    if (app->json)
        return app_print_json(json_pack("{s:I, s:I, s:I, s:b}", "accounts", (json_int_t)st.accounts, "segments",
                                        (json_int_t)st.segments, "bytes", (json_int_t)st.bytes, "passwords", rc == RC_OK));
    printf("%llu account%s restored into %s%s\n", (unsigned long long)st.accounts, PLURAL(st.accounts), app->config->data,
           rc == RC_OK ? ", with passwords and DKIM keys"
                       : "; passwords and DKIM keys are not in this backup: `facteur account passwd` and `facteur domain rotate-keys --now` make them anew");
    return EXIT_DONE;
}

static int tell_restored(struct app *app, const char *address, const struct restore_stats *st)
{
    if (st->messages > 0 || st->account_made)
        noted(app, "account.restore", address, arena_printf(&app->arena, "%llu", (unsigned long long)st->messages));
    if (st->damaged > 0)
        fprintf(stderr, "facteur: %llu messages are damaged in the backup itself\n", (unsigned long long)st->damaged);
    if (app->json)
        return app_print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "account", address, "folders", (json_int_t)st->folders,
                                        "restored", (json_int_t)st->messages, "present", (json_int_t)st->present, "damaged",
                                        (json_int_t)st->damaged, "account_made", st->account_made));
    printf("%llu message%s restored for %s, %llu there already%s\n", (unsigned long long)st->messages, PLURAL(st->messages), address,
           (unsigned long long)st->present,
           st->account_made ? "; the account was made again: give it a password by `facteur account passwd`" : "");
    return EXIT_DONE;
}

static int restore_account(struct app *app, const char *dir, const char *address)
{
    struct progress progress;
    struct backup_settings set = {.progress = show_progress, .ctx = &progress};
    struct restore_stats st;

    if (!app_store(app))
        return EXIT_FAILED;
    progress_begin(&progress, "messages looked at");
    enum rc rc = backup_restore_account(dir, app->store, view_str(address), &set, &st);
    progress_end(&progress);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is not a backup, or has no account %s", dir, address);
    return rc == RC_OK ? tell_restored(app, address, &st) : app_fail_rc(rc, "restore the account");
}

static int restore_message(struct app *app, const char *dir, const char *address, const char *folder, const char *which)
{
    struct restore_stats st;
    uint64_t uid = 0;
    bool by_uid = view_is_u64(view_str(which), UINT32_MAX, &uid);

    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = backup_restore_message(dir, app->store, view_str(address), view_str(folder), (uint32_t)uid,
                                        by_uid ? VIEW("") : view_str(which), &st);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("the backup in %s has no message %s in folder %s of %s", dir, which, folder, address);
    if (rc == RC_EXISTS)
        return app_fail("folder %s of %s still has that message", folder, address);
    if (rc == RC_CORRUPT)
        return app_fail("that message is damaged in the backup itself");
    return rc == RC_OK ? tell_restored(app, address, &st) : app_fail_rc(rc, "restore the message");
}

int cmd_restore(struct app *app, int argc, char **argv)
{
    if (argc != 2 && argc != 3 && argc != 5)
        return app_usage(app);
    const char *dir = argv[1];
    if (argc == 2)
        return restore_all(app, dir);
    if (argc == 3)
        return restore_account(app, dir, argv[2]);
    return restore_message(app, dir, argv[2], argv[3], argv[4]);
}
