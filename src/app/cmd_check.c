/* facteur check: judges messages as the door would (policy/judge): one with every step and its reason, many in a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/check_show.h"
#include "app/commands.h"
#include "app/judge_settings.h"
#include "app/mbox.h"
#include "app/paths.h"
#include "app/progress.h"
#include "app/resolver.h"
#include "message/header.h"
#include "sys/thread.h"

#define CHECK_MESSAGE_MAX (1u << 30)
#define CHECK_THREADS_MAX 256
#define CHECK_WAITING     16         /* threads beyond the processors: those that wait for the DNS */
#define CHECK_AHEAD_MAX   1000       /* messages judged before an earlier one is printed */

struct check {
    struct app *app;
    struct dns *dns;
    struct judge_settings set;
    struct psl_list *psl;
    struct judge_facts facts;
    struct paths paths;
};

/* --- messages --- */

/* With line ends as they are on the wire. */
static enum rc read_message(const char *path, struct buf *out)
{
    struct buf raw;
    buf_init(&raw, CHECK_MESSAGE_MAX);
    enum rc rc = path_read(path, CHECK_MESSAGE_MAX, &raw);
    if (rc == RC_OK)
        mbox_to_crlf(buf_view(&raw), out);
    buf_clear(&raw);
    return rc != RC_OK ? rc : buf_rc(out);
}

static enum rc judge_message(const struct check *c, struct view message, struct arena *a, struct judgement *out)
{
    struct judge *j;
    enum rc rc = judge_new(&c->set, c->dns, &c->facts, a, &j);
    if (rc == RC_OK)
        rc = judge_header(j, header_of(message));
    if (rc == RC_OK) {
        judge_body(j, header_body(message));
        rc = judge_finish(j, out);
    }
    judge_free(j);
    return rc;
}

static int tell_trouble(const char *path, enum rc rc)
{
    if (rc == RC_NOTFOUND || rc == RC_DENIED)
        return app_fail("%s: %s", path, rc == RC_NOTFOUND ? "no such file" : "not allowed");
    return app_fail("%s: cannot judge it: %s", path, rc == RC_LIMIT ? "it is too large" : "out of memory, or the file cannot be read");
}

static int check_one(struct check *c, const char *path)
{
    struct buf message;
    struct judgement v;
    struct arena a;
    int code = EXIT_DONE;
    arena_init(&a, JUDGE_MEMORY);
    buf_init(&message, CHECK_MESSAGE_MAX);
    enum rc rc = read_message(path, &message);
    if (rc == RC_OK)
        rc = judge_message(c, buf_view(&message), &a, &v);
    if (rc != RC_OK)
        code = tell_trouble(path, rc);
    else if (c->app->json)
        code = app_print_json(check_json(&c->set, &v));
    else
        check_print(&v);
    buf_clear(&message);
    arena_clear(&a);
    return code;
}

/* --- many messages --- */

struct crowd {
    const struct check *check;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t moved;
    const struct path *next;
    size_t taken, printed;
    struct line {
        bool is_done;
        enum rc rc;
        struct buf text;
    } ahead[CHECK_AHEAD_MAX]; /* of message i at i % CHECK_AHEAD_MAX */
};

static enum rc put_json(const struct check *c, const char *path, const struct judgement *v, struct buf *out)
{
    json_t *j = check_json(&c->set, v), *name = app_json(view_str(path));
    if (j && name)
        json_object_set(j, "file", name);
    char *text = j && name ? json_dumps(j, JSON_COMPACT) : NULL;
    buf_str(out, text);
    buf_chr(out, '\n');
    json_decref(j);
    json_decref(name);
    enum rc rc = text ? buf_rc(out) : RC_TEMP;
    free(text);
    return rc;
}

static enum rc judge_file(const struct check *c, const char *path, struct arena *a, struct buf *message, struct buf *out)
{
    struct judgement v;
    buf_reset(message);
    enum rc rc = read_message(path, message);
    if (rc == RC_OK)
        rc = judge_message(c, buf_view(message), a, &v);
    if (rc != RC_OK)
        return rc;
    if (c->app->json)
        return put_json(c, path, &v, out);
    check_line(path, &v, out);
    return buf_rc(out);
}

static void work(void *arg)
{
    struct crowd *w = arg;
    struct arena a;
    struct buf message, text;
    buf_init(&message, CHECK_MESSAGE_MAX);
    arena_init(&a, JUDGE_MEMORY);
    pthread_mutex_lock(&w->lock);
    while (w->next) {
        if (w->taken >= w->printed + CHECK_AHEAD_MAX) {
            pthread_cond_wait(&w->moved, &w->lock);
            continue;
        }
        const struct path *p = w->next;
        struct line *line = &w->ahead[w->taken++ % CHECK_AHEAD_MAX];
        w->next = p->next;
        pthread_mutex_unlock(&w->lock);
        buf_init(&text, 1u << 22);
        enum rc rc = judge_file(w->check, p->name, &a, &message, &text);
        arena_reset(&a);
        pthread_mutex_lock(&w->lock);
        *line = (struct line){true, rc, text};
        pthread_cond_broadcast(&w->moved);
    }
    pthread_mutex_unlock(&w->lock);
    arena_clear(&a);
    buf_clear(&message);
}

/* In the order in which they were asked for. */
static int print_lines(struct crowd *w, struct progress *progress)
{
    int code = EXIT_DONE;
    pthread_mutex_lock(&w->lock);
    for (const struct path *p = w->check->paths.first; p; p = p->next) {
        struct line *line = &w->ahead[w->printed % CHECK_AHEAD_MAX];
        while (!line->is_done)
            pthread_cond_wait(&w->moved, &w->lock);
        struct line one = *line;
        *line = (struct line){0};
        w->printed++;
        pthread_cond_broadcast(&w->moved);
        pthread_mutex_unlock(&w->lock);
        if (one.rc != RC_OK)
            code = tell_trouble(p->name, one.rc);
        else if (fwrite(one.text.p, 1, one.text.n, stdout) != one.text.n)
            code = EXIT_FAILED;
        buf_clear(&one.text);
        progress_tell(progress, w->printed, w->check->paths.n);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return fflush(stdout) == 0 ? code : EXIT_FAILED;
}

static int check_many(struct check *c)
{
    struct crowd *w = arena_new(&c->paths.arena, struct crowd);
    pthread_t threads[CHECK_THREADS_MAX];
    struct progress progress;
    size_t n_threads = 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t start_ms = clock_mono_ms();

    if (!w)
        return app_fail("out of memory");
    w->check = c;
    w->next = c->paths.first;
    pthread_mutex_init(&w->lock, NULL);
    thread_cond_init(&w->moved);
    while (n_threads < CHECK_THREADS_MAX && (long)n_threads < cpus + CHECK_WAITING && n_threads < c->paths.n)
        if (thread_start("check", work, w, &threads[n_threads]) != RC_OK)
            break;
        else
            n_threads++;
    if (n_threads == 0 && c->paths.n > 0)
        return app_fail("cannot start a thread");
    progress_begin(&progress, "judging");
    int code = print_lines(w, &progress);
    progress_end(&progress);
    for (size_t i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&w->moved);
    pthread_mutex_destroy(&w->lock);
    const double seconds = (double)(clock_mono_ms() - start_ms) / 1000;
    fprintf(stderr, "%zu message%s in %.2f s: %.0f a second\n", c->paths.n, PLURAL(c->paths.n), seconds, seconds > 0 ? (double)c->paths.n / seconds : 0);
    return code;
}

/* --- settings --- */

/* Without a configuration nobody is trusted. */
static bool open_check(struct check *c)
{
    struct app *app = c->app;
    const struct config *f;
    if (!app_config_if_any(app, &f))
        return false;
    if (psl_list_open(NULL, &c->psl) != RC_OK)
        c->psl = NULL; /* then nothing is compared */
    const enum dmarc_method method = c->set.method;
    c->set = f ? judge_settings_of(f, c->psl)
               : (struct judge_settings){.authserv_id = "localhost", .psl = c->psl, .enforce = true, .arc = true};
    if (method == DMARC_PSL)
        c->set.method = method;
    c->set.compare = true;
    return (c->dns = app_resolver(app)) != NULL;
}

int cmd_check(struct app *app, int argc, char **argv)
{
    struct check c = {.app = app, .facts.now_s = clock_real_s()};
    int code = EXIT_FAILED;

    paths_init(&c.paths);
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--ip") == 0 && has_value) {
            if (addr_parse_ip(view_str(argv[++i]), 0, &c.facts.ip) != RC_OK) {
                app_fail("%s is not an IP address", argv[i]);
                goto done;
            }
        } else if (strcmp(argv[i], "--helo") == 0 && has_value) {
            c.facts.helo = view_str(argv[++i]);
        } else if (strcmp(argv[i], "--mail-from") == 0 && has_value) {
            c.facts.mail_from = view_str(argv[++i]);
        } else if (strcmp(argv[i], "--psl") == 0) {
            c.set.method = DMARC_PSL;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            code = app_usage(app);
            goto done;
        } else if (!paths_add(&c.paths, argv[i])) {
            goto done;
        }
    }
    if (view_starts(c.facts.mail_from, VIEW("<")) && view_ends(c.facts.mail_from, VIEW(">"))) /* as it stands in MAIL */
        c.facts.mail_from = view_slice(c.facts.mail_from, 1, c.facts.mail_from.n - 2);
    if (c.paths.n == 0 && !c.paths.is_list)
        code = app_usage(app);
    else if (open_check(&c))
        code = c.paths.is_list ? check_many(&c) : check_one(&c, c.paths.first->name);
done:
    dns_free(c.dns);
    psl_list_free(c.psl);
    paths_clear(&c.paths);
    return code;
}
