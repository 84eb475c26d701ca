/* app/settings_write: the parent writes the configuration file anew, as an operator asked on the pages. By then the text has come from a
 * process that reads the network, so little is taken on trust: what decides which files are read as root, and who the processes
 * are, stays as it was. Comments stay, for it is the text that is written. */
#ifndef APP_SETTINGS_WRITE_H
#define APP_SETTINGS_WRITE_H

#include "app/config.h"

#define SETTINGS_WAS 64 /* hexadecimal digits of the SHA-256 of the text that the change was made from, in front of the new text */

/* `fd` has both. RC_OK: written, a reload is due. RC_EXISTS: the file is another one by now. RC_SYNTAX: mistakes. RC_DENIED: it changes
 * what may not be changed so; *why says what. RC_TEMP and others: it cannot be read or written. */
enum rc settings_write(const struct config *now, const char *path, int fd, struct buf *why);

#endif
