#include "web/metrics.h"

#include <stdlib.h>

#include "store/mailq.h"
#include "sys/board.h"

#define PREFIX "facteur_"

struct writer {
    bool open; /* OpenMetrics: the family's name is without "_total" */
    struct buf *out;
};

static void head(struct writer *w, const char *name, const char *type, const char *suffix, const char *help)
{
    const char *end = w->open ? "" : suffix;
    buf_printf(w->out, "# HELP " PREFIX "%s%s %s.\n# TYPE " PREFIX "%s%s %s\n", name, end, help, name, end, type);
}

static void write_family(struct writer *w, enum board_family f)
{
    const struct board_about *a = board_about(f);
    head(w, a->name, "counter", "_total", a->help);
    for (size_t i = 0; i < BOARD_WORDS && a->words[i]; i++)
        buf_printf(w->out, PREFIX "%s_total{%s=\"%s\"} %llu\n", a->name, a->label, a->words[i], (unsigned long long)board_get(f, i));
}

static void gauge(struct writer *w, const char *name, const char *help, uint64_t n)
{
    head(w, name, "gauge", "", help);
    buf_printf(w->out, PREFIX "%s %llu\n", name, (unsigned long long)n);
}

static void write_queue(struct writer *w, struct store *s)
{
    struct mailq_counts n;
    if (mailq_count(s, &n) != RC_OK)
        return;
    gauge(w, "queue_messages", "Messages that wait", n.messages);
    gauge(w, "queue_recipients", "Recipients that wait", n.rcpts);
    gauge(w, "queue_held_recipients", "Recipients that are held", n.held);
    gauge(w, "queue_size_bytes", "Bytes of the messages that wait", n.bytes);
}

static void write_sessions(struct writer *w)
{
    const struct board_about *a = board_about(BOARD_CONNECTIONS);
    struct board_session *list = calloc(BOARD_SESSIONS, sizeof *list);
    size_t total, n = list ? board_sessions(list, BOARD_SESSIONS, &total) : 0;
    head(w, "sessions", "gauge", "", "Connections that are open now");
    for (size_t i = 0; i < BOARD_WORDS && a->words[i]; i++) {
        size_t of_service = 0;
        for (size_t k = 0; k < n; k++)
            of_service += strcmp(list[k].service, a->words[i]) == 0;
        buf_printf(w->out, PREFIX "sessions{service=\"%s\"} %zu\n", a->words[i], of_service);
    }
    free(list);
}

static void write_processes(struct writer *w)
{
    struct board_process list[BOARD_PROCESSES];
    size_t n = board_processes(list);
    head(w, "process_start_time_seconds", "gauge", "", "When each process began, in seconds since 1970");
    for (size_t i = 0; i < n; i++)
        buf_printf(w->out, PREFIX "process_start_time_seconds{process=\"%s\"} %lld\n", list[i].name, (long long)list[i].since_s);
    head(w, "process_starts", "counter", "_total", "How often each process was started since the server began");
    for (size_t i = 0; i < n; i++)
        buf_printf(w->out, PREFIX "process_starts_total{process=\"%s\"} %u\n", list[i].name, list[i].starts);
}

void metrics_write(struct store *s, bool open_metrics, struct buf *out)
{
    struct writer w = {open_metrics, out};
    for (enum board_family f = 0; f < BOARD_FAMILIES; f++)
        write_family(&w, f);
    write_queue(&w, s);
    write_sessions(&w);
    write_processes(&w);
    head(&w, open_metrics ? "build" : "build_info", open_metrics ? "info" : "gauge", "", "Which version runs");
    buf_printf(out, PREFIX "build_info{version=\"%s\"} 1\n", FACTEUR_VERSION);
    if (open_metrics)
        buf_str(out, "# EOF\n");
}
