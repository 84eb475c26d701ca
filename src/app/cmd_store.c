/* facteur store verify|salvage|compact: damage found and survived, room given back. */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/progress.h"
#include "app/target.h"
#include "store/compact.h"
#include "store/mailbox_deleted.h"
#include "store/salvage.h"
#include "store/verify.h"

struct look {
    struct app *app;
    struct progress progress;
    uint64_t segments; /* looked at by compaction */
    json_t *findings;
};

static void show_progress(void *ctx, uint64_t done, uint64_t all)
{
    struct look *l = ctx;
    progress_tell(&l->progress, done, all);
}

static void add_text(json_t *j, const char *name, struct view v)
{
    if (v.n > 0)
        json_object_set_new(j, name, app_json(v));
}

static void add_number(json_t *j, const char *name, uint64_t n)
{
    if (n > 0)
        json_object_set_new(j, name, json_integer((json_int_t)n));
}

static void note_json(struct look *l, const struct finding *f)
{
    json_t *j = json_object();

    json_object_set_new(j, "kind", json_string(finding_name(f->kind)));
    json_object_set_new(j, "damage", json_boolean(finding_is_damage(f->kind)));
    add_text(j, "file", f->file);
    add_text(j, "text", f->text);
    add_text(j, "account", f->address);
    add_text(j, "folder", f->folder);
    add_number(j, "uid", f->uid);
    if (f->message > 0)
        json_object_set_new(j, "message", json_sprintf("%llx", (unsigned long long)f->message));
    if (f->blob > 0)
        json_object_set_new(j, "blob", json_sprintf("%llx", (unsigned long long)f->blob));
    add_number(j, "bytes", f->size);
    json_array_append_new(l->findings, j);
}

static void note_finding(void *ctx, const struct finding *f)
{
    struct look *l = ctx;

    if (l->app->json) {
        note_json(l, f);
        return;
    }
    progress_end(&l->progress);
    printf("%s", finding_name(f->kind));
    if (f->file.n > 0)
        printf(" %.*s", VIEW_FMT(f->file));
    if (f->address.n > 0)
        printf(" %.*s", VIEW_FMT(f->address));
    if (f->folder.n > 0)
        printf(" folder \"%.*s\" uid %u", VIEW_FMT(f->folder), f->uid);
    if (f->message > 0)
        printf(" queue %llx", (unsigned long long)f->message);
    if (f->blob > 0)
        printf(" blob %llx", (unsigned long long)f->blob);
    if (f->size > 0)
        printf(" %llu bytes", (unsigned long long)f->size);
    if (f->text.n > 0)
        printf(": %.*s", VIEW_FMT(f->text));
    printf("\n");
}

static int verify_store(struct app *app)
{
    struct look l = {.app = app};
    struct verify_settings set = {.found = note_finding, .progress = show_progress, .ctx = &l};
    struct verify_stats st;

    if (!app_store(app))
        return EXIT_FAILED;
    l.findings = json_array();
    progress_begin(&l.progress, "reading");
    enum rc rc = store_verify(app->store, &set, &st);
    progress_end(&l.progress);
    if (rc != RC_OK) {
        json_decref(l.findings);
        return rc == RC_TEMP ? app_fail("a compaction is running, or the disk cannot be read; try again in a minute")
                             : app_fail_rc(rc, "verify the store");
    }
    if (app->json) {
        json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "databases", (json_int_t)st.databases, "segments",
                              (json_int_t)st.segments, "blobs", (json_int_t)st.blobs, "bytes", (json_int_t)st.bytes, "messages",
                              (json_int_t)st.items, "queued", (json_int_t)st.queued, "damage", (json_int_t)st.damage,
                              "unreferenced", (json_int_t)st.unreferenced, "findings", l.findings);
        int code = app_print_json(j);
        return st.damage > 0 ? EXIT_FAILED : code;
    }
    json_decref(l.findings);
    printf("%llu databases, %llu segments, %llu blobs, %llu messages, %llu queued: %llu damaged or missing, %llu unreferenced"
           " (%llu bytes)\n",
           (unsigned long long)st.databases, (unsigned long long)st.segments, (unsigned long long)st.blobs,
           (unsigned long long)st.items, (unsigned long long)st.queued, (unsigned long long)st.damage,
           (unsigned long long)st.unreferenced, (unsigned long long)st.unreferenced_bytes);
    if (st.damage > 0)
        return app_fail("the store is damaged: restore from a backup what it has, or `facteur store salvage NEW_FOLDER`");
    return EXIT_DONE;
}

static void tell_salvage(void *ctx, struct view what)
{
    (void)ctx;
    fprintf(stderr, "%.*s\n", VIEW_FMT(what));
}

static int salvage_store(struct app *app, const char *to)
{
    struct salvage_settings set = {.tell = tell_salvage};
    struct salvage_stats st;

    if (!target_is_idle(app) || !target_make(app, to) || !app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    enum rc rc = salvage_run(app->config->data, to, &set, &st);
    if (rc == RC_EXISTS)
        return app_fail("%s is not empty: name a new folder", to);
    if (rc == RC_NOTFOUND)
        return app_fail("there is no data folder %s", app->config->data);
    if (rc != RC_OK)
        return app_fail_rc(rc, "write the new folder");
    if (app->json)
        return app_print_json(json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "accounts", (json_int_t)st.accounts, "accounts_renamed",
            (json_int_t)st.accounts_renamed, "blobs", (json_int_t)st.blobs, "databases_damaged", (json_int_t)st.databases_damaged,
            "messages", (json_int_t)st.messages, "from_blobs", (json_int_t)st.from_blobs, "lost", (json_int_t)st.lost, "queued",
            (json_int_t)st.queued, "queued_lost", (json_int_t)st.queued_lost, "ownerless", (json_int_t)st.ownerless));
    printf("%llu accounts, %llu messages kept, %llu more found in blobs (folder " SALVAGE_FOLDER "), %llu lost; queue: %llu kept, "
           "%llu lost\n",
           (unsigned long long)st.accounts, (unsigned long long)st.messages, (unsigned long long)st.from_blobs,
           (unsigned long long)st.lost, (unsigned long long)st.queued, (unsigned long long)st.queued_lost);
    printf("Now move run/ and vault/ of %s there as well, and put %s in its place.\n", app->config->data, to);
    return EXIT_DONE;
}

static void show_compaction(void *ctx, enum compact_step step, uint32_t segment)
{
    struct look *l = ctx;
    (void)segment;
    if (step == COMPACT_LOOKED)
        progress_tell(&l->progress, ++l->segments, 0);
}

static int compact_store(struct app *app)
{
    struct look l = {.app = app};
    struct compact_settings set = {.progress = show_compaction, .ctx = &l};
    struct compact_stats st;
    uint64_t purged;

    if (!app_store(app))
        return EXIT_FAILED;
    progress_begin(&l.progress, "segments looked at");
    enum rc rc = store_purge(app->store, &purged);
    if (rc == RC_OK)
        rc = compact_run(app->store, &set, &st);
    progress_end(&l.progress);
    if (rc == RC_TEMP)
        return app_fail("a backup or another compaction is running, or a mailbox cannot be read; try again later");
    if (rc != RC_OK)
        return app_fail_rc(rc, "compact the store");
    if (app->json)
        return app_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "purged", (json_int_t)purged, "segments", (json_int_t)st.segments,
                                        "looked", (json_int_t)st.looked, "compacted", (json_int_t)st.compacted, "dead_bytes",
                                        (json_int_t)st.dead, "freed_bytes", (json_int_t)st.freed));
    printf("%llu segments, %llu of them looked at with %llu MB of dead space; %llu taken out, %llu MB given back\n",
           (unsigned long long)st.segments, (unsigned long long)st.looked, (unsigned long long)(st.dead >> 20),
           (unsigned long long)st.compacted, (unsigned long long)(st.freed >> 20));
    return EXIT_DONE;
}

int cmd_store(struct app *app, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "verify") == 0)
        return verify_store(app);
    if (argc == 3 && strcmp(argv[1], "salvage") == 0)
        return salvage_store(app, argv[2]);
    if (argc == 2 && strcmp(argv[1], "compact") == 0)
        return compact_store(app);
    return app_usage(app);
}
