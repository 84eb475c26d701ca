#include "sys/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

struct start {
    void (*run)(void *arg);
    void *arg;
    char name[16]; /* as much as the kernel keeps */
};

static void *run_thread(void *p)
{
    struct start s = *(struct start *)p;
    free(p);
    pthread_setname_np(pthread_self(), s.name);
    s.run(s.arg);
    return NULL;
}

static enum rc start_thread(const char *name, void (*run)(void *), void *arg, int detached, pthread_t *out)
{
    pthread_attr_t attr;
    sigset_t all, before;
    struct start *s = malloc(sizeof *s);
    if (!s)
        return RC_TEMP;
    s->run = run;
    s->arg = arg;
    snprintf(s->name, sizeof s->name, "%s", name);
    if (pthread_attr_init(&attr) != 0) {
        free(s);
        return RC_TEMP;
    }
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    pthread_attr_setdetachstate(&attr, detached);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the child inherits it from its first instruction */
    int err = pthread_create(out, &attr, run_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err != 0)
        free(s);
    return err == 0 ? RC_OK : RC_TEMP;
}

enum rc thread_start(const char *name, void (*run)(void *arg), void *arg, pthread_t *out)
{
    return start_thread(name, run, arg, PTHREAD_CREATE_JOINABLE, out);
}

enum rc thread_detach(const char *name, void (*run)(void *arg), void *arg)
{
    pthread_t id;
    return start_thread(name, run, arg, PTHREAD_CREATE_DETACHED, &id);
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    bug_if(pthread_condattr_init(&attr) != 0);
    bug_if(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0);
    bug_if(pthread_cond_init(cond, &attr) != 0);
    pthread_condattr_destroy(&attr);
}

bool thread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms)
{
    if (deadline_ms == NO_DEADLINE) {
        pthread_cond_wait(cond, lock);
        return true;
    }
    if (deadline_ms < 0)
        deadline_ms = 0;
    struct timespec ts = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, lock, &ts) != ETIMEDOUT;
}
