#include "app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "app/users.h"
#include "base/json_text.h"
#include "store/bus.h"
#include "vault/vault.h"

#define FAIL_TEXT_MAX 2048

int app_fail(const char *fmt, ...)
{
    char text[FAIL_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++) /* what was asked for is repeated here: it stays one line, and harmless to terminals */
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "facteur: %s\n", text);
    return EXIT_FAILED;
}

int app_fail_rc(enum rc rc, const char *what)
{
    switch (rc) {
    case RC_FULL: return app_fail("cannot %s: the disk is full", what);
    case RC_CORRUPT: return app_fail("cannot %s: the store is damaged; see `facteur store verify`", what);
    case RC_DENIED: return app_fail("cannot %s: not allowed", what);
    case RC_TEMP: return app_fail("cannot %s now (busy, I/O error or no memory; the log line above says which)", what);
    case RC_NOTFOUND: return app_fail("cannot %s: it is not there", what);
    case RC_EXISTS: return app_fail("cannot %s: it is there already", what);
    case RC_SYNTAX: return app_fail("cannot %s: it is not well-formed", what);
    case RC_LIMIT: return app_fail("cannot %s: it is too large", what);
    default: return app_fail("cannot %s: %s", what, rc_name(rc));
    }
}

int app_done(const struct app *app, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap), code = EXIT_DONE;
    va_end(ap);
    if (n < 0)
        return EXIT_DONE; /* no memory for the words; the deed is done */
    if (app->json)
        code = app_print_json(json_pack("{s:o}", "done", app_json(view_str(text))));
    else if (puts(text) == EOF)
        code = app_fail("cannot write the output");
    free(text);
    return code;
}

const struct config *app_config(struct app *app)
{
    struct buf errors;
    if (app->config)
        return app->config;
    buf_init(&errors, 64 << 10);
    if (config_load(app->config_path, &app->config, &errors) != RC_OK)
        fprintf(stderr, "%.*s", VIEW_FMT(buf_view(&errors)));
    else
        log_set_level(app->config->log_level);
    buf_clear(&errors);
    return app->config;
}

bool app_become(struct app *app, enum app_user user)
{
    struct users users;
    if (geteuid() != 0 && getuid() != 0)
        return true;
    if (users_become_effective(0, 0) != RC_OK)
        return app_fail("cannot become root again: %s", strerror(errno)), false;
    if (user == APP_ROOT)
        return true;
    if (!app_config(app))
        return false;
    users_find(app->config, &users);
    const struct user_id *u = user == APP_VAULT_USER ? &users.vault : &users.store;
    if (users_become_effective(u->uid, u->gid) != RC_OK)
        return app_fail("cannot become user %s: %s", u->name, strerror(errno)), false;
    return true;
}

/* To both processes of a running server, after each commit of ours. */
static void forward_bus(void *ctx, uint64_t account, uint64_t folder)
{
    app_poke(ctx, POKE_BUS, account, folder);
}

void app_poke(struct app *app, enum poke_kind kind, uint64_t account, uint64_t folder)
{
    const struct poke p = {.kind = kind, .account = account, .folder = folder};
    poke_send_to(app->config->data, POKE_MTA_SOCKET, &p);
    poke_send_to(app->config->data, POKE_ACCESS_SOCKET, &p);
}

struct store *app_store(struct app *app)
{
    const char *why = NULL;
    struct users users;

    if (app->store)
        return app->store;
    if (!app_config(app) || !app_become(app, APP_ROOT))
        return NULL;
    users_find(app->config, &users);
    if (users_prepare_data(app->config, &users, &app->arena, &why) != RC_OK)
        return app_fail("%s", why ? why : "out of memory"), NULL;
    if (!app_become(app, APP_STORE_USER))
        return NULL;
    const struct store_settings set = {.data = app->config->data, .node = "cli", .keep_deleted_s = app->config->limits.keep_deleted / 1000};
    enum rc rc = store_open(&set, &app->arena, &app->store, &why);
    if (rc != RC_OK)
        return app_fail("cannot open the store in %s: %s", app->config->data, why ? why : rc_name(rc)), NULL;
    bus_set_forward(app->store, forward_bus, app);
    return app->store;
}

json_t *app_json(struct view v)
{
    return json_text(v);
}

int app_print_json(json_t *j)
{
    if (!j)
        return app_fail("out of memory");
    int rc = json_dumpf(j, stdout, JSON_INDENT(2));
    json_decref(j);
    if (rc != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return app_fail("cannot write the output");
    return EXIT_DONE;
}

/* One line of fd without its end. False: nothing came. */
static bool read_line(int fd, struct buf *out)
{
    char c;
    ssize_t n;
    bool any = false;
    while ((n = read(fd, &c, 1)) == 1 || (n < 0 && errno == EINTR)) {
        if (n != 1)
            continue;
        any = true;
        if (c == '\n')
            break;
        buf_chr(out, c);
    }
    if (out->n > 0 && out->p[out->n - 1] == '\r')
        out->n--;
    return any;
}

static bool ask(int tty, const char *prompt, struct buf *out)
{
    struct termios old, quiet;
    if (tcgetattr(tty, &old) != 0)
        return false;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "%s: ", prompt);
    fflush(stderr);
    if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0)
        return false;
    bool ok = read_line(tty, out);
    tcsetattr(tty, TCSAFLUSH, &old);
    fputc('\n', stderr);
    return ok;
}

bool app_password(struct buf *out)
{
    struct buf again;
    bool ok = true;

    buf_init(out, VAULT_PASSWORD_MAX);
    buf_init(&again, VAULT_PASSWORD_MAX);
    if (!isatty(STDIN_FILENO)) {
        if (!read_line(STDIN_FILENO, out))
            ok = (app_fail("no password on standard input"), false);
    } else if (!ask(STDIN_FILENO, "Password", out) || !ask(STDIN_FILENO, "Again", &again)) {
        ok = (app_fail("cannot read the password from the terminal"), false);
    } else if (!view_eq(buf_view(out), buf_view(&again))) {
        ok = (app_fail("the two passwords differ"), false);
    }
    if (ok && buf_rc(out) != RC_OK)
        ok = (app_fail("the password is too long (at most %d bytes)", VAULT_PASSWORD_MAX), false);
    if (ok && out->n == 0)
        ok = (app_fail("the password is empty"), false);
    buf_wipe(&again);
    buf_clear(&again);
    if (!ok) {
        buf_wipe(out);
        buf_clear(out);
    }
    return ok;
}
