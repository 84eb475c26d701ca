/* facteur suppression list|remove ACCOUNT: addresses that an account's mail over the HTTP API does not go to any more (store/suppression.h). */
#include <stdio.h>

#include "app/commands.h"
#include "app/noted.h"
#include "app/people.h"
#include "store/suppression.h"
#include "web/queue_json.h"

#define PAGE 1000

static const char *const kinds[] = {"bounce", "complaint"}; /* enum suppression_kind */

/* Reasons are words of other hosts: to a terminal goes what is printable. */
static void print_one(const struct suppression *x)
{
    char at[QUEUE_TIME_MAX];
    printf("%s  %-9s  %.*s  ", queue_time(x->since_s * 1000, at), kinds[x->kind], VIEW_FMT(x->address));
    for (size_t i = 0; i < x->reason.n; i++) {
        unsigned char c = (unsigned char)x->reason.p[i];
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
    putchar('\n');
}

static int list_all(struct app *app, const struct directory_account *account)
{
    json_t *out = app->json ? json_array() : NULL;
    struct view after = VIEW("");
    size_t n = PAGE;
    char at[QUEUE_TIME_MAX];

    while (n == PAGE) {
        struct suppression *list;
        enum rc rc = suppression_list(app->store, account->id, after, PAGE, &app->arena, &list, &n);
        if (rc != RC_OK) {
            json_decref(out);
            return app_fail_rc(rc, "list the addresses");
        }
        for (size_t i = 0; i < n; i++) {
            after = list[i].address;
            if (out)
                json_array_append_new(out, json_pack("{s:o, s:s, s:o, s:s}", "address", app_json(list[i].address), "kind", kinds[list[i].kind],
                                                     "reason", app_json(list[i].reason), "since", queue_time(list[i].since_s * 1000, at)));
            else
                print_one(&list[i]);
        }
    }
    return out ? app_print_json(out) : EXIT_DONE;
}

static int remove_one(struct app *app, const struct directory_account *account, const char *address)
{
    const char *who = arena_cstr(&app->arena, account->address);
    enum rc rc = who ? suppression_remove(app->store, account->id, view_str(address)) : RC_TEMP;
    if (rc == RC_NOTFOUND)
        return app_fail("%s may have mail of %s already: `facteur suppression list %s` shows who may not", address, who, who);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the address");
    noted(app, "suppression.remove", who, address);
    return app_done(app, "%s may have mail of %s again", address, who);
}

int cmd_suppression(struct app *app, int argc, char **argv)
{
    struct directory_account account;
    const bool list = argc == 3 && strcmp(argv[1], "list") == 0;

    if (!list && (argc != 4 || strcmp(argv[1], "remove") != 0))
        return app_usage(app);
    if (!app_store(app) || people_find(app, argv[2], &account) != EXIT_DONE)
        return EXIT_FAILED;
    return list ? list_all(app, &account) : remove_one(app, &account, argv[3]);
}
