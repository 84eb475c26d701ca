/* web/trail_json: lines of the kept log and traces of messages, as the API and the commands show them, with a sentence a step in
 * English or French. Pure. */
#ifndef WEB_TRAIL_JSON_H
#define WEB_TRAIL_JSON_H

#include <jansson.h>

#include "base/lang.h"
#include "trail/trace.h"

extern const struct lang_pair trail_words[];

/* {"at", "level", "process", "event", "fields": {}}; NULL: no memory. */
json_t *trail_line_json(const struct trail_line *l, struct arena *a);
json_t *trace_json(const struct trace *t, enum lang lang, struct arena *a);
/* What a step says, in a sentence. Fields that `part` hides are not in it. */
void trail_step_text(const struct trail_line *l, bool part, enum lang lang, struct arena *a, struct buf *out);

#endif
