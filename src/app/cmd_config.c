/* facteur config check: names the file, line and reason of every mistake. */
#include <stdio.h>

#include "app/commands.h"

int cmd_config(struct app *app, int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "check") != 0)
        return app_usage(app);
    if (!app->json) {
        if (!app_config(app))
            return EXIT_FAILED;
        printf("%s: no mistakes\n", app->config_path);
        return EXIT_DONE;
    }

    struct buf errors;
    struct config *c;
    buf_init(&errors, 64 << 10);
    enum rc rc = config_load(app->config_path, &c, &errors);
    config_free(c);
    json_t *list = json_array();
    for (struct view rest = buf_view(&errors), line; rest.n > 0;) {
        view_split(&rest, '\n', &line);
        json_array_append_new(list, app_json(line));
    }
    buf_clear(&errors);
    int code = app_print_json(json_pack("{s:s, s:b, s:o}", "file", app->config_path, "ok", rc == RC_OK, "errors", list));
    return rc == RC_OK ? code : EXIT_FAILED;
}
