#include "app/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

static bool same_listener(const struct listener *l, const struct config_listener *c)
{
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    addr_write(&l->addr, a);
    addr_write(&c->addr, b);
    return l->service == c->service && strcmp(a, b) == 0;
}

static int bind_one(const struct addr *a)
{
    const int on = 1;
    int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ss.ss_family == AF_INET6) /* "[::]:25" and "0.0.0.0:25" side by side */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&a->ss, a->len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

bool listeners_bind(struct listeners *have, const struct config *c)
{
    for (size_t i = 0; i < c->listen.n; i++) {
        const struct config_listener *want = &c->listen.v[i];
        char text[ADDR_TEXT_MAX];
        size_t j = 0;

        addr_write(&want->addr, text);
        if (!process_of_service(want->service)) {
            log_warn("listen.unserved", F_CSTR("service", config_service_name(want->service)), F_CSTR("address", text),
                     F_CSTR("reason", "this version does not speak it"));
            continue;
        }
        while (j < have->n && !same_listener(&have->v[j], want))
            j++;
        if (j < have->n)
            continue;
        int fd = have->n < LISTENERS_MAX ? bind_one(&want->addr) : (errno = EMFILE, -1);
        if (fd < 0) {
            log_error("listen.failed", F_CSTR("service", config_service_name(want->service)), F_CSTR("address", text),
                      F_CSTR("reason", strerror(errno)));
            return false;
        }
        have->v[have->n++] = (struct listener){want->service, want->addr, fd};
    }
    return true;
}

size_t listeners_drop(struct listeners *have, const struct config *c)
{
    size_t kept = 0, dropped;
    for (size_t i = 0; i < have->n; i++) {
        size_t j = 0;
        while (j < c->listen.n && !same_listener(&have->v[i], &c->listen.v[j]))
            j++;
        if (j < c->listen.n) {
            have->v[kept++] = have->v[i];
            continue;
        }
        shutdown(have->v[i].fd, SHUT_RDWR); /* for the process that shares it, too: net/pool.h */
        close(have->v[i].fd);
    }
    dropped = have->n - kept;
    have->n = kept;
    return dropped;
}

void listeners_cut(struct listeners *have, size_t n)
{
    while (have->n > n)
        close(have->v[--have->n].fd);
}
