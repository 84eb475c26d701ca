/* trail/trail: the kept log (sys/logfile.h) read backwards, the newest line first, within bounds: a question looks at so many
 * bytes and no more, and the next one goes on where it stopped. The files are mapped, not read: what does not hold the words that are
 * looked for costs a search and nothing else. I/O: files. A trail belongs to one thread. */
#ifndef TRAIL_TRAIL_H
#define TRAIL_TRAIL_H

#include "trail/line.h"

#define TRAIL_DISORDER_MS 120000 /* processes change to a new file at different times, and lines pass each other */
#define TRAIL_PLACE_MAX   64     /* of its text */

struct trail;
/* All that `data` has now; what comes later is not seen. A folder without log is an empty one. RC_TEMP, RC_DENIED. */
enum rc trail_open(const char *data, struct trail **out);
void trail_close(struct trail *t); /* accepts NULL */
/* Begins at the lines of `at_ms`; those that are up to TRAIL_DISORDER_MS newer may come too. Without it: at the newest. */
void trail_seek(struct trail *t, int64_t at_ms);
/* Begins where trail_place was told. RC_SYNTAX: no such text. RC_NOTFOUND: that file has gone; so have all older ones. */
enum rc trail_return(struct trail *t, struct view place);
/* The next older line that holds `word` (ASCII without case; empty: any), without its line end; borrows until trail_close.
 * RC_NOTFOUND: no more. RC_LIMIT: `budget` bytes were looked at since the trail was opened. */
enum rc trail_older(struct trail *t, struct view word, uint64_t budget, struct view *line);
/* The budget of another `bytes` from here on. */
uint64_t trail_budget(const struct trail *t, uint64_t bytes);
/* Where it stands: the lines given so far are behind it. */
void trail_place(const struct trail *t, char out[TRAIL_PLACE_MAX]);

/* What an operator looks for; what is empty or 0 does not matter. */
struct trail_query {
    struct view *words;   /* each somewhere in the line, in any case */
    size_t n_words;
    struct view event;    /* "smtp.rcpt.rejected", or the first parts: "smtp.rcpt", "smtp" */
    enum log_level level; /* and above */
    int64_t from_ms, to_ms;
};
/* The next older line that fits, as trail_older; RC_NOTFOUND also at the first that is too old. */
enum rc trail_find(struct trail *t, const struct trail_query *q, uint64_t budget, struct trail_line *out, struct view *line);

#endif
