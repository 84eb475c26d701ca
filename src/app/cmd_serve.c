/* facteur serve: the server, in the foreground. */
#include "app/commands.h"
#include "app/serve.h"

int cmd_serve(struct app *app, int argc, char **argv)
{
    (void)argv;
    return argc == 1 ? serve(app) : app_usage(app);
}
