/* app/process.h: how access asks the parent to write the configuration file. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/process.h"
#include "app/settings_write.h"
#include "base/clock.h"
#include "sys/fdpass.h"
#include "sys/file.h"
#include "sys/thread.h"

#define ANSWER_MS 15000

struct settings_wait {
    bool answered;
    enum rc rc;
    struct buf why;
};
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;  /* asks at a time */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards child.settings and what is in it */
static pthread_cond_t changed;
static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin(void)
{
    thread_cond_init(&changed);
}

void child_settings_answer(struct child *c, struct view message)
{
    pthread_once(&begun, begin);
    pthread_mutex_lock(&lock);
    if (c->settings && message.n >= 2) {
        c->settings->rc = (enum rc)message.p[1];
        buf_add(&c->settings->why, view_from(message, 2));
        c->settings->answered = true;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
}

static enum rc send_text(struct child *c, struct view text, struct view was)
{
    const char what = CONTROL_SETTINGS;
    int fd = memfd_create("settings", MFD_CLOEXEC);
    if (fd < 0)
        return RC_TEMP;
    enum rc rc = file_write_all(fd, was);
    if (rc == RC_OK)
        rc = file_write_all(fd, text);
    if (rc == RC_OK)
        rc = fdpass_send(c->start->control, view_of(&what, 1), &fd, 1, deadline_in(5000));
    close(fd);
    return rc;
}

enum rc child_write_settings(struct child *c, struct view text, struct view was, struct buf *why)
{
    struct settings_wait wait = {.rc = RC_TIMEOUT};
    const int64_t deadline = deadline_in(ANSWER_MS);

    if (was.n != SETTINGS_WAS)
        return RC_EXISTS;
    pthread_once(&begun, begin);
    buf_init(&wait.why, CONTROL_MAX);
    pthread_mutex_lock(&one);
    pthread_mutex_lock(&lock);
    c->settings = &wait;
    pthread_mutex_unlock(&lock);
    enum rc rc = send_text(c, text, was);
    pthread_mutex_lock(&lock);
    while (rc == RC_OK && !wait.answered)
        if (!thread_cond_wait(&changed, &lock, deadline))
            break;
    c->settings = NULL;
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&one);
    buf_add(why, buf_view(&wait.why));
    buf_clear(&wait.why);
    return rc == RC_OK ? wait.rc : rc;
}
