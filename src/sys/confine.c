#include "sys/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

/* --- who we are --- */

static enum rc drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap) < 0 &&
            errno != EPERM) /* without CAP_SETPCAP there are none to drop */
            return RC_DENIED;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* old kernels have none */
    return syscall(SYS_capset, &header, none) == 0 ? RC_OK : RC_DENIED;
}

static enum rc change_user(const char *user)
{
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (!pw)
        return errno == 0 || errno == ENOENT ? RC_NOTFOUND : RC_DENIED;
    if (initgroups(user, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0)
        return RC_DENIED;
    /* The bounding set can only be emptied while we still have the right to. */
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap);
    if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
        return RC_DENIED;
    if (pw->pw_uid != 0 && setresuid(0, 0, 0) == 0)
        return RC_DENIED;
    return RC_OK;
}

enum rc confine_become(const char *user)
{
    enum rc rc = user && geteuid() == 0 ? change_user(user) : RC_OK;
    if (rc == RC_OK)
        rc = drop_capabilities();
    if (rc == RC_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        rc = RC_DENIED;
    return rc;
}

enum rc confine_hide_memory(void)
{
    const struct rlimit none = {0, 0};
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 ? RC_OK : RC_DENIED;
}

/* --- which files: Landlock. The C library has no wrappers, and its headers may be older than the kernel. ---
 */

#define LL_CREATE_RULESET 444
#define LL_ADD_RULE       445
#define LL_RESTRICT_SELF  446
#define LL_GET_VERSION    1
#define LL_PATH_BENEATH   1

#define LL_EXECUTE                    (1ull << 0)
#define LL_WRITE_FILE                 (1ull << 1)
#define LL_READ_FILE                  (1ull << 2)
#define LL_READ_DIR                   (1ull << 3)
#define LL_CHANGE_DIR                 (0x1ffull << 4) /* remove and make entries of each kind */
#define LL_REFER                      (1ull << 13)    /* ABI 2: rename between folders */
#define LL_TRUNCATE                   (1ull << 14)    /* ABI 3 */
#define LL_IOCTL_DEV                  (1ull << 15)    /* ABI 5 */
#define LL_OF_FILES                   (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)
#define LL_SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0) /* ABI 6 */
#define LL_SCOPE_SIGNAL               (1ull << 1)

struct ll_ruleset {
    __u64 fs, net, scoped;
};
struct ll_beneath {
    __u64 allowed;
    __s32 fd;
} __attribute__((packed));

static __u64 rights_of_abi(int abi)
{
    __u64 rights = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_READ_DIR | LL_CHANGE_DIR;
    if (abi >= 2)
        rights |= LL_REFER;
    if (abi >= 3)
        rights |= LL_TRUNCATE;
    if (abi >= 5)
        rights |= LL_IOCTL_DEV;
    return rights;
}

static enum rc allow_path(int ruleset, const struct confine_path *p, __u64 handled)
{
    struct stat st;
    __u64 read = LL_READ_FILE | LL_READ_DIR;
    struct ll_beneath rule = {.allowed = p->write ? handled & ~(LL_EXECUTE | LL_IOCTL_DEV) : read};
    rule.fd = open(p->path, O_PATH | O_CLOEXEC);
    if (rule.fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? RC_OK : RC_DENIED;
    if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= LL_OF_FILES;
    long result = syscall(LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &rule, 0);
    close(rule.fd);
    return result == 0 ? RC_OK : RC_DENIED;
}

enum rc confine_files(const struct confine_path *paths, size_t n)
{
    long abi = syscall(LL_CREATE_RULESET, NULL, 0, LL_GET_VERSION);
    enum rc rc = RC_OK;

    if (abi < 1) {
        log_warn("confine.landlock.missing", F_CSTR("reason", strerrordesc_np(errno)));
        return RC_NOTFOUND;
    }
    struct ll_ruleset set = {.fs = rights_of_abi((int)abi)};
    if (abi >= 6) /* nor signals to others, nor sockets that have no file */
        set.scoped = LL_SCOPE_ABSTRACT_UNIX_SOCKET | LL_SCOPE_SIGNAL;
    /* Older kernels know less of the struct, and take the part that they know. */
    size_t size = abi >= 6 ? sizeof set : abi >= 4 ? 2 * sizeof(__u64) : sizeof(__u64);
    int ruleset = (int)syscall(LL_CREATE_RULESET, &set, size, 0);
    if (ruleset < 0)
        return RC_DENIED;
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        rc = allow_path(ruleset, &paths[i], set.fs);
    if (rc == RC_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        rc = RC_DENIED;
    if (rc == RC_OK && syscall(LL_RESTRICT_SELF, ruleset, 0) < 0)
        rc = RC_DENIED;
    close(ruleset);
    return rc;
}

/* --- which system calls: seccomp --- */

/* By name, as not every kernel and processor has each. NULL ends a list. */
static const char *const calls_always[] = {
    /* memory */
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "mlock", "munlock", "msync", "mincore",
    "membarrier",
    /* threads; clone is below */
    "futex", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "sched_yield",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "gettid", "exit", "exit_group",
    "restart_syscall", "arch_prctl",
    /* time, chance, facts about us */
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times",
    "getrandom", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid",
    "getresgid", "getpgrp", "getpgid", "getsid", "getrlimit", "getrusage", "uname", "sysinfo", "getcpu",
    "capget",
    /* signals to ourselves */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait",
    "sigaltstack", "alarm", "setitimer", "getitimer", "timer_create", "timer_settime", "timer_delete",
    /* what is open */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
    "lseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "pipe", "pipe2", "poll", "ppoll",
    "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd",
    "signalfd4", "sendfile", "splice", "fadvise64", "readahead",
    /* looking at files, as far as Landlock and their owners allow */
    "stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "getxattr", "fgetxattr",
    /* sockets that are open */
    "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg", "shutdown", "getsockname",
    "getpeername", "getsockopt", "socketpair", NULL};
static const char *const calls_server[] = {"accept", "accept4", "setsockopt", NULL};
static const char *const calls_client[] = {"bind", "connect", "setsockopt", NULL}; /* socket is below */
static const char *const calls_files[] = {
    "open",      "openat",          "creat",    "truncate",  "ftruncate", "fallocate", "fsync",
    "fdatasync", "sync_file_range", "syncfs",   "flock",     "rename",    "renameat",  "renameat2",
    "link",      "linkat",          "unlink",   "unlinkat",  "mkdir",     "mkdirat",   "rmdir",
    "chmod",     "fchmod",          "fchmodat", "utimensat", "utime",     "utimes",    "futimesat",
    "umask",     "memfd_create", "copy_file_range", "chdir",    "fchdir",    NULL};
static const char *const calls_children[] = {"clone",
                                             "fork",
                                             "vfork",
                                             "wait4",
                                             "waitid",
                                             "kill",
                                             "tgkill",
                                             "pidfd_open",
                                             "pidfd_send_signal",
                                             "setresuid",
                                             "setresgid",
                                             "setgroups",
                                             "setuid",
                                             "setgid",
                                             "capset",
                                             "prctl",
                                             "seccomp",
                                             "landlock_create_ruleset",
                                             "landlock_add_rule",
                                             "landlock_restrict_self",
                                             "setsid",
                                             "setpgid",
                                             "setrlimit",
                                             "prlimit64",
                                             "socket",
                                             "bind",
                                             "listen",
                                             "setsockopt",
                                             "open",
                                             "openat",
                                             "umask",
                                             NULL};
static const char *const calls_evil[] = {"execve",
                                         "execveat",
                                         "ptrace",
                                         "process_vm_readv",
                                         "process_vm_writev",
                                         "mount",
                                         "umount2",
                                         "pivot_root",
                                         "chroot",
                                         "setns",
                                         "unshare",
                                         "bpf",
                                         "init_module",
                                         "finit_module",
                                         "delete_module",
                                         "kexec_load",
                                         "kexec_file_load",
                                         "perf_event_open",
                                         "userfaultfd",
                                         "keyctl",
                                         "add_key",
                                         "request_key",
                                         "reboot",
                                         "swapon",
                                         "swapoff",
                                         "acct",
                                         "iopl",
                                         "ioperm",
                                         "modify_ldt",
                                         "settimeofday",
                                         "clock_settime",
                                         "sethostname",
                                         "setdomainname",
                                         "open_by_handle_at",
                                         "move_mount",
                                         "fsopen",
                                         "open_tree",
                                         NULL};

/* Failures are remembered in *err: one check at the end. */
static void add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name, int *err)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (*err == 0 && nr != __NR_SCMP_ERROR && nr >= 0) /* below 0: not on this processor */
        *err = seccomp_rule_add(ctx, action, nr, 0);
}

static void add_rule_if(scmp_filter_ctx ctx, uint32_t action, const char *name, struct scmp_arg_cmp cmp,
                        int *err)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (*err == 0 && nr != __NR_SCMP_ERROR && nr >= 0)
        *err = seccomp_rule_add_array(ctx, action, nr, 1, &cmp);
}

static void add_list(scmp_filter_ctx ctx, uint32_t action, const char *const *names, int *err)
{
    for (; *names; names++)
        add_rule(ctx, action, *names, err);
}

static void add_always(scmp_filter_ctx ctx, unsigned flags, int *err)
{
    static const unsigned long ioctls[] = {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ};
    const unsigned change = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

    add_list(ctx, SCMP_ACT_ALLOW, calls_always, err);
    for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls; i++)
        add_rule_if(ctx, SCMP_ACT_ALLOW, "ioctl", SCMP_A1(SCMP_CMP_EQ, ioctls[i]), err);
    /* Its arguments stand in memory, where no filter sees them: libraries fall back to clone and openat. */
    add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", err);
    add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "openat2", err);
    if (flags & CONFINE_CHILDREN)
        return;
    /* Threads, but no processes. */
    add_rule_if(ctx, SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD), err);
    add_rule_if(ctx, SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME), err);
    add_rule_if(ctx, SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME), err);
    add_rule_if(ctx, SCMP_ACT_ALLOW, "tgkill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()),
                err); /* abort() */
    add_rule_if(ctx, SCMP_ACT_ALLOW, "kill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()), err);
    add_rule_if(ctx, SCMP_ACT_ALLOW, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0), err); /* only asking */
    if (flags & CONFINE_FILES)
        return;
    add_rule_if(ctx, SCMP_ACT_ALLOW, "open", SCMP_A1(SCMP_CMP_MASKED_EQ, change, 0), err);
    add_rule_if(ctx, SCMP_ACT_ALLOW, "openat", SCMP_A2(SCMP_CMP_MASKED_EQ, change, 0), err);
}

enum rc confine_calls(unsigned flags)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int err = 0;

    if (!ctx)
        return RC_TEMP;
    /* Wishes, which an old kernel or library may not know. */
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: the filter runs at each system call */
    add_always(ctx, flags, &err);
    if (flags & CONFINE_NET_SERVER)
        add_list(ctx, SCMP_ACT_ALLOW, calls_server, &err);
    if (flags & CONFINE_NET_CLIENT) {
        add_list(ctx, SCMP_ACT_ALLOW, calls_client, &err);
        if (!(flags & CONFINE_CHILDREN)) {
            add_rule_if(ctx, SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET), &err);
            add_rule_if(ctx, SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET6), &err);
        }
    }
    if (flags & CONFINE_FILES)
        add_list(ctx, SCMP_ACT_ALLOW, calls_files, &err);
    if (flags & CONFINE_CHILDREN)
        add_list(ctx, SCMP_ACT_ALLOW, calls_children, &err);
    add_list(ctx, SCMP_ACT_KILL_PROCESS, calls_evil, &err);
    if (err == 0)
        err = seccomp_load(ctx);
    seccomp_release(ctx);
    if (err != 0)
        log_error("confine.seccomp.failed", F_CSTR("reason", strerrordesc_np(-err)));
    return err == 0 ? RC_OK : RC_TEMP;
}
