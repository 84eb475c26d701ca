#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/confine.h"
#include "sys/fdpass.h"
#include "sys/file.h"
#include "sys/thread.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/confine-test.XXXXXX");
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

/* In a child, each with its number, so that the exit status tells which failed; 0: all is well. */
#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            dprintf(2, "line %d: %s (errno %d)\n", __LINE__, #cond, errno);                                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* The wait status of a child that runs this. */
static int run_child(void (*run)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_clean_exit(void (*run)(void))
{
    assert_int_equal(run_child(run), 0);
}

static void use_files(void)
{
    struct confine_path paths[] = {{path_of("rw"), true}, {"/etc", false}, {"/none/such", true}};
    char text[8];
    struct buf b;
    buf_init(&b, 1 << 20);
    CHECK(mkdir(path_of("rw"), 0700) == 0 && mkdir(path_of("out"), 0700) == 0);
    paths[0].path = strdup(path_of("rw"));
    int before = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    enum rc rc = confine_files(paths, 3);
    if (rc == RC_NOTFOUND) /* no Landlock here */
        _exit(0);
    CHECK(rc == RC_OK);
    CHECK(read(before, text, sizeof text) > 0); /* what is open stays open */
    CHECK(file_read("/etc/passwd", 1 << 20, &b) == RC_OK);
    CHECK(open("/etc/passwd", O_RDWR | O_CLOEXEC) < 0);
    CHECK(file_read("/proc/self/status", 1 << 20, &b) == RC_DENIED);
    CHECK(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0);
    CHECK(file_write_atomic(path_of("rw/a"), VIEW("x"), 0600) == RC_OK);
    CHECK(file_mkdirs(path_of("rw/deep/er"), 0700) == RC_OK);
    CHECK(rename(path_of("rw/a"), paths[0].path) < 0);
    CHECK(truncate(path_of("rw/a"), 0) == 0 && unlink(path_of("rw/a")) == 0);
    CHECK(file_write_atomic(path_of("out/a"), VIEW("x"), 0600) != RC_OK);
    CHECK(mkdir(path_of("out/b"), 0700) < 0);
    execl("/bin/true", "true", NULL);
    CHECK(errno == EACCES);
}

static void start_nothing(void *arg)
{
    *(int *)arg = 1;
}

static void check_threads(void)
{
    pthread_t id;
    int ran = 0;
    CHECK(thread_start("worker", start_nothing, &ran, &id) == RC_OK);
    CHECK(pthread_join(id, NULL) == 0 && ran == 1);
}

static void use_calls_alone(void)
{
    int fds[2];
    CHECK(confine_become(NULL) == RC_OK);
    CHECK(confine_calls(0) == RC_OK);
    check_threads();
    CHECK(fdpass_pair(fds) == RC_OK && fdpass_send(fds[0], VIEW("x"), &fds[0], 1, 0) == RC_OK);
    CHECK(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
    CHECK(open(path_of("new"), O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EPERM);
    CHECK(unlink("/etc/passwd") < 0 && errno == EPERM);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    CHECK(fork() < 0 && errno == EPERM);
    CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
    CHECK(setuid(0) < 0 || getuid() == 0);
}

static void use_network(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 5) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
    CHECK(confine_calls(CONFINE_NET_SERVER | CONFINE_NET_CLIENT) == RC_OK);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s >= 0 && connect(s, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(accept4(l, NULL, NULL, SOCK_CLOEXEC) >= 0);
    CHECK(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
    CHECK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
    CHECK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
    CHECK(listen(s, 5) < 0 && errno == EPERM);
}

static void use_server_only(void)
{
    CHECK(confine_calls(CONFINE_NET_SERVER | CONFINE_FILES) == RC_OK);
    CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
}

/* What SQLite and the blob store do with files. */
static void use_database(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    CHECK(confine_calls(CONFINE_FILES) == RC_OK);
    int fd = open(path_of("db"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
    CHECK(ftruncate(fd, 8192) == 0 && fallocate(fd, 0, 0, 16384) == 0);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[0] = 'x';
    CHECK(pwrite(fd, "y", 1, 100) == 1 && fdatasync(fd) == 0 && syncfs(fd) == 0 && munmap(p, 8192) == 0);
    CHECK(file_write_atomic(path_of("file"), VIEW("x"), 0600) == RC_OK);
    CHECK(rename(path_of("file"), dir) < 0 && errno != EPERM);
    CHECK(unlink(path_of("db")) == 0);
    check_threads();
}

static void use_parent(void)
{
    int status;
    CHECK(confine_calls(CONFINE_CHILDREN) == RC_OK);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) { /* confines itself further */
        const struct confine_path path = {"/etc", false};
        CHECK(confine_become(NULL) == RC_OK);
        enum rc rc = confine_files(&path, 1);
        CHECK(rc == RC_OK || rc == RC_NOTFOUND);
        use_calls_alone();
        CHECK(rc == RC_NOTFOUND || open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0);
        _exit(7);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void call_execve(void)
{
    CHECK(confine_calls(CONFINE_FILES | CONFINE_NET_SERVER | CONFINE_NET_CLIENT) == RC_OK);
    execl("/bin/true", "true", NULL);
}

static void call_ptrace(void)
{
    CHECK(confine_calls(CONFINE_CHILDREN) == RC_OK);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void test_allowed_work(void **state)
{
    (void)state;
    assert_clean_exit(use_files);
    assert_clean_exit(use_calls_alone);
    assert_clean_exit(use_network);
    assert_clean_exit(use_server_only);
    assert_clean_exit(use_database);
    assert_clean_exit(use_parent);
}

static void test_evil_calls_kill(void **state)
{
    void (*const evil[])(void) = {call_execve, call_ptrace};
    (void)state;
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        int status = run_child(evil[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static void become_nobody(void)
{
    CHECK(confine_become("no-such-user-here") == RC_NOTFOUND);
    CHECK(confine_become("nobody") == RC_OK);
    CHECK(getuid() != 0 && geteuid() != 0 && getegid() != 0);
    CHECK(setuid(0) < 0);
    CHECK(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
    CHECK(confine_hide_memory() == RC_OK);
}

static void become_without_root(void)
{
    uid_t uid = getuid();
    CHECK(confine_become("nobody") == RC_OK);
    CHECK(getuid() == uid);
}

static void test_become(void **state)
{
    (void)state;
    assert_clean_exit(geteuid() == 0 ? become_nobody : become_without_root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed_work),
        cmocka_unit_test(test_evil_calls_kill),
        cmocka_unit_test(test_become),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
