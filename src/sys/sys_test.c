#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/fdpass.h"
#include "sys/file.h"
#include "sys/thread.h"
#include "sys/worker.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/sys-test.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void test_file_round_trip(void **state)
{
    struct buf b;
    struct stat st;
    (void)state;
    buf_init(&b, 100);
    assert_int_equal(file_write_atomic(path_of("a"), VIEW("first"), 0600), RC_OK);
    assert_int_equal(file_write_atomic(path_of("a"), VIEW("second"), 0640), RC_OK);
    assert_int_equal(stat(path_of("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(file_read(path_of("a"), 6, &b), RC_OK); /* exactly the limit */
    assert_true(view_eq(buf_view(&b), VIEW("second")));
    assert_int_equal(file_read(path_of("a"), 5, &b), RC_LIMIT);
    assert_true(view_eq(buf_view(&b), VIEW("second")));
    assert_int_equal(file_read(path_of("none"), 5, &b), RC_NOTFOUND);
    assert_int_equal(file_read(dir, 5, &b), RC_DENIED);
    assert_int_equal(file_write_atomic(path_of("none/a"), VIEW(""), 0600), RC_NOTFOUND);
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(file_read(path_of("fifo"), 5, &b), RC_DENIED);
    buf_clear(&b);
}

static void test_file_longer_than_buffer(void **state)
{
    static char big[10000];
    struct buf b;
    (void)state;
    assert_int_equal(file_write_atomic(path_of("big"), view_of(big, sizeof big), 0600), RC_OK);
    buf_init(&b, sizeof big);
    assert_int_equal(file_read(path_of("big"), 1 << 20, &b), RC_OK);
    assert_int_equal(b.n, sizeof big);
    buf_clear(&b);
    buf_init(&b, sizeof big - 1);
    assert_int_equal(file_read(path_of("big"), 1 << 20, &b), RC_LIMIT);
    buf_clear(&b);
}

static void test_mkdirs(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(file_mkdirs(path_of("x/y/z"), 0700), RC_OK);
    assert_int_equal(file_mkdirs(path_of("x/y/z"), 0700), RC_OK);
    assert_int_equal(file_mkdirs(path_of("x/y/w/"), 0700), RC_OK);
    assert_int_equal(stat(path_of("x/y/w"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(file_write_atomic(path_of("x/file"), VIEW(""), 0600), RC_OK);
    assert_int_equal(file_mkdirs(path_of("x/file"), 0700), RC_EXISTS);
    assert_int_equal(file_mkdirs(path_of("x/file/y"), 0700), RC_NOTFOUND);
    assert_int_equal(file_mkdirs("", 0700), RC_NOTFOUND);
}

static void test_fdpass(void **state)
{
    int pair[2], fds[2], end[2];
    char text[16];
    size_t n, n_fds;
    (void)state;
    assert_int_equal(fdpass_pair(pair), RC_OK);
    assert_int_equal(pipe(end), 0);
    assert_int_equal(fdpass_send(pair[0], VIEW("take"), end, 2, deadline_in(1000)), RC_OK);
    assert_int_equal(fdpass_send(pair[0], VIEW("none"), NULL, 0, deadline_in(1000)), RC_OK);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 2, &n_fds, deadline_in(1000)), RC_OK);
    assert_true(view_eq(view_of(text, n), VIEW("take")));
    assert_int_equal(n_fds, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1); /* the same pipe */
    assert_int_equal(read(end[0], text, 1), 1);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 2, &n_fds, deadline_in(1000)), RC_OK);
    assert_int_equal(n_fds, 0);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 2, &n_fds, deadline_in(20)),
                     RC_TIMEOUT);

    /* a message or files that do not fit are dropped whole, and leak nothing */
    int probe = dup(0);
    close(probe);
    assert_int_equal(fdpass_send(pair[0], VIEW("more than sixteen bytes"), end, 1, NO_DEADLINE), RC_OK);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 2, &n_fds, NO_DEADLINE), RC_LIMIT);
    assert_int_equal(fdpass_send(pair[0], VIEW("2 fds"), end, 2, NO_DEADLINE), RC_OK);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 1, &n_fds, NO_DEADLINE), RC_LIMIT);
    int again = dup(0);
    assert_int_equal(probe, again);
    close(again);
    assert_int_equal(fdpass_send(pair[0], VIEW(""), NULL, 0, NO_DEADLINE), RC_LIMIT);

    close(pair[0]);
    assert_int_equal(fdpass_recv(pair[1], text, sizeof text, &n, fds, 2, &n_fds, NO_DEADLINE), RC_CLOSED);
    assert_int_equal(fdpass_send(pair[1], VIEW("x"), NULL, 0, NO_DEADLINE), RC_CLOSED);
    close(pair[1]);
    close(end[0]);
    close(end[1]);
}

struct shared {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    char name[16];
};

static void set_done(void *arg)
{
    struct shared *s = arg;
    pthread_mutex_lock(&s->lock);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    s->done = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

static void test_threads(void **state)
{
    struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t id;
    (void)state;
    thread_cond_init(&s.cond);
    pthread_mutex_lock(&s.lock);
    assert_false(thread_cond_wait(&s.cond, &s.lock, deadline_in(10)));
    assert_int_equal(thread_start("a rather long name", set_done, &s, &id), RC_OK);
    while (!s.done)
        assert_true(thread_cond_wait(&s.cond, &s.lock, deadline_in(10000)));
    pthread_mutex_unlock(&s.lock);
    assert_int_equal(pthread_join(id, NULL), 0);
    assert_string_equal(s.name, "a rather long n");
    pthread_cond_destroy(&s.cond);
}

struct rounds {
    struct worker worker;
    atomic_int n, calls;
};

static void count_rounds(void *arg)
{
    struct rounds *r = arg;
    bool is_called;
    for (int64_t until_ms = deadline_in(3600000); worker_rest(&r->worker, until_ms, &is_called);) {
        r->n++;
        r->calls += is_called;
        until_ms = deadline_in(r->n == 1 ? 1 : 3600000); /* the second comes by itself */
    }
}

static void wait_rounds(struct rounds *r, int n)
{
    const int64_t end = deadline_in(10000);
    while (r->n < n && clock_mono_ms() < end)
        sched_yield();
    assert_int_equal(r->n, n);
}

static void test_worker(void **state)
{
    struct rounds r = {.n = 0};
    (void)state;
    worker_init(&r.worker);
    worker_end(&r.worker); /* it does not run: nothing */
    worker_call(&r.worker); /* before it runs: not lost */
    assert_int_equal(worker_start(&r.worker, "rounds", count_rounds, &r), RC_OK);
    wait_rounds(&r, 2);
    assert_int_equal(r.calls, 1);
    worker_call(&r.worker);
    wait_rounds(&r, 3);
    assert_int_equal(r.calls, 2);
    worker_end(&r.worker);
    worker_call(&r.worker);
    assert_int_equal(r.n, 3);
    assert_int_equal(worker_start(&r.worker, "rounds", count_rounds, &r), RC_OK); /* again */
    wait_rounds(&r, 4);
    worker_clear(&r.worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_round_trip), cmocka_unit_test(test_file_longer_than_buffer),
        cmocka_unit_test(test_mkdirs),          cmocka_unit_test(test_fdpass),
        cmocka_unit_test(test_threads),         cmocka_unit_test(test_worker),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
