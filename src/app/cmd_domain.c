/* facteur domain add|remove|list DOMAIN: the domains that we host. */
#include <stdio.h>

#include "app/commands.h"
#include "store/directory.h"

static int list_domains(struct app *app)
{
    struct view *names;
    size_t n;

    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domains(app->store, &app->arena, &names, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "list the domains");
    if (!app->json) {
        for (size_t i = 0; i < n; i++)
            printf("%.*s\n", VIEW_FMT(names[i]));
        return EXIT_DONE;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o}", "domain", app_json(names[i])));
    return app_print_json(list);
}

static int add_domain(struct app *app, const char *name)
{
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain_add(app->store, view_str(name));
    if (rc == RC_EXISTS)
        return app_fail("%s is hosted here already", name);
    if (rc == RC_SYNTAX)
        return app_fail("'%s' is not a domain name", name);
    if (rc != RC_OK)
        return app_fail_rc(rc, "add the domain");
    app_poke(app, POKE_DIRECTORY, 0, 0);
    return app_done(app, "added the domain %s; next: `facteur dns %s` (records to publish), `facteur account add NAME@%s`", name, name,
                    name);
}

static int remove_domain(struct app *app, const char *name)
{
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain_remove(app->store, view_str(name));
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is not hosted here", name);
    if (rc == RC_EXISTS)
        return app_fail("%s still has accounts or aliases: remove these first (`facteur account list %s`, `facteur alias list %s`)", name, name, name);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the domain");
    app_poke(app, POKE_DIRECTORY, 0, 0);
    return app_done(app, "removed the domain %s", name);
}

int cmd_domain(struct app *app, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list_domains(app);
    if (argc == 3 && strcmp(argv[1], "add") == 0)
        return add_domain(app, argv[2]);
    if (argc == 3 && strcmp(argv[1], "remove") == 0)
        return remove_domain(app, argv[2]);
    return app_usage(app);
}
