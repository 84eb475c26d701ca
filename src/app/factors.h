/* app/factors: application passwords and second factors of an account for the commands, which live in two places as passwords do
 * (app/people.h). Single-threaded. Give exit codes. */
#ifndef APP_FACTORS_H
#define APP_FACTORS_H

#include "app/app.h"

/* argv: "app-password", "add|list|remove", address ... */
int factors_app_password(struct app *app, int argc, char **argv);
/* Takes codes, recovery codes and passkeys off; shows what there is. */
int factors_off(struct app *app, const char *address);
int factors_show(struct app *app, const char *address);

#endif
