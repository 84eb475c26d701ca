/* facteur doctor [DOMAIN]: looks at a domain from outside, as a suspicious peer would, and says what is wrong and how to mend it. */
#include <stdio.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/domain_keys.h"
#include "app/resolver.h"
#include "fetch/fetch.h"
#include "health/health.h"
#include "mailauth/dkim_key.h"
#include "store/directory.h"
#include "sys/file.h"

#define DOCTOR_MS 120000 /* for one domain */
#define TRUST_MAX (4u << 20)
#define HTTPS_PORT 443

static void tell_progress(void *ctx, const char *what, struct view about)
{
    const struct app *app = ctx;
    if (!app->json && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s %.*s ...", what, VIEW_FMT(about));
}

static void end_progress(const struct app *app)
{
    if (!app->json && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* --- what is shown --- */

static const char *const signs[] = {"ok  ", "note", "WARN", "BAD ", "?   "};

static void print_wrapped(const char *lead, struct view text)
{
    printf("%s%.*s\n", lead, VIEW_FMT(text));
}

static void print_spf_tree(const struct health *h)
{
    for (const struct spf_node *n = h->spf.nodes; n; n = n->next)
        printf("            %*s%.*s%s\n", (int)n->depth * 2, "", VIEW_FMT(n->term), n->is_lookup ? "   (1 look-up)" : "");
}

static void print_points(const struct health *h)
{
    const char *area = "";
    printf("%.*s\n", VIEW_FMT(h->domain));
    for (const struct health_point *p = h->points; p; p = p->next) {
        if (strcmp(area, p->area) != 0)
            printf("  %s\n", p->area);
        area = p->area;
        printf("    %s  ", signs[p->mark]);
        if (p->subject.n > 0 && !view_eq(p->subject, h->domain))
            printf("%.*s: ", VIEW_FMT(p->subject));
        print_wrapped("", p->text);
        if (strcmp(p->id, "spf.record") == 0 && p->mark == HEALTH_GOOD)
            print_spf_tree(h);
        if (p->repair.n > 0)
            print_wrapped("          -> ", p->repair);
    }
    printf("  %u good, %u to note, %u warnings, %u bad", h->n[HEALTH_GOOD], h->n[HEALTH_NOTE], h->n[HEALTH_WARN], h->n[HEALTH_BAD]);
    if (h->n[HEALTH_UNKNOWN] > 0)
        printf(", %u could not be told", h->n[HEALTH_UNKNOWN]);
    printf("\n");
}

static json_t *health_json(const struct health *h)
{
    json_t *points = json_array(), *tree = json_array();
    for (const struct health_point *p = h->points; p; p = p->next)
        json_array_append_new(points, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "id", p->id, "area", p->area, "mark",
                                                health_mark_name(p->mark), "subject", p->subject.n > 0 ? app_json(p->subject) : json_null(),
                                                "text", app_json(p->text), "repair",
                                                p->repair.n > 0 ? app_json(p->repair) : json_null()));
    for (const struct spf_node *n = h->spf.nodes; n; n = n->next)
        json_array_append_new(tree, json_pack("{s:i, s:o, s:o, s:b, s:o}", "depth", (int)n->depth, "domain", app_json(n->domain), "term",
                                              app_json(n->term), "lookup", (int)n->is_lookup, "problem",
                                              n->problem.n > 0 ? app_json(n->problem) : json_null()));
    return json_pack("{s:o, s:o, s:{s:i, s:o}}", "domain", app_json(h->domain), "points", points, "spf", "lookups", (int)h->spf.lookups,
                     "tree", tree);
}

/* --- what is known of our own domains --- */

static bool is_ours(struct app *app, struct view domain)
{
    bool ours = false;
    return app->store && directory_has_domain(app->store, domain, &ours) == RC_OK && ours;
}

/* The keys that sign now: the DNS has to show them just so. */
static bool own_selectors(struct app *app, struct view domain, struct health_settings *set)
{
    struct directory_dkim_key *keys;
    size_t n;
    if (domain_keys_list(app, domain, &keys, &n) != EXIT_DONE)
        return false;
    struct health_selector *own = arena_new_array(&app->arena, n, struct health_selector);
    set->n_selectors = 0;
    for (size_t i = 0; own && i < n; i++) {
        struct buf record;
        if (keys[i].state != DKIM_KEY_ACTIVE)
            continue;
        buf_init(&record, 4096);
        dkim_key_write((enum pkey_kind)keys[i].algorithm, keys[i].public_key, &record);
        struct health_selector *s = &own[set->n_selectors++];
        s->selector = keys[i].selector;
        if (buf_rc(&record) != RC_OK || view_dup(&app->arena, buf_view(&record), &s->record) != RC_OK)
            own = NULL;
        buf_clear(&record);
    }
    set->selectors = own;
    return own || app_fail("out of memory") == EXIT_DONE;
}

static struct tls_client *open_trust(const struct config *c)
{
    struct tls_client *trust = NULL;
    struct buf pem;
    const char *why;
    buf_init(&pem, TRUST_MAX);
    for (size_t i = 0; c && i < c->tls.trust.n; i++)
        if (file_read(c->tls.trust.v[i], TRUST_MAX, &pem) != RC_OK)
            fprintf(stderr, "facteur: %s cannot be read; its authorities are unknown\n", c->tls.trust.v[i]);
    buf_chr(&pem, '\0');
    if (buf_rc(&pem) != RC_OK || tls_client_new(pem.n > 1 ? pem.p : NULL, &trust, &why) != RC_OK)
        fprintf(stderr, "facteur: the authorities cannot be read: certificates are not judged\n");
    buf_clear(&pem);
    return trust;
}

static int look(struct app *app, struct health_settings *set, struct view domain, json_t *list)
{
    struct health h;
    set->ours = is_ours(app, domain);
    set->n_selectors = 0;
    if (set->ours && !own_selectors(app, domain, set))
        return EXIT_FAILED;
    enum rc rc = health_look(set, domain, deadline_in(DOCTOR_MS), &app->arena, &h);
    end_progress(app);
    if (rc == RC_SYNTAX)
        return app_fail("'%.*s' is not a domain name", VIEW_FMT(domain));
    if (rc != RC_OK)
        return app_fail_rc(rc, "look at the domain");
    if (list)
        json_array_append_new(list, health_json(&h));
    else
        print_points(&h);
    return h.n[HEALTH_BAD] > 0 ? EXIT_FAILED : EXIT_DONE;
}

int cmd_doctor(struct app *app, int argc, char **argv)
{
    const struct config *c;
    struct view one = {0}, *domains = &one;
    size_t n = 1;
    int code = EXIT_DONE;

    if (argc > 2)
        return app_usage(app);
    if (!app_config_if_any(app, &c) || (c && !app_store(app)))
        return EXIT_FAILED;
    if (argc == 2) {
        one = view_str(argv[1]);
    } else if (!c) {
        return app_fail("which domain? There is no configuration that lists ours");
    } else {
        enum rc rc = directory_domains(app->store, &app->arena, &domains, &n);
        if (rc != RC_OK)
            return app_fail_rc(rc, "list the domains");
        if (n == 0)
            return app_fail("no domain is hosted here yet: `facteur domain add DOMAIN`");
    }
    struct health_settings set = {.dns = app_resolver(app),
                                  .hostname = c ? c->hostname : "localhost",
                                  .port = c ? c->outbound.port : 25,
                                  .https_port = HTTPS_PORT,
                                  .connect = true,
                                  .now_s = clock_real_s(),
                                  .progress = tell_progress,
                                  .ctx = app};
    for (size_t i = 0; c && i < c->outbound.bind.n; i++)
        *(addr_is_ipv6(&c->outbound.bind.v[i]) ? &set.bind6 : &set.bind4) = &c->outbound.bind.v[i];
    if (!set.dns)
        return EXIT_FAILED;
    fetch_init();
    struct tls_client *trust = open_trust(c);
    set.trust = trust;
    json_t *list = app->json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++)
        if (look(app, &set, domains[i], list) != EXIT_DONE)
            code = EXIT_FAILED;
    tls_client_free(trust);
    dns_free(set.dns);
    if (list && app_print_json(list) != EXIT_DONE)
        code = EXIT_FAILED;
    return code;
}
