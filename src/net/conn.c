#include "net/conn_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/equal.h"
#include "crypto/random.h"
#include "sys/board.h"

#define IN_SIZE     (CONN_BUF + 2)  /* the longest line and its CRLF */
#define EAT_MAX     (4 << 20)       /* a longer "line" is no line but an attack: the connection ends */
#define DEADLINE_MS (5 * 60 * 1000) /* until the session sets one */

static pthread_once_t id_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t last_id;

static void seed_ids(void)
{
    last_id = random_u64() >> 8; /* far from those of the other processes */
}

static enum rc fail(struct conn *c, enum rc rc)
{
    if (c->fail == RC_OK)
        c->fail = rc;
    return c->fail;
}

/* --- reading and writing once --- */

static enum rc rc_of_socket(int err, short wanted, short *events)
{
    if (err != EAGAIN && err != EWOULDBLOCK)
        return RC_CLOSED;
    *events = wanted;
    return RC_TEMP;
}

static enum rc try_read(struct conn *c, char *p, size_t n, size_t *done, short *events)
{
    ssize_t got;
    if (c->ssl)
        return conn_tls_read(c, p, n, done, events);
    do
        got = recv(c->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return rc_of_socket(errno, POLLIN, events);
    *done = (size_t)got;
    return got > 0 ? RC_OK : RC_CLOSED;
}

static enum rc try_write(struct conn *c, struct view v, size_t *done, short *events)
{
    ssize_t sent;
    if (c->ssl)
        return conn_tls_write(c, v, done, events);
    do
        sent = send(c->fd, v.p, v.n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return rc_of_socket(errno, POLLOUT, events);
    *done = (size_t)sent;
    return RC_OK;
}

static void count_progress(struct conn *c, size_t n)
{
    if (c->rate_bytes_per_s == 0)
        return;
    c->rate_done += n;
    int64_t until = c->rate_start + (int64_t)(c->rate_done * 1000 / c->rate_bytes_per_s);
    c->deadline = until < c->rate_end ? until : c->rate_end;
}

enum rc conn_wait(struct conn *c, short events)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    for (;;) {
        int ms = deadline_poll(c->deadline);
        int n = ms == 0 ? 0 : poll(&p, 1, ms); /* passed is passed, even where a byte has just trickled in */
        if (n > 0)
            return RC_OK;
        if (n == 0)
            return fail(c, RC_TIMEOUT);
        if (errno != EINTR)
            return fail(c, RC_TEMP);
    }
}

/* --- reading --- */

static enum rc make_room(struct conn *c)
{
    if (c->in_size < IN_SIZE) {
        char *p = malloc(IN_SIZE);
        if (!p)
            return fail(c, RC_TEMP);
        if (c->in) {
            memcpy(p, c->in + c->in_at, c->in_n);
            wipe(c->in, c->in_size);
            free(c->in);
        }
        c->in = p;
        c->in_at = 0;
        c->in_size = IN_SIZE;
    }
    if (c->in_n == 0)
        c->in_at = 0;
    if (c->in_at > 0 && IN_SIZE - c->in_at - c->in_n < IN_SIZE / 4) {
        memmove(c->in, c->in + c->in_at, c->in_n);
        c->in_at = 0;
    }
    return RC_OK;
}

/* At least one more byte in the buffer, which has room. What we have to say goes out before we wait. */
static enum rc read_more(struct conn *c)
{
    size_t got = 0;
    short events = 0;

    if (c->fail != RC_OK || make_room(c) != RC_OK || conn_flush(c) != RC_OK)
        return c->fail;
    char *room = c->in + c->in_at + c->in_n;
    size_t size = IN_SIZE - c->in_at - c->in_n;
    for (;;) {
        enum rc rc = try_read(c, room, size, &got, &events);
        if (rc == RC_OK)
            break;
        if (rc != RC_TEMP)
            return fail(c, rc);
        if (conn_wait(c, events) != RC_OK)
            return c->fail;
    }
    c->in_n += (uint32_t)got;
    count_progress(c, got);
    return RC_OK;
}

static struct view unread(const struct conn *c)
{
    return view_of(c->in_n > 0 ? c->in + c->in_at : "", c->in_n);
}

static void consume(struct conn *c, size_t n)
{
    bug_if(n > c->in_n);
    c->in_at += (uint32_t)n;
    c->in_n -= (uint32_t)n;
    c->shown = c->shown > n ? c->shown - (uint32_t)n : 0;
    c->scanned = 0;
}

/* Index of the CRLF among the unread bytes, or VIEW_NONE; looks at each byte once however they come. */
static size_t find_crlf(struct conn *c)
{
    struct view all = unread(c);
    for (size_t at = c->scanned; at < all.n;) {
        size_t i = view_chr(view_from(all, at), '\n');
        if (i == VIEW_NONE)
            break;
        i += at;
        if (i > 0 && all.p[i - 1] == '\r')
            return i - 1;
        at = i + 1;
    }
    c->scanned = c->in_n;
    return VIEW_NONE;
}

/* The line is too long already: past its CRLF. */
static enum rc eat_line(struct conn *c)
{
    size_t eaten = 0;
    for (;;) {
        size_t at = find_crlf(c);
        if (at != VIEW_NONE) {
            consume(c, at + 2);
            return RC_LIMIT;
        }
        size_t n = c->in_n;
        if (n > 0 && c->in[c->in_at + n - 1] == '\r') /* its LF may come next */
            n--;
        consume(c, n);
        eaten += n;
        if (eaten > EAT_MAX)
            return fail(c, RC_CLOSED);
        if (eaten > CONN_BUF && deadline_poll(c->deadline) == 0)
            return fail(c, RC_TIMEOUT);
        enum rc rc = read_more(c);
        if (rc != RC_OK)
            return rc;
    }
}

enum rc conn_line(struct conn *c, size_t max, struct view *out)
{
    *out = (struct view){0};
    if (max > CONN_BUF)
        max = CONN_BUF;
    for (;;) {
        size_t at = find_crlf(c);
        if (at != VIEW_NONE && at <= max) {
            *out = view_slice(unread(c), 0, at);
            consume(c, at + 2);
            return RC_OK;
        }
        if (at != VIEW_NONE || c->in_n >= max + 2)
            return eat_line(c);
        if (c->in_n > 0 && deadline_poll(c->deadline) == 0)
            return fail(c, RC_TIMEOUT);
        enum rc rc = read_more(c);
        if (rc != RC_OK)
            return rc;
    }
}

enum rc conn_fill(struct conn *c, struct view *out)
{
    *out = (struct view){0};
    enum rc rc = c->in_n > 0 ? RC_OK : read_more(c);
    if (rc != RC_OK)
        return rc;
    c->shown = c->in_n;
    *out = unread(c);
    return RC_OK;
}

enum rc conn_fill_more(struct conn *c, struct view *out)
{
    enum rc rc = RC_OK;
    *out = (struct view){0};
    if (c->in_n <= c->shown)
        rc = c->in_n < CONN_BUF ? read_more(c) : RC_LIMIT;
    if (rc != RC_OK)
        return rc;
    c->shown = c->in_n;
    *out = unread(c);
    return RC_OK;
}

void conn_eat(struct conn *c, size_t n)
{
    consume(c, n);
}

/* Enough to call the session: a whole line or more than one can have; raw: anything. */
static bool has_enough(struct conn *c, bool raw)
{
    return raw ? c->in_n > 0 : c->in_n >= CONN_BUF || find_crlf(c) != VIEW_NONE;
}

bool conn_pull(struct conn *c, bool raw)
{
    while (c->fail == RC_OK && !has_enough(c, raw) && make_room(c) == RC_OK) {
        size_t got = 0, at = c->in_at + c->in_n;
        short events;
        enum rc rc = try_read(c, c->in + at, IN_SIZE - at, &got, &events);
        if (rc == RC_TEMP)
            return false;
        if (rc != RC_OK)
            fail(c, rc);
        c->in_n += (uint32_t)got;
    }
    return true;
}

bool conn_has_more(struct conn *c, bool raw)
{
    if (c->fail != RC_OK)
        return false;
    if (has_enough(c, raw))
        return true;
    /* TLS may hold whole records that no poll would tell of, but also the first bytes of one. */
    return c->ssl && SSL_has_pending(c->ssl) && conn_pull(c, raw) && c->fail == RC_OK;
}

bool conn_has_input(struct conn *c)
{
    return conn_has_more(c, false);
}

/* --- writing --- */

static enum rc send_all(struct conn *c, struct view v)
{
    size_t sent = 0;
    short events = 0;
    while (c->fail == RC_OK && v.n > 0) {
        enum rc rc = try_write(c, v, &sent, &events);
        if (rc == RC_OK) {
            view_skip(&v, sent);
            count_progress(c, sent);
        } else if (rc == RC_TEMP) {
            conn_wait(c, events);
        } else {
            fail(c, rc);
        }
    }
    return c->fail;
}

void conn_write(struct conn *c, struct view v)
{
    while (c->fail == RC_OK && v.n > 0) {
        if (c->out_n == 0 && v.n >= CONN_BUF) {
            send_all(c, v);
            return;
        }
        if (!c->out && !(c->out = malloc(CONN_BUF))) {
            fail(c, RC_TEMP);
            return;
        }
        size_t n = v.n < CONN_BUF - c->out_n ? v.n : CONN_BUF - c->out_n;
        memcpy(c->out + c->out_n, v.p, n);
        c->out_n += (uint32_t)n;
        view_skip(&v, n);
        if (c->out_n == CONN_BUF)
            conn_flush(c);
    }
}

void conn_printf(struct conn *c, const char *fmt, ...)
{
    char text[1024], *p = text;
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n >= (int)sizeof text) {
        p = malloc((size_t)n + 1);
        if (p)
            vsnprintf(p, (size_t)n + 1, fmt, again);
    }
    if (n < 0 || !p)
        fail(c, RC_TEMP);
    else
        conn_write(c, view_of(p, (size_t)n));
    if (p != text)
        free(p);
    va_end(again);
    va_end(ap);
}

enum rc conn_flush(struct conn *c)
{
    struct view v = view_of(c->out, c->out_n);
    c->out_n = 0;
    return send_all(c, v);
}

/* --- facts and time --- */

const struct addr *conn_peer(const struct conn *c)
{
    return &c->peer;
}

const struct addr *conn_local(const struct conn *c)
{
    return &c->local;
}

const char *conn_peer_text(const struct conn *c)
{
    return c->peer_text;
}

uint64_t conn_id(const struct conn *c)
{
    return c->id;
}

void conn_set_account(struct conn *c, struct view account)
{
    board_name(c->pool.place, account);
}

void conn_deadline(struct conn *c, int64_t deadline_ms)
{
    c->deadline = deadline_ms;
    c->rate_bytes_per_s = 0;
}

void conn_progress(struct conn *c, int64_t base_ms, size_t bytes_per_s, int64_t end_ms)
{
    int64_t now = clock_mono_ms();
    c->rate_start = now + base_ms;
    c->rate_end = now + end_ms;
    c->rate_done = 0;
    c->rate_bytes_per_s = bytes_per_s;
    c->deadline = c->rate_start < c->rate_end ? c->rate_start : c->rate_end;
}

/* --- life --- */

void conn_set_offer(struct conn *c, const struct tls_offer *offer)
{
    c->offer = offer;
}

void conn_set_peer(struct conn *c, const struct addr *peer)
{
    c->peer = *peer;
    addr_unmap(&c->peer);
    addr_write_ip(&c->peer, c->peer_text);
}

struct conn *conn_make(int fd, const struct addr *peer, const struct addr *local)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return NULL;
    }
    pthread_once(&id_once, seed_ids);
    c->fd = fd;
    c->id = atomic_fetch_add(&last_id, 1);
    c->deadline = deadline_in(DEADLINE_MS);
    conn_set_peer(c, peer);
    c->local = *local;
    addr_unmap(&c->local);
    return c;
}

enum rc conn_new(int fd, struct conn **out)
{
    struct addr peer = {.len = sizeof peer.ss}, local = {.len = sizeof local.ss};
    int flags = fcntl(fd, F_GETFL);

    *out = NULL;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        close(fd);
        return RC_TEMP;
    }
    if (getpeername(fd, (struct sockaddr *)&peer.ss, &peer.len) < 0)
        peer.len = 0;
    if (getsockname(fd, (struct sockaddr *)&local.ss, &local.len) < 0)
        local.len = 0;
    /* We write whole replies: waiting for more to send would only cost time. Not for socket pairs. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *out = conn_make(fd, &peer, &local);
    return *out ? RC_OK : RC_TEMP;
}

static enum rc finish_connect(int fd, int64_t deadline_ms, const char **why)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n, err = 0;
    socklen_t size = sizeof err;
    do
        n = poll(&p, 1, deadline_poll(deadline_ms));
    while (n < 0 && errno == EINTR);
    if (n == 0) {
        *why = "connecting timed out";
        return RC_TIMEOUT;
    }
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
        err = errno;
    if (err != 0)
        *why = strerrordesc_np(err);
    return err == 0 ? RC_OK : RC_TEMP;
}

enum rc conn_dial(const struct addr *to, const struct addr *bind_to, int64_t deadline_ms, struct conn **out,
                  const char **why)
{
    enum rc rc = RC_OK;

    *out = NULL;
    *why = "";
    int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *why = strerrordesc_np(errno);
        return RC_TEMP;
    }
    if (bind_to && bind_to->len > 0 && bind(fd, (const struct sockaddr *)&bind_to->ss, bind_to->len) < 0) {
        *why = strerrordesc_np(errno);
        rc = RC_TEMP;
    } else if (connect(fd, (const struct sockaddr *)&to->ss, to->len) < 0) {
        if (errno == EINPROGRESS || errno == EINTR) {
            rc = finish_connect(fd, deadline_ms, why);
        } else {
            *why = strerrordesc_np(errno);
            rc = RC_TEMP;
        }
    }
    if (rc != RC_OK) {
        close(fd);
        return rc;
    }
    rc = conn_new(fd, out);
    if (rc == RC_OK)
        conn_deadline(*out, deadline_ms);
    else
        *why = "out of memory";
    return rc;
}

void conn_rest(struct conn *c)
{
    if (c->in) { /* what was read may have been passwords; what was not, half a line, needs little */
        char *rest = c->in_n > 0 ? malloc(c->in_n) : NULL;
        if (c->in_n > 0 && !rest)
            return;
        if (rest)
            memcpy(rest, c->in + c->in_at, c->in_n);
        wipe(c->in, c->in_at + c->in_n);
        free(c->in);
        c->in = rest;
        c->in_size = c->in_n;
        c->in_at = 0;
    }
    if (c->out && c->out_n == 0) {
        free(c->out);
        c->out = NULL;
    }
}

void conn_cut(struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

void conn_free(struct conn *c)
{
    char rest[512];
    if (!c)
        return;
    conn_tls_end(c);
    /* Unread bytes at close would make the kernel send a reset, which may overtake our last reply. */
    for (int i = 0; i < 128 && !c->handed && recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
        continue;
    close(c->fd);
    tls_server_free(c->tls);
    if (c->in)
        wipe(c->in, c->in_size);
    free(c->in);
    free(c->out);
    free(c);
}
