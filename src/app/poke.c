#include "app/poke.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

enum rc poke_receive(int fd, struct poke *out)
{
    char bytes[sizeof *out + 1];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? RC_NOTFOUND : RC_CLOSED;
    if (n != sizeof *out)
        return RC_SYNTAX;
    memcpy(out, bytes, sizeof *out);
    return out->kind >= POKE_BUS && out->kind < POKE_KINDS ? RC_OK : RC_SYNTAX;
}
