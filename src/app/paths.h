/* app/paths: the files that a command was given: names, folders with all below them, "-" for standard input, pipes. Single-threaded. */
#ifndef APP_PATHS_H
#define APP_PATHS_H

#include "base/arena.h"
#include "base/buf.h"

#define PATHS_BYTES_MAX (1u << 30) /* of names */
#define PATHS_DEPTH_MAX 32         /* of folders in folders */

struct path {
    struct path *next;
    const char *name;
};
struct paths {
    struct arena arena;
    struct path *first, **last;
    size_t n;
    bool is_list; /* more than one was named, or a folder */
};

void paths_init(struct paths *p);
void paths_clear(struct paths *p);
/* A file, or all visible files below a folder in the order of their names; links to folders are not followed. False: the reason is on stderr. */
bool paths_add(struct paths *p, const char *name);
/* Appends the bytes of one, which may be a pipe or "-". RC_NOTFOUND, RC_DENIED, RC_LIMIT (longer than max), RC_TEMP. */
enum rc path_read(const char *path, size_t max, struct buf *out);
/* A pipe has a name too: the shell's <(...), and /dev/stdin. */
bool path_is_stream(const char *path);

#endif
