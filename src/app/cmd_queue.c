/* facteur queue list|show|flush|hold|release|remove: mail that waits. Works on the store; a running server is told to
 * look again. */
#include <stdio.h>
#include <stdlib.h>

#include "app/commands.h"
#include "app/noted.h"
#include "app/process.h"
#include "base/clock.h"
#include "store/mailq.h"
#include "web/queue_json.h"

#define LIST_PAGE  500
#define LIST_ARENA (64u << 20)

/* Printed ids are hexadecimal, as in the log. */
static bool read_id(const char *text, uint64_t *id)
{
    char *end;
    *id = strtoull(text, &end, 16);
    return *text && is_alnum((unsigned char)*text) && !*end && *id > 0 && *id <= INT64_MAX;
}

static int no_such(const char *text)
{
    return app_fail("there is no message %s in the queue; `facteur queue list` shows all", text);
}

/* "45s", "12min", "3h", "2d" */
static const char *age_text(int64_t ms, char out[32])
{
    long long s = ms > 0 ? ms / 1000 : 0;
    if (s < 120)
        snprintf(out, 32, "%llds", s);
    else if (s < 7200)
        snprintf(out, 32, "%lldmin", s / 60);
    else if (s < 172800)
        snprintf(out, 32, "%lldh", s / 3600);
    else
        snprintf(out, 32, "%lldd", s / 86400);
    return out;
}

/* The store's texts hold what strangers sent: to a terminal goes what is printable. */
static void print_clean(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

/* One line a message, and why it waits. */
static void print_line(const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n)
{
    char age[32];
    size_t held = 0;
    const struct mailq_rcpt *told = NULL;
    for (size_t i = 0; i < n; i++) {
        held += rcpts[i].held;
        if (!told && rcpts[i].last_reply.n > 0)
            told = &rcpts[i];
    }
    printf("%-10llx %6s %10llu  <", (unsigned long long)m->id, age_text(clock_real_ms() - m->created_ms, age),
           (unsigned long long)m->size);
    print_clean(m->sender);
    printf(">  %zu recipient%s%s", n, PLURAL(n), held == 0 ? "" : held == n ? ", held" : ", some held");
    if (n > 0) {
        printf("  <");
        print_clean(rcpts[0].address);
        printf(">%s", n > 1 ? " ..." : "");
    }
    if (told) {
        printf("  ");
        print_clean(told->last_mx);
        printf("%s", told->last_mx.n > 0 ? ": " : "");
        print_clean(told->last_reply);
    }
    putchar('\n');
}

/* Each host that was asked for this recipient, and what came of it. */
static enum rc print_story(struct app *app, uint64_t message, const struct mailq_rcpt *r)
{
    struct mailq_attempt *story;
    size_t n;
    char text[QUEUE_TIME_MAX];
    enum rc rc = mailq_story(app->store, message, r, &app->arena, &story, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        const struct mailq_attempt *t = &story[i];
        printf("tried     %s ", queue_time(t->at_ms, text));
        print_clean(t->mx);
        printf("%s%.*s%s%s%.*s", t->address.n > 0 ? " [" : "", VIEW_FMT(t->address), t->address.n > 0 ? "]" : "", t->tls.n > 0 ? " " : "",
               VIEW_FMT(t->tls));
        printf("%s%.*s: ", t->mx.n > 0 ? " " : "", VIEW_FMT(t->result));
        print_clean(t->reply);
        if (t->policy.n > 0) {
            printf("\n          asked: ");
            print_clean(t->policy);
        }
        putchar('\n');
    }
    return rc;
}

static enum rc print_message(struct app *app, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n)
{
    char text[32];
    enum rc rc = RC_OK;
    printf("id        %llx\ncreated   %s\nsize      %llu\nsender    <", (unsigned long long)m->id, queue_time(m->created_ms, text),
           (unsigned long long)m->size);
    print_clean(m->sender);
    printf(">\nfrom host ");
    print_clean(m->peer);
    printf("\n");
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        const struct mailq_rcpt *r = &rcpts[i];
        printf("\nto        <");
        print_clean(r->address);
        if (r->sender.n > 0) {
            printf(">\nas        <");
            print_clean(r->sender);
        }
        printf(">\nstate     %s\n", r->held ? "held" : r->account ? "on its way into the mailbox" : "waits for its next attempt");
        printf("attempts  %u\nnext      %s\n", r->attempts, r->held ? "after `queue release`" : queue_time(r->due_ms, text));
        if (r->last_attempt_ms > 0)
            printf("last      %s\n", queue_time(r->last_attempt_ms, text));
        if (r->last_reply.n > 0) {
            printf("answer    ");
            print_clean(r->last_mx);
            printf("%s", r->last_mx.n > 0 ? ": " : "");
            print_clean(r->last_reply);
            putchar('\n');
        }
        rc = print_story(app, m->id, r);
    }
    return rc;
}

static enum rc add_json(struct app *app, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n, json_t *list)
{
    json_t *j = queue_message_json(m);
    json_array_append_new(list, j);
    return queue_add_rcpts(app->store, j, m->id, rcpts, n, false, LANG_EN, NULL, NULL);
}

/* Prints each message of a page, or adds it to *list. */
static enum rc list_page(struct app *app, const uint64_t *ids, size_t n, json_t *list)
{
    struct arena a;
    enum rc rc = RC_OK;
    arena_init(&a, LIST_ARENA);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct mailq_message m;
        struct mailq_rcpt *rcpts;
        size_t n_rcpts;
        arena_reset(&a);
        rc = mailq_message(app->store, ids[i], &a, &m);
        if (rc == RC_OK)
            rc = mailq_rcpts(app->store, ids[i], &a, &rcpts, &n_rcpts);
        if (rc == RC_NOTFOUND) { /* delivered meanwhile */
            rc = RC_OK;
            continue;
        }
        if (rc == RC_OK && list)
            rc = add_json(app, &m, rcpts, n_rcpts, list);
        else if (rc == RC_OK)
            print_line(&m, rcpts, n_rcpts);
    }
    arena_clear(&a);
    return rc;
}

static int list_queue(struct app *app)
{
    uint64_t after = 0;
    bool any = false;
    if (!app_store(app))
        return EXIT_FAILED;
    json_t *list = app->json ? json_array() : NULL;
    for (;;) {
        uint64_t *ids;
        size_t n;
        arena_reset(&app->arena);
        enum rc rc = mailq_list(app->store, after, LIST_PAGE, &app->arena, &ids, &n);
        if (rc == RC_OK)
            rc = list_page(app, ids, n, list);
        if (rc != RC_OK) {
            json_decref(list);
            return app_fail_rc(rc, "list the queue");
        }
        if (n == 0)
            break;
        any = true;
        after = ids[n - 1];
    }
    if (list)
        return app_print_json(list);
    if (!any)
        printf("the queue is empty\n");
    return EXIT_DONE;
}

static int show_message(struct app *app, const char *text)
{
    struct mailq_message m;
    struct mailq_rcpt *rcpts;
    uint64_t id;
    size_t n;
    if (!read_id(text, &id))
        return no_such(text);
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = mailq_message(app->store, id, &app->arena, &m);
    if (rc == RC_OK)
        rc = mailq_rcpts(app->store, id, &app->arena, &rcpts, &n);
    if (rc == RC_NOTFOUND)
        return no_such(text);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the queue");
    if (app->json) {
        json_t *j = queue_message_json(&m);
        rc = queue_add_rcpts(app->store, j, m.id, rcpts, n, true, LANG_EN, NULL, NULL);
        if (rc == RC_OK)
            return app_print_json(j);
        json_decref(j);
    } else {
        rc = print_message(app, &m, rcpts, n);
    }
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "read the queue");
}

/* Into the kept log alone, where `facteur trace` finds who did it. */
static void note_change(struct app *app, const char *event, uint64_t id, const char *about, uint64_t n)
{
    struct users users;
    users_find(app->config, &users);
    const struct logfile_settings log = process_logfile(app->config, &users);
    logfile_follow(&log);
    log_show(false);
    log_info(event, F_ID("id", id), F_CSTR("about", about ? about : ""), F_CSTR("by", "a command"), F_INT("rcpts", n));
    log_show(true);
    log_keep(-1);
}

/* Whose message, before it changes: "anne@ici.test -> bert@labas.test (+1)". */
static const char *whose(struct app *app, uint64_t id)
{
    struct mailq_message m;
    struct mailq_rcpt *rcpts;
    char more[32] = "";
    size_t n;
    if (mailq_message(app->store, id, &app->arena, &m) != RC_OK || mailq_rcpts(app->store, id, &app->arena, &rcpts, &n) != RC_OK || n == 0)
        return "";
    if (n > 1)
        snprintf(more, sizeof more, " (+%zu)", n - 1);
    const char *text = arena_printf(&app->arena, "<%.*s> -> <%.*s>%s", VIEW_FMT(m.sender), VIEW_FMT(rcpts[0].address), more);
    return text ? text : "";
}

static int finish_change(struct app *app, enum rc rc, const char *event, const char *done, uint64_t id, uint64_t n, const char *what, const char *about,
                         const char *detail)
{
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return app_fail_rc(rc, "change the queue");
    if ((rc == RC_NOTFOUND || n == 0) && id)
        return no_such(about);
    note_change(app, event, id, about, n);
    noted(app, done, about ? about : "", detail);
    app_poke(app, POKE_QUEUE, 0, 0);
    if (app->json)
        return app_print_json(json_pack("{s:I}", "recipients", (json_int_t)n));
    printf("%llu recipient%s %s\n", (unsigned long long)n, PLURAL(n), what);
    return EXIT_DONE;
}

/* Without a name everything, else one message or all mail for a domain. */
static int flush_queue(struct app *app, const char *about)
{
    uint64_t id = 0, n = 0;
    bool is_domain = about && strchr(about, '.');
    if (about && !is_domain && !read_id(about, &id))
        return no_such(about);
    if (!app_store(app))
        return EXIT_FAILED;
    struct mailq_message m;
    const char *detail = id ? whose(app, id) : "";
    enum rc rc = mailq_flush(app->store, id, view_str(is_domain ? about : ""), &n);
    if (id && rc == RC_OK && n == 0 && mailq_message(app->store, id, &app->arena, &m) == RC_OK)
        return app_fail("message %s is held, or under way already; `facteur queue release %s` lets go of what is held", about, about);
    return finish_change(app, rc, "queue.flushed", id ? "queue.retry" : "queue.flush", id, n, n == 1 ? "is tried now" : "are tried now", about, detail);
}

static int change_message(struct app *app, const char *verb, const char *text)
{
    uint64_t id, n = 0;
    enum rc rc;
    if (!read_id(text, &id))
        return no_such(text);
    if (!app_store(app))
        return EXIT_FAILED;
    const char *detail = whose(app, id);
    if (strcmp(verb, "remove") == 0) {
        rc = mailq_remove(app->store, id, &n);
        return finish_change(app, rc, "queue.removed", "queue.remove", id, n, "removed", text, detail);
    }
    bool hold = strcmp(verb, "hold") == 0;
    rc = mailq_hold(app->store, id, hold, &n);
    return finish_change(app, rc, hold ? "queue.held" : "queue.released", hold ? "queue.hold" : "queue.release", id, n, hold ? "held" : "released", text, detail);
}

int cmd_queue(struct app *app, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list_queue(app);
    if (argc == 3 && strcmp(argv[1], "show") == 0)
        return show_message(app, argv[2]);
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "flush") == 0)
        return flush_queue(app, argc == 3 ? argv[2] : NULL);
    if (argc == 3 && (strcmp(argv[1], "hold") == 0 || strcmp(argv[1], "release") == 0 || strcmp(argv[1], "remove") == 0))
        return change_message(app, argv[1], argv[2]);
    return app_usage(app);
}
