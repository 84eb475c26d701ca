#include "sys/worker.h"

#include "base/clock.h"
#include "sys/thread.h"

void worker_init(struct worker *w)
{
    *w = (struct worker){.is_running = false};
    pthread_mutex_init(&w->lock, NULL);
    thread_cond_init(&w->changed);
}

enum rc worker_start(struct worker *w, const char *name, void (*run)(void *arg), void *arg)
{
    atomic_store(&w->stop, false);
    w->is_running = thread_start(name, run, arg, &w->thread) == RC_OK;
    return w->is_running ? RC_OK : RC_TEMP;
}

bool worker_rest(struct worker *w, int64_t until_ms, bool *is_called)
{
    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->stop) && !w->is_called && clock_mono_ms() < until_ms)
        thread_cond_wait(&w->changed, &w->lock, until_ms);
    if (is_called)
        *is_called = w->is_called;
    w->is_called = false;
    pthread_mutex_unlock(&w->lock);
    return !atomic_load(&w->stop);
}

void worker_call(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_called = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void worker_end(struct worker *w)
{
    if (!w->is_running)
        return;
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->stop, true);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->is_running = false;
}

void worker_clear(struct worker *w)
{
    worker_end(w);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}
