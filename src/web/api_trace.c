/* What the server did and does: the kept log, traces of messages, live sessions and rates. */
#include <stdlib.h>

#include "base/clock.h"
#include "sys/board.h"
#include "web/api.h"
#include "web/api_health.h"
#include "web/trail_json.h"

#define LOG_WORDS_MAX 8
#define LOG_BUDGET    (256ull << 20) /* bytes of the log that one question looks at; the client goes on from `next` */
#define TRACE_BUDGET  (512ull << 20)
#define LIVE_MAX      1000

static bool is_operator(const struct api_call *c)
{
    return c->who.role == ROLE_OPERATOR;
}

/* --- the log --- */

/* What stands between blanks; a piece in quotes holds them. */
static size_t split_words(struct view text, struct view words[LOG_WORDS_MAX])
{
    size_t n = 0;
    while (n < LOG_WORDS_MAX) {
        view_take_wsp(&text);
        if (text.n == 0)
            break;
        if (view_take_chr(&text, '"'))
            view_split(&text, '"', &words[n]);
        else
            view_split(&text, ' ', &words[n]);
        n += words[n].n > 0;
    }
    return n;
}

static void reply_log(struct api_call *c, struct trail *t, const struct trail_query *q)
{
    struct view line;
    struct trail_line l;
    char next[TRAIL_PLACE_MAX];
    const size_t limit = api_limit(c);
    json_t *list = json_array();
    enum rc rc = RC_OK;
    while (json_array_size(list) < limit && (rc = trail_find(t, q, LOG_BUDGET, &l, &line)) == RC_OK)
        json_array_append_new(list, trail_line_json(&l, c->arena));
    trail_place(t, next);
    api_reply(c, json_pack("{s:o, s:o}", "log", list, "next", rc == RC_NOTFOUND ? json_null() : json_string(next)));
}

static void get_log(struct api_call *c)
{
    struct view words[LOG_WORDS_MAX], level = api_query(c, "level"), after = api_query(c, "after");
    struct trail_query q = {.words = words, .event = api_query(c, "event"), .from_ms = api_when(c, "from", 0) * 1000,
                            .to_ms = api_when(c, "to", 0) * 1000};
    struct trail *t = NULL;
    q.n_words = split_words(api_query(c, "q"), words);
    if (level.n > 0 && trail_level_read(level, &q.level) != RC_OK) {
        api_refuse_field(c, "level", "It is debug, info, warn or error.");
        return;
    }
    enum rc rc = trail_open(c->set->data, &t);
    if (rc == RC_OK && after.n > 0)
        rc = trail_return(t, after);
    else if (rc == RC_OK && q.to_ms > 0)
        trail_seek(t, q.to_ms);
    if (rc == RC_SYNTAX)
        api_refuse_field(c, "after", "It is what `next` was in the answer before.");
    else if (rc == RC_NOTFOUND)
        api_reply(c, json_pack("{s:[], s:n}", "log", "next")); /* so old a file has been removed meanwhile */
    else if (rc != RC_OK)
        api_refuse_rc(c, rc);
    else
        reply_log(c, t, &q);
    trail_close(t);
}

/* --- traces --- */

/* Before what the answer before told; in milliseconds. */
static int64_t to_ms(const struct api_call *c)
{
    uint64_t ms = 0;
    struct view after = api_query(c, "after");
    return view_is_u64(after, INT64_MAX / 2, &ms) ? (int64_t)ms : api_when(c, "to", 0) * 1000;
}

static void get_trace(struct api_call *c)
{
    struct trace_query q = {.sender = api_query(c, "sender"), .recipient = api_query(c, "recipient"), .id = api_query(c, "id"),
                            .from_ms = api_when(c, "from", 0) * 1000, .to_ms = to_ms(c),
                            .limit = api_limit(c), .budget = TRACE_BUDGET};
    struct trail *t = NULL;
    struct trace *list;
    size_t n;
    int64_t older_ms;
    if (!is_operator(c))
        q.domain = c->who.domain;
    enum rc rc = trail_open(c->set->data, &t);
    if (rc == RC_OK)
        rc = trace_find(t, &q, c->arena, &list, &n, &older_ms);
    if (rc == RC_SYNTAX) {
        api_refuse_field(c, "id", "It is hexadecimal: the id of the queue, of a session, or SESSION.N of a Received field.");
    } else if (rc != RC_OK) {
        api_refuse_rc(c, rc);
    } else {
        json_t *found = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(found, trace_json(&list[i], api_lang(c), c->arena));
        api_reply(c, json_pack("{s:o, s:o}", "trace", found, "next", older_ms > 0 ? json_sprintf("%lld", (long long)older_ms) : json_null()));
    }
    trail_close(t);
}

/* --- now --- */

static json_t *rates_json(void)
{
    json_t *rates = json_object();
    for (enum board_rate r = 0; r < BOARD_RATES; r++) {
        uint64_t minutes[BOARD_MINUTES];
        int64_t last = board_minutes(r, minutes);
        json_t *list = json_array();
        for (int i = 0; i < BOARD_MINUTES; i++)
            json_array_append_new(list, json_pack("{s:o, s:I}", "minute", api_time((last - (BOARD_MINUTES - 1) + i) * 60), "n",
                                                  (json_int_t)minutes[i]));
        json_object_set_new(rates, board_rate_name(r), list);
    }
    return rates;
}

static json_t *processes_json(void)
{
    struct board_process list[BOARD_PROCESSES];
    size_t n = board_processes(list);
    json_t *j = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(j, json_pack("{s:s, s:i, s:o, s:i}", "name", list[i].name, "pid", (int)list[i].pid, "since",
                                           api_time(list[i].since_s), "starts", (int)list[i].starts));
    return j;
}

/* "" is nothing that is known. */
static json_t *known(const char *s)
{
    return *s ? api_view(view_str(s)) : json_null();
}

static void get_live(struct api_call *c)
{
    struct board_session *list = arena_new_array(c->arena, LIVE_MAX, struct board_session);
    size_t total = 0, n = list ? board_sessions(list, LIVE_MAX, &total) : 0;
    json_t *sessions = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(sessions, json_pack("{s:s, s:s, s:o, s:o, s:o}", "service", list[i].service, "peer", list[i].peer, "account",
                                                  known(list[i].account), "since", api_time(list[i].since_s), "tls", known(list[i].tls)));
    api_reply(c, json_pack("{s:o, s:I, s:o, s:o}", "sessions", sessions, "sessions_total", (json_int_t)total, "rates", rates_json(),
                           "processes", processes_json()));
}

const struct api_route api_trace_routes[] = {
    {"GET", "/log", API_OPERATOR, get_log},
    {"GET", "/trace", API_OWNER, get_trace},
    {"GET", "/live", API_OPERATOR, get_live},
    {0},
};
