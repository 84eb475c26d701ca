/* app/undelete: messages back that were deleted a while ago (store/mailbox_deleted.h), for the commands. Single-threaded. Gives an
 * exit code. */
#ifndef APP_UNDELETE_H
#define APP_UNDELETE_H

#include "app/app.h"

/* argv: "undelete", address, then --since DATE or --list */
int undelete_run(struct app *app, int argc, char **argv);

#endif
