/* app/app: what every subcommand works with: the configuration, the store opened as the right user, passwords from
 * people, errors in one line. Single-threaded. */
#ifndef APP_APP_H
#define APP_APP_H

#include <jansson.h>

#include "app/config.h"
#include "app/poke.h"
#include "store/store.h"

/* Exit codes (docs: `facteur help`). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command;
struct app {
    const char *config_path;
    bool json;              /* --json stood anywhere on the command line; it is taken out of argv */
    struct arena arena;     /* lives as long as the command */
    struct config *config;  /* NULL until app_config */
    struct store *store;    /* NULL until app_store */
    const struct command *command; /* the one that runs, and its words; [0] is its name */
    char *const *words;
};

/* A subcommand: argv[0] is its name; usage lines follow "facteur ". Returns an exit code.
 * To add one: cmd_NAME.c, a line in app/commands.h, a row in main.c's table. */
struct command {
    const char *name;
    int (*run)(struct app *app, int argc, char **argv);
    const char *usage;   /* one line a form */
    const char *summary;
};

/* Reads the configuration once; all mistakes go to stderr. NULL: exit with EXIT_FAILED. */
const struct config *app_config(struct app *app);
/* Opens the store as the user of the configuration (root steps down first, so that files get the right owner) and joins
 * its bus to a running server. NULL: the reason is on stderr already. */
struct store *app_store(struct app *app);

/* As root: the effective user becomes the one of the mail store / of the vault / root again. Without root nothing
 * happens. False: the reason is on stderr already. */
enum app_user { APP_ROOT, APP_STORE_USER, APP_VAULT_USER };
bool app_become(struct app *app, enum app_user user);

/* printf("%d message%s", n, PLURAL(n)) */
#define PLURAL(n) ((n) == 1 ? "" : "s")
/* "facteur: ..." on stderr; returns EXIT_FAILED. Say why, and what to do. */
int app_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* app_fail for a store's answer: "cannot WHAT: the disk is full". */
int app_fail_rc(enum rc rc, const char *what);
/* What a command has done, and what comes next, on stdout (as {"done": TEXT} with --json); returns EXIT_DONE. */
int app_done(const struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What cannot be meant by the command's words, and its forms, on stderr; returns EXIT_USAGE. */
int app_usage(const struct app *app);
/* Prints and frees; returns EXIT_DONE, or EXIT_FAILED when stdout cannot take it. NULL: out of memory. */
int app_print_json(json_t *j);
/* A view as a JSON string; bytes that are not UTF-8 become U+FFFD. */
json_t *app_json(struct view v);

/* From the terminal without echo, asked twice; else the first line of standard input. Wipe it after use.
 * False: the reason is on stderr. */
bool app_password(struct buf *out);

/* Tells the running server's processes, if there are any. Never fails: they look for themselves sooner or later. */
void app_poke(struct app *app, enum poke_kind kind, uint64_t account, uint64_t folder);

#endif
