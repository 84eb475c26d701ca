/* facteur log: what the kept log has; facteur trace: what became of a message. Both read the files alone; no server need run. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/commands.h"
#include "base/clock.h"
#include "web/trail_json.h"

#define LOG_LINES     200 /* unless asked for others */
#define LOG_LINES_MAX 1000000
#define FOLLOW_MS     300
#define TRACES        20
#define WORDS_MAX     16
#define FORMATTED_MAX 8192

/* "2h", "3d": so long ago; or "2026-11-22", "2026-11-22T01:30:00Z". In milliseconds since 1970. */
static bool read_since(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    struct tm tm = {0};
    struct view v = view_str(text);
    uint64_t n;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end) {
        tm = (struct tm){0};
        end = strptime(text, "%Y-%m-%d", &tm);
    }
    if (end && !*end) {
        *ms = timegm(&tm) * 1000;
        return true;
    }
    if (view_u64(&v, 100000, &n) != RC_OK)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (view_eq(v, view_str(units[i].unit))) {
            *ms = clock_real_ms() - (int64_t)n * units[i].ms;
            return true;
        }
    }
    return false;
}

static int bad_time(const char *text)
{
    return app_fail("'%s' is no time: write 30min, 2h, 3d, 2026-11-22 or 2026-11-22T01:30:00Z", text);
}

/* --- facteur log --- */

struct ask {
    struct view words[WORDS_MAX];
    struct trail_query q;
    uint64_t lines;
    bool follow;
};

/* What --level or --limit cannot be. */
static int bad_value(const char *option, const char *value, const char *can)
{
    app_fail("%s is %s, not '%s'", option, can, value);
    return EXIT_USAGE;
}

static int read_log_args(struct app *app, int argc, char **argv, struct ask *k)
{
    k->q.words = k->words;
    k->lines = LOG_LINES;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--follow") == 0) {
            k->follow = true;
        } else if (strncmp(argv[i], "--", 2) == 0 && next) {
            i++;
            if (strcmp(argv[i - 1], "--event") == 0)
                k->q.event = view_str(next);
            else if (strcmp(argv[i - 1], "--level") == 0 && trail_level_read(view_str(next), &k->q.level) == RC_OK)
                continue;
            else if (strcmp(argv[i - 1], "--limit") == 0 && view_is_u64(view_str(next), LOG_LINES_MAX, &k->lines))
                continue;
            else if (strcmp(argv[i - 1], "--since") == 0)
                if (read_since(next, &k->q.from_ms))
                    continue;
                else
                    return bad_time(next);
            else if (strcmp(argv[i - 1], "--level") == 0)
                return bad_value("--level", next, "debug, info, warn or error");
            else if (strcmp(argv[i - 1], "--limit") == 0)
                return bad_value("--limit", next, "a number of lines");
            else
                return app_usage(app);
        } else if (*argv[i] == '-' || k->q.n_words == WORDS_MAX) {
            return app_usage(app);
        } else {
            k->words[k->q.n_words++] = view_str(argv[i]);
        }
    }
    return k->follow && app->json ? app_usage(app) : EXIT_DONE;
}

static void print_line(struct view line)
{
    fwrite(line.p, 1, line.n, stdout);
    putchar('\n');
}

/* Prints the lines behind those that end at `shown`, newest last; *shown: how far it came now. */
static enum rc show_lines(struct app *app, const struct ask *k, int64_t after_ms, struct view after, int64_t *last_ms, struct view *last)
{
    struct trail *t;
    struct trail_line l;
    struct view line, *lines = calloc(k->lines ? k->lines : 1, sizeof *lines);
    struct trail_query q = k->q;
    json_t *list = json_array();
    size_t n = 0;
    enum rc rc = lines ? trail_open(app->config->data, &t) : RC_TEMP;
    if (rc != RC_OK) {
        free(lines);
        return rc;
    }
    if (after_ms > q.from_ms)
        q.from_ms = after_ms;
    while (n < k->lines && (rc = trail_find(t, &q, UINT64_MAX, &l, &line)) == RC_OK && !(after.n > 0 && view_eq(line, after))) {
        if (n == 0) {
            *last_ms = l.at_ms;
            rc = view_dup(&app->arena, line, last);
        }
        lines[n++] = line;
    }
    while (n > 0 && (rc == RC_OK || rc == RC_NOTFOUND)) {
        line = lines[--n];
        if (!app->json)
            print_line(line);
        else if (trail_parse(line, &l) == RC_OK)
            json_array_append_new(list, trail_line_json(&l, &app->arena));
    }
    trail_close(t);
    free(lines);
    if (app->json && app_print_json(json_incref(list)) != EXIT_DONE)
        rc = RC_TEMP;
    json_decref(list);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

int cmd_log(struct app *app, int argc, char **argv)
{
    struct ask k = {0};
    struct view last = {0};
    int64_t last_ms = 0;
    int code = read_log_args(app, argc, argv, &k);
    if (code != EXIT_DONE)
        return code;
    if (!app_config(app) || !app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    enum rc rc = show_lines(app, &k, 0, last, &last_ms, &last);
    while (rc == RC_OK && k.follow && fflush(stdout) == 0) {
        const struct timespec pause = {0, FOLLOW_MS * 1000000};
        nanosleep(&pause, NULL);
        if (last_ms == 0)
            last_ms = clock_real_ms();
        rc = show_lines(app, &k, last_ms, last, &last_ms, &last);
    }
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "read the log");
}

/* --- facteur trace --- */

static int read_trace_args(struct app *app, int argc, char **argv, struct trace_query *q)
{
    uint64_t limit = TRACES;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value)
            return app_usage(app);
        if (strcmp(argv[i], "--sender") == 0)
            q->sender = view_str(value);
        else if (strcmp(argv[i], "--recipient") == 0)
            q->recipient = view_str(value);
        else if (strcmp(argv[i], "--id") == 0)
            q->id = view_str(value);
        else if (strcmp(argv[i], "--limit") == 0 && view_is_u64(view_str(value), TRACE_LIMIT_MAX, &limit) && limit > 0)
            continue;
        else if (strcmp(argv[i], "--limit") == 0)
            return bad_value("--limit", value, "a number of messages, 200 at most");
        else if (strcmp(argv[i], "--since") != 0)
            return app_usage(app);
        else if (!read_since(value, &q->from_ms))
            return bad_time(value);
    }
    q->limit = limit;
    return EXIT_DONE;
}

static void print_text(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static const char *clock_text(int64_t ms, bool with_day, char out[32])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&s, &tm))
        strftime(out, 32, with_day ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm);
    return out;
}

static void print_trace(const struct trace *t, enum lang lang, struct arena *a)
{
    struct buf words;
    char at[32];
    int64_t day = -1;
    buf_init(&words, FORMATTED_MAX);
    printf("%s", lang_of(trail_words, lang, trace_result_name(t->result)));
    if (t->id)
        printf("  id=%llx", (unsigned long long)t->id);
    if (t->session)
        printf("  sid=%llx.%llu", (unsigned long long)t->session, (unsigned long long)t->n);
    printf("  <");
    print_text(t->sender);
    printf(">");
    for (size_t i = 0; i < t->n_recipients; i++) {
        printf(i == 0 ? "  <" : ", <");
        print_text(t->recipients[i]);
        printf(">");
    }
    putchar('\n');
    for (size_t i = 0; i < t->n_steps; i++) {
        const int64_t step_day = t->steps[i].at_ms / 86400000;
        buf_reset(&words);
        trail_step_text(&t->steps[i], t->is_part, lang, a, &words);
        printf("  %19s  ", clock_text(t->steps[i].at_ms, step_day != day, at));
        print_text(buf_view(&words));
        putchar('\n');
        day = step_day;
    }
    putchar('\n');
    buf_clear(&words);
}

int cmd_trace(struct app *app, int argc, char **argv)
{
    struct trace_query q = {0};
    struct trace *list;
    struct trail *t;
    size_t n;
    int64_t older_ms;
    int code = read_trace_args(app, argc, argv, &q);
    if (code != EXIT_DONE)
        return code;
    if (!app_config(app) || !app_become(app, APP_STORE_USER))
        return EXIT_FAILED;
    enum rc rc = trail_open(app->config->data, &t);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the log");
    rc = trace_find(t, &q, &app->arena, &list, &n, &older_ms);
    json_t *j = app->json ? json_array() : NULL;
    for (size_t i = n; rc == RC_OK && i-- > 0;) { /* the newest stands last, where a terminal is looked at */
        if (j)
            json_array_append_new(j, trace_json(&list[i], lang_environment(), &app->arena));
        else
            print_trace(&list[i], lang_environment(), &app->arena);
    }
    trail_close(t);
    if (rc == RC_SYNTAX)
        return app_fail("an id is hexadecimal: that of the queue, of a session, or SESSION.N of a Received field");
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the log");
    if (j)
        return app_print_json(j);
    if (n == 0)
        printf("no message like that is in the log\n");
    else if (older_ms > 0)
        printf("there are older ones; --limit or --since finds them\n");
    return EXIT_DONE;
}
