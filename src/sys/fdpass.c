#include "sys/fdpass.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX_FDS)];
};

static enum rc wait_for(int sock, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = sock, .events = events};
    for (;;) {
        int n = poll(&p, 1, deadline_poll(deadline_ms));
        if (n > 0)
            return RC_OK;
        if (n == 0)
            return RC_TIMEOUT;
        if (errno != EINTR)
            return RC_TEMP;
    }
}

static enum rc rc_of_socket(int err)
{
    switch (err) {
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN: return RC_CLOSED;
    case EMSGSIZE: return RC_LIMIT;
    default: return RC_TEMP;
    }
}

enum rc fdpass_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 ? RC_OK : RC_TEMP;
}

enum rc fdpass_send(int sock, struct view msg, const int *fds, size_t n_fds, int64_t deadline_ms)
{
    union control control = {.bytes = {0}};
    struct iovec iov = {.iov_base = (void *)msg.p, .iov_len = msg.n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (msg.n == 0 || msg.n > FDPASS_MAX ||
        n_fds > FDPASS_MAX_FDS) /* an empty message would look like the end */
        return RC_LIMIT;
    if (n_fds > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        if (sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return RC_OK;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            enum rc rc = wait_for(sock, POLLOUT, deadline_ms);
            if (rc != RC_OK)
                return rc;
        } else if (errno != EINTR) {
            return rc_of_socket(errno);
        }
    }
}

enum rc fdpass_recv(int sock, void *buf, size_t size, size_t *n, int *fds, size_t max_fds, size_t *n_fds,
                    int64_t deadline_ms)
{
    union control control;
    int got_fds[FDPASS_MAX_FDS];
    size_t got = 0;
    ssize_t len;

    *n = 0;
    if (n_fds)
        *n_fds = 0;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr m;
    for (;;) {
        m = (struct msghdr){.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
        len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (len >= 0)
            break;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            enum rc rc = wait_for(sock, POLLIN, deadline_ms);
            if (rc != RC_OK)
                return rc;
        } else if (errno != EINTR) {
            return rc_of_socket(errno);
        }
    }
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < k && got < FDPASS_MAX_FDS; i++)
            memcpy(&got_fds[got++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
    }
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || got > max_fds) {
        for (size_t i = 0; i < got; i++)
            close(got_fds[i]);
        return RC_LIMIT;
    }
    if (len == 0)
        return RC_CLOSED;
    if (got > 0)
        memcpy(fds, got_fds, got * sizeof(int));
    if (n_fds)
        *n_fds = got;
    *n = (size_t)len;
    return RC_OK;
}
