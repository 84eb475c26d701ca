/* app/commands: one function a subcommand; see struct command in app/app.h. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "app/app.h"

int cmd_serve(struct app *app, int argc, char **argv);
int cmd_account(struct app *app, int argc, char **argv);
int cmd_alias(struct app *app, int argc, char **argv);
int cmd_apply(struct app *app, int argc, char **argv);
int cmd_backup(struct app *app, int argc, char **argv);
int cmd_restore(struct app *app, int argc, char **argv);
int cmd_store(struct app *app, int argc, char **argv);
int cmd_bimi(struct app *app, int argc, char **argv);
int cmd_check(struct app *app, int argc, char **argv);
int cmd_config(struct app *app, int argc, char **argv);
int cmd_dns(struct app *app, int argc, char **argv);
int cmd_doctor(struct app *app, int argc, char **argv);
int cmd_domain(struct app *app, int argc, char **argv);
int cmd_export(struct app *app, int argc, char **argv);
int cmd_log(struct app *app, int argc, char **argv);
int cmd_trace(struct app *app, int argc, char **argv);
int cmd_import(struct app *app, int argc, char **argv);
int cmd_queue(struct app *app, int argc, char **argv);
int cmd_report(struct app *app, int argc, char **argv);
/* argv[0] is "show". */
int cmd_report_show(struct app *app, int argc, char **argv);
int cmd_suppression(struct app *app, int argc, char **argv);
int cmd_quickstart(struct app *app, int argc, char **argv);

#endif
