#include "app/factors.h"

#include <stdio.h>
#include <time.h>

#include "app/noted.h"
#include "app/people.h"
#include "store/app_password.h"
#include "vault/app_passwords.h"
#include "vault/second_factor.h"

static const char *const scopes[] = {"all", "read", "send"}; /* enum vault_scope */

static bool parse_scope(const char *name, enum vault_scope *out)
{
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (strcmp(name, scopes[i]) == 0) {
            *out = (enum vault_scope)i;
            return true;
        }
    return false;
}

/* The vault has the verifier before the store has the name: what is listed works. */
static int add_password(struct app *app, const char *address, const char *name, enum vault_scope scope)
{
    struct directory_account account;
    struct credentials *c = NULL;
    char text[APP_PASSWORD_TEXT + 1];
    uint64_t id;

    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE || people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = app_passwords_make(c, account.id, scope, text, &id);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    if (rc == RC_LIMIT)
        return app_fail("%s has %d application passwords: remove those that are not used", address, APP_PASSWORDS_MAX);
    if (rc != RC_OK)
        return app_fail_rc(rc, "make the password");
    rc = app_password_add(app->store, account.id, id, view_str(name), (int)scope);
    if (rc != RC_OK) {
        if (people_open_credentials(app, &c) == EXIT_DONE) {
            app_passwords_remove(c, account.id, id);
            people_close_credentials(app, c);
        }
        return rc == RC_SYNTAX ? app_fail("'%s' is no name: up to %d bytes, without control characters", name, APP_PASSWORD_NAME_MAX)
                               : app_fail_rc(rc, "keep the password's name");
    }
    noted(app, "app-password.add", address, name);
    if (app->json)
        return app_print_json(json_pack("{s:I, s:s}", "id", (json_int_t)id, "password", text));
    printf("%s\n", text);
    fprintf(stderr, "This password of %s is not shown again.\n", address);
    return EXIT_DONE;
}

static void print_time(int64_t s)
{
    char text[32];
    struct tm tm;
    time_t t = (time_t)s;
    if (s > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm) > 0)
        printf("%s", text);
    else
        printf("%-16s", "never");
}

static int list_passwords(struct app *app, const char *address)
{
    struct directory_account account;
    struct app_password *list;
    size_t n;

    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = app_passwords(app->store, account.id, &app->arena, &list, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "list the application passwords");
    if (!app->json) {
        for (size_t i = 0; i < n; i++) {
            printf("%-6llu %-5s used ", (unsigned long long)list[i].id, scopes[list[i].scope]);
            print_time(list[i].used_s);
            printf("  %.*s\n", VIEW_FMT(list[i].name));
        }
        return EXIT_DONE;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_pack("{s:I, s:o, s:s, s:I, s:I, s:o}", "id", (json_int_t)list[i].id, "name",
                                             app_json(list[i].name), "scope", scopes[list[i].scope], "created",
                                             (json_int_t)list[i].created_s, "last_used", (json_int_t)list[i].used_s, "last_peer",
                                             app_json(list[i].used_peer)));
    return app_print_json(out);
}

static int remove_password(struct app *app, const char *address, const char *number)
{
    struct directory_account account;
    struct credentials *c = NULL;
    struct view in = view_str(number);
    uint64_t id;

    if (view_u64(&in, INT64_MAX, &id) != RC_OK || in.n > 0)
        return app_fail("'%s' is not the number of an application password", number), EXIT_USAGE;
    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE || people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = app_passwords_remove(c, account.id, id);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    if (rc == RC_OK || rc == RC_NOTFOUND) {
        enum rc shown = app_password_remove(app->store, account.id, id);
        rc = rc == RC_OK && shown == RC_NOTFOUND ? RC_OK : shown;
    }
    if (rc == RC_NOTFOUND)
        return app_fail("%s has no application password %s: `facteur account app-password list %s` shows all", address, number, address);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the application password");
    noted(app, "app-password.remove", address, number);
    return app_done(app, "removed the application password %s of %s", number, address);
}

int factors_app_password(struct app *app, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    enum vault_scope scope = VAULT_SCOPE_ALL;

    if (strcmp(what, "list") == 0 && argc == 3)
        return list_passwords(app, argv[2]);
    if (strcmp(what, "remove") == 0 && argc == 4)
        return remove_password(app, argv[2], argv[3]);
    if (strcmp(what, "add") != 0 || (argc != 4 && argc != 6))
        return app_usage(app);
    if (argc == 6 && (strcmp(argv[4], "--scope") != 0 || !parse_scope(argv[5], &scope)))
        return app_usage(app);
    return add_password(app, argv[2], argv[3], scope);
}

/* For who has lost the telephone: the password alone counts again. */
int factors_off(struct app *app, const char *address)
{
    struct directory_account account;
    struct credentials *c = NULL;

    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE || people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = totp_remove(c, account.id, true);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        rc = passkey_remove_all(app->store, account.id);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the second factor");
    noted(app, "totp.off", address, "");
    return app_done(app, "%s has no second factor any more: codes, recovery codes and passkeys are gone", address);
}

int factors_show(struct app *app, const char *address)
{
    struct directory_account account;
    struct credentials *c = NULL;
    struct second_factor f;
    struct passkey *keys;
    size_t n;

    if (!app_store(app) || people_find(app, address, &account) != EXIT_DONE || people_open_credentials(app, &c) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = second_factor_state(c, account.id, &f);
    if (!people_close_credentials(app, c))
        return EXIT_FAILED;
    if (rc == RC_OK)
        rc = passkeys(app->store, account.id, &app->arena, &keys, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the second factor");
    if (app->json)
        return app_print_json(json_pack("{s:b, s:I, s:I}", "totp", (int)f.totp, "recovery", (json_int_t)f.recovery, "passkeys", (json_int_t)n));
    printf("codes by time: %s; recovery codes: %u; passkeys: %zu\n", f.totp ? "on" : "off", f.recovery, n);
    return EXIT_DONE;
}
