/* sys/logfile: the log that is kept: files below data/log, all processes appending to the newest one. A file is named by the
 * time when it was begun ("20261122T013000Z.log") and holds a day or LOGFILE_BYTES_MAX at most; one process begins new files and removes
 * old ones, the others follow. Written by base/log.h beside standard error, a line a write, so lines of processes never mix.
 * I/O: files. logfile_follow and logfile_turn: one thread of a process at a time, and while others log. */
#ifndef SYS_LOGFILE_H
#define SYS_LOGFILE_H

#include <sys/types.h>

#include "base/arena.h"

#define LOGFILE_FOLDER    "log" /* below data */
#define LOGFILE_BYTES_MAX (64u << 20)
#define LOGFILE_FILES_MAX 4096  /* that are looked at */

struct logfile_settings {
    const char *data;
    int64_t keep_s;
    uint64_t bytes; /* of all of them; 0: none is kept */
    uid_t owner;    /* whose they are; (uid_t)-1: whoever we are */
    gid_t group;
};
/* Begins a new file where one is due, removes what is too old or too much, and follows. */
void logfile_turn(const struct logfile_settings *set);
/* Appends to the newest file from now on, where that is another one than before. */
void logfile_follow(const struct logfile_settings *set);
/* What this process has open; -1: nothing. */
int logfile_fd(void);

struct logfile {
    const char *name; /* "20261122T013000Z.log" */
    int64_t began_s;
    uint64_t bytes;
};
/* The oldest first. RC_NOTFOUND: there is no such folder. */
enum rc logfile_list(const char *data, struct arena *a, struct logfile **out, size_t *n);

#endif
