#include "app/poke.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/fdpass.h"

#define CONNECTION_MS 1000

/* A connection's datagram; all others are a poke alone. */
struct handed {
    struct poke p;
    struct addr peer, local;
};

static bool name_of(const char *data, const char *name, struct sockaddr_un *sa)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(sa->sun_path, sizeof sa->sun_path, "%s/%s", data, name) < (int)sizeof sa->sun_path;
}

void poke_send(int fd, const struct poke *p)
{
    while (send(fd, p, sizeof *p, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

void poke_send_to(const char *data, const char *name, const struct poke *p)
{
    struct sockaddr_un sa;
    if (!name_of(data, name, &sa))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        poke_send(fd, p);
    close(fd);
}

enum rc poke_bind(const char *data, const char *name, int *fd)
{
    struct sockaddr_un sa;
    if (!name_of(data, name, &sa)) {
        errno = ENAMETOOLONG;
        return RC_TEMP;
    }
    *fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return RC_TEMP;
    unlink(sa.sun_path); /* left by a server that was killed */
    mode_t old = umask(0177);
    int bound = bind(*fd, (struct sockaddr *)&sa, sizeof sa);
    umask(old);
    if (bound == 0)
        return RC_OK;
    int why = errno;
    close(*fd);
    *fd = -1;
    errno = why;
    return RC_TEMP;
}

enum rc poke_send_connection(int fd, const struct poke_connection *connection)
{
    const struct handed h = {.p = {.kind = POKE_CONNECTION}, .peer = connection->peer, .local = connection->local};
    return fdpass_send(fd, view_of(&h, sizeof h), &connection->fd, 1, deadline_in(CONNECTION_MS));
}

enum rc poke_receive(int fd, struct poke *out, struct poke_connection *connection)
{
    struct handed h = {0};
    size_t n, n_fds;
    int passed = -1;
    enum rc rc = fdpass_recv(fd, &h, sizeof h, &n, &passed, 1, &n_fds, 0);

    *connection = (struct poke_connection){.fd = -1};
    if (rc == RC_TIMEOUT)
        return RC_NOTFOUND;
    if (rc == RC_LIMIT)
        return RC_SYNTAX;
    if (rc != RC_OK)
        return RC_CLOSED;
    *out = h.p;
    bool whole = n == (out->kind == POKE_CONNECTION ? sizeof h : sizeof h.p) && n_fds == (out->kind == POKE_CONNECTION);
    if (!whole || out->kind < POKE_BUS || out->kind >= POKE_KINDS) {
        if (n_fds > 0)
            close(passed);
        return RC_SYNTAX;
    }
    if (n_fds > 0)
        *connection = (struct poke_connection){passed, h.peer, h.local};
    return RC_OK;
}
