#include "app/undelete.h"
#include "app/noted.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/people.h"
#include "message/envelope.h"
#include "store/mailbox_deleted.h"

#define BATCH 500

struct choice {
    int64_t since_s;
    bool list;
};

/* "2026-11-20" or "2026-11-20T14:30", UTC. */
static bool parse_since(const char *text, int64_t *out)
{
    struct tm tm = {0};
    const char *end = strptime(text, strchr(text, 'T') ? "%Y-%m-%dT%H:%M" : "%Y-%m-%d", &tm);
    const int day = tm.tm_mday;

    if (!end || *end != '\0')
        return false;
    *out = timegm(&tm); /* makes a 31st of February one of March */
    return tm.tm_mday == day;
}

static void format_time(int64_t s, char out[32])
{
    struct tm tm;
    time_t t = (time_t)s;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
}

static void show(const struct app *app, const struct deleted_item *d, json_t *list)
{
    struct buf subject, from;
    char when[32];

    buf_init(&subject, 2 * ENVELOPE_TEXT_MAX);
    buf_init(&from, 4 * ENVELOPE_TEXT_MAX);
    envelope_read(d->envelope, &subject, &from);
    format_time(d->deleted_s, when);
    if (app->json)
        json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:o, s:o, s:I}", "id", (json_int_t)d->id, "deleted", when, "folder",
                                              app_json(d->folder), "subject", app_json(buf_view(&subject)), "from",
                                              app_json(buf_view(&from)), "size", (json_int_t)d->size));
    else
        printf("%s  %-12.*s %-40.*s %.*s\n", when, VIEW_FMT(d->folder), VIEW_FMT(buf_view(&from)), VIEW_FMT(buf_view(&subject)));
    buf_clear(&subject);
    buf_clear(&from);
}

/* The latest first; all that went since then are shown, or put back. */
static enum rc go_through(struct app *app, struct mailbox *mb, const struct choice *c, json_t *list, size_t *restored)
{
    struct arena a;
    struct deleted_item *items;
    uint64_t before = 0, ids[BATCH];
    size_t n, n_ids, done;
    enum rc rc;

    *restored = 0;
    arena_init(&a, 256u << 20);
    do {
        arena_reset(&a);
        n_ids = 0;
        rc = mailbox_deleted(mb, before, BATCH, &a, &items, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            before = items[i].id;
            if (items[i].deleted_s < c->since_s)
                continue;
            if (c->list)
                show(app, &items[i], list);
            ids[n_ids++] = items[i].id;
        }
        for (size_t i = 0; i < n_ids / 2; i++) { /* back in the order in which they went */
            uint64_t id = ids[i];
            ids[i] = ids[n_ids - 1 - i];
            ids[n_ids - 1 - i] = id;
        }
        if (rc == RC_OK && !c->list && (rc = mailbox_restore(mb, ids, n_ids, &done)) == RC_OK)
            *restored += done;
    } while (rc == RC_OK && n == BATCH);
    arena_clear(&a);
    return rc;
}

int undelete_run(struct app *app, int argc, char **argv)
{
    struct directory_account account;
    struct choice c = {0};
    struct mailbox *mb = NULL;
    size_t restored;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            c.list = true;
        else if (strcmp(argv[i], "--since") != 0 || i + 1 == argc)
            return app_usage(app);
        else if (!parse_since(argv[++i], &c.since_s))
            return app_fail("'%s' is no date: 2026-11-20, or 2026-11-20T14:30 (UTC)", argv[i]), EXIT_USAGE;
    }
    if (argc < 2)
        return app_usage(app);
    if (!app_store(app) || people_find(app, argv[1], &account) != EXIT_DONE)
        return EXIT_FAILED;
    json_t *list = json_array();
    enum rc rc = mailbox_open(app->store, account.id, &mb);
    if (rc == RC_OK)
        rc = go_through(app, mb, &c, list, &restored);
    mailbox_close(mb);
    if (rc == RC_OK && c.list && app->json)
        return app_print_json(list);
    json_decref(list);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read or restore the deleted messages");
    if (c.list)
        return EXIT_DONE;
    if (restored > 0)
        noted(app, "account.undelete", argv[1], arena_printf(&app->arena, "%zu", restored));
    if (app->json)
        return app_print_json(json_pack("{s:I}", "restored", (json_int_t)restored));
    return app_done(app, "%zu message%s restored", restored, PLURAL(restored));
}
