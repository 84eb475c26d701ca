#include "app/serve.h"
#include "app/settings_write.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/listen.h"
#include "app/process.h"
#include "base/clock.h"
#include "sys/fdpass.h"
#include "sys/board.h"

#define VAULT_LINGER_MS 10000 /* a vault that was replaced stays so long for handshakes under way */

/* NEXT is the vault that a reload starts; it takes the other's place when it is ready. */
enum which { VAULT, NEXT, MTA, ACCESS, CHILDREN };
struct proc {
    pid_t pid;            /* 0: not running */
    int control;          /* -1: none */
    bool ready;
    int64_t started_ms;
    int64_t restart_ms;   /* when to start it again; 0: not due */
    int64_t wait_ms;      /* before the next restart */
};
struct server {
    struct app *app;
    struct config *config; /* in force */
    struct config *next;   /* of a reload under way */
    struct users users;
    struct listeners listeners;
    size_t n_before;       /* of them, those from before the reload under way */
    int lock;              /* of data/run/lock; every child holds it too */
    struct proc children[CHILDREN];
    int channels[CHILDREN][VAULT_CHANNELS]; /* ends of MTA and ACCESS that wait for NEXT to be ready */
    int vault_before;      /* control of a vault that was replaced, for handshakes that have begun with its keys; -1: none */
    unsigned n_reloaded;   /* of the two that may have such */
    int64_t vault_ends_ms; /* when it goes; 0: they have not all reloaded */
    int signals;
    bool told_ready, stopping;
    int64_t log_ms;        /* when to look whether the kept log goes on in another file */
    bool reload;           /* asked for; begins when no other is under way */
    int64_t kill_ms;       /* when stopping takes too long */
    int status;
};

static const char *const names[CHILDREN] = {"vault", "vault", "mta", "access"};
static int (*const mains[CHILDREN])(struct start *) = {vault_process, vault_process, mta_process, access_process};

const char *process_of_service(enum config_service service)
{
    switch (service) {
    case SERVICE_SMTP:
    case SERVICE_SUBMISSION:
    case SERVICE_SUBMISSIONS: return "mta";
    case SERVICE_IMAP:
    case SERVICE_IMAPS:
    case SERVICE_POP3:
    case SERVICE_POP3S:
    case SERVICE_HTTP:
    case SERVICE_HTTPS: return "access";
    default: return NULL;
    }
}

struct logfile_settings process_logfile(const struct config *c, const struct users *u)
{
    return (struct logfile_settings){.data = c->data, .keep_s = c->log.keep / 1000, .bytes = c->log.size,
                                     .owner = u->root ? u->store.uid : (uid_t)-1, .group = u->store.gid};
}

/* --- small change --- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void tell(struct server *s, enum which w, char what, const int *fds, size_t n)
{
    if (s->children[w].control >= 0)
        fdpass_send(s->children[w].control, view_of(&what, 1), fds, n, deadline_in(2000));
}

/* VAULT_CHANNELS pairs: theirs for one end, ours for the other. False: none made. */
static bool make_channels(int a[VAULT_CHANNELS], int b[VAULT_CHANNELS])
{
    for (int i = 0; i < VAULT_CHANNELS; i++) {
        int fds[2];
        if (fdpass_pair(fds) != RC_OK) {
            while (i-- > 0) {
                close(a[i]);
                close(b[i]);
            }
            log_error("channel.failed", F_CSTR("reason", strerror(errno)));
            return false;
        }
        a[i] = fds[0];
        b[i] = fds[1];
    }
    return true;
}

static void close_channels(int fds[VAULT_CHANNELS])
{
    for (int i = 0; i < VAULT_CHANNELS; i++)
        close_fd(&fds[i]);
}

/* --- in the new child, before it is anything --- */

static bool is_kept(const struct start *start, int fd)
{
    bool kept = fd <= 2 || fd == start->control || fd == start->bus || fd == start->lock || fd == logfile_fd();
    for (size_t i = 0; i < start->n_channels; i++)
        kept |= fd == start->channels[i];
    for (size_t i = 0; i < start->n_listeners; i++)
        kept |= fd == start->listeners[i].fd;
    return kept;
}

/* What belongs to the parent and to the other children: a listener or channel left open here would outlive them. */
static void close_others(const struct start *start)
{
    int last = 2;
    for (size_t i = 0; i < start->n_listeners; i++)
        last = start->listeners[i].fd > last ? start->listeners[i].fd : last;
    for (size_t i = 0; i < start->n_channels; i++)
        last = start->channels[i] > last ? start->channels[i] : last;
    last = start->control > last ? start->control : last;
    last = start->bus > last ? start->bus : last;
    last = start->lock > last ? start->lock : last;
    last = logfile_fd() > last ? logfile_fd() : last;
    for (int fd = 3; fd < last; fd++)
        if (!is_kept(start, fd))
            close(fd);
    close_range((unsigned)last + 1, ~0u, 0);
}

_Noreturn static void run_child(enum which w, struct start *start)
{
    sigset_t none;
    const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    log_set_process(names[w]);
    char title[16]; /* for ps: the kernel cuts it there */
    snprintf(title, sizeof title, "facteur-%s", names[w]);
    prctl(PR_SET_NAME, title);
    close_others(start);
    exit(mains[w](start));
}

/* --- starting --- */

/* Sockets that connect it to its fellows; *fellow gets what these must be told once it lives. */
struct links {
    int bus, bus_fellow;
    int own[2 * VAULT_CHANNELS];   /* the child's ends */
    int other[2][VAULT_CHANNELS];  /* of a vault: those for MTA and ACCESS; else [0]: for the vault */
    size_t n_own;
};

static void close_links(struct links *l)
{
    close_fd(&l->bus);
    close_fd(&l->bus_fellow);
    for (size_t i = 0; i < l->n_own; i++)
        close_fd(&l->own[i]);
    close_channels(l->other[0]);
    close_channels(l->other[1]);
}

static bool make_links(enum which w, struct links *l)
{
    memset(l, -1, sizeof *l);
    l->n_own = 0;
    const bool is_vault = w == VAULT || w == NEXT;
    for (int i = 0; i < (is_vault ? 2 : 1); i++) {
        if (!make_channels(&l->own[i * VAULT_CHANNELS], l->other[i])) {
            close_links(l);
            return false;
        }
        l->n_own += VAULT_CHANNELS;
    }
    if (!is_vault) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) != 0) {
            close_links(l);
            return false;
        }
        l->bus = fds[0];
        l->bus_fellow = fds[1];
    }
    return true;
}

/* Tells the others of the new one. */
static void join_links(struct server *s, enum which w, struct links *l)
{
    if (w == VAULT) {
        tell(s, MTA, CONTROL_VAULT, l->other[0], VAULT_CHANNELS);
        tell(s, ACCESS, CONTROL_VAULT, l->other[1], VAULT_CHANNELS);
    } else if (w == NEXT) { /* they go on with the old one until this one is ready */
        memcpy(s->channels[MTA], l->other[0], sizeof l->other[0]);
        memcpy(s->channels[ACCESS], l->other[1], sizeof l->other[1]);
        memset(l->other, -1, sizeof l->other);
    } else {
        const char msg[2] = {CONTROL_VAULT, w == ACCESS ? CONTROL_ACCESS : 0};
        if (s->children[VAULT].control >= 0)
            fdpass_send(s->children[VAULT].control, view_of(msg, 2), l->other[0], VAULT_CHANNELS, deadline_in(2000));
        tell(s, w == MTA ? ACCESS : MTA, CONTROL_BUS, &l->bus_fellow, 1);
    }
    close_links(l);
}

/* A configuration of its own for the child: it outlives ours there. */
static struct config *copy_config(const struct config *c)
{
    struct config *copy = NULL;
    struct buf errors;
    buf_init(&errors, 65536);
    if (config_parse(c->file, c->text, &copy, &errors) != RC_OK)
        log_error("config.failed", F_VIEW("reason", buf_view(&errors)));
    buf_clear(&errors);
    return copy;
}

static bool start_child(struct server *s, enum which w)
{
    struct proc *p = &s->children[w];
    struct links links;
    int control[2];

    p->restart_ms = 0;
    if (!make_links(w, &links))
        return false;
    if (fdpass_pair(control) != RC_OK) {
        close_links(&links);
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static struct start start; /* lives as long as the process */
        start = (struct start){.name = names[w], .users = &s->users, .control = control[1], .bus = links.bus, .lock = s->lock};
        memcpy(start.channels, links.own, links.n_own * sizeof *links.own);
        start.n_channels = links.n_own;
        for (size_t i = 0; i < s->listeners.n; i++)
            if (strcmp(process_of_service(s->listeners.v[i].service), names[w]) == 0)
                start.listeners[start.n_listeners++] = s->listeners.v[i];
        start.config = copy_config(w == NEXT ? s->next : s->config);
        if (!start.config)
            _exit(1);
        run_child(w, &start);
    }
    close(control[1]);
    board_process(w, names[w], pid > 0 ? (uint32_t)pid : 0);
    if (pid < 0) {
        log_error("process.failed", F_CSTR("name", names[w]), F_CSTR("reason", strerror(errno)));
        close(control[0]);
        close_links(&links);
        return false;
    }
    *p = (struct proc){.pid = pid, .control = control[0], .started_ms = clock_mono_ms(), .wait_ms = p->wait_ms};
    join_links(s, w, &links);
    return true;
}

static void start_later(struct proc *p)
{
    if (clock_mono_ms() - p->started_ms >= RESTART_GOOD_MS || p->wait_ms == 0)
        p->wait_ms = RESTART_FIRST_MS;
    p->restart_ms = deadline_in(p->wait_ms);
    p->wait_ms = p->wait_ms * 2 < RESTART_MAX_MS ? p->wait_ms * 2 : RESTART_MAX_MS;
}

/* --- stopping --- */

static void stop(struct server *s, int status)
{
    if (s->stopping) { /* asked twice: at once */
        s->kill_ms = clock_mono_ms();
        return;
    }
    s->stopping = true;
    s->status = status;
    s->kill_ms = deadline_in(DRAIN_MS + 3000);
    log_info("stopping");
    listeners_cut(&s->listeners, 0);
    close_fd(&s->vault_before);
    tell(s, MTA, CONTROL_DRAIN, NULL, 0);
    tell(s, ACCESS, CONTROL_DRAIN, NULL, 0);
    if (!s->children[MTA].pid && !s->children[ACCESS].pid) {
        close_fd(&s->children[VAULT].control);
        close_fd(&s->children[NEXT].control);
    }
}

/* --- reload --- */

static void reload_failed(struct server *s)
{
    log_error("reload.failed", F_CSTR("reason", "the settings before stay in force"));
    config_free(s->next);
    s->next = NULL;
    listeners_cut(&s->listeners, s->n_before);
    close_channels(s->channels[MTA]);
    close_channels(s->channels[ACCESS]);
}

static void begin_reload(struct server *s)
{
    struct buf errors;

    s->reload = false;
    s->n_before = s->listeners.n;
    buf_init(&errors, 65536);
    if (config_load(s->app->config_path, &s->next, &errors) != RC_OK) {
        for (struct view rest = buf_view(&errors), line; rest.n > 0;) {
            view_split(&rest, '\n', &line);
            log_error("config.mistake", F_VIEW("at", line));
        }
        reload_failed(s);
    } else if (!listeners_bind(&s->listeners, s->next) || !start_child(s, NEXT)) {
        reload_failed(s);
    }
    buf_clear(&errors);
}

/* Sends one process the new configuration and the files that it needs. */
static void send_config(struct server *s, enum which w)
{
    int fds[FDPASS_MAX_FDS];
    size_t n = 0;

    fds[0] = memfd_create("facteur.conf", MFD_CLOEXEC);
    if (fds[0] < 0 || write(fds[0], s->config->text.p, s->config->text.n) != (ssize_t)s->config->text.n ||
        !side_files_open(s->config, fds + 1, FDPASS_MAX_FDS - 1, &n)) {
        log_error("reload.failed", F_CSTR("name", names[w]), F_CSTR("reason", strerror(errno)));
        close_fd(&fds[0]);
        return;
    }
    tell(s, w, CONTROL_RELOAD, fds, n + 1);
    for (size_t i = 0; i <= n; i++)
        close(fds[i]);
}

static void send_new_listeners(struct server *s, size_t from)
{
    for (size_t i = from; i < s->listeners.n; i++) {
        const struct listener *l = &s->listeners.v[i];
        const char msg[2] = {CONTROL_LISTEN, (char)l->service};
        enum which w = strcmp(process_of_service(l->service), "mta") == 0 ? MTA : ACCESS;
        if (s->children[w].control >= 0)
            fdpass_send(s->children[w].control, view_of(msg, 2), &l->fd, 1, deadline_in(2000));
    }
}

/* The new vault has the new keys: now everything changes over. */
static void finish_reload(struct server *s)
{
    for (enum which w = MTA; w <= ACCESS; w++) {
        tell(s, w, CONTROL_VAULT, s->channels[w], VAULT_CHANNELS);
        close_channels(s->channels[w]);
    }
    close_fd(&s->vault_before);
    s->vault_before = s->children[VAULT].control; /* closed it ends, after the answers in hand */
    s->n_reloaded = 0;
    s->vault_ends_ms = 0;
    s->children[VAULT] = s->children[NEXT];
    board_process(VAULT, names[VAULT], 0);
    board_process(VAULT, names[VAULT], (uint32_t)s->children[VAULT].pid);
    board_process(NEXT, names[NEXT], 0);
    s->children[NEXT] = (struct proc){.control = -1};
    config_free(s->config);
    s->config = s->next;
    s->next = NULL;
    log_set_level(s->config->log_level);
    send_config(s, MTA);
    send_config(s, ACCESS);
    const size_t n_new = s->listeners.n - s->n_before;
    send_new_listeners(s, s->n_before);
    const size_t n_gone = listeners_drop(&s->listeners, s->config);
    log_info("reloaded", F_CSTR("file", s->app->config_path), F_INT("new_listeners", n_new), F_INT("gone_listeners", n_gone));
}

/* --- events --- */

static void child_ready(struct server *s, enum which w)
{
    s->children[w].ready = true;
    if (w == NEXT) {
        finish_reload(s);
        return;
    }
    /* At the first start one after the other: the store is made by the first. */
    if (!s->told_ready && w == VAULT && !s->children[MTA].pid) {
        start_child(s, MTA);
    } else if (!s->told_ready && w == MTA && !s->children[ACCESS].pid) {
        start_child(s, ACCESS);
    } else if (!s->told_ready && s->children[VAULT].ready && s->children[MTA].ready && s->children[ACCESS].ready) {
        s->told_ready = true;
        log_info("ready", F_INT("listeners", s->listeners.n), F_INT("pid", getpid()));
    } else {
        log_info("process.ready", F_CSTR("name", names[w]));
    }
}

static void child_reloaded(struct server *s, enum which w)
{
    log_info("process.reloaded", F_CSTR("name", names[w]));
    if (++s->n_reloaded == 2 && s->vault_before >= 0)
        s->vault_ends_ms = deadline_in(VAULT_LINGER_MS);
}

/* Only access has pages; while one change is being taken over there is no other. */
static void handle_settings(struct server *s, enum which w, int fd)
{
    char msg[2] = {CONTROL_SETTINGS, RC_TEMP};
    struct buf why, answer;

    buf_init(&why, CONTROL_MAX - 2);
    buf_init(&answer, CONTROL_MAX);
    if (w == ACCESS && !s->next && !s->reload && !s->stopping)
        msg[1] = (char)settings_write(s->config, s->app->config_path, fd, &why);
    buf_add(&answer, view_of(msg, 2));
    buf_add(&answer, buf_view(&why));
    if (s->children[w].control >= 0)
        fdpass_send(s->children[w].control, buf_view(&answer), NULL, 0, deadline_in(2000));
    if (msg[1] == RC_OK) {
        log_info("settings.written", F_CSTR("file", s->app->config_path));
        s->reload = true;
    } else if (w == ACCESS) {
        log_warn("settings.refused", F_CSTR("reason", rc_name((enum rc)msg[1])), F_VIEW("why", buf_view(&why)));
    }
    buf_clear(&why);
    buf_clear(&answer);
}

static void handle_message(struct server *s, enum which w)
{
    char msg[16];
    int fd = -1;
    size_t n, n_fds = 0;
    enum rc rc = fdpass_recv(s->children[w].control, msg, sizeof msg, &n, &fd, 1, &n_fds, deadline_in(1000));
    if (rc == RC_OK && msg[0] == CONTROL_READY)
        child_ready(s, w);
    else if (rc == RC_OK && msg[0] == CONTROL_RELOADED)
        child_reloaded(s, w);
    else if (rc == RC_OK && msg[0] == CONTROL_SETTINGS && n_fds == 1)
        handle_settings(s, w, fd);
    else if (rc != RC_OK)
        close_fd(&s->children[w].control); /* SIGCHLD tells more */
    if (n_fds == 1)
        close(fd);
}

static void child_gone(struct server *s, enum which w, int wait_status)
{
    struct proc *p = &s->children[w];
    const bool was_ready = p->ready;
    const bool by_signal = WIFSIGNALED(wait_status);

    close_fd(&p->control);
    board_process(w, names[w], 0);
    p->pid = 0;
    p->ready = false;
    if (s->stopping) {
        if (!s->children[MTA].pid && !s->children[ACCESS].pid) { /* nobody asks the vault any more */
            close_fd(&s->children[VAULT].control);
            close_fd(&s->children[NEXT].control);
        }
        if (by_signal)
            log_error("process.died", F_CSTR("name", names[w]), F_INT("signal", WTERMSIG(wait_status)));
        return;
    }
    if (w == NEXT) {
        reload_failed(s);
        return;
    }
    if (s->vault_before >= 0) /* the one that comes instead knows the new keys alone */
        s->vault_ends_ms = deadline_in(VAULT_LINGER_MS);
    if (by_signal)
        log_error("process.died", F_CSTR("name", names[w]), F_INT("signal", WTERMSIG(wait_status)));
    else
        log_error("process.died", F_CSTR("name", names[w]), F_INT("status", WEXITSTATUS(wait_status)));
    if (!s->told_ready && !was_ready && !by_signal) { /* it has logged what is wrong; trying again would not help */
        stop(s, EXIT_FAILED);
        return;
    }
    start_later(p);
}

static void reap(struct server *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (enum which w = VAULT; w < CHILDREN; w++) /* a vault that was replaced is none of them */
            if (s->children[w].pid == pid)
                child_gone(s, w, status);
}

static void handle_signal(struct server *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    switch (info.ssi_signo) {
    case SIGCHLD: reap(s); break;
    case SIGHUP: s->reload = true; break;
    default: stop(s, EXIT_DONE); break;
    }
}

static int64_t next_event(const struct server *s)
{
    int64_t next = s->stopping ? s->kill_ms : s->log_ms;
    if (s->vault_ends_ms && s->vault_ends_ms < next)
        next = s->vault_ends_ms;
    for (enum which w = VAULT; w < CHILDREN && !s->stopping; w++)
        if (s->children[w].restart_ms && s->children[w].restart_ms < next)
            next = s->children[w].restart_ms;
    return next;
}

static void run_timers(struct server *s)
{
    const int64_t now = clock_mono_ms();
    if (s->vault_ends_ms && now >= s->vault_ends_ms) {
        close_fd(&s->vault_before);
        s->vault_ends_ms = 0;
    }
    if (now >= s->log_ms) {
        const struct logfile_settings log = process_logfile(s->config, &s->users);
        logfile_follow(&log);
        s->log_ms = deadline_in(CHILD_TICK_MS);
    }
    for (enum which w = VAULT; w < CHILDREN; w++) {
        struct proc *p = &s->children[w];
        if (s->stopping && p->pid && now >= s->kill_ms)
            kill(p->pid, SIGKILL);
        else if (!s->stopping && p->restart_ms && now >= p->restart_ms && !start_child(s, w))
            start_later(p);
    }
    if (s->stopping && now >= s->kill_ms)
        s->kill_ms = deadline_in(1000);
}

static bool is_over(const struct server *s)
{
    bool any = false;
    for (enum which w = VAULT; w < CHILDREN; w++)
        any |= s->children[w].pid != 0;
    return s->stopping && !any;
}

static void run(struct server *s)
{
    while (!is_over(s)) {
        struct pollfd p[1 + CHILDREN] = {{.fd = s->signals, .events = POLLIN}};
        for (enum which w = VAULT; w < CHILDREN; w++)
            p[1 + w] = (struct pollfd){.fd = s->children[w].control, .events = POLLIN};
        int n = poll(p, 1 + CHILDREN, deadline_poll(next_event(s)));
        for (enum which w = VAULT; n > 0 && w < CHILDREN; w++)
            if (p[1 + w].revents && p[1 + w].fd == s->children[w].control)
                handle_message(s, w);
        if (n > 0 && p[0].revents)
            handle_signal(s);
        if (s->reload && s->told_ready && !s->stopping && !s->next)
            begin_reload(s);
        run_timers(s);
    }
}

/* --- beginning --- */

static void raise_limits(const struct config *c)
{
    struct rlimit r;
    const rlim_t wanted = (rlim_t)c->limits.connections * 2 + 8192;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max < wanted && geteuid() != 0 ? r.rlim_max : wanted;
        if (r.rlim_max < r.rlim_cur)
            r.rlim_max = r.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0) { /* not even root may, in some containers */
            getrlimit(RLIMIT_NOFILE, &r);
            r.rlim_cur = r.rlim_max;
            setrlimit(RLIMIT_NOFILE, &r);
        }
    }
    /* Few heaps, and large blocks given back at once: a server at rest is small. */
    mallopt(M_ARENA_MAX, 4);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

/* One server a data folder. When a parent was killed, its children still finish what they had begun: wait for them, as two
 * queues on one store would send twice. The kernel lets go when the last of them has ended. */
static bool lock_data(struct server *s)
{
    const char *path = arena_printf(&s->app->arena, "%s/run/lock", s->config->data);
    const int64_t deadline = deadline_in(DRAIN_MS + 5000);
    const struct timespec pause = {0, 50 * 1000 * 1000};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool told = false;

    s->lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (s->lock < 0)
        return app_fail("cannot open %s: %s", path, strerror(errno)), false;
    while (fcntl(s->lock, F_OFD_SETLK, &whole) != 0) { /* belongs to the open file, so children hold it too */
        if (clock_mono_ms() > deadline)
            return app_fail("another server is using %s", s->config->data), false;
        if (!told)
            log_info("waiting", F_CSTR("reason", "another server is using the data"), F_CSTR("data", s->config->data));
        told = true;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool prepare(struct server *s)
{
    sigset_t set;
    const char *why = NULL;

    users_find(s->config, &s->users);
    if (s->users.closed[0]) /* root without its capabilities, where root is the owner */
        log_warn("user.no_way", F_CSTR("user", s->config->user), F_CSTR("closed", s->users.closed), F_CSTR("instead", s->users.store.name));
    if (s->users.root && s->users.store.missing)
        log_warn("user.missing", F_CSTR("user", s->config->user), F_CSTR("instead", s->users.store.name));
    if (s->users.root && s->users.vault.missing)
        log_warn("user.missing", F_CSTR("user", s->config->vault_user), F_CSTR("instead", s->users.vault.name));
    if (users_prepare_data(s->config, &s->users, &s->app->arena, &why) != RC_OK)
        return app_fail("%s", why ? why : "out of memory"), false;
    if (!lock_data(s))
        return false;
    const struct logfile_settings log = process_logfile(s->config, &s->users);
    logfile_turn(&log);
    s->log_ms = deadline_in(CHILD_TICK_MS);
    raise_limits(s->config);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return app_fail("signalfd: %s", strerror(errno)), false;
    return listeners_bind(&s->listeners, s->config);
}

int serve(struct app *app)
{
    struct server *s = calloc(1, sizeof *s);
    int status = EXIT_FAILED;

    if (!s || !app_config(app) || board_open() != RC_OK) {
        free(s);
        return EXIT_FAILED;
    }
    s->app = app;
    s->config = app->config;
    app->config = NULL;
    s->signals = s->lock = s->vault_before = -1;
    memset(s->channels, -1, sizeof s->channels);
    for (enum which w = VAULT; w < CHILDREN; w++)
        s->children[w].control = -1;
    board_process(CHILDREN, "parent", (uint32_t)getpid());
    log_set_process("parent");
    if (prepare(s) && start_child(s, VAULT)) {
        run(s);
        status = s->status;
        log_info("stopped");
    }
    close_fd(&s->signals);
    close_fd(&s->lock);
    config_free(s->next);
    config_free(s->config);
    free(s);
    return status;
}
