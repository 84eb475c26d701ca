/* facteur report list|send|show: the DMARC and TLS reports that we owe. `list` looks at the store and asks the DNS as the server would; `send`
 * leaves the work to a running server, whose memory has the last messages and whose vault signs. */
#include <stdio.h>
#include <time.h>

#include "app/commands.h"
#include "app/reporting.h"
#include "app/resolver.h"
#include "app/target.h"
#include "base/clock.h"
#include "report/tls.h"
#include "store/tlsrpt.h"

#define LIST_PAGE   100
#define LIST_ARENA  (64u << 20)
#define LIST_OPEN_MAX    1000 /* domains whose TLS is still counted */
#define SEND_WAIT_MS 60000
#define SEND_LOOK_MS 50

static const char *time_text(int64_t s, char out[32])
{
    time_t t = (time_t)s;
    struct tm tm;
    out[0] = '\0';
    if (s > 0 && gmtime_r(&t, &tm))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

/* "2026-11-22"; not after today. */
static bool read_day(const char *text, int64_t *day_s)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (!end || *end || strlen(text) != 10)
        return false;
    const int day = tm.tm_mday;
    time_t t = timegm(&tm); /* makes a 31st of February one of March */
    *day_s = t;
    return t > 0 && t <= clock_real_s() && tm.tm_mday == day;
}

static const char *state_of(const struct seen_report *r)
{
    if (r->finished_s > 0)
        return view_starts(r->note, VIEW("sent")) ? "sent" : "not sent";
    return r->end_s == 0 ? "collecting" : "waiting";
}

static json_t *report_json(const struct seen_report *r)
{
    char begin[32], end[32], due[32];
    json_t *j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:o}", "kind", r->kind == SEEN_TLS ? "tls" : "dmarc", "domain", app_json(r->domain),
                          "state", state_of(r), "begin", time_text(r->begin_s, begin), "end", time_text(r->end_s, end), "due",
                          r->finished_s > 0 ? "" : time_text(r->due_s, due), "note", app_json(r->note));
    json_t *counts = r->kind == SEEN_TLS
                         ? json_pack("{s:I, s:I}", "sessions", (json_int_t)r->messages, "failures", (json_int_t)r->bad)
                         : json_pack("{s:I, s:I, s:I, s:I}", "messages", (json_int_t)r->messages, "spam", (json_int_t)r->bad, "rows",
                                     (json_int_t)r->rows, "dropped", (json_int_t)r->dropped);
    json_object_update(j, counts);
    json_decref(counts);
    return j;
}

/* --- list --- */

struct lister {
    struct app *app;
    struct dns *dns;
    struct report_settings set;
    json_t *list;
    struct arena arena; /* of one report */
    size_t n;
};

static const char *entry_why(const struct plan_entry *e)
{
    return e->why && e->why[0] ? e->why : e->to.why;
}

static void add_entry_json(json_t *list, const struct plan_entry *e)
{
    json_array_append_new(list, json_pack("{s:o, s:o, s:b, s:b, s:b, s:b, s:s}", "uri", app_json(e->to.uri), "address",
                                          app_json(e->to.address), "external", (int)e->to.external, "authorised",
                                          (int)(e->to.state == DESTINATION_OK), "paused", (int)e->paused, "goes", (int)e->go, "reason",
                                          e->go ? "" : entry_why(e)));
}

static void print_report(const struct seen_report *r)
{
    char begin[32], due[32];
    printf("%.*s  %.10s  ", VIEW_FMT(r->domain), time_text(r->begin_s, begin));
    if (r->kind == SEEN_TLS)
        printf("TLS of %llu session%s, %llu failed  %s", (unsigned long long)r->messages, PLURAL(r->messages), (unsigned long long)r->bad,
               state_of(r));
    else
        printf("%llu message%s in %llu row%s  %s", (unsigned long long)r->messages, PLURAL(r->messages), (unsigned long long)r->rows,
               PLURAL(r->rows), state_of(r));
    if (r->finished_s == 0)
        printf(", goes %s", time_text(r->due_s, due));
    if (r->note.n > 0)
        printf(" (%.*s)", VIEW_FMT(r->note));
    putchar('\n');
}

static void print_plan(const struct plan *p)
{
    if (p->why)
        printf("    %s: %s\n", p->later ? "waits" : "goes to nobody", p->why);
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_entry *e = &p->entries[i];
        printf("    %s %.*s%s%s%s\n", e->go ? "to    " : e->later ? "later " : "not to", VIEW_FMT(e->to.address.n > 0 ? e->to.address : e->to.uri),
               e->to.external ? " (external)" : "", e->go ? "" : ": ", e->go ? "" : entry_why(e));
    }
}

static enum rc list_one(struct lister *l, const struct seen_report *r)
{
    struct plan plan = {0};
    arena_reset(&l->arena);
    enum rc rc = r->finished_s > 0 ? RC_OK : plan_make(l->app->store, l->dns, &l->set, r, &l->arena, &plan);
    if (rc == RC_SYNTAX) {
        plan.why = "its policy cannot be read";
        rc = RC_OK;
    }
    if (rc != RC_OK || plan.unwanted)
        return rc;
    l->n++;
    if (!l->list) {
        print_report(r);
        print_plan(&plan);
        return RC_OK;
    }
    json_t *j = report_json(r), *entries = json_array();
    for (size_t i = 0; i < plan.n; i++)
        add_entry_json(entries, &plan.entries[i]);
    json_object_set_new(j, "destinations", entries);
    json_object_set_new(j, "reason", json_string(plan.why ? plan.why : ""));
    json_array_append_new(l->list, j);
    return RC_OK;
}

static enum rc list_all(struct lister *l)
{
    struct arena a;
    uint64_t after = 0;
    enum rc rc = RC_OK;
    arena_init(&a, LIST_ARENA);
    for (size_t n = LIST_PAGE; n == LIST_PAGE && rc == RC_OK;) {
        struct seen_report *reports;
        arena_reset(&a);
        rc = seen_reports(l->app->store, after, LIST_PAGE, &a, &reports, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            rc = list_one(l, &reports[i]);
            after = reports[i].id;
        }
    }
    arena_clear(&a);
    return rc;
}

/* What deliveries counted for reports that are not made yet. What the server has in memory is written every few seconds. */
static enum rc list_open(struct lister *l)
{
    struct arena a;
    struct tlsrpt_open *open;
    size_t n = 0;
    arena_init(&a, LIST_ARENA);
    enum rc rc = tlsrpt_open(l->app->store, 0, clock_real_s() / SEEN_DAY_S, LIST_OPEN_MAX, &a, &open, &n);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        tls_prefetch(l->dns, open[i].domain);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        const int64_t day_s = open[i].day * SEEN_DAY_S;
        const struct seen_report r = {.kind = SEEN_TLS, .domain = open[i].domain, .begin_s = day_s, .bad = open[i].failures,
                                      .messages = open[i].successes + open[i].failures, .note = VIEW(""),
                                      .due_s = plan_due(view_str(l->set.hostname), open[i].domain, day_s)};
        rc = list_one(l, &r);
    }
    arena_clear(&a);
    return rc;
}

static int list_reports(struct app *app)
{
    struct lister l = {.app = app};
    struct psl_list *psl = NULL;
    if (!app_store(app) || !(l.dns = app_resolver(app)))
        return EXIT_FAILED;
    if (app->config->authentication.organizational_domain == DMARC_PSL && psl_list_open(NULL, &psl) != RC_OK)
        psl = NULL; /* the server says so in its log, and walks the tree, too */
    l.set = reporting_settings(app->config, psl);
    l.list = app->json ? json_array() : NULL;
    arena_init(&l.arena, LIST_ARENA);
    enum rc rc = list_all(&l);
    if (rc == RC_OK && l.set.tls)
        rc = list_open(&l);
    arena_clear(&l.arena);
    dns_free(l.dns);
    psl_list_free(psl);
    if (rc != RC_OK) {
        json_decref(l.list);
        return app_fail_rc(rc, "list the reports");
    }
    if (l.list)
        return app_print_json(l.list);
    if (l.n == 0)
        printf("no reports are owed\n");
    return EXIT_DONE;
}

/* --- send --- */

/* False: the server did not answer in time. */
static enum rc wait_for_answer(struct app *app, uint64_t number, bool *done)
{
    const struct timespec step = {.tv_nsec = SEND_LOOK_MS * 1000000};
    const int64_t until = deadline_in(SEND_WAIT_MS);
    uint64_t asked, answered = 0;
    int64_t day_s;
    enum rc rc = RC_OK;
    while (rc == RC_OK && answered < number && clock_mono_ms() < until) {
        rc = seen_asked(app->store, &asked, &day_s, &answered);
        if (answered < number)
            nanosleep(&step, NULL);
    }
    *done = answered >= number;
    return rc;
}

/* What became of that day's. */
static enum rc tell(struct app *app, int64_t day_s, json_t *list, size_t *n_told)
{
    struct arena a;
    uint64_t after = 0;
    enum rc rc = RC_OK;
    *n_told = 0;
    arena_init(&a, LIST_ARENA);
    for (size_t n = LIST_PAGE; n == LIST_PAGE && rc == RC_OK;) {
        struct seen_report *r;
        arena_reset(&a);
        rc = seen_reports(app->store, after, LIST_PAGE, &a, &r, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            after = r[i].id;
            if (r[i].begin_s - r[i].begin_s % SEEN_DAY_S != day_s || r[i].end_s == 0)
                continue;
            ++*n_told;
            if (list)
                json_array_append_new(list, report_json(&r[i]));
            else
                print_report(&r[i]);
        }
    }
    arena_clear(&a);
    return rc;
}

static int send_reports(struct app *app, int64_t day_s)
{
    uint64_t number = 0, sealed = 0;
    size_t n = 0;
    bool done = false, served;
    enum rc rc;
    if (!target_has_server(app, &served) || !app_store(app))
        return EXIT_FAILED;
    if (!served) { /* what it had in memory is written: it ended */
        const struct report_settings set = reporting_settings(app->config, NULL);
        rc = seen_seal(app->store, day_s, clock_real_s(), &sealed);
        if (rc == RC_OK && set.tls)
            rc = tls_seal(app->store, &set, day_s, clock_real_s());
        return rc == RC_OK ? app_done(app, "the server is not running: %llu report%s when it does", (unsigned long long)sealed,
                                      sealed == 1 ? " goes" : "s go")
                           : app_fail_rc(rc, "close the day");
    }
    rc = seen_ask(app->store, day_s, &number);
    if (rc == RC_OK) {
        app_poke(app, POKE_REPORTS, 0, 0);
        rc = wait_for_answer(app, number, &done);
    }
    if (rc != RC_OK)
        return app_fail_rc(rc, "ask for reports");
    json_t *list = app->json ? json_array() : NULL;
    rc = tell(app, day_s, list, &n);
    if (rc != RC_OK || !done) {
        json_decref(list);
        return rc != RC_OK ? app_fail_rc(rc, "list the reports")
                           : app_fail("the server is still busy with them; `facteur report list` shows how far it is");
    }
    if (list)
        return app_print_json(list);
    if (n == 0)
        printf("no reports are owed for that day\n");
    return EXIT_DONE;
}

int cmd_report(struct app *app, int argc, char **argv)
{
    int64_t day_s = clock_real_s() - clock_real_s() % SEEN_DAY_S;
    if (argc >= 2 && strcmp(argv[1], "show") == 0)
        return cmd_report_show(app, argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list_reports(app);
    if (argc < 2 || strcmp(argv[1], "send") != 0)
        return app_usage(app);
    if (argc == 4 && strcmp(argv[2], "--day") == 0) {
        if (!read_day(argv[3], &day_s))
            return app_fail("%s is not a day such as 2026-11-22, up to today", argv[3]);
    } else if (argc != 2) {
        return app_usage(app);
    }
    return send_reports(app, day_s);
}
