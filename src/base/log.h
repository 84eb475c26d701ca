/* base/log: one line an event, `TIME LEVEL PROCESS event field=value ...`, to standard error, and to the file that is kept
 * (sys/logfile.h).
 * Event and field names are an interface (docs/log.md). Values are escaped: bytes of peers cannot make lines
 * or fields. One write(2) a line; any thread. Secrets are never given to it. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/view.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
struct log_field {
    const char *name; /* NULL ends the list */
    enum { LOG_TEXT, LOG_NUMBER, LOG_HEX } kind;
    struct view text;
    long long number;
};
#define LOG_LINE_MAX 4096 /* longer lines are cut, with "..." */

#define F_VIEW(name, v) ((struct log_field){(name), LOG_TEXT, (v), 0})
#define F_CSTR(name, s) ((struct log_field){(name), LOG_TEXT, view_str(s), 0})
#define F_INT(name, i)  ((struct log_field){(name), LOG_NUMBER, {0}, (long long)(i)})
#define F_ID(name, i)   ((struct log_field){(name), LOG_HEX, {0}, (long long)(i)})

/* log_info("smtp.rcpt.rejected", F_ID("sid", s->id), F_INT("code", 550), F_VIEW("reason", why)); */
#define log_event(level, event, ...) \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) {0}})
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)

void log_write(enum log_level level, const char *event, const struct log_field *fields);
/* Lines below this level are dropped; LOG_INFO until set. Any thread, at any time. */
void log_set_level(enum log_level level);
/* Lines go to this descriptor too; -1: no more. It stays the caller's. */
void log_keep(int fd);
/* Whether they go to standard error; they do until told otherwise. */
void log_show(bool shown);
/* Name of this process in each line ("parent", "vault", "mta", "access", "facteur"). Must stay valid. */
void log_set_process(const char *name);

#endif
