/* app/serve: the parent of `facteur serve`: binds, starts, watches, restarts, reloads, stops. One thread; reads nothing from
 * the network and no mail. It keeps root, when it was started so, for listeners of a reload and for new children. */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "app/app.h"

#define RESTART_FIRST_MS 100   /* wait before a dead child is started again, doubled each time */
#define RESTART_MAX_MS   10000
#define RESTART_GOOD_MS  60000 /* lived longer: begins at the first wait again */

/* Serves until SIGTERM; returns the exit code. */
int serve(struct app *app);

#endif
