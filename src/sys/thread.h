/* sys/thread: starting threads, and waiting with our deadlines. Any thread. */
#ifndef SYS_THREAD_H
#define SYS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* Address space, not memory: pages are taken as they are touched. Room for SQLite, OpenSSL and iconv. */
#define THREAD_STACK (256 * 1024)

/* Starts a thread with all signals blocked (main() alone takes signals). `name` shows in ps and gdb, cut to
 * 15 bytes. RC_TEMP: no memory, or the limit on threads. */
enum rc thread_start(const char *name, void (*run)(void *arg), void *arg, pthread_t *out); /* to be joined */
enum rc thread_detach(const char *name, void (*run)(void *arg), void *arg); /* ends by itself */

/* A condition whose waits count monotonic time, as base/clock.h does. */
void thread_cond_init(pthread_cond_t *cond);
/* False once the deadline has passed; else as pthread_cond_wait (which may also return for nothing). */
bool thread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
