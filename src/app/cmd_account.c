/* facteur account add|remove|list|passwd|role|app-password|second-factor|undelete ADDRESS: who has a mailbox here. */
#include <stdio.h>

#include "app/commands.h"
#include "app/factors.h"
#include "app/noted.h"
#include "app/people.h"
#include "web/people_json.h"
#include "app/undelete.h"

static int add_account(struct app *app, const char *address)
{
    struct buf password;
    uint64_t id;

    if (!app_store(app) || people_may_add(app, address) != EXIT_DONE || !app_password(&password))
        return EXIT_FAILED;
    int code = people_add(app, address, &id);
    /* An account whose password could not be kept would be one that nobody can open. */
    if (code == EXIT_DONE && (code = people_set_password(app, id, buf_view(&password))) != EXIT_DONE)
        people_remove(app, address);
    buf_wipe(&password);
    buf_clear(&password);
    if (code == EXIT_DONE)
        noted(app, "account.add", address, "");
    return code == EXIT_DONE ? app_done(app, "added the account %s; its login is the whole address", address) : code;
}

static int change_password(struct app *app, const char *address)
{
    struct directory_account account;
    struct buf password;

    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE || !app_password(&password))
        return EXIT_FAILED;
    int code = people_set_password(app, account.id, buf_view(&password));
    buf_wipe(&password);
    buf_clear(&password);
    if (code == EXIT_DONE)
        noted(app, "account.password", address, "");
    return code == EXIT_DONE ? app_done(app, "%s has a new password", address) : code;
}

static int remove_account(struct app *app, const char *address)
{
    if (!app_store(app))
        return EXIT_FAILED;
    int code = people_remove(app, address);
    if (code == EXIT_DONE)
        noted(app, "account.remove", address, "");
    return code == EXIT_DONE ? app_done(app, "removed the account %s with its mail", address) : code;
}

static int list_accounts(struct app *app, struct view domain)
{
    struct directory_account *list;
    size_t n;

    if (!app_store(app) || people_is_ours(app, domain) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = directory_accounts(app->store, domain, &app->arena, &list, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "list the accounts");
    if (!app->json) {
        for (size_t i = 0; i < n; i++)
            printf("%-40.*s %s%s\n", VIEW_FMT(list[i].address), people_role_name(list[i].role), list[i].disabled ? ", disabled" : "");
        return EXIT_DONE;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, people_account_json(&list[i]));
    return app_print_json(out);
}

static int set_role(struct app *app, const char *address, const char *name)
{
    struct directory_account account;
    enum directory_role role;

    if (!people_role_parse(name, &role))
        return app_fail("'%s' is not a role: user, owner or operator", name), EXIT_USAGE;
    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = directory_account_set_role(app->store, view_str(address), role);
    if (rc != RC_OK)
        return app_fail_rc(rc, "set the role");
    noted_change(app, "account.role", address, people_role_name(account.role), name);
    return app_done(app, "%s has the role %s", address, name);
}

static int make_link(struct app *app, const char *address)
{
    struct directory_account account;
    struct buf link;

    if (!app_config(app) || !app_store(app) || people_find(app, address, &account) != EXIT_DONE)
        return EXIT_FAILED;
    buf_init(&link, 1024);
    int code = people_link(app, account.id, &link);
    if (code == EXIT_DONE) {
        noted(app, "account.link", address, "");
        if (app->json)
            code = app_print_json(json_pack("{s:o}", "link", app_json(buf_view(&link))));
        else
            printf("%.*s\n", VIEW_FMT(buf_view(&link)));
    }
    buf_wipe(&link);
    buf_clear(&link);
    return code;
}

int cmd_account(struct app *app, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "list") == 0 && argc <= 3)
        return list_accounts(app, argc == 3 ? view_str(argv[2]) : VIEW(""));
    if (strcmp(what, "add") == 0 && argc == 3)
        return add_account(app, argv[2]);
    if (strcmp(what, "passwd") == 0 && argc == 3)
        return change_password(app, argv[2]);
    if (strcmp(what, "remove") == 0 && argc == 3)
        return remove_account(app, argv[2]);
    if (strcmp(what, "role") == 0 && argc == 4)
        return set_role(app, argv[2], argv[3]);
    if (strcmp(what, "link") == 0 && argc == 3)
        return make_link(app, argv[2]);
    if (strcmp(what, "second-factor") == 0 && argc == 3)
        return factors_show(app, argv[2]);
    if (strcmp(what, "second-factor") == 0 && argc == 4 && strcmp(argv[3], "off") == 0)
        return factors_off(app, argv[2]);
    if (strcmp(what, "undelete") == 0)
        return undelete_run(app, argc - 1, argv + 1);
    if (strcmp(what, "app-password") == 0)
        return factors_app_password(app, argc - 1, argv + 1);
    return app_usage(app);
}
