/* web/queue_json: a message that waits, as the API and `facteur queue --json` show it. Pure. */
#ifndef WEB_QUEUE_JSON_H
#define WEB_QUEUE_JSON_H

#include <jansson.h>

#include "base/lang.h"
#include "store/mailq.h"

/* NULL: no memory. What strangers sent becomes UTF-8. */
json_t *queue_message_json(const struct mailq_message *m);
/* Why it waits, as a code, from what was said of the last attempt: full, greylisted, tls, dns, slowed, unreachable, ours (this server's
 * fault), other; "" before the first attempt. */
const char *queue_reason(struct view said);
/* Without its attempts. What this server says is in that language; what others said stays as it is. */
json_t *queue_rcpt_json(const struct mailq_rcpt *r, enum lang lang);
/* Its attempts, for "story". */
json_t *queue_story_json(const struct mailq_attempt *story, size_t n, enum lang lang);
/* Adds what `j`, a message, has: recipients with their attempts where `with_story`. Only those that `shown` lets through; NULL: all. */
enum rc queue_add_rcpts(struct store *s, json_t *j, uint64_t message, const struct mailq_rcpt *rcpts, size_t n, bool with_story,
                        enum lang lang, bool (*shown)(const void *ctx, const struct mailq_rcpt *r), const void *ctx);
/* "2026-11-22T01:30:00Z"; "" for 0. */
#define QUEUE_TIME_MAX 32
const char *queue_time(int64_t ms, char out[QUEUE_TIME_MAX]);

#endif
