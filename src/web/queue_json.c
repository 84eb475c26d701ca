#include "web/queue_json.h"

#include <stdio.h>
#include <time.h>

#include "base/utf8.h"

#define STORY_ARENA (1u << 20)

const char *queue_time(int64_t ms, char out[QUEUE_TIME_MAX])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (ms > 0 && gmtime_r(&s, &tm))
        strftime(out, QUEUE_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static json_t *text(struct view v)
{
    json_t *j = json_stringn(v.p ? v.p : "", v.n);
    struct buf clean;
    if (j)
        return j;
    buf_init(&clean, v.n * 3 + 1);
    utf8_clean(v, &clean);
    j = json_stringn(clean.p ? clean.p : "", clean.n);
    buf_clear(&clean);
    return j;
}

json_t *queue_message_json(const struct mailq_message *m)
{
    char id[24], created[QUEUE_TIME_MAX];
    snprintf(id, sizeof id, "%llx", (unsigned long long)m->id);
    return json_pack("{s:s, s:s, s:I, s:o, s:i, s:o}", "id", id, "created", queue_time(m->created_ms, created), "size",
                     (json_int_t)m->size, "sender", text(m->sender), "priority", m->priority, "peer", text(m->peer));
}

json_t *queue_rcpt_json(const struct mailq_rcpt *r)
{
    char due[QUEUE_TIME_MAX], last[QUEUE_TIME_MAX];
    return json_pack("{s:o, s:o, s:o, s:b, s:s, s:i, s:s, s:s, s:o, s:o}", "address", text(r->address), "route", text(r->route),
                     "sender", text(r->sender), "local", r->account != 0, "state", r->held ? "held" : "ready", "attempts",
                     (int)r->attempts, "next_attempt", queue_time(r->due_ms, due), "last_attempt", queue_time(r->last_attempt_ms, last),
                     "last_reply", text(r->last_reply), "last_mx", text(r->last_mx));
}

json_t *queue_story_json(const struct mailq_attempt *story, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct mailq_attempt *t = &story[i];
        char at[QUEUE_TIME_MAX];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "at", queue_time(t->at_ms, at), "mx", text(t->mx),
                                              "address", text(t->address), "tls", text(t->tls), "policy", text(t->policy), "reply",
                                              text(t->reply), "result", text(t->result)));
    }
    return list;
}

enum rc queue_add_rcpts(struct store *s, json_t *j, uint64_t message, const struct mailq_rcpt *rcpts, size_t n, bool with_story,
                        bool (*shown)(const void *ctx, const struct mailq_rcpt *r), const void *ctx)
{
    json_t *list = json_array();
    struct arena a;
    enum rc rc = RC_OK;
    arena_init(&a, STORY_ARENA);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct mailq_attempt *story;
        size_t n_story;
        if (shown && !shown(ctx, &rcpts[i]))
            continue;
        json_t *rcpt = queue_rcpt_json(&rcpts[i]);
        if (with_story) {
            arena_reset(&a);
            rc = mailq_story(s, message, &rcpts[i], &a, &story, &n_story);
            json_object_set_new(rcpt, "story", queue_story_json(story, rc == RC_OK ? n_story : 0));
        }
        json_array_append_new(list, rcpt);
    }
    arena_clear(&a);
    if (json_object_set_new(j, "recipients", list) != 0 && rc == RC_OK)
        rc = RC_TEMP;
    return rc;
}
