/* sys/fdpass: short messages with open files between our own processes, over SOCK_SEQPACKET socket pairs: a
 * message arrives whole or not at all, and the end of the other process is seen at once. Blocking; any thread
 * (a message is one system call). */
#ifndef SYS_FDPASS_H
#define SYS_FDPASS_H

#include "base/view.h"

#define FDPASS_MAX_FDS 64
#define FDPASS_MAX     65536 /* bytes of one message */

/* Both ends are close-on-exec. */
enum rc fdpass_pair(int fds[2]);
/* Sends a message of at least one byte, with n_fds open files (which stay ours as well).
 * RC_LIMIT: too long or too many. RC_CLOSED: the other end has gone. RC_TIMEOUT: its queue is full till then.
 */
enum rc fdpass_send(int sock, struct view msg, const int *fds, size_t n_fds, int64_t deadline_ms);
/* The next message into buf; *n tells its length. Up to max_fds files come as close-on-exec descriptors,
 * owned by the caller. RC_LIMIT: did not fit; the message and its files are dropped. RC_CLOSED, RC_TIMEOUT as
 * above. */
enum rc fdpass_recv(int sock, void *buf, size_t size, size_t *n, int *fds, size_t max_fds, size_t *n_fds,
                    int64_t deadline_ms);

#endif
