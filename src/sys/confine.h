/* sys/confine: giving up rights for good, in this order: become a user, name the files, name the system
 * calls. Call while the process has one thread (Landlock and identity belong to threads; later ones inherit).
 * What these functions took away cannot come back, and children inherit it. Linux: Landlock (5.13 on),
 * seccomp.
 *
 * Refused system calls fail with EPERM, so that a library that tries its luck goes on; those that only an
 * intruder would make (execve, ptrace, mount, bpf, kernel modules, ...) end the process at once. */
#ifndef SYS_CONFINE_H
#define SYS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

/* Becomes this user, with its groups, and gives up all capabilities; without root only no_new_privs is set,
 * and RC_OK given: development and demo run with what rights there are. RC_NOTFOUND: no such user. RC_DENIED:
 * some step failed; the process must not go on. `user` NULL: stay who we are, but without capabilities. */
enum rc confine_become(const char *user);
/* No core file, no debugger: for whoever holds keys. */
enum rc confine_hide_memory(void);

struct confine_path {
    const char *path; /* a file, or a folder with all below it; what does not exist yet is left out */
    bool write;       /* also change, create, remove, rename */
};
/* From now on only these files can be opened. Open ones stay usable. RC_NOTFOUND: this kernel has no
 * Landlock: a warning is logged and the server goes on with file permissions alone. RC_DENIED: it has, but
 * refused. */
enum rc confine_files(const struct confine_path *paths, size_t n);

enum confine_calls {
    CONFINE_NET_SERVER = 1, /* accept on sockets that are open and listening already, options of sockets */
    CONFINE_NET_CLIENT = 2, /* new IPv4 and IPv6 sockets; bind, connect */
    CONFINE_FILES =
        4, /* open files for writing, create, rename, remove, locks, syncs: what a database needs */
    CONFINE_CHILDREN =
        8, /* for the parent: fork, signals, waiting, and the calls by which children confine themselves */
};
/* From now on only the calls for threads, memory, time, open files and sockets, reading files, and those that
 * the flags name. RC_TEMP: seccomp did not work. */
enum rc confine_calls(unsigned flags);

#endif
