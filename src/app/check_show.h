/* app/check_show: a judgement for people and for programs. Writes to memory or stdout; any thread. */
#ifndef APP_CHECK_SHOW_H
#define APP_CHECK_SHOW_H

#include <jansson.h>

#include "policy/judge.h"

/* NULL: out of memory. */
json_t *check_json(const struct judge_settings *set, const struct judgement *v);
/* Each verdict with its reason and steps, on stdout. */
void check_print(const struct judgement *v);
/* One line, with its end: what is done, then the verdicts. */
void check_line(const char *file, const struct judgement *v, struct buf *out);

#endif
