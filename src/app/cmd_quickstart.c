/* facteur quickstart ADDRESS: from nothing to a server that can be started: system users, folders, configuration, a certificate
 * to begin with, first domain and account, service unit. Changes nothing that is there already. */
#include <errno.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/domain_keys.h"
#include "app/noted.h"
#include "app/people.h"
#include "app/selfsigned.h"
#include "app/users.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "net/addr.h"
#include "sys/file.h"

#define UNIT "/etc/systemd/system/facteur.service"

extern char **environ;

struct plan {
    struct app *app;
    const char *address, *domain, *hostname, *data, *folder; /* folder: of the configuration */
    const char *listen;  /* one address, or NULL: all */
    bool root, system;   /* system: users and unit, too */
    bool ask_password;
    unsigned shift;      /* of ports, without root */
    struct buf password;
};

/* Runs a program of the system by its path, without a shell. */
static bool run_program(const char *const argv[])
{
    pid_t pid;
    int status;
    if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool make_user(const char *name, const char *data)
{
    const char *const argv[] = {"/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", "--home-dir", data,
                                "--shell", "/usr/sbin/nologin", name, NULL};
    if (getpwnam(name))
        return true;
    if (!run_program(argv))
        return app_fail("cannot make the system user %s by useradd", name), false;
    printf("made the system user %s\n", name);
    return true;
}

/* An address at which every card listens, by both families where the kernel has both. */
static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && access("/proc/net/if_inet6", R_OK) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static void listener_line(const struct plan *p, struct buf *b, const char *service, unsigned port)
{
    port += p->shift;
    if (p->listen)
        buf_printf(b, strchr(p->listen, ':') ? "    %-11s = \"[%s]:%u\"\n" : "    %-11s = \"%s:%u\"\n", service, p->listen, port);
    else if (has_ipv6())
        buf_printf(b, "    %-11s = {\"0.0.0.0:%u\", \"[::]:%u\"}\n", service, port, port);
    else
        buf_printf(b, "    %-11s = \"0.0.0.0:%u\"\n", service, port);
}

/* Whether a web server is there already: then these ports are its own. */
static bool is_free(const struct plan *p, unsigned port)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];
    snprintf(text, sizeof text, strchr(p->listen ? p->listen : "", ':') ? "[%s]:%u" : "%s:%u", p->listen ? p->listen : "0.0.0.0", port + p->shift);
    if (addr_parse(view_str(text), &a) != RC_OK)
        return false;
    const int one = 1, fd = socket(a.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool free = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 && bind(fd, (struct sockaddr *)&a.ss, a.len) == 0 &&
                listen(fd, 1) == 0;
    if (fd >= 0)
        close(fd);
    return free;
}

static void write_config_text(const struct plan *p, struct buf *b)
{
    buf_printf(b, "# Facteur; `facteur config check` looks at it, SIGHUP makes a running server read it again.\n"
                  "hostname   = \"%s\"\n"
                  "data       = \"%s\"\n", p->hostname, p->data);
    if (p->system)
        buf_str(b, "user       = \"facteur\"\nvault-user = \"facteur-vault\"\n");
    buf_str(b, "listen {\n");
    listener_line(p, b, "smtp", 25);
    listener_line(p, b, "submission", 587);
    listener_line(p, b, "submissions", 465);
    listener_line(p, b, "imap", 143);
    listener_line(p, b, "imaps", 993);
    listener_line(p, b, "pop3", 110);
    listener_line(p, b, "pop3s", 995);
    const char *mark = is_free(p, 80) && is_free(p, 443) ? "" : "#";
    buf_str(b, mark);
    listener_line(p, b, "http", 80);
    buf_str(b, mark);
    listener_line(p, b, "https", 443);
    buf_str(b, "}\n"
               "tls {                       # signed by itself: a beginning\n"
               "    certificate = \"tls/cert.pem\"\n"
               "    key         = \"tls/key.pem\"\n"
               "}\n");
    /* Not in force at first: who uses an authority agrees to its terms. */
    buf_printf(b, "# Certificates that clients trust, got and renewed by themselves: where http and https above are in force and reached from\n"
                  "# outside, take the marks away from these lines, then reload.\n"
                  "# acme {\n"
                  "#     directory = \"https://acme-v02.api.letsencrypt.org/directory\"\n"
                  "#     contact   = \"mailto:%s\"\n"
                  "# }\n", p->address);
}

static int write_file(const char *path, const struct buf *b, mode_t mode)
{
    if (buf_rc(b) != RC_OK || file_write_atomic(path, buf_view(b), mode) != RC_OK)
        return app_fail("cannot write %s: %s", path, strerror(errno));
    printf("wrote %s\n", path);
    return EXIT_DONE;
}

static int write_certificate(struct plan *p)
{
    const char *folder = arena_printf(&p->app->arena, "%s/tls", p->folder);
    const char *cert_path = arena_printf(&p->app->arena, "%s/cert.pem", folder);
    const char *key_path = arena_printf(&p->app->arena, "%s/key.pem", folder);
    struct buf cert, key;
    int code = EXIT_DONE;

    if (!key_path || file_mkdirs(folder, 0755) != RC_OK)
        return app_fail("cannot make the folder %s: %s", folder, strerror(errno));
    if (access(cert_path, F_OK) == 0 || access(key_path, F_OK) == 0)
        return EXIT_DONE;
    buf_init(&cert, 65536);
    buf_init(&key, 65536);
    if (selfsigned_make(p->hostname, &cert, &key) != RC_OK)
        code = app_fail("cannot make a certificate for %s", p->hostname);
    if (code == EXIT_DONE)
        code = write_file(key_path, &key, 0600);
    if (code == EXIT_DONE)
        code = write_file(cert_path, &cert, 0644);
    buf_clear(&cert);
    buf_wipe(&key);
    buf_clear(&key);
    return code;
}

static int write_config(struct plan *p)
{
    struct buf text;
    buf_init(&text, 65536);
    write_config_text(p, &text);
    int code = write_file(p->app->config_path, &text, 0644);
    buf_clear(&text);
    return code;
}

static int write_unit(const struct plan *p)
{
    char program[4096];
    struct buf text;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    if (n <= 0 || access("/etc/systemd/system", W_OK) != 0 || access(UNIT, F_OK) == 0)
        return EXIT_DONE; /* no systemd here, or a unit that somebody has made */
    program[n] = 0;
    buf_init(&text, 65536);
    buf_printf(&text,
               "[Unit]\n"
               "Description=Facteur mail server\n"
               "After=network-online.target\n"
               "Wants=network-online.target\n\n"
               "[Service]\n"
               "Type=exec\n"
               "ExecStart=%s -c %s serve\n"
               "ExecReload=/bin/kill -HUP $MAINPID\n"
               "KillMode=mixed\n"
               "TimeoutStopSec=30\n"
               "Restart=on-failure\n"
               "LimitNOFILE=1048576\n"
               "ProtectSystem=full\n"
               "ReadWritePaths=-%s\n"
               "PrivateTmp=yes\n"
               "ProtectKernelTunables=yes\n"
               "ProtectKernelModules=yes\n"
               "ProtectControlGroups=yes\n"
               "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\n"
               "[Install]\n"
               "WantedBy=multi-user.target\n",
               program, p->app->config_path, p->folder);
    int code = write_file(UNIT, &text, 0644);
    buf_clear(&text);
    return code;
}

/* Twenty letters and digits that cannot be mistaken for each other: 115 bits. */
static void generate_password(struct buf *out)
{
    static const char letters[] = "abcdefghijkmnopqrstuvwxyzACDEFGHJKLMNPQRSTUVWXYZ2345679";
    buf_init(out, 64);
    for (int i = 0; i < 20; i++)
        buf_chr(out, letters[random_below(sizeof letters - 1)]);
}

static int make_people(struct plan *p)
{
    struct app *app = p->app;
    uint64_t id = 0;

    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain_add(app->store, view_str(p->domain));
    if (rc != RC_OK && rc != RC_EXISTS)
        return app_fail_rc(rc, "add the domain");
    int code = rc == RC_OK ? domain_keys_make(app, view_str(p->domain), DKIM_KEY_ACTIVE) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = people_add(app, p->address, &id);
    if (code == EXIT_DONE)
        code = people_set_password(app, id, buf_view(&p->password));
    if (code == EXIT_DONE && (rc = directory_account_set_role(app->store, view_str(p->address), ROLE_OPERATOR)) != RC_OK)
        code = app_fail_rc(rc, "set the role");
    if (code == EXIT_DONE) {
        noted(app, "domain.add", p->domain, "");
        noted(app, "account.add", p->address, people_role_name(ROLE_OPERATOR));
    }
    return code;
}

/* The first log-in to the pages, where they are served. */
static void tell_link(struct plan *p)
{
    struct directory_account account;
    struct buf link;
    bool served = false;
    for (size_t i = 0; i < p->app->config->listen.n; i++)
        served |= p->app->config->listen.v[i].service == SERVICE_HTTPS;
    if (!served) {
        printf("\n3. The pages to run all of this are served when ports 80 and 443 are: take the marks away from http and https in\n   %s.\n", p->app->config_path);
        return;
    }
    buf_init(&link, 1024);
    if (people_find(p->app, p->address, &account) == EXIT_DONE && people_link(p->app, account.id, &link) == EXIT_DONE)
        printf("\n3. Open the pages to run all of this. This link logs you in, once, within a day (the browser warns of the certificate, see 4;\n"
               "   while the DNS does not know %s, put this machine's address in its place):\n\n"
               "    %.*s\n", p->hostname, VIEW_FMT(buf_view(&link)));
    buf_wipe(&link);
    buf_clear(&link);
}

static int tell_next_steps(struct plan *p)
{
    const char *argv[] = {"dns", p->domain, NULL};
    const bool is_default = strcmp(p->app->config_path, CONFIG_DEFAULT) == 0;

    printf("\nThe account %s has the operator's rights", p->address);
    if (p->ask_password)
        printf(".\n");
    else
        printf(" and this password, which is shown only now:\n\n    %.*s\n", VIEW_FMT(buf_view(&p->password)));
    printf("\n1. Start the server:\n\n");
    if (p->system && access(UNIT, F_OK) == 0)
        printf("    systemctl daemon-reload && systemctl enable --now facteur\n");
    else
        printf("    facteur -c %s serve\n", p->app->config_path);
    printf("\n2. Publish these DNS records, the address records (A, AAAA) of %s, and its name for these addresses (PTR):\n\n",
           p->hostname);
    int code = cmd_dns(p->app, 2, (char **)argv);
    tell_link(p);
    printf("\n4. The certificate in %s/tls is signed by itself. The last lines of %s\n"
           "   say how to get one that clients trust. Then look at all of it as others see it:\n\n    facteur%s%s doctor %s\n",
           p->folder, p->app->config_path, is_default ? "" : " -c ", is_default ? "" : p->app->config_path, p->domain);
    return code;
}

static int make_all(struct plan *p)
{
    int code;

    if (access(p->app->config_path, F_OK) == 0)
        return app_fail("%s is there already: quickstart changes no server that is set up", p->app->config_path);
    const char *above = arena_cstr(&p->app->arena, view_slice(view_str(p->data), 0, view_rchr(view_str(p->data), '/')));
    const mode_t mask = umask(022); /* the users of the server pass through these folders */
    if (file_mkdirs(p->folder, 0755) != RC_OK || !above || (*above && file_mkdirs(above, 0755) != RC_OK))
        return app_fail("cannot make the folders %s and %s: %s", p->folder, p->data, strerror(errno));
    if (p->system && (!make_user("facteur", p->data) || !make_user("facteur-vault", p->data)))
        return EXIT_FAILED;
    if ((code = write_certificate(p)) != EXIT_DONE || (code = write_config(p)) != EXIT_DONE)
        return code;
    if (p->system && (code = write_unit(p)) != EXIT_DONE)
        return code;
    umask(mask);
    if (p->ask_password ? !app_password(&p->password) : (generate_password(&p->password), false))
        return EXIT_FAILED;
    if ((code = make_people(p)) == EXIT_DONE)
        code = tell_next_steps(p);
    buf_wipe(&p->password);
    buf_clear(&p->password);
    return code;
}

/* The folder that a path lies in, absolute: the configuration and unit must not depend on where we stand. */
static const char *absolute(struct arena *a, const char *path)
{
    char here[4096];
    if (*path == '/')
        return arena_cstr(a, view_str(path));
    return getcwd(here, sizeof here) ? arena_printf(a, "%s/%s", here, path) : NULL;
}

int cmd_quickstart(struct app *app, int argc, char **argv)
{
    struct plan p = {.app = app, .root = geteuid() == 0};
    struct view domain;
    bool no_system = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hostname") == 0 && i + 1 < argc)
            p.hostname = argv[++i];
        else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc)
            p.data = argv[++i];
        else if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc)
            p.listen = argv[++i];
        else if (strcmp(argv[i], "--password") == 0)
            p.ask_password = true;
        else if (strcmp(argv[i], "--no-system") == 0)
            no_system = true;
        else if (argv[i][0] != '-' && !p.address)
            p.address = argv[i];
        else
            return app_usage(app);
    }
    size_t at = p.address ? view_rchr(view_str(p.address), '@') : VIEW_NONE;
    if (!p.address)
        return app_usage(app);
    if (at == VIEW_NONE || at == 0 || p.address[at + 1] == 0) {
        app_fail("%s is no address: quickstart wants yours, such as you@example.org", p.address);
        return EXIT_USAGE;
    }
    domain = view_from(view_str(p.address), at + 1);
    p.domain = arena_cstr(&app->arena, domain);
    if (!p.hostname)
        p.hostname = arena_printf(&app->arena, "mx.%s", p.domain);
    p.system = p.root && !no_system;
    p.shift = p.root ? 0 : 10000; /* low ports are root's */
    app->config_path = absolute(&app->arena, app->config_path);
    if (!app->config_path)
        return app_fail("out of memory");
    p.folder = arena_cstr(&app->arena, view_slice(view_str(app->config_path), 0, view_rchr(view_str(app->config_path), '/')));
    if (!p.data)
        p.data = strcmp(app->config_path, CONFIG_DEFAULT) == 0 ? "/var/lib/facteur" : arena_printf(&app->arena, "%s/data", p.folder);
    p.data = p.data ? absolute(&app->arena, p.data) : NULL;
    if (!p.folder || !p.data || !p.hostname)
        return app_fail("out of memory");
    return make_all(&p);
}
