/* facteur [-c FILE] COMMAND ...: finds the subcommand and runs it. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "app/commands.h"

static int cmd_help(struct app *app, int argc, char **argv);

/* In the order in which `facteur help` tells them. */
static const struct command commands[] = {
    {"quickstart", cmd_quickstart,
     "quickstart [--hostname HOST] [--data DIR] [--listen IP] [--password] [--no-system] ADDRESS",
     "a working configuration, certificate, first domain and account"},
    {"serve", cmd_serve, "serve", "runs the server in the foreground"},
    {"domain", cmd_domain, "domain add DOMAIN\ndomain remove DOMAIN\ndomain list [--json]\n"
     "domain rotate-keys DOMAIN [--wait|--now] [--json]\n"
     "domain mta-sts DOMAIN [testing|enforce|none] [--json]",
     "the domains that we host, the keys that sign for them, and whether others must use TLS"},
    {"account", cmd_account,
     "account add ADDRESS\naccount remove ADDRESS\naccount list [DOMAIN] [--json]\naccount passwd ADDRESS\n"
     "account role ADDRESS operator|owner|user\naccount link ADDRESS [--json]\naccount app-password add ADDRESS NAME [--scope all|read|send] [--json]\n"
     "account app-password list ADDRESS [--json]\naccount app-password remove ADDRESS ID\n"
     "account second-factor ADDRESS [off] [--json]\n"
     "account undelete ADDRESS [--since DATE] [--list] [--json]",
     "mailboxes and their passwords (from the terminal, or standard input)"},
    {"alias", cmd_alias, "alias add ADDRESS TARGET...\nalias remove ADDRESS [TARGET...]\nalias list [DOMAIN] [--json]",
     "addresses that lead to others; \"@domain\" is the catch-all"},
    {"apply", cmd_apply, "apply FILE [--dry-run] [--json]\napply --export [--json]", "makes domains, accounts and aliases equal to a text file"},
    {"dns", cmd_dns, "dns DOMAIN [--publish] [--json]", "the records that DOMAIN should publish, as zone-file lines, or straight to a DNS server"},
    {"import", cmd_import, "import ADDRESS PATH [--folder NAME] [--json]", "an mbox file or a Maildir into an account"},
    {"export", cmd_export, "export ADDRESS DIRECTORY [--json]\nexport ADDRESS FILE.mbox [--folder NAME] [--json]",
     "an account as a Maildir, or one folder as mbox"},
    {"queue", cmd_queue,
     "queue list [--json]\nqueue show ID [--json]\nqueue flush [ID|DOMAIN]\nqueue hold ID\nqueue release ID\nqueue remove ID",
     "mail that waits: for another server, or to be let go"},
    {"suppression", cmd_suppression, "suppression list ADDRESS [--json]\nsuppression remove ADDRESS WHOM",
     "whom an account's mail over the HTTP API does not go to any more: dead addresses, and who complained"},
    {"log", cmd_log, "log [--event EVENT] [--level LEVEL] [--since TIME] [--limit N] [--follow | --json] [TEXT...]",
     "the kept log: lines that hold all of the texts, the newest last"},
    {"trace", cmd_trace, "trace [--sender TEXT] [--recipient TEXT] [--id ID] [--since TIME] [--limit N] [--json]",
     "what became of a message, from the connection to the folder"},
    {"report", cmd_report, "report show FILE... [--json]\nreport list [--json]\nreport send [--day YYYY-MM-DD] [--json]",
     "reads DMARC, failure and TLS reports of others from files; those that we owe other domains: what would go out, send now"},
    {"backup", cmd_backup, "backup DIR [--json]", "a consistent copy of a running server; again: what is new"},
    {"restore", cmd_restore, "restore DIR [--json]\nrestore DIR ADDRESS [--json]\nrestore DIR ADDRESS FOLDER UID|MESSAGE-ID [--json]",
     "everything, what an account lacks, or one message back from a backup"},
    {"store", cmd_store, "store verify [--json]\nstore salvage NEW_FOLDER [--json]\nstore compact [--json]",
     "finds damage, saves what is readable, gives room back"},
    {"check", cmd_check, "check PATH... [--ip ADDRESS] [--helo NAME] [--mail-from ADDRESS] [--psl] [--json]",
     "judges a message (\"-\": standard input), or all files of folders, as if they came from that client"},
    {"doctor", cmd_doctor, "doctor [DOMAIN] [--lang en|fr] [--json]",
     "looks at a domain from outside and says what is wrong and how to mend it (none named: ours)"},
    {"bimi", cmd_bimi, "bimi FILE... [--certificate FILE --domain DOMAIN] [--json]",
     "whether a drawing (SVG) is a logo that mail programs may show, and a mark certificate holds for it"},
    {"config", cmd_config, "config check [--json]", "names the file, line and reason of every mistake"},
    {"help", cmd_help, "help [COMMAND]", "this text, or how to use one command"},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Whether a form goes on behind the command's name with this word, as in "queue show ID". */
static bool has_verb(struct view form, const char *verb)
{
    struct view word;
    view_split(&form, ' ', &word);
    view_split(&form, ' ', &word);
    return verb && view_eq(word, view_str(verb));
}

/* The forms of `verb`, or all where there is no such. False: none has it. */
static bool print_usage(FILE *to, const struct command *c, const char *verb)
{
    struct view rest = view_str(c->usage), form;
    bool any = false;
    for (struct view forms = rest; forms.n > 0;) {
        view_split(&forms, '\n', &form);
        any |= has_verb(form, verb);
    }
    while (to && rest.n > 0) {
        view_split(&rest, '\n', &form);
        if (!any || has_verb(form, verb))
            fprintf(to, "  facteur [-c FILE] %.*s\n", VIEW_FMT(form));
    }
    return any;
}

/* Whether some form of the command has this option. */
static bool has_option(const struct command *c, const char *option)
{
    struct view rest = view_str(c->usage), word;
    while (rest.n > 0) {
        struct view at = rest;
        view_skip(&rest, 1);
        if (at.p[0] != '-' || !view_take(&at, view_str(option)))
            continue;
        word = view_slice(at, 0, 1);
        if (word.n == 0 || (!is_alnum((unsigned char)word.p[0]) && word.p[0] != '-'))
            return true;
    }
    return false;
}

static void print_overview(FILE *to)
{
    fprintf(to, "usage: facteur [-c FILE] COMMAND ...   (FILE: %s)\n\n", CONFIG_DEFAULT);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n`facteur help COMMAND` tells its forms; `facteur --version` the version.\n");
}

static void print_command(const struct command *c)
{
    printf("%s\n", c->summary);
    print_usage(stdout, c, NULL);
}

/* A sentence on what is wrong, as far as words alone tell. */
static void tell_wrong(const struct command *c, char *const *words)
{
    const char *verb = words[1], *form = c->usage + strlen(c->name);
    const bool wants_verb = *form && is_alpha((unsigned char)form[1]) && form[1] >= 'a';
    for (size_t i = 1; words[i]; i++)
        if (words[i][0] == '-' && words[i][1] && !has_option(c, words[i])) {
            fprintf(stderr, "facteur: `%s` has no option %s\n", c->name, words[i]);
            return;
        }
    if (!verb)
        fprintf(stderr, wants_verb ? "facteur: `%s` wants a word that says what to do\n" : "facteur: `%s` alone says too little\n", c->name);
    else if (wants_verb && !print_usage(NULL, c, verb))
        fprintf(stderr, "facteur: there is no `%s %s`\n", c->name, verb);
    else
        fprintf(stderr, "facteur: a word too few, too many or misplaced behind `%s%s%s`\n", c->name, wants_verb ? " " : "", wants_verb ? verb : "");
}

int app_usage(const struct app *app)
{
    tell_wrong(app->command, app->words);
    fprintf(stderr, "usage:\n");
    print_usage(stderr, app->command, app->words[1]);
    return EXIT_USAGE;
}

static int cmd_help(struct app *app, int argc, char **argv)
{
    if (argc > 2)
        return app_usage(app);
    if (argc == 1) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *c = find_command(argv[1]);
    if (!c) {
        app_fail("there is no command '%s'; `facteur help` lists them", argv[1]);
        return EXIT_USAGE;
    }
    print_command(c);
    return EXIT_DONE;
}

/* Takes "--json" out of argv, wherever it stands before "--". */
static bool take_json(int *argc, char **argv)
{
    bool found = false, over = false;
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        over |= strcmp(argv[i], "--") == 0;
        if (!over && strcmp(argv[i], "--json") == 0)
            found = true;
        else
            argv[n++] = argv[i];
    }
    argv[n] = NULL;
    *argc = n;
    return found;
}

int main(int argc, char **argv)
{
    struct app app = {.config_path = CONFIG_DEFAULT};
    int i = 1;

    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    log_set_process("facteur");
    arena_init(&app.arena, SIZE_MAX / 2);

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            app.config_path = argv[++i];
        } else if (strcmp(argv[i], "--version") == 0) {
            printf("facteur %s\n", FACTEUR_VERSION);
            return EXIT_DONE;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_overview(stdout);
            return EXIT_DONE;
        } else {
            fprintf(stderr, strcmp(argv[i], "-c") == 0 ? "facteur: -c wants a file\n\n" : "facteur: there is no option %s\n\n", argv[i]);
            print_overview(stderr);
            return EXIT_USAGE;
        }
    }
    if (i >= argc) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    app.command = find_command(argv[i]);
    if (!app.command) {
        fprintf(stderr, "facteur: there is no command '%s'; `facteur help` lists them\n", argv[i]);
        return EXIT_USAGE;
    }
    argc -= i;
    argv += i;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_command(app.command);
        return EXIT_DONE;
    }
    app.json = take_json(&argc, argv);
    app.words = argv;
    int code = app.command->run(&app, argc, argv);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = app_fail("cannot write the output");
    store_close(app.store);
    config_free(app.config);
    arena_clear(&app.arena);
    return code;
}
