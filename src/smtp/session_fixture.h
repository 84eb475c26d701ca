/* smtp/session_fixture: whole sessions over a loopback connection, into a real store, for the tests of the server side. */
#ifndef SMTP_SESSION_FIXTURE_H
#define SMTP_SESSION_FIXTURE_H

#include "store/store_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/log.h"
#include "smtp/session.h"

#define REPLIES_MAX 100000

struct box { /* one server over the fixture's store */
    struct fixture *f;
    struct smtp_server *srv;
    uint64_t marie, paul;
};

static const struct smtp_settings defaults = {
    .hostname = "mx.ici.test", .message_size = 10000, .recipients = 5, .line_ms = 5000, .data_ms = 5000};

static inline struct box open_box(void **state, const struct smtp_settings *set)
{
    struct box b = {.f = *state};
    b.marie = fixture_account(b.f, "marie@ici.test");
    b.paul = fixture_account(b.f, "paul@ici.test");
    assert_int_equal(smtp_server_new(set ? set : &defaults, b.f->s, NULL, &b.srv), RC_OK);
    return b;
}

static inline void close_box(struct box *b)
{
    smtp_server_free(b->srv);
}

static inline void tcp_pair(int fd[2])
{
    struct addr a;
    socklen_t len = sizeof a.ss;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(addr_parse(VIEW("127.0.0.1:0"), &a), RC_OK);
    assert_int_equal(bind(l, (struct sockaddr *)&a.ss, a.len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a.ss, &len), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&a.ss, len), 0);
    fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd[1] >= 0);
    close(l);
}

static inline void send_all(int fd, struct view v)
{
    while (v.n > 0) {
        ssize_t n = send(fd, v.p, v.n, MSG_NOSIGNAL);
        if (n < 0)
            return; /* the server has had enough */
        view_skip(&v, (size_t)n);
    }
}

struct serving {
    struct box *b;
    enum smtp_kind kind;
    uint64_t account;
    int fd;
};

/* What a worker of the pool does, until the session ends. */
static inline void *serve_all(void *arg)
{
    struct serving *x = arg;
    struct pool_service service;
    struct conn *c;
    assert_int_equal(conn_new(x->fd, &c), RC_OK);
    smtp_service(x->b->srv, x->kind, &service);
    struct smtp_session *s = service.open(service.ctx, c);
    assert_non_null(s);
    if (x->account) { /* as after AUTH */
        s->account = x->account;
        s->mark = (struct login_mark){.account = x->account};
        memcpy(s->login, "marie@ici.test", sizeof "marie@ici.test");
    }
    while (service.serve(s, POOL_INPUT) == POOL_PARK)
        continue;
    service.close(s);
    conn_free(c);
    return NULL;
}

static inline void read_replies(int fd, struct buf *out)
{
    char *p;
    ssize_t n;
    do {
        p = buf_room(out, 1000);
        assert_non_null(p);
        n = recv(fd, p, 1000, 0);
        if (n > 0)
            buf_grew(out, (size_t)n);
    } while (n > 0);
}

/* The script in pieces of `piece` bytes; 0: all at once, on this thread. */
static inline void talk(struct box *b, enum smtp_kind kind, uint64_t account, struct view script, size_t piece,
                 struct buf *replies)
{
    int fd[2];
    pthread_t thread;
    tcp_pair(fd);
    struct serving x = {b, kind, account, fd[1]};
    buf_init(replies, REPLIES_MAX);
    if (piece == 0) {
        send_all(fd[0], script);
        shutdown(fd[0], SHUT_WR);
        serve_all(&x);
    } else {
        assert_int_equal(pthread_create(&thread, NULL, serve_all, &x), 0);
        int on = 1;
        setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (size_t at = 0; at < script.n; at += piece)
            send_all(fd[0], view_slice(script, at, piece));
        shutdown(fd[0], SHUT_WR);
        pthread_join(thread, NULL);
    }
    read_replies(fd[0], replies);
    close(fd[0]);
}

/* The codes of the replies, without the continuation lines. */
static inline void write_codes(struct view replies, struct buf *out)
{
    while (replies.n > 0) {
        size_t end = view_find(replies, VIEW("\r\n"));
        assert_int_not_equal(end, VIEW_NONE);
        struct view line = view_slice(replies, 0, end);
        assert_true(line.n > 3);
        if (line.p[3] == ' ') {
            if (out->n > 0)
                buf_chr(out, ' ');
            buf_add(out, view_slice(line, 0, 3));
        }
        view_skip(&replies, end + 2);
    }
}

static inline void expect_codes(struct view replies, const char *want, const char *script)
{
    struct buf codes;
    buf_init(&codes, REPLIES_MAX);
    write_codes(replies, &codes);
    if (!view_eq(buf_view(&codes), view_str(want)))
        fail_msg("%s\ngave %.*s\nwant %s\n%.*s", script, VIEW_FMT(buf_view(&codes)), want, VIEW_FMT(replies));
    buf_clear(&codes);
}

static inline uint64_t queued(struct box *b)
{
    struct mailq_counts n;
    assert_int_equal(mailq_count(b->f->s, &n), RC_OK);
    return n.messages;
}

static inline void expect_as(struct box *b, enum smtp_kind kind, uint64_t account, const char *script,
                      const char *want, unsigned messages)
{
    struct buf replies;
    uint64_t before = queued(b);
    talk(b, kind, account, view_str(script), 0, &replies);
    expect_codes(buf_view(&replies), want, script);
    if (queued(b) - before != messages)
        fail_msg("%s\nqueued %llu", script, (unsigned long long)(queued(b) - before));
    buf_clear(&replies);
}

static inline void expect(struct box *b, const char *script, const char *want, unsigned messages)
{
    expect_as(b, SMTP_MTA, 0, script, want, messages);
}

#define HELLO "EHLO mx.labas.test\r\n"
#define MAIL  "MAIL FROM:<x@labas.test>\r\n"
#define RCPT  "RCPT TO:<marie@ici.test>\r\n"
#define BODY  "Subject: x\r\n\r\n..dots\r\n.\r\n"

/* The last message of the queue with its rows. */
static inline struct mailq_message last_message(struct box *b, struct mailq_rcpt **rcpts, size_t *n,
                                         struct blob *blob)
{
    struct mailq_message m;
    uint64_t *ids;
    size_t n_ids;
    assert_int_equal(mailq_list(b->f->s, 0, 10000, &b->f->a, &ids, &n_ids), RC_OK);
    assert_true(n_ids > 0);
    assert_int_equal(mailq_message(b->f->s, ids[n_ids - 1], &b->f->a, &m), RC_OK);
    assert_int_equal(mailq_rcpts(b->f->s, m.id, &b->f->a, rcpts, n), RC_OK);
    assert_int_equal(blob_open(b->f->s, m.blob, true, blob), RC_OK);
    return m;
}

static inline void assert_same(struct view got, struct view want)
{
    if (!view_eq(got, want))
        fail_msg("got \"%.*s\"\nwant \"%.*s\"", VIEW_FMT(got), VIEW_FMT(want));
}

#endif
