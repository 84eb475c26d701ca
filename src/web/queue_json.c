#include "web/queue_json.h"

#include <stdio.h>
#include <time.h>

#include "base/json_text.h"
#include "trail/words.h"

#define STORY_ARENA (1u << 20)
#define SAID_MAX    8192

const char *queue_time(int64_t ms, char out[QUEUE_TIME_MAX])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (ms > 0 && gmtime_r(&s, &tm))
        strftime(out, QUEUE_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

json_t *queue_message_json(const struct mailq_message *m)
{
    char id[24], created[QUEUE_TIME_MAX];
    snprintf(id, sizeof id, "%llx", (unsigned long long)m->id);
    return json_pack("{s:s, s:s, s:I, s:o, s:i, s:o}", "id", id, "created", queue_time(m->created_ms, created), "size",
                     (json_int_t)m->size, "sender", json_text(m->sender), "priority", m->priority, "peer", json_text(m->peer));
}

/* What was said of an attempt: ours in that language, the other side's as it is. */
static json_t *said_json(struct view said, enum lang lang)
{
    struct buf out;
    buf_init(&out, SAID_MAX);
    trail_say(said, lang, &out);
    json_t *j = json_text(buf_rc(&out) == RC_OK ? buf_view(&out) : said);
    buf_clear(&out);
    return j;
}

const char *queue_reason(struct view said)
{
    /* The first word that is found explains. Status codes are those of RFC 3463. */
    static const struct {
        const char *code;
        const char *words[8];
    } reasons[] = {
        {"full", {"4.2.2", "5.2.2", "no room in the mailbox", "quota", "mailbox is full", "mailbox full"}},
        {"greylisted", {"greylist", "graylist", "grey-list", "grey list", "try again later", "come back"}},
        {"dns", {"DNSSEC of the", "DNS of the"}}, /* ours, whatever else the sentence tells of */
        {"tls", {"4.7.4", "4.7.5", "certificate", "TLS", "MTA-STS", "DANE"}},
        {"dns", {"4.4.3", "name server", "DNS", "MX record", "looked up"}},
        {"slowed", {"too many", "4.7.28", "throttl", "rate limit", "limit"}},
        {"unreachable", {"4.4.1", "4.4.2", "refused", "timed out", "unreachable", "No route", "connect", "reached"}},
        {"ours", {"cannot be read", "cannot be written", "out of memory"}},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        for (size_t k = 0; k < 8 && reasons[i].words[k]; k++)
            if (view_ifind(said, view_str(reasons[i].words[k])) != VIEW_NONE)
                return reasons[i].code;
    return said.n > 0 ? "other" : "";
}

json_t *queue_rcpt_json(const struct mailq_rcpt *r, enum lang lang)
{
    char due[QUEUE_TIME_MAX], last[QUEUE_TIME_MAX];
    return json_pack("{s:o, s:o, s:o, s:b, s:s, s:i, s:s, s:s, s:o, s:b, s:s, s:o}", "address", json_text(r->address), "route", json_text(r->route),
                     "sender", json_text(r->sender), "local", r->account != 0, "state", r->held ? "held" : "ready", "attempts",
                     (int)r->attempts, "next_attempt", queue_time(r->due_ms, due), "last_attempt", queue_time(r->last_attempt_ms, last),
                     "last_reply", said_json(r->last_reply, lang), "last_reply_ours", r->last_reply.n > 0 && !trail_is_reply(r->last_reply),
                     "reason", queue_reason(r->last_reply), "last_mx", json_text(r->last_mx));
}

json_t *queue_story_json(const struct mailq_attempt *story, size_t n, enum lang lang)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct mailq_attempt *t = &story[i];
        char at[QUEUE_TIME_MAX];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "at", queue_time(t->at_ms, at), "mx",
                                              json_text(t->mx), "address", json_text(t->address), "tls", json_text(t->tls), "policy",
                                              said_json(t->policy, lang), "reply", said_json(t->reply, lang), "reply_ours",
                                              t->reply.n > 0 && !trail_is_reply(t->reply), "result", json_text(t->result)));
    }
    return list;
}

enum rc queue_add_rcpts(struct store *s, json_t *j, uint64_t message, const struct mailq_rcpt *rcpts, size_t n, bool with_story,
                        enum lang lang, bool (*shown)(const void *ctx, const struct mailq_rcpt *r), const void *ctx)
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
        json_t *rcpt = queue_rcpt_json(&rcpts[i], lang);
        if (with_story) {
            arena_reset(&a);
            rc = mailq_story(s, message, &rcpts[i], &a, &story, &n_story);
            json_object_set_new(rcpt, "story", queue_story_json(story, rc == RC_OK ? n_story : 0, lang));
        }
        json_array_append_new(list, rcpt);
    }
    arena_clear(&a);
    if (json_object_set_new(j, "recipients", list) != 0 && rc == RC_OK)
        rc = RC_TEMP;
    return rc;
}
