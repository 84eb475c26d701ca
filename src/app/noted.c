#include "app/noted.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/audit.h"

/* "command:anne": who is behind sudo, where it says so. */
static const char *who_asks(struct app *app)
{
    const char *name = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *p = name ? NULL : getpwuid(getuid());
    return arena_printf(&app->arena, "command:%.100s", name ? name : p ? p->pw_name : "?");
}

void noted(struct app *app, const char *what, const char *about, const char *detail)
{
    const char *who = who_asks(app);
    const struct audit_row row = {.who = view_str(who), .what = view_str(what), .about = view_str(about), .detail = view_str(detail)};
    if (!who || audit_add(app->store, &row) != RC_OK)
        fprintf(stderr, "facteur: done, but the audit trail could not be written\n");
}

void noted_change(struct app *app, const char *what, const char *about, const char *from, const char *to)
{
    const char *detail = arena_printf(&app->arena, "%s -> %s", from, to);
    noted(app, what, about, detail ? detail : to);
}
