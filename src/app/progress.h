/* app/progress: tells a person at a terminal how far a long command is; silent elsewhere and in the first second. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <stdint.h>

struct progress {
    const char *what; /* "importing" */
    int64_t next_ms;
    int shown;        /* something stands on the line */
};
void progress_begin(struct progress *p, const char *what);
/* done of total; total 0: unknown. Cheap. */
void progress_tell(struct progress *p, uint64_t done, uint64_t total);
void progress_end(struct progress *p);

#endif
