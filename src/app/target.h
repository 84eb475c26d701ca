/* app/target: folders that a command writes a store into, and whether a server is using the data folder. */
#ifndef APP_TARGET_H
#define APP_TARGET_H

#include "app/app.h"

/* Makes the folder if it is missing, for the user of the mail store. False: the reason is on stderr. */
bool target_make(struct app *app, const char *dir);
/* Whether a server works on the data folder. False: cannot tell; the reason is on stderr. */
bool target_has_server(struct app *app, bool *served);
/* Makes what is missing of the data folder. False: a server works on it; told on stderr. */
bool target_is_idle(struct app *app);

#endif
