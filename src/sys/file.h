/* sys/file: small files as a whole. Blocking I/O; any thread. Store files have their own code (store/).
 * RC_NOTFOUND: no such file or folder; RC_DENIED: rights; RC_FULL: no room; RC_TEMP: any other trouble.
 * errno still tells which, for a message to people. */
#ifndef SYS_FILE_H
#define SYS_FILE_H

#include <sys/types.h>

#include "base/buf.h"

/* Appends the file to out. RC_LIMIT: longer than max (out keeps what it had). RC_DENIED also: not a regular
 * file. */
enum rc file_read(const char *path, size_t max, struct buf *out);
/* After a crash at any point there is the old file or the new one, whole, with this mode. When RC_OK comes
 * back it is on the disk. A temporary file stands beside it meanwhile (".NAME.XXXXXX"). */
enum rc file_write_atomic(const char *path, struct view data, mode_t mode);
/* The same for a file that is there: owner, group and mode stay; a link leads to the file that changes. */
enum rc file_replace(const char *path, struct view data);
/* The folder and all above it; those that are missing get this mode. On the disk when RC_OK comes back. */
enum rc file_mkdirs(const char *path, mode_t mode);
/* Makes creation, renaming and removal of `path` durable: fsync of the folder that it is in. */
enum rc file_sync_parent(const char *path);
/* All of it, whatever the kernel splits. */
enum rc file_write_all(int fd, struct view data);
/* The rc for an errno value. */
enum rc file_rc(int err);

#endif
