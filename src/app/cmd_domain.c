/* facteur domain add|remove|list|rotate-keys|mta-sts: the domains that we host, the keys that sign for them, and whether others must
 * use TLS to send to them. */
#include <stdio.h>
#include <time.h>

#include "app/commands.h"
#include "app/domain_keys.h"
#include "app/noted.h"
#include "app/target.h"
#include "base/clock.h"
#include "desk/advice.h"
#include "store/directory.h"
#include "web/people_json.h"

#define WAIT_MS      (60 * 60 * 1000) /* --wait gives up after this; the server goes on looking */
#define WAIT_STEP_MS 200
#define WAIT_POKE    50 /* steps: the server is asked to look again */

/* ", active r202611a e202611a" */
static void print_keys(const struct directory_dkim_key *keys, size_t n, struct view domain, enum dkim_key_state state)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].state != state || !view_eq(keys[i].domain, domain))
            continue;
        if (!any)
            printf("  %s:", domain_keys_state(state));
        printf(" %.*s", VIEW_FMT(keys[i].selector));
        any = true;
    }
}

static int list_domains(struct app *app)
{
    struct directory_dkim_key *keys;
    struct directory_domain *list;
    size_t n, n_keys;

    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domains_look(app->store, VIEW(""), &app->arena, &list, &n);
    if (rc != RC_OK)
        return app_fail_rc(rc, "list the domains");
    if (domain_keys_list(app, VIEW(""), &keys, &n_keys) != EXIT_DONE)
        return EXIT_FAILED;
    if (!app->json) {
        for (size_t i = 0; i < n; i++) {
            printf("%.*s", VIEW_FMT(list[i].name));
            print_keys(keys, n_keys, list[i].name, DKIM_KEY_ACTIVE);
            print_keys(keys, n_keys, list[i].name, DKIM_KEY_NEXT);
            print_keys(keys, n_keys, list[i].name, DKIM_KEY_RETIRED);
            printf("\n");
        }
        return EXIT_DONE;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, people_domain_json(&list[i], keys, n_keys));
    return app_print_json(out);
}

static int refuse_existing(struct app *app, const char *name)
{
    struct directory_dkim_key *keys;
    size_t n;

    if (domain_keys_list(app, view_str(name), &keys, &n) != EXIT_DONE)
        return EXIT_FAILED;
    if (n > 0)
        return app_fail("%s is hosted here already", name);
    return app_fail("%s is hosted here already; it has no DKIM keys: `facteur domain rotate-keys %s` makes them", name, name);
}

static int add_domain(struct app *app, const char *name)
{
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain_add(app->store, view_str(name));
    if (rc == RC_EXISTS)
        return refuse_existing(app, name);
    if (rc == RC_SYNTAX)
        return app_fail("'%s' is not a domain name", name);
    if (rc != RC_OK)
        return app_fail_rc(rc, "add the domain");
    if (domain_keys_make(app, view_str(name), DKIM_KEY_ACTIVE) != EXIT_DONE)
        return app_fail("added the domain %s without DKIM keys: `facteur domain rotate-keys %s` makes them", name, name);
    noted(app, "domain.add", name, "");
    return app_done(app, "added the domain %s; next: `facteur dns %s` (records to publish), `facteur account add NAME@%s`", name, name,
                    name);
}

static int remove_domain(struct app *app, const char *name)
{
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain_remove(app->store, view_str(name));
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is not hosted here: `facteur domain list` shows all", name);
    if (rc == RC_EXISTS)
        return app_fail("%s still has accounts or aliases: remove these first (`facteur account list %s`, `facteur alias list %s`)", name, name, name);
    if (rc != RC_OK)
        return app_fail_rc(rc, "remove the domain");
    if (domain_keys_remove(app, view_str(name)) != EXIT_DONE)
        return EXIT_FAILED;
    noted(app, "domain.remove", name, "");
    return app_done(app, "removed the domain %s", name);
}

/* --- rotation --- */

static bool has_state(const struct directory_dkim_key *keys, size_t n, enum dkim_key_state state)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].state == state)
            return true;
    return false;
}

static json_t *records_json(struct app *app, const struct directory_dkim_key *keys, size_t n, enum dkim_key_state state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *owner = domain_keys_owner(app, &keys[i]), *record = domain_keys_record(app, &keys[i]);
        if (keys[i].state == state && owner && record)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", owner, "type", "TXT", "value", record));
    }
    return list;
}

/* What there is to publish now. Lines that begin with ";" are comments of a zone file. */
static int tell_rotation(struct app *app, const char *name, const char *what, const char *words, enum dkim_key_state state)
{
    struct directory_dkim_key *keys;
    size_t n;

    if (domain_keys_list(app, view_str(name), &keys, &n) != EXIT_DONE)
        return EXIT_FAILED;
    if (app->json)
        return app_print_json(json_pack("{s:s, s:s, s:o}", "domain", name, "rotation", what, "records", records_json(app, keys, n, state)));
    printf("; %s: %s\n", name, words);
    for (size_t i = 0; i < n; i++) {
        const char *owner = domain_keys_owner(app, &keys[i]), *record = domain_keys_record(app, &keys[i]);
        if (keys[i].state == state && owner && record)
            printf("%s 3600 IN TXT %s\n", owner, record);
    }
    return fflush(stdout) == 0 ? EXIT_DONE : app_fail("cannot write to standard output");
}

static enum rc has_waiting(struct app *app, const char *name, bool *out)
{
    struct directory_dkim_key *keys;
    struct arena a;
    size_t n;

    arena_init(&a, 1 << 20);
    enum rc rc = directory_dkim_keys(app->store, view_str(name), &a, &keys, &n);
    *out = rc == RC_OK && has_state(keys, n, DKIM_KEY_NEXT);
    arena_clear(&a);
    return rc;
}

static int wait_for_switch(struct app *app, const char *name)
{
    const struct timespec step = {0, WAIT_STEP_MS * 1000000L};
    const int64_t deadline = deadline_in(WAIT_MS);
    bool waits = true;

    for (unsigned i = 1; clock_mono_ms() < deadline; i++) {
        enum rc rc = has_waiting(app, name, &waits);
        if (rc != RC_OK)
            return app_fail_rc(rc, "read the keys");
        if (!waits)
            return EXIT_DONE;
        if (i % WAIT_POKE == 0)
            app_poke(app, POKE_KEYS, 1, 0);
        nanosleep(&step, NULL);
    }
    return app_fail("the DNS does not show the new keys of %s yet; the server goes on looking", name);
}

static int rotate_now(struct app *app, const char *name, bool under_way)
{
    if (!under_way && domain_keys_make(app, view_str(name), DKIM_KEY_ACTIVE) != EXIT_DONE)
        return EXIT_FAILED;
    enum rc rc = under_way ? directory_dkim_switch(app->store, view_str(name)) : RC_OK;
    if (rc != RC_OK && rc != RC_NOTFOUND) /* the server may have been quicker */
        return app_fail_rc(rc, "switch the keys");
    noted(app, "domain.keys", name, "active");
    app_poke(app, POKE_KEYS, 0, 0);
    return tell_rotation(app, name, "switched", "signs with these keys from now on; publish them without delay:", DKIM_KEY_ACTIVE);
}

static int rotate_keys(struct app *app, const char *name, bool wait, bool now)
{
    struct directory_dkim_key *keys;
    size_t n;
    bool ours, served = true;

    if (wait && !target_has_server(app, &served))
        return EXIT_FAILED;
    if (!served)
        return app_fail("no server is running that could switch the keys of %s: start it first, or use --now", name);
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_has_domain(app->store, view_str(name), &ours);
    if (rc != RC_OK)
        return app_fail_rc(rc, "find the domain");
    if (!ours)
        return app_fail("%s is not hosted here: `facteur domain list` shows all", name);
    if (domain_keys_list(app, view_str(name), &keys, &n) != EXIT_DONE)
        return EXIT_FAILED;
    const bool under_way = has_state(keys, n, DKIM_KEY_NEXT);
    if (now)
        return rotate_now(app, name, under_way);
    if (!under_way && domain_keys_make(app, view_str(name), DKIM_KEY_NEXT) != EXIT_DONE)
        return EXIT_FAILED;
    if (!under_way)
        noted(app, "domain.keys", name, "next");
    if (under_way)
        app_poke(app, POKE_KEYS, 1, 0);
    if (!wait)
        return under_way ? tell_rotation(app, name, "under-way", "a rotation is under way, and waits for the DNS to show:", DKIM_KEY_NEXT)
                         : tell_rotation(app, name, "begun", "publish these; the server signs with them once the DNS shows both:",
                                         DKIM_KEY_NEXT);
    if (!app->json && tell_rotation(app, name, "begun", "publish these; waiting until the DNS shows both:", DKIM_KEY_NEXT) != EXIT_DONE)
        return EXIT_FAILED;
    int code = wait_for_switch(app, name);
    return code == EXIT_DONE ? tell_rotation(app, name, "switched", "signs with these keys now:", DKIM_KEY_ACTIVE) : code;
}

static int parse_rotation(struct app *app, int argc, char **argv)
{
    const char *name = NULL;
    bool wait = false, now = false;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--wait") == 0)
            wait = true;
        else if (strcmp(argv[i], "--now") == 0)
            now = true;
        else if (!name && argv[i][0] != '-')
            name = argv[i];
        else
            return app_usage(app);
    }
    return name && !(wait && now) ? rotate_keys(app, name, wait, now) : app_usage(app);
}

/* --- MTA-STS --- */

static const struct {
    const char *name;
    enum directory_sts mode;
    const char *means;
} sts_modes[] = {
    {"none", STS_NONE, "others are told to forget the policy; leave the records for a week, then remove them"},
    {"testing", STS_TESTING, "others deliver as before, and report what would fail"},
    {"enforce", STS_ENFORCE, "others deliver over verified TLS, or not at all"},
};

static int set_sts(struct app *app, const char *name, const char *mode)
{
    struct directory_domain d = {0};
    size_t i = 0;

    while (i < 3 && strcmp(sts_modes[i].name, mode) != 0)
        i++;
    if (i == 3)
        return app_usage(app);
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain(app->store, view_str(name), &app->arena, &d);
    const enum directory_sts before = d.sts_mode;
    if (rc == RC_OK)
        rc = directory_domain_set_sts(app->store, view_str(name), sts_modes[i].mode);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is not hosted here: `facteur domain list` shows all", name);
    if (rc == RC_OK)
        rc = directory_domain(app->store, view_str(name), &app->arena, &d);
    if (rc != RC_OK)
        return app_fail_rc(rc, "change the policy");
    noted_change(app, "domain.mta_sts", name, sts_modes[before].name, mode);
    app_poke(app, POKE_HEALTH, 0, 0); /* the new id is published where records publish themselves */
    if (app->json)
        return app_print_json(json_pack("{s:o, s:s, s:I}", "domain", app_json(d.name), "mode", mode, "id", (json_int_t)d.sts_changed_s));
    printf("; %.*s: %s. Publish the new id:\n", VIEW_FMT(d.name), sts_modes[i].means);
    printf("_mta-sts.%.*s. 3600 IN TXT \"v=STSv1; id=%lld;\"\n", VIEW_FMT(d.name), (long long)d.sts_changed_s);
    return EXIT_DONE;
}

/* What others reported of the last 30 days says whether the mode may be stricter. */
static int show_sts(struct app *app, const char *name)
{
    static const struct {
        const char *why, *means;
    } reasons[] = {
        {"enforce.already", "others deliver over verified TLS already"},
        {"enforce.off", "no policy is published; `facteur domain mta-sts DOMAIN testing` begins"},
        {"enforce.none", "nobody has reported yet: wait for reports, or look whether _smtp._tls is published"},
        {"enforce.few", "nothing fails, but reports of fewer than 7 days have come: wait"},
        {"enforce.failing", "sessions fail that enforce would stop: see what below, repair it, and wait for good days"},
        {"enforce.ready", "enforce is safe: nearly all sessions that others reported had the TLS that the policy wants"},
    };
    const int64_t today = clock_real_s() / LEDGER_DAY_S;
    struct ledger_tls_summary sum;
    struct directory_domain d;
    if (!app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_domain(app->store, view_str(name), &app->arena, &d);
    if (rc == RC_NOTFOUND || rc == RC_SYNTAX)
        return app_fail("%s is not hosted here: `facteur domain list` shows all", name);
    const struct ledger_span span = {d.name, today - 29, today};
    if (rc == RC_OK)
        rc = ledger_tls_summary(app->store, &span, &app->arena, &sum);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the reports");
    const struct advice_enforce e = advice_enforce(d.sts_mode, &sum);
    if (app->json)
        return app_print_json(json_pack("{s:o, s:s, s:I, s:b, s:s, s:i, s:I, s:I}", "domain", app_json(d.name), "mode", sts_modes[d.sts_mode].name, "id",
                                        (json_int_t)d.sts_changed_s, "ready", e.ready, "why", e.why, "days", (int)sum.n_days, "sessions",
                                        (json_int_t)sum.sessions, "failures", (json_int_t)sum.failures));
    printf("%.*s: %s, %llu sessions reported of %zu days, %llu failed\n", VIEW_FMT(d.name), sts_modes[d.sts_mode].name, (unsigned long long)sum.sessions,
           sum.n_days, (unsigned long long)sum.failures);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].why, e.why) == 0)
            printf("    %s\n", reasons[i].means);
    for (size_t i = 0; i < sum.n_results; i++)
        printf("    %8llu  %.*s  %.*s\n", (unsigned long long)sum.results[i].failures, VIEW_FMT(sum.results[i].name), VIEW_FMT(sum.results[i].also));
    return EXIT_DONE;
}

int cmd_domain(struct app *app, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list_domains(app);
    if (argc == 3 && strcmp(argv[1], "add") == 0)
        return add_domain(app, argv[2]);
    if (argc == 3 && strcmp(argv[1], "remove") == 0)
        return remove_domain(app, argv[2]);
    if (argc == 3 && strcmp(argv[1], "mta-sts") == 0)
        return show_sts(app, argv[2]);
    if (argc == 4 && strcmp(argv[1], "mta-sts") == 0)
        return set_sts(app, argv[2], argv[3]);
    if (argc >= 3 && strcmp(argv[1], "rotate-keys") == 0)
        return parse_rotation(app, argc, argv);
    return app_usage(app);
}
