/* facteur alias add|remove|list ADDRESS TARGET...: addresses that lead to others; "@domain" is the catch-all. */
#include <stdio.h>

#include "app/commands.h"
#include "app/noted.h"
#include "app/people.h"
#include "store/directory.h"

/* The alias as it is; n_targets 0 where there is none. */
static enum rc find_alias(struct app *app, struct view address, struct directory_alias *out)
{
    struct directory_alias *list;
    struct view normal = address;
    size_t n;

    *out = (struct directory_alias){.address = address};
    if (!view_starts(address, VIEW("@"))) {
        enum rc bad = directory_normalise(address, &app->arena, &normal);
        if (bad != RC_OK)
            return bad;
    }
    enum rc rc = directory_aliases(app->store, VIEW(""), &app->arena, &list, &n);
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        if (view_ieq(list[i].address, normal))
            *out = list[i];
    return rc;
}

/* "a@ici.test, b@ici.test"; "-" where there is none. */
static const char *targets_text(struct app *app, const struct directory_alias *alias)
{
    struct buf text;
    buf_init(&text, 2000); /* what is longer is cut, as details are */
    for (size_t i = 0; i < alias->n_targets; i++)
        buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", VIEW_FMT(alias->targets[i]));
    const char *out = text.n > 0 ? arena_cstr(&app->arena, view_of(text.p, text.n)) : "-";
    buf_clear(&text);
    return out ? out : "-";
}

/* The alias changed, or has gone. */
static void note_alias(struct app *app, const char *address, const struct directory_alias *old)
{
    struct directory_alias now;
    if (find_alias(app, view_str(address), &now) == RC_OK)
        noted_change(app, now.n_targets > 0 ? "alias.set" : "alias.remove", address, targets_text(app, old), targets_text(app, &now));
}

/* What is so now: where the alias leads, or that it has gone. */
static int tell_alias(struct app *app, const char *address)
{
    struct directory_alias now;
    struct buf text;
    enum rc rc = find_alias(app, view_str(address), &now);

    if (rc != RC_OK)
        return app_fail_rc(rc, "read the alias again");
    buf_init(&text, 1u << 16);
    if (now.n_targets > 0)
        buf_printf(&text, "%s leads to", address);
    else
        buf_printf(&text, "removed the alias %s", address);
    for (size_t i = 0; i < now.n_targets; i++)
        buf_printf(&text, " %.*s", VIEW_FMT(now.targets[i]));
    int code = app_done(app, "%.*s", VIEW_FMT(buf_view(&text)));
    buf_clear(&text);
    return code;
}

static int add_alias(struct app *app, const char *address, char **targets, size_t n)
{
    struct directory_alias old;
    enum rc rc = find_alias(app, view_str(address), &old);
    struct view *all = rc == RC_OK ? arena_new_array(&app->arena, old.n_targets + n, struct view) : NULL;

    if (rc == RC_SYNTAX)
        return app_fail("'%s' is neither an address nor \"@domain\"", address);
    if (!all)
        return app_fail_rc(rc == RC_OK ? RC_TEMP : rc, "add the alias");
    for (size_t i = 0; i < old.n_targets; i++)
        all[i] = old.targets[i];
    for (size_t i = 0; i < n; i++)
        all[old.n_targets + i] = view_str(targets[i]);
    rc = directory_alias_set(app->store, view_str(address), all, old.n_targets + n);
    switch (rc) {
    case RC_OK:       break;
    case RC_SYNTAX:   return app_fail("%s or one of its targets is not an address", address);
    case RC_NOTFOUND: return app_fail("the domain of %s is not hosted here: `facteur domain add %s` first", address,
                                      people_domain(address));
    case RC_EXISTS:   return app_fail("%s is an account: its mail cannot be led away by an alias", address);
    case RC_LIMIT:    return app_fail("an alias leads to at most %d targets", DIRECTORY_TARGETS_MAX);
    default:          return app_fail_rc(rc, "add the alias");
    }
    note_alias(app, address, &old);
    return tell_alias(app, address);
}

static int remove_alias(struct app *app, const char *address, char **targets, size_t n)
{
    struct view *gone = arena_new_array(&app->arena, n, struct view);
    struct directory_alias old;
    if (!gone)
        return app_fail_rc(RC_TEMP, "remove the alias");
    for (size_t i = 0; i < n; i++)
        gone[i] = view_str(targets[i]);
    enum rc rc = find_alias(app, view_str(address), &old);
    if (rc == RC_OK)
        rc = directory_alias_remove(app->store, view_str(address), gone, n);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is no such alias, or has no such target: `facteur alias list` shows all", address);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the alias");
    note_alias(app, address, &old);
    return tell_alias(app, address);
}

static int list_aliases(struct app *app, struct view domain)
{
    struct directory_alias *list;
    size_t n;
    if (people_is_ours(app, domain) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = directory_aliases(app->store, domain, &app->arena, &list, &n);

    if (rc != RC_OK)
        return app_fail_rc(rc, "list the aliases");
    json_t *out = app->json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++) {
        json_t *targets = app->json ? json_array() : NULL;
        if (!app->json)
            printf("%.*s", VIEW_FMT(list[i].address));
        for (size_t j = 0; j < list[i].n_targets; j++)
            if (app->json)
                json_array_append_new(targets, app_json(list[i].targets[j]));
            else
                printf(" %.*s", VIEW_FMT(list[i].targets[j]));
        if (app->json)
            json_array_append_new(out, json_pack("{s:o, s:o}", "address", app_json(list[i].address), "targets", targets));
        else
            printf("\n");
    }
    return app->json ? app_print_json(out) : EXIT_DONE;
}

int cmd_alias(struct app *app, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool list = strcmp(what, "list") == 0 && argc <= 3;
    bool add = strcmp(what, "add") == 0 && argc >= 4;
    bool remove = strcmp(what, "remove") == 0 && argc >= 3;

    if (!list && !add && !remove)
        return app_usage(app);
    if (!app_store(app))
        return EXIT_FAILED;
    if (list)
        return list_aliases(app, argc == 3 ? view_str(argv[2]) : VIEW(""));
    if (add)
        return add_alias(app, argv[2], argv + 3, (size_t)argc - 3);
    return remove_alias(app, argv[2], argv + 3, (size_t)argc - 3);
}
