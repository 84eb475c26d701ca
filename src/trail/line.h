/* trail/line: one line of the kept log (base/log.h), read back. Pure; any thread. What stands in a line was escaped by us and said by
 * strangers; a file may have been cut or damaged. */
#ifndef TRAIL_LINE_H
#define TRAIL_LINE_H

#include "base/arena.h"
#include "base/log.h"

struct trail_line {
    int64_t at_ms;
    enum log_level level;
    struct view process, event;
    struct view fields; /* for trail_next_field */
};
/* All views borrow. RC_SYNTAX: not a line of ours. */
enum rc trail_parse(struct view line, struct trail_line *out);
/* The time alone, which every line begins with. */
enum rc trail_parse_time(struct view line, int64_t *at_ms);
/* Takes the next field; *raw as it stands, quotes and all. False: no more. */
bool trail_next_field(struct view *fields, struct view *name, struct view *raw);
/* The value without quotes and escapes; borrows, or is from the arena. RC_TEMP: no memory. */
enum rc trail_value(struct view raw, struct arena *a, struct view *out);
/* The field's value; empty where the line has none, or without memory. */
struct view trail_field(const struct trail_line *l, const char *name, struct arena *a);
/* A field that F_ID wrote; 0: none. */
uint64_t trail_id(const struct trail_line *l, const char *name);

const char *trail_level_name(enum log_level level);
/* RC_SYNTAX: no such level. */
enum rc trail_level_read(struct view name, enum log_level *out);

#endif
