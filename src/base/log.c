#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int least = LOG_INFO; /* a reload may change it while others log */
static const char *process = "facteur";
static _Atomic int kept = -1;
static _Atomic int shown = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

void log_keep(int fd)
{
    atomic_store_explicit(&kept, fd, memory_order_release);
}

void log_show(bool to_stderr)
{
    atomic_store_explicit(&shown, to_stderr ? STDERR_FILENO : -1, memory_order_relaxed);
}

void log_set_process(const char *name)
{
    process = name;
}

struct line {
    char text[LOG_LINE_MAX];
    size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
    size_t room = sizeof l->text - 4 - l->n; /* "...\n" */
    if (n > room)
        n = room;
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static bool is_plain(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return v.n > 0;
}

/* Bytes of UTF-8 text stay; controls, quotes and backslashes are escaped. */
static void put_text(struct line *l, struct view v)
{
    if (is_plain(v)) {
        put(l, v.p, v.n);
        return;
    }
    put(l, "\"", 1);
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        char esc[5];
        if (c < 0x20 || c == 0x7f) {
            snprintf(esc, sizeof esc, "\\x%02x", c);
            put(l, esc, 4);
        } else if (c == '"' || c == '\\') {
            esc[0] = '\\';
            esc[1] = (char)c;
            put(l, esc, 2);
        } else {
            put(l, v.p + i, 1);
        }
    }
    put(l, "\"", 1);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load_explicit(&least, memory_order_relaxed))
        return;
    struct line l = {.n = 0};
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    l.n = strftime(l.text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(l.text + l.n, 128, ".%03ldZ %s %s %s", now.tv_nsec / 1000000, names[level], process, event);
    l.n += n > 0 && n < 128 ? (size_t)n : 0;
    for (const struct log_field *f = fields; f->name; f++) {
        char number[24];
        put(&l, " ", 1);
        put(&l, f->name, strlen(f->name));
        put(&l, "=", 1);
        if (f->kind == LOG_TEXT) {
            put_text(&l, f->text);
        } else {
            n = snprintf(number, sizeof number, f->kind == LOG_HEX ? "%llx" : "%lld", f->number);
            put(&l, number, (size_t)n);
        }
    }
    if (l.n >= sizeof l.text - 4) {
        memcpy(l.text + l.n, "...", 3);
        l.n += 3;
    }
    l.text[l.n++] = '\n';
    /* A log that cannot be written has nobody left to tell. */
    const int fds[] = {atomic_load_explicit(&shown, memory_order_relaxed), atomic_load_explicit(&kept, memory_order_acquire)};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0 && write(fds[i], l.text, l.n) < 0)
            continue;
}
